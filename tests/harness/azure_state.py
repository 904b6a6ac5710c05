"""What the emulated Azure holds, as the tests of `acr` ask for it."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from bootstrap.testing.harness.world import World

NAME = "acmeshop-azurecr-io"
APP = "akka-docker-reader"


def applications(world: World, name: str = APP) -> list[Any]:
    return [one for one in world.cloud.state.applications if one.display_name == name and one.lifetime.exists]


def application_deleted(world: World) -> None:
    """Delete pullkey's application and its service principal behind its back."""
    for kind in ("applications", "service_principals"):
        found = getattr(world.cloud.state, kind)
        found[:] = [one for one in found if not one.display_name.startswith(APP)]


def secrets(application: Any) -> list[Any]:
    return [one for one in application.secrets if one.lifetime.exists]


def roles(world: World, app_id: str) -> list[tuple[str, str]]:
    principal = world.cloud.state.principal_by_app_id(app_id)
    return [
        (one.role.name, one.scope.rpartition("/")[2])
        for one in world.cloud.state.role_assignments
        if principal is not None and one.principal_id == principal.id and one.lifetime.exists
    ]


def cloud_picture(world: World) -> Any:
    """All that could be changed in Azure, to compare before and after."""
    state = world.cloud.state
    return (
        {
            one.id: sorted(secret.key_id for secret in secrets(one))
            for one in state.applications
            if one.lifetime.exists
        },
        sorted(one.id for one in state.service_principals if one.lifetime.exists),
        sorted(one.name for one in state.role_assignments if one.lifetime.exists),
    )


TOKEN = "akka-docker-reader-checkout"
TOKEN_KIND = ("--auth-kind", "token")
ONLY_CHECKOUT = (*TOKEN_KIND, "--repository", "checkout")


def shop(world: World) -> Any:
    return world.cloud.state.registry("acmeshop")


def pulls_repository(world: World, repository: str) -> bool:
    """Whether what Akka holds pulls an image of a repository, as a puller goes about it."""
    held = world.held(NAME)
    trust = ssl.create_default_context(cafile=world.running.environment["SSL_CERT_FILE"])
    at = f"https://localhost:{world.cloud.registry_ports['acmeshop.azurecr.io']}"
    with httpx.Client(verify=trust) as client:
        answer = client.get(
            f"{at}/oauth2/token",
            params={"service": "acmeshop.azurecr.io", "scope": f"repository:{repository}:pull"},
            auth=(held.username, held.password),
        )
        if answer.status_code != 200:
            return False
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return client.get(f"{at}/v2/{repository}/manifests/1.0", headers=bearer).status_code == 200


def disable_principal(world: World, application: Any) -> None:
    world.cloud.state.principal_by_app_id(application.app_id).enabled = False


def remove_roles(world: World, application: Any) -> None:
    principal = world.cloud.state.principal_by_app_id(application.app_id)
    for one in world.cloud.state.role_assignments:
        if one.principal_id == principal.id:
            one.lifetime.removed = world.cloud.state.now()

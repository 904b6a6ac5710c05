"""All that there is in the sandbox's clouds and in Akka, as lines that can be compared: who made it does
not matter.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from bootstrap.sandbox.akka import AkkaEmulator


def inventory(*emulators: Any) -> set[str]:
    """One line for each thing that stands in a cloud or in Akka: keys, grants, identities, secrets,
    references.
    """
    return {line for emulator in emulators for line in _KINDS[emulator.name](emulator)}


def _akka(akka: AkkaEmulator) -> Iterator[str]:
    for project in akka.projects.values():
        for region in project.regions:
            yield from (
                f"akka {project.name} {region} secret {name}"
                for name, _, _ in project.secrets.seen_from(region)
            )
            yield from (
                f"akka {project.name} {region} reference {name}"
                for name, _, _ in project.registries.seen_from(region)
            )


def _google(google: Any) -> Iterator[str]:
    for project in google.state.projects.values():
        yield from _policy(project.id, project.policy)
        for repository in project.repositories.values():
            yield from _policy(repository.name, repository.policy)
        for account in project.accounts.values():
            yield f"google account {account.email} {account.description!r} disabled={account.disabled}"
            yield from _policy(account.email, account.policy)
            for key in account.keys.values():
                whose = "google's own" if key.system_managed else "google"
                yield f"{whose} key {account.email} {key.id} disabled={key.disabled}"


def _policy(resource: str, policy: Any) -> Iterator[str]:
    for binding in policy.bindings():
        for member in binding.members:
            yield f"google binding {resource} {binding.role} {member} {binding.condition.expression}"


def _azure(azure: Any) -> Iterator[str]:
    state = azure.state
    for application in state.applications:
        if application.lifetime.exists:
            yield f"azure application {application.id} {application.display_name} {application.unique_name}"
            yield from (
                f"azure secret {application.id} {one.key_id}"
                for one in application.secrets
                if one.lifetime.exists
            )
    yield from (f"azure principal {one.id}" for one in state.service_principals if one.lifetime.exists)
    yield from (
        f"azure role {one.scope} {one.principal_id} {one.role.guid}"
        for one in state.role_assignments
        if one.lifetime.exists
    )
    for registry in state.registries:
        yield from (
            f"azure scope map {registry.name} {one.name} {one.actions}"
            for one in registry.scope_maps.values()
        )
        for token in registry.tokens.values():
            yield f"azure token {registry.name} {token.name}"
            yield from (
                f"azure password {token.name} {one.name} {one.created}" for one in token.passwords.values()
            )


def _docker_hub(hub: Any) -> Iterator[str]:
    for user in hub.state.users.values():
        yield from (f"hub token {user.name} {one.uuid} active={one.active}" for one in user.tokens)
    for organization in hub.state.organizations.values():
        yield from (
            f"hub token {organization.name} {one.id} active={one.active}" for one in organization.tokens
        )


def _harbor(harbor: Any) -> Iterator[str]:
    for robot in harbor.state.robots.values():
        run_id = robot.stored.rpartition("pullkey-")[2] if "pullkey-" in robot.stored else "others"
        key = f"robot-{robot.number}-{run_id}"
        yield f"harbor robot {robot.stored} {key} disabled={robot.disabled}"


def _private(_: Any) -> Iterator[str]:
    """Nothing is made in a registry to which a password was brought."""
    yield from ()


_KINDS = {
    "akka": _akka,
    "google": _google,
    "gcr": _google,
    "azure": _azure,
    "acr": _azure,
    "docker-hub": _docker_hub,
    "docker_hub": _docker_hub,
    "harbor": _harbor,
    "private": _private,
}


def is_key(line: str) -> bool:
    return line.startswith(("google key ", "azure secret ", "azure password ", "hub token ", "harbor robot "))


def key_id(line: str) -> str:
    """The id of a key by which pullkey names it."""
    words = line.split()
    if line.startswith("azure password "):
        created = dt.datetime.fromisoformat(" ".join(words[4:]))
        return f"{words[3]}-{int(created.timestamp())}"
    return words[3]


def is_named(line: str, text: str) -> bool:
    """Whether something that is still there was told, with the command that removes it."""
    words = line.split()
    text = re.sub(r"\n\s+(?:to remove it|remove it with):\s*", " delete: ", text)
    if is_key(line):
        if line.startswith("azure password "):
            return f"--{words[3]}" in text
        return any(
            key_id(line) in one and ("delete" in one or "settings" in one) for one in text.splitlines()
        )
    kind = " ".join(words[:2])
    if kind == "google's own":
        return is_named("google account " + words[3], text)  # it goes with its account
    if kind in ("google account", "google binding"):
        email = next(word for word in words if "@" in word).removeprefix("serviceAccount:")
        return email in text and "gcloud " in text
    if kind == "azure application":
        return "az ad app delete" in text
    if kind == "azure principal":
        return "az ad app delete" in text  # it goes with its application
    if kind == "azure role":
        return "az role assignment delete" in text
    if kind in ("azure scope", "azure token"):
        return "az acr token delete" in text or "az acr scope-map delete" in text
    return False

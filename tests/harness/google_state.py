"""What the emulated Google holds, as the tests of `gcr` ask for it."""

from __future__ import annotations

import json
from typing import Any

from bootstrap.testing.harness.world import World

NAME = "europe-west1-docker-pkg-dev-acme-shop-containers"
ACCOUNT = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
READER = "roles/artifactregistry.reader"


def account(world: World, email: str = ACCOUNT) -> Any:
    return world.cloud.state.account(email)


def account_deleted(world: World) -> None:
    """Delete pullkey's service account behind its back; policies still name it."""
    del world.cloud.state.projects["acme-shop"].accounts[ACCOUNT]


def project(world: World) -> Any:
    return world.cloud.state.project("acme-shop")


def repository_members(world: World, name: str = "containers", location: str = "europe-west1") -> list[str]:
    return list(project(world).repositories[location, name].policy.members(READER))


def cloud_picture(world: World) -> Any:
    """All that could be changed in Google, to compare before and after."""
    shop = project(world)
    return (
        {email: sorted(found.keys) for email, found in shop.accounts.items()},
        [str(binding) for binding in shop.policy.bindings()],
        {
            key: [str(binding) for binding in found.policy.bindings()]
            for key, found in shop.repositories.items()
        },
    )


KEY_FILE = json.dumps(
    {
        "type": "service_account",
        "project_id": "acme-shop",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": "-----BEGIN PRIVATE "
        "KEY-----\nbm90IGEga2V5IG9mIGFueWJvZHk=\n-----END PRIVATE KEY-----\n",
        "client_email": "akka-docker-reader@acme-shop.iam.gserviceaccount.com",
        "client_id": "1",
    },
    indent=2,
)  # as Google writes it


REPLACE_IDENTITY = ("--service-account", "akka-second-reader", "--replace")

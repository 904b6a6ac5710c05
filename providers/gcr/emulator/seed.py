"""The initial state: a shop's project, its images, and other users' resources that must survive."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Final

from google.type import expr_pb2

from bootstrap.sandbox.images import Image, ImageStore
from providers.gcr.emulator.state import GoogleState, generate_private_key, system_managed_public_key

PROJECT: Final = "acme-shop"
OTHER_PROJECT: Final = "acme-images"
ADMIN_PROJECT: Final = "acme-admin"
IMAGE: Final = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
OPERATOR: Final = "operator@acme-admin.iam.gserviceaccount.com"
IMPERSONATED: Final = "registry-setup@acme-admin.iam.gserviceaccount.com"
"""An account that the operator may impersonate; it owns the shop's project too."""


async def seed(state: GoogleState, images: ImageStore) -> bytes:
    """Fill an empty state. Return the operator's JSON key file."""
    long_ago = state.now() - dt.timedelta(days=30)
    shop = state.add_project(PROJECT, "734512906481", display_name="Acme Shop")
    other = state.add_project(OTHER_PROJECT, "201938475610", display_name="Acme Images")
    state.add_project(ADMIN_PROJECT, "556677889900", display_name="Acme Admin")
    for project, location, name in (
        (shop, "europe-west1", "containers"),
        (shop, "europe-west1", "tools"),
        (shop, "us", "gcr.io"),
        (other, "europe-west1", "base"),
    ):
        state.add_repository(project.id, location, name).created = long_ago

    operator = state.add_account(ADMIN_PROJECT, "operator", created=long_ago)
    impersonated = state.add_account(ADMIN_PROJECT, "registry-setup", created=long_ago)
    deployer = state.add_account(PROJECT, "ci-deployer", created=long_ago)
    state.operator = operator.email
    (operator_key, *others), _ = await asyncio.gather(
        asyncio.gather(*(asyncio.to_thread(generate_private_key) for _ in range(3))),
        asyncio.to_thread(system_managed_public_key),
    )
    state.private_keys.prepare()
    key = state.add_key(operator, operator_key.public_key(), created=long_ago)
    for private_key in others:
        state.add_key(deployer, private_key.public_key(), created=long_ago)

    impersonated.policy.grant("roles/iam.serviceAccountTokenCreator", operator.member, since=long_ago)
    shop.policy.grant("roles/owner", operator.member, impersonated.member, since=long_ago)
    shop.policy.grant("roles/artifactregistry.writer", deployer.member, since=long_ago)
    shop.policy.grant("roles/viewer", "group:auditors@acme.example", since=long_ago)
    shop.policy.grant(
        "roles/browser",
        "user:guest@acme.example",
        condition=expr_pb2.Expr(
            title="until the audit is over",
            description="Access for the audit of 2031",
            expression="request.time < timestamp('2031-01-01T00:00:00Z')",
        ),
        since=long_ago,
    )
    containers = shop.repositories["europe-west1", "containers"]
    containers.policy.grant("roles/artifactregistry.reader", "group:developers@acme.example", since=long_ago)
    other.policy.grant("roles/owner", "user:images@acme.example", since=long_ago)

    for name, tag in (IMAGE.rsplit(":", 1), ("us-docker.pkg.dev/acme-shop/gcr.io/checkout", "1.0")):
        await images.put(name, tag, Image.build(f"Hello from {name}\n"))
    await images.put("europe-west1-docker.pkg.dev/acme-images/base/python", "3", Image.build("Hello, base\n"))
    return state.key_file(operator, key, operator_key)

"""The initial state of the emulated Azure: a small company, and other users' resources that must survive."""

from __future__ import annotations

import datetime as dt
import uuid

from bootstrap.sandbox.host import Sandbox
from bootstrap.sandbox.images import Image
from providers.acr.emulator.roles import ACR_PULL, ACR_PUSH, OWNER, READER
from providers.acr.emulator.state import AzureState, Operator, Secret, Subscription

IMAGE = "checkout"
TAG = "1.0"
_AGE = dt.timedelta(days=30)


def _fixed(name: str) -> str:
    """An id that is the same in every sandbox, so that noted commands stay valid."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://sandbox.pullkey.example/{name}"))


def seeded_state(sandbox: Sandbox) -> AzureState:
    """A tenant with two subscriptions, three registries, an operator who owns them, and others'
    applications.
    """
    operator = Operator(_fixed("operator"), _fixed("operator/principal"), "system:serviceaccount:ops:pullkey")
    state = AzureState(sandbox, tenant_id=_fixed("tenant"), tenant_name="Acme", operator=operator)
    # Old enough for all replicas to have it.
    past = sandbox.now() - _AGE
    production = Subscription(_fixed("subscriptions/production"), "Acme Production")
    staging = Subscription(_fixed("subscriptions/staging"), "Acme Staging")
    state.subscriptions += [production, staging]
    shop = state.add_registry("acmeshop", production)
    state.add_registry("acmevault", production, sku="Premium", public_network_access=False)
    state.add_registry("acmeabac", staging, abac=True)

    person = state.add_application("pullkey-operator", app_id=operator.app_id, created=past)
    state.add_service_principal(person, object_id=operator.object_id, created=past)
    for subscription in state.subscriptions:
        state.add_assignment(operator.object_id, OWNER, subscription.scope, created=past)

    # The first name begins with the one that pullkey uses, to test filters with `startswith`.
    for name, role in (("akka-docker-reader-ci", ACR_PULL), ("deployer", ACR_PUSH)):
        application = state.add_application(name, created=past)
        state.add_secret(application, display_name="rbac", start=past, created=past)
        principal = state.add_service_principal(application, created=past)
        state.add_assignment(principal.id, role, shop.id, created=past)
    state.add_assignment(_fixed("groups/auditors"), READER, shop.id, principal_type="Group", created=past)
    return state


def operator_secret(state: AzureState) -> Secret:
    """A secret of the operator that all replicas have."""
    application = next(one for one in state.applications if one.app_id == state.operator.app_id)
    return state.add_secret(application, display_name="sandbox", created=application.lifetime.created)


async def put_images(state: AzureState, sandbox: Sandbox) -> None:
    """Store two images in every registry that has images."""
    for name in ("acmeshop", "acmeabac"):
        server = state.registry(name).login_server
        for image in (IMAGE, "cart"):
            await sandbox.images.put(f"{server}/{image}", TAG, Image.build(f"Hello from {server}\n"))

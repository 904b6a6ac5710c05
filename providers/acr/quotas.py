"""What a run takes of Azure's documented quotas, at least.

"Microsoft Graph service-specific throttling limits", identity and access: 3,000 writes in 2 minutes and 30
seconds for each pair of app and tenant. "Understand how Azure Resource Manager throttles requests": a bucket
of 200 writes that is refilled with 10 a second, for each subscription and service principal.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.plugin.quota import REMOVAL, Charge, Quota
from bootstrap.plugin.step import EngineStep, StepRole

GRAPH = Quota(
    "Microsoft Graph",
    "3,000 writes in 2.5 minutes for each login and tenant",
    3000,
    20.0,
    one_part=False,
    source="https://learn.microsoft.com/graph/throttling-limits",
)
ARM = Quota(
    "Azure Resource Manager",
    "200 writes at once and 10 a second for each login and subscription",
    200,
    10.0,
    one_part=False,
    source="https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling",
)


def charges(subscription: str, identity: str, *, token: bool) -> Sequence[Charge]:
    """What a target takes.

    Args:
        subscription: of the registry; "" if it is not named.
        identity: the target's `shared_identity_key`.
        token: whether a token of the registry pulls, and not an application.
    """
    place = f"subscription {subscription}" if subscription else "the subscription"
    if token:
        # Scope map and token; a password is generated for each key.
        each = {StepRole.GRANT: 1, StepRole.KEY: 1, REMOVAL: 2}
        return [
            Charge(
                ARM,
                place,
                each=each,
                shared={StepRole.IDENTITY: 1},
                shared_by=identity,
            )
        ]
    return [
        # Application and service principal; a secret is added for each key, and removed once it was replaced.
        Charge(
            GRAPH,
            "the tenant",
            each={StepRole.KEY: 1, EngineStep.CLEAR: 1, REMOVAL: 1},
            shared={StepRole.IDENTITY: 2},
            shared_by=identity,
        ),
        Charge(ARM, place, each={StepRole.GRANT: 1, REMOVAL: 1}),
    ]

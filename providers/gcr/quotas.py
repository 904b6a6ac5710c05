"""What a run takes of Google's documented quotas, at least.

IAM counts by the project that owns the account ("Quotas and limits" of IAM: 600 write requests a minute and
project), Resource Manager by the project that the login belongs to ("Quotas and usage limits": "per API
consumer project", 600 read and 600 write operations a minute). Artifact Registry allows 18,000 writes a
minute and location, which no file of 10,000 targets reaches.

Not counted: "Service accounts created per minute per project", for which Google's page has no number. Google
answers with 429 and a RetryInfo of a minute, which a run waits for.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.plugin.quota import ALWAYS, REMOVAL, Charge, Quota
from bootstrap.plugin.step import EngineStep, StepRole

IAM = Quota(
    "Google IAM",
    "600 writes a minute for each project",
    600,
    10.0,
    one_part=True,
    source="https://cloud.google.com/iam/quotas",
)
_OF_LOGIN = "https://cloud.google.com/resource-manager/docs/limits"
READS = Quota(
    "Google Resource Manager",
    "600 reads a minute for the project of the login",
    600,
    10.0,
    one_part=False,
    source=_OF_LOGIN,
)
WRITES = Quota(
    "Google Resource Manager",
    "600 writes a minute for the project of the login",
    600,
    10.0,
    one_part=False,
    source=_OF_LOGIN,
)


def charges(project: str, account: str, account_project: str, *, on_project: bool) -> Sequence[Charge]:
    """What a target takes.

    Args:
        project: of the registry.
        account: that pulls.
        account_project: of the account.
        on_project: whether the role is granted on the project.
    """
    # A key is created; the one that it replaces is disabled, and an earlier one or a lost one is deleted.
    found = [
        Charge(
            IAM,
            f"project {account_project}",
            each={StepRole.KEY: 1, EngineStep.RETIRE: 1, EngineStep.CLEAR: 1, EngineStep.LOST: 1, REMOVAL: 1},
            shared={StepRole.IDENTITY: 1},
            shared_by=account,
        ),
        # Its state, and which permissions the login has.
        Charge(READS, "the login's project", shared={ALWAYS: 2}, shared_by=project),
    ]
    if on_project:
        found.append(
            Charge(
                WRITES,
                "the login's project",
                shared={StepRole.GRANT: 1},
                shared_by=f"{project} {account}",
            )
        )
    return found

"""What is asked of an operation on one target, beyond the target itself."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedSteps:
    """What a plan has shown: the steps that are to be done, and the e-mail of Akka's record (None: there
    is none).
    """

    steps: frozenset[str]
    email: str | None


@dataclass(frozen=True)
class OperationOptions:
    """What is asked of every operation.

    Args:
        dry_run: only look.
        yes: the user is not asked before the first change.
        command: as it was typed, to be typed again.
    """

    dry_run: bool = False
    yes: bool = False
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class RunOptions(OperationOptions):
    """What is asked of an onboarding, a rotation or a verification."""

    secret_name: str
    replace: bool = False
    anyway: bool = False
    wait: bool = True
    grace: dt.timedelta | None = None
    """A rotation: how long the key that Akka held is left. None: no rotation."""
    overlap: dt.timedelta = dt.timedelta()
    """A rotation: how long both keys are valid once Akka shows the new one everywhere."""
    as_planned: PlannedSteps | None = None
    """Nothing else is done than this; less is, where others have done some of it meanwhile."""
    report_unrecorded_keys: bool = True
    """Whether to look for keys that lost runs have left; of many targets it is enough to look once."""


@dataclass(frozen=True, kw_only=True)
class OffboardOptions(OperationOptions):
    """What is asked of an offboarding.

    Args:
        keep_identity: the identity stays, even where nothing else uses it.
        keep_secret: Akka's secret stays; only the project's reference to it is removed.
        akka_too: whether Akka's side is removed as well; not so where another credential has taken its name.
    """

    keep_identity: bool = False
    keep_secret: bool = False
    akka_too: bool = True

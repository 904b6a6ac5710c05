"""The options of an operation on one target."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedSteps:
    """The content of a plan: the steps to be done, and the e-mail in Akka's record (None: no record)."""

    steps: frozenset[str]
    email: str | None


@dataclass(frozen=True)
class OperationOptions:
    """The options of every operation.

    Args:
        dry_run: change nothing.
        yes: do not ask for confirmation before the first change.
        command: the command line as typed, to suggest running it again.
        ask_permissions: whether to check that the login has the needed permissions. Not for a plan that
            another login applies.
    """

    dry_run: bool = False
    yes: bool = False
    command: str = ""
    ask_permissions: bool = True


@dataclass(frozen=True, kw_only=True)
class RunOptions(OperationOptions):
    """The options of an onboarding, rotation or verification."""

    secret_name: str
    replace: bool = False
    anyway: bool = False
    wait: bool = True
    grace: dt.timedelta | None = None
    """For a rotation: how long the replaced key is kept. None: not a rotation."""
    overlap: dt.timedelta = dt.timedelta()
    """For a rotation: how long both keys stay valid once Akka shows the new one in every region."""
    as_planned: PlannedSteps | None = None
    """Do nothing that is not in this plan."""
    clear_up_only: bool = False
    """Do nothing but undo what an earlier run that did not end has created: its target is to be removed."""
    defer_removal: bool = False
    """Leave the resources of an overwritten record to the caller, who removes them once all targets are
    changed (`offboard.remove_overwritten`).
    """
    report_unrecorded_keys: bool = True
    """Whether to look for keys that lost runs have left. For targets with one identity, once is enough."""


@dataclass(frozen=True, kw_only=True)
class OffboardOptions(OperationOptions):
    """The options of an offboarding.

    Args:
        keep_identity: keep the identity even if nothing else uses it.
        keep_secret: keep Akka's secret; remove only the project's reference to it.
        akka_too: remove Akka's record too. False if another credential has taken its name.
    """

    keep_identity: bool = False
    keep_secret: bool = False
    akka_too: bool = True

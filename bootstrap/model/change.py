"""One change in a cloud or in Akka, as the audit log records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ChangeOutcome(StrEnum):
    """How a change ended."""

    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    REMOVED = "removed"
    LEFT_OVER = "left over"


@dataclass(frozen=True)
class Change:
    """A change, or a failed attempt at one.

    Args:
        step: the kind of object: a step's name, or the name of what offboarding removes.
        what: the change in a few words.
        outcome: how it ended.
        key_id: the id of the key, if the change concerns a key.
        who: the account that is logged in to the cloud; "" if it is not known.
    """

    step: str
    what: str
    outcome: ChangeOutcome
    key_id: str = ""
    who: str = ""


Audit = Callable[[Change], None]
"""Records a change once its outcome is known."""


def not_recorded(_: Change) -> None:
    """Record nothing: the `Audit` of a run without an audit log."""

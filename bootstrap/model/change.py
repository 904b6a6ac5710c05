"""One change made in a cloud or in Akka, as the audit trail records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Something that was changed, or was tried to be.

    Args:
        step: what kind of thing: a step's name, or that of what offboarding removes.
        what: in a few words.
        outcome: `done`, `failed`, `undone`, `removed` or `left over`.
        key_id: of the key it is about, where it is about one.
        who: who is logged in to the cloud; "" where whoever records it knows.
    """

    step: str
    what: str
    outcome: str
    key_id: str = ""
    who: str = ""


Audit = Callable[[Change], None]


"""Takes a change once its outcome is known."""


def not_recorded(_: Change) -> None:
    """Where nobody asked for a trail."""

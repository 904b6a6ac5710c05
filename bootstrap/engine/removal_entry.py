"""The journal's entry of a removal: it keeps the record to remove, since Akka forgets that first."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bootstrap.akka.record_match import RecordMatch, likeness
from bootstrap.engine.journal import OFFBOARD, Record
from bootstrap.model.akka_record import HeldCredential


def as_intent(held: HeldCredential) -> dict[str, Any]:
    """The journal's copy of a credential to remove: Akka may no longer show it when it is needed."""
    return {"held": asdict(held), "key_id": held.link.key_id if held.link else ""}


def being_removed(lost: Record | None) -> HeldCredential | None:
    """The credential that an earlier run was removing, or could not remove completely; Akka may no longer
    have it.
    """
    entries = [entry for entry in lost.entries if entry.step == OFFBOARD] if lost is not None else []
    return entries[0].held if entries else None


def is_shown(gone: HeldCredential, held: HeldCredential | None) -> bool:
    """Whether Akka's record is the one that was to be removed, with its secret."""
    if held is None or held.name != gone.name or held.empty:
        return False
    return likeness(held, gone) is not RecordMatch.OTHER


def is_shown_cut(gone: HeldCredential, held: HeldCredential | None) -> bool:
    """Whether Akka still shows the record that was to be removed, without its key."""
    return held is not None and held.link is None and gone.link is not None and is_shown(gone, held)

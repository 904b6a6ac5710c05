"""Compare Akka's record with the one that a run registers, and with the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from bootstrap.akka.record_match import RecordMatch, likeness
from bootstrap.engine import messages_handoff as messages
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.plugin.session import Session


class ShownRecord(Enum):
    """What Akka shows."""

    OURS = auto()
    OURS_TRUNCATED = auto()
    OLDER = auto()
    """The record from before this run, or one that names a key from before it."""
    NONE = auto()
    ANOTHER = auto()


class RecordComparison:
    """Compares Akka's record with the one that a run registers.

    Attributes:
        before: Akka's record before the first change, or None.
        keys_before: the ids of the identity's keys before the first change: a record that names one of them
            may be an older one.
    """

    def __init__(self, session: Session, secret_name: str) -> None:
        self._session = session
        self._secret_name = secret_name
        self.before: HeldCredential | None = None
        self.keys_before: set[str] = set()

    def as_registered(self, credential: Credential) -> HeldCredential:
        """The record that Akka should show for a credential."""
        return HeldCredential(
            self._secret_name, credential.server, credential.username, credential.email, "OK"
        )

    def classify(self, shown: HeldCredential | None) -> ShownRecord:
        credential = self._session.credential
        if shown is None:
            return ShownRecord.NONE
        if credential is not None:
            like = likeness(shown, self.as_registered(credential))
            if like is RecordMatch.SAME:
                return ShownRecord.OURS
            if like is RecordMatch.CUT:
                return ShownRecord.OURS_TRUNCATED
        if self.is_same_as_before(shown) or self._is_older(shown):
            return ShownRecord.OLDER
        return ShownRecord.ANOTHER

    def difference(self, shown: HeldCredential | None) -> str | None:
        """How Akka's record differs from what it should be, as the object of "Akka shows"; None if it does
        not.
        """
        if shown is None:
            return messages.no_record(self._secret_name)
        kind = self.classify(shown)
        if kind is ShownRecord.OURS_TRUNCATED:
            return messages.truncated_record(shown)
        if kind is not ShownRecord.OURS:
            return messages.another_record(shown)
        if not shown.status_is_ok:
            return messages.record_status(shown.status)
        if shown.lagging_regions:
            return messages.lagging_record(shown.lagging_regions)
        return None

    def is_same_as_before(self, shown: HeldCredential | None) -> bool:
        """Whether the record, or its absence, is the same as before the first change."""
        return _identifying_fields(shown) == _identifying_fields(self.before)

    def is_before_truncated(self, shown: HeldCredential | None) -> bool:
        """Whether it is the record from before this run, shown with less than was registered."""
        before = self.before
        return shown is not None and before is not None and likeness(shown, before) is RecordMatch.CUT

    def _is_older(self, shown: HeldCredential) -> bool:
        """Whether the record names a key from before this run, as a lagging list does."""
        return shown.link is not None and shown.link.key_id in self.keys_before


def registered_record(intent: Mapping[str, Any]) -> HeldCredential:
    """The record that Akka should show, by the intent of a handoff."""
    return HeldCredential(
        intent["secret_name"],
        intent.get("server", ""),
        intent.get("username", ""),
        intent.get("email", ""),
        "OK",
    )


def _identifying_fields(held: HeldCredential | None) -> tuple[str, ...]:
    """The fields that differ if another run has replaced the record."""
    return (held.server, held.username, held.email) if held is not None else ()

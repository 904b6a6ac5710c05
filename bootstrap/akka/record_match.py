"""Compare Akka's record of a credential with what was registered.

Akka's treatment of the fields is not documented: it may trim them, change their case, truncate a long e-mail
or leave one blank. So records are compared field by field, and one that shows less than was registered does
not count as another credential's.
"""

from __future__ import annotations

from enum import StrEnum

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.server import same_registry


class RecordMatch(StrEnum):
    """The result of comparing a record with what was registered."""

    SAME = "same"
    CUT = "cut"
    """Each field is equal to the registered one, truncated, or blank."""
    OTHER = "other"


def likeness(held: HeldCredential, given: HeldCredential) -> RecordMatch:
    """Compare Akka's record with what was registered, apart from the status."""
    if held.link is not None and given.link is not None and held.link.key_id != given.link.key_id:
        return RecordMatch.OTHER
    fields = ((held.username, given.username), (held.email, given.email))
    server = same_registry(held.server, given.server)
    if server and all(_plain(shown) == _plain(whole) for shown, whole in fields):
        return RecordMatch.SAME
    shown_server = server or is_shown_as(held.server, given.server)
    if shown_server and all(is_shown_as(shown, whole) for shown, whole in fields):
        return RecordMatch.CUT
    return RecordMatch.OTHER


def is_another(now: HeldCredential | None, held: HeldCredential) -> bool:
    """Whether a record is of another credential than one that was read before. Akka may have shown either of
    them truncated.
    """
    return now is not None and RecordMatch.OTHER is likeness(now, held) is likeness(held, now)


def is_same_key(one: KeyRef, other: KeyRef) -> bool:
    """Whether two references name the same key, as far as Akka shows them: it may have truncated an e-mail at
    its end. Key ids may be unique only within an identity: that of an Azure token is a slot and a moment.
    """
    return (one.name.casefold(), one.key_id.casefold()) == (
        other.name.casefold(),
        other.key_id.casefold(),
    ) and (is_shown_as(one.domain, other.domain) or is_shown_as(other.domain, one.domain))


def is_shown_as(shown: str, given: str) -> bool:
    """Whether Akka may show the field `given` as `shown`: in another case, truncated, or blank."""
    return _plain(given).startswith(_plain(shown))


def _plain(text: str) -> str:
    return text.strip().casefold()

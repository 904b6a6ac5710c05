"""Whether what Akka shows of a credential is what it was given.

Nothing documents what Akka does to the fields of a record: it may trim them, change their case, cut a long
e-mail or leave one blank. So a record is compared field by field, and one that shows less than was given is
not taken for another's.
"""

from __future__ import annotations

from enum import StrEnum

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.server import same_registry


class RecordMatch(StrEnum):
    """How a record compares with what was given."""

    SAME = "same"
    CUT = "cut"
    """Each field is the one that was given, or the beginning of it, or blank."""
    OTHER = "other"


def likeness(held: HeldCredential, given: HeldCredential) -> RecordMatch:
    """Compare Akka's record with what it was given; the status does not count."""
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


def is_shown_as(shown: str, given: str) -> bool:
    """Whether a field may be shown so that was given: in another case, without its end, or not at all."""
    return _plain(given).startswith(_plain(shown))


def _plain(text: str) -> str:
    return text.strip().casefold()

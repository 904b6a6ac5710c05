"""A password of a registry's token, and its id: the slot, and when it was generated.

A token has two slots. What is generated in one overwrites what it held, so only the time tells its passwords
apart.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bootstrap.model import clock
from bootstrap.model.secret import Secret
from providers.acr.waits import NEW_PASSWORD, SAME_CALL

_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_ROUNDED = _MS  # how far a time may be rounded when Azure shows it again


def key_id_of(slot: str, created: dt.datetime | None) -> str:
    """Slot and creation time in ms: a slot that is generated again holds another key.

    Azure keeps seven decimals, and shows the same as the call that generates it (recorded). Of seconds,
    runs that generate the same slot at once would take each other's password for their own.
    """
    return f"{slot}-{(created - _EPOCH) // _MS if created else 0}"


def slot_of(key_id: str) -> str:
    """The slot in a password's id."""
    return key_id.partition("-")[0]


def created_at(key_id: str) -> dt.datetime | None:
    """When a password was generated, by its id; None if that says no time."""
    ms = key_id.rpartition("-")[2]
    try:
        return dt.datetime.fromtimestamp(int(ms) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def is_new(key_id: str) -> bool:
    """Whether a password is so new that not every read shows it."""
    made = created_at(key_id)
    return made is not None and clock.now() - made < NEW_PASSWORD


@dataclass(frozen=True)
class SlotPassword:
    """One of a token's two passwords, without its text: Azure shows that once only."""

    slot: str
    created: dt.datetime | None
    expires: dt.datetime | None

    @property
    def key_id(self) -> str:
        return key_id_of(self.slot, self.created)

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= clock.now()


@dataclass(frozen=True)
class Generated:
    """A password that was just generated."""

    created: dt.datetime | None
    expires: dt.datetime | None
    text: Secret


@dataclass(frozen=True)
class NewSlotPassword:
    """A password that was just generated, with the id under which Azure shows it."""

    key_id: str
    text: Secret
    created: dt.datetime | None
    expires: dt.datetime


def is_another(created: dt.datetime | None, ours: str | None) -> bool:
    """Whether a password that bears the id of ours is not it: an id is rounded to milliseconds."""
    return (
        created is not None and ours is not None and abs(created - dt.datetime.fromisoformat(ours)) > _ROUNDED
    )


def is_overwritten(key_id: str, there: SlotPassword | None) -> bool:
    """Whether a slot has a later password than the one of that id. No read that lags shows that.

    Args:
        key_id: of the password.
        there: what the slot has now.
    """
    created = created_at(key_id)
    return (
        there is not None
        and there.created is not None
        and created is not None
        and there.created - created > _ROUNDED
    )


def is_of_call(created: dt.datetime | None, at: str) -> bool:
    """Whether a password is as old as a call that generated one at that time (ISO 8601)."""
    return created is not None and abs(created - dt.datetime.fromisoformat(at)) <= SAME_CALL


def described(one: SlotPassword) -> str:
    """The password in a few words, for users."""
    return f"{one.slot} of {one.created:%Y-%m-%d}" if one.created else one.slot

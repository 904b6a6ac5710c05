"""What a cloud shows of a key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    pass


@dataclass(frozen=True)
class KeyLimit:
    """How many keys a cloud allows one identity, however long each lasts.

    Args:
        at_most: that many, those included that are switched off.
        whose: the identity, as a sentence names it.
        another: the options by which a target is given another identity, without dashes.
    """

    at_most: int
    whose: str
    another: str


@dataclass(frozen=True)
class KeyFacts:
    """What a cloud shows of one key; never its secret."""

    key_id: str
    created: dt.datetime | None
    expires: dt.datetime | None = None
    disabled: bool = False
    supplied: bool = False
    """Whether it is a password that the user supplied: `created` is when it was registered, and its expiry
    is not known.
    """

    @property
    def expiry(self) -> str:
        """In one word where it is no date: `never`, or `unknown`."""
        return "" if self.expires else "unknown" if self.supplied else "never"

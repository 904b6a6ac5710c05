"""What a cloud shows of a key, and its limit on keys."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from bootstrap.model import clock


@dataclass(frozen=True)
class KeyLimit:
    """How many keys a cloud allows one identity.

    Args:
        at_most: the limit. Disabled keys count.
        whose: the identity, worded for a sentence.
        another: the options, without dashes, that select another identity for a target.
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
    """Whether the user supplied the password: `created` is then the time of registration, and the expiry is
    unknown.
    """
    lacks: str = ""
    """What of a puller's permissions it lacks, as the end of "key ID ...": "may not pull acme/cart"; "" if
    none, or if that is not shown.
    """

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= clock.now()

    @property
    def why_unusable(self) -> str:
        """Why the key cannot be used, as the end of "key ID ..."; "" if it can."""
        if self.disabled:
            return "is disabled"
        return "has expired" if self.expired else self.lacks

    @property
    def expiry(self) -> str:
        """`never` or `unknown`; "" if there is a date in `expires`."""
        return "" if self.expires else "unknown" if self.supplied else "never"

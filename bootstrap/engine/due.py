"""When a key is due for rotation, and when it expires so soon that this is a problem."""

from __future__ import annotations

import datetime as dt

from bootstrap.model import clock
from bootstrap.model.duration import BY_YOU, in_words
from bootstrap.model.key_facts import KeyFacts

# A key without expiry is due for rotation at this age.
DUE_AGE = dt.timedelta(days=90)
# Certbot's rule: a key is due when a third of its lifetime is left.
_DUE_PART = 3
# A key that lasts longer counts as one without expiry: one of `--key-source auto` lasts ten years, and a
# third of that is left after more than six.
_AS_GOOD_AS_UNENDING = dt.timedelta(days=5 * 365)
# A key that expires within this time is a problem, unless the command sets another time.
_SOON = dt.timedelta(days=14)


def due_on(key: KeyFacts, older_than: dt.timedelta | None = None) -> dt.datetime | None:
    """When a key becomes due for rotation; None if neither its age nor its expiry is known."""
    if older_than is not None:
        return key.created + older_than if key.created is not None else None
    if key.supplied:
        return None  # its owner decides: rotate-after
    if key.expires is not None and not _lasts_for_years(key):
        return (
            key.expires - (key.expires - key.created) / _DUE_PART if key.created is not None else key.expires
        )
    return key.created + DUE_AGE if key.created is not None else None


def _lasts_for_years(key: KeyFacts) -> bool:
    return (
        key.created is not None
        and key.expires is not None
        and key.expires - key.created > _AS_GOOD_AS_UNENDING
    )


def due(key: KeyFacts, older_than: dt.timedelta | None = None) -> str:
    """Why a key is due for rotation, as a short text; "" while it is not.

    It is due when a third of its life is left, or, without an expiry or with a life of more than five years,
    when it is 90 days old (or `older_than`).
    """
    on, today = due_on(key, older_than), clock.now()
    if on is None or today < on:
        return ""
    if older_than is None and key.expires is not None and not _lasts_for_years(key):
        if key.created is None:
            return "it has expired"
        return (
            f"{in_words(max(key.expires - today, dt.timedelta()))} of its "
            f"{in_words(key.expires - key.created)} are left"
        )
    if key.created is None:
        return ""
    age = in_words(today - key.created)
    return f"{BY_YOU}: registered {age} ago" if key.supplied else f"it is {age} old"


def due_by_policy(key: KeyFacts, rotate_after: dt.timedelta | None) -> str:
    """Why a key is due by the policy of a target of a file: by `rotate-after`, else as `due` says.

    It is due before it expires in any case.
    """
    if rotate_after is None:
        return due(key)
    why = due(key, rotate_after)
    if not why and key.expires is not None and key.expires - soon(key) <= clock.now():
        why = f"it expires on {key.expires:%Y-%m-%d}"
    return why


def due_on_by_policy(key: KeyFacts, rotate_after: dt.timedelta | None) -> dt.datetime | None:
    """When `due_by_policy` starts to report a key as due; None if that is not known."""
    if rotate_after is None:
        return due_on(key)
    before_expiry = key.expires - soon(key) if key.expires is not None else None
    return min(filter(None, (due_on(key, rotate_after), before_expiry)), default=None)


def soon(key: KeyFacts, expires_within: dt.timedelta | None = None) -> dt.timedelta:
    """The time before a key's expiry from which it is a problem: as requested, else two weeks, or a third of
    its lifetime if that is shorter.
    """
    if expires_within is not None:
        return expires_within
    if key.created is None or key.expires is None:
        return _SOON
    return min(_SOON, (key.expires - key.created) / _DUE_PART)

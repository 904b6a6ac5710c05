"""A hint for a name that was not found: the nearest existing names, or all if they are few."""

from __future__ import annotations

from collections.abc import Iterable

from bootstrap.model.text import did_you_mean

_MOST_SHOWN = 8


def nearest_or_all(name: str, there: Iterable[str], *, many: str = "") -> str:
    """`Did you mean checkout:1.0?`; else a list of the existing names; "" if there are none.

    Args:
        name: the name that was not found.
        there: the existing names.
        many: the text to return instead of a long list, such as the command that lists them.
    """
    names = sorted(set(there))
    if near := did_you_mean(name, names):
        return near
    if not names:
        return ""
    if len(names) > _MOST_SHOWN:
        return many or f"There are {len(names)}, such as {', '.join(names[:3])}"
    return f"There {'is' if len(names) == 1 else 'are'}: {', '.join(names)}"

"""What to say of a name that is not there: the nearest of those that are, or all of a few."""

from __future__ import annotations

from collections.abc import Iterable

from bootstrap.model.text import did_you_mean

_MOST_SHOWN = 8


def nearest_or_all(name: str, there: Iterable[str], *, many: str = "") -> str:
    """`Did you mean checkout:1.0?`, or what there is where nothing is near; "" where there is nothing.

    Args:
        name: what was given.
        there: the names that there are.
        many: what is said in place of a list of many names: the command that shows them.
    """
    names = sorted(set(there))
    if near := did_you_mean(name, names):
        return near
    if not names:
        return ""
    if len(names) > _MOST_SHOWN:
        return many or f"There are {len(names)}, such as {', '.join(names[:3])}"
    return f"There {'is' if len(names) == 1 else 'are'}: {', '.join(names)}"

"""How long a key may last at most: what an option or a file of registries sets, two years unless it does."""

from __future__ import annotations

import datetime as dt

from bootstrap.model.codes import Code
from bootstrap.model.duration import as_typed
from bootstrap.model.errors import UsageProblem
from bootstrap.plugin.provider import Target


def check_lifetime(target: Target, longest: dt.timedelta | None, *, given: bool, option: str = "--") -> None:
    """Refuse a key that would last longer than the maximum.

    Args:
        target: whose key it is.
        longest: the maximum; None where nothing sets one.
        given: whether the expiry was named; else it is the provider's own.
        option: how the names of options begin, where they stand.

    Raises:
        UsageProblem: it is to last longer.
    """
    lasts = target.lifetime
    if lasts is None or longest is None or lasts <= longest:
        return
    named = (
        f"{option}expires-in {as_typed(lasts)}"
        if given
        else f"The default {option}expires-in {as_typed(lasts)}"
    )
    shorter = (
        f"Set a shorter {option}expires-in"
        if given
        else f"Pass {option}expires-in {as_typed(longest)} or less"
    )
    raise UsageProblem(
        f"{named} is longer than the maximum, {as_typed(longest)}",
        fix=f"{shorter}, or raise the maximum with {option}max-expires-in.",
        code=Code.EXPIRY_MAXIMUM,
    )

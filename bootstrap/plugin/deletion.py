"""Delete an object until it is certainly gone: replicas lag, and a request without an answer may have been
carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bootstrap.model.deadline import Deadline, Tell
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.retry import Delay, retry_while


def busy_delay(error: Exception) -> Delay | None:
    """The delay of a busy or briefly unavailable API; None if the error is a refusal."""
    if not isinstance(error, ApiError) or not error.passing:
        return None
    return Delay(f"{error.service} is busy or briefly away; trying again.", after=error.retry_after)


def lag_delay(error: Exception) -> Delay | None:
    """The delay of replication lag; None for any other error."""
    if not isinstance(error, NotShownYet):
        return None
    return Delay(f"{error.service} does not show the same everywhere yet; trying again.")


class NotShownYet(ApiError):
    """The cloud answered that there is nothing to delete, but this run created the object or may have."""

    def __init__(self, error: ApiError, message: str = "") -> None:
        super().__init__(error.status, message or error.message, error.code)
        self.service = error.service


class StillShown(NotShownYet):
    """The cloud answered that there is nothing to delete, but still shows the object."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error, f"{error.service} says that none exists to delete, but shows it")


async def delete_until_gone(
    delete: Callable[[], Awaitable[object]],
    *,
    missed: Callable[[ApiError], Awaitable[None]],
    delay: Callable[[Exception], Delay | None],
    deadline: Deadline,
    tell: Tell,
    is_ours: Callable[[], Awaitable[bool]] | None = None,
    is_deleted: Callable[[ApiError], bool] = lambda error: error.missing,
    still_shown: Callable[[], Awaitable[bool]] | None = None,
) -> bool:
    """Delete an object. Return False if it was already deleted, or is not ours.

    Args:
        delete: sends the request; returns False if it is certain that there was nothing to delete.
        missed: called if there was nothing to delete; raises `NotShownYet` if that cannot be accepted yet.
        delay: the delay that explains an error, or None.
        deadline: when to give up.
        tell: shows the reason for a wait.
        is_ours: checked before each request.
        is_deleted: whether an error says that an earlier, unanswered request was carried out.
        still_shown: checked in that case: a replica that does not know a new object yet gives the same
            answer as one that has deleted it.

    Raises:
        ApiError: it still exists.
    """
    lost = False

    async def once() -> bool:
        nonlocal lost
        sent = False
        try:
            if is_ours is not None and not await is_ours():
                return False
            sent = True
            return await delete() is not False
        except ApiError as error:
            if lost and is_deleted(error):
                if still_shown is not None and await still_shown():
                    raise StillShown(error) from None
                return True  # by the unanswered request
            lost = lost or (sent and error.unanswered)
            if not error.missing:
                raise
            await missed(error)
            return False

    return await retry_while(
        once, why=lambda error: lag_delay(error) or delay(error), deadline=deadline, tell=tell
    )

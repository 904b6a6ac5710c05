"""Changes of IAM policies that several targets of one command want: those that come together are written
together.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bootstrap.plugin.context import Shared
from providers.gcr import errors, policy
from providers.gcr.cache import Facts
from providers.gcr.cloud import GoogleCloud

Edit = Callable[[Any], bool]
"""Changes a policy, and says whether there was something to change."""


@dataclass(frozen=True)
class _Wish:
    edit: Edit
    answer: asyncio.Future[bool]
    as_seen: bool
    certain: bool


class PolicyChanges:
    """One at a time for each resource: read with its etag, changed for all who wait, written once.

    Two writers at once would only make each other read again, and Google asks for one change of a policy in a
    second.
    """

    def __init__(self, google: GoogleCloud, facts: Facts) -> None:
        self._cloud = google
        self._facts = facts
        self._waiting: dict[str, list[_Wish]] = defaultdict(list)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def change(
        self, resource: str, edit: Edit, *, as_seen: bool = False, certain: bool = False
    ) -> bool:
        """Change a policy; False if there was nothing to change.

        Args:
            resource: whose policy.
            edit: what is to be changed.
            as_seen: at first the policy will do that was looked at: Google takes it only if nobody has
                written since.
            certain: write the policy also where there is nothing to change: by its etag Google refuses one
                that was read of a server that lags.

        Raises:
            GoogleApiError: Google refuses; nobody else's refusal is told here.
        """
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[resource].append(_Wish(edit, mine, as_seen, certain))
        try:
            async with self._locks[resource]:
                if not mine.done():
                    together, self._waiting[resource] = self._waiting[resource], []
                    # Whoever has given up meanwhile wants it no more.
                    await self._write(resource, [one for one in together if not one.answer.cancelled()])
            return await mine
        except asyncio.CancelledError:
            mine.cancel()
            raise

    async def _write(self, resource: str, together: list[_Wish]) -> None:
        try:
            changed = await self._written(resource, together)
        except errors.GoogleApiError as error:
            if len(together) > 1 and not error.busy:
                # Which of them it is about Google does not say: each for itself.
                for one in together:
                    await self._write(resource, [one])
                return
            _settle(together, error)
        except BaseException as error:
            # The others did not give up: they read it again.
            _settle(
                together,
                errors.GoogleApiError("ABORTED", "the writer was cut off")
                if isinstance(error, asyncio.CancelledError)
                else error,
            )
            raise
        else:
            for one, done in zip(together, changed, strict=True):
                if not one.answer.done():
                    one.answer.set_result(done)

    async def _written(self, resource: str, together: list[_Wish]) -> list[bool]:
        if all(one.as_seen for one in together):
            found = await self._as_seen(resource)
        else:
            found = await self._cloud.policy(resource)
        changed = [one.edit(found) for one in together]
        if any(changed) or any(one.certain for one in together):
            await self._set(resource, found)
        return changed

    async def _set(self, resource: str, found: Any) -> None:
        try:
            await self._cloud.set_policy(resource, found)
        except errors.GoogleApiError as error:
            if error.missing:
                # It was read a moment ago, so it may be there; the next read shows it.
                raise errors.GoogleApiError("ABORTED", "what was read cannot be written") from None
            raise

    async def _as_seen(self, resource: str) -> Any:
        kept = self._facts.policy(resource)
        try:
            return policy.copy_of(await kept())
        except errors.GoogleApiError:
            return await self._cloud.policy(resource)  # what could not be seen then may be seen now
        finally:
            kept.invalidate()


def _settle(together: list[_Wish], error: BaseException) -> None:
    for one in together:
        if not one.answer.done():
            one.answer.set_exception(error)
            one.answer.exception()  # whoever has gone away does not fetch it


def shared_changes(shared: Shared, google: GoogleCloud, facts: Facts) -> PolicyChanges:
    """Those of one command and login."""
    return shared.get(("gcr-changes", google.login.impersonate), lambda: PolicyChanges(google, facts))

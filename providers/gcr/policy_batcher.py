"""Batches of IAM policy edits: edits of one resource that wait at the same time are written as one."""

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
"""Edits a policy in place; returns whether it changed anything."""


@dataclass(frozen=True)
class _Request:
    edit: Edit
    answer: asyncio.Future[bool]
    as_seen: bool
    certain: bool


class PolicyChanges:
    """One write at a time for each resource: read with its etag, edited for all who wait, written once.

    Two concurrent writers would only make each other read again, and Google asks for at most one change of a
    policy per second.
    """

    def __init__(self, google: GoogleCloud, facts: Facts) -> None:
        self._cloud = google
        self._facts = facts
        self._waiting: dict[str, list[_Request]] = defaultdict(list)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def change(
        self, resource: str, edit: Edit, *, as_seen: bool = False, certain: bool = False
    ) -> bool:
        """Edit a policy; return False if there was nothing to change.

        Args:
            resource: whose policy.
            edit: the edit.
            as_seen: start from the policy that was read before: Google accepts it only if no one has
                written since.
            certain: write the policy even if nothing changes: Google refuses the etag of one that was read
                from a lagging server.

        Raises:
            GoogleApiError: Google refuses this edit; a refusal of another caller's edit is not raised here.
        """
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[resource].append(_Request(edit, mine, as_seen, certain))
        try:
            async with self._locks[resource]:
                if not mine.done():
                    batch, self._waiting[resource] = self._waiting[resource], []
                    # Edits of callers that were cancelled meanwhile are dropped.
                    await self._write(resource, [one for one in batch if not one.answer.cancelled()])
            return await mine
        except asyncio.CancelledError:
            mine.cancel()
            raise

    async def _write(self, resource: str, batch: list[_Request]) -> None:
        try:
            changed = await self._edit_and_write(resource, batch)
        except errors.GoogleApiError as error:
            if len(batch) > 1 and not error.passing:
                # Google does not say which edit it refuses: write each by itself.
                for one in batch:
                    await self._write(resource, [one])
                return
            _settle(batch, error)
        except BaseException as error:
            # The other callers were not cancelled: they retry.
            _settle(
                batch,
                errors.GoogleApiError("ABORTED", "the writer was cut off")
                if isinstance(error, asyncio.CancelledError)
                else error,
            )
            raise
        else:
            for one, done in zip(batch, changed, strict=True):
                if not one.answer.done():
                    one.answer.set_result(done)

    async def _edit_and_write(self, resource: str, batch: list[_Request]) -> list[bool]:
        if all(one.as_seen for one in batch):
            found = await self._as_seen(resource)
        else:
            found = await self._cloud.policy(resource)
        changed = [one.edit(found) for one in batch]
        if any(changed) or any(one.certain for one in batch):
            await self._set(resource, found)
        return changed

    async def _set(self, resource: str, found: Any) -> None:
        try:
            await self._cloud.set_policy(resource, found)
        except errors.GoogleApiError as error:
            if error.missing:
                # It was read a moment ago, so this may be lag; the next read shows it.
                raise errors.GoogleApiError("ABORTED", "what was read cannot be written") from None
            raise

    async def _as_seen(self, resource: str) -> Any:
        kept = self._facts.policy(resource)
        try:
            return policy.copy_of(await kept())
        except errors.GoogleApiError:
            return await self._cloud.policy(resource)  # what could not be read then may be readable now
        finally:
            kept.invalidate()


def _settle(batch: list[_Request], error: BaseException) -> None:
    for one in batch:
        if not one.answer.done():
            one.answer.set_exception(error)
            one.answer.exception()  # a cancelled caller does not retrieve it


def shared_changes(shared: Shared, google: GoogleCloud, facts: Facts) -> PolicyChanges:
    """The batcher that the sessions of one command and login share."""
    return shared.get(("gcr-changes", google.login.impersonate), lambda: PolicyChanges(google, facts))

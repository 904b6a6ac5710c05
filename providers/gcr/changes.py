"""Changes of IAM policies that several targets of one command want: those that come together are written together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from bootstrap.provider import Shared
from providers.gcr import cloud
from providers.gcr.cloud import GoogleCloud

Edit = Callable[[Any], bool]
"""Changes a policy, and says whether there was something to change."""


class PolicyChanges:
    """One at a time for each resource: read with its etag, changed for all who wait, written once.

    Two writers at once would only make each other read again, and Google asks for one change of a policy in a second.
    """

    def __init__(self, google: GoogleCloud) -> None:
        self._cloud = google
        self._waiting: dict[str, list[tuple[Edit, asyncio.Future[bool]]]] = defaultdict(list)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def change(self, resource: str, edit: Edit) -> bool:
        """Change a policy; False if there was nothing to change.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: Google refuses; nobody else's refusal is told here.
        """
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[resource].append((edit, mine))
        try:
            async with self._locks[resource]:
                if not mine.done():
                    together, self._waiting[resource] = self._waiting[resource], []
                    # Whoever has given up meanwhile wants it no more.
                    await self._write(resource, [one for one in together if not one[1].cancelled()])
            return await mine
        except asyncio.CancelledError:
            mine.cancel()
            raise

    async def _write(self, resource: str, together: list[tuple[Edit, asyncio.Future[bool]]]) -> None:
        from google.api_core import exceptions

        try:
            changed = await self._written(resource, [edit for edit, _ in together])
        except exceptions.GoogleAPICallError as error:
            if len(together) > 1 and not cloud.is_busy(error):
                # Which of them it is about Google does not say: each for itself.
                for one in together:
                    await self._write(resource, [one])
                return
            _settle(together, error)
        except BaseException as error:
            # The others did not give up: they read it again.
            _settle(together, exceptions.Aborted("whoever wrote it was cut off") if isinstance(error, asyncio.CancelledError) else error)  # type: ignore[no-untyped-call]  # fmt: skip
            raise
        else:
            for (_, waiting), done in zip(together, changed, strict=True):
                if not waiting.done():
                    waiting.set_result(done)

    async def _written(self, resource: str, edits: list[Edit]) -> list[bool]:
        found = await self._cloud.policy(resource)
        changed = [edit(found) for edit in edits]
        if any(changed):
            await self._cloud.set_policy(resource, found)
        return changed


def _settle(together: list[tuple[Edit, asyncio.Future[bool]]], error: BaseException) -> None:
    for _, waiting in together:
        if not waiting.done():
            waiting.set_exception(error)
            waiting.exception()  # whoever has gone away does not fetch it


def shared_changes(shared: Shared, google: GoogleCloud) -> PolicyChanges:
    """Those of one command and login."""
    return shared.get(("gcr-changes", google.impersonate), lambda: PolicyChanges(google))

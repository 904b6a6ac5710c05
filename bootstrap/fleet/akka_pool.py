"""Share the Akka CLI between many targets: limit the processes, and reuse answers that stay valid.

A listing is shared only by callers that asked before it started: an older one does not show later changes.
While the command only reads, one listing serves all callers.

A shared call has time of its own (`Deadline.begin`), and each caller waits for it as long as its own time
lasts: a target whose time is over does not fail the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.akka import messages
from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.runner import CliAnswer
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.secret import Secret

# What no run changes: read once per command.
_UNCHANGING = (("version",), ("auth", "current-login"), ("projects", "get"), ("projects", "list"))
_LISTING = ("docker", "list-credentials")
_SECRETS = ("secrets", "list")


class _SharedListing:
    """One answer for all callers that asked before its call started."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, CliAnswer]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[CliAnswer] | None = None
        self._next: asyncio.Task[CliAnswer] | None = None

    def __call__(self) -> asyncio.Task[CliAnswer]:
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return self._next

    async def _after(self, running: asyncio.Task[CliAnswer] | None) -> CliAnswer:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = asyncio.current_task(), None
        return await self._ask()


class AkkaPool:
    """What the Akka CLIs of one command share.

    Args:
        at_once: how many processes may run in parallel.
    """

    def __init__(self, at_once: int) -> None:
        self.slots = asyncio.Semaphore(at_once)
        self.answers: dict[tuple[str, ...], asyncio.Task[CliAnswer]] = {}
        self.listings: dict[tuple[str, ...], _SharedListing] = {}
        self._only_reading = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Reuse each listing within this context, in which the command changes nothing."""
        self._only_reading = True
        try:
            yield
        finally:
            self._only_reading = False
            self.answers = {
                key: one for key, one in self.answers.items() if key[1:3] not in (_LISTING, _SECRETS)
            }

    def is_reusable(self, arguments: Sequence[str]) -> bool:
        """Whether an answer to these arguments stays valid for all callers."""
        kinds = (*_UNCHANGING, _LISTING, _SECRETS) if self._only_reading else _UNCHANGING
        return any(tuple(arguments[: len(one)]) == one for one in kinds)


@dataclass
class PooledAkkaCli(AkkaCli):
    """An `AkkaCli` that shares processes and answers with others."""

    pool: AkkaPool = field(default_factory=lambda: AkkaPool(1))
    rereads_listing: bool = False
    """Do not reuse a cached listing; one that others ask for at the same time is still shared."""

    def elsewhere(self, scope: AkkaScope) -> AkkaCli:
        return self._as_this(scope, rereads_listing=self.rereads_listing)

    def with_fresh_listings(self) -> AkkaCli:
        return self._as_this(self.scope, rereads_listing=True)

    def _as_this(self, scope: AkkaScope, *, rereads_listing: bool) -> AkkaCli:
        return PooledAkkaCli(
            scope,
            self.deadline,
            self.trace,
            self.program,
            pool=self.pool,
            rereads_listing=rereads_listing,
        )

    async def _read(self, arguments: Sequence[str]) -> CliAnswer:
        key = (self.scope.context, *arguments)
        lists = tuple(arguments[:2]) == _LISTING
        if self.pool.is_reusable(arguments) and not (lists and self.rereads_listing):
            return await self._reused(key, arguments)
        if lists:
            shared = self.pool.listings.setdefault(key, _SharedListing(lambda: self._ask(arguments)))
            return await self._wait_for(shared(), arguments)
        return await super()._read(arguments)

    async def _reused(self, key: tuple[str, ...], arguments: Sequence[str]) -> CliAnswer:
        task = self.pool.answers.get(key)
        if task is None:
            task = self.pool.answers[key] = asyncio.create_task(self._ask(arguments))
        try:
            answer = await self._wait_for(task, arguments)
        except Exception:
            if task.done() and self.pool.answers.get(key) is task:
                del self.pool.answers[key]
            raise
        if answer.code != 0 and self.pool.answers.get(key) is task:
            # The next call may succeed.
            del self.pool.answers[key]
        return answer

    async def _ask(self, arguments: Sequence[str]) -> CliAnswer:
        """Make a call that several targets wait for."""
        self.deadline.begin()
        return await super()._read(arguments)

    async def _wait_for(self, shared: asyncio.Task[CliAnswer], arguments: Sequence[str]) -> CliAnswer:
        """The answer of a shared call, within this target's own time.

        Raises:
            OutcomeUnknown: there was none in that time; the call continues for the others.
            PullkeyError: the call failed.
        """
        seconds = self.deadline.clip(math.inf)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(shared)
        except TimeoutError:
            raise messages.no_answer_in_time(f"akka {' '.join(arguments[:2])}", seconds) from None

    async def _run(
        self, arguments: Sequence[str], *, password: Secret | None = None, changes: bool = False
    ) -> CliAnswer:
        async with self.pool.slots:
            return await super()._run(arguments, password=password, changes=changes)

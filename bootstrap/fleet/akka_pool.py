"""The Akka CLI for many targets: a few processes at a time, and no question asked twice where one answer is
as good.

A listing may be shared only by those who asked before it began: an older one does not show what was changed
since. Only while nothing is being changed, and all are looked at, one listing is for all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.akka.cli import AkkaCli, Answer
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.secret import Secret

# What no run changes: asked once in a command.
_LASTING = (("version",), ("auth", "current-login"), ("projects", "get"), ("projects", "list"))
_LISTING = ("docker", "list-credentials")


class _Shared:
    """An answer for all who asked before it was asked for."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[Answer] | None = None
        self._next: asyncio.Task[Answer] | None = None

    def __call__(self) -> Awaitable[Answer]:
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[Answer] | None) -> Answer:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = asyncio.current_task(), None
        return await self._ask()


class AkkaPool:
    """What the Akka CLIs of one command have in common.

    Args:
        at_once: how many processes may run side by side.
    """

    def __init__(self, at_once: int) -> None:
        self.room = asyncio.Semaphore(at_once)
        self.lasting: dict[tuple[str, ...], asyncio.Task[Answer]] = {}
        self.listings: dict[tuple[str, ...], _Shared] = {}
        self._looking = False

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Until this is left, what was listed once is not listed again: this command changes nothing
        meanwhile.
        """
        self._looking = True
        try:
            yield
        finally:
            self._looking = False
            self.lasting = {key: one for key, one in self.lasting.items() if key[1:3] != _LISTING}

    def lasts(self, arguments: Sequence[str]) -> bool:
        """Whether an answer to this holds for all who ask."""
        kinds = (*_LASTING, _LISTING) if self._looking else _LASTING
        return any(tuple(arguments[: len(one)]) == one for one in kinds)


@dataclass
class PooledAkkaCli(AkkaCli):
    """As `AkkaCli`, at a desk that it shares."""

    desk: AkkaPool = field(default_factory=lambda: AkkaPool(1))
    lists_anew: bool = False
    """A listing that lasts is not taken; one that others ask for at the same time is."""

    def elsewhere(self, scope: AkkaScope) -> AkkaCli:
        return PooledAkkaCli(scope, self.deadline, self.trace, self.program, desk=self.desk)

    def anew(self) -> AkkaCli:
        return PooledAkkaCli(
            self.scope, self.deadline, self.trace, self.program, desk=self.desk, lists_anew=True
        )

    async def _read(self, arguments: Sequence[str]) -> Answer:
        key = (self.scope.context, *arguments)
        lists = tuple(arguments[:2]) == _LISTING
        if self.desk.lasts(arguments) and not (lists and self.lists_anew):
            return await self._lasting(key, arguments)
        if lists:
            ask = super()._read
            shared = self.desk.listings.setdefault(key, _Shared(lambda: ask(arguments)))
            return await shared()
        return await super()._read(arguments)

    async def _lasting(self, key: tuple[str, ...], arguments: Sequence[str]) -> Answer:
        task = self.desk.lasting.get(key)
        if task is None:
            task = self.desk.lasting[key] = asyncio.create_task(super()._read(arguments))
        try:
            answer = await asyncio.shield(task)
        except Exception:
            self.desk.lasting.pop(key, None)
            raise
        if answer.code != 0 and self.desk.lasting.get(key) is task:
            # It may be better the next time.
            del self.desk.lasting[key]
        return answer

    async def _run(
        self, arguments: Sequence[str], *, password: Secret | None = None, changes: bool = False
    ) -> Answer:
        async with self.desk.room:
            return await super()._run(arguments, password=password, changes=changes)

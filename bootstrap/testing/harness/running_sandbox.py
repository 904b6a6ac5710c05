"""A running sandbox for tests that are not coroutines: its event loop has its own thread."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from bootstrap.plugin.emulator import Emulator
from bootstrap.sandbox.host import Sandbox, SandboxSettings
from bootstrap.sandbox.images import BuiltInImages, ImageStore
from bootstrap.sandbox.tls import Issuer
from bootstrap.testing.harness.clock import VARIABLE, SharedClock

T = TypeVar("T")


class RunningSandbox:
    """Starts a sandbox with these emulators on entry, stops it on exit.

    Args:
        factories: the emulators by name, in the order they are started.
        settings: latency, propagation, faults, log.
        images: where the images are served from; memory by default.

    Attributes:
        sandbox: the running sandbox. Its plain attributes may be read and set from the test's thread;
            coroutines are run with `call`.
        clock: its clock, which forked runs use too.
        environment: what its emulators returned.
    """

    def __init__(
        self,
        factories: Mapping[str, Callable[[], Emulator]],
        settings: SandboxSettings | None = None,
        images: ImageStore | None = None,
    ) -> None:
        self._factories = factories
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self.sandbox = Sandbox(settings or SandboxSettings(), images or BuiltInImages(), issuer=_issuer())
        self.clock = SharedClock(self.sandbox.directory / "clock")
        self.sandbox.clock = self.clock.time
        self.environment: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.environment = self.call(self.sandbox.start(self._factories))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call(self.sandbox.stop())
        finally:
            self._end()

    def call(self, coroutine: Coroutine[Any, Any, T], *, timeout: float = 60) -> T:
        """Run a coroutine on the sandbox's loop. Return its result, or raise its exception."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def process_environment(self, **more: str) -> dict[str, str]:
        """The environment for a program that uses this sandbox: this process's, plus the sandbox's."""
        return {**os.environ, **self.environment, VARIABLE: str(self.clock.path), **more}

    def _end(self) -> None:
        # Calls that hang because of a fault are still pending.
        self.call(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if not self._thread.is_alive():
            self._loop.close()


@functools.cache
def _issuer() -> Issuer:
    """One for all sandboxes of this process, since certificates take a third of the time of a start."""
    return Issuer()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=5)

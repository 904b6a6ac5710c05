"""A clock shared by the product and its sandbox in tests: a pause takes a tenth of its length, but counts in
full.

Without it, tests would mostly sleep: until a replica learns of a change, a rate limit has passed, or
`--timeout` is over. A pause advances the clock by the time it skips, for all processes that share it. Calls,
child processes and computation take their real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any, TypeVar

from bootstrap.model import clock as product

T = TypeVar("T")
VARIABLE = "PULLKEY_TESTS_CLOCK"
_RATIO = 0.1
_LEAST_SECONDS = 0.02  # yields to other tasks
_monotonic, _time, _sleep = time.monotonic, time.time, asyncio.sleep


class SharedClock:
    """The offset of one world's clock from the machine's, in seconds, shared by all processes that name its
    file.
    """

    _FORM = struct.Struct("d")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            self.path.write_bytes(self._FORM.pack(0.0))
        with self.path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._FORM.size)

    @property
    def ahead(self) -> float:
        found: float = self._FORM.unpack_from(self._memory)[0]
        return found

    def monotonic(self) -> float:
        return _monotonic() + self.ahead

    def time(self) -> float:
        return _time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Advance the clock, for all processes that share it."""
        self._FORM.pack_into(self._memory, 0, self.ahead + seconds)

    async def sleep(self, delay: float, result: Any = None) -> Any:
        """`asyncio.sleep`, shortened."""
        if delay <= _LEAST_SECONDS:
            return await _sleep(delay, result)
        due = self.monotonic() + delay
        await _sleep(max(_LEAST_SECONDS, delay * _RATIO))
        if (late := due - _monotonic()) > self.ahead:
            self._FORM.pack_into(self._memory, 0, late)
        return result


_followed = contextlib.ExitStack()


def follow(path: str) -> None:
    """Make this process use the clock of this file."""
    # A tick is not a pause: nothing waits for it. It keeps the sleep that it was defined with.
    importlib.import_module("bootstrap.cli.heartbeat")
    clock = SharedClock(path)
    time.monotonic, time.time = clock.monotonic, clock.time
    asyncio.sleep = clock.sleep
    # Dates too: the age of a key is computed from the date at which the emulator created it.
    _followed.enter_context(product.use(_Dates(clock)))


class _Dates(product.Clock):
    """The product's clock, with the `time` and `monotonic` of this process."""

    def __init__(self, shared: SharedClock) -> None:
        self._shared = shared

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._shared.time(), dt.UTC)

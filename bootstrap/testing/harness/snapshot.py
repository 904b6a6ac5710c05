"""Restores a sandbox to an earlier state, in a hundredth of the time that creating a new one takes.

It restores the content of objects, not the objects: references to them, such as those of the servers'
handlers, stay valid. So it need not know what an emulator keeps, and where.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from bootstrap.testing.harness.world import World

_OURS = {"bootstrap", "providers", "tests"}
_AIOHTTP_CONNECTION, _GRPC_AWAITS_A_CALL = "RequestHandler.start", "AioServer._request_call"
"""The servers' own coroutines, by name."""
_SECONDS = 5.0


class Snapshot:
    """The state of a world: its clouds and Akka, the calls and outputs so far, the user's files.

    Take it only while the world is idle.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        state = Path(world.running.environment["PULLKEY_STATE_DIR"])
        watch = world.watched.folder
        self._folders = [
            _Folder(path, Path(world.place, f"{path.name}-at-{id(self)}"))
            for path in (state, watch, *(world.place / name for name in ("home", "tmp")))
        ]
        world.running.call(self._note())

    def return_to(self) -> None:
        """Restore the state. A call that is still being answered is cancelled first.

        Raises:
            TimeoutError: something that has begun since does not end.
        """
        self._world.running.call(self._return())
        for folder in self._folders:
            folder.put_back()

    async def _note(self) -> None:
        # An emulator's objects are of its author's package.
        self._held = HeldState(self._world, type(self._world.cloud).__module__.partition(".")[0])
        # An unfinished one would be cancelled like a call.
        if self._held.tasks:
            await asyncio.wait(self._held.tasks)
        self._tasks = asyncio.all_tasks()

    async def _return(self) -> None:
        late = {
            task: coroutine
            for task in asyncio.all_tasks() - self._tasks - {asyncio.current_task()}
            if (coroutine := getattr(task.get_coro(), "__qualname__", "")) != _GRPC_AWAITS_A_CALL
        }
        for task, coroutine in late.items():
            # gRPC cancels its own when the client disconnects, and fails if others cancel them.
            if coroutine == _AIOHTTP_CONNECTION:
                task.cancel()
        if late and (await asyncio.wait(late, timeout=_SECONDS))[1]:
            raise TimeoutError(f"still at work: {late}")
        self._held.put_back()


class HeldState:
    """The state of all objects of pullkey and its emulators that can be reached from an object.

    Attributes:
        tasks: those among them.
    """

    def __init__(self, root: object, package: str = "") -> None:
        self._packages = {*_OURS, package}
        # Only Google's emulator has such objects.
        messages = sys.modules.get("google.protobuf.message")
        self._message: Any = messages.Message if messages is not None else None
        self.tasks: set[asyncio.Task[Any]] = set()
        self._put_back: list[Callable[[], None]] = []
        # Kept, so that no other object gets the same id.
        self._seen: dict[int, object] = {}
        waiting = [root]
        while waiting:
            one = waiting.pop()
            if id(one) not in self._seen:
                self._seen[id(one)] = one
                waiting += self._note(one)

    def put_back(self) -> None:
        """Restore the content of each object."""
        for put_back in self._put_back:
            put_back()

    def _note_slots(self, one: object) -> list[Any]:
        """Record what an object has in `__slots__`. Return it."""
        members = [
            member
            for kind in type(one).__mro__
            if kind.__module__.partition(".")[0] in self._packages
            for member in vars(kind).values()
            if isinstance(member, types.MemberDescriptorType)
        ]
        kept: dict[Any, Any] = {}
        for member in members:
            with contextlib.suppress(AttributeError):  # not set yet
                kept[member] = member.__get__(one)
        if members:
            self._put_back.append(functools.partial(_put_back_slots, one, members, kept))
        return [*kept.values()]

    def _note(self, one: Any) -> Iterable[Any]:
        """Record the content of the object for `put_back`. Return it."""
        match one:
            case dict() | set():
                self._put_back.append(functools.partial(_refill, one, one.copy()))
                return [*one.values(), *one] if isinstance(one, dict) else list(one)
            case list():
                self._put_back.append(functools.partial(one.__setitem__, slice(None), one.copy()))
                return list(one)
            case tuple() | frozenset():
                return list(one)
            case _ if self._message is not None and isinstance(one, self._message):
                kept = type(one)()
                kept.CopyFrom(one)
                self._put_back.append(functools.partial(one.CopyFrom, kept))
            case asyncio.Task():
                self.tasks.add(one)
            case functools.partial():
                return [one.func, *one.args, *one.keywords.values()]
            case types.MethodType():
                return [one.__self__]
            case types.FunctionType():
                return [cell.cell_contents for cell in one.__closure__ or ()]
            case web.AppRunner():
                return [route.handler for route in one.app.router.routes()]
            case _ if not isinstance(one, type) and type(one).__module__.partition(".")[0] in self._packages:
                slots = self._note_slots(one)
                return [vars(one), *slots] if hasattr(one, "__dict__") else slots
        return []


def _put_back_slots(one: object, members: Iterable[Any], kept: dict[Any, Any]) -> None:
    for member in members:
        if member in kept:
            member.__set__(one, kept[member])
        else:
            with contextlib.suppress(AttributeError):
                member.__delete__(one)


def _refill(one: Any, kept: Any) -> None:
    one.clear()
    one.update(kept)


class _Folder:
    """A folder, which may not exist, with its content."""

    def __init__(self, path: Path, copy: Path) -> None:
        self._path, self._copy = path, copy
        if path.exists():
            shutil.copytree(path, copy)

    def put_back(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        if self._copy.exists():
            shutil.copytree(self._copy, self._path)

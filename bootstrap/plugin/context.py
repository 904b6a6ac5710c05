"""The context of a run, as its session sees it: deadline, output, shared cache, Akka's record."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Audit, not_recorded
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.model.deadline import Deadline, Tell

T = TypeVar("T")


def new_run_id() -> str:
    """A random id that marks everything that one run creates for one target."""
    return uuid.uuid4().hex[:12]


@runtime_checkable
class Invalidated(Protocol):
    """An entry of `Shared` that keeps answers of the cloud."""

    def invalidate(self) -> None:
        """Drop all answers, and keep logins and connections. Called before everything is read again."""


@runtime_checkable
class StateInvalidated(Protocol):
    """An entry of `Shared` that keeps answers which runs of pullkey change: identities, grants, keys."""

    def invalidate_state(self) -> None:
        """Drop those answers, and keep permissions, policies and properties of registries. Called when a
        target's turn comes.
        """


@runtime_checkable
class Closed(Protocol):
    """An entry of `Shared` that holds connections."""

    async def close(self) -> None:
        """Close them. Called once, at the end of the command; entries are closed in reverse order."""


class Shared:
    """A cache that the sessions of one command share: logins, connections and answers of the cloud.

    An entry may be anything. If it has `invalidate`, `invalidate_state` or `close`, they are called: see
    `Invalidated`, `StateInvalidated` and `Closed`.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The entry of a key, created with `make` at the first access.

        Args:
            key: all providers share one space: it is a text that begins with the provider's name, or a tuple
                that does.
            make: creates the entry, without waiting. An answer of the cloud is kept as an `AsyncOnce` with
                the run's deadline.

        Raises:
            TypeError: the entry has a `close` that is not async.
        """
        if key not in self._kept:
            made = make()
            if isinstance(made, Closed) and not iscoroutinefunction(made.close):
                raise TypeError(f"{type(made).__name__}.close must be async")
            self._kept[key] = made
        kept: T = self._kept[key]
        return kept

    def invalidate(self) -> None:
        """Drop all answers of the cloud. Logins and connections are kept."""
        for kept in self._kept.values():
            if isinstance(kept, Invalidated):
                kept.invalidate()

    def invalidate_state(self) -> None:
        """Drop the answers that runs of pullkey change: identities, grants, keys.

        Permissions, organisation policies and properties of registries are kept.
        """
        for kept in self._kept.values():
            if isinstance(kept, StateInvalidated):
                kept.invalidate_state()

    async def close(self) -> None:
        """Close all entries that have a `close` method."""
        for kept in reversed(self._kept.values()):
            if isinstance(kept, Closed):
                await kept.close()
        self._kept.clear()


@dataclass(frozen=True)
class KeysInUse:
    """The keys that Akka's records name, including those that they have replaced.

    Args:
        ids: the key ids in all projects that could be read.
        unseen: the Akka projects that could not be read.
        links: the current keys with their identities: an id may be unique only within its identity.
    """

    ids: frozenset[str]
    unseen: tuple[str, ...] = ()
    links: frozenset[KeyRef] = frozenset()


async def ask_nobody(_what: str) -> Secret | None:
    """The `ask_secret` of read-only commands: never prompts."""
    return None


async def nowhere() -> str:
    """The `place` of a command without Akka."""
    return ""


async def nothing_is_undone() -> None:
    """The `check_unused` of a run that undoes nothing."""


@dataclass
class RunContext:
    """The run that a session belongs to.

    Attributes:
        deadline: of the run; every call and every wait respects it.
        tell: shows a line of progress, such as what the run waits for.
        trace: writes a line for `--verbose`, such as a call and its answer; never a secret.
        new_key: whether to create a key even if Akka's is valid. Set once the session is open, so read it
            when it is needed.
        run_id: marks everything that the run creates. Each target of a file has its own.
        held: reads Akka's record of the target (`held_credential`). Set before the session is first asked
            anything; None if the command has no Akka, such as `doctor` and `runbook`.
        ask_secret: prompts for a secret, or reads it from stdin. Its argument describes the secret: "The
            password of ops at registry.example.com". Returns None if the run changes nothing and continues
            without. Raises `UsageProblem` if it cannot prompt. To be called in `Session.prompt_secrets` only.
        sources: where a file reads the target's secrets from, by the option that they are of:
            `{"login_stdin": "env:LOGIN"}`. Not to be shown: a command's arguments may be confidential.
        of_file: whether the target is one of a file, which states all that the target is to be; a command
            adds to what Akka's key may already pull.
        shared: the cache of all sessions of this command.
        audit: records each change; the engine calls it.
        sleep: waits for a number of seconds; other targets may run meanwhile.
        place: identifies the target's Akka secret in the same way on every machine, as `acme/shop NAME`; ""
            if Akka shows no owner or project. A provider can mark with it what the run creates.
        in_use: lists the keys that Akka's records name in all projects (`keys_in_use`); None if the command
            has no Akka.
        undo_deadline: when the undo of a failed run should be complete; None unless undoing.
            `Session.undo_deadline` respects it.
        check_unused: raises `UsedByOthers` while an identity or a grant is undone that another run needs by
            now. To be called right before each request that deletes it, as `Resource` does.
    """

    deadline: Deadline
    tell: Tell
    trace: Callable[[str], None]
    new_key: bool = False
    run_id: str = field(default_factory=new_run_id)
    held: Callable[[], Awaitable[HeldCredential | None]] | None = None
    ask_secret: Callable[[str], Awaitable[Secret | None]] = ask_nobody
    sources: Mapping[str, str] = field(default_factory=dict)
    of_file: bool = False
    shared: Shared = field(default_factory=Shared)
    audit: Audit = not_recorded
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    place: Callable[[], Awaitable[str]] = nowhere
    in_use: Callable[[], Awaitable[KeysInUse]] | None = None
    undo_deadline: Deadline | None = None
    check_unused: Callable[[], Awaitable[None]] = nothing_is_undone

    async def pause(self, seconds: float) -> None:
        """Wait, and extend the deadline by the time waited."""
        begin = clock.monotonic()
        await self.sleep(seconds)
        self.deadline.extend(clock.monotonic() - begin)

    async def held_credential(self) -> HeldCredential | None:
        """Akka's current record under the secret name of this target."""
        return None if self.held is None else await self.held()

    async def secret_of_file(self, option: str) -> Secret | None:
        """The secret of an option whose source a file names, read now, without a prompt.

        A login that a plan can have is used by it, so that it finds what the login may not do. None if no
        source is named, or if it cannot be read, which `ask_secret` reports where the secret is needed.
        """
        from bootstrap.plugin.cache import AsyncOnce

        source = self.sources.get(option)
        if source is None:
            return None

        async def read() -> Secret | None:
            try:
                return await self.ask_secret(option)
            except PullkeyError:
                return None

        once = self.shared.get(("secret of a file", source), lambda: AsyncOnce(read))
        return await once()

    async def keys_in_use(self, *, anew: bool = False) -> KeysInUse:
        """The keys that the records of all Akka projects name.

        Raises:
            PullkeyError: Akka's records cannot be read.
        """
        if self.in_use is None:
            return KeysInUse(frozenset(), ("Akka",))
        if anew and hasattr(self.in_use, "invalidate"):
            self.in_use.invalidate()
        return await self.in_use()


HeldNow = Callable[[], Coroutine[Any, Any, HeldCredential | None]]
"""Reads Akka's record of a target."""

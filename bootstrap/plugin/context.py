"""What a run gives to its session: deadline, output, cache, and what Akka holds."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too
from bootstrap.model.change import Audit, not_recorded
from bootstrap.model.key_facts import KeyFacts as KeyFacts  # noqa: PLC0414  - the same
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.model.deadline import Deadline, Tell


T = TypeVar("T")


def new_run_id() -> str:
    """What marks all that one run makes for one target."""
    return uuid.uuid4().hex[:12]


class Shared:
    """What the sessions of one command have in common: logins, connections, and facts that were asked for
    already.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, made now if it is the first time."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    def invalidate(self) -> None:
        """Whatever was seen so far may have changed; logins and connections stay."""
        for kept in self._kept.values():
            if hasattr(kept, "invalidate"):
                kept.invalidate()

    def invalidate_state(self) -> None:
        """What runs of pullkey change may have changed: identities, grants, keys.

        The circumstances still hold: rights, policies of the organisation, what kind of thing a registry is.
        """
        for kept in self._kept.values():
            if hasattr(kept, "invalidate_state"):
                kept.invalidate_state()

    async def close(self) -> None:
        """Close whatever has a `close`."""
        for kept in reversed(self._kept.values()):
            if hasattr(kept, "close"):
                await kept.close()
        self._kept.clear()


@dataclass(frozen=True)
class KeysInUse:
    """The keys that Akka's records name, those they have replaced included.

    Args:
        ids: their ids, over all projects that could be read.
        unseen: the Akka projects that could not be read.
        links: those that Akka holds, with whose they are: an id may be good for one identity only.
    """

    ids: frozenset[str]
    unseen: tuple[str, ...] = ()
    links: frozenset[KeyRef] = frozenset()


async def ask_nobody(_what: str) -> Secret | None:
    """For commands that only look: no secret is asked for."""
    return None


@dataclass
class RunContext:
    """What a session is given by the run it belongs to.

    Attributes:
        ask_secret: asks the person for a secret that is needed to go on (or takes it from stdin, where it was
            given), by what it is: "The password of ops at registry.example.com". None where the run changes
            nothing, and goes on without. Raises `UsageProblem` if there is nobody to ask.
        shared: what all sessions of this command have in common.
        audit: takes each change, for the audit trail.
        in_use: tells which keys Akka's records name, of all its projects; None where the command cannot ask
            Akka.
        sleep: waits for so many seconds; others may have the turn meanwhile.
        undoing: by when all that a failed run made should be undone; None while nothing is undone.
    """

    deadline: Deadline
    tell: Tell
    trace: Callable[[str], None]
    new_key: bool = False
    run_id: str = field(default_factory=new_run_id)
    held: Callable[[], Awaitable[HeldCredential | None]] | None = None
    ask_secret: Callable[[str], Awaitable[Secret | None]] = ask_nobody
    shared: Shared = field(default_factory=Shared)
    audit: Audit = not_recorded
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    in_use: Callable[[], Awaitable[KeysInUse]] | None = None
    undo_deadline: Deadline | None = None

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds, in which nothing is called. They are no part of the run's time."""
        begin = clock.monotonic()
        await self.sleep(seconds)
        self.deadline.extend(clock.monotonic() - begin)

    async def held_credential(self) -> HeldCredential | None:
        """What Akka holds now under the secret name of this target."""
        return None if self.held is None else await self.held()

    async def keys_in_use(self) -> KeysInUse:
        """The keys that any record of Akka's names.

        Raises:
            PullkeyError: Akka cannot be asked.
        """
        if self.in_use is None:
            return KeysInUse(frozenset(), ("Akka",))
        return await self.in_use()


HeldNow = Callable[[], Coroutine[Any, Any, HeldCredential | None]]


"""Tells what Akka holds for a target."""

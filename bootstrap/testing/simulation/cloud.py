"""The simulated cloud: identities, grants and keys, behind an API that lags, loses answers, refuses and has
limits.

Its habits are those of real clouds:

* A replica that answers a read, or a call about a new object, may not know of the latest changes.
* A grant is created with PUT, which is answered "created" whether it existed or not (Azure's role
  assignments).
* A deleted identity keeps its name until it is permanently deleted (Entra ID).
* A key has the label that it was created with, or none (Entra ID; Google).
* An identity has a maximum number of keys (Google: ten).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bootstrap.model import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.testing.simulation.chance import Chance, Fault
from bootstrap.testing.simulation.process import CALL_SECONDS, current
from bootstrap.testing.simulation.replicas import Replicated

T = TypeVar("T")
_PAUSES = (0.5, 2.0)
KEY_LIMIT = "KEY_LIMIT"
UNKNOWN_IDENTITY = "UNKNOWN_IDENTITY"
NAME_TAKEN, NAME_OF_DELETED = "NAME_TAKEN", "NAME_OF_DELETED"


class SimulatedApiError(ApiError):
    """The `ApiError` of the simulated cloud."""

    service = "The simulated cloud"


@dataclass(frozen=True)
class Identity:
    """An identity that pulls."""

    uid: str
    name: str
    description: str
    created: dt.datetime
    deleted: bool = False
    """Whether it was deleted, keeps its name, and can be restored."""


@dataclass(frozen=True)
class Grant:
    """The role that lets an identity pull."""

    identity: str
    role: str
    description: str
    created: dt.datetime

    @property
    def name(self) -> str:
        """The name by which it is found."""
        return f"{self.identity}/{self.role}"


@dataclass(frozen=True)
class Key:
    """The secret an identity authenticates with; the API shows it once."""

    key_id: str
    identity: str
    label: str
    created: dt.datetime
    secret: str
    disabled: bool = False


class SimulatedCloud:
    """A cloud with one registry.

    Args:
        loop: the virtual time.
        chance: the random decisions.
        log: takes one line for each event.
        lag: of its replicas, in seconds.
        labels: whether keys have labels.
        disables: whether a key can be disabled and enabled.
        soft: whether a deleted identity keeps its name.
        key_limit: the maximum number of keys of an identity.
        denied: the calls that this login may not make.
        tells_permissions: whether this login may read its own permissions.
        robots: whether each key has a user name of its own.
        marks: whether a key's label says for which Akka secret it was created, and when its run has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chance: Chance,
        log: Callable[[str], None],
        *,
        lag: float,
        labels: bool,
        disables: bool,
        soft: bool,
        key_limit: int,
        denied: Collection[str],
        tells_permissions: bool,
        robots: bool = False,
        marks: bool = False,
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._log = log
        self.labels = labels
        self.disables = disables
        self.tells_permissions = tells_permissions
        self.soft = soft
        self.robots = robots
        self.marks = marks
        self.key_limit = key_limit
        self.denied = frozenset(denied)
        self.identities: Replicated[Identity] = Replicated(loop.time, chance.random, lag)
        self.grants: Replicated[Grant] = Replicated(loop.time, chance.random, lag)
        self.keys: Replicated[Key] = Replicated(loop.time, chance.random, lag)
        self.on_change: Callable[[], None] = lambda: None

    # -- the truth -------------------------------------------------------------------------------------------

    def is_alive(self, key_id: str) -> bool:
        """Whether a key authenticates: it exists and is enabled, and so is its identity."""
        key = self.keys.truth(key_id)
        return key is not None and not key.disabled and self._is_there(key.identity)

    def pulls(self, key_id: str, role: str) -> bool:
        """Whether a key pulls."""
        key = self.keys.truth(key_id)
        return (
            key is not None
            and self.is_alive(key_id)
            and self.grants.truth(f"{key.identity}/{role}") is not None
        )

    def _is_there(self, uid: str) -> bool:
        return any(one.uid == uid and not one.deleted for one in self.identities.truths())

    # -- other users -----------------------------------------------------------------------------------------

    def add_identity(self, name: str, description: str, *, everywhere: bool = False) -> str:
        """Create an identity as another user; return its uid. It is visible everywhere at once, or replicated
        like others.
        """
        made = Identity(self._chance.hexadecimal(12), name, description, clock.now())
        self.identities.write(name, made, everywhere=everywhere)
        self._log(f"cloud: others have created {name}")
        return made.uid

    def add_grant(self, uid: str, role: str, description: str, *, everywhere: bool = False) -> None:
        """Create a grant as another user."""
        made = Grant(uid, role, description, clock.now())
        self.grants.write(made.name, made, everywhere=everywhere)
        self._log(f"cloud: others have granted {role}")

    def add_key(self, uid: str) -> str:
        """Create a key as another user; return its id."""
        made = Key(
            self._chance.hexadecimal(8), uid, "of others" if self.labels else "", clock.now(), "theirs"
        )
        self.keys.write(made.key_id, made, everywhere=True)
        self._log(f"cloud: others have created key {made.key_id}")
        return made.key_id

    # -- the API ---------------------------------------------------------------------------------------------

    async def identity(self, name: str) -> Identity | None:
        """The identity of this name, as a replica shows it."""

        def read() -> Identity | None:
            found = self.identities.read(name, self.identities.replica())
            return found if found is not None and not found.deleted else None

        return await self._call("identities.get", name, read)

    async def deleted_identity(self, name: str) -> Identity | None:
        """The deleted identity that keeps this name."""

        def read() -> Identity | None:
            found = self.identities.read(name, self.identities.replica())
            return found if found is not None and found.deleted else None

        return await self._call("deletedIdentities.get", name, read)

    async def create_identity(self, name: str, description: str) -> Identity:
        """Create an identity.

        Raises:
            SimulatedApiError: 409, its name is taken.
        """

        def create() -> Identity:
            there = self.identities.truth(name)
            if there is not None:
                raise SimulatedApiError(
                    409, f"{name} exists", NAME_OF_DELETED if there.deleted else NAME_TAKEN
                )
            made = Identity(self._chance.hexadecimal(12), name, description, clock.now())
            self.identities.write(name, made)
            return made

        return await self._call("identities.create", name, create, changes=True)

    async def delete_identity(self, name: str, uid: str) -> None:
        """Delete the identity with this uid, even if another has its name by now.

        Raises:
            SimulatedApiError: 404.
        """

        def delete() -> None:
            shown = self.identities.read(name, self.identities.replica())
            there = self.identities.truth(name)
            if there is None or there.deleted or there.uid != uid or shown is None or shown.uid != uid:
                raise SimulatedApiError(404, f"there is no {name}")
            self.identities.write(name, replace(there, deleted=True) if self.soft else None)

        await self._call("identities.delete", name, delete, changes=True)

    async def delete_for_good(self, name: str, uid: str) -> None:
        """Permanently delete a deleted identity, which frees its name.

        Raises:
            SimulatedApiError: 404.
        """

        def delete() -> None:
            there = self.identities.truth(name)
            if there is None or not there.deleted or there.uid != uid:
                raise SimulatedApiError(404, f"there is no deleted {name}")
            self.identities.write(name, None)

        await self._call("deletedIdentities.delete", name, delete, changes=True)

    async def grant(self, uid: str, role: str) -> Grant | None:
        """The grant of a role to an identity."""
        return await self._call(
            "grants.get", uid, lambda: self.grants.read(f"{uid}/{role}", self.grants.replica())
        )

    async def grants_of(self, uid: str) -> list[Grant]:
        """All grants of an identity."""

        def read() -> list[Grant]:
            return [one for one in self.grants.read_all(self.grants.replica()) if one.identity == uid]

        return await self._call("grants.list", uid, read)

    async def put_grant(self, uid: str, role: str, description: str) -> Grant:
        """Create a grant, or leave an existing one as it is; the answer is the same.

        Raises:
            SimulatedApiError: 400, the identity is not known yet.
        """

        def put() -> Grant:
            self._know(uid)
            wanted = Grant(uid, role, description, clock.now())
            there = self.grants.truth(wanted.name)
            if there is None:
                self.grants.write(wanted.name, wanted)
            return there or wanted

        return await self._call("grants.put", uid, put, changes=True)

    async def delete_grant(self, uid: str, role: str) -> None:
        """Delete a grant.

        Raises:
            SimulatedApiError: 404.
        """

        def delete() -> None:
            name = f"{uid}/{role}"
            if self.grants.truth(name) is None or self.grants.read(name, self.grants.replica()) is None:
                raise SimulatedApiError(404, f"there is no grant {name}")
            self.grants.write(name, None)

        await self._call("grants.delete", uid, delete, changes=True)

    async def keys_of(self, uid: str) -> list[Key]:
        """The keys of an identity, without their secrets.

        Raises:
            SimulatedApiError: 404, the identity is not known (yet).
        """

        def read() -> list[Key]:
            self._know(uid)
            return [_shown(one) for one in self.keys.read_all(self.keys.replica()) if one.identity == uid]

        return await self._call("keys.list", uid, read)

    async def key(self, key_id: str) -> Key | None:
        """One key, without its secret."""

        def read() -> Key | None:
            found = self.keys.read(key_id, self.keys.replica())
            return _shown(found) if found is not None and self._is_there(found.identity) else None

        return await self._call("keys.get", key_id, read)

    async def create_key(self, uid: str, label: str) -> Key:
        """Create a key; only the answer has its secret.

        Raises:
            SimulatedApiError: 404, the identity is not known (yet); 400, it has the maximum number of keys.
        """
        process = current()

        def create() -> Key:
            self._know(uid)
            if sum(one.identity == uid for one in self.keys.truths()) >= self.key_limit:
                raise SimulatedApiError(400, f"at most {self.key_limit} keys", KEY_LIMIT)
            secret = self._chance.hexadecimal(10)
            made = Key(self._chance.hexadecimal(8), uid, label if self.labels else "", clock.now(), secret)
            self.keys.write(made.key_id, made)
            process.created.add(made.key_id)
            self._log(f"cloud: key {made.key_id} created")
            return made

        made = await self._call("keys.create", uid, create, changes=True)
        process.answered.add(made.key_id)
        return made

    async def delete_key(self, key_id: str) -> None:
        """Delete a key.

        Raises:
            SimulatedApiError: 404.
        """

        def delete() -> None:
            self._shown_key(key_id)
            self.keys.write(key_id, None)

        await self._call("keys.delete", key_id, delete, changes=True)

    async def switch_key(self, key_id: str, *, on: bool) -> None:
        """Enable or disable a key.

        Raises:
            SimulatedApiError: 404.
        """

        def switch() -> None:
            self.keys.write(key_id, replace(self._shown_key(key_id), disabled=not on))

        await self._call("keys.enable" if on else "keys.disable", key_id, switch, changes=True)

    def _shown_key(self, key_id: str) -> Key:
        there = self.keys.truth(key_id)
        if there is None or self.keys.read(key_id, self.keys.replica()) is None:
            raise SimulatedApiError(404, f"there is no key {key_id}")
        return there

    def _know(self, uid: str) -> None:
        if not self._is_there(uid) or not any(
            one.uid == uid for one in self.identities.read_all(self.identities.replica())
        ):
            raise SimulatedApiError(404, f"there is no identity {uid}", UNKNOWN_IDENTITY)

    async def authenticate(self, username: str, secret: str, role: str) -> str:
        """The answer of a registry's replica to a key: "pulls", "unknown" or "no grant"."""

        def attempt() -> str:
            replica = self.keys.replica()
            key = next((one for one in self.keys.read_all(replica) if one.secret == secret), None)
            if key is None or key.disabled or not self._is_there(key.identity):
                return "unknown"
            if self.robots and not username.endswith(key.key_id):
                return "unknown"
            granted = self.grants.read(f"{key.identity}/{role}", replica)
            return "no grant" if granted is None else "pulls"

        return await self._call("registry", "token", attempt)

    # -- a call ----------------------------------------------------------------------------------------------

    async def _call(self, name: str, about: str, effect: Callable[[], T], *, changes: bool = False) -> T:
        """One call. A read is repeated, as an SDK repeats it.

        Raises:
            SimulatedApiError: it was refused, or had no answer.
        """
        if changes:
            return await self._once(name, about, effect, changes=True)
        for pause in _PAUSES:
            try:
                return await self._once(name, about, effect, changes=False)
            except SimulatedApiError as error:
                if not error.passing:
                    raise
                await asyncio.sleep(max(pause, error.retry_after or 0.0))
        return await self._once(name, about, effect, changes=False)

    async def _once(self, name: str, about: str, effect: Callable[[], T], *, changes: bool) -> T:
        """The request, its effect and its answer; each may be lost.

        Raises:
            SimulatedApiError: it was refused, or had no answer.
        """
        process = current()
        process.point(name)
        drawn = self._chance.fault(changes=changes)
        fault = drawn.fault
        process.note(f"{name} {about}{'' if fault is Fault.NONE else f' ({fault}, fault {drawn.number})'}")
        answer: asyncio.Future[T] = self._loop.create_future()

        def arrives() -> None:
            # From here on it does not matter whether the process is still alive.
            try:
                value = self._at_the_cloud(name, effect, fault)
            except SimulatedApiError as error:
                answers(error)
                return
            if changes:
                self.on_change()
            if fault is Fault.FAILED_LATE:
                answers(SimulatedApiError(503, "try again"))
            elif fault is not Fault.LOST:
                self._loop.call_later(self._chance.latency(), _set, answer, value)

        def answers(error: SimulatedApiError) -> None:
            self._loop.call_later(self._chance.latency(), _fail, answer, error)

        if fault is not Fault.DROPPED:
            self._loop.call_later(self._chance.latency(), arrives)
        try:
            result = (
                await asyncio.wait_for(answer, CALL_SECONDS.get()()) if fault in _SILENT else await answer
            )
        except TimeoutError:
            process.point(f"{name} had no answer")
            raise SimulatedApiError(0, "no answer") from None
        except SimulatedApiError as error:
            process.note(f"{name} {about}: {error.status} {error.code}")
            process.point(f"{name} was refused")
            raise
        process.point(f"{name} was answered")
        return result

    def _at_the_cloud(self, name: str, effect: Callable[[], T], fault: Fault) -> T:
        if fault is Fault.FAILED:
            raise SimulatedApiError(503, "try again")
        if fault is Fault.BUSY:
            raise SimulatedApiError(429, "slow down", retry_after=1.0 + self._chance.random.randrange(10))
        if name in self.denied:
            raise SimulatedApiError(403, f"{name} is not allowed")
        return effect()


_SILENT = (Fault.DROPPED, Fault.LOST)


def _shown(key: Key) -> Key:
    return replace(key, secret="")


def _set(answer: asyncio.Future[T], value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: asyncio.Future[T], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def labelled(keys: Sequence[Key], label: str) -> list[Key]:
    """The keys that have a label."""
    return [one for one in keys if one.label and one.label == label]

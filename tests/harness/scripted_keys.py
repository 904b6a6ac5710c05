"""A cloud whose next answers a test scripts, and the key that a provider would have there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import KeysInUse, RunContext
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, Script

MISSING, FORBIDDEN, LOST, LOST_AFTER = (ApiError(status, "scripted") for status in (404, 403, 503, 502))
"""`LOST_AFTER` has been carried out."""
SERVER = "https://registry.example"


@dataclass
class Shown:
    key_id: str
    run: str = "ours"
    disabled: bool = False
    expires: dt.datetime | None = None


@dataclass
class Cloud:
    """What each next call is answered; after that, what is true."""

    keys: dict[str, Shown] = field(default_factory=dict)
    reads: list[ApiError | None] = field(default_factory=list)
    lists: list[ApiError | Sequence[str]] = field(default_factory=list)
    creations: list[ApiError] = field(default_factory=list)
    deletions: list[ApiError] = field(default_factory=list)
    switches: list[ApiError] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def read(self, key_id: str) -> Shown | None:
        self.calls.append(f"read {key_id}")
        if self.reads:
            if (answer := self.reads.pop(0)) is not None:
                raise answer
            return None
        return self.keys.get(key_id)

    def listed(self) -> list[Shown]:
        self.calls.append("list")
        answer = self.lists.pop(0) if self.lists else [*self.keys]
        if isinstance(answer, ApiError):
            raise answer
        return [self.keys[one] for one in answer]

    def create(self) -> str:
        self.calls.append("create")
        answer = self.creations.pop(0) if self.creations else None
        if answer is None or answer is LOST_AFTER:
            made = f"key-{1 + sum(call == 'create' for call in self.calls):03}"
            self.keys[made] = Shown(made)
            if answer is None:
                return made
        raise answer

    def delete(self, key_id: str) -> None:
        self.calls.append(f"delete {key_id}")
        answer = self.deletions.pop(0) if self.deletions else None
        if answer is None and key_id not in self.keys:
            raise MISSING
        if answer in (None, LOST_AFTER):
            self.keys.pop(key_id, None)
        if answer is not None:
            raise answer

    def switch(self, key_id: str, *, on: bool) -> None:
        self.calls.append(f"switch {key_id}")
        if self.switches:
            raise self.switches.pop(0)
        if key_id not in self.keys:
            raise MISSING
        self.keys[key_id].disabled = not on


class Stub:
    """As much of a session as a key asks for."""

    def __init__(self, record: HeldCredential | None = None, in_use: Sequence[str] = ()) -> None:
        self.record, self.in_use = record, in_use
        self.credential: Credential | None = None
        self.key: Any = None
        self.context = RunContext(
            Deadline(600), lambda _: None, lambda _: None, held=self._held, in_use=self._keys_in_use
        )

    async def _held(self) -> HeldCredential | None:
        return self.record

    async def _keys_in_use(self) -> KeysInUse:
        if "unknown" in self.in_use:
            raise PullkeyError("Akka cannot be asked")
        return KeysInUse(frozenset(self.in_use))

    async def server(self) -> str:
        return SERVER

    async def username(self) -> str:
        return "robot"

    undo_deadline = Session.undo_deadline


class RobotKey(KeyResource[Shown, str]):
    title = "Create a key of r"
    whose = " of r"
    new = False

    def __init__(self, cloud: Cloud, session: Any) -> None:
        super().__init__(session)
        session.key = self
        self.cloud = cloud
        self.forgotten = 0

    def intent(self) -> Intent:
        return {"run": "ours", "before": [*(self.before or ())]}

    async def read(self, key_id: str) -> Shown | None:
        return self.cloud.read(key_id)

    def facts_of(self, shown: Shown) -> KeyFacts:
        return KeyFacts(shown.key_id, None, shown.expires, shown.disabled)

    async def create(self) -> str:
        return self.cloud.create()

    def id_of(self, answer: str) -> str:
        return answer

    async def credential_of(self, answer: str) -> Credential:
        return Credential(SERVER, "robot", Secret("s3cret-of-it"), KeyRef("r", answer, "x.y"))

    async def send_deletion(self, key_id: str) -> None:
        self.cloud.delete(key_id)

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        self.cloud.switch(key_id, on=on)

    def delete_command(self, key_id: str) -> str:
        return f"cloud keys delete {key_id}" if key_id else "cloud keys list"

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [one.key_id for one in self.cloud.listed() if one.run == intent["run"]]

    async def ids_now(self) -> Collection[str]:
        return [one.key_id for one in self.cloud.listed()]

    @property
    def identity_created(self) -> bool:
        return self.new

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return StepFailed(f"could not {doing}: {error.summary}")

    def invalidate(self) -> None:
        self.forgotten += 1

    def script(self) -> Script:
        return Script(do="true")


class UnmarkedKey(RobotKey):
    marked = False


def key(cloud: Cloud, kind: type[RobotKey] = RobotKey, **session: Any) -> RobotKey:
    return kind(cloud, Stub(**session))


def record(key_id: str = "key-001", username: str = "robot", status: str = "OK") -> HeldCredential:
    return HeldCredential("one", SERVER, username, str(KeyRef("r", key_id, "x.y")), status)


def cloud(*keys: str, **answers: Any) -> Cloud:
    return Cloud({one: Shown(one, run="another's") for one in keys}, **answers)


async def sent(one: RobotKey, *answers: ApiError | None) -> None:
    """Send its creation; each time it is answered so."""
    for answer in answers:
        try:
            with one.attempt.sending():
                if answer is not None:
                    raise answer
        except ApiError:
            pass


PAST, FUTURE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)

"""One target, open: the API with the user's login, and the robot account that a run creates."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acme_pullkey import HOST, AcmeTarget
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.rest_client import RestClient
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, Script


class AcmeError(ApiError):
    service = "The Acme registry"


class AcmeApi(RestClient):
    name, error = "acme", AcmeError


@dataclass(frozen=True)
class Robot:
    id: str
    name: str
    note: str
    created: dt.datetime
    secret: Secret  # empty but in the answer to its creation


@contextmanager
def _as_documented() -> Iterator[None]:
    """An answer without what it must have is as good as none: what it answers may have been done."""
    try:
        yield
    except (KeyError, TypeError, ValueError):
        raise AcmeError(0, "its answer is not as documented") from None


def _robot(shown: Any) -> Robot:
    robot_id, name, note, created = texts = [shown[one] for one in ("id", "name", "note", "created")]
    secret = shown.get("secret", "")
    if not all(isinstance(one, str) for one in (*texts, secret)):
        raise TypeError
    return Robot(robot_id, name, note, dt.datetime.fromisoformat(created), Secret(secret))


class RobotKey(KeyResource[Robot, Robot]):
    """A robot account. Its note names the run that created it, so it is found if an answer is lost."""

    after, word = (), "robot account"
    title = f"Create a robot account of {HOST}"

    def __init__(self, session: AcmeSession) -> None:
        super().__init__(session)
        self._call = session.call

    def intent(self) -> Intent:
        return {"note": f"pullkey {self._of.context.run_id}"}

    async def read(self, key_id: str) -> Robot | None:
        return next((one for one in await self._all() if one.id == key_id), None)

    async def _all(self) -> list[Robot]:
        answer = await self._call("GET", "/robots")
        with _as_documented():
            return [_robot(one) for one in answer["robots"]]

    def facts_of(self, shown: Robot) -> KeyFacts:
        return KeyFacts(shown.id, shown.created)

    async def create(self) -> Robot:
        answer = await self._call("POST", "/robots", self.intent())
        with _as_documented():
            return _robot(answer)

    def id_of(self, answer: Robot) -> str:
        return answer.id

    def example_ref(self) -> KeyRef:
        return KeyRef("robot", "a1b2c3d4e5f6", HOST)

    async def credential_of(self, answer: Robot) -> Credential:
        link = KeyRef("robot", answer.id, HOST)
        return Credential(await self._of.server(), answer.name, answer.secret, link)

    async def is_username(self, username: str, link: KeyRef) -> bool:
        return username == f"robot-{link.key_id}"  # each robot account has its own

    async def send_deletion(self, key_id: str) -> None:
        await self._call("DELETE", f"/robots/{key_id}")

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [one.id for one in await self._all() if one.note == intent["note"]]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        try:
            return [self.facts_of(one) for one in await self._all() if one.note.startswith("pullkey ")]
        except ApiError as error:
            raise self.refusal(error, "list the robot accounts") from None

    def delete_command(self, key_id: str) -> str:
        return f"acme robots delete {key_id}"

    def script(self) -> Script:
        return Script(
            do='ROBOT="$(acme robots create)"; ROBOT_ID="$(jq -r .id <<< "$ROBOT")"',
            check='acme robots show "$ROBOT_ID"',
            undo='acme robots delete "$ROBOT_ID"',
        )


class AcmeSession(Session):
    def __init__(self, target: AcmeTarget, context: RunContext) -> None:
        self.target, self.context = target, context
        self.key = RobotKey(self)
        self.steps = [self.key]

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        api = self.context.shared.get("acme", lambda: AcmeApi(f"https://{HOST}/api"))
        token, seconds = self._token(), self.context.deadline.clip(30)
        login, trace = {"Authorization": f"Bearer {token.reveal()}"}, self.context.trace
        reply = await api.send(
            method, path, trace=trace, headers=login, body=body, secrets=[token], seconds=seconds
        )
        return reply.body

    def _token(self) -> Secret:
        file = Path(os.environ.get("ACME_TOKEN_FILE", "~/.acme/token")).expanduser()
        try:
            return Secret(file.read_text(encoding="utf-8").strip())
        except OSError:
            what = f"There is no login of {HOST} at {file}"
            raise StepFailed(what, fix="Log in: acme login", code=Code.LOGIN_MISSING) from None

    async def connect(self) -> str:
        self._token()
        return f"your login of {HOST}"

    async def host(self) -> str:
        return HOST

    async def probe(self) -> Probe:
        return Probe(HOST, self.target.repository, self.target.reference)

    @property
    def script_credential(self) -> Mapping[str, str]:
        name, secret = (f'"$(jq -r .{field} <<< "$ROBOT")"' for field in ("name", "secret"))
        email = f'"robot+$ROBOT_ID@{HOST}"'
        return {"server": f"https://{HOST}/v1/", "username": name, "email": email, "password": secret}

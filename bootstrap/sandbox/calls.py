"""The gate for every call to the sandbox: latency, faults, and one line in the log."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from aiohttp import web

from bootstrap.files.output_file import open_to_append
from bootstrap.sandbox.faults import Fault, FaultPlan

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RenderError = Callable[[int, str, str], web.Response]
"""Makes (HTTP status, the cloud's error code or "", message) into that cloud's own error answer."""
LoginOf = Callable[[str], str | None]
"""Returns the login of a bearer token; None if the token is not known."""
_ENDLESS = "/endless-redirect"
PADDING = 10_000_000
"""The padding of a `huge` answer, in bytes."""


@dataclass
class Call:
    """One call, as the log records it. `changes` is true for a call that can change something."""

    time: str
    api: str
    method: str
    resource: str
    changes: bool
    status: int = 0
    ms: float = 0.0
    client: str = ""
    fault: str = ""


def open_call_log(path: Path) -> int:
    """Open the file of `--log` to append to.

    Raises:
        UsageProblem: it cannot be written, or is a file of another kind.
    """
    return open_to_append(path, "--log", "a log of calls", b'{"time":"', mode=0o666)


@dataclass
class CallLog:
    """The calls of one sandbox, in memory and (with a path) as JSON lines."""

    path: Path | None = None
    calls: list[Call] = field(default_factory=list)
    _file: IO[str] | None = None

    def write(self, call: Call) -> None:
        self.calls.append(call)
        if self.path is None:
            return
        if self._file is None:
            self._file = os.fdopen(open_call_log(self.path), "a", encoding="utf-8")
        self._file.write(json.dumps(asdict(call), separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CallGate:
    """Latency, faults and the log, the same for every API of every emulator."""

    def __init__(
        self, *, latency: float, faults: FaultPlan, log: CallLog, clock: Callable[[], float] = time.time
    ) -> None:
        self.latency = latency
        self.faults = faults
        self.clock = clock
        self.log = log
        self.underway = 0
        """The number of calls that were begun and are not in the log yet."""
        self._answers: dict[tuple[str, ...], list[Any]] = {}
        self._logins: list[LoginOf] = []

    def recognise(self, login_of: LoginOf) -> None:
        """Register an emulator's function that returns the login of its bearer tokens."""
        self._logins.append(login_of)

    def login(self, authorization: str) -> str:
        """The login of an `Authorization` header: the same for all tokens of a login, whatever process uses
        them.
        """
        token = authorization.partition(" ")[2]
        found = (login for login_of in self._logins if (login := login_of(token)) is not None)
        return next(found, authorization)

    def lagging(self, question: tuple[str, ...], answer: Any, *, stale: bool) -> Any:
        """What a replica answers to a question: `answer`, or with `stale` the one before its last change.

        `question` includes the `login`, since a lagging replica does not distinguish processes.
        """
        known = self._answers.setdefault(question, [])
        older = [one for one in known if one != answer][-1:]
        if stale and older:
            return older[0]
        if known[-1:] != [answer]:
            known.append(answer)
            del known[:-2]
        return answer

    @asynccontextmanager
    async def call(
        self, api: str, method: str, resource: str, *, changes: bool, client: str = ""
    ) -> AsyncIterator[tuple[Call, Fault | None]]:
        """Wrap the handling of one call; the body sets `call.status`.

        The body gets the fault, if any, and carries it out, since that depends on the protocol.
        """
        fault = self.faults.take(api, method, self.clock())
        call = Call(
            time=dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat(timespec="milliseconds"),
            api=api,
            method=method,
            resource=resource,
            changes=changes,
            client=client,
            fault=fault.kind if fault else "",
        )
        begin = time.monotonic()
        self.underway += 1
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            yield call, fault
        finally:
            call.ms = round((time.monotonic() - begin) * 1000, 1)
            self.underway -= 1
            self.log.write(call)


class RestApi:
    """One REST API of an emulator. Routes have the API's own method names, for log and faults.

    Args:
        gate: the sandbox's gate.
        name: the API's short name in log and faults: `iam`, `graph`.
        render_error: creates an error answer in the cloud's form.
        app: the application to add routes to.
    """

    def __init__(self, gate: CallGate, name: str, render_error: RenderError, app: web.Application) -> None:
        self._gate = gate
        self._name = name
        self._render_error = render_error
        self._app = app
        app.router.add_route("*", _ENDLESS, _redirect)

    def route(
        self,
        verb: str,
        path: str,
        method: str,
        handler: Handler,
        *,
        changes: bool | None = None,
        resource: Callable[[web.Request], str] | None = None,
    ) -> None:
        """Answer `verb path` with `handler`; `method` is its name in log and faults.

        `changes` defaults to True except for GET and HEAD; pass False for a read by POST.
        """
        does_change = verb not in ("GET", "HEAD") if changes is None else changes

        async def answer(request: web.Request) -> web.StreamResponse:
            subject = resource(request) if resource else request.path.lstrip("/")
            agent = request.headers.get("User-Agent", "")
            async with self._gate.call(self._name, method, subject, changes=does_change, client=agent) as (
                call,
                fault,
            ):
                response = await self._respond(request, handler, fault, reads=not does_change)
                call.status = response.status
                return response

        self._app.router.add_route(verb, path, answer)

    async def _respond(
        self, request: web.Request, handler: Handler, fault: Fault | None, *, reads: bool
    ) -> web.StreamResponse:
        match fault:
            case None:
                return await self._answered(request, handler, reads=reads, stale=False)
            case Fault(kind="status"):
                response = self._render_error(fault.status, fault.code, fault.message)
                if fault.retry_after is not None:
                    response.headers["Retry-After"] = f"{fault.retry_after:g}"
                return response
            case Fault(kind="reset"):
                _drop(request)
                return web.Response(status=499)
            case Fault(kind="hang"):
                await asyncio.sleep(3600)
                return web.Response(status=499)
            case Fault(kind="html"):
                return web.Response(text="<!doctype html><title>Log in</title>", content_type="text/html")
            case Fault(kind="loop"):
                return await _redirect(request)
        response = await self._answered(request, handler, reads=reads, stale=fault.kind == "stale")  # type: ignore[assignment]
        match fault.kind:
            case "lost":
                _drop(request)
            case "hang-after":
                await asyncio.sleep(3600)
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "cut":
                await _send_half(request, response)
            case "malformed":
                return web.Response(
                    status=response.status, body=b'{"value": [{"id": "', content_type="application/json"
                )
            case "empty" | "types" | "unknown" | "huge" | "charset" if isinstance(response, web.Response):
                return _altered(response, fault.kind)
        return response

    async def _answered(
        self, request: web.Request, handler: Handler, *, reads: bool, stale: bool
    ) -> web.StreamResponse:
        response = await handler(request)
        if not (reads and isinstance(response, web.Response) and isinstance(response.body, bytes)):
            return response
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        now = (response.status, response.body, tuple(kept.items()))
        login = self._gate.login(request.headers.get("Authorization", ""))
        # The body is part of the question, such as a list of permissions to test.
        body = hashlib.sha256(await request.read()).hexdigest()
        asked = (self._name, request.method, request.path_qs, body, login)
        said = self._gate.lagging(asked, now, stale=stale)
        if said == now:
            return response
        status, body, headers = said
        return web.Response(status=status, body=body, headers=dict(headers))


async def form_fields(request: web.Request) -> dict[str, str]:
    """The fields of a form. A body that is not one has no fields, so the first required one is missing."""
    try:
        return {name: str(value) for name, value in (await request.post()).items()}
    except (ValueError, LookupError):
        return {}


_KEPT = ("Content-Type", "WWW-Authenticate", "Docker-Content-Digest")


async def _redirect(_: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": _ENDLESS})


def _altered(response: web.Response, kind: str) -> web.Response:
    """Alter an answer as no client expects it."""
    body = response.body if isinstance(response.body, bytes) else b""
    sent_as = response.content_type
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    match kind:
        case "empty":
            body = b""
        case "types" if value is not None:
            body = json.dumps(_other_types(value)).encode()
        case "unknown" if value is not None:
            body = json.dumps(_with_unknown(value)).encode()
        case "huge":
            body += b" " * PADDING
        case "charset":
            # Declared as UTF-16, and invalid UTF-8.
            return web.Response(
                status=response.status, body=b"\xff\xfe\xfd" + body, content_type=sent_as, charset="utf-16"
            )
    return web.Response(status=response.status, body=body, content_type=sent_as)


def _other_types(value: Any) -> Any:
    """Change the type of each value: texts to lists, numbers to texts, lists to objects."""
    match value:
        case dict():
            return {name: _other_types(one) for name, one in cast("dict[str, Any]", value).items()}
        case list():
            return {"0": value}
        case str():
            return [value]
        case _:
            return str(value)


def _with_unknown(value: Any) -> Any:
    """Add an unknown field to each object."""
    if isinstance(value, dict):
        return {
            **{name: _with_unknown(one) for name, one in value.items()},
            "undocumented": {"and": ["more", 1]},
        }
    return [_with_unknown(one) for one in value] if isinstance(value, list) else value


def _drop(request: web.Request) -> None:
    """Abort the request's connection, like a broken network."""
    if request.transport is not None:
        request.transport.abort()


async def _send_half(request: web.Request, response: web.StreamResponse) -> None:
    """Send half of the body that Content-Length announces, and close."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
    if request.transport is not None:
        head = (
            f"HTTP/1.1 {response.status} OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        request.transport.write(head.encode() + body[: len(body) // 2])
        request.transport.close()

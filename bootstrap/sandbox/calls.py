"""Every call to the sandbox goes through here: latency, faults, and one line in the log."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from aiohttp import web

from bootstrap.sandbox.faults import Fault, FaultPlan

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RenderError = Callable[[int, str, str], web.Response]
"""Makes (HTTP status, the cloud's error code or "", message) into that cloud's own error answer."""


@dataclass
class Call:
    """One call, as the log tells it. `changes` is true for a call that can change something."""

    time: str
    api: str
    method: str
    resource: str
    changes: bool
    status: int = 0
    ms: float = 0.0
    client: str = ""
    fault: str = ""


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
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps(asdict(call), separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CallGate:
    """Latency, faults and the log, the same for every API of every emulator."""

    def __init__(self, *, latency: float, faults: FaultPlan, log: CallLog) -> None:
        self.latency = latency
        self.faults = faults
        self.log = log

    @asynccontextmanager
    async def call(
        self, api: str, method: str, resource: str, *, changes: bool, client: str = ""
    ) -> AsyncIterator[tuple[Call, Fault | None]]:
        """Wraps the answering of one call; the body sets `call.status`.

        The fault, if any, is handed to the body, which knows how its protocol fails.
        """
        fault = self.faults.take(api, method)
        call = Call(
            time=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            api=api,
            method=method,
            resource=resource,
            changes=changes,
            client=client,
            fault=fault.kind if fault else "",
        )
        begin = time.monotonic()
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            yield call, fault
        finally:
            call.ms = round((time.monotonic() - begin) * 1000, 1)
            self.log.write(call)


class RestApi:
    """One REST API of an emulator: routes by name, so that the log and the faults speak the API's own language.

    Args:
        gate: the sandbox's gate.
        name: the API's short name in log and faults: `iam`, `graph`.
        render_error: the cloud's own form of an error.
        app: the application the routes are added to.
    """

    def __init__(self, gate: CallGate, name: str, render_error: RenderError, app: web.Application) -> None:
        self._gate = gate
        self._name = name
        self._render_error = render_error
        self._app = app

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
        """Answer `verb path` with `handler`, known as `method`.

        `changes` defaults to "everything but GET and HEAD"; a read that is a POST says `changes=False`.
        """
        does_change = verb not in ("GET", "HEAD") if changes is None else changes

        async def answer(request: web.Request) -> web.StreamResponse:
            subject = resource(request) if resource else request.path.lstrip("/")
            agent = request.headers.get("User-Agent", "")
            async with self._gate.call(self._name, method, subject, changes=does_change, client=agent) as (
                call,
                fault,
            ):
                response = await self._respond(request, handler, fault)
                call.status = response.status
                return response

        self._app.router.add_route(verb, path, answer)

    async def _respond(
        self, request: web.Request, handler: Handler, fault: Fault | None
    ) -> web.StreamResponse:
        match fault:
            case None:
                return await handler(request)
            case Fault(kind="status"):
                response = self._render_error(
                    fault.status, fault.code, "The sandbox was asked to fail this call."
                )
                if fault.retry_after is not None:
                    response.headers["Retry-After"] = f"{fault.retry_after:g}"
                return response
            case Fault(kind="reset"):
                _drop(request)
                return web.Response(status=499)
            case Fault(kind="hang"):
                await asyncio.sleep(3600)
                return web.Response(status=499)
        response = await handler(request)  # type: ignore[assignment]
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
        return response


def _drop(request: web.Request) -> None:
    """Close the connection under the request, as a broken network does."""
    if request.transport is not None:
        request.transport.abort()


async def _send_half(request: web.Request, response: web.StreamResponse) -> None:
    """Promise the whole body, send half of it, and close."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
    if request.transport is not None:
        head = (
            f"HTTP/1.1 {response.status} OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        request.transport.write(head.encode() + body[: len(body) // 2])
        request.transport.close()

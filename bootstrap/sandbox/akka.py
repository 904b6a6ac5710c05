"""The Akka platform of the sandbox: its projects, secrets and registry configuration, and the `akka`
executable.

The executable (`akka_cli.py`) parses the command line and sends one call per command to this module, over
loopback and with a token that only it has. Tests read with `AkkaEmulator.credential` what a service of Akka
would pull with.

`akka_platform.py` has what the commands do.
"""

from __future__ import annotations

import functools
import hmac
import json
import marshal
import os
import py_compile
import secrets
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from bootstrap.sandbox.akka_cli import MARSHALLED
from bootstrap.sandbox.akka_platform import AkkaPlatform, Request
from bootstrap.sandbox.akka_projects import AkkaCredential, AkkaError
from bootstrap.sandbox.calls import RestApi
from bootstrap.sandbox.host import Sandbox

_GRPC_CODES = {
    400: "InvalidArgument",
    401: "Unauthenticated",
    403: "PermissionDenied",
    404: "NotFound",
    409: "Aborted",
    412: "FailedPrecondition",
    429: "ResourceExhausted",
    500: "Internal",
    501: "Unimplemented",
    503: "Unavailable",
    504: "DeadlineExceeded",
}


class AkkaEmulator(AkkaPlatform):
    """The emulated Akka platform, with its executable.

    Attributes:
        service_token: the only value of AKKA_TOKEN that is accepted.
        cli: the path of the executable, once started.
    """

    name = "akka"

    def __init__(self) -> None:
        super().__init__()
        self._manner: Path | None = None
        self.service_token = f"cst4.{secrets.token_hex(16)}"
        self.cli = Path()
        self._token = secrets.token_hex(16)

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Serve the platform and write the executable. Return the environment that finds it."""
        self._sandbox = sandbox
        self.projects["billing"].put_credential(
            "docker-credentials",
            AkkaCredential(
                "https://registry.example.com/v2/", "billing-bot", "ops@example.com", "someone-elses"
            ),
            sandbox.now(),
        )
        app = web.Application(middlewares=[self._only_the_executable])
        api = RestApi(sandbox.gate, self.name, _render_error, app)
        for method, (handler, changes) in self.methods().items():
            api.route(
                "POST",
                f"/call/{method}",
                method,
                self._answer(handler),
                changes=changes,
                resource=self._resource,
            )
        port = await sandbox.serve(app, tls=False)
        self.cli = self._write_executable(sandbox.directory, port)
        return {
            "PATH": str(self.cli.parent),
            "PULLKEY_AKKA_CLI": str(self.cli),
            "PULLKEY_AKKA_PROJECT": self.current_project,
        }

    async def stop(self) -> None:
        self._manner = None

    # -- the executable --------------------------------------------------------------------------------------

    def _write_executable(self, directory: Path, port: int) -> Path:
        program = directory / "akka-cli" / "akka_cli.pyc"
        program.parent.mkdir(mode=0o700)
        program.write_bytes(_compiled_executable())
        endpoint = program.with_name("endpoint")
        endpoint.touch(mode=0o600)
        endpoint.write_text(f"{port}\n{self._token}\n", encoding="utf-8")
        self._manner = program.with_name("manner")
        self.mode_changed()
        executable = directory / "bin" / "akka"
        executable.parent.mkdir(mode=0o700, exist_ok=True)
        # A shell script, not a Python one: the kernel limits the length of the path after `#!`.
        command = shlex.join([sys.executable, "-I", "-S", os.fspath(program)])
        executable.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        executable.chmod(0o755)
        return executable

    @web.middleware
    async def _only_the_executable(
        self, request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return _marshalled(_render_error(401, "", "this is not the sandbox's akka"))
        return _marshalled(await handler(request))

    def mode_changed(self) -> None:
        """Write the behaviour to a file, which the executable reads before its command line."""
        if self._manner is None:
            return
        applies_to = [method for method in self.methods() if self.misbehaves(self.mode, method)]
        written = self._manner.with_suffix(".new")
        written.write_text("\n".join([self.mode, *applies_to]), encoding="utf-8")
        # Atomically: a call that starts now reads the old or the new file.
        written.replace(self._manner)

    # -- one call --------------------------------------------------------------------------------------------

    def _resource(self, request: web.Request) -> str:
        project = request.query.get("project") or self.current_project
        return "/".join(part for part in (project, request.query.get("name", "")) if part)

    def _answer(self, handler: Callable[[Request], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            body = marshal.loads(await request.read())  # noqa: S302  - from the executable, which has the token
            local = request.path.startswith(("/call/config.", "/call/version"))
            try:
                if body["context"] not in ("", "default"):
                    raise AkkaError(404, f"context '{body['context']}' not found")
                if not local:
                    self._authenticate(request, body["token"])
                asked = Request(
                    body["flags"], body["arguments"], body["project"] or self.current_project, body
                )
                method = request.path.removeprefix("/call/")
                if self.methods()[method][1]:
                    self.remember_listing(asked.project)
                done = handler(asked)
                if self.misbehaves("fails-after", method):
                    raise AkkaError(500, "the platform did not say what became of it")
                return web.json_response(done)
            except AkkaError as error:
                return _render_error(error.status, "", str(error))

        return answer

    def _authenticate(self, request: web.Request, token: str) -> None:
        """Check the login. AKKA_TOKEN takes precedence over the configuration's (guide "CI/CD with service
        tokens").
        """
        method = request.path.removeprefix("/call/")
        if token:
            if not hmac.compare_digest(token.encode(), self.service_token.encode()):
                raise AkkaError(401, "invalid token")
        elif self.misbehaves("logged-out", method):
            raise AkkaError(401, "not logged in, run 'akka auth login'")


@functools.cache
def _compiled_executable() -> bytes:
    """The executable's program, compiled: Python compiles the source of a program at each start."""
    with tempfile.TemporaryDirectory(prefix="pullkey-sandbox-") as folder:
        program = Path(folder, "akka_cli.pyc")
        py_compile.compile(os.fspath(Path(__file__).with_name("akka_cli.py")), os.fspath(program))
        return program.read_bytes()


def _render_error(status: int, code: str, message: str) -> web.Response:
    grpc_code = code or _GRPC_CODES.get(status, "Unknown")
    return web.json_response({"code": grpc_code, "message": message}, status=status)


def _marshalled(response: web.StreamResponse) -> web.StreamResponse:
    """Convert a JSON answer to the form that the executable reads. Other answers come from faults and are
    unchanged.
    """
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return response
    try:
        answer = json.loads(body)
    except ValueError:
        return response
    return web.Response(status=response.status, body=marshal.dumps(answer), content_type=MARSHALLED)

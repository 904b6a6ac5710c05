"""Answers the sandbox's `akka` calls in the test's own process, without a new interpreter for each.

A run of `pullkey` calls `akka` seven times, and starting Python is nine tenths of a call: a third of the CPU
time of all tests. So a bash script passes its arguments to this process and prints the answer. Everything
that needs a separate process is left to the real program: any other `manner`, input files, and rarely used
commands.
"""

from __future__ import annotations

import functools
import os
import secrets
import shlex
import shutil
import socketserver
import threading
import traceback
from pathlib import Path

from bootstrap.sandbox import akka_cli
from bootstrap.sandbox.akka import AkkaEmulator

_SCRIPT = """#!{bash}
LC_ALL=C
read -r manner <{manner}
case "$manner $1" in
  "current docker" | "current projects" | "current services" | "current auth" | "current version") ;;
  *) exec {program} "$@" ;;
esac
# A descriptor that is free: pullkey hands its lock over, which is held until this has ended.
exec {{asked}}<>/dev/tcp/127.0.0.1/{port} || exit 1
request=
for word in {token} "$AKKA_PROJECT" "$AKKA_TOKEN" "$@"; do request+="${{#word}}"$'\\n'"$word"; done
printf '%s\\n%s' "$(($# + 3))" "$request" >&"$asked"
read -r status shown failed <&"$asked"
if ((shown > 20000)); then exec /bin/cat <&"$asked"; fi
if ((shown)); then IFS= read -r -N "$shown" text <&"$asked"; printf %s "$text"; fi
if ((failed)); then IFS= read -r -N "$failed" text <&"$asked"; printf %s "$text" >&2; fi
exit "$status"
"""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        words = [self.rfile.read(int(self.rfile.readline())) for _ in range(int(self.rfile.readline()))]
        token, project, login, *arguments = (word.decode("utf-8", "surrogateescape") for word in words)
        status, shown, failed = _answer(
            _FOLDERS[token], arguments, {"AKKA_PROJECT": project, "AKKA_TOKEN": login}
        )
        out, err = (text.encode("utf-8", "surrogateescape") for text in (shown, failed))
        self.wfile.write(f"{status} {len(out)} {len(err)}\n".encode() + out + err)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """The client may have been killed meanwhile."""


_FOLDERS: dict[str, Path] = {}


@functools.cache
def _port(_process: int) -> int:
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, name="akka", daemon=True).start()
    return int(server.server_address[1])


def _answer(folder: Path, arguments: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    """The same as `akka_cli.main`: the exit status, stdout and stderr."""
    endpoint, manner = ((folder / name).read_text().splitlines() for name in ("endpoint", "manner"))
    try:
        output = akka_cli.run(arguments, environment, endpoint, manner)
    except akka_cli.CliError as error:
        usage = f"Run '{error.usage_of} --help' for usage.\n" if error.usage_of else ""
        return 1, "", f"Error: {error}\n{usage}"
    except Exception:  # noqa: BLE001  - as the interpreter shows it
        return 1, "", traceback.format_exc()
    return 0, f"{output}\n" if output else "", ""


def answer_here(akka: AkkaEmulator) -> None:
    """Let this process answer the calls of this emulator's executable. Needs bash."""
    bash = shutil.which("bash")
    if bash is None:
        return
    token = secrets.token_hex(16)
    program = akka.cli.read_text(encoding="utf-8").partition("exec ")[2].removesuffix(' "$@"\n')
    folder = akka.cli.parent.parent / "akka-cli"
    _FOLDERS[token] = folder
    manner = shlex.quote(str(folder / "manner"))
    script = _SCRIPT.format(bash=bash, manner=manner, program=program, port=_port(os.getpid()), token=token)
    written = akka.cli.with_suffix(".new")
    written.write_text(script, encoding="utf-8")
    written.chmod(0o755)
    written.replace(akka.cli)

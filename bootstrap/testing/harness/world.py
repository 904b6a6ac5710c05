"""A sandbox with Akka and one cloud, the real command in it, and a leak scan at its end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap.plugin.emulator import Emulator
from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.run import consistency_of
from bootstrap.testing.harness.akka_in_process import answer_here
from bootstrap.testing.harness.figures import FIGURES
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.leak_scan import Figures, Watched, files_under, search
from bootstrap.testing.harness.running_sandbox import RunningSandbox

CONSISTENCY = "PULLKEY_TESTS_CONSISTENCY"
"""The variable that sets the replicas of all worlds: `strict` or `real`."""


@dataclass
class Result:
    """The outcome of one run of the command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class World:
    """A sandbox with Akka and one cloud, and the product's command in it."""

    running: RunningSandbox
    cloud: Any
    akka: AkkaEmulator
    provider: str
    said: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    """The logins of the emulator's user, as far as they are known; no output, log or file may show one."""
    extra: dict[str, str] = field(default_factory=dict)
    """Additional environment variables of every process."""
    forgiven: set[str] = field(default_factory=set)
    """Hosts on other machines that a test names on purpose, and that do not exist."""
    anew: bool = field(default_factory=lambda: bool(os.environ.get("PULLKEY_TESTS_ANEW")))
    """Whether each run is a new interpreter; otherwise it is a fork of one that has the clouds' SDKs
    imported, in a tenth of the time.
    """

    def __post_init__(self) -> None:
        # A directory of its own, so that everything a run writes is found; the sandbox's directory contains
        # its own files.
        self.place = Path(tempfile.mkdtemp(prefix="pullkey-world-"))
        for name in ("home", "tmp", "watch"):
            (self.place / name).mkdir(mode=0o700)
        self.watched = Watched(self.place / "watch")

    def looks_deep(self, packages: set[str]) -> None:
        """Inspect the objects and frames of pullkey and these packages whenever Akka is given a key."""
        # Not in the environment, which is searched too.
        logins = self.place / "logins"
        logins.write_text("\n".join(self.logins), encoding="utf-8")
        self.extra |= {
            "PULLKEY_TESTS_WATCH_DEEP": str(logins),
            "PULLKEY_TESTS_WATCH_PACKAGES": " ".join(packages),
        }

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a user of this sandbox, whose processes are watched."""
        own = {"HOME": str(self.place / "home"), "TMPDIR": str(self.place / "tmp"), "NO_COLOR": "1"}
        # `az` itself would report to Microsoft that it was run.
        own["AZURE_CORE_COLLECT_TELEMETRY"] = "false"
        return {
            **self.running.process_environment(),
            **own,
            **self.watched.environment(),
            **self.extra,
            **(env or {}),
        }

    def run(self, *arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        """Run `pullkey` as a user would, without a terminal."""
        if self.anew:
            done = subprocess.run(
                [sys.executable, "-m", "bootstrap", *arguments],
                env=self.environment(env),
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            result = Result(done.returncode, done.stdout, done.stderr)
        else:
            ended = fork_server().run(arguments, self.environment(env), stdin=stdin)
            assert ended.code is not None, f"it did not end within {ended.seconds:.0f} s: {ended.err}"
            result = Result(ended.code, ended.out, ended.err)
        self.said += [result.out, result.err]
        self._remember_passwords()
        assert "Traceback" not in result.err, result.err
        return result

    def show(self, *arguments: str, columns: int, env: dict[str, str] | None = None) -> str:
        """Run `pullkey` in a terminal of that many columns, with colours. Return its output."""
        shown, ours = b"", -1
        screen = {"NO_COLOR": "", "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "", **(env or {})}

        def read() -> None:
            nonlocal shown
            with contextlib.suppress(OSError):  # how Linux reports that the other end is closed
                while part := os.read(ours, 65_536):
                    shown += part

        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            reader = threading.Thread(target=read)
            reader.start()
            ended = fork_server().run(arguments, self.environment(screen), terminal=os.ttyname(theirs))
        finally:
            os.close(theirs)
            reader.join(10)
            os.close(ours)
        text = shown.decode(errors="replace")
        assert ended.code is not None, f"it did not end: {text}"
        self.said.append(text)
        self._remember_passwords()
        assert "Traceback" not in text, text
        return text

    def onboard(self, *arguments: str, **how: Any) -> Result:
        return self.run("onboard", self.provider, "--yes", "--timeout", "20s", *arguments, **how)

    def changes(self) -> list[str]:
        """The calls so far that can change something and were not refused, as API.METHOD."""
        return [
            f"{call.api}.{call.method}"
            for call in self.running.sandbox.log.calls
            if call.changes and call.status < 400
        ]

    def calls(self, name: str) -> int:
        return sum(f"{call.api}.{call.method}" == name for call in self.running.sandbox.log.calls)

    def fault(self, spec: str) -> None:
        self.running.sandbox.faults.add(spec)

    def held(self, name: str, project: str = "shop") -> AkkaCredential:
        """The credential that Akka holds, its password included."""
        return self.akka.credential(project, name)

    def names(self, project: str = "shop") -> list[str]:
        """The names of the credentials that Akka shows."""
        answer = subprocess.run(
            [self.akka.cli, "docker", "list-credentials", f"--project={project}", "-o", "json"],
            env=self.running.process_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return [row["name"] for row in json.loads(answer.stdout or "[]")]

    def forget(self, name: str, project: str = "shop") -> None:
        """Remove a credential from Akka, and leave its cloud resources."""
        for command in (["docker", "remove-credentials"], ["secrets", "delete"]):
            subprocess.run(
                [self.akka.cli, *command, name, f"--project={project}"],
                env=self.running.process_environment(),
                capture_output=True,
                check=True,
            )

    def _remember_passwords(self) -> None:
        for project in self.akka.projects.values():
            for region in project.regions:
                for _, _, entry in project.secrets.seen_from(region):
                    credential = entry.value.credential()
                    if credential is not None and credential.password not in self.passwords:
                        self.passwords.append(credential.password)

    def leaks(self) -> list[str]:
        """List the places that contain a piece of a key, other than Akka, and the other hosts that the
        product contacted.
        """
        self.watched.read()
        figures = Figures(
            processes=len(list(self.watched.of("end"))),
            secrets=len(self.watched.secrets()),
            children=len(list(self.watched.of("subprocess.Popen"))),
            handoffs=len(self.watched.handoffs()),
            connections=len(list(self.watched.of("socket.connect"))),
            files=len(self.watched.written()),
        )
        written = [Path(path) for path in self.watched.written()]
        elsewhere = [path for path in written if path.is_file() and not path.is_relative_to(self.place)]
        texts = [
            ("output", "\n".join(self.said)),
            ("call log", repr(self.running.sandbox.log.calls)),
            *self.watched.texts(),
            *files_under(
                self.place / "home", self.place / "tmp", Path(self.running.environment["PULLKEY_STATE_DIR"])
            ),
            *((str(path), path.read_text(encoding="utf-8", errors="replace")) for path in elsewhere),
        ]
        found = search(texts, {*self.passwords, *self.watched.secrets()}, figures)
        FIGURES.add(vars(figures))
        return found + [
            f"{host} was contacted" for host in self.watched.contacted_hosts() if host not in self.forgiven
        ]

    def close(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)


def logins_of(emulator: Any, environment: Mapping[str, str], directory: Path) -> list[str]:
    """The logins that an emulator declares (`secrets()`); otherwise the tokens in those files of the
    sandbox's directory that variables name.
    """
    if hasattr(emulator, "secrets"):
        return [*emulator.secrets()]
    named = {Path(value) for value in environment.values() if value.startswith(f"{directory}/")}
    texts = [path.read_text(encoding="utf-8", errors="replace").strip() for path in named if path.is_file()]
    # A token is one word; a certificate or a file of settings is not. Of a JWT only the signature is secret.
    words = {text for text in texts if len(text.split()) == 1 and not text.startswith(("{", "["))}
    return sorted(word.rpartition(".")[2] if word.count(".") == _JWT_DOTS else word for word in words)


_JWT_DOTS = 2


def make_world(
    provider: str, settings: SandboxSettings | None = None, *, images: ImageStore | None = None
) -> Iterator[World]:
    """A sandbox of one provider. When it ends, no part of a key may be anywhere but in Akka.

    By default its replicas are set by `PULLKEY_TESTS_CONSISTENCY`.
    """
    if settings is None:
        settings = SandboxSettings(
            consistency=consistency_of({"PULLKEY_CONSISTENCY": os.environ.get(CONSISTENCY, "strict")})
        )

    def cloud() -> Emulator:
        from bootstrap.plugin import entry_points as plugins

        return plugins.load(provider).emulator()()

    with RunningSandbox({"akka": AkkaEmulator, "cloud": cloud}, settings, images) as running:
        akka = running.sandbox.emulators["akka"]
        assert isinstance(akka, AkkaEmulator)
        answer_here(akka)
        world = World(running, running.sandbox.emulators["cloud"], akka, provider)
        world.logins += logins_of(world.cloud, running.environment, running.sandbox.directory)
        world.passwords += world.logins
        try:
            yield world
            assert world.leaks() == []
        finally:
            world.close()


# Set by the sandbox, so that a command needs no arguments.
NO_TARGET = {
    "PULLKEY_GCR_SERVER": "",
    "PULLKEY_GCR_GCP_PROJECT": "",
    "PULLKEY_ACR_REGISTRY": "",
    "PULLKEY_DOCKER_HUB_IMAGE": "",
    "PULLKEY_GITLAB_IMAGE": "",
    "PULLKEY_HARBOR_REGISTRY": "",
    "PULLKEY_HARBOR_IMAGE": "",
    "PULLKEY_PRIVATE_SERVER": "",
    "PULLKEY_PRIVATE_IMAGE": "",
}

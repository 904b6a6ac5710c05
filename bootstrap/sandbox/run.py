"""Run a sandbox around a command, or until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bootstrap.model import event_loop
from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.emulator import Emulator
from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.faults import FaultSyntaxError
from bootstrap.sandbox.host import Sandbox, SandboxSettings
from bootstrap.sandbox.images import BuiltInImages, ImageStore
from bootstrap.sandbox.replicas import CONSISTENCIES, Consistency

_OURS = ("AKKA_", "PULLKEY_")
"""The user's variables that lead to real Akka projects, or set what the sandbox sets; those of the clouds are
named by their providers.
"""
_HARMLESS = frozenset(
    {"AKKA_DISABLE_PROMPTS", "PULLKEY_OUTPUT", "PULLKEY_TIMEOUT", "PULLKEY_VERBOSE", "PULLKEY_YES"}
)
_SERVICES = ("cart", "mail", "checkout", "stock", "press")
_PROXIES = frozenset(
    {"ALL_PROXY", "FTP_PROXY", "GRPC_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_GRPC_PROXY", "NO_PROXY"}
)
# Without these variables, the system's proxy settings (as on macOS) would apply.
_NO_PROXY = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def consistency_of(environment: Mapping[str, str]) -> Consistency:
    """The consistency in `PULLKEY_CONSISTENCY`.

    Raises:
        UsageProblem: it is not a valid one.
    """
    asked = environment.get("PULLKEY_CONSISTENCY", "strict")
    for known in CONSISTENCIES:
        if asked == known:
            return known
    raise UsageProblem(
        f"PULLKEY_CONSISTENCY is {asked!r}; it must be one of: {', '.join(CONSISTENCIES)}", code=Code.SANDBOX
    )


def emulator_factories() -> dict[str, Callable[[], Emulator]]:
    """The emulators of a sandbox in their starting order: Akka, then those of the providers.

    A provider whose extra is not installed, or which cannot be loaded, is skipped with a note on stderr.
    """
    factories: dict[str, Callable[[], Emulator]] = {"akka": AkkaEmulator}
    for name in plugins.names():
        try:
            factories[name] = plugins.load(name).emulator()
        except (ImportError, UsageProblem) as error:
            print(f"The sandbox has no {name}: {error}", file=sys.stderr)  # noqa: T201
        except Exception as error:  # noqa: BLE001  - a third party's plugin may fail in any way
            print(f"The sandbox has no {name}: {type(error).__name__}", file=sys.stderr)  # noqa: T201
    return factories


def _leading_elsewhere() -> frozenset[str]:
    """The variables that lead elsewhere, as all providers name them; each of a prefix by its end, `_`."""
    found = {*_OURS}
    for name in plugins.names():
        with contextlib.suppress(UsageProblem):
            found |= {*plugins.load(name).login_variables}
    return frozenset(found)


def interferes(name: str) -> bool:
    """Whether a variable of the user would make a program in the sandbox use something outside of it."""
    if name in _HARMLESS:
        return False
    elsewhere = _leading_elsewhere()
    prefixes = tuple(one for one in elsewhere if one.endswith("_"))
    return name in elsewhere or name.startswith(prefixes) or name.upper() in _PROXIES


def sandbox_environment(own: Mapping[str, str], sandbox: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command in the sandbox: `own` without interfering variables, plus the
    sandbox's.
    """
    kept = {name: value for name, value in own.items() if not interferes(name)}
    return {**kept, **_NO_PROXY, **sandbox}


def exec_in_sandbox(argv: Sequence[str], settings: SandboxSettings, images: ImageStore | None = None) -> int:
    """Run a command in its own sandbox, with the caller's stdin, stdout and stderr.

    SIGTERM and SIGHUP are forwarded to the command. SIGINT reaches it directly from the terminal.

    Returns:
        The command's exit status; 128 + N if signal N ended it, 127 if it was not found, 126 if it cannot be
        run.

    Raises:
        UsageProblem: a fault is invalid, the log cannot be written, or the registry cannot be started.
    """

    async def command(environment: Mapping[str, str], signals: _Signals) -> int:
        return await _command(argv, environment, signals)

    return event_loop.run(_in_sandbox(command, settings, images))


def serve_sandbox(settings: SandboxSettings, images: ImageStore | None = None) -> int:
    """Keep a sandbox running until SIGINT, SIGTERM or SIGHUP; print its environment as shell commands on
    stdout.

    Returns:
        0, or 128 + N if signal N arrived before the sandbox was ready.

    Raises:
        UsageProblem: see `exec_in_sandbox`.
    """
    return event_loop.run(_in_sandbox(_serve, settings, images))


class _Signals:
    """Calls `act` for SIGINT, SIGTERM and SIGHUP. The initial `act` cancels the task that starts
    the sandbox.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.received = 0
        self.act: Callable[[signal.Signals], None] = self._give_up
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Ignored signals (nohup, a background job of a script) stay ignored, for the command too.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._receive, number)

    def _receive(self, number: signal.Signals) -> None:
        self.received = number
        self.act(number)

    def _give_up(self, _: signal.Signals) -> None:
        if self._task is not None:
            self._task.cancel()


async def _in_sandbox(
    body: Callable[[Mapping[str, str], _Signals], Awaitable[int]],
    settings: SandboxSettings,
    images: ImageStore | None,
) -> int:
    """Start a sandbox, run `body` with its environment, and stop it in any case."""
    signals = _Signals()
    _check_log(settings.log)
    try:
        sandbox = Sandbox(settings, images or BuiltInImages())
    except FaultSyntaxError as error:
        raise UsageProblem(str(error), code=Code.SANDBOX) from None
    try:
        environment = await sandbox.start(emulator_factories())
        deploy_services(sandbox, environment)
        return await body(environment, signals)
    except asyncio.CancelledError:
        if not signals.received:
            raise
        return 128 + signals.received
    finally:
        # A second Ctrl-C must not interrupt the cleanup.
        signals.act = _ignore
        await sandbox.stop()


def deploy_services(sandbox: Sandbox, environment: Mapping[str, str]) -> None:
    """Deploy one service in Akka for each registry of the sandbox, with the image set for its provider."""
    akka = sandbox.emulators.get("akka")
    if not isinstance(akka, AkkaEmulator):
        return
    services = akka.projects[akka.current_project].services
    for provider, service in zip(plugins.names(), _SERVICES, strict=False):
        prefix = f"PULLKEY_{provider.upper().replace('-', '_')}"
        images = (environment.get(f"{prefix}_{option}") for option in ("IMAGE", "SERVER", "REGISTRY"))
        if image := next(filter(None, images), None):
            services[service] = image


def _ignore(_: signal.Signals) -> None:
    return


def _check_log(path: Path | None) -> None:
    """Check that the log can be written: it is opened only at the first call, too late to report an error."""
    if path is not None:
        try:
            path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise UsageProblem(
                f"The log {str(path)!r} cannot be written: {error.strerror}", code=Code.SANDBOX
            ) from None


async def _command(argv: Sequence[str], environment: Mapping[str, str], signals: _Signals) -> int:
    try:
        child = await asyncio.create_subprocess_exec(*argv, env=sandbox_environment(os.environ, environment))
    except FileNotFoundError:
        print(f"pullkey: {argv[0]!r} was not found.", file=sys.stderr)  # noqa: T201
        return 127
    except OSError as error:
        print(f"pullkey: {argv[0]!r} cannot be run: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 126

    def hand_on(number: signal.Signals) -> None:
        # Ctrl-C goes to the whole process group, so the command has already received it.
        if number != signal.SIGINT:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    signals.act = hand_on
    code = await child.wait()
    return code if code >= 0 else 128 - code


async def _serve(environment: Mapping[str, str], signals: _Signals) -> int:
    stopped = asyncio.Event()
    signals.act = lambda _: stopped.set()
    unset = [f"unset {name}" for name in sorted(os.environ) if interferes(name)]
    export = [f"export {name}={shlex.quote(value)}" for name, value in {**_NO_PROXY, **environment}.items()]
    sys.stdout.write("\n".join([*unset, *export, "# The sandbox is ready.", ""]))
    sys.stdout.flush()
    sys.stderr.write("Paste these lines into another shell of the same user. Ctrl-C stops the sandbox.\n")
    await stopped.wait()
    return 0

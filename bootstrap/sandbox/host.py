"""The host of the emulators: one event loop, one private directory, one set of addresses.

An emulator starts its servers through the `Sandbox`, and returns the environment in which the unchanged
product (and `gcloud`, `az`, `akka`) use them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import web

from bootstrap.plugin.emulator import Emulator, EmulatorOf
from bootstrap.sandbox.calls import CallGate, CallLog
from bootstrap.sandbox.faults import FaultPlan
from bootstrap.sandbox.images import BuiltInImages, ImageStore
from bootstrap.sandbox.replicas import Consistency, Replicas, Sort
from bootstrap.sandbox.tls import CertificateAuthority, Issuer

__all__ = ["LOOPBACK", "Emulator", "Sandbox", "SandboxSettings", "Sort", "Visible"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class SandboxSettings:
    """The settings of a sandbox; times are in seconds."""

    latency: float = 0.0
    propagation: float = 0.0
    faults: tuple[str, ...] = ()
    log: Path | None = None
    spreading: Collection[Sort] = ()
    """The sorts of change that `propagation` delays; all if empty."""
    consistency: Consistency = "strict"
    """How replicas differ until then; see `bootstrap.sandbox.replicas`."""
    seed: int = 0
    """Of the random numbers of `consistency="real"`."""


class Visible(Protocol):
    """The signature of `Sandbox.visible` and `Sandbox.shows`."""

    def __call__(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool: ...


@dataclass
class Sandbox:
    """One running set of emulators.

    Args:
        settings: latency, propagation, faults, log.
        images: the store of the registries' images.
        clock: returns the machine's time, in seconds since the epoch.
        issuer: signs the certificates of its servers; one of its own by default.
    """

    settings: SandboxSettings = field(default_factory=SandboxSettings)
    images: ImageStore = field(default_factory=BuiltInImages)
    clock: Callable[[], float] = time.time
    issuer: Issuer | None = None

    def __post_init__(self) -> None:
        # Parse faults first: a syntax error must fail before anything is started.
        self.faults = FaultPlan.parse(self.settings.faults)
        self.log = CallLog(self.settings.log)
        self.gate = CallGate(
            latency=self.settings.latency, faults=self.faults, log=self.log, clock=self._machine_time
        )
        self.directory = Path(tempfile.mkdtemp(prefix="pullkey-sandbox-"))
        self.authority = CertificateAuthority(self.directory, self.issuer)
        self.emulators: dict[str, EmulatorOf[Sandbox]] = {}
        self.environment: dict[str, str] = {}
        self._runners: list[web.AppRunner] = []
        self._ahead = dt.timedelta()
        self.replicas = Replicas(
            self.now,
            consistency=self.settings.consistency,
            lag=self.settings.propagation,
            spreading=self.settings.spreading,
            seed=self.settings.seed,
        )

    # -- time ------------------------------------------------------------------------------------------------

    def now(self) -> dt.datetime:
        """The sandbox's time: the machine's, plus the time by which a test has advanced it."""
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC) + self._ahead

    def _machine_time(self) -> float:
        return self.clock()

    def advance(self, by: dt.timedelta) -> None:
        """Advance the sandbox's clock, so that keys expire and changes become visible."""
        self._ahead += by

    def visible(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether a change made at `since` is in effect (`--propagation`, `--consistency`)."""
        return self.replicas.knows(since, sort, subject)

    def shows(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether a read shows a change made at `since`: always, unless the consistency is `real`."""
        return self.replicas.shows(since, sort, subject)

    # -- serving ---------------------------------------------------------------------------------------------

    async def serve(self, app: web.Application, *, tls: bool = True, hosts: Iterable[str] = ()) -> int:
        """Serve an application on a free loopback port; return the port.

        With `tls` its certificate is valid for loopback and for `hosts`.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handle_signals=False)
        await runner.setup()
        self._runners.append(runner)
        listener = socket.create_server((LOOPBACK, 0))
        # Split writes on a reused connection would otherwise wait 40 ms for the client's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self.authority.server_context([LOOPBACK, "localhost", *hosts]) if tls else None
        await web.SockSite(runner, listener, ssl_context=context).start()
        return int(listener.getsockname()[1])

    async def start(self, factories: Mapping[str, Callable[[], EmulatorOf[Sandbox]]]) -> Mapping[str, str]:
        """Start the emulators, in order; return the whole environment."""
        bundle = str(self.authority.bundle)
        self.environment = {
            # The trusted certificates of the clouds' clients: OpenSSL and httpx, requests, gRPC.
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
            # Keep the journal of sandbox runs apart from that of real ones.
            "PULLKEY_STATE_DIR": str(self.directory / "state"),
        }
        try:
            await self.images.start()
            for name, factory in factories.items():
                emulator = factory()
                self.emulators[name] = emulator
                self._merge(await emulator.start(self))
        except BaseException:
            await self.stop()
            raise
        return self.environment

    def _merge(self, more: Mapping[str, str]) -> None:
        joined = {"PATH": os.pathsep, "PULLKEY_REGISTRY_CONNECT_TO": ","}
        self.environment.setdefault("PATH", os.environ.get("PATH", os.defpath))
        for name, value in more.items():
            if name in joined and name in self.environment:
                self.environment[name] = value + joined[name] + self.environment[name]
            else:
                self.environment[name] = value

    async def stop(self) -> None:
        """Stop everything and remove the sandbox's directory."""
        for emulator in reversed(self.emulators.values()):
            with contextlib.suppress(Exception):
                await emulator.stop()
        for runner in self._runners:
            with contextlib.suppress(Exception):
                await runner.cleanup()
        await self.images.stop()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

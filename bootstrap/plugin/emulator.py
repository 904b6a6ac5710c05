"""The interface between a provider's emulator and the sandbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar


class SandboxServices(Protocol):
    """What a sandbox offers to an emulator: `bootstrap.sandbox.host.Sandbox`, which an emulator may import.

    Attributes:
        clock: the machine's time, in seconds since the epoch.
        directory: a private directory, deleted with the sandbox.
        images: where the images are served from (`bootstrap.sandbox.images.ImageStore`).
        gate: each call to an emulator passes it: latency, faults and the log
            (`bootstrap.sandbox.calls.CallGate`).
        authority: signs certificates; `authority.bundle` is the file that clients trust
            (`bootstrap.sandbox.tls.CertificateAuthority`).
    """

    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def directory(self) -> Path: ...
    @property
    def images(self) -> Any: ...
    @property
    def gate(self) -> Any: ...
    @property
    def authority(self) -> Any: ...

    def now(self) -> dt.datetime:
        """The sandbox's time, which tests advance."""
        ...

    def visible(self, since: dt.datetime, sort: Any = "other", subject: str = "") -> bool:
        """Whether a change made at `since` has taken effect."""
        ...

    def shows(self, since: dt.datetime, sort: Any = "other", subject: str = "") -> bool:
        """Whether a read shows a change made at `since`."""
        ...

    async def serve(self, app: Any, *, tls: bool = True, hosts: Iterable[str] = ()) -> int:
        """Serve an `aiohttp.web.Application` on a free loopback port until the sandbox ends; return the port.

        With `tls`, its certificate is valid for loopback and for `hosts`.
        """
        ...


S_contra = TypeVar("S_contra", bound=SandboxServices, contravariant=True)


class EmulatorOf(Protocol[S_contra]):
    """One emulated cloud, for a sandbox."""

    name: str
    """The provider's name."""

    async def start(self, sandbox: S_contra) -> Mapping[str, str]:
        """Start serving. Returns the environment variables that direct clients to the emulator, and no
        secret: `PULLKEY_REGISTRY_CONNECT_TO`, the endpoints of its API, and the options of a first
        `pullkey onboard NAME` (`PULLKEY_NAME_IMAGE`).
        """
        ...

    async def stop(self) -> None:
        """Stop everything that `start` started outside `SandboxServices.serve`."""
        ...


Emulator = EmulatorOf[Any]
"""An emulator whose `start` takes `bootstrap.sandbox.host.Sandbox`. `Provider.emulator` returns its class."""

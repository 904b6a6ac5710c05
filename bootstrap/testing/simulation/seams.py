"""What of the product is replaced while it is simulated: its calls of the outside, and nothing that makes
decisions.

The clouds' clients are the plugin's own. Also replaced are threads, the `akka` process, the state directory,
the registry's token exchange, ids, and the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from unittest import mock

from bootstrap.model import clock
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.errors import ApiError
from bootstrap.registry import Challenge
from bootstrap.testing.simulation.akka import SimulatedAkka
from bootstrap.testing.simulation.chance import Chance
from bootstrap.testing.simulation.cloud import SimulatedCloud
from bootstrap.testing.simulation.directory import MemoryDirectory, MemoryLocks
from bootstrap.testing.simulation.loop import VirtualClock, VirtualLoop
from bootstrap.testing.simulation.provider import SimulatedProvider

if TYPE_CHECKING:
    from bootstrap.akka.process import ProcessResult
    from bootstrap.model.credential import Credential

T = TypeVar("T")
PROGRAM = sys.executable
"""Replaces the path of `akka`: it exists, and is never run."""
STATE = Path("/state")
"""The state directory, on the disk of a simulated machine."""


class Surroundings(Protocol):
    """What the product finds instead of the outside."""

    loop: VirtualLoop
    chance: Chance
    cloud: SimulatedCloud
    akka: SimulatedAkka


_WORLD: list[Surroundings] = []


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """Replace the seams until this is left; `inside` selects the simulation."""
    provider = SimulatedProvider(lambda: _WORLD[-1].cloud)
    replaced: dict[str, Any] = {
        "asyncio.to_thread": _to_thread,
        "bootstrap.akka.runner.run_group": _run_group,
        "bootstrap.akka.runner.os": SimpleNamespace(environ={}),
        "bootstrap.engine.journal.PrivateDirectory": MemoryDirectory,
        "bootstrap.engine.journal.fcntl": MemoryLocks,
        "bootstrap.engine.verified_pulls.PrivateDirectory": MemoryDirectory,
        "bootstrap.plugin.entry_points.names": lambda: [provider.name],
        "bootstrap.plugin.entry_points.load": lambda _: provider,
        "bootstrap.plugin.context.uuid": SimpleNamespace(uuid4=_uuid4),
        "bootstrap.engine.image_check.nearest_image": _nearest_image,
        "bootstrap.engine.pull_check.nearest_image": _nearest_image,
        "bootstrap.registry.verification.exchange": _exchange,
        "bootstrap.registry.verification.fetch_challenge": _challenge,
    }
    with ExitStack() as stack:
        for name, instead in replaced.items():
            module, _, attribute = name.rpartition(".")
            stack.enter_context(mock.patch.object(import_module(module), attribute, instead))
        yield


@contextlib.contextmanager
def inside(world: Surroundings) -> Iterator[None]:
    """Select this world until this is left."""
    _WORLD.append(world)
    try:
        with clock.use(VirtualClock(world.loop, world.chance.random)):
            yield
    finally:
        _WORLD.pop()


async def _to_thread(work: Callable[..., T], *values: Any, **named: Any) -> T:
    """Run it in this thread, after other tasks."""
    await asyncio.sleep(_WORLD[-1].chance.random.random() * 0.01)
    return functools.partial(work, *values, **named)()


async def _run_group(argv: Sequence[str], **named: Any) -> ProcessResult:
    return await _WORLD[-1].akka.run_group(argv, **named)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=_WORLD[-1].chance.random.getrandbits(128))


async def _challenge(host: str, **_: Any) -> Challenge | PullAttempt:
    return Challenge("bearer", f"https://{host}/token", host)


async def _nearest_image(*_: object, **_named: object) -> str:
    """The registry lists no images."""
    return ""


async def _exchange(probe: Probe, _: Challenge, credential: Credential | None, **_named: Any) -> PullAttempt:
    """One token exchange, and a read of the manifest."""
    if credential is None:
        return PullAttempt(Verdict.IDENTITY_REFUSED, "unauthorized")
    role = f"pull-{probe.host.partition('.')[0]}"
    try:
        answer = await _WORLD[-1].cloud.authenticate(credential.username, credential.password.reveal(), role)
    except ApiError as error:
        if error.rate_limited:
            return PullAttempt(Verdict.RATE_LIMITED, error.summary, retry_after=error.retry_after)
        return PullAttempt(Verdict.UNREACHABLE, error.summary)
    verdicts = {"unknown": Verdict.IDENTITY_REFUSED, "no grant": Verdict.NO_GRANT, "pulls": Verdict.PULLS}
    return PullAttempt(verdicts[answer], "read the manifest" if answer == "pulls" else answer)

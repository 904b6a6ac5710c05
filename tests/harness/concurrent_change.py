"""What someone else does while pullkey is at work: at a call that a test names."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.kill_points import Victim
from bootstrap.testing.harness.world import World
from providers.gcr.emulator.state import Key, generate_private_key
from tests.harness.google_state import ACCOUNT, NAME, account

_PUBLIC = generate_private_key().public_key()
MEMBER = f"serviceAccount:{ACCOUNT}"


class Meanwhile(Fault):
    """Nothing goes wrong; but when the call comes, somebody else does something, `after` seconds later."""

    act: Callable[[], object]
    after: float | None = None

    def hits(self) -> bool:
        if super().hits():
            if self.after is None:
                self.act()
            else:
                asyncio.get_running_loop().call_later(self.after, self.act)
        return False


def meanwhile(world: World, spec: str, act: Callable[[], object], after: float | None = None) -> None:
    """Do that when the call comes which `spec` names."""
    fault = Meanwhile.parse(f"{spec}=503")
    assert isinstance(fault, Meanwhile)
    fault.act, fault.after = act, after
    world.running.sandbox.faults.faults.append(fault)


def create_key(gcr: World) -> Key:
    """That another run makes, of the account that both use."""
    key: Key = gcr.cloud.state.add_key(account(gcr), _PUBLIC)
    return key


def register_key(world: World, key_id: str) -> None:
    """Another run registers that key."""
    theirs = AkkaCredential(
        "https://europe-west1-docker.pkg.dev", "_json_key", ACCOUNT.replace("@", f"+{key_id}@"), "theirs"
    )
    world.akka.projects["shop"].put_credential(NAME, theirs, dt.datetime.now(dt.UTC))


@contextmanager
def fail_after(world: World, call: str, number: int, faults: Sequence[str]) -> Iterator[None]:
    """Meanwhile, once a call has come that often, let others fail."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if world.calls(call) >= number:
                for one in faults:
                    world.fault(one)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class During(Fault):
    """What happens while a call is answered."""

    happens: Callable[[], object]

    def hits(self) -> bool:
        hit = super().hits()
        if hit:
            self.happens()
        return hit


@contextlib.contextmanager
def during(victim: Victim, call: str, happens: Callable[[], object], **fault: Any) -> Iterator[None]:
    """While that call is answered, that happens. With `status` the call is refused too; without, it is
    done.
    """
    pattern, _, number = call.partition("#")
    one = During(pattern, "status" if fault else "slow", skips=int(number or 1) - 1, **fault)
    one.happens = happens
    plan = victim.life.world.running.sandbox.faults.faults
    plan.insert(0, one)
    yield
    assert one.taken, f"{call} was never called"
    plan.clear()

"""A Google project of its own for one test, with a credential in Akka's record: what later commands find
behind it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import Removal
from bootstrap.testing.harness.world import World
from providers.gcr import provider
from providers.gcr.emulator.state import Key, Project, Repository, ServiceAccount, generate_private_key
from providers.gcr.session import GcrSession
from providers.gcr.target import GcrTarget
from tests.harness.google_state import READER

T = TypeVar("T")
HOST = "europe-west1-docker.pkg.dev"


PUBLIC = generate_private_key().public_key()
_NUMBERS = itertools.count(1)


@dataclass
class Shop:
    """A project that nobody else uses, with two repositories and an account of pullkey's that may pull
    from one.
    """

    world: World
    project: Project
    account: ServiceAccount
    key: Key

    @property
    def repository(self) -> Repository:
        return self.project.repositories["europe-west1", "containers"]

    @property
    def name(self) -> str:
        return f"europe-west1-docker-pkg-dev-{self.project.id}-containers"

    def held(
        self, name: str = "", *, host: str = HOST, account: ServiceAccount | None = None
    ) -> HeldCredential:
        of = account or self.account
        user, _, domain = of.email.partition("@")
        link = KeyRef(user, next(iter(of.keys)), domain)
        return HeldCredential(name or self.name, f"https://{host}", "_json_key", str(link), "OK")

    def add_account(self, name: str, *, project: str = "", ours: bool = True) -> ServiceAccount:
        state = self.world.cloud.state
        made = state.add_account(project or self.project.id, name, created=self.project.created)
        made.description = "Pulls images for Akka. Made by pullkey, run 0123456789ab." if ours else "Pulls."
        state.add_key(made, PUBLIC, created=self.project.created)
        assert isinstance(made, ServiceAccount)
        return made

    def grant(
        self, where: Project | Repository | ServiceAccount, role: str, member: str, **more: Any
    ) -> None:
        where.policy.grant(role, member, since=self.project.created, **more)

    def locate(self, held: HeldCredential, **login: str) -> GcrTarget:
        return in_command(lambda context: provider.locate(held, context, login))

    def session(self, ask: Callable[[GcrSession], Awaitable[T]], held: HeldCredential | None = None) -> T:
        """Ask a session of the target that stands behind Akka's record."""
        return with_session(self.locate(held or self.held()), ask)

    def removal(self, step: str, held: HeldCredential | None = None) -> Removal:
        async def ask(session: GcrSession) -> Removal:
            (found,) = [it for it in session.steps if it.name == step]
            removal = await found.removal()
            assert removal is not None
            return removal

        return self.session(ask, held)

    def remove(self, step: str) -> str:
        async def ask(session: GcrSession) -> str:
            (found,) = [it for it in session.steps if it.name == step]
            return await found.remove()

        return self.session(ask)


def with_session(target: GcrTarget, ask: Callable[[GcrSession], Awaitable[T]]) -> T:
    async def work(context: RunContext) -> T:
        session = provider.open(target, context)
        assert isinstance(session, GcrSession)
        await session.connect()
        return await ask(session)

    return in_command(work)


def in_command(work: Callable[[RunContext], Awaitable[T]]) -> T:
    """Run what a command would, with its shared login, and close that."""

    async def command() -> T:
        context = RunContext(Deadline(20), lambda _: None, lambda _: None)
        try:
            return await work(context)
        finally:
            await context.shared.close()

    return asyncio.run(command())


def new_shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop of its own for one test in a world that several share, whose environment is this process's
    meanwhile.
    """
    for name, value in world.running.environment.items():
        monkeypatch.setenv(name, value)
    state = world.cloud.state
    number = next(_NUMBERS)
    project = state.add_project(f"shop-number-{number}", f"{4000 + number}")
    project.policy.grant("roles/owner", f"serviceAccount:{state.operator}", since=project.created)
    for name in ("containers", "tools"):
        state.add_repository(project.id, "europe-west1", name).created = project.created
    made = Shop(
        world, project, ServiceAccount("", "", "", project.created), Key("", PUBLIC, *[project.created] * 3)
    )
    made.account = made.add_account("akka-docker-reader")
    (made.key,) = made.account.user_keys()
    made.grant(made.repository, READER, made.account.member)
    yield made
    state.denied_permissions.clear()
    world.running.sandbox.faults.faults.clear()

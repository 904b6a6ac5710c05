"""What `list`, `rotate` and `offboard` see of a Docker Hub token from Akka's record alone."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import pytest

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.testing.harness.world import World
from providers.docker_hub import provider
from providers.docker_hub.emulator.seed import OWNER, PASSWORD
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.hub import Hub, Login
from providers.docker_hub.session import DockerHubSession
from tests.harness.docker_hub_state import (
    LOGIN,
    NAME,
    ORGANIZATION,
    ORGANIZATION_NAME,
    add_external_pat,
    onboard,
    our_oats,
    our_pats,
)

T = TypeVar("T")


def in_session(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[DockerHubSession], Awaitable[T]],
    *,
    password: str | None = PASSWORD,
    name: str = NAME,
    login: dict[str, Any] | None = None,
) -> T:
    """A session as `list` and `rotate` open one, from Akka's record alone."""
    for variable, value in world.running.environment.items():
        monkeypatch.setenv(variable, value)
    stored = world.held(name)
    held = HeldCredential(name, stored.server, stored.username, stored.email, "OK")
    asked: list[str] = []

    async def ask(what: str) -> Secret | None:
        asked.append(what)
        return Secret(password) if password is not None else None

    async def known() -> HeldCredential:
        return held

    async def run() -> T:
        context = RunContext(Deadline(20), lambda _: None, lambda _: None, held=known, ask_secret=ask)
        assert provider.recognises(held)
        target = await provider.locate(held, context, login or {})
        session = provider.open(target, context)
        assert isinstance(session, DockerHubSession)
        try:
            return await work(session)
        finally:
            await session.close()
            await context.shared.close()
            assert len(asked) <= 1  # one login, however many calls

    return asyncio.run(run())


class TestTheTokenLater:
    def test_its_facts_switching_and_deleting(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)

        async def work(session: DockerHubSession) -> None:
            assert not session.key.supplied
            assert session.key.can_disable
            facts = await session.key.facts(pat.uuid)
            assert facts is not None
            assert (facts.key_id, facts.disabled) == (pat.uuid, False)
            assert facts.expires is not None
            assert abs(facts.expires - pat.expires) < dt.timedelta(seconds=1)
            await session.key.switch(pat.uuid, on=False)
            assert not pat.active
            facts = await session.key.facts(pat.uuid)
            assert facts is not None
            assert facts.disabled
            await session.key.switch(pat.uuid, on=True)
            assert pat.active
            assert await session.key.delete(pat.uuid)
            assert not await session.key.delete(pat.uuid)
            assert await session.key.facts(pat.uuid) is None

        in_session(hub, monkeypatch, work)
        assert our_pats(hub) == []

    def test_of_an_organisation(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/cart")
        (oat,) = our_oats(hub)

        async def work(session: DockerHubSession) -> None:
            assert await session.key.facts(oat.id) is not None
            await session.prompt_secrets()
            # One that replaces it may pull the same.
            await session.steps[0].do()
            assert session.credential is not None
            assert (await session.probe()).repository == "acme/checkout"
            await session.key.switch(oat.id, on=False)

        in_session(hub, monkeypatch, work, name=ORGANIZATION_NAME, login={"hub_user": OWNER})
        assert not oat.active
        assert [one["path"] for one in our_oats(hub)[1].resources] == ["acme/checkout", "acme/cart"]

    def test_one_that_was_brought_is_for_whoever_made_it(
        self, hub: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)

        async def work(session: DockerHubSession) -> None:
            assert session.key.supplied
            assert not session.key.can_disable
            with pytest.raises(PullkeyError, match="its id is not known"):
                await session.key.delete("0123456789ab")
            assert "personal-access-tokens" in session.key.delete_command("0123456789ab")

        in_session(hub, monkeypatch, work)

    @pytest.mark.parametrize(
        ("name", "login", "why"),
        [(NAME, {}, "no login was supplied"), (ORGANIZATION_NAME, {}, "who logs in is not known")],
    )
    def test_without_a_login_it_is_said_that_nobody_was_asked(
        self, hub: World, monkeypatch: pytest.MonkeyPatch, name: str, login: dict[str, Any], why: str
    ) -> None:
        assert onboard(hub, *(LOGIN if name == NAME else ORGANIZATION)).code == 0
        made = (our_pats(hub) or our_oats(hub))[0]

        async def work(session: DockerHubSession) -> None:
            with pytest.raises(PullkeyError, match=why):
                await session.key.facts(getattr(made, "uuid", None) or made.id)

        in_session(hub, monkeypatch, work, password=None, name=name, login=login)

    def test_a_refused_login_is_tried_once(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)
        before = hub.calls("hub.CreateAuthToken")

        async def work(session: DockerHubSession) -> None:
            for _ in range(3):
                with pytest.raises(PullkeyError, match="refuses the login"):
                    await session.key.facts(pat.uuid)

        in_session(hub, monkeypatch, work, password="wrong-password")
        assert hub.calls("hub.CreateAuthToken") == before + 1


def test_a_limited_login_is_not_a_refused_one() -> None:
    """A later target of the same command tries again."""
    answers = [HubApiError(429, "slow down", retry_after=900.0), None]

    class Limited:
        context = RunContext(Deadline(9), lambda _: None, lambda _: None)

        async def log_in(self, user: str, secret: Secret) -> Secret:
            if error := answers.pop(0):
                raise error
            return Secret("bearer")

    login, hub = Login("acmebot", Secret(PASSWORD)), cast("Hub", Limited())
    with pytest.raises(PullkeyError):
        asyncio.run(login.bearer(hub))
    assert asyncio.run(login.bearer(hub)).reveal() == "bearer"

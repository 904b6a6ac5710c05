"""A key that no later run could find again by Akka's record is an error of the provider, before it is created
where its form is known; else it is deleted. Otherwise each run would create one more, and end well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import ProviderFault
from bootstrap.model.key_ref import KeyRef, why_not_found_again
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.step import Done
from bootstrap.testing.simulation import cloud, steps
from bootstrap.testing.simulation.cloud import Key
from bootstrap.testing.simulation.ended import CommandResult
from bootstrap.testing.simulation.scenario import Command, Scenario
from bootstrap.testing.simulation.seams import inside, simulated
from bootstrap.testing.simulation.steps import KeyStep
from bootstrap.testing.simulation.world import World

FAULT = "This is a fault of the provider: update it, or report this to its authors"
CREATED = "No later run could find the key again that the provider bootstrap has created: "


@pytest.fixture(autouse=True)
def in_a_simulation() -> Iterator[None]:
    with simulated():
        yield


def onboard(*, labels: bool = True, robots: bool = False) -> tuple[World, CommandResult]:
    """One onboarding in an empty cloud."""
    world = World(Scenario(1, ((Command("onboard"),),), labels=labels, robots=robots))
    with inside(world):
        ended = world.loop.run_until_complete(world._command(Command("onboard")))
        world.loop.close()
    return world, ended


def keys(world: World) -> list[str]:
    """The keys that exist, and those that have been created since the beginning."""
    return sorted(key_id for key_id in world.created if world.cloud.is_alive(key_id))


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud numbers its keys, as Harbor numbers robot accounts."""
    made = iter(range(17, 99))

    class Numbered(Key):
        def __init__(self, *args: object, **named: object) -> None:
            super().__init__(*args, **named)  # type: ignore[arg-type]
            object.__setattr__(self, "key_id", str(next(made)))

    monkeypatch.setattr(cloud, "Key", Numbered)


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("labels", [True, False], ids=["marked", "unmarked"])
def test_an_id_that_the_email_cannot_carry_ends_the_run_and_leaves_no_key(labels: bool) -> None:
    world, ended = onboard(labels=labels)

    assert ended.exit_code == 1
    assert world.created == {"17"}
    assert keys(world) == []
    assert world.akka.held(world.targets[0].secret_name) is None
    assert ended.left_over == []
    assert str(ended.error) == f"{CREATED}the id '17' is not 6 to 64 letters, digits and dashes"
    assert isinstance(ended.error, ProviderFault)
    assert (ended.error.fix, ended.error.code) == (FAULT, Code.PROVIDER_CONTRACT)


@pytest.mark.usefixtures("numbered")
def test_where_the_form_of_ids_is_known_no_key_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyStep, "example_ref", lambda _: KeyRef("robot", "17", "one.registry.example"))

    world, ended = onboard()

    assert ended.exit_code == 3
    assert world.created == set()
    assert world.cloud.identities.truth(world.targets[0].identity_name) is None
    assert ended.notices == [
        (
            "The provider bootstrap creates keys that no later run could find again: the id '17' is not 6 to "
            f"64 letters, digits and dashes {FAULT}"
        )
    ]


def changed(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Let the key step report a credential in which this differs."""
    real = KeyStep.credential_of

    async def credential_of(self: KeyStep, answer: Key) -> Credential:
        made = await real(self, answer)
        return replace(made, **{name: one(made) if callable(one) else one for name, one in fields.items()})

    monkeypatch.setattr(steps.KeyStep, "credential_of", credential_of)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (
            "link",
            lambda made: replace(made.link, name="a.dotted.name"),
            (
                f"{CREATED}the e-mail KEY@a.dotted.name.was-KEY.one.registry.example does not lead back to "
                "key KEY of 'a.dotted.name'"
            ),
        ),
        (
            "link",
            lambda made: replace(made.link, key_id="another-key"),
            "The provider bootstrap reports key KEY, and its credential is of key another-key",
        ),
        (
            "link",
            lambda made: replace(made.link, name="another"),
            f"{CREATED}Akka's credential is of another identity, another@one.registry.example",
        ),
        ("username", "somebody", f"{CREATED}Akka's credential is of another identity, somebody"),
        (
            "server",
            "https://elsewhere.example",
            f"{CREATED}Akka's credential is for https://elsewhere.example",
        ),
    ],
    ids=["name", "id", "identity", "user name", "server"],
)
def test_a_credential_that_would_not_be_found_again(
    monkeypatch: pytest.MonkeyPatch, field: str, value: object, says: str
) -> None:
    changed(monkeypatch, **{field: value})

    world, ended = onboard()

    (key_id,) = world.created
    assert str(ended.error) == says.replace("KEY", key_id)
    assert (ended.exit_code, keys(world), ended.left_over) == (1, [], [])


def test_a_user_name_of_the_key_that_is_compared_with_the_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyStep, "is_username", KeyResource.is_username)

    world, ended = onboard(robots=True)

    assert str(ended.error).startswith(f"{CREATED}Akka's credential is of another identity, ")
    assert (ended.exit_code, keys(world)) == (1, [])


def test_a_user_name_that_only_the_creating_run_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a session that answers with the credential's user name while it has one."""

    async def username(self: object) -> str | None:
        return self.credential.username if self.credential else None  # type: ignore[attr-defined]

    monkeypatch.setattr("bootstrap.testing.simulation.session.SimulatedSession.username", username)
    monkeypatch.setattr(KeyStep, "is_username", KeyResource.is_username)

    world, ended = onboard(robots=True)

    assert str(ended.error).startswith(f"{CREATED}Akka's credential is of another identity, ")
    assert keys(world) == []


def test_no_credential_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    real = KeyStep.do

    async def do(self: KeyStep) -> Done:
        done = await real(self)
        self._session.credential = None
        return done

    monkeypatch.setattr(KeyStep, "do", do)

    world, ended = onboard()

    assert str(ended.error) == "The provider bootstrap has created a key and set no credential for Akka"
    assert keys(world) == []


@pytest.mark.parametrize("labels", [True, False], ids=["marked", "unmarked"])
def test_a_key_whose_credential_cannot_be_made_is_deleted(
    monkeypatch: pytest.MonkeyPatch, labels: bool
) -> None:
    async def credential_of(self: KeyStep, answer: Key) -> Credential:
        raise ValueError

    monkeypatch.setattr(KeyStep, "credential_of", credential_of)

    world, ended = onboard(labels=labels)

    assert (ended.exit_code, len(world.created), keys(world)) == (1, 1, [])


@pytest.mark.parametrize("labels", [True, False], ids=["marked", "unmarked"])
def test_a_key_that_is_found_again_is_kept(labels: bool) -> None:
    for robots in (False, True):
        world, ended = onboard(labels=labels, robots=robots)

        assert (ended.exit_code, len(keys(world))) == (0, 1), ended.error


@pytest.mark.parametrize(
    ("ref", "replaced", "says"),
    [
        (KeyRef("robot", "abc123", "registry.example.com"), True, ""),
        (
            KeyRef("robot", "../abc123", "x"),
            True,
            "the id '../abc123' is not 6 to 64 letters, digits and dashes",
        ),
        (KeyRef("first.last", "abc123", "example.com"), False, ""),
        (
            KeyRef("first.last", "abc123", "example.com"),
            True,
            (
                "the e-mail abc123@first.last.was-abc123.example.com does not lead back to key abc123 of "
                "'first.last'"
            ),
        ),
        (
            KeyRef("n" * 40, "1" * 36, "example.com"),
            False,
            (
                f"the e-mail {'1' * 36}@{'n' * 40}.example.com does not lead back to key {'1' * 36} of "
                f"'{'n' * 40}'"
            ),
        ),
        (
            KeyRef("robot", "abc123", ""),
            False,
            "the e-mail robot+abc123@ does not lead back to key abc123 of 'robot'",
        ),
    ],
)
def test_which_keys_an_email_leads_back_to(ref: KeyRef, replaced: bool, says: str) -> None:
    assert why_not_found_again(ref, replaced=replaced) == says

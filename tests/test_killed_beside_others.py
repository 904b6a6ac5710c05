"""A run was killed, and its key may be in use in another region, or in a project that cannot be read now: the
next run keeps it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.sandbox.akka_projects import DOCKER_TYPE, AkkaCredential, AkkaProject, AkkaSecret, Scope
from bootstrap.testing.harness.credential_life import Life
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import REGISTERED, Point, Victim, keys_of, scene
from bootstrap.testing.harness.puller import pulls
from tests.harness.concurrent_change import meanwhile
from tests.harness.google_state import account

REGIONS = ("gcp-us-east1", "aws-us-east-2")
ROTATIONS = ["rotate", "rotate --keep-old 0"]
REMOVED = Point("akka.secrets.delete", 1, "after")


def works(life: Life, held: AkkaCredential) -> bool:
    return pulls(life.world.running.environment, held, patience=0)


def lagging(life: Life, name: str, held: AkkaCredential) -> Callable[[], None]:
    """The project's second region shows that record instead. Returns what ends that."""
    akka = life.world.akka
    akka.projects["shop"].regions = REGIONS
    shows = akka._listed

    def listed(project: AkkaProject) -> list[object]:
        return [
            dataclasses.replace(one, row={**one.row, "email": held.email})
            if (project.name, one.region, one.name) == ("shop", REGIONS[1], name)
            else one
            for one in shows(project)
        ]

    def end() -> None:
        akka._listed = shows  # type: ignore[method-assign]

    akka._listed = listed  # type: ignore[method-assign, assignment]
    return end


def copied(life: Life, *held: AkkaCredential) -> None:
    """Register it in the project `billing` too; two are of its two regions."""
    billing, now = life.world.akka.projects["billing"], life.world.running.sandbox.now()
    if len(held) == 1:
        billing.put_credential("copied", held[0], now)
        return
    for region, one in zip(billing.regions, held, strict=True):
        scope = Scope(region, False, False)
        billing.secrets.write("copied", AkkaSecret(DOCKER_TYPE, vars(one)), scope, now)
        billing.registries.write("copied", None, scope, now)


def of_another_key(held: AkkaCredential) -> AkkaCredential:
    link = KeyRef.parse(held.email)
    assert link is not None
    return dataclasses.replace(held, email=held.email.replace(link.key_id, "f" * 40))


def begun(victim: Victim, command: str, point: Point) -> AkkaCredential:
    """What Akka holds before a run that is killed at that point."""
    life = victim.life
    victim.command, victim.name = command, life.name
    held = life.world.held(victim.name)
    assert victim.killed(point)
    return held


def rotated_twice(life: Life) -> None:
    """On another machine, so that the record does not name the key of the killed run."""
    elsewhere = {"PULLKEY_STATE_DIR": str(life.world.place), "PULLKEY_OVERLAP": "0"}
    for _ in range(2):
        assert life.world.run("rotate", life.name, "--yes", env=elsewhere).code == 0


# -- regions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ROTATIONS)
def test_a_replaced_key_is_kept_while_a_region_shows_it(command: str) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        held = begun(victim, command, REGISTERED)
        in_step = lagging(life, victim.name, held)

        done = life.onboard()

        assert works(life, held), done.text
        assert done.code == 6, done.text
        assert "which Akka held before and may still hold" in done.err

        in_step()
        again = life.onboard()
        assert again.code == 0, again.text
        assert not works(life, held), again.text


@pytest.mark.parametrize("command", ROTATIONS)
def test_the_next_rotation_keeps_it_too_until_all_regions_show_the_third(command: str) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        held = begun(victim, command, REGISTERED)
        in_step = lagging(life, victim.name, held)
        old, there = life.link.replaces, []

        def registered() -> None:
            there.append(keys_of(victim)[old])
            in_step()

        meanwhile(life.world, "akka.docker.add-credentials", registered)
        done = life.command("rotate", life.name)

        assert done.code == 0, done.text
        assert there[0].endswith("disabled=False")
        assert not works(life, held), done.text


def test_a_key_that_akka_shows_in_another_region_is_not_deleted_for_one_in_the_first() -> None:
    """The first shows another run's key; the other one shows none, and may have that of the killed run."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        begun(victim, "rotate", REGISTERED)
        held = life.world.held(victim.name)
        elsewhere = {"PULLKEY_STATE_DIR": str(life.world.place), "PULLKEY_OVERLAP": "0"}
        lost = life.link.key_id
        assert life.world.run("rotate", life.name, "--yes", env=elsewhere).code == 0
        account(life.world).keys[lost].disabled = False
        newer = life.world.held(victim.name)
        of_first_run = dataclasses.replace(newer, email=str(dataclasses.replace(life.link, replaces="")))
        life.world.akka.projects["shop"].put_credential(
            victim.name, of_first_run, life.world.running.sandbox.now()
        )
        lagging(life, victim.name, dataclasses.replace(held, email=""))

        done = life.onboard()

        assert works(life, held), done.text
        assert done.code == 6, done.text


@pytest.mark.parametrize("command", ROTATIONS)
def test_each_region_of_another_credential_counts(command: str) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        held = life.world.held(victim.name)
        copied(life, of_another_key(held), held)
        begun(victim, command, REGISTERED)

        done = life.onboard()

        assert done.code == 0, done.text
        assert works(life, held), done.text


# -- projects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "point"), [*((one, REGISTERED) for one in ROTATIONS), ("offboard", REMOVED)]
)
def test_a_key_is_kept_where_another_project_cannot_be_read_now(command: str, point: Point) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        copied(life, life.world.held(victim.name))
        held = begun(victim, command, point)
        life.world.akka.unavailable = {"billing"}

        done = life.onboard()

        assert works(life, held), done.text
        assert done.code == 6, done.text
        assert "which Akka project billing may have too: it could not be read" in done.err

        life.world.akka.unavailable = set()
        again = life.onboard()
        assert again.code == 0, again.text
        assert works(life, held), again.text


@pytest.mark.parametrize(
    ("command", "point"), [*((one, REGISTERED) for one in ROTATIONS), ("offboard", REMOVED)]
)
def test_it_is_taken_out_of_use_once_the_project_can_be_read(command: str, point: Point) -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        held = begun(victim, command, point)
        life.world.akka.unavailable = {"billing"}
        assert life.onboard().code == 6
        life.world.akka.unavailable = set()

        again = life.onboard()

        assert again.code == 0, again.text
        assert not works(life, held), again.text


def test_a_key_that_was_given_to_akka_is_kept_where_another_project_cannot_be_read_now() -> None:
    """Akka has had it, so a copy of it can be there; since then another run's key has replaced it."""
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        begun(victim, "rotate", REGISTERED)
        held = life.world.held(victim.name)
        copied(life, held)
        rotated_twice(life)
        life.world.akka.unavailable = {"billing"}

        done = life.onboard()

        assert works(life, held), done.text
        assert done.code == 6, done.text
        life.world.akka.unavailable = set()
        again = life.onboard()
        assert again.code == 0, again.text
        assert works(life, held), again.text


def test_what_was_held_back_is_kept_where_another_project_cannot_be_read_then() -> None:
    with scene(fork_server(), "gcr", "rotate") as victim:
        life = victim.life
        copied(life, life.world.held(victim.name))
        held = begun(victim, "rotate", REGISTERED)
        shop, akka = life.world.akka.projects["shop"], life.world.akka
        shop.registries.remove(victim.name, None)
        shop.secrets.remove(victim.name, None)

        def unread() -> None:
            akka.unavailable = {"billing"}

        meanwhile(life.world, "akka.docker.add-credentials", unread)
        done = life.onboard()

        assert works(life, held), done.text
        assert done.code == 6, done.text
        akka.unavailable = set()
        again = life.onboard()
        assert again.code == 0, again.text
        assert works(life, held), again.text

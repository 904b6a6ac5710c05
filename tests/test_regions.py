"""A command for one region of a project: the other ones count as another project does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.sandbox.akka_platform import Request
from bootstrap.sandbox.akka_projects import (
    DOCKER_TYPE,
    AkkaCredential,
    AkkaError,
    AkkaProject,
    AkkaSecret,
    Scope,
)
from bootstrap.testing.harness.credential_life import Life, living
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import REGISTERED, scene
from bootstrap.testing.harness.puller import pulls

HERE, THERE = "gcp-us-east1", "aws-us-east-2"
IN_REGION = {"PULLKEY_AKKA_REGION": HERE, "PULLKEY_OVERLAP": "0"}
COMMANDS = [("rotate",), ("rotate", "--keep-old", "0"), ("offboard",)]


@pytest.fixture
def life() -> Iterator[Life]:
    """Of a project with two regions, registered in the first."""
    with living("gcr") as one:
        one.world.akka.projects["shop"].regions = (HERE, THERE)
        done = one.onboard("--akka-region", HERE)
        assert done.code == 0, done.text
        yield one


def works(life: Life, held: AkkaCredential) -> bool:
    return pulls(life.world.running.environment, held, patience=0)


def register_there(life: Life, name: str, held: AkkaCredential) -> None:
    shop, now = life.world.akka.projects["shop"], life.world.running.sandbox.now()
    scope = Scope(THERE, False, False)
    shop.secrets.write(name, AkkaSecret(DOCKER_TYPE, vars(held)), scope, now)
    shop.registries.write(name, None, scope, now)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("same_name", [True, False])
def test_a_key_that_another_region_has_is_kept(life: Life, command: tuple[str, ...], same_name: bool) -> None:
    held = life.world.held(life.name)
    register_there(life, life.name if same_name else "copied", held)

    done = life.world.run(command[0], life.name, *command[1:], "--yes", env=IN_REGION)

    assert done.code == 0, done.text
    assert works(life, held), done.text
    assert f"of Akka project shop in {THERE}" in done.err or f"of project shop in {THERE}" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_without_it_the_key_is_taken_out_of_use(life: Life, command: tuple[str, ...]) -> None:
    held = life.world.held(life.name)

    done = life.world.run(command[0], life.name, *command[1:], "--yes", env=IN_REGION)

    assert done.code == 0, done.text
    assert not works(life, held), done.text


def test_the_next_rotation_keeps_the_key_that_the_other_region_still_has(life: Life) -> None:
    held = life.world.held(life.name)
    register_there(life, life.name, held)
    for _ in range(2):
        done = life.world.run("rotate", life.name, "--yes", env=IN_REGION)
        assert done.code == 0, done.text
        assert works(life, held), done.text


def test_an_offboarding_is_refused_where_the_other_region_cannot_be_read_now(life: Life) -> None:
    held = life.world.held(life.name)
    register_there(life, life.name, held)
    akka = life.world.akka
    views = akka._views

    def only_here(request: Request) -> tuple[AkkaProject, list[str]]:
        project, regions = views(request)
        if len(regions) > 1 and project.name == "shop":
            raise AkkaError(503, "try again later")
        return project, regions

    akka._views = only_here  # type: ignore[method-assign]

    refused = life.world.run("offboard", life.name, "--yes", env=IN_REGION)

    assert refused.code == 3, refused.text
    assert "Akka project shop in its other regions could not be read" in refused.err
    assert works(life, held)


@pytest.mark.parametrize("column", ["", "projects/1/regions/{}", "Elsewhere"])
def test_it_does_not_matter_how_akka_shows_a_region(life: Life, column: str) -> None:
    """The layout of `--all-regions` is not documented."""
    held = life.world.held(life.name)
    akka = life.world.akka
    where = akka._where
    akka._where = lambda project, region, *more: {  # type: ignore[method-assign]
        **where(project, region, *more),
        "region": column.format(region),
    }
    register_there(life, life.name, held)

    gone = life.world.run("offboard", life.name, "--yes", env=IN_REGION)

    assert gone.code == 0, gone.text
    assert works(life, held), gone.text


def test_a_cleanup_after_a_killed_run_counts_it() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        life.world.akka.projects["shop"].regions = (HERE, THERE)
        assert life.onboard("--akka-region", HERE).code == 0
        victim.name = life.name
        held = life.world.held(victim.name)
        register_there(life, victim.name, held)
        victim.command = f"rotate --akka-region {HERE}"
        assert victim.killed(REGISTERED)

        done = life.onboard("--akka-region", HERE)

        assert done.code == 0, done.text
        assert works(life, held), done.text


@pytest.fixture
def behind() -> Iterator[tuple[Life, list[Any]]]:
    """Of a project whose first listed region stays behind what the other one has; its rows."""
    with living("acr") as life:
        akka, shop = life.world.akka, life.world.akka.projects["shop"]
        shop.regions, shop.primary = (HERE, THERE), THERE
        assert life.onboard().code == 0
        listed = akka._listed
        rows = [one for one in listed(shop) if one.region == HERE]

        def with_old_rows(project: AkkaProject) -> list[Any]:
            current = listed(project)
            if project is not shop or not rows or not current:
                return current
            return [*rows, *(one for one in current if one.region != HERE)]

        akka._listed = with_old_rows  # type: ignore[method-assign]
        yield life, rows


def test_a_key_that_only_a_second_region_shows_is_not_forgotten(behind: tuple[Life, list[Any]]) -> None:
    """What the first region shows is taken for the credential."""
    life, rows = behind
    assert life.command("rotate", life.name).code == 6
    second = life.link.key_id
    done = life.command("rotate", life.name)
    assert done.code == 6, done.text
    assert f"left over: key {second}" in done.text
    # Once the regions agree, the next run deletes it.
    rows.clear()
    done = life.command("rotate", life.name, "--due")
    assert done.code == 0, done.text
    assert f"undone: deleted key {second}" in done.text


def test_an_offboarding_deletes_the_keys_of_all_regions(
    behind: tuple[Life, list[Any]], tmp_path: Path
) -> None:
    life, _ = behind
    assert life.command("rotate", life.name).code == 6
    elsewhere = {"PULLKEY_STATE_DIR": str(tmp_path)}
    done = life.world.run("offboard", life.name, "--yes", env=elsewhere)
    assert done.code == 0, done.text
    assert life.there() == life.before

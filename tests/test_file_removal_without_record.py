"""A target with `remove: true` of which Akka has no record: it is removed only once nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.credential_life import living
from tests.harness.registries_file import CONTAINERS, file_of

_SERVER = "server: europe-west1-docker.pkg.dev/acme-shop/containers"


def test_what_an_onboarding_has_left_over_is_removed_before_its_target_is_removed(tmp_path: Path) -> None:
    kept, removed = tmp_path / "kept.yaml", tmp_path / "removed.yaml"
    kept.write_text(file_of(_SERVER))
    removed.write_text(file_of(f"{_SERVER}; remove: true"))
    with living("gcr") as life:
        world = life.world
        for fault in (
            "akka.docker.add-credentials=403*forever",
            "iam.DeleteServiceAccountKey=403*forever",
            "iam.DeleteServiceAccount=403*forever",
        ):
            world.fault(fault)
        assert life.onboard("--akka-project", "shop").code == 6
        for command in (
            ("plan", "-f", str(removed)),
            ("apply", "-f", str(removed), "--yes"),
            ("list", "-f", str(removed)),
            ("rotate", "-f", str(kept), "--due", "--yes"),
            ("rotate", "-f", str(kept), "--due", "--dry-run"),
        ):
            done = world.run(*command)
            assert done.code == 6, done.text
            assert "service-accounts keys delete" in done.text
        world.running.sandbox.faults.faults.clear()
        done = world.run("apply", "-f", str(removed), "--yes")
        assert done.code == 0, done.text
        assert life.there() == life.before
        assert world.run("plan", "-f", str(removed)).code == 0


@pytest.mark.parametrize("command", ["apply --yes", "list"])
def test_a_removal_that_was_killed_on_another_machine_is_not_done(command: str, tmp_path: Path) -> None:
    file = tmp_path / "removed.yaml"
    file.write_text(file_of(f"{_SERVER}; remove: true"))
    verb, *more = command.split()
    with living("gcr") as life:
        assert life.onboard("--akka-project", "shop").code == 0
        key = life.link.key_id
        life.world.akka.projects["shop"].registries.remove(life.name, None)
        done = life.world.run(verb, "-f", str(file), *more)
        assert done.code == 6, done.text
        assert f"akka secrets delete {CONTAINERS}" in done.text
        assert f"keys delete {key}" in done.text

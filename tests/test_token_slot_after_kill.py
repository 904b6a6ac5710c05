"""acr-token: a rotation is killed with its new password generated; the slot it took is free again, or how
to free it is said.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.credential_life import akka_pulls, living, new_keys
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, scene
from tests.harness.concurrent_change import fail_after

TOKEN = "akka-docker-reader-checkout"

BEFORE_AKKA_IS_ASKED = Point("akka.docker.list-credentials", 7, "before")


@pytest.mark.parametrize("lagging_reads", [0, 1])
def test_its_slot_is_free_again(lagging_reads: int) -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        life = victim.life
        (old,) = new_keys(life)
        assert victim.killed(BEFORE_AKKA_IS_ASKED)
        (lost,) = new_keys(life) - {old}
        if lagging_reads:
            life.world.fault(f"arm.GetToken=404*{lagging_reads}")

        looked = life.onboard()
        assert looked.code == 0, looked.text
        assert new_keys(life) == {old}, looked.text
        assert lost in looked.err

        done = victim.run()
        assert done.code == 0, done.text
        assert akka_pulls(life)


def test_a_read_that_still_shows_what_was_removed_does_not_take_its_slot() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        life = victim.life
        assert victim.killed(Point("arm.GenerateCredentials", 1, "after"))
        assert life.world.calls("arm.UpdateToken") == 0

        with fail_after(life.world, "arm.UpdateToken", 1, ["arm.GetToken=stale*3"]):
            done = victim.run()

        assert done.code == 0, done.text
        assert akka_pulls(life)


def test_a_password_that_akka_may_have_is_named_with_the_command_that_frees_its_slot() -> None:
    with scene(fork_server(), "acr-token", "rotate") as victim:
        life = victim.life
        (old,) = new_keys(life)
        assert victim.killed(Point("akka.docker.add-credentials", 1, "before"))
        (kept,) = new_keys(life) - {old}
        slot = kept.partition("-")[0]

        left = victim.run()
        assert left.code == 6, left.text
        assert new_keys(life) == {old, kept}
        name, registry = "akka-docker-reader-checkout", "acmeshop"
        (command,) = {line.strip() for line in left.err.splitlines() if line.strip().startswith("az acr")}
        assert command == f"az acr token credential delete --name {name} --registry {registry} --{slot}"

        (of_registry,) = [one for one in life.world.cloud.state.registries if one.name == registry]
        of_registry.tokens[name].passwords.pop(slot)
        done = victim.run()
        assert done.code == 0, done.text
        assert akka_pulls(life)


def test_a_password_that_no_read_shows_after_its_generation_is_named_when_it_is_undone() -> None:
    with living("acr-token") as life:
        assert life.onboard().code == 0
        (old,) = new_keys(life)
        life.world.fault("registry.GetToken#2=401*forever")
        with fail_after(life.world, "arm.GenerateCredentials", 1, ["arm.GetToken=stale*forever"]):
            done = life.world.run("rotate", life.name, "--yes", "--timeout", "6s", "--output", "json")

        (lost,) = new_keys(life) - {old}
        assert done.code == 6, done.text
        (left,) = done.json["results"][0]["left_over"]
        assert lost in left["what"]
        assert left["command"].split()[:4] == ["az", "acr", "token", "credential"]
        assert f"--{lost.partition('-')[0]}" in left["command"]

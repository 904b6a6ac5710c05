"""The CLI's current project is the same project when it is named: what a run has left is found either way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.errors import TargetBusy
from bootstrap.engine.journal import Journal, journal_of
from bootstrap.model.errors import LeftOver, PullkeyError
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, keys_of, scene, wait_until
from bootstrap.testing.harness.world import World

SHOP = AkkaScope(project="shop")
UNNAMED = {"PULLKEY_AKKA_PROJECT": ""}
LEFT = LeftOver("key 123 of a reader", "gcloud iam service-accounts keys delete 123")


def state(gcr: World) -> Path:
    return Path(gcr.running.environment["PULLKEY_STATE_DIR"])


def test_what_a_run_of_the_named_project_has_left_over_is_listed(gcr: World) -> None:
    with (journal := Journal(state(gcr), SHOP.place("s0"), "gcr")).locked():
        journal.begin("abc", "pullkey offboard s0 --akka-project shop")
        journal.about_to("key", {}).leave(LEFT)
        journal.end()

    for scope in (("--akka-project", "shop"), ()):
        listed = gcr.run("list", *scope, env=UNNAMED)
        assert listed.code == 6, listed.text
        assert LEFT.what in listed.out


def test_a_run_of_the_named_project_is_found_at_work(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(
        "version: 1\ntargets:\n  - {provider: gcr, server: "
        "europe-west1-docker.pkg.dev/acme-shop/containers, secret-name: s0}\n"
    )
    with Journal(state(gcr), SHOP.place("s0"), "gcr").locked():
        one = gcr.onboard("--secret-name", "s0", env=UNNAMED)
        many = gcr.run("apply", "-f", str(file), "--yes", env=UNNAMED)

    for done in (one, many):
        assert done.code == 1, done.text
        assert "Another pullkey is at work on Akka's s0 of shop" in " ".join(done.err.split())
    assert not gcr.changes()


def test_a_record_of_an_earlier_version_is_found(tmp_path: Path) -> None:
    unnamed = AkkaScope()
    with (journal := Journal(tmp_path, unnamed.place("s0"), "gcr")).locked():
        journal.begin("abc", "pullkey onboard gcr")
        journal.about_to("identity", {})
    scope = AkkaScope(current="shop")

    found = Journal(tmp_path, scope.place("s0"), "gcr", scope.former_place("s0")).left_behind()

    assert found is not None
    assert found.run_id == "abc"
    assert scope.secret_at(found.place) == "s0"


OWNED = AkkaScope(project="shop", owner="acme")


@pytest.mark.parametrize(("begun", "later"), [(OWNED, SHOP), (SHOP, OWNED), (OWNED, AkkaScope())])
def test_what_is_left_over_is_found_whether_the_owner_is_named_or_not(
    gcr: World, begun: AkkaScope, later: AkkaScope
) -> None:
    with (journal := Journal(state(gcr), begun.place("s0"), "gcr")).locked():
        journal.begin("abc", "pullkey offboard s0")
        journal.about_to("key", {}).leave(LEFT)
        journal.end()

    options = [
        *(("--akka-project", later.project) if later.project else ()),
        *(("--akka-owner", later.owner) if later.owner else ()),
    ]
    listed = gcr.run("list", *options, env=UNNAMED)
    assert listed.code == 6, listed.text
    assert LEFT.what in listed.out
    named = replace(later, current="" if later.project else "shop")
    found = journal_of(state(gcr), named, "s0", "gcr").left_behind()
    assert found is not None
    assert found.run_id == "abc"


def test_a_project_of_another_owner_is_another_project(tmp_path: Path) -> None:
    with (journal := Journal(tmp_path, OWNED.place("s0"), "gcr")).locked():
        journal.begin("abc", "pullkey offboard s0")
        journal.about_to("key", {}).leave(LEFT)
        journal.end()
    for other in (
        replace(OWNED, owner="umbrella"),
        replace(OWNED, project="shop-2"),
        AkkaScope(project="acme"),
    ):
        assert journal_of(tmp_path, other, "s0", "gcr").left_behind() is None
    assert journal_of(tmp_path, SHOP, "s1", "gcr").left_behind() is None


def test_what_a_run_in_another_context_has_begun_is_not_ended_by_this_one(tmp_path: Path) -> None:
    """A context that is not named may be any, so it is left to the command that began it."""
    prod, staging = (replace(SHOP, context=name) for name in ("prod", "staging"))
    with (journal := journal_of(tmp_path, prod, "s0", "gcr")).locked():
        journal.begin("abc", "pullkey onboard gcr --akka-context prod")
        journal.about_to("key", {}).leave(LEFT)
        journal.end()

    same, unnamed = journal_of(tmp_path, prod, "s0", "gcr"), journal_of(tmp_path, SHOP, "s0", "gcr")
    assert journal_of(tmp_path, staging, "s0", "gcr").left_behind() is None
    lost = same.left_behind()
    assert lost is not None
    same.check_target(lost)
    with pytest.raises(PullkeyError, match="in the context prod") as refused:
        unnamed.check_target(unnamed.left_behind() or lost)
    assert refused.value.fix.endswith("pullkey onboard gcr --akka-context prod")
    assert [scope.secret_at(lost.place) for scope in (prod, SHOP, staging)] == ["s0", "s0", ""]


@pytest.mark.parametrize("command", ["pullkey onboard gcr --akka-context prod", "pullkey onboard gcr"])
def test_an_earlier_version_did_not_record_the_context(tmp_path: Path, command: str) -> None:
    with (journal := Journal(tmp_path, SHOP.place("s0"), "gcr")).locked():
        journal.begin("abc", command)
        journal.about_to("key", {})
    later = journal_of(tmp_path, replace(SHOP, context="prod"), "s0", "gcr")
    lost = later.left_behind()
    assert lost is not None
    with contextlib.nullcontext() if "prod" in command else pytest.raises(PullkeyError):
        later.check_target(lost)


def test_a_key_that_a_killed_run_gave_to_another_akka_pulls_after_a_run_in_a_named_context() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        assert victim.killed(Point("akka.docker.add-credentials", 1, "after"))
        (name,) = victim.life.world.names()
        keys = keys_of(victim)
        victim.life.world.forget(name)  # as the other Akka, which has a project of this name, shows it
        done = victim.life.onboard("--akka-context", "default")
        assert done.code == 1, done.text
        assert "named no context" in done.err
        assert keys_of(victim) == keys


NAMED_SO = {
    "current": ((), UNNAMED),
    "project": (("--akka-project", "shop"), UNNAMED),
    "project and owner": (("--akka-project", "shop", "--akka-owner", "acme"), UNNAMED),
}


@pytest.mark.parametrize(("first", "second"), [("project and owner", "project"), ("current", "project")])
def test_two_runs_for_one_secret_exclude_each_other_however_each_names_its_project(
    gcr: World, first: str, second: str
) -> None:
    options, env = NAMED_SO[first]
    with held_at_its_begin(gcr, *options, env=env):
        more, env = NAMED_SO[second]
        done = gcr.onboard(*more, env=env)
    assert done.code == 1, done.text
    assert "Another pullkey is at work on" in done.err
    named = re.search(r"fuser (/\S+/lock/\w+\.lock)$", done.err, re.MULTILINE)
    assert named, done.err
    assert Path(named[1]).exists()


@contextlib.contextmanager
def held_at_its_begin(gcr: World, *options: str, env: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile an onboarding is at work, which has nothing in its journal yet."""
    fault = Fault.parse("iam.GetServiceAccount=slow=10")
    gcr.running.sandbox.faults.faults.append(fault)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(gcr.onboard, *options, env=env)
        wait_until(lambda: fault.taken > 0)
        yield


def held(*scopes: AkkaScope, directory: Path) -> bool:
    """Whether runs for all of these go on at once."""
    with contextlib.ExitStack() as stack:
        try:
            for one in scopes:
                stack.enter_context(journal_of(directory, one, "s0", "gcr").locked())
        except TargetBusy:
            return False
    return True


def test_only_what_may_be_the_same_secret_excludes(tmp_path: Path) -> None:
    acme = AkkaScope(project="shop", shown_owner="acme", shown_project="shop")
    umbrella = AkkaScope(project="shop", owner="umbrella", shown_owner="umbrella", shown_project="shop")
    by_id = AkkaScope(project="5f0c", shown_owner="acme", shown_project="shop")
    unknown = AkkaScope(project="shop")
    assert held(acme, umbrella, directory=tmp_path)
    assert not held(acme, by_id, directory=tmp_path)
    assert not held(acme, unknown, directory=tmp_path)
    assert not held(unknown, umbrella, directory=tmp_path)
    assert held(unknown, AkkaScope(project="billing"), directory=tmp_path)
    east, west = (replace(acme, region=region) for region in ("east", "west"))
    assert held(east, west, directory=tmp_path)
    prod, staging = (replace(acme, context=name) for name in ("prod", "staging"))
    assert held(prod, staging, directory=tmp_path)
    assert not held(prod, replace(prod, region="east"), directory=tmp_path)
    assert not held(prod, acme, directory=tmp_path)
    assert not held(acme, prod, directory=tmp_path)
    assert not held(east, acme, directory=tmp_path)
    assert not held(acme, west, directory=tmp_path)

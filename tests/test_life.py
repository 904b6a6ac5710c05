"""The life of a credential: what is kept, deleted, listed and verified at its turns.

The conformance suite (`tests/test_conformance.py`) has the whole life of each kind of registry.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import jsonschema
import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.credential_life import MINTED, Life, living
from bootstrap.testing.harness.inventory import is_key
from bootstrap.testing.harness.inventory import key_id as inventory_key_id
from providers.gcr.emulator.state import generate_private_key


@pytest.fixture(params=MINTED)
def minted(request: pytest.FixtureRequest) -> Iterator[Life]:
    with living(request.param) as one:
        yield one


@pytest.mark.parametrize("how", [("--keep-old", "0"), ()], ids=["delete", "keep"])
def test_a_key_that_another_project_has_too_still_pulls_there_after_a_rotation(
    minted: Life, how: tuple[str, ...]
) -> None:
    """Somebody has registered it there by hand."""
    minted.onboard()
    world, first = minted.world, minted.link.key_id
    held = world.held(minted.name)
    world.akka.projects["billing"].put_credential("copied", held, world.running.sandbox.now())

    planned = minted.command("rotate", minted.name, "--dry-run", *how)
    assert "Leave the old key, which copied of Akka project billing has too" in planned.text
    rotated = minted.command("rotate", minted.name, *how)
    assert rotated.code == 0, rotated.text
    assert f"Key {first} stays valid: copied of Akka project billing has it too" in rotated.err
    assert minted.link.key_id != first
    assert _there(minted, first)
    assert not any(first in line and "disabled=True" in line for line in minted.there())

    if minted.kind.provider == "gcr":  # a token of Azure's has two passwords
        again = minted.command("rotate", minted.name, *how)
        assert again.code == 0, again.text
        assert _there(minted, first)


def test_one_key_at_a_time_is_on_its_way_out(minted: Life) -> None:
    """It is left its grace, and deleted by a run after that, or when the next one is replaced."""
    minted.onboard()
    first = minted.link.key_id
    rotated = minted.command("rotate", minted.name)
    assert rotated.code == 0, rotated.text
    second = minted.link.key_id
    assert minted.link.replaces == first
    assert _there(minted, first)
    assert ("Disabled" if minted.kind.disables_key else "is valid until") in rotated.err

    # Within its grace it stays; after it, a run deletes it, though no new key is due.
    early = minted.command("rotate", minted.name, "--due")
    assert early.code == 0, early.text
    assert _there(minted, first)
    time.sleep(1.1)
    late = minted.command("rotate", minted.name, "--due", "--keep-old", "1s")
    assert late.code == 0, late.text
    assert not _there(minted, first)
    assert minted.link.key_id == second

    # The third takes the place of the first; and without grace, the old one goes at once.
    assert minted.command("rotate", minted.name).code == 0
    third = minted.link.key_id
    assert minted.command("rotate", minted.name, "--keep-old", "0").code == 0
    assert not _there(minted, second)
    assert not _there(minted, third)
    assert _there(minted, minted.link.key_id)


@pytest.mark.parametrize("name", ["gcr", "docker-hub-user"])
def test_a_rotation_can_be_taken_back(name: str) -> None:
    with living(name) as life:
        life.onboard()
        old = life.link.key_id
        life.command("rotate", life.name)
        restored = life.command("rotate", life.name, "--restore", "--output", "json")
        assert restored.code == 0, restored.text
        assert "enabled again" in restored.err
        (shown,) = restored.json["results"]
        assert (shown["result"], shown["changed"]) == ("done", True)
        # And it stays so: a nightly job must not switch it off the next night.
        time.sleep(1.1)
        assert life.command("rotate", life.name, "--due", "--keep-old", "1s").code == 0
        assert _there(life, old)
        assert any(
            old in line and ("disabled=False" in line or "active=True" in line) for line in life.there()
        )


@pytest.mark.parametrize("kind", ["gcr-upload", "docker-hub-organization", "private"])
def test_what_is_not_due_and_what_is_only_to_be_shown_changes_nothing(kind: str) -> None:
    with living(kind) as life:
        life.onboard()
        before, link = life.there(), life.link
        kept = life.command("rotate", life.name, "--due")
        assert kept.code == 0, kept.text
        # Of a password that was supplied nobody can tell whether it is due, unless its age is asked about.
        assert ("not due" if kind != "private" else "a password that you supplied") in kept.err
        for command in ("rotate", "offboard"):
            shown = life.world.run(command, life.name, "--dry-run")
            assert shown.code == 0, shown.text
        assert life.there() == before
        assert life.link == link


def test_a_key_is_due_by_age_where_that_is_asked_for() -> None:
    with living("gcr") as life:
        life.onboard()
        key = life.link.key_id
        assert life.command("rotate", "--all", "--older-than", "1h").code == 0
        assert life.link.key_id == key
        assert life.command("rotate", "--all", "--older-than", "1ms").code == 0
        assert life.link.key_id != key


@pytest.mark.parametrize("kind", ["gcr", "acr-token", "docker-hub-organization", "private"])
def test_verify_by_name_says_what_is_proven_and_tries_the_password_where_it_is_given(kind: str) -> None:
    with living(kind) as life:
        life.onboard()
        arguments = ("verify", life.name, "--credential-stdin")
        proven = life.world.run(
            *arguments, stdin=life.world.held(life.name).password, env=dict(life.kind.environment)
        )
        # Where no image is named, a registry that gives anybody a token tells nothing of the password.
        assert ("Pull verified" in proven.err) or ("Pull not verified" in proven.err), proven.text
        wrong = life.world.run(*arguments, stdin="not-the-password", env=dict(life.kind.environment))
        assert wrong.code == 5
        assert "does not pull" in wrong.err


@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token"])
def test_list_names_a_key_that_somebody_deleted(kind: str) -> None:
    with living(kind) as life:
        life.onboard()
        _delete_behind_our_back(life)
        plain = life.world.run("list")
        assert plain.code == 0
        assert "wrong" in plain.out
        assert life.world.run("list", "--check").code == 5


def test_list_checks_for_keys_that_end_soon() -> None:
    with living("acr") as life:
        life.onboard("--expires-in", "20d")
        # Two thirds of its life are left, which is long for a key of twenty days, unless one asks for more.
        assert life.world.run("list", "--check").code == 0
        soon = life.world.run("list", "--check", "--expires-within", "30d")
        assert soon.code == 5
        assert "expires on" in soon.out
        whole = json.loads(life.world.run("list", "--output", "json").out)
        one = json.loads(life.world.run("list", life.name, "--output", "json").out)
        assert whole == one


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("gcr", "iam.GetServiceAccount#3=404"),
        ("gcr", "iam.GetServiceAccount#3=404*forever"),
        ("gcr", "artifactregistry.GetIamPolicy#2=404"),
        ("acr", "graph.GetApplication#1=404"),
        ("acr-token", "arm.GetScopeMap#2=404"),
        ("acr", "graph.GetApplication#5=404"),
        ("acr", "arm.DeleteRoleAssignment#1=404"),
        ("acr-token", "arm.DeleteToken#1=404"),
        ("acr-token", "arm.DeleteScopeMap#1=404"),
        ("private", "akka.docker.remove-credentials#1=404"),
        ("private", "akka.secrets.delete#1=404"),
    ],
)
def test_one_answer_that_it_is_not_there_leaves_nothing_behind(kind: str, fault: str) -> None:
    with living(kind) as life:
        life.onboard()
        life.world.fault(fault)
        gone = life.command("offboard", life.name)
        assert gone.code == 0, gone.text
        assert life.there() == life.before


@pytest.mark.parametrize(
    ("call", "lists"), [("docker.remove-credentials", "list-credentials"), ("secrets.delete", "secrets list")]
)
def test_what_akka_lists_is_not_gone_because_it_says_so(call: str, lists: str) -> None:
    with living("private") as life:
        life.onboard()
        name = life.name
        life.world.fault(f"akka.{call}#1=404*forever")
        told = life.command("offboard", name)
        assert told.code in (1, 6), told.text
        assert f"{lists} lists it" in told.err
        life.world.running.sandbox.faults.faults.clear()
        assert life.command("offboard", name).code == 0
        assert life.there() == life.before


@pytest.mark.parametrize("flag", ["--keep-identity", "--keep-secret"])
def test_offboarding_keeps_what_it_is_told_to(flag: str) -> None:
    with living("gcr") as life:
        life.onboard()
        assert life.command("offboard", life.name, flag).code == 0
        # Google's own key comes and goes with the account.
        left = {line for line in life.there() - life.before if not line.startswith("google's own key")}
        if flag == "--keep-identity":
            assert len(left) == 1
            assert "google account akka-docker-reader@" in left.pop()
        else:
            assert {line.split()[3] for line in left} == {"secret"}


@pytest.mark.parametrize(
    ("kind", "call", "key"),
    [
        ("gcr", "iam.DeleteServiceAccountKey", "google key "),
        ("acr", "graph.GetApplication", "azure secret "),
        ("acr-token", "arm.GetToken", "azure password "),
    ],
)
def test_no_key_stays_with_the_identity_because_one_answer_knows_it_not(
    kind: str, call: str, key: str
) -> None:
    for number in range(1, 6):
        with living(kind) as life:
            life.onboard()
            life.world.fault(f"{call}#{number}=404")
            gone = life.command("offboard", life.name, "--keep-identity")
            assert gone.code == 0, f"{number}: {gone.text}"
            assert [line for line in life.there() - life.before if line.startswith(key)] == [], number


def test_no_role_stays_because_an_older_policy_came_once() -> None:
    for number in range(1, 9):
        with living("gcr") as life:
            life.onboard()
            life.world.fault(f"artifactregistry.GetIamPolicy#{number}=stale")
            gone = life.command("offboard", life.name)
            assert gone.code == 0, f"{number}: {gone.text}"
            assert life.there() == life.before, number


def test_a_secret_to_which_nothing_refers_is_told_and_left() -> None:
    with living("gcr") as life:
        life.onboard()
        name = life.name
        assert life.command("offboard", name, "--keep-secret").code == 0
        there = life.there()

        told = life.command("offboard", name, "--output", "json")
        assert told.code == 6, told.text
        jsonschema.validate(told.json, schemas()["offboard"])
        (left,) = told.json["left_over"]
        assert left["command"] in told.err
        assert life.there() == there

        again = life.command("offboard", name, "--keep-secret")
        assert again.code == 2
        assert f"There is no credential named {name}" in again.err

        delete = [str(life.world.akka.cli), *shlex.split(left["command"])[1:]]
        subprocess.run(delete, env=life.world.environment(), check=True)
        assert life.there() == life.before
        assert life.command("offboard", name).code == 2


def test_an_identity_that_somebody_else_uses_stays_with_its_role() -> None:
    with living("gcr") as life:
        life.onboard()
        account = next(
            one
            for one in life.world.cloud.state.projects["acme-shop"].accounts.values()
            if one.email.startswith("akka-docker-reader@")
        )
        life.world.running.call(
            _made(lambda: life.world.cloud.state.add_key(account, generate_private_key().public_key()))
        )
        gone = life.command("offboard", life.name)
        assert gone.code == 0, gone.text
        assert "  Kept: " in gone.err
        left = life.there() - life.before
        assert any("google account" in line for line in left)
        assert any("google binding" in line for line in left)
        assert sum("google key" in line and "akka-docker-reader" in line for line in left) >= 1


def test_of_two_registries_with_one_identity_each_loses_its_own_role_and_the_last_takes_the_identity() -> (
    None
):
    with living("gcr") as life:
        life.onboard()
        first = life.name
        second = life.world.run(
            "onboard",
            "gcr",
            "--yes",
            "--timeout",
            "30s",
            "--server",
            "gcr.io",
            "--gcp-project",
            "acme-shop",
            "--image",
            "",
            "--secret-name",
            "second",
        )
        assert second.code == 0, second.text
        roles = {line for line in life.there() - life.before if "binding" in line}
        assert len(roles) == 2
        gone = life.command("offboard", first)
        assert gone.code == 0, gone.text
        assert "  Kept: " in gone.err
        assert len(roles & life.there()) == 1
        assert life.world.run("verify", "second").code == 0
        assert life.command("offboard", "second").code == 0
        assert life.there() == life.before


def test_a_key_that_another_project_of_akka_holds_too_stays() -> None:
    with living("gcr") as life:
        life.onboard()
        name = life.name
        held = life.world.held(name)
        billing = life.world.akka.projects["billing"]
        billing.put_credential("copied", held, dt.datetime.now(dt.UTC))
        gone = life.command("offboard", name)
        assert gone.code == 0, gone.text
        assert "copied of project billing has the same key" in gone.err
        assert _there(life, KeyRef.parse(held.email).key_id)  # type: ignore[union-attr]


def test_a_key_that_cannot_be_seen_is_not_lost_sight_of() -> None:
    """Docker Hub shows its tokens to a login only."""
    with living("docker-hub-user") as life:
        life.onboard()
        before = life.there()
        refused = life.world.run("offboard", life.name, "--yes")
        assert refused.code == 3, refused.text
        assert "would stay unnoticed" in refused.err
        assert life.there() == before


def test_an_offboarding_that_was_killed_is_gone_on_with() -> None:
    """Akka's record went first, so only the journal still says which key it was."""
    with living("gcr") as life:
        life.onboard()
        name = life.name
        life.world.fault("iam.DeleteServiceAccountKey=hang*1")
        process = subprocess.Popen(
            [sys.executable, "-m", "bootstrap", "offboard", name, "--yes"],
            env=life.world.running.process_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while name in life.world.names() and time.monotonic() < deadline:
            time.sleep(0.05)
        while life.world.calls("akka.secrets.delete") == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.kill()
        process.wait()
        again = life.command("offboard", name)
        assert again.code == 0, again.text
        assert "going on with that" in again.err
        assert life.there() == life.before


def test_what_stood_behind_a_record_goes_when_another_registry_takes_its_name() -> None:
    with living("gcr") as life:
        life.onboard()
        name, old = life.name, life.link.key_id
        update = life.world.run(
            "onboard",
            "gcr",
            "--yes",
            "--timeout",
            "30s",
            "--secret-name",
            name,
            "--replace",
            "--service-account",
            "akka-second-reader",
        )
        assert update.code == 0, update.text
        assert life.link.name == "akka-second-reader"
        assert not _there(life, old)
        assert not any("google account akka-docker-reader@" in line for line in life.there())


def test_credentials_that_are_not_ours_are_left_alone() -> None:
    with living("gcr") as life:
        before = life.there()
        for command in ("rotate", "offboard"):
            refused = life.world.run(command, "docker-credentials", "--akka-project", "billing", "--yes")
            assert refused.code != 0
            assert "not created by pullkey" in refused.err
            everything = life.world.run(command, "--all", "--akka-project", "billing", "--yes")
            assert everything.code == 0, everything.text
            assert "left alone" in everything.err
        assert life.there() == before


@pytest.mark.parametrize("command", ["rotate", "verify"])
def test_a_mistyped_name_is_met_with_the_nearest(command: str) -> None:
    with living("acr") as life:
        life.onboard()
        more = () if command == "verify" else ("--yes",)
        wrong = life.world.run(command, life.name[:-1] + "x", *more)
        assert wrong.code == 2
        assert f"Did you mean {life.name}?" in wrong.err


def _there(life: Life, key_id: str) -> bool:
    return any(is_key(one) and inventory_key_id(one) == key_id for one in life.there())


async def _made(make: Callable[[], object]) -> object:
    return make()


def _delete_behind_our_back(life: Life) -> None:
    """As somebody would in the cloud's own console."""
    state, key_id = life.world.cloud.state, life.link.key_id
    if life.kind.provider == "gcr":
        for project in state.projects.values():
            for account in project.accounts.values():
                account.keys.pop(key_id, None)
        return
    for application in state.applications:
        application.secrets = [one for one in application.secrets if one.key_id != key_id]
    for registry in state.registries:
        for token in registry.tokens.values():
            token.passwords.pop(key_id.partition("-")[0], None)

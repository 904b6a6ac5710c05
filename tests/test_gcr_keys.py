"""The keys of a service account: how many there may be, how long they last, and what makes them of no use."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.state import system_managed_public_key
from tests.harness.google_state import ACCOUNT, NAME, account, project


def fill(world: World, email: str = ACCOUNT, *, older: bool = False) -> list[Any]:
    """Give the account as many keys as it may have, older or newer than those that it has."""
    found, state = account(world, email), world.cloud.state
    public = system_managed_public_key()
    made: list[Any] = []
    while len(found.user_keys()) < 10:
        key = state.add_key(found, public)
        key.created = key.valid_after = state.now() + dt.timedelta(hours=(-100 if older else 1) + len(made))
        made.append(key)
    return made


def held_key(world: World) -> str:
    return str(json.loads(world.held(NAME).password)["private_key_id"])


class TestTheLimit:
    @pytest.mark.parametrize("older", [True, False])
    def test_akkas_key_is_never_offered(self, gcr: World, older: bool) -> None:
        assert gcr.onboard().code == 0
        others = fill(gcr, older=older)

        done = gcr.onboard("--new-key")

        assert done.code == 3, done.text
        assert f"delete {held_key(gcr)}" not in done.text
        assert f"gcloud iam service-accounts keys delete {others[0].id}" in done.err
        assert gcr.run("verify", "gcr").code == 0

    @pytest.mark.parametrize("state", ["disabled", "expired"])
    def test_one_that_is_of_no_use_goes_first(self, gcr: World, state: str) -> None:
        assert gcr.onboard().code == 0
        dead = fill(gcr)[5]
        if state == "disabled":
            dead.disabled = True
        else:
            dead.valid_before = dead.valid_after = gcr.cloud.state.now() - dt.timedelta(hours=1)

        done = gcr.onboard("--new-key")

        assert done.code == 3, done.text
        assert f"gcloud iam service-accounts keys delete {dead.id}" in done.err

    def test_of_an_account_that_others_may_use_none_is(self, gcr: World) -> None:
        made = gcr.cloud.state.add_account("acme-shop", "puller", created=gcr.cloud.state.now())
        fill(gcr, made.email)

        done = gcr.onboard("--service-account", made.email)

        assert done.code == 3, done.text
        assert "keys delete" not in done.err
        assert "No key is known to be unused" in done.err

    def test_nor_one_that_another_project_of_akkas_has(self, gcr: World) -> None:
        assert gcr.onboard("--akka-project", "billing", "--new-key").code == 0
        billing = json.loads(gcr.held(NAME, "billing").password)["private_key_id"]
        fill(gcr)

        done = gcr.onboard("--new-key")

        assert done.code == 3, done.text
        assert f"delete {billing}" not in done.text

    def test_one_that_shows_only_at_the_call_is_named_as_it_is(self, gcr: World) -> None:
        """Today's answer is "Precondition check failed.", which names nothing."""
        assert gcr.onboard().code == 0
        others = fill(gcr)
        gcr.fault("iam.ListServiceAccountKeys=empty*2")

        done = gcr.onboard("--new-key")

        assert done.code in (1, 3), done.text
        assert f"{ACCOUNT} has 10 keys" in done.err
        assert f"keys delete {others[0].id}" in done.err
        assert len(account(gcr).user_keys()) == 10


class TestItsLife:
    def limit(self, world: World, hours: str) -> None:
        project(world).constraints["iam.serviceAccountKeyExpiryHours"] = (hours,)

    def test_a_policy_that_limits_it_is_said_before_and_its_end_after(self, gcr: World) -> None:
        self.limit(gcr, "8h")

        done = gcr.onboard("--output", "json")

        assert done.code == 0, done.text
        assert "last 8 h" in done.err
        assert "`pullkey rotate --due` at least every 80 min" in done.err
        ends = dt.datetime.fromisoformat(done.json["credential"]["ends"])
        assert abs(ends - gcr.cloud.state.now() - dt.timedelta(hours=8)) < dt.timedelta(minutes=5)

    def test_a_limit_that_cannot_be_read_is_not_taken_for_none(self, gcr: World) -> None:
        project(gcr).constraints["iam.serviceAccountKeyExpiryHours"] = ("in:short",)

        done = gcr.onboard("--dry-run")

        assert done.code == 0, done.text
        assert "limits how long they last could not be seen (its value is in:short" in done.err

    @pytest.mark.parametrize(("age", "due"), [(1, False), (6, True)])
    def test_a_rotation_comes_when_a_third_is_left(self, gcr: World, age: int, due: bool) -> None:
        self.limit(gcr, "8h")
        assert gcr.onboard().code == 0
        key = account(gcr).user_keys()[0]
        for name in ("created", "valid_after", "valid_before"):
            setattr(key, name, getattr(key, name) - dt.timedelta(hours=age))

        listed = gcr.run("list", "--check")
        done = gcr.run("rotate", "--all", "--due", "--yes", "--overlap", "0")

        assert done.code == 0, done.text
        assert (held_key(gcr) != key.id) is due
        assert listed.code == (5 if due else 0), listed.text

    def test_where_it_cannot_be_seen_that_is_said(self, gcr: World) -> None:
        self.limit(gcr, "8h")
        gcr.cloud.state.denied_permissions.add("orgpolicy.policy.get")

        done = gcr.onboard()

        assert done.code == 0, done.text
        assert "limits how long they last could not be seen (PERMISSION_DENIED)" in done.err
        assert "which expires on" in done.err
        assert "at least every 80 min" in done.err


@pytest.mark.parametrize("damage", ["disabled", "deleted", "its role taken"])
def test_an_account_of_no_use_is_found(gcr: World, damage: str) -> None:
    assert gcr.onboard().code == 0
    match damage:
        case "disabled":
            account(gcr).disabled = True
        case "deleted":
            gcr.cloud.state.delete_account(account(gcr))
        case _:
            project(gcr).repositories["europe-west1", "containers"].policy = AllowPolicy()

    verified, listed = gcr.run("verify", "gcr"), gcr.run("list", "--check")

    assert (verified.code, listed.code) == (5, 5), verified.text + listed.text
    said = {"disabled": "it is disabled", "deleted": "does not exist", "its role taken": "not granted"}[
        damage
    ]
    assert said in verified.text
    assert said in listed.text

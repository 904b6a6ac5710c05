"""`--consistency real`: each read is answered by one of several replicas, as the real clouds have them."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.api_core import exceptions
from google.iam.v1 import policy_pb2

from bootstrap.sandbox.replicas import Replicas
from tests.harness.google_sandbox import CONTAINERS, READER, SHOP, Google, start_google

MANY = 24
LONG = dt.timedelta(hours=1)


@contextmanager
def google(seed: int = 0) -> Iterator[Google]:
    """A Google whose replicas agree after an hour of its own clock."""
    with start_google(consistency="real", propagation=LONG.total_seconds(), seed=seed) as running:
        yield Google(running)


def settle(on: Google) -> None:
    on.running.sandbox.advance(LONG)


def answers(call: Callable[[], Any]) -> list[str]:
    """What many calls say: `OK`, or the refusal's words without the names in them."""
    found = []
    for _ in range(MANY):
        try:
            call()
        except exceptions.GoogleAPICallError as error:
            found.append(f"{error.code}: {error.message}")
        else:
            found.append("OK")
    return found


def account(on: Google) -> Any:
    return on.iam.create_service_account(name=SHOP, account_id="just-created")


def test_an_account_that_was_just_created_is_there_and_is_not() -> None:
    with google() as on:
        name = f"{SHOP}/serviceAccounts/just-created@acme-shop.iam.gserviceaccount.com"
        with pytest.raises(exceptions.NotFound, match="Unknown service account"):
            on.iam.get_service_account(name=name)
        made = account(on)
        seen = answers(lambda: on.iam.get_service_account(name=made.name))
        assert set(seen) == {
            "OK",
            f"404: Service account {name} does not exist.",
            "403: Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).",
        }
        assert seen[:4] != sorted(seen[:4]), "the answers are mixed"
        with pytest.raises(exceptions.AlreadyExists):
            account(on)
        settle(on)
        assert set(answers(lambda: on.iam.get_service_account(name=name))) == {"OK"}


def test_the_same_seed_asks_the_same_replicas() -> None:
    def sequence(seed: int) -> list[str]:
        with google(seed) as on:
            made = account(on)
            return answers(lambda: on.iam.get_service_account(name=made.name))

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)


def test_a_list_lacks_what_is_new_and_has_what_is_deleted() -> None:
    with google() as on:
        made = account(on)
        listed = [
            made.email in {it.email for it in on.iam.list_service_accounts(name=SHOP)} for _ in range(MANY)
        ]
        assert set(listed) == {True, False}
        settle(on)
        on.iam.delete_service_account(name=made.name)
        seen = answers(lambda: on.iam.get_service_account(name=made.name))
        assert set(seen) == {"OK", f"404: Account deleted: {made.unique_id}"}
        listed = [
            made.email in {it.email for it in on.iam.list_service_accounts(name=SHOP)} for _ in range(MANY)
        ]
        assert set(listed) == {True, False}
        settle(on)
        assert all(it.email != made.email for it in on.iam.list_service_accounts(name=SHOP))


def test_keys_lag_in_lists_and_at_the_registry() -> None:
    with google() as on:
        made, _ = on.reader("old-reader")
        settle(on)
        new = on.iam.create_service_account_key(name=made.name)
        seen = [
            new.name in {it.name for it in on.iam.list_service_account_keys(name=made.name).keys}
            for _ in range(MANY)
        ]
        assert set(seen) == {True, False}
        scope = "repository:acme-shop/containers/checkout:pull"
        assert {on.token(new.private_key_data.decode(), scope)[0] for _ in range(MANY)} == {200, 401}
        settle(on)
        assert {on.token(new.private_key_data.decode(), scope)[0] for _ in range(6)} == {200}
        on.iam.delete_service_account_key(name=new.name)
        seen = [
            new.name in {it.name for it in on.iam.list_service_account_keys(name=made.name).keys}
            for _ in range(MANY)
        ]
        assert set(seen) == {True, False}


def test_a_new_account_is_a_member_to_some_and_a_policy_is_read_late() -> None:
    with google() as on:
        made = account(on)
        policy = policy_pb2.Policy(
            bindings=[policy_pb2.Binding(role=READER, members=[f"serviceAccount:{made.email}"])]
        )

        def grant() -> None:
            on.registries.set_iam_policy(request={"resource": CONTAINERS, "policy": policy_pb2.Policy()})
            on.registries.set_iam_policy(request={"resource": CONTAINERS, "policy": policy})

        refused = f"400: Service account {made.email} does not exist."
        assert set(answers(grant)) == {"OK", refused}
        settle(on)
        assert set(answers(grant)) == {"OK"}
        read = {
            len(on.registries.get_iam_policy(request={"resource": CONTAINERS}).bindings) for _ in range(MANY)
        }
        assert read == {0, 1}


def test_strict_replicas_agree_at_one_moment() -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    replicas = Replicas(lambda: now, lag=10)
    assert not any(replicas.knows(now - dt.timedelta(seconds=9)) for _ in range(MANY))
    assert all(replicas.knows(now - dt.timedelta(seconds=10)) for _ in range(MANY))
    assert all(replicas.shows(now) for _ in range(MANY))


def test_a_consistency_that_is_not_known_is_refused_before_anything_starts() -> None:
    for arguments, sentence in (
        (
            ["onboard", "gcr", "--sandbox", "--yes"],
            "PULLKEY_CONSISTENCY is 'sometimes'; it must be one of: strict, real",
        ),
        (["sandbox", "exec", "--", "echo", "started"], "'sometimes' is not one of"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "bootstrap", *arguments],
            env={**os.environ, "PULLKEY_CONSISTENCY": "sometimes"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr

"""`rotate --restore` enables a key, so it asks first, and with --dry-run it only says so."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME, account
from tests.harness.terminal import run_in_terminal


@pytest.fixture
def replaced(gcr: World) -> Any:
    """The key that a rotation has disabled."""
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers").code == 0
    link = KeyRef.parse(gcr.held(NAME).email)
    assert link is not None
    assert gcr.run("rotate", NAME, "--yes", "--overlap", "0").code == 0
    key = account(gcr).keys[link.key_id]
    assert key.disabled
    return key


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(gcr: World, replaced: Any) -> None:
    before = gcr.changes()
    done = gcr.run("rotate", NAME, "--restore", "--dry-run")
    assert done.code == 0, done.text
    assert f"Key {replaced.id} is disabled, and would be enabled again" in done.err
    assert "No changes were made." in done.err
    assert gcr.changes() == before
    assert replaced.disabled


def test_a_dry_run_says_why_there_is_nothing_to_be_done(gcr: World, replaced: Any) -> None:
    assert gcr.run("rotate", NAME, "--restore", "--yes").code == 0
    done = gcr.run("rotate", NAME, "--restore", "--dry-run")
    assert done.code == 0, done.text
    assert f"Key {replaced.id} is enabled already." in done.err
    del account(gcr).keys[replaced.id]
    done = gcr.run("rotate", NAME, "--restore", "--dry-run")
    assert done.code == 1, done.text
    assert f"Key {replaced.id} was deleted and cannot be restored" in done.err


def test_a_key_that_is_enabled_after_its_grace_period_is_named_and_kept(gcr: World, replaced: Any) -> None:
    """Nothing shows who has enabled it, or that no run could disable it."""
    due = ("rotate", NAME, "--due", "--yes")
    assert "enabled" not in gcr.run(*due).err
    replaced.disabled = False
    assert "enabled" not in gcr.run(*due).err
    gcr.running.clock.advance(25 * 3600)
    done = gcr.run(*due)
    assert done.code == 0, done.text
    assert f"Key {replaced.id}, which was replaced, is enabled after its grace period." in done.err
    assert f"keys delete {replaced.id}" in done.err
    assert "enabled again" not in done.text
    assert not replaced.disabled
    replaced.disabled = True
    assert f"Deleted key {replaced.id}" in gcr.run(*due).err


def test_without_a_terminal_it_needs_yes(gcr: World, replaced: Any) -> None:
    done = gcr.run("rotate", NAME, "--restore")
    assert done.code == 2, done.text
    assert "Pass --yes to proceed or --dry-run to preview" in done.err
    assert replaced.disabled
    done = gcr.run("rotate", NAME, "--restore", "--yes")
    assert done.code == 0, done.text
    assert not replaced.disabled


@pytest.mark.parametrize(("answer", "code"), [("n", 130), ("y", 0)])
def test_in_a_terminal_it_asks(gcr: World, replaced: Any, answer: str, code: int) -> None:
    ended, shown = run_in_terminal(gcr, "rotate", NAME, "--restore", answer=answer)
    assert ended == code, shown
    assert "[y/N]" in shown
    assert replaced.disabled is (answer == "n")
    if answer == "n":
        assert "No changes were made" in shown


def test_a_key_that_somebody_else_has_disabled_is_deleted_for_good(gcr: World) -> None:
    """As Google does with one that it finds in public: nothing is to enable it again."""
    assert gcr.onboard().code == 0
    (leaked,) = account(gcr).user_keys()
    leaked.disabled = True

    done = gcr.run("rotate", NAME, "--yes")

    assert done.code == 0, done.text
    assert f"Deleted key {leaked.id}, which was disabled before" in done.err
    assert "Disabled key" not in done.err
    assert leaked.id not in account(gcr).keys
    done = gcr.run("rotate", NAME, "--restore", "--yes")
    assert done.code == 1, done.text
    assert "cannot be restored" in done.err


def test_a_key_that_pullkey_has_disabled_is_kept_for_its_grace_period(gcr: World) -> None:
    """The credential that has replaced it may still go back to it, though Akka has given it to another."""
    assert gcr.onboard().code == 0
    before = gcr.held(NAME)
    (key,) = account(gcr).user_keys()
    assert gcr.run("rotate", NAME, "--yes", "--overlap", "0").code == 0
    gcr.akka.projects["billing"].put_credential("copied", before, dt.datetime.now(dt.UTC))

    done = gcr.run("rotate", "copied", "--akka-project", "billing", "--yes", "--overlap", "0")

    assert done.code == 0, done.text
    assert f"Disabled key {key.id}" in done.err
    assert gcr.run("rotate", NAME, "--restore", "--yes").code == 0
    assert not key.disabled

"""A password that the user supplied: nobody but its owner can renew it, and its expiry is not known."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from bootstrap.model.key_ref import registered_on, supplied_id
from bootstrap.testing.harness.world import World
from tests.harness.private_registry import (
    PASSWORD,
    onboard_aged,
    rotation_file,
)


def test_the_id_says_when_it_was_registered() -> None:
    then = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
    assert registered_on(supplied_id("0123456789ab", now=then)) == then
    assert registered_on("0123456789ab") is None
    assert registered_on("password1-1764000000") is None


def test_its_expiry_is_unknown_and_not_never(private: World) -> None:
    name = onboard_aged(private)
    shown = private.run("list", name).out
    assert re.search(r"expires: +unknown", shown), shown
    assert "never" not in shown
    row = private.run("list").out
    assert "never" not in row
    listed = private.run("list", "--output", "json").json["credentials"][0]
    assert listed["expiry"] == "unknown"
    assert listed["key"]["created"] is not None


def test_the_page_says_so_too(private: World, tmp_path: Path) -> None:
    onboard_aged(private)
    page = tmp_path / "report.html"
    private.run("report", "--html", str(page))
    text = page.read_text()
    assert ">unknown<" in text
    assert ">never<" not in text
    assert "No problems" not in text
    assert "could not be checked" in text


def test_rotate_after_means_due_to_be_replaced_by_you(private: World, tmp_path: Path) -> None:
    onboard_aged(private, days_ago=70)
    due = rotation_file(tmp_path, "60d")
    listed = private.run("list", "-f", str(due))
    assert "due to be replaced by you" in listed.out
    assert private.run("list", "-f", str(due), "--check").code == 5
    assert private.run("plan", "-f", str(due), "--check").code == 5
    assert "due to be replaced by you" in private.run("plan", "-f", str(due)).out
    page = tmp_path / "report.html"
    assert private.run("report", "-f", str(due), "--html", str(page)).code == 5
    assert "due to be replaced by you" in page.read_text()
    # No job replaces it with the same password again.
    rotated = private.run("rotate", "-f", str(due), "--due", "--yes", env={"SECRET": PASSWORD})
    assert "due to be replaced by you" in rotated.text
    assert rotated.code == 5


def test_before_that_all_is_well(private: World, tmp_path: Path) -> None:
    onboard_aged(private, days_ago=50)
    file = rotation_file(tmp_path, "60d")
    assert "due to be replaced" not in private.run("list", "-f", str(file)).out
    assert private.run("plan", "-f", str(file), "--check").code == 0


def test_a_due_rotation_of_all_asks_nobody_for_a_password(private: World) -> None:
    onboard_aged(private, days_ago=200)
    done = private.run("rotate", "--all", "--due", "--yes")
    assert done.code == 0, done.text

"""A plan says how long it takes at least by the documented quotas, and whether `--shard` helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bootstrap.fleet.pace import pace_of
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.registries import parse
from bootstrap.output.fleet_results import pace_lines
from bootstrap.plugin.step import StepRole

ROTATION = {"clear": "", StepRole.KEY: "", "handshake": "", "handoff": "", "retire": ""}
CREATION = {StepRole.IDENTITY: "", StepRole.GRANT: "", StepRole.KEY: "", "handshake": "", "handoff": ""}


def planned(targets: Sequence[str], steps: dict[str, str], action: Action = Action.ROTATE) -> list[Planned]:
    file = "\n".join(["version: 1", "targets:", *(f"  - {{{one}}}" for one in targets), ""])
    entries = parse(file.encode(), "registries.yaml", base=Path()).entries
    return [Planned(entry, action, steps=dict(steps)) for entry in entries]


def google(count: int, *, projects: int = 1) -> list[str]:
    return [
        f"provider: gcr, server: europe-docker.pkg.dev/acme-{number % projects:04}/r{number}, "
        f"service-account: reader-{number:05}"
        for number in range(count)
    ]


def azure(count: int, more: str = "") -> list[str]:
    return [f"provider: acr, registry: acme{number:05}{more}" for number in range(count)]


class TestGoogle:
    def test_a_project_has_600_writes_a_minute(self) -> None:
        # Three keys each: one created, one disabled, one deleted.
        pace = pace_of(planned(google(500), ROTATION))
        assert pace is not None
        assert (pace.calls, pace.seconds) == (1500, 90.0)

        (long, shards) = pace_lines(planned(google(500), ROTATION), all_parts=True)
        assert long.startswith("It takes 90 s at least: 1,500 calls to Google IAM for project acme-0000")
        assert "600 writes a minute for each project (https://cloud.google.com/iam/quotas)" in long
        assert shards == "`--shard` does not make it shorter: all that this quota counts is in one part."

    def test_projects_have_a_quota_each(self) -> None:
        pace = pace_of(planned(google(500, projects=5), ROTATION))
        assert pace is not None
        assert pace.seconds == 0

    def test_reads_of_many_projects_are_charged_to_that_of_the_login(self) -> None:
        plan = planned(google(1200, projects=1200), ROTATION)
        (long, shards) = pace_lines(plan, all_parts=True)
        assert "2,400 calls to Google Resource Manager for the login's project" in long
        assert shards == "`--shard` does not make it shorter: all parts draw on this quota."
        (_, of_part) = pace_lines(plan, all_parts=False)
        assert of_part == "The other parts draw on the same quota, which makes it longer."

    def test_an_account_that_several_share_is_created_once(self) -> None:
        pace = pace_of(
            planned([f"{one}, secret-name: s{n}" for n in range(5) for one in google(1)], CREATION)
        )
        assert pace is not None
        assert pace.calls == 6


class TestAzure:
    def test_graph_has_3000_writes_in_150_seconds(self) -> None:
        # The application of all of them takes two, each secret one, and one that was replaced one.
        pace = pace_of(planned(azure(4000), {StepRole.KEY: "", "clear": ""}))
        assert pace is not None
        assert (pace.quota.api, pace.calls, pace.seconds) == ("Microsoft Graph", 8000, 250.0)

    def test_resource_manager_has_a_bucket_of_200_that_is_refilled_with_10_a_second(self) -> None:
        pace = pace_of(
            planned(azure(1000, ", auth-kind: token, repository: checkout"), CREATION, Action.CREATE)
        )
        assert pace is not None
        assert (pace.quota.api, pace.calls, pace.seconds) == ("Azure Resource Manager", 3000, 280.0)


@pytest.mark.parametrize("action", [Action.KEEP, Action.POSTPONED, Action.BLOCKED])
def test_what_changes_nothing_takes_no_time(action: Action) -> None:
    assert pace_of(planned(google(3), {}, action)) is None
    assert pace_lines(planned(google(3), {}, action), all_parts=True) == []


def test_a_cloud_without_a_documented_quota_has_no_pace() -> None:
    password = "provider: private, server: registry.example.com, username: ops, password: 'env:PW'"
    assert pace_of(planned([password], CREATION, Action.CREATE)) is None

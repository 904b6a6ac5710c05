"""What cannot be read of one target of a file is said of that target, and the others are read as well."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from jsonschema import Draft202012Validator

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli.file_work import code_of_plan
from bootstrap.engine.journal import Entry as JournalEntry
from bootstrap.engine.journal import Record
from bootstrap.engine.result import Result
from bootstrap.fleet.akka_pool import AkkaPool
from bootstrap.fleet.duplicates import block_duplicates
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.executor import Executor
from bootstrap.fleet.planner import Action, Planned, Planner
from bootstrap.fleet.registries import parse_entries
from bootstrap.fleet.scheduler import Bounds, Scheduler, TurnDeadline
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, LeftOver, StepFailed
from bootstrap.output.fleet_listing import assess_targets
from bootstrap.output.fleet_progress import make_fleet_reporter
from bootstrap.output.fleet_results import plan_lines
from bootstrap.output.json_schema import schemas
from bootstrap.plugin.context import Shared
from bootstrap.plugin.errors import ApiError
from bootstrap.testing.harness.world import World

TARGETS = [
    {"provider": "gcr", "server": "europe-west1-docker.pkg.dev/acme-shop/containers", "akka-project": project}
    for project in ("shop", "billing")
]
ENTRIES = parse_entries(TARGETS, "it").entries


def executor(error: Exception) -> Executor:
    """It reads the targets of a file, of which that in `shop` fails with this error."""

    async def held(entry: Entry) -> None:
        raise error if entry.scope.project == "shop" else StepFailed("billing is not shown")

    workspace: Any = SimpleNamespace(
        held=held, pool=AkkaPool(1), scope=lambda entry: entry.scope, shared=Shared()
    )
    with open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        reporter = make_fleet_reporter(nowhere, name="it", verbose=False)
    return Executor(workspace, Scheduler(Bounds(), TurnDeadline(9)), Planner(workspace), reporter)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("it holds a secret"), Code.UNEXPECTED),
        (ApiError(503, "try later"), Code.CLOUD_UNAVAILABLE),
    ],
    ids=["unexpected", "API"],
)
def test_an_error_of_any_kind_blocks_its_target_alone(error: Exception, code: Code) -> None:
    shop, billing = asyncio.run(executor(error).plan(ENTRIES))

    assert (shop.action, shop.problems[0].code) == (Action.BLOCKED, code)
    assert "secret" not in shop.reasons[0]
    assert (billing.action, billing.reasons) == (Action.BLOCKED, ["billing is not shown"])

    listed = asyncio.run(assess_targets(executor(error), ENTRIES, expires_within=None))
    assert [one.state for one in listed] == ["unseen", "unseen"]
    assert "secret" not in listed[0].not_seen[0]
    assert listed[1].not_seen == ["billing is not shown"]


def test_a_target_that_is_blocked_still_lists_what_an_earlier_run_has_left_over() -> None:
    left = [LeftOver("key 2baf", "gcloud iam service-accounts keys delete 2baf")]
    twice = [Planned(ENTRIES[0], Action.ROTATE, steps={"key": "Create"}, left_over=left) for _ in range(2)]
    block_duplicates(twice, lambda _: AkkaScope(shown_owner="acme", shown_project="shop"))
    assert [one.action for one in twice] == [Action.BLOCKED] * 2
    assert code_of_plan(twice) == ExitCode.LEFT_OVER
    ended = asyncio.run(executor(RuntimeError()).do(twice))
    assert [(one.exit_code, one.left_over) for one in ended] == [(ExitCode.LEFT_OVER, left)] * 2

    # Its cloud cannot be read.
    lost = Record(
        "1a2b", "target", "pullkey", "2026-07-01", [JournalEntry("key", {}, None, [asdict(left[0])])]
    )
    target = executor(RuntimeError()).workspace
    fails = AsyncMock(return_value=Result(error=StepFailed("There is no login")))
    vars(target).update(
        held_confirmed=AsyncMock(return_value=None),
        journal=lambda _: SimpleNamespace(left_behind=lambda: lost),
        open_target=lambda _: None,
        run=lambda *_, **_options: SimpleNamespace(execute=fails),
    )
    removed = asyncio.run(Planner(target).at(replace(ENTRIES[0], remove=True)))
    assert (removed.action, removed.reasons) == (Action.BLOCKED, ["There is no login"])
    assert code_of_plan([removed]) == ExitCode.LEFT_OVER
    assert "left over: key 2baf; remove it with: gcloud" in "\n".join(
        plan_lines([removed], style=lambda text, _: text)
    )


def test_list_says_why_akka_could_not_be_asked_and_does_not_end_with_0(gcr: World, tmp_path: Path) -> None:
    assert gcr.onboard().code == 0
    file = tmp_path / "registries.yaml"
    server = "europe-west1-docker.pkg.dev/acme-shop/containers"
    file.write_text(
        "version: 1\ntargets:\n"
        f"  - {{provider: gcr, server: {server}, akka-project: shop}}\n"
        f"  - {{provider: gcr, server: {server}, akka-project: billing}}\n"
    )
    lists = ("list", "-f", str(file))
    gcr.akka.unreadable = {"billing"}
    some = gcr.run(*lists, "--output", "json")
    assert some.code == ExitCode.SOME_FAILED, some.text
    Draft202012Validator(schemas()["fleet-list"]).validate(some.json)
    assert some.json["exit_code"] == ExitCode.SOME_FAILED
    assert [one["state"] for one in some.json["targets"]] == ["ok", "unseen"]

    missing = {"PULLKEY_AKKA_CLI": str(tmp_path / "akka")}
    none = gcr.run(*lists, env=missing)
    assert none.code == ExitCode.REFUSED, none.text
    assert "The Akka CLI is not installed" in none.out
    assert "Install it (https://" in none.out
    assert gcr.run(*lists, "--check", env=missing).code == ExitCode.DRIFT

"""The common part of the commands for a file: open it, plan, confirm, apply, and report the results."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click

from bootstrap.cli import messages
from bootstrap.cli.audit import audited, goes_to_stream
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import clean, command_as_typed
from bootstrap.cli.secrets import run_alone
from bootstrap.model.errors import Declined, ExitCode, exit_code_of_many
from bootstrap.model.text import count_of
from bootstrap.output.prompt import confirm
from bootstrap.output.terminal import put, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.fleet.executor import Executor
    from bootstrap.fleet.planner import Action, Planned
    from bootstrap.fleet.policy import Policy
    from bootstrap.fleet.registries import Registries
    from bootstrap.fleet.scheduler import Bounds
    from bootstrap.fleet.shards import Shard
    from bootstrap.fleet.target_result import TargetResult
    from bootstrap.fleet.workspace import Workspace
    from bootstrap.output.fleet_progress import PlainFleetReporter


_GC_THRESHOLD = 1_000
"""Of one target nearly all objects stay until the end, so a process collects late (`__main__`); of many, most
belong to a target that has ended. The index by which a secret is found in a text (`SecretPieces`) alone takes
more than a megabyte until its target is collected.
"""


@dataclass
class FileJob:
    """The open resources of one command."""

    registries: Registries
    workspace: Workspace
    executor: Executor
    reporter: PlainFleetReporter
    values: Mapping[str, Any]

    @property
    def as_json(self) -> bool:
        return bool(self.values["output"] == "json")

    @property
    def is_whole(self) -> bool:
        """Whether this machine works on all of the file, and not on a part of it."""
        return part_of(self.values) is None


def run_file_command(
    values: dict[str, Any], work: Callable[[Mapping[str, Any]], Coroutine[Any, Any, int]], command: str = ""
) -> int:
    from bootstrap.fleet.registries import InvalidFile

    gc.set_threshold(_GC_THRESHOLD)
    changes = "yes" in values
    values = {key: clean(key, value) for key, value in values.items()}
    for key in ("file", "saved", "policy"):
        if (path := values.get(key)) is not None and str(path) != "-":
            clean(key, str(path))  # messages name it
    in_processes = values.get("processes", 1) > 1 and not values.get("dry_run")
    if in_processes and not values["yes"]:
        raise messages.processes_need_yes()
    if in_processes and goes_to_stream(values["audit"]):
        raise messages.processes_need_audit_file(values["audit"])
    if changes and not (values["yes"] or values.get("dry_run")):
        from bootstrap.cli.choices import check_can_ask

        check_can_ask(preview="preview: pullkey plan -f FILE")
    try:
        if in_processes:
            from bootstrap.cli.file_processes import work_in_processes

            return work_in_processes(registries_of(values), values, work, command)
        return run_alone(work(values))
    except InvalidFile as error:
        for line in error.lines:
            say(line, sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from bootstrap.output.annotations import fault_annotations

            for line in fault_annotations(error.name, error.faults):
                put(line, sys.stderr)
        raise


def registries_of(values: Mapping[str, Any]) -> Registries:
    """The targets that this command was asked for.

    Raises:
        UsageProblem: the file, a name or the shard is not valid.
    """
    from bootstrap.fleet.registries import load

    if "part" in values:
        part: Registries = values["part"]
        return part
    found = load(values["file"], *policies_of(values))
    if names := (*values["only"], *values["names"]):
        found = found.only(names)
    return _of_this_machine(found, values)


def policies_of(values: Mapping[str, Any]) -> list[Policy]:
    """That of `--policy`, if it was passed.

    Raises:
        UsageProblem: it cannot be read, or is not valid.
    """
    if values.get("policy") is None:
        return []
    from bootstrap.fleet.policy_file import load_policy

    return [load_policy(values["policy"])]


def part_of(values: Mapping[str, Any]) -> Shard | None:
    """The part of the file that this machine works on; None for all of it.

    Raises:
        UsageProblem: it is not valid.
    """
    from bootstrap.fleet.shards import Shard

    text = values.get("shard")
    return Shard.of_environment(os.environ) if text is None else Shard.parse(text)


def _of_this_machine(found: Registries, values: Mapping[str, Any]) -> Registries:
    shard = part_of(values)
    if shard is None:
        return found
    mine = shard.of(found)
    say(f"Part {shard} of {found.name}: {len(mine.entries)} of {len(found.entries)} targets.", sys.stderr)
    return mine


def _bounds(values: Mapping[str, Any]) -> Bounds:
    from bootstrap.fleet.scheduler import Bounds

    return Bounds(values["at_once"], values["at_once_per_project"], values["akka_at_once"])


@asynccontextmanager
async def open_file(
    registries: Registries, values: Mapping[str, Any], *, rotate: bool = False
) -> AsyncIterator[FileJob]:
    from bootstrap.fleet.akka_pool import AkkaPool
    from bootstrap.fleet.executor import Executor
    from bootstrap.fleet.planner import Planner
    from bootstrap.fleet.scheduler import Scheduler, TurnDeadline
    from bootstrap.fleet.secret_sources import take_from_environment
    from bootstrap.fleet.workspace import Workspace
    from bootstrap.model.settings import check_addresses, state_directory
    from bootstrap.output.fleet_progress import TargetReporter, make_fleet_reporter

    for host in {one.target.registry for one in registries.entries} or {""}:
        check_addresses(host)
    take_from_environment(source for one in registries.entries for source in one.sources)
    reporter = make_fleet_reporter(
        sys.stderr,
        name=values.get("label") or registries.name,
        verbose=values["verbose"],
        only_failed=values.get("summary", False),
        live="part" not in values,  # processes that share a terminal
    )
    deadline = TurnDeadline(values["timeout"].total_seconds())
    bounds = _bounds(values)
    workspace = Workspace(
        deadline,
        AkkaPool(bounds.akka),
        state_directory(),
        lambda entry: TargetReporter(reporter, entry),
        reporter.trace,
        command_as_typed(),
        ask_permissions=not values.get("skip_permissions"),
        keep_identity=values.get("keep_identity", False),
        keep_secret=values.get("keep_secret", False),
    )
    scheduler = Scheduler(bounds, deadline)
    executor = Executor(workspace, scheduler, Planner(workspace, rotate=rotate), reporter)
    try:
        async with audited(values) as workspace.assembly.trail:
            yield FileJob(registries, workspace, executor, reporter, values)
    finally:
        reporter.close()
        await workspace.shared.close()


def style_of_plan(stream: TextIO) -> Callable[[str, Action], str]:
    """Returns a function that colours the word for an action, if the stream shows colours."""
    from bootstrap.output.terminal import wants_colour

    colours = {
        "create": "green",
        "replace": "yellow",
        "rotate": "cyan",
        "repair": "yellow",
        "remove": "red",
        "postponed": "yellow",
        "blocked": "bright_red",
    }
    coloured = wants_colour(stream)

    def style(text: str, action: Action) -> str:
        return click.style(text, fg=colours.get(str(action)), dim=action == "keep") if coloured else text

    return style


def code_of_plan(plan: Sequence[Planned]) -> ExitCode:
    return exit_code_of_many([ExitCode.LEFT_OVER if one.left_over else one.exit_code for one in plan])


async def do_planned(
    job: FileJob,
    command: str,
    chosen: Callable[[Sequence[Planned]], None] = lambda _: None,
    checked: Callable[[Sequence[Planned]], Sequence[Planned]] = lambda plan: plan,
) -> int:
    """Plan, show the plan, confirm, apply it, and report the results."""
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.output.fleet_results import (
        pace_lines,
        plan_document,
        plan_lines,
        plan_total,
        project_lines,
    )

    values, registries = job.values, job.registries
    with ends_in_order(job.executor, job.reporter, job.workspace.command):
        plan = checked(await job.executor.plan(registries.entries, chosen))
        job.reporter.close()
        shown = plan_lines(
            plan, style=style_of_plan(sys.stderr), keep=False, summary=values.get("summary", False)
        )
        for line in (*project_lines(registries.entries, job.workspace.scope), *shown):
            say(line, sys.stderr)
        if "part" not in values:
            for line in (plan_total(plan), *pace_lines(plan, all_parts=job.is_whole)):
                say(line, sys.stderr)
        going = [one for one in plan if one.action.changes]
        if values.get("dry_run"):
            say("No changes were made.", sys.stderr)
            annotate_plan(job.registries.name, plan)
            if job.as_json:
                print_document(
                    {
                        **plan_document(registries, plan, code_of_plan(plan), job.workspace.scope),
                        "command": "plan",
                    }
                )
            return code_of_plan(plan)
        if (
            going
            and not values["yes"]
            and not confirm(
                f"{_verb(command)} {count_of(len(going), 'target')} in {_projects(job, going)}?",
                sys.stderr,
            )
        ):
            raise Declined
        ended = await job.executor.do(plan)
    job.reporter.close()
    return _end(job, command, ended)


def annotate_plan(name: str, plan: Sequence[Planned]) -> None:
    """In GitHub Actions: an annotation for each target that needs attention, and the job's summary."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from bootstrap.output import job_summary
    from bootstrap.output.fleet_progress import plan_annotation
    from bootstrap.output.fleet_results import needs_attention

    for one in filter(needs_attention, plan):
        put(plan_annotation(name, one), sys.stderr)
    if job_summary.wanted() and (lost := job_summary.append(job_summary.plan_summary(name, plan))):
        say(lost, sys.stderr)


def _verb(command: str) -> str:
    return {"rotate": "Replace the keys of", "offboard": "Remove"}.get(command, "Apply this to")


def _projects(job: FileJob, going: Sequence[Planned]) -> str:
    labels = list(dict.fromkeys(job.workspace.scope(one.entry).label for one in going))
    return labels[0] if len(labels) == 1 else f"{len(labels)} Akka projects"


def _end(job: FileJob, command: str, ended: Sequence[TargetResult]) -> int:
    from bootstrap.cli.file_report import end_of, report

    name, scope = job.registries.name, job.workspace.scope
    ends = [end_of(one, file=name, scope=scope, as_json=job.as_json) for one in ended]
    trail = job.workspace.assembly.trail
    if trail is not None:
        trail.sync()
    complete = trail is None or not trail.lost
    if (deliver := job.values.get("deliver")) is not None:
        deliver(ends, complete)
        return ExitCode.DONE
    return report(ends, command=command, file=name, values=job.values, trail_is_complete=complete)

"""`pullkey plan -f`, `apply`, `report -f` and `runbook -f`: commands for a file of registries."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli import messages
from bootstrap.cli.file_options import CHECK, FILE, NAMES, POLICY, PROCESSES, SUMMARY, of_a_file
from bootstrap.cli.file_work import (
    annotate_plan,
    code_of_plan,
    do_planned,
    open_file,
    part_of,
    policies_of,
    registries_of,
    run_file_command,
    style_of_plan,
)
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import EXPIRES_WITHIN, YES, is_typed, with_options
from bootstrap.cli.reporting import HTML, page_of, write_page
from bootstrap.cli.types import FilePath
from bootstrap.model.common_options import AUDIT
from bootstrap.model.errors import ExitCode
from bootstrap.model.option import Option
from bootstrap.model.text import sentence
from bootstrap.output.terminal import put, say

if TYPE_CHECKING:
    from bootstrap.fleet.planner import Planned
    from bootstrap.fleet.registries import Registries


@click.command("plan")
@of_a_file(
    Option("--save", "Write the plan to this file, for `pullkey apply PLAN`.", metavar="PLAN"),
    Option(
        "--skip-permissions",
        "Do not ask whether this login may make the changes, but plan them for another login, which may.",
        kind="switch",
    ),
    CHECK,
    SUMMARY,
)
@POLICY
def plan_file(**values: Any) -> int:
    """Show what `pullkey apply -f FILE` would do for each target, and why; change nothing.

    \b
    Examples:
      pullkey plan -f registries.yaml
      pullkey plan -f registries.yaml --save today.plan && pullkey apply today.plan
      pullkey plan -f registries.yaml --check --output json
    """
    return run_file_command(values, _plan)


@click.command("apply")
@click.argument("saved", required=False, metavar="[PLAN]", type=FilePath())
@click.option(
    "-f",
    "--file",
    "file",
    metavar="FILE",
    type=FilePath(),
    help="A file of registries; - is stdin. See docs/fleet.md.",
)
@of_a_file(AUDIT, SUMMARY, YES, names=False, file=False)
@NAMES[1]
@PROCESSES
@POLICY
def apply(**values: Any) -> int:
    """Apply what `pullkey plan -f FILE` shows: create what is missing, replace what is due, remove what is
    marked for it.

    One target's failure stops no other (exit 4), and another run does only what is left. A saved plan is
    applied as saved, or refused (exit 3) if something has changed since.

    \b
    Examples:
      pullkey apply -f registries.yaml
      pullkey apply today.plan --yes --audit changes.jsonl
      pullkey apply -f registries.yaml --only shop/acmeshop-azurecr-io
    """
    values["names"] = ()
    if values["file"] is None and values["saved"] is not None and values["saved"].suffix in (".yaml", ".yml"):
        values |= {"file": values["saved"], "saved": None}
    if (values["saved"] is None) == (values["file"] is None):
        raise messages.no_file_and_no_plan()
    if values["saved"] is not None:
        if values["only"] or (values["shard"] and is_typed("shard")):
            raise messages.saved_plan_has_no_selection()
        if values["processes"] > 1 and is_typed("processes"):
            raise messages.processes_need_a_file()
        values["processes"] = 1
    return run_file_command(values, _apply, "apply")


@click.command("report")
@of_a_file(HTML, EXPIRES_WITHIN, output=False)
def report_file(**values: Any) -> int:
    """Write what `pullkey list -f FILE` shows as one HTML page, problems first; change nothing.

    The page is self-contained: it needs no network and no other file. It holds no secret.

    \b
    Examples:
      pullkey report -f registries.yaml --html report.html
      pullkey report -f registries.yaml --html report.html --expires-within 30d
    """
    return run_file_command(values, _report)


@click.command("runbook")
@FILE
@NAMES[0]
@NAMES[1]
@with_options(
    Option(
        "--format", "A page to read, or a script to run.", choices=("markdown", "bash"), default="markdown"
    ),
)
def runbook_file(**values: Any) -> int:
    """Write the steps of a file's targets as the documented commands, to run by hand. Makes no calls.

    \b
    Examples:
      pullkey runbook -f registries.yaml > runbooks.md
      pullkey runbook -f registries.yaml --only shop/acmeshop-azurecr-io
      pullkey runbook -f registries.yaml --format bash > onboard.sh
    """
    return run_file_command(values, _runbook)


async def _plan(values: Mapping[str, Any]) -> int:
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.fleet.plan_file import file_of_plan, save
    from bootstrap.fleet.planner import Action
    from bootstrap.output.fleet_results import (
        pace_lines,
        plan_document,
        plan_lines,
        plan_total,
        project_lines,
    )

    if values["save"]:
        file_of_plan(Path(values["save"])).check()
    registries = registries_of(values)
    async with open_file(registries, values) as job:
        with ends_in_order(job.executor, job.reporter, job.workspace.command):
            plan = await job.executor.plan(registries.entries)
    code = code_of_plan(plan)
    # --check reports blocked targets too; only left-overs and interruptions have a more specific code.
    if (
        values["check"]
        and code not in (ExitCode.LEFT_OVER, ExitCode.INTERRUPTED)
        and any(one.action is not Action.KEEP or one.attention for one in plan)
    ):
        code = ExitCode.DRIFT
    if values["save"]:
        save(Path(values["save"]), registries, plan, part_of(values))
    annotate_plan(registries.name, plan)
    if job.as_json:
        print_document(plan_document(registries, plan, code, job.workspace.scope))
        return code
    shown = plan_lines(plan, style=style_of_plan(sys.stdout), summary=values["summary"])
    for line in (*project_lines(registries.entries, job.workspace.scope), *shown):
        say(line, sys.stdout)
    for line in (plan_total(plan), *pace_lines(plan, all_parts=job.is_whole)):
        say(line, sys.stdout)
    if values["save"]:
        say(f"Saved. To do it: pullkey apply {shlex.quote(values['save'])}", sys.stderr)
    say("No changes were made.", sys.stderr)
    return code


async def _apply(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet import messages as fleet
    from bootstrap.fleet.plan_file import changes_since, load_saved, policy_violations

    if values["saved"] is None:
        registries = registries_of(values)
        async with open_file(registries, values) as job:
            return await do_planned(job, "apply")
    registries, marks = load_saved(values["saved"], part_of(values))
    if broken := policy_violations(registries, policies_of(values)):
        for line in broken:
            say(f"  {line}", sys.stderr)
        raise fleet.plan_breaks_policy(values["saved"])
    async with open_file(registries, values) as job:

        def as_saved(plan: Sequence[Planned]) -> Sequence[Planned]:
            moved = changes_since(marks, plan)
            if moved:
                job.reporter.close()
                for line in moved:
                    say(f"  {line}", sys.stderr)
                raise fleet.plan_moved_on(values["saved"], len(moved), len(plan))
            return plan

        return await do_planned(job, "apply", checked=as_saved)


async def _report(values: Mapping[str, Any]) -> int:
    from bootstrap.output.fleet_listing import assess_targets, exit_code_of_targets, listing_document

    path, registries = page_of(values), registries_of(values)
    async with open_file(registries, values) as job:
        found = await assess_targets(
            job.executor, registries.entries, expires_within=values["expires_within"]
        )
    code = exit_code_of_targets(found, check=True)
    write_page(path, listing_document(registries, found, code, job.workspace.scope))
    return code


async def _runbook(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.registries import load
    from bootstrap.output.fleet_runbooks import as_page, as_script
    from bootstrap.plugin.unavailable import Unavailable

    whole = load(values["file"])
    names = (*values["only"], *values["names"])
    chosen = whole.only(names) if names else whole
    render = as_script if values["format"] == "bash" else as_page
    put(render(_usable(whole), _usable(chosen)).removesuffix("\n"), sys.stdout)
    named = [(one.name, one.provider) for one in chosen.entries]
    unusable = [(name, one) for name, one in named if isinstance(one, Unavailable)]
    for name, one in unusable:
        say(f"Left out: {name}. {sentence(one.error.what)}", sys.stderr)
    if not unusable:
        return ExitCode.DONE
    return ExitCode.USAGE if len(unusable) == len(chosen.entries) else ExitCode.SOME_FAILED


def _usable(registries: Registries) -> Registries:
    """The targets whose provider can be used."""
    from bootstrap.plugin.unavailable import Unavailable

    entries = [one for one in registries.entries if not isinstance(one.provider, Unavailable)]
    return replace(registries, entries=tuple(entries))

"""The commands that take a file of registries: `plan -f`, `apply`, `list -f`, `report -f`, `rotate -f`, `offboard -f`, `runbook -f`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootstrap.cli.audit import audited
from bootstrap.cli.options import OUTPUT, TIMEOUT, VERBOSE, YES, clean, retyped, with_options
from bootstrap.cli.reporting import EXPIRES_WITHIN, HTML, page_of, write_page
from bootstrap.cli.secrets import run_alone
from bootstrap.errors import ExitCode, UsageProblem
from bootstrap.options import AUDIT
from bootstrap.provider import Option

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.fleet.board import PlainBoard
    from bootstrap.fleet.look import Action, Planned
    from bootstrap.fleet.open import Office
    from bootstrap.fleet.registries import Registries
    from bootstrap.fleet.turns import Bounds
    from bootstrap.fleet.work import Crew, Ended

    F = TypeVar("F", bound=Callable[..., Any])

_COUNT = click.IntRange(1, 256)
_FILE = click.option("-f", "--file", "file", required=True, metavar="FILE", type=click.Path(path_type=Path), help="A file of registries; - is stdin. See docs/fleet.md.")  # fmt: skip
_NAMES = (
    click.argument("names", nargs=-1, metavar="[NAME]..."),
    click.option("--only", multiple=True, metavar="NAME", help="These targets only: PROJECT/SECRET, or the name of an Akka secret. More names may follow."),
)  # fmt: skip
_SIDE_BY_SIDE = (
    click.option("--shard", metavar="I/N", envvar="PULLKEY_SHARD", help="Part I of N only, from 1; all targets of one Google project are in one part. Else by JOB_COMPLETION_INDEX and JOB_COMPLETIONS."),
    click.option("--at-once", type=_COUNT, default=16, show_default=True, envvar="PULLKEY_AT_ONCE", metavar="N", help="How many targets of one cloud are worked on side by side."),
    click.option("--at-once-per-project", type=_COUNT, default=4, show_default=True, envvar="PULLKEY_AT_ONCE_PER_PROJECT", metavar="N", help="How many of these may be of one Google project, or of one registry."),
    click.option("--akka-at-once", type=_COUNT, default=8, show_default=True, envvar="PULLKEY_AKKA_AT_ONCE", metavar="N", help="How many Akka CLIs run side by side."),
)  # fmt: skip
_TURN = replace(TIMEOUT, help="How long to wait for the clouds, for each target.")
_CHECK = Option("--check", "For a job: exit 5 if anything is to be done, or is wrong.", kind="switch")
_DRY_RUN = Option("--dry-run", "Show what would be done; change nothing.", kind="switch")


def _of_a_file(*more: Option, names: bool = True, file: bool = True, output: bool = True) -> Callable[[F], F]:  # fmt: skip
    """A decorator: the options that all commands of a file have, and `more`."""

    def decorate(function: F) -> F:
        function = with_options(*more, _TURN, *((OUTPUT,) if output else ()), VERBOSE)(function)
        for option in reversed((*((_FILE,) if file else ()), *(_NAMES if names else ()), *_SIDE_BY_SIDE)):
            function = option(function)
        return function

    return decorate


# -- the commands --------------------------------------------------------------------------------------------------


@click.command("plan")
@_of_a_file(
    Option("--save", "Write the plan to this file, for `pullkey apply PLAN`.", metavar="PLAN"), _CHECK
)
def plan_file(**values: Any) -> int:
    """Show what `pullkey apply -f FILE` would do for each target, and why; change nothing.

    \b
    Examples:
      pullkey plan -f registries.yaml
      pullkey plan -f registries.yaml --save today.plan && pullkey apply today.plan
      pullkey plan -f registries.yaml --check --output json
    """
    return _run(values, _plan)


@click.command("apply")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path(path_type=Path))
@click.option("-f", "--file", "file", metavar="FILE", type=click.Path(path_type=Path), help="A file of registries; - is stdin. See docs/fleet.md.")  # fmt: skip
@_of_a_file(AUDIT, YES, names=False, file=False)
@_NAMES[1]
def apply(**values: Any) -> int:
    """Do what `pullkey plan -f FILE` shows: what is missing is made, what is due is replaced, what is to go is removed.

    One target's failure stops no other (exit 4), and a further run does only what is left. A saved plan is done as it
    stands, or refused (exit 3) where the world has moved on since.

    \b
    Examples:
      pullkey apply -f registries.yaml
      pullkey apply today.plan --yes --audit changes.jsonl
      pullkey apply -f registries.yaml --only shop/acmeshop-azurecr-io
    """
    values["names"] = ()
    if (values["saved"] is None) == (values["file"] is None):
        raise UsageProblem(
            "Give a file of registries with -f FILE, or a plan that was saved: pullkey apply PLAN"
        )
    if values["saved"] is not None and (values["only"] or values["shard"]):
        raise UsageProblem("A saved plan is done as it stands: give --only or --shard to `pullkey plan -f`")
    return _run(values, _apply)


@click.command("list")
@_of_a_file(
    _CHECK,
    EXPIRES_WITHIN,
)
def list_file(**values: Any) -> int:
    """Show what Akka and the clouds have for each target of a file; change nothing.

    \b
    Examples:
      pullkey list -f registries.yaml
      pullkey list -f registries.yaml --check --expires-within 30d
    """
    return _run(values, _list)


@click.command("report")
@_of_a_file(HTML, EXPIRES_WITHIN, output=False)
def report_file(**values: Any) -> int:
    """Write what `pullkey list -f FILE` shows as one HTML page, what is wrong first; change nothing.

    The page needs nothing but itself: no network, no other file. It holds no secret.

    \b
    Examples:
      pullkey report -f registries.yaml --html report.html
      pullkey report -f registries.yaml --html report.html --expires-within 30d
    """
    return _run(values, _report)


@click.command("runbook")
@_FILE
@_NAMES[0]
@_NAMES[1]
@with_options(
    Option("--format", "A page to read, or a script to run.", choices=("markdown", "bash"), default="markdown"),
)  # fmt: skip
def runbook_file(**values: Any) -> int:
    """Write the steps of a file's targets as the documented commands, for a person to run. Calls nobody.

    \b
    Examples:
      pullkey runbook -f registries.yaml > runbooks.md
      pullkey runbook -f registries.yaml --only shop/acmeshop-azurecr-io
      pullkey runbook -f registries.yaml --format bash > onboard.sh
    """
    return _run(values, _runbook)


@click.command("rotate")
@_of_a_file(
    Option("--due", "Only where the key is due: by rotate-after, or else where a third of its life is left.", kind="switch"),
    AUDIT, _DRY_RUN, YES,
)  # fmt: skip
def rotate_file(**values: Any) -> int:
    """Replace the keys of a file's targets, each as `pullkey rotate` does: what a nightly job runs, with --due.

    \b
    Examples:
      pullkey rotate -f registries.yaml --due --yes
      pullkey rotate -f registries.yaml --only shop/acmeshop-azurecr-io
    """
    return _run(values, _rotate)


@click.command("offboard")
@_of_a_file(
    Option("--all", "All targets of the file.", kind="switch"),
    Option("--keep-identity", "Leave the service account or application, even where nothing else uses it.", kind="switch"),
    Option("--keep-secret", "Leave Akka's secret; only the project's reference to it goes, and the key behind it.", kind="switch"),
    AUDIT, _DRY_RUN, YES,
)  # fmt: skip
def offboard_file(**values: Any) -> int:
    """Take targets of a file out of use, each as `pullkey offboard` does. Take them out of the file too.

    \b
    Examples:
      pullkey offboard -f registries.yaml --only shop/acmeshop-azurecr-io --dry-run
      pullkey offboard -f registries.yaml --only acmeshop-azurecr-io acmevault-azurecr-io
    """
    if values["all"] == bool(values["only"] or values["names"]):
        raise UsageProblem("Name what is to go with --only, or give --all", mend="See: pullkey list -f FILE")
    return _run(values, _offboard)


# -- what they share -----------------------------------------------------------------------------------------------


@dataclass
class _Job:
    """What one command has open."""

    registries: Registries
    office: Office
    crew: Crew
    board: PlainBoard
    values: Mapping[str, Any]

    @property
    def as_json(self) -> bool:
        return bool(self.values["output"] == "json")


def _run(values: dict[str, Any], work: Callable[[Mapping[str, Any]], Coroutine[Any, Any, int]]) -> int:
    from bootstrap.fleet.registries import Unfit

    changes = "yes" in values
    values = {key: clean(key, value) for key, value in values.items()}
    for key in ("file", "saved"):
        if (path := values.get(key)) is not None and str(path) != "-":
            clean(key, str(path))  # it is named in what is wrong with it
    if changes and not (values["yes"] or values.get("dry_run")) and not (sys.stdin.isatty() and sys.stderr.isatty()):  # fmt: skip
        raise UsageProblem("There is no terminal to ask on before the first change", mend="Give --yes, or look only: pullkey plan -f FILE")  # fmt: skip
    try:
        return run_alone(work(values))
    except Unfit as unfit:
        for line in unfit.lines:
            click.echo(line, err=True)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for fault in unfit.faults:
                click.echo(f"::error file={unfit.name},line={fault.place.line},col={fault.place.column}::{fault.what}", err=True)  # fmt: skip
        raise


def _registries(values: Mapping[str, Any]) -> Registries:
    """The targets that are this command's.

    Raises:
        UsageProblem: the file, a name or the part of it cannot be used.
    """
    from bootstrap.fleet.registries import load

    found = load(values["file"])
    if names := (*values["only"], *values["names"]):
        found = found.only(names)
    return _of_this_machine(found, values)


def _of_this_machine(found: Registries, values: Mapping[str, Any]) -> Registries:
    from bootstrap.fleet.shards import Shard

    shard = Shard.parse(values["shard"]) if values["shard"] else Shard.of_environment(os.environ)
    if shard is None:
        return found
    mine = shard.of(found)
    click.echo(f"Part {shard} of {found.name}: {len(mine.entries)} of {len(found.entries)} targets.", err=True)  # fmt: skip
    return mine


def _bounds(values: Mapping[str, Any]) -> Bounds:
    from bootstrap.fleet.turns import Bounds

    return Bounds(values["at_once"], values["at_once_per_project"], values["akka_at_once"])


@asynccontextmanager
async def _opened(
    registries: Registries, values: Mapping[str, Any], *, rotate: bool = False
) -> AsyncIterator[_Job]:
    from bootstrap.fleet.akka import AkkaDesk
    from bootstrap.fleet.board import TargetReporter, make_board
    from bootstrap.fleet.look import Looking
    from bootstrap.fleet.open import Office
    from bootstrap.fleet.sources import take_from_environment
    from bootstrap.fleet.turns import TurnDeadline, Turns
    from bootstrap.fleet.work import Crew
    from bootstrap.settings import check_addresses, state_directory

    for host in {one.target.registry for one in registries.entries} or {""}:
        check_addresses(host)
    take_from_environment(source for one in registries.entries for source in one.sources)
    board = make_board(sys.stderr, name=registries.name, verbose=values["verbose"])
    deadline = TurnDeadline(values["timeout"].total_seconds())
    bounds = _bounds(values)
    office = Office(
        deadline,
        AkkaDesk(bounds.akka),
        state_directory(),
        lambda entry: TargetReporter(board, entry),
        board.trace,
        retyped(),
    )
    turns = Turns(bounds, deadline)
    crew = Crew(office, turns, Looking(office, rotate=rotate), board)
    try:
        async with audited(
            values, office.akka(registries.entries[0]) if registries.entries else None
        ) as office.trail:
            yield _Job(registries, office, crew, board, values)
    finally:
        board.close()
        await office.shared.close()


def _style() -> Callable[[str, Action], str]:
    from bootstrap.display import wants_colour

    colours = {"create": "green", "replace": "yellow", "rotate": "cyan", "repair": "yellow", "remove": "red", "blocked": "bright_red"}  # fmt: skip
    coloured = wants_colour(sys.stdout)

    def style(text: str, action: Action) -> str:
        return click.style(text, fg=colours.get(str(action)), dim=action == "keep") if coloured else text

    return style


# -- plan ----------------------------------------------------------------------------------------------------------


async def _plan(values: Mapping[str, Any]) -> int:
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.fleet.look import Action
    from bootstrap.fleet.paper import plan_document, plan_lines, plan_total, save

    registries = _registries(values)
    async with _opened(registries, values) as job:
        with ends_in_order(job.crew, job.board, job.office.command):
            plan = await job.crew.plan(registries.entries)
    code = _code_of(plan)
    if code is ExitCode.DONE and values["check"] and any(one.action is not Action.KEEP for one in plan):
        code = ExitCode.DRIFT
    if values["save"]:
        save(Path(values["save"]), registries, plan)
    if job.as_json:
        _print(plan_document(registries, plan, code))
        return code
    for line in plan_lines(plan, style=_style()):
        click.echo(line)
    click.echo(plan_total(plan))
    if values["save"]:
        click.echo(f"Saved. To do it: pullkey apply {values['save']}", err=True)
    click.echo("Nothing was changed.", err=True)
    return code


def _code_of(plan: Sequence[Planned]) -> ExitCode:
    from bootstrap.fleet.look import Action
    from bootstrap.fleet.work import exit_code_of

    return exit_code_of([one.exit_code or ExitCode.REFUSED if one.action is Action.BLOCKED else ExitCode.DONE for one in plan])  # fmt: skip


def _print(document: Mapping[str, Any]) -> None:
    from bootstrap.documents import as_text

    click.echo(as_text(document))


# -- apply, rotate, offboard ---------------------------------------------------------------------------------------


async def _apply(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.paper import moved_on, saved

    if values["saved"] is None:
        registries = _registries(values)
        async with _opened(registries, values) as job:
            return await _do(job, "apply", lambda plan: plan)
    registries, marks = saved(values["saved"])
    async with _opened(registries, values) as job:

        def as_saved(plan: Sequence[Planned]) -> Sequence[Planned]:
            moved = moved_on(marks, plan)
            if moved:
                job.board.close()
                for line in moved:
                    click.echo(f"  {line}", err=True)
                raise _MovedOn(f"{len(moved)} of {len(plan)} targets are no longer as {values['saved']} says, so nothing was changed", mend="Plan again: pullkey plan -f FILE --save PLAN")  # fmt: skip
            return plan

        return await _do(job, "apply", as_saved)


class _MovedOn(UsageProblem):
    """A saved plan is of a world that is no more."""

    exit_code = ExitCode.REFUSED


async def _rotate(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.look import Action

    found = _registries(values)
    registries = replace(found, entries=tuple(one for one in found.entries if not one.remove))
    async with _opened(registries, values, rotate=not values["due"]) as job:

        def rotations(plan: Sequence[Planned]) -> Sequence[Planned]:
            others = 0
            for one in plan:
                mends_key = one.action is Action.REPAIR and "key" in one.steps
                if one.action.changes and one.action is not Action.ROTATE and not mends_key:
                    others += 1
                    one.reasons = [f"no key of it is due; it needs something else: {one.action}"]
                    one.action, one.steps = Action.KEEP, {}
            if others:
                job.board.notice(f"{others} target{'s need' if others != 1 else ' needs'} something else than a new key; see: pullkey plan -f {registries.name}")  # fmt: skip
            return plan

        return await _do(job, "rotate", rotations)


async def _offboard(values: Mapping[str, Any]) -> int:
    found = _registries(values)
    registries = replace(found, entries=tuple(replace(one, remove=True) for one in found.entries))
    async with _opened(registries, values) as job:
        job.crew.keep_identity, job.crew.keep_secret = values["keep_identity"], values["keep_secret"]
        return await _do(job, "offboard", lambda plan: plan)


async def _do(job: _Job, command: str, chosen: Callable[[Sequence[Planned]], Sequence[Planned]]) -> int:
    """Plan, show it, ask, do it, and say what has become of it."""
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.fleet.paper import plan_document, plan_lines, plan_total

    values, registries = job.values, job.registries
    with ends_in_order(job.crew, job.board, job.office.command):
        plan = chosen(await job.crew.plan(registries.entries))
        job.board.close()
        for line in plan_lines(plan, style=lambda text, _: text, keep=False):
            click.echo(line, err=True)
        click.echo(plan_total(plan), err=True)
        going = [one for one in plan if one.action.changes]
        if values.get("dry_run"):
            click.echo("Nothing was changed.", err=True)
            if job.as_json:
                _print({**plan_document(registries, plan, _code_of(plan)), "command": "plan"})
            return _code_of(plan)
        if going and not values["yes"] and not click.confirm(f"Do this for {len(going)} target{'s' * (len(going) != 1)}?", err=True):  # fmt: skip
            click.echo("It was not confirmed, so nothing was changed.", err=True)
            return ExitCode.REFUSED
        ended = await job.crew.do(plan)
    job.board.close()
    return _end(job, command, ended)


def _end(job: _Job, command: str, ended: Sequence[Ended]) -> int:
    from bootstrap.fleet.paper import end_total, work_document
    from bootstrap.fleet.work import exit_code_of

    code = exit_code_of([one.exit_code for one in ended])
    lost = job.office.trail.lost if job.office.trail is not None else ""
    if lost:
        code = code or ExitCode.FAILED  # what was lost is told when the trail is closed
    if job.as_json:
        _print(work_document(command, job.registries, ended, code))
    click.echo(end_total(ended), err=True)
    failed = [one for one in ended if one.failed]
    if failed:
        names = ", ".join(one.entry.name for one in failed[:8])
        click.echo(f"Not done: {names}{' and others' if len(failed) > 8 else ''}. The same command does only what is left.", err=True)  # fmt: skip
    elif not any(one.changed for one in ended):
        click.echo("Everything is in place; nothing was changed.", err=True)
    return code


# -- list ----------------------------------------------------------------------------------------------------------


async def _list(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.listing import listing_document, listing_lines, stands

    registries = _registries(values)
    async with _opened(registries, values) as job:
        found = await stands(job.crew, registries.entries, expires_within=values["expires_within"])
    bad = [one for one in found if one.wrong or (one.unseen and values["check"])]
    code = ExitCode.DRIFT if values["check"] and bad else ExitCode.DONE
    if job.as_json:
        _print(listing_document(registries, found, code))
    else:
        for line in listing_lines(found):
            click.echo(line)
    return code


# -- report, runbook -----------------------------------------------------------------------------------------------


async def _report(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.listing import listing_document, stands

    path, registries = page_of(values), _registries(values)
    async with _opened(registries, values) as job:
        found = await stands(job.crew, registries.entries, expires_within=values["expires_within"])
    write_page(path, listing_document(registries, found, ExitCode.DONE))
    return ExitCode.DONE


async def _runbook(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.registries import load
    from bootstrap.fleet.runbooks import as_page, as_script

    whole = load(values["file"])
    names = (*values["only"], *values["names"])
    chosen = whole.only(names) if names else whole
    render = as_script if values["format"] == "bash" else as_page
    click.echo(render(whole, chosen), nl=False)
    return ExitCode.DONE

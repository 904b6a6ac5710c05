"""The commands that take a file of registries: `plan -f`, `apply`, `list -f`, `report -f`, `rotate -f`, `offboard -f`, `runbook -f`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from bootstrap.cli.audit import audited
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import EXPIRES_WITHIN, OUTPUT, TIMEOUT, VERBOSE, YES, clean, retyped, with_options
from bootstrap.cli.reporting import HTML, page_of, write_page
from bootstrap.cli.secrets import run_alone
from bootstrap.codes import Code
from bootstrap.errors import Declined, ExitCode, UsageProblem, exit_code_of_many
from bootstrap.options import AUDIT, OVERLAP
from bootstrap.prompt import confirm
from bootstrap.provider import Option
from bootstrap.terminal import put, say, say_command, width_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.fleet.board import PlainBoard
    from bootstrap.fleet.look import Action, Planned
    from bootstrap.fleet.open import Office
    from bootstrap.fleet.registries import Registries
    from bootstrap.fleet.target_result import Ended
    from bootstrap.fleet.turns import Bounds
    from bootstrap.fleet.work import Crew

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
_CHECK = Option("--check", "For jobs: exit 5 if anything has to be done or is wrong.", kind="switch")
_SUMMARY = Option(
    "--summary", "Count by result, and show only the targets that need attention.", kind="switch"
)
_DRY_RUN = Option("--dry-run", "Preview the changes; change nothing.", kind="switch")


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
    Option("--save", "Write the plan to this file, for `pullkey apply PLAN`.", metavar="PLAN"),
    _CHECK,
    _SUMMARY,
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
@_of_a_file(AUDIT, _SUMMARY, YES, names=False, file=False)
@_NAMES[1]
def apply(**values: Any) -> int:
    """Apply what `pullkey plan -f FILE` shows: create what is missing, replace what is due, remove what is marked for it.

    One target's failure stops no other (exit 4), and another run does only what is left. A saved plan is applied as
    saved, or refused (exit 3) if something has changed since.

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
        raise UsageProblem(
            "Pass a file of registries with -f FILE, or a saved plan: pullkey apply PLAN",
            code=Code.MISSING_VALUE,
        )
    if values["saved"] is not None and (values["only"] or values["shard"]):
        raise UsageProblem(
            "A saved plan is applied as saved: pass --only or --shard to `pullkey plan -f`",
            code=Code.OPTIONS_CONFLICT,
        )
    return _run(values, _apply)


@click.command("list")
@_of_a_file(
    _CHECK,
    _SUMMARY,
    EXPIRES_WITHIN,
)
def list_file(**values: Any) -> int:
    """List the credential of each target of a file, with the age, expiry and state of its key; change nothing.

    \b
    Examples:
      pullkey list -f registries.yaml
      pullkey list -f registries.yaml --check --expires-within 30d
    """
    return _run(values, _list)


@click.command("report")
@_of_a_file(HTML, EXPIRES_WITHIN, output=False)
def report_file(**values: Any) -> int:
    """Write what `pullkey list -f FILE` shows as one HTML page, problems first; change nothing.

    The page is self-contained: it needs no network and no other file. It holds no secret.

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
    """Write the steps of a file's targets as the documented commands, to run by hand. Makes no calls.

    \b
    Examples:
      pullkey runbook -f registries.yaml > runbooks.md
      pullkey runbook -f registries.yaml --only shop/acmeshop-azurecr-io
      pullkey runbook -f registries.yaml --format bash > onboard.sh
    """
    return _run(values, _runbook)


@click.command("rotate")
@_of_a_file(
    Option("--due", "Only if the key is due: by rotate-after, or else once a third of its life is left.", kind="switch"),
    replace(OVERLAP, default=None, help="How long both keys stay valid, for all targets; default: as the file says. It elapses for all targets together."),
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
    Option("--keep-identity", "Keep the service account or application, even if nothing else uses it.", kind="switch"),
    Option("--keep-secret", "Keep Akka's secret; remove only the project's reference to it, and its key.", kind="switch"),
    AUDIT, _DRY_RUN, YES,
)  # fmt: skip
def offboard_file(**values: Any) -> int:
    """Remove targets of a file, each as `pullkey offboard` does. Remove them from the file too.

    \b
    Examples:
      pullkey offboard -f registries.yaml --only shop/acmeshop-azurecr-io --dry-run
      pullkey offboard -f registries.yaml --only acmeshop-azurecr-io acmevault-azurecr-io
    """
    if values["all"] == bool(values["only"] or values["names"]):
        raise UsageProblem(
            "Name the targets to remove with --only, or pass --all",
            fix="See: pullkey list -f FILE",
            code=Code.MISSING_VALUE,
        )
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
    if changes and not (values["yes"] or values.get("dry_run")):
        from bootstrap.cli.choices import check_can_ask

        check_can_ask(preview="preview: pullkey plan -f FILE")
    try:
        return run_alone(work(values))
    except Unfit as unfit:
        for line in unfit.lines:
            say(line, sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for fault in unfit.faults:
                say(f"::error file={unfit.name},line={fault.place.line},col={fault.place.column}::{fault.what}", sys.stderr)  # fmt: skip
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
    say(f"Part {shard} of {found.name}: {len(mine.entries)} of {len(found.entries)} targets.", sys.stderr)  # fmt: skip
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
    board = make_board(
        sys.stderr, name=registries.name, verbose=values["verbose"], only_failed=values.get("summary", False)
    )
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
        ) as office.assembly.trail:
            yield _Job(registries, office, crew, board, values)
    finally:
        board.close()
        await office.shared.close()


def _style(stream: TextIO) -> Callable[[str, Action], str]:
    """Colours the word for what is to be done, where the stream shows colours."""
    from bootstrap.terminal import wants_colour

    colours = {"create": "green", "replace": "yellow", "rotate": "cyan", "repair": "yellow", "remove": "red", "postponed": "yellow", "blocked": "bright_red"}  # fmt: skip
    coloured = wants_colour(stream)

    def style(text: str, action: Action) -> str:
        return click.style(text, fg=colours.get(str(action)), dim=action == "keep") if coloured else text

    return style


# -- plan ----------------------------------------------------------------------------------------------------------


async def _plan(values: Mapping[str, Any]) -> int:
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.fleet.look import Action
    from bootstrap.fleet.paper import file_of_plan, plan_document, plan_lines, plan_total, project_lines, save

    if values["save"]:
        file_of_plan(Path(values["save"])).check()
    registries = _registries(values)
    async with _opened(registries, values) as job:
        with ends_in_order(job.crew, job.board, job.office.command):
            plan = await job.crew.plan(registries.entries)
    code = _code_of(plan)
    # What is blocked is found by a check too: only what is left over, or an interruption, says more.
    if (
        values["check"]
        and code not in (ExitCode.LEFT_OVER, ExitCode.INTERRUPTED)
        and any(one.action is not Action.KEEP or one.attention for one in plan)
    ):
        code = ExitCode.DRIFT
    if values["save"]:
        save(Path(values["save"]), registries, plan)
    if job.as_json:
        _print(plan_document(registries, plan, code, job.office.scope))
        return code
    shown = plan_lines(plan, style=_style(sys.stdout), summary=values["summary"])
    for line in (*project_lines(registries.entries, job.office.scope), *shown):
        say(line, sys.stdout)
    say(plan_total(plan), sys.stdout)
    if values["save"]:
        say(f"Saved. To do it: pullkey apply {shlex.quote(values['save'])}", sys.stderr)
    say("No changes were made.", sys.stderr)
    return code


def _code_of(plan: Sequence[Planned]) -> ExitCode:
    from bootstrap.fleet.look import Action

    def code(one: Planned) -> ExitCode:
        if one.left_over:
            return ExitCode.LEFT_OVER
        return one.exit_code or ExitCode.REFUSED if one.action is Action.BLOCKED else one.exit_code

    return exit_code_of_many([code(one) for one in plan])


def _print(document: Mapping[str, Any]) -> None:
    print_document(document)


# -- apply, rotate, offboard ---------------------------------------------------------------------------------------


async def _apply(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.paper import moved_on, saved

    if values["saved"] is None:
        registries = _registries(values)
        async with _opened(registries, values) as job:
            return await _do(job, "apply")
    registries, marks = saved(values["saved"])
    async with _opened(registries, values) as job:

        def as_saved(plan: Sequence[Planned]) -> Sequence[Planned]:
            moved = moved_on(marks, plan)
            if moved:
                job.board.close()
                for line in moved:
                    say(f"  {line}", sys.stderr)
                raise _MovedOn(f"{len(moved)} of {len(plan)} targets are no longer as {values['saved']} says, so nothing was changed", fix="Plan again: pullkey plan -f FILE --save PLAN")  # fmt: skip
            return plan

        return await _do(job, "apply", checked=as_saved)


class _MovedOn(UsageProblem):
    """A saved plan is of a world that is no more."""

    code = Code.PLAN_STALE
    exit_code = ExitCode.REFUSED


async def _rotate(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.look import RECOVERY, Action

    found = _registries(values)
    entries = tuple(one for one in found.entries if not one.remove)
    if (overlap := values["overlap"]) is not None:
        entries = tuple(replace(one, overlap=overlap) for one in entries)
    registries = replace(found, entries=entries)
    async with _opened(registries, values, rotate=not values["due"]) as job:

        def rotations(plan: Sequence[Planned]) -> None:
            others = 0
            for one in plan:
                if one.attention:
                    one.exit_code = one.exit_code or ExitCode.DRIFT
                # What an earlier rotation has not ended, or has left over, is a rotation's to end.
                fixes_key = one.action is Action.REPAIR and {"key", RECOVERY} & one.steps.keys()
                if one.action.changes and one.action is not Action.ROTATE and not fixes_key:
                    others += 1
                    one.reasons = [f"it needs {one.action}, not a rotation", *one.reasons]
                    one.action, one.steps = Action.KEEP, {}
                    one.exit_code = ExitCode.DRIFT
            if others:
                job.board.notice(f"{others} target{'s need' if others != 1 else ' needs'} something else than a new key; see: pullkey plan -f {shlex.quote(registries.name)}")  # fmt: skip

        return await _do(job, "rotate", rotations)


async def _offboard(values: Mapping[str, Any]) -> int:
    found = _registries(values)
    registries = replace(found, entries=tuple(replace(one, remove=True) for one in found.entries))
    async with _opened(registries, values) as job:
        job.crew.keep_identity, job.crew.keep_secret = values["keep_identity"], values["keep_secret"]
        return await _do(job, "offboard")


async def _do(
    job: _Job,
    command: str,
    chosen: Callable[[Sequence[Planned]], None] = lambda _: None,
    checked: Callable[[Sequence[Planned]], Sequence[Planned]] = lambda plan: plan,
) -> int:
    """Plan, show it, ask, do it, and say what has become of it."""
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.fleet.paper import plan_document, plan_lines, plan_total, project_lines

    values, registries = job.values, job.registries
    with ends_in_order(job.crew, job.board, job.office.command):
        plan = checked(await job.crew.plan(registries.entries, chosen))
        job.board.close()
        shown = plan_lines(plan, style=_style(sys.stderr), keep=False, summary=values.get("summary", False))
        for line in (*project_lines(registries.entries, job.office.scope), *shown):
            say(line, sys.stderr)
        say(plan_total(plan), sys.stderr)
        going = [one for one in plan if one.action.changes]
        if values.get("dry_run"):
            say("No changes were made.", sys.stderr)
            if job.as_json:
                _print(
                    {**plan_document(registries, plan, _code_of(plan), job.office.scope), "command": "plan"}
                )
            return _code_of(plan)
        if going and not values["yes"] and not confirm(f"{_verb(command)} {len(going)} target{'s' * (len(going) != 1)} in {_projects(job, going)}?", sys.stderr):  # fmt: skip
            raise Declined
        ended = await job.crew.do(plan)
    job.board.close()
    return _end(job, command, ended)


def _verb(command: str) -> str:
    return {"rotate": "Replace the keys of", "offboard": "Remove"}.get(command, "Apply this to")


def _projects(job: _Job, going: Sequence[Planned]) -> str:
    labels = list(dict.fromkeys(job.office.scope(one.entry).label for one in going))
    return labels[0] if len(labels) == 1 else f"{len(labels)} Akka projects"


def _end(job: _Job, command: str, ended: Sequence[Ended]) -> int:
    from bootstrap.fleet.paper import end_total, work_document

    code = exit_code_of_many([one.exit_code for one in ended])
    trail = job.office.assembly.trail
    lost = trail.lost if trail is not None else ""
    if lost:
        code = code or ExitCode.FAILED  # what was lost is told when the trail is closed
    if job.as_json:
        _print(work_document(command, job.registries, ended, code, job.office.scope))
    say(end_total(ended), sys.stderr)
    if failed := [one for one in ended if one.failed]:
        # A rotation that was not limited to what is due would replace all keys once more.
        again = "Run it again for these alone, with --only." if command == "rotate" and not job.values["due"] else "The same command does only what is left."  # fmt: skip
        say(f"Not done: {_names(failed)}. {again}", sys.stderr)
    if late := [one for one in ended if one.result == "postponed"]:
        say(f"Postponed: {_names(late)}. Their keys are still valid; a later `pullkey rotate -f {shlex.quote(job.registries.name)} --due` deletes the replaced keys and continues.", sys.stderr)  # fmt: skip
    _tell_drift(job, [one for one in ended if one.result == "drift"])
    if left := [one for one in ended if one.left_over]:
        say(f"{len(left)} target{'s have' if len(left) != 1 else ' has'} something left over: {_names(left)}. Every later command lists it until it is deleted.", sys.stderr)  # fmt: skip
    if code is ExitCode.DONE and not any(one.changed or one.result == "postponed" for one in ended):
        say("Everything is in place; nothing was changed.", sys.stderr)
    return code


def _tell_drift(job: _Job, drift: Sequence[Ended]) -> None:
    """The targets that need something that no run of this command does, each kind with what does it."""
    from bootstrap.fleet.board import annotation

    if unseen := [one for one in drift if one.planned.not_seen]:
        say(f"Not seen, and so not replaced if due: {_names(unseen)}. The reason is above.", sys.stderr)
    if by_you := [one for one in drift if one.planned.due_by_you]:
        say("To be replaced by you, each with its new password:", sys.stderr)
        for one in by_you[:8]:
            project = job.office.scope(one.entry).project
            where = f" --akka-project {shlex.quote(project)}" if project else ""
            say_command(f"pullkey rotate {shlex.quote(one.entry.secret_name)}{where}", sys.stderr)
    if others := [one for one in drift if not one.planned.attention]:
        say(f"Not in place: {_names(others)}. See: pullkey plan -f {shlex.quote(job.registries.name)}", sys.stderr)  # fmt: skip
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for one in drift:
            say(annotation(job.registries.name, one), sys.stderr)


def _names(ended: Sequence[Ended]) -> str:
    names = ", ".join(one.entry.name for one in ended[:8])
    return f"{names} and others" if len(ended) > 8 else names


# -- list ----------------------------------------------------------------------------------------------------------


async def _list(values: Mapping[str, Any]) -> int:
    from bootstrap.cli.credentials import style_of_list
    from bootstrap.cli.heartbeat import ticking
    from bootstrap.fleet.listing import listing_document, listing_lines, stands
    from bootstrap.fleet.paper import project_lines
    from bootstrap.standing import exit_code_of_all

    registries = _registries(values)
    async with _opened(registries, values) as job:
        with ticking(job.board):
            found = await stands(job.crew, registries.entries, expires_within=values["expires_within"])
    code = exit_code_of_all(found, check=values["check"])
    if job.as_json:
        _print(listing_document(registries, found, code, job.office.scope))
    else:
        shown = listing_lines(found, width=width_of(sys.stdout), style=style_of_list(), summary=values["summary"])  # fmt: skip
        for line in (*project_lines(registries.entries, job.office.scope), *shown):
            say(line, sys.stdout)
    return code


# -- report, runbook -----------------------------------------------------------------------------------------------


async def _report(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.listing import listing_document, stands
    from bootstrap.standing import exit_code_of_all

    path, registries = page_of(values), _registries(values)
    async with _opened(registries, values) as job:
        found = await stands(job.crew, registries.entries, expires_within=values["expires_within"])
    code = exit_code_of_all(found, check=True)
    write_page(path, listing_document(registries, found, code, job.office.scope))
    return code


async def _runbook(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.registries import load
    from bootstrap.fleet.runbooks import as_page, as_script

    whole = load(values["file"])
    names = (*values["only"], *values["names"])
    chosen = whole.only(names) if names else whole
    render = as_script if values["format"] == "bash" else as_page
    put(render(whole, chosen).removesuffix("\n"), sys.stdout)
    return ExitCode.DONE

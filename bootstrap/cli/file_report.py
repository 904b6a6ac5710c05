"""The end of a command for a file: one report and one exit code, whichever process worked on a target."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.cli.json_output import print_document
from bootstrap.model.errors import ExitCode, exit_code_of_many
from bootstrap.output.terminal import put, say, say_command

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope
    from bootstrap.fleet.entry import Entry
    from bootstrap.fleet.target_end import TargetEnd
    from bootstrap.fleet.target_result import TargetResult


def end_of(one: TargetResult, *, file: str, scope: Callable[[Entry], AkkaScope], as_json: bool) -> TargetEnd:
    """The end of a target, from its result."""
    from bootstrap.fleet.target_end import TargetEnd
    from bootstrap.output import job_summary
    from bootstrap.output.fleet_progress import annotation
    from bootstrap.output.fleet_results import ended_document

    return TargetEnd(
        number=one.entry.number,
        line=one.entry.place.line,
        name=one.entry.name,
        secret_name=one.entry.secret_name,
        options=scope(one.entry).options,
        result=one.result,
        exit_code=int(one.exit_code),
        failed=one.failed,
        changed=one.changed,
        left_over=bool(one.left_over),
        not_seen=bool(one.planned.not_seen),
        due_by_you=bool(one.planned.due_by_you),
        annotation=annotation(file, one) if one.failed or one.result == "drift" or one.left_over else "",
        unconfirmed=bool(one.planned.unconfirmed),
        details=list(job_summary.details_of(one)) if job_summary.wanted() else (),
        document=ended_document(one, scope) if as_json else None,
    )


def report(
    ends: Sequence[TargetEnd],
    *,
    command: str,
    file: str,
    values: Mapping[str, Any],
    trail_is_complete: bool,
) -> ExitCode:
    """Print how all targets ended; return the exit code."""
    from bootstrap.output import job_summary
    from bootstrap.output.fleet_results import end_total, work_document

    code = exit_code_of_many([ExitCode(one.exit_code) for one in ends])
    if not trail_is_complete:
        code = code or ExitCode.FAILED  # what was lost is reported when the trail is closed
    if values["output"] == "json":
        print_document(work_document(command, file, [one.document for one in ends], code))
    say(end_total(ends), sys.stderr)
    if job_summary.wanted() and (lost := job_summary.append(job_summary.result_summary(command, file, ends))):
        say(lost, sys.stderr)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for marked in filter(None, (one.annotation for one in ends)):
            put(marked, sys.stderr)
    if failed := [one for one in ends if one.failed]:
        # A rotation without --due would replace all keys again.
        again = (
            "Run it again for these alone, with --only."
            if command == "rotate" and not values["due"]
            else "The same command does only what is left."
        )
        say(f"Not done: {_names(failed)}. {again}", sys.stderr)
    if late := [one for one in ends if one.result == "postponed"]:
        say(
            f"Postponed: {_names(late)}. Their keys are still valid; a later `pullkey rotate -f "
            f"{shlex.quote(file)} --due` deletes the replaced keys and continues.",
            sys.stderr,
        )
    _print_drift([one for one in ends if one.result == "drift"], file)
    if left := [one for one in ends if one.left_over]:
        say(
            f"{len(left)} target{'s have' if len(left) != 1 else ' has'} something left over: "
            f"{_names(left)}. Every later command lists it until it is deleted.",
            sys.stderr,
        )
    if code is ExitCode.DONE and not any(one.changed or one.result == "postponed" for one in ends):
        if unconfirmed := [one for one in ends if one.unconfirmed]:
            names, plan = _names(unconfirmed), f"pullkey plan -f {shlex.quote(file)}"
            say(f"No changes were made. Not fully known without a login: {names}. See: {plan}", sys.stderr)
        else:
            say("Everything is in place; nothing was changed.", sys.stderr)
    return code


def _print_drift(drift: Sequence[TargetEnd], file: str) -> None:
    """Report targets that need something that this command does not do, with what does it."""
    if unseen := [one for one in drift if one.not_seen]:
        say(f"Not seen, and so not replaced if due: {_names(unseen)}. The reason is above.", sys.stderr)
    if by_you := [one for one in drift if one.due_by_you]:
        say("To be replaced by you, each with its new password:", sys.stderr)
        for one in by_you[:8]:
            say_command(f"pullkey rotate {shlex.quote(one.secret_name)}{one.options}", sys.stderr)
    if others := [one for one in drift if not (one.not_seen or one.due_by_you)]:
        say(f"Not in place: {_names(others)}. See: pullkey plan -f {shlex.quote(file)}", sys.stderr)


def _names(ends: Sequence[TargetEnd]) -> str:
    names = ", ".join(one.name for one in ends[:8])
    return f"{names} and others" if len(ends) > 8 else names

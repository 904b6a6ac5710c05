"""The summary of a run: its last lines for the user, on stderr."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.engine.result import Result
from bootstrap.model.errors import Declined, ExitCode, Interrupted, PullkeyError, advice, first_line
from bootstrap.model.tense import done as done_title
from bootstrap.output import messages_summary as messages
from bootstrap.output.commands import by_hand
from bootstrap.output.terminal import say, say_command, styled, width_of
from bootstrap.plugin.step import EngineStep, State

if TYPE_CHECKING:
    from bootstrap.engine.locate import LocatedCredential
    from bootstrap.engine.target_operation import TargetOperation


def print_summary(
    outcome: Result,
    *,
    run: TargetOperation,
    show_commands: bool,
    handover: Path | None,
    verbose: bool,
    repair: str = "",
) -> None:
    """Print the summary of a run.

    Args:
        outcome: its result.
        run: what was executed.
        show_commands: whether to show the commands of a plan.
        handover: the file of a hand-over that was written; None if none was.
        verbose: whether to show where an unexpected error is from.
        repair: the command that repairs what a verification found.
    """
    if show_commands and outcome.result == "planned":
        _print_plan(outcome, run)
        return
    _print_outcome(outcome, run, repair=repair, verbose=verbose)
    if handover is not None:
        _line(messages.handover_written(handover))
        _line(messages.CONTINUE_AFTERWARDS)
    elif outcome.result != "drift" and any(problem.permission for problem in outcome.problems):
        _line(messages.HANDOVER_AVAILABLE)


def _line(text: str) -> None:
    say(text, sys.stderr)


def _detail(text: str) -> None:
    say(f"  {text}", sys.stderr)


def _print_plan(outcome: Result, run: TargetOperation) -> None:
    """Print the commands of the missing steps, and how many there are."""
    missing = [step for step in run.steps if outcome.steps[step.name].seen.state is not State.DONE]
    commands = by_hand(run.session, missing)
    if missing:
        _line(f"\n{messages.BY_HAND}")
    for step in missing:
        _line(f"\n  # {step.title}")
        say_command(commands[step.name], sys.stderr)
    kept = len(outcome.steps) - len(missing)
    _line(f"\n{messages.planned(len(missing), kept)}")


def _print_outcome(outcome: Result, run: TargetOperation, *, repair: str, verbose: bool) -> None:
    name, where, target = run.options.secret_name, run.akka.resolved.label, run.target.label
    supplied = run.session.key.supplied
    if outcome.result == "unchanged" and outcome.left_over:
        _line(messages.unchanged_with_left_overs(name, where))
    elif outcome.result == "unchanged":
        _line(messages.unchanged(name, where, target, confirmed=not outcome.unconfirmed))
        if supplied:
            _detail(messages.NOT_CHECKED)
    elif outcome.result == "done" and not any(one.result == "done" for one in outcome.steps.values()):
        _line(messages.cleaned_up(name, where, target))
    elif outcome.result == "done":
        _print_done(outcome, run, name, where)
    elif outcome.result == "verified":
        _line(
            messages.password_in_place(name, where, target)
            if supplied
            else messages.credential_valid(name, where)
        )
        if supplied and not outcome.verified:
            _detail(messages.NOT_CHECKED)
        _detail(_about_pull(outcome))
    elif outcome.result == "unneeded":
        _line(messages.credential_unneeded(outcome.public))
        _detail(messages.REGISTER_ANYWAY)
    elif outcome.result == "drift":
        _print_drift(outcome, run, repair)
        if outcome.verified or outcome.not_verified:
            _detail(_about_pull(outcome))
    elif outcome.error is not None:
        _print_error(outcome, outcome.error, verbose=verbose)


def _print_done(outcome: Result, run: TargetOperation, name: str, where: str) -> None:
    """Print what a run did, the credential, how it was verified, and what to do next."""
    _line(styled(_what_was_done(run, outcome, name, where), sys.stderr, fg="green"))
    registered = outcome.credential
    _detail(messages.credential(registered["username"], registered["key_id"], _expiry(run, outcome)))
    if outcome.verified:
        _detail(messages.verified_before(outcome.verified))
    elif outcome.not_verified:
        _detail(messages.not_verified_by_pull(outcome.not_verified))
    elif EngineStep.HANDSHAKE not in outcome.steps or outcome.steps[EngineStep.HANDSHAKE].result != "skipped":
        # Only other steps were missing.
        _detail(messages.KEY_ALREADY_HELD)
    else:
        _detail(messages.NOT_VERIFIED_YET)
    if run.options.grace is None:
        _show_next_steps(run, name)


def _print_drift(outcome: Result, run: TargetOperation, repair: str) -> None:
    """Report what a verification found, and the command that repairs it, unless a manual fix is needed."""
    name, states = run.options.secret_name, {outcome.steps[step.name].seen.state for step in run.steps}
    if State.MISSING in states or outcome.problems or outcome.unfinished.what:
        text = messages.drifted(name, run.target.label)
    elif State.UNSEEN in states:
        text = messages.not_all_checked(name)
    else:
        text = messages.does_not_pull(name)
    say(text, sys.stderr)
    by_hand = {problem.step for problem in outcome.problems}
    if outcome.unfinished.what or any(
        outcome.steps[step.name].seen.state is State.MISSING and step.changes and step.name not in by_hand
        for step in run.steps
    ):
        say(messages.to_repair(problems=bool(outcome.problems)), sys.stderr)
        say_command(repair, sys.stderr)


def _show_next_steps(run: TargetOperation, name: str) -> None:
    """Show the commands for a registered credential."""
    say(messages.NEXT, sys.stderr)
    for verb, what in messages.NEXT_COMMANDS:
        command = f"pullkey {verb} {shlex.quote(name)}{run.akka.scope.options}"
        beside = f"{command}   # {what}"
        room = width_of(sys.stderr)
        say_command(beside if room is None or len(beside) + 2 <= room else command, sys.stderr)


def _what_was_done(run: TargetOperation, outcome: Result, name: str, where: str) -> str:
    """What this run itself did: a registration, or the steps by their titles."""
    done = {name for name, one in outcome.steps.items() if one.result == "done"}
    if run.handoff.name in done:
        return messages.registered(name, where, run.target.label)
    titles = [done_title(one.title) for step, one in outcome.steps.items() if step in done]
    return messages.steps_done(titles, name, where)


def _expiry(run: TargetOperation, outcome: Result) -> str:
    """The expiry of the key: known if this run created it, unknown for any other key or a password."""
    if ends := outcome.credential.get("ends"):
        return messages.expires(ends)
    if run.session.credential is None or run.session.key.supplied:
        return messages.EXPIRY_UNKNOWN
    return messages.NO_EXPIRY


def _about_pull(outcome: Result) -> str:
    """The result of the pull that `verify` has tried."""
    if outcome.not_verified:
        return messages.pull_not_verified(outcome.not_verified)
    if outcome.verified:
        return messages.pull_verified(outcome.verified)
    return messages.PULL_NOT_TESTED


def print_offboarding(result: Result, located: LocatedCredential, where: str) -> None:
    """Print the summary of an offboarding."""
    name = located.held.name
    if result.result == "planned":
        _line(messages.NO_CHANGES)
    elif result.error is not None:
        _line(f"pullkey: {first_line(result.error)}")
        if fix := advice(result.error):
            _detail(fix)
    elif result.left_over:
        _line(messages.removed_with_left_overs(name))
    elif result.result == "done":
        _line(styled(messages.removed(name, where), sys.stderr, fg="green"))
        deleted = [
            item.removal.what
            for item in result.removals
            if item.result == "removed" and item.name not in ("reference", "secret")
        ]
        kept = [
            f"{item.removal.what} ({item.removal.why})"
            for item in result.removals
            if item.removal.disposition == "keep"
        ]
        for text, items in ((messages.resources_deleted, deleted), (messages.resources_kept, kept)):
            if items:
                _detail(text(items))
    else:
        _line(messages.nothing_to_remove(name, where))


def _print_error(outcome: Result, error: PullkeyError, *, verbose: bool) -> None:
    _line(styled(f"pullkey: {first_line(error)}", sys.stderr, fg="red"))
    stopped = isinstance(error, Declined | Interrupted) and not outcome.begun
    fix = messages.ONLY_CLEANED_UP if stopped and outcome.undone else advice(error)
    if fix:
        _detail(fix)
    if outcome.left_over:
        _detail(messages.NOT_ALL_UNDONE)
    elif stopped:
        pass
    elif outcome.undone:
        _detail(messages.CHANGES_UNDONE)
    elif outcome.result != "refused" and outcome.exit_code is not ExitCode.USAGE:
        _detail(messages.NOTHING_LEFT)
    cause = error.__cause__
    if verbose and cause is not None:
        # Only the frames: the text of an unexpected error may contain secrets.
        _line("".join(traceback.format_tb(cause.__traceback__)).rstrip())

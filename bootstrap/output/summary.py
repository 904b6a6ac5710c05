"""The summary of a run: its last lines for the user, on stderr."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.engine.locate import LocatedCredential
from bootstrap.engine.result import Result
from bootstrap.model.errors import Declined, ExitCode, Interrupted, advice, first_line
from bootstrap.model.tense import done as done_title
from bootstrap.model.text import sentence
from bootstrap.output.commands import by_hand
from bootstrap.output.terminal import say, say_command, styled, width_of
from bootstrap.plugin.step import State

if TYPE_CHECKING:
    from bootstrap.engine.target_operation import TargetOperation


_UNCHECKED = (
    "  The password itself was not checked: Akka does not show it (see `pullkey verify --credential-stdin`)."
)


def tell_end(
    outcome: Result,
    *,
    run: TargetOperation,
    show_commands: bool,
    handover: Path | None,
    verbose: bool,
    repair: str = "",
) -> None:
    """Print the summary of a run. `repair` is the command that repairs what a verification found."""

    def line(text: str = "") -> None:
        say(text, sys.stderr)

    name, where = run.options.secret_name, run.akka.resolved.label
    if show_commands and outcome.result == "planned":
        missing = [step for step in run.steps if outcome.steps[step.name].seen.state != "done"]
        commands = by_hand(run.session, missing)
        if missing:
            line("\nThe same by hand:")
        for step in missing:
            line(f"\n  # {step.title}")
            say_command(commands[step.name], sys.stderr)
        kept = len(outcome.steps) - len(missing)
        line(f"\nPlan: {len(missing)} to do, {kept} in place. No changes were made.")
        return
    if outcome.result == "unchanged" and outcome.left_over:
        line(f"No changes were made. {where[:1].upper()}{where[1:]} has {name}; see what is left over above.")
    elif outcome.result == "unchanged":
        line(
            f"Everything is in place; nothing was changed. {name} is registered in {where} for "
            f"{run.target.label}."
        )
        if run.session.key.supplied:
            line(_UNCHECKED)
    elif outcome.result == "done" and not any(one.result == "done" for one in outcome.steps.values()):
        line(
            f"Cleaned up after an earlier run; nothing else was to do. {name} is registered in "
            f"{where} for {run.target.label}."
        )
    elif outcome.result == "done":
        line(styled(_what_was_done(run, outcome, f"{name} in {where}"), sys.stderr, fg="green"))
        line(
            f"  user {outcome.credential['username']}, key {outcome.credential['key_id']}, "
            f"{_expiry(run, outcome)}"
        )
        if outcome.verified:
            line(f"  Verified before it was registered: it {outcome.verified.removeprefix('it ')}")
        elif outcome.not_verified:
            line(
                f"  NOT verified by a pull: {sentence(outcome.not_verified)} To verify it, name an "
                "image: --image"
            )
        elif "handshake" not in outcome.steps or outcome.steps["handshake"].result != "skipped":
            # What was missing was another step.
            line(
                "  not verified by a pull: Akka already held this key, and does not show its "
                "password (see `pullkey verify --credential-stdin`)"
            )
        else:
            line("  NOT verified, because of --no-wait. Next, once the cloud has caught up:")
            say_command(
                run.options.command.replace(" onboard ", " verify ", 1)
                .replace(" --no-wait", "")
                .replace(" --yes", ""),
                sys.stderr,
                indent="    ",
            )
        if run.options.grace is None:
            _show_next_steps(run, name)
    elif outcome.result == "verified":
        line(
            f"{name} is registered in {where}, as {run.target.label} needs it."
            if run.session.key.supplied
            else f"{name} in {where} is valid: key, grant and Akka's record are in place."
        )
        if run.session.key.supplied and not outcome.verified:
            line(_UNCHECKED)
        line(f"  {_of_the_pull(outcome)}")
    elif outcome.result == "unneeded":
        line(f"{sentence(outcome.public)} Akka needs no credential for it, and nothing was changed.")
        line("  To register one anyway, pass --anyway.")
    elif outcome.result == "drift":
        _tell_drift(outcome, run, repair)
        if outcome.verified or outcome.not_verified:
            line(f"  {_of_the_pull(outcome)}")
    elif outcome.error is not None:
        _tell_error(outcome, line, verbose=verbose)
    if handover is not None:
        line(f"The steps for an administrator are in {handover}: bash {shlex.quote(str(handover))}")
        line("Then run this command again; it continues from there.")
    elif outcome.result != "drift" and any(problem.permission for problem in outcome.problems):
        line("Pass --handover FILE to write these steps to a script for an administrator.")


def _tell_drift(outcome: Result, run: TargetOperation, repair: str) -> None:
    """Report what a verification found, and the command that repairs it, unless a manual fix is needed."""
    name, states = run.options.secret_name, {outcome.steps[step.name].seen.state for step in run.steps}
    if State.MISSING in states or outcome.problems or outcome.unfinished.what:
        text = f"Akka's credential {name} has drifted from what {run.target.label} needs."
    elif State.UNSEEN in states:
        text = f"Not everything of Akka's credential {name} could be checked."
    else:
        text = (
            f"Key, grant and record of Akka's credential {name} are in place; the credential on stdin "
            "does not pull."
        )
    say(text, sys.stderr)
    by_hand = {problem.step for problem in outcome.problems}
    if outcome.unfinished.what or any(
        outcome.steps[step.name].seen.state is State.MISSING and step.changes and step.name not in by_hand
        for step in run.steps
    ):
        say("Then repair it:" if outcome.problems else "To repair it:", sys.stderr)
        say_command(repair, sys.stderr)


def _show_next_steps(run: TargetOperation, name: str) -> None:
    """What to do with a credential once it is registered."""
    scope = run.akka.scope
    where = f" --akka-project {shlex.quote(scope.project)}" if scope.project else ""
    say("Next:", sys.stderr)
    for verb, what in (("verify", "check it at any time"), ("rotate", "replace its key")):
        command = f"pullkey {verb} {shlex.quote(name)}{where}"
        beside = f"{command}   # {what}"
        room = width_of(sys.stderr)
        say_command(beside if room is None or len(beside) + 2 <= room else command, sys.stderr)


def _what_was_done(run: TargetOperation, outcome: Result, what: str) -> str:
    """No more than what this run did: a registration, or the steps by their titles."""
    done = {name for name, one in outcome.steps.items() if one.result == "done"}
    if run.handoff.name in done:
        return f"Registered {what} for {run.target.label}."
    titles = [done_title(outcome.steps[name].title) for name in outcome.steps if name in done]
    return f"{'; '.join(titles)}, for {what}."


def _expiry(run: TargetOperation, outcome: Result) -> str:
    """Of a key that this run created, whether it expires is known; of any other, or of a password, it is
    not.
    """
    if ends := outcome.credential.get("ends"):
        return f"expires {ends}"
    if run.session.credential is None or run.session.key.supplied:
        return "expiry not known"
    return "no expiry"


def _of_the_pull(outcome: Result) -> str:
    """What `verify` has seen of a pull."""
    if outcome.not_verified:
        return f"Pull not verified: {outcome.not_verified}"
    if outcome.verified:
        return f"Pull verified: {outcome.verified}"
    return "Pull not tested: Akka does not show the password. To test it, pass --credential-stdin."


def tell_offboarding(result: Result, behind: LocatedCredential, where: str) -> None:
    """The last lines of an offboarding."""

    def line(text: str) -> None:
        say(text, sys.stderr)

    name = behind.held.name
    if result.result == "planned":
        line("No changes were made.")
    elif result.error is not None:
        line(f"pullkey: {first_line(result.error)}")
        if fix := advice(result.error):
            line(f"  {fix}")
    elif result.left_over:
        line(
            f"Akka no longer has {name}, but not all of its cloud resources could be removed; see "
            "what is left over above."
        )
    elif result.result == "done":
        line(styled(f"Removed {name} from {where}.", sys.stderr, fg="green"))
        deleted = [
            item.removal.what
            for item in result.removals
            if item.result == "removed" and item.name not in ("reference", "secret")
        ]
        kept = [
            f"{item.removal.what} ({item.removal.why})"
            for item in result.removals
            if item.removal.fate == "keep"
        ]
        for word, items in (("Deleted", deleted), ("Kept", kept)):
            if items:
                line(f"  {word}: {'; '.join(items)}.")
    else:
        line(f"There was nothing to remove of {name} in {where}.")


def _tell_error(outcome: Result, line: Any, *, verbose: bool) -> None:
    error = outcome.error
    if error is None:
        return
    line(styled(f"pullkey: {first_line(error)}", sys.stderr, fg="red"))
    stopped = isinstance(error, Declined | Interrupted) and not outcome.begun
    fix = "Only what an earlier run had left was cleaned up." if stopped and outcome.undone else advice(error)
    if fix:
        line(f"  {fix}")
    if outcome.left_over:
        line("  Not everything could be undone; see what is left over above.")
    elif stopped:
        pass
    elif outcome.undone:
        line("  The changes of this run were undone.")
    elif outcome.result != "refused" and outcome.exit_code is not ExitCode.USAGE:
        line("  This run left nothing behind.")
    cause = error.__cause__
    if verbose and cause is not None:
        # The frames only: the text of an error that nobody foresaw may hold anything.
        line("".join(traceback.format_tb(cause.__traceback__)).rstrip())

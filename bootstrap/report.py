"""How a run ended: the last lines for a person, on stderr."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.behind import Behind
from bootstrap.errors import ExitCode
from bootstrap.offboarding import Parting
from bootstrap.outcome import Outcome
from bootstrap.runbook import filled_in
from bootstrap.words import sentence

if TYPE_CHECKING:
    from bootstrap.engine import Run


def tell_end(
    outcome: Outcome, *, run: Run, show_commands: bool, handover: Path | None, verbose: bool
) -> None:
    """The last lines, on stderr."""

    def line(text: str = "") -> None:
        print(text, file=sys.stderr)

    name = run.wishes.secret_name
    if show_commands and outcome.result == "planned":
        line("What a person would type, step by step:")
        for step in run.steps:
            if outcome.steps[step.name].seen.state != "done":
                line(f"\n  # {step.title}")
                for command in filled_in(step.script().shown, run.session.script_variables()).splitlines():
                    line(f"  {command}")
        line("\nNothing was changed.")
        return
    if outcome.result == "unchanged":
        line(f"Everything is in place; nothing was changed. Akka pulls {run.target.label} with {name}.")
    elif outcome.result == "done":
        line(f"Done: Akka pulls {run.target.label} with {name}.")
        ends = outcome.credential.get("ends")
        line(f"  user {outcome.credential['username']}, key {outcome.credential['key_id']}, {f'until {ends}' if ends else 'without an end date'}")  # fmt: skip
        if outcome.proven:
            line(f"  proven before the handoff: it {outcome.proven.removeprefix('it ')}")
        else:
            line("  NOT proven, because of --no-wait. Next, once the cloud has caught up:")
            line(
                f"    {run.wishes.command.replace(' onboard ', ' verify ', 1).replace(' --no-wait', '').replace(' --yes', '')}"
            )
    elif outcome.result == "verified":
        line(f"Akka's credential {name} is good: key, grant and Akka's record are in place.")
        line(
            f"  a pull was {'done: ' + outcome.proven if outcome.proven else 'not tried: Akka shows no password (see --credential-stdin)'}"
        )
    elif outcome.result == "unneeded":
        line(f"{sentence(outcome.public)} Akka needs no credential for it, and nothing was changed.")
        line("  To register one all the same, give --anyway.")
    elif outcome.result == "drift":
        line(f"Akka's credential {name} is not as it should be; `pullkey onboard` mends it.")
    elif outcome.error is not None:
        _tell_error(outcome, line, verbose=verbose)
    if handover is not None:
        line(f"The steps for whoever has the rights are in {handover}: bash {handover}")
        line("Then run this command again; it goes on from there.")
    elif any(problem.permission for problem in outcome.problems):
        line("With --handover FILE the steps are written down for whoever has the rights.")


def tell_parting(parting: Parting, behind: Behind) -> None:
    """The last lines of an offboarding."""

    def line(text: str) -> None:
        print(text, file=sys.stderr)

    name = behind.held.name
    if parting.result == "planned":
        line("Nothing was changed.")
    elif parting.error is not None:
        line(f"pullkey: {sentence(parting.error.what)}")
        if parting.error.mend:
            line(f"  {sentence(parting.error.mend)}")
    elif parting.left_over:
        line(
            f"Akka no longer has {name}, and not everything behind it could be removed; see what is left over above."
        )
    elif parting.result == "done":
        stays = sum(item.removal.fate == "keep" for item in parting.items)
        line(
            f"Done: {name} is gone{', but for what stays, as told above' if stays else ', and all that stood behind it'}."
        )
    else:
        line("There was nothing to remove.")


def _tell_error(outcome: Outcome, line: Any, *, verbose: bool) -> None:
    error = outcome.error
    if error is None:
        return
    line(f"pullkey: {sentence(error.what)}")
    if error.mend:
        line(f"  {sentence(error.mend)}")
    if outcome.left_over:
        line("  Not everything could be undone; see what is left over above.")
    elif outcome.undone:
        line("  What this run had made was undone.")
    elif outcome.result != "refused" and outcome.exit_code is not ExitCode.USAGE:
        line("  Nothing of this run is left.")
    cause = error.__cause__
    if verbose and cause is not None:
        # The frames only: the text of an error that nobody foresaw may hold anything.
        line("".join(traceback.format_tb(cause.__traceback__)).rstrip())

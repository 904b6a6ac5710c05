"""How a run ended: the last lines for a person, and the JSON object for a program."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.akka import AkkaScope
from bootstrap.engine import Outcome
from bootstrap.errors import ExitCode, Problem
from bootstrap.provider import Session, Target
from bootstrap.runbook import filled_in
from bootstrap.steps import Step
from bootstrap.words import sentence

if TYPE_CHECKING:
    from bootstrap.engine import Run

SCHEMA_VERSION = 1


def as_json(
    outcome: Outcome,
    *,
    command: str,
    provider: str,
    target: Target,
    scope: AkkaScope,
    secret_name: str,
    session: Session,
    steps: Sequence[Step],
) -> str:
    """The object that `pullkey schema` describes. It holds no secret: none is in an `Outcome`."""
    variables = session.script_variables()
    scripts = {step.name: filled_in(step.script().shown, variables) for step in steps}
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "result": outcome.result,
        "exit_code": int(outcome.exit_code),
        "changed": outcome.changed,
        "proven": outcome.proven or None,
        "provider": provider,
        "registry": target.label,
        "as": outcome.who or None,
        "akka": {
            "project": scope.project or None,
            "owner": scope.owner or None,
            "region": scope.region or None,
            "secret_name": secret_name,
        },
        "credential": dict(outcome.credential) or None,
        "steps": [
            {
                "name": result.name,
                "title": result.title,
                "state": str(result.seen.state),
                "reason": result.seen.detail,
                "result": result.result,
                "detail": result.detail,
                "seconds": result.seconds,
                "command": scripts[result.name],
            }
            for result in outcome.steps.values()
        ],
        "problems": [_problem(problem) for problem in outcome.problems],
        "notices": outcome.notices,
        "undone": outcome.undone,
        "left_over": [{"what": item.what, "command": item.command} for item in outcome.left_over],
        "error": {"what": outcome.error.what, "mend": outcome.error.mend} if outcome.error else None,
    }
    return json.dumps(document, indent=2)


def _problem(problem: Problem) -> dict[str, str | None]:
    return {
        "kind": str(problem.kind),
        "what": problem.what,
        "mend": problem.mend or None,
        "step": problem.step or None,
        "permission": problem.permission or None,
    }


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
        line(f"{sentence(run.public)} Akka needs no credential for it, and nothing was changed.")
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

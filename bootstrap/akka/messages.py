"""Messages of the Akka CLI's calls: problems and errors, each with its stable code."""

from __future__ import annotations

from collections.abc import Collection

from bootstrap.akka.output import OutputTooLong
from bootstrap.akka.process import OUTPUT_LIMIT
from bootstrap.akka.refusals import ChangeRefused
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.codes import Code
from bootstrap.model.errors import OutcomeUnknown, Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.text import sentence

_INSTALL = "https://doc.akka.io/operations/cli/installation.html"

# -- the CLI and its login -----------------------------------------------------------------------------------


def cli_missing(program: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        _not_on_path(program),
        f"Install it ({_INSTALL}) and log in with: akka auth login",
        code=Code.AKKA_CLI_MISSING,
    )


def cli_not_found(program: str) -> UsageProblem:
    """The same as `cli_missing`, found when a command was started."""
    return UsageProblem(_not_on_path(program), fix=f"Install it: {_INSTALL}", code=Code.AKKA_CLI_MISSING)


def _not_on_path(program: str) -> str:
    return f"The Akka CLI is not installed: {program!r} is not on the path"


def cli_too_old(version: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The Akka CLI {version} is too old: it cannot name a credential",
        f"Install 3.0.4 or newer: {_INSTALL}",
        code=Code.AKKA_CLI_OLD,
    )


def not_logged_in(detail: str, token_file: str) -> Problem:
    """`token_file` is where the token was taken from; "" if it was not taken from a file."""
    return Problem(
        ProblemKind.SETUP,
        f"The Akka CLI is not logged in ({detail})",
        f"Put a valid token in {token_file}"
        if token_file
        else "Run: akka auth login (in CI: set AKKA_TOKEN)",
        code=Code.AKKA_LOGIN_MISSING,
    )


# -- the project ---------------------------------------------------------------------------------------------


def project_not_shown(scope: AkkaScope, detail: str) -> Problem:
    """Akka failed to show the project, which may exist."""
    named = _typed(scope)
    what = f"Akka project {named}" if named else "the Akka CLI's current project"
    return Problem(
        ProblemKind.SETUP,
        f"Akka cannot show {what}: {detail}",
        "Run it again in a while; see `akka projects list`",
        code=Code.AKKA_FAILED,
    )


def project_not_found(scope: AkkaScope, user: str, names: Collection[str]) -> Problem:
    """The project does not exist; `names` are those that the login can see."""
    named = _typed(scope)
    what = f"There is no Akka project {named}" if named else "The Akka CLI's current project does not exist"
    near = nearest_or_all(named, names)
    fix = (
        f"{sentence(near) if near else ''} Name it with --akka-project (and --akka-owner); see `akka "
        "projects list`"
    )
    return Problem(
        ProblemKind.SETUP,
        f"{what} that {user or 'this login'} can see",
        fix.strip(),
        code=Code.AKKA_PROJECT_NOT_FOUND,
    )


def _typed(scope: AkkaScope) -> str:
    return "/".join(filter(None, (scope.owner, scope.project)))


# -- one command ---------------------------------------------------------------------------------------------


def command_failed(command: str, detail: str) -> StepFailed:
    """A command ended with an error."""
    return StepFailed(f"{command} failed: {detail}", code=Code.AKKA_FAILED)


def registration_refused(detail: str) -> ChangeRefused:
    return ChangeRefused(f"akka docker add-credentials failed: {detail}")


def services_not_shown(label: str, detail: str) -> StepFailed:
    return StepFailed(f"Akka does not show the services of {label} ({detail})", code=Code.AKKA_FAILED)


def reference_contradiction(secret_name: str) -> StepFailed:
    """`remove-credentials` and `list-credentials` contradict each other."""
    return StepFailed(
        f"akka docker remove-credentials says that there is no {secret_name}, and list-credentials lists it",
        code=Code.AKKA_OUTPUT,
    )


def secret_contradiction(secret_name: str) -> StepFailed:
    """`secrets delete` and `secrets list` contradict each other."""
    return StepFailed(
        f"akka secrets delete says that there is no {secret_name}, and akka secrets list lists it",
        code=Code.AKKA_OUTPUT,
    )


def not_started(command: str, error: Exception) -> StepFailed:
    # The text of this error can contain the arguments.
    return StepFailed(f"{command} could not be started ({type(error).__name__})", code=Code.AKKA_FAILED)


def timed_out(command: str, seconds: float) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{command} did not end within {seconds:.0f} s and was stopped", code=Code.AKKA_TIMEOUT
    )


def no_answer_in_time(command: str, seconds: float) -> OutcomeUnknown:
    """A command that other targets wait for too; it continues for them."""
    return OutcomeUnknown(
        f"{command} did not end within the {seconds:.0f} s that were left of this target's --timeout",
        fix="Run it again; if it takes as long again, with a longer --timeout.",
        code=Code.AKKA_TIMEOUT,
    )


def output_too_long(command: str) -> OutputTooLong:
    return OutputTooLong(
        f"{command} printed more than {OUTPUT_LIMIT >> 20} MiB and was stopped",
        fix="See what it prints; `akka` may be another program than the Akka CLI.",
    )

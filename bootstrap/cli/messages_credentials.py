"""The errors and notices about credentials and services, each error with its code."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError, StepFailed, UsageProblem
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.text import did_you_mean
from bootstrap.plugin.recorded_key import SECRETLESS

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope


def nothing_of_this_name(name: str, scope: str, known: str) -> UsageProblem:
    """There is neither a credential nor a secret of the name; `known` says which names there are."""
    return UsageProblem(
        f"There is no credential named {name} in {scope}", fix=known, code=Code.CREDENTIAL_NOT_FOUND
    )


def credential_in_no_project(name: str, near: str, unread: int) -> UsageProblem:
    """`unread` is how many projects could not be read."""
    unseen = f"; {unread} of them could not be read" if unread else ""
    return UsageProblem(
        f"No Akka project that this login sees has a credential named {name!r}{unseen}",
        fix=near or "They have none at all.",
        code=Code.CREDENTIAL_NOT_FOUND,
    )


def no_credential_for_registry(registry: str, scope: AkkaScope, image: str) -> UsageProblem:
    return UsageProblem(
        f"Akka has no credential for {registry} in {scope.label}",
        fix=f"`pullkey onboard {shlex.quote(image)}{scope.options}` registers one",
        code=Code.CREDENTIAL_NOT_FOUND,
    )


def several_credentials(image: str, names: str, scope: AkkaScope) -> UsageProblem:
    return UsageProblem(
        f"More than one credential may be for {image}: {names}",
        fix=f"Name one: pullkey verify NAME{scope.options}",
        code=Code.CREDENTIAL_AMBIGUOUS,
    )


def credential_not_managed(name: str, provider: str, scope: AkkaScope) -> PullkeyError:
    return PullkeyError(
        f"Akka's {name} was not created by pullkey, so its cloud resources are not known",
        fix=f"To have pullkey look after it: pullkey onboard {provider} ... "
        f"--secret-name {shlex.quote(name)} --replace{scope.options}",
        code=Code.CREDENTIAL_NOT_MANAGED,
    )


def secret_lost(name: str, verb: str, scope: AkkaScope) -> PullkeyError:
    """Akka's record refers to a deleted secret, so it does not say what it is of. `verb`: the command's."""
    then = f", then {verb} it" if verb in ("rotate", "offboard") else ""
    error = PullkeyError(
        f"{SECRETLESS}, so its cloud resources are not known",
        fix=f"Onboard its registry again with --secret-name {shlex.quote(name)}{scope.options}{then}",
        code=Code.CREDENTIAL_UNREADABLE,
    )
    error.exit_code = ExitCode.DRIFT
    return error


def cloud_resources_not_found(name: str) -> PullkeyError:
    return PullkeyError(
        f"The cloud resources of Akka's {name} could not be found", code=Code.CREDENTIAL_UNREADABLE
    )


def run_at_work(name: str, scope: str, run_id: str, begun: str) -> PullkeyError:
    """Akka does not list the credential, and another run is at work on it."""
    return PullkeyError(
        f"Akka has no credential named {name} in {scope}, and run {run_id} of {begun} is at work on it",
        fix="Wait for it to end, and run this again",
        code=Code.RUN_BUSY,
    )


def run_unfinished(name: str, scope: str, run_id: str, begun: str, command: str) -> PullkeyError:
    """Akka does not list the credential, and a run of `command` did not end."""
    return PullkeyError(
        f"Akka has no credential named {name} in {scope}, but run {run_id} of {begun} did not end, and may "
        "have created its cloud resources",
        fix=f"Run that again to complete it; then offboard it: {command}",
        code=Code.RUN_UNFINISHED,
    )


_OFFBOARD_AGAIN = (
    "run it again there, or onboard the registry again and offboard it, which finds what is left."
)


def offboarding_may_be_interrupted(name: str) -> str:
    return f"If an offboarding of {name} was interrupted on another machine: {_OFFBOARD_AGAIN}"


def only_secret_is_there(name: str, scope: str) -> Iterable[str]:
    """Akka lists no credential of a name, but a secret: the first line, and what to do, one line each."""
    return (
        f"Akka lists no credential named {name} in {scope}, but a secret of that name. Nothing was changed.",
        "  If it was registered a moment ago: run this again in a while.",
        f"  If a registration or an offboarding of it was cut off on another machine: {_OFFBOARD_AGAIN}",
    )


def may_be_enabled(key_id: str) -> str:
    return f"Not known: whether key {key_id} is enabled"


def password_to_replace(name: str, why: str, scope: AkkaScope) -> str:
    """A user-supplied password, which `rotate --due` does not replace; `why` it is due, "" if it is not."""
    return (
        f"{name}: {why or 'a password that you supplied'}. To replace it: pullkey rotate "
        f"{shlex.quote(name)}{scope.options}"
    )


def key_would_be_restored(link: KeyRef) -> str:
    return (
        f"Key {link.replaces} is disabled, and would be enabled again until the next rotation. "
        f"Akka would continue with key {link.key_id}."
    )


def question_to_restore(link: KeyRef) -> str:
    return f"Enable key {link.replaces} again until the next rotation?"


def service_image_not_shown(name: str) -> StepFailed:
    return StepFailed(f"Akka does not show the image of the service {name}", code=Code.AKKA_FAILED)


def service_not_found(name: str, scope: str, services: Sequence[str]) -> UsageProblem:
    """`services` are the names of those that there are."""
    nearest = did_you_mean(name, services) or (
        f"There are: {', '.join(services[:8])}." if services else "It runs no services."
    )
    return UsageProblem(
        f"There is no service {name!r} in {scope}", fix=nearest, code=Code.AKKA_SERVICE_NOT_FOUND
    )


def service_not_a_credential(name: str, scope: AkkaScope) -> str:
    """How to find the credential of a service that was named in place of a credential."""
    command = f"pullkey verify --service {shlex.quote(name)}{scope.options}"
    return f"{name} is a service. To find its credential: {command}"


def service_has_no_credential(host: str, image: str, scope: AkkaScope) -> str:
    command = f"pullkey onboard {shlex.quote(image)}{scope.options}"
    return f"Akka has no credential for {host}. `{command}` registers one"


def credential_valid_but_pull_failed(service: str, scope: AkkaScope) -> str:
    """What to do where a pull failed before its credential was replaced."""
    return (
        "The credential is valid now. If the failure is older than the credential, "
        f"`{shlex.join(['akka', 'services', 'restart', service, *scope.printed_arguments()])}` pulls again"
    )

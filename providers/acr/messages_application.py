"""What this provider tells its users of the application, its service principal and its secrets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bootstrap.model.codes import Code
from bootstrap.model.errors import NotShown, Problem, ProblemKind, StepFailed
from bootstrap.model.text import one_line
from bootstrap.plugin.step import Notice, StepRole

if TYPE_CHECKING:
    from bootstrap.plugin.errors import ApiError
    from providers.acr.deleted_items import DeletedApplication
    from providers.acr.directory_objects import Application, Principal
    from providers.acr.graph import Graph
    from providers.acr.target import AcrTarget

_NO_SECRETS = (
    "Ask the administrator of app management policies for an exception for this application; or "
    "use an application "
    "that is exempt, with --app-id"
)
_LONGEST = (
    "Ask the administrator of app management policies for the longest lifetime, and pass it with "
    "--expires-in."
)


def name_unreadable(graph: Graph, target: AcrTarget, error: ApiError) -> StepFailed:
    """The unique name is taken by a deleted application, which this login may not see."""
    return StepFailed(
        f"An application in the directory's deleted items has the unique name {target.unique_name}, "
        f"and this login may not read them ({error.summary})",
        fix=f"Have it found: `{graph.list_deleted_command(target.app_name)}`; then have it deleted "
        f"permanently: `{graph.purge_command('OBJECT_ID')}`. Or pass another --app-name",
        code=Code.IDENTITY_DELETED,
    )


def name_taken(target: AcrTarget, deleted: DeletedApplication, fix: str) -> StepFailed:
    """The unique name is taken by a deleted application that pullkey has not created."""
    return StepFailed(
        f"The unique name {target.unique_name} is taken by {deleted.display_name} "
        f"({deleted.object_id}) in the directory's deleted items, which pullkey has not created",
        fix=fix,
        code=Code.NAME_IN_DELETED_ITEMS,
    )


def not_restored(graph: Graph, deleted: DeletedApplication, error: ApiError) -> StepFailed:
    """The deleted application may not be restored."""
    return StepFailed(
        f"The application {deleted.display_name} ({deleted.object_id}) is in the directory's "
        f"deleted items, and this login may not restore it ({error.summary})",
        fix=f"Have it restored: `{graph.restore_command(deleted.object_id)}` (it takes Application "
        "Administrator, or Application.ReadWrite.OwnedBy as its owner). Or pass another --app-name",
        code=Code.IDENTITY_DELETED,
    )


def not_an_owner(error: ApiError, doing: str, command: str, *, user: bool, own: bool) -> StepFailed:
    """A change of an application was refused to a login that may change those that it owns.

    Args:
        error: the answer.
        doing: the change, as the text after "to".
        command: makes the login an owner.
        user: whether the login is a user's.
        own: whether this run has created the application.
    """
    if own:
        why = (
            "The login may change only applications that it owns, and the directory may not have made it the "
            "owner of the one that it created. If that is left over, have an administrator do so"
        )
    else:
        holds = "" if user else "holds the permission for applications that it owns, and "
        why = f"The login {holds}is not an owner of this one. Have an administrator make it one"
    return StepFailed(
        f"Azure refused to {doing}: {error.summary}", fix=f"{why}: {command}", code=error.problem_code
    )


def secrets_forbidden_now(error: ApiError) -> StepFailed:
    """The creation of a secret was refused by a policy that the preflight could not see."""
    return StepFailed(
        f"A policy of the directory forbids client secrets ({error.summary})",
        fix=_NO_SECRETS,
        code=Code.KEYS_FORBIDDEN,
    )


def lifetime_refused(error: ApiError) -> StepFailed:
    return StepFailed(
        f"The directory's policy takes no lifetime that was tried ({error.summary})",
        fix=_LONGEST,
        code=Code.KEY_LIFETIME,
    )


def application_not_shown(label: str, error: ApiError) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The directory does not show the application {label} ({error.summary})",
        "Check --app-id and --tenant",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NOT_FOUND,
    )


def application_elsewhere(app_id: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The application {app_id} is of another directory, where alone a secret can be added to it",
        "Log in there, or name an application of this directory with --app-id",
        step=StepRole.KEY,
        code=Code.IDENTITY_ELSEWHERE,
    )


def managed_identity(app_id: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"{app_id} is a managed identity, which can have no secret for Akka",
        "Name an application with --app-id, or leave it out: pullkey then creates one",
        step=StepRole.KEY,
        code=Code.IDENTITY_ELSEWHERE,
    )


def application_deleted(app_id: str, deleted: DeletedApplication, graph: Graph) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The application {app_id} was deleted{deleted.when}",
        f"Have it restored, and its service principal too: {graph.restore_command(deleted.object_id)}",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DELETED,
    )


def application_not_found(app_id: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"There is no application {app_id} in this directory",
        "Check --app-id against `az ad app list`; it takes the application (client) id",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NOT_FOUND,
    )


def unique_name_taken(target: AcrTarget, deleted: DeletedApplication, fix: str) -> Problem:
    """Before the creation: a deleted application that is not pullkey's has the unique name."""
    return Problem(
        ProblemKind.QUESTION,
        f"The unique name {target.unique_name} is taken by a deleted application "
        f"that pullkey has not created: {deleted.display_name} ({deleted.object_id})",
        fix,
        step=StepRole.IDENTITY,
        code=Code.NAME_IN_DELETED_ITEMS,
    )


def recorded_application_not_shown(app_id: str, *, deleted: bool) -> Problem:
    """Akka's record names an application that the directory does not show."""
    what = (
        "was deleted, and pullkey has not created it" if deleted else "is not shown, nor that it was deleted"
    )
    return Problem(
        ProblemKind.SETUP,
        f"The application {app_id}, which Akka's record names, {what}",
        "Run it again in a few minutes; or if it was deleted, onboard the registry "
        "again: pullkey onboard acr",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NOT_FOUND,
    )


def application_name_taken(app_name: str, app_ids: Sequence[str]) -> Problem:
    return Problem(
        ProblemKind.QUESTION,
        f"There is an application {app_name} that pullkey did not create: {', '.join(app_ids)}",
        "To use it, name it with --app-id; to have pullkey create its own, pass another --app-name",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NAME_TAKEN,
    )


def service_principal_missing(app_id: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The application {app_id} has no service principal in this directory",
        f"Create it: az ad sp create --id {app_id}",
        step=StepRole.IDENTITY,
        code=Code.SERVICE_PRINCIPAL_MISSING,
    )


def application_disabled(label: str, application: Application, graph: Graph) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"No token is issued to the application {label}: {application.disabled}",
        "Find out why; where an administrator did it: az rest --method PATCH --url "
        f"{graph.url}/v1.0/applications/{application.object_id} "
        f"--body '{{\"isDisabled\": false}}'",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DISABLED,
    )


def service_principal_disabled_by_microsoft(label: str, principal: Principal) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"No token is issued to the service principal of {label}: {principal.disabled}",
        "Ask Microsoft's support about it, or pass another --app-name",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DISABLED,
    )


def service_principal_disabled(label: str, app_id: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The service principal of {label} is disabled",
        f"Find out why; then: az ad sp update --id {app_id} --set accountEnabled=true",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DISABLED,
    )


def role_has_condition(role: str, place: str, condition: str, repository: str) -> str:
    """Why a pull is refused although the role is assigned."""
    named = f"leave {repository} out" if repository else "leave out what was tried"
    another = "" if repository else "; name an image that it covers: --image"
    said = one_line(condition, 200)
    return f"The role {role} on {place} has a condition, which may {named} ({said}){another}."


def secrets_forbidden() -> Problem:
    return Problem(
        ProblemKind.POLICY,
        "The directory's app management policy forbids client secrets",
        _NO_SECRETS,
        step=StepRole.KEY,
        code=Code.KEYS_FORBIDDEN,
    )


def lifetime_shortened(longest: dt.timedelta) -> Notice:
    return Notice(
        f"The directory allows client secrets {longest.days} days at most, so this one expires after that."
    )


def creation_not_listed(permission: str) -> Notice:
    return Notice(
        f"The login's token does not list {permission}. A custom role of the directory may permit to create "
        "the application nevertheless; the first change shows it."
    )


def waiting_for_application(client_id: str, seconds: float) -> str:
    return (
        f"Azure shows neither the application {client_id}, which Akka's record names, nor that "
        f"it was deleted. It may be new; waiting for up to {seconds:.0f} s."
    )


def application_lags(client_id: str) -> StepFailed:
    return StepFailed(
        f"Azure shows neither the application {client_id} nor that it was deleted",
        code=Code.CLOUD_LAG,
    )


def application_unconfirmed(client_id: str) -> NotShown:
    """Akka's record names an application that is neither shown nor known to be deleted."""
    return NotShown(f"Azure shows neither the application {client_id} nor that it was deleted")


# -- why a pull is refused -----------------------------------------------------------------------------------

SHOWN_DELETED = "Azure no longer shows the application: it was deleted outside of pullkey."
SHOWN_DISABLED = "Azure shows the service principal as disabled."
SHOWN_IN_PLACE = "Azure shows secret and role in place, so they are still spreading."
SHOWN_WITHOUT_GRANT = (
    "The secret is valid; whether the role was granted is not known here (--skip-grant). A registry answers "
    "both alike."
)


def shown_without_secret(key_id: str) -> str:
    return f"Azure no longer shows the secret {key_id}: it was deleted outside of pullkey."


def shown_without_role(role: str, registry: str) -> str:
    return f"Azure no longer shows {role} on {registry}: it was removed outside of pullkey."

"""Messages about the login, the project, its repositories, the service account and its role."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import (
    OutcomeUnknown,
    Problem,
    ProblemKind,
    StepFailed,
    UsageProblem,
)
from bootstrap.plugin.errors import page_fix
from bootstrap.plugin.step import Notice, StepRole
from providers.gcr import errors
from providers.gcr.errors import GoogleApiError, NoLogin

# -- the login -----------------------------------------------------------------------------------------------


def sdk_missing(error: ImportError) -> UsageProblem:
    """The package's extra is not installed."""
    # It reads the installation's metadata, which only this error needs.
    from bootstrap.plugin.installation import install_command

    return UsageProblem(
        f"Google's libraries are not installed ({error.name})",
        fix=f"Install them: {install_command('gcr')}",
        code=Code.EXTRA_MISSING,
    )


def impersonation_denied(account: str, summary: str) -> NoLogin:
    """`account` is "" if the login itself, and no option, names the account: then which is not known here."""
    if not account:
        return NoLogin(
            f"Your Google login may not act as the service account that it names ({summary})",
            fix="On that account it takes roles/iam.serviceAccountTokenCreator, and a workload identity "
            "roles/iam.workloadIdentityUser.",
            code=Code.IMPERSONATION_DENIED,
        )
    return NoLogin(
        f"Your Google login may not act as {account} ({summary})",
        fix="It takes roles/iam.serviceAccountTokenCreator on that account: gcloud iam "
        f"service-accounts add-iam-policy-binding {account} --member=user:YOU "
        "--role=roles/iam.serviceAccountTokenCreator",
        code=Code.IMPERSONATION_DENIED,
    )


def login_api_disabled(service: str, project: str, summary: str) -> NoLogin:
    """The API that issues the login's tokens is not enabled."""
    return NoLogin(
        f"There is no usable Google login ({summary})",
        fix=f"Run: {errors.enabling_command([service], project)}",
        code=Code.API_DISABLED,
    )


def quota_project_denied(summary: str) -> NoLogin:
    return NoLogin(
        f"There is no usable Google login ({summary})",
        fix=errors.quota_project_fix(),
        code=Code.LOGIN_MISSING,
    )


def login_answered_by_page(summary: str, host: str) -> NoLogin:
    return NoLogin(
        f"There is no usable Google login ({summary})", fix=page_fix(host), code=Code.REGISTRY_ANSWER
    )


def no_usable_login(summary: str) -> NoLogin:
    return NoLogin(
        f"There is no usable Google login ({summary})", fix=errors.login_fix(), code=Code.LOGIN_MISSING
    )


def login_unanswered(summary: str, status: int | None) -> NoLogin:
    """The token service was busy or away for as long as it was asked; `status` is None without an answer."""
    said = f"HTTP {status}, {summary}" if status is not None else summary
    if status == 429:
        return NoLogin(
            f"The token service limits the rate of Google logins, and gave none in time ({said})",
            fix=errors.RUN_LATER,
            code=Code.CLOUD_RATE_LIMITED,
        )
    return NoLogin(
        f"The token service did not answer your Google login ({said})",
        fix=errors.RUN_LATER,
        code=Code.CLOUD_UNAVAILABLE,
    )


# -- the project and its APIs --------------------------------------------------------------------------------


def project_unreadable(project: str, error: GoogleApiError) -> Problem:
    """The read failed for a reason that says nothing about the project."""
    return Problem(
        ProblemKind.SETUP,
        f"Google could not be asked about project {project}: {error.summary}",
        error.fix_or_wait,
        code=error.problem_code,
    )


def project_not_found(project: str, near: str, error: GoogleApiError) -> Problem:
    """No such project, or one that this login may not see; `near` is a "Did you mean", or ""."""
    return Problem(
        ProblemKind.SETUP,
        f"Google shows no project {project} ({error.summary.removesuffix('.')})",
        f"{near} Check the project against `gcloud projects list`; what is needed "
        "is its id, not its name. If it is the right one, ask for access to it".lstrip(),
        code=Code.PROJECT_NOT_FOUND,
    )


def project_inactive(project: str, state: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"Project {project} is not active: {state}",
        "Restore it, or name another",
        code=Code.PROJECT_INACTIVE,
    )


def apis_disabled(project: str, services: Sequence[str]) -> Problem:
    """APIs that are not enabled in the registry's project.

    Service Usage cannot enable itself; gcloud calls it by a project of its own.
    """
    command = errors.enabling_command(services, project)
    alone = "serviceusage.googleapis.com" in services
    return Problem(
        ProblemKind.SETUP,
        f"These APIs are not enabled in {project}: {', '.join(services)}",
        f"Run: {command}" if alone else f"Pass --enable-apis, or run: {command}",
        code=Code.API_DISABLED,
    )


def login_apis_disabled(consumer: str, services: Sequence[str]) -> Problem:
    """APIs that are not enabled in the project to which Google counts the login's calls: that of a service
    account, or a user's quota project. `--enable-apis` enables them in the registry's project only.
    """
    return Problem(
        ProblemKind.SETUP,
        f"These APIs are not enabled in {consumer}, to which Google counts the calls of your login: "
        f"{', '.join(services)}",
        f"Run: {errors.enabling_command(services, consumer)}",
        code=Code.API_DISABLED,
    )


def quota_project_missing(project: str, services: Sequence[str]) -> Problem:
    """A user's login that names no quota project: Google counts its calls to gcloud's own."""
    return Problem(
        ProblemKind.SETUP,
        f"Your Google login has no quota project, which these APIs need: {', '.join(services)}",
        errors.quota_project_fix(project),
        code=Code.API_DISABLED,
    )


# -- the repository ------------------------------------------------------------------------------------------


def repository_not_for_images(repository: str, kind: str) -> Problem:
    """The repository has another format than DOCKER."""
    return Problem(
        ProblemKind.SETUP,
        f"Repository {repository} holds no images: its format is {kind}",
        "Name one of format DOCKER",
        step=StepRole.GRANT,
        code=Code.REPOSITORY_FORMAT,
    )


def location_not_found(location: str, near: str) -> Problem:
    """Artifact Registry has no such location; `near` is a "Did you mean", or ""."""
    return Problem(
        ProblemKind.SETUP,
        f"Artifact Registry has no location {location}",
        f"{near} Check the registry's host against `gcloud artifacts locations list`".lstrip(),
        step=StepRole.GRANT,
        code=Code.REPOSITORY_NOT_FOUND,
    )


def repository_not_migrated(project: str, host: str) -> Problem:
    """A Container Registry host that no repository of Artifact Registry serves yet.

    Google's own words of such a host: "please use the auto migration tool to migrate to Artifact Registry".
    """
    return Problem(
        ProblemKind.SETUP,
        f"Project {project} was never migrated to Artifact Registry, which serves {host} now",
        f"Run: gcloud artifacts docker upgrade migrate --projects={project}",
        step=StepRole.GRANT,
        code=Code.REPOSITORY_NOT_MIGRATED,
    )


def repository_not_found(
    project: str, repository: str, location: str, existing: Sequence[str] | None, near: Sequence[str]
) -> Problem:
    """No such repository.

    Args:
        project: in which it was looked up.
        repository: its name.
        location: in which it was looked up.
        existing: the repositories for images that are there; None where they may not be listed.
        near: those of them with a similar name, the nearest first.
    """
    fix = "See `gcloud artifacts repositories list`"
    if existing is not None:
        known = (
            f"There are: {', '.join(sorted(existing)[:8])}"
            if existing
            else f"No repository for images exists in {location}"
        )
        guess = f"Did you mean {near[0]}? " if near else ""
        fix = f"{guess}{known}; see `gcloud artifacts repositories list`"
    return Problem(
        ProblemKind.SETUP,
        f"Project {project} has no repository {repository} in {location}",
        fix,
        step=StepRole.GRANT,
        code=Code.REPOSITORY_NOT_FOUND,
    )


# -- the service account -------------------------------------------------------------------------------------


def account_not_shown(account: str, error: GoogleApiError) -> Problem:
    """An account that was given by its e-mail cannot be read."""
    return Problem(
        ProblemKind.SETUP,
        f"Google does not show the service account {account} ({error.summary})",
        f"Check --service-account. {error.fix}".rstrip(),
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NOT_FOUND,
    )


def account_not_found(account: str) -> Problem:
    """An account that was given by its e-mail does not exist."""
    return Problem(
        ProblemKind.SETUP,
        f"There is no service account {account}",
        "Check --service-account; a bare name is created, an e-mail must exist",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NOT_FOUND,
    )


def account_disabled(account: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The service account {account} is disabled",
        f"Find out why; then: gcloud iam service-accounts enable {account}",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DISABLED,
    )


def account_was_deleted(unique_id: str) -> Notice:
    """An account of the same name was deleted; within 30 days it can be restored."""
    return Notice(
        f"A service account of this name was deleted (unique id {unique_id}); a new one is "
        "created, which inherits nothing from it. To restore the old one instead, "
        f"within 30 days: gcloud iam service-accounts undelete {unique_id}"
    )


def account_refused(noun: str, error: GoogleApiError) -> StepFailed:
    """Google creates no service account: also where an organisation policy forbids it
    (`iam.disableServiceAccountCreation`), or the project has as many as it may have.
    """
    failure = errors.refused(error, f"create the {noun}", permission="iam.serviceAccounts.create")
    instead = "use an account that exists: --service-account EMAIL"
    if error.constraint:
        failure.fix = f"{failure.fix.removesuffix('.')}; or {instead}"
        failure.code = Code.POLICY
    elif "Maximum number of service accounts" in error.message:
        failure.fix = f"Delete an account that nothing uses, ask Google for a higher quota, or {instead}"
        failure.code = Code.LIMIT
    return failure


def account_not_confirmed(account: str, why: str) -> StepFailed:
    """There was no time to read again whether the account exists, as something says."""
    return StepFailed(
        f"Google does not show the service account {account}, and {why}; there was no time to look again",
        fix="Give a longer --timeout.",
        code=Code.CLOUD_LAG,
    )


def account_created_but_not_shown(noun: str, error: GoogleApiError) -> OutcomeUnknown:
    """A creation is refused with ALREADY_EXISTS, and reads do not show the account."""
    return OutcomeUnknown(
        f"Google says that the {noun} exists, and does not show it ({error.summary})",
        fix="Run it again in a few minutes: it continues with that account.",
    )


# -- the role ------------------------------------------------------------------------------------------------


def storage_role_is_broad(role: str, project: str) -> Notice:
    return Notice(
        f"{role} is broader than a puller needs: it reads every object in every "
        f"bucket of {project}; and Artifact Registry, which serves gcr.io "
        "now, wants its own role for a pull.",
        warning=True,
    )


def grant_is_broad(role: str, project: str, narrower: str) -> str:
    """The role is granted on the whole project; `narrower` is the `--server` that grants one repository."""
    return (
        f"{role} on the project {project} lets Akka read every repository in it. To "
        f"grant it on one repository only: pullkey onboard gcr --server {narrower}"
    )


def account_unknown_to_policy(account: str, error: GoogleApiError) -> StepFailed:
    """The policy's server did not know a new account within its time."""
    return StepFailed(
        f"Google does not know the service account {account} yet ({error.summary})",
        fix="It was created a short while ago, or was deleted meanwhile. Run it again in a few minutes.",
        code=Code.CLOUD_LAG,
    )


def invalid_grant_fix(role: str, place: str) -> str:
    """Google refuses the role, or the policy with it, as invalid."""
    return (
        f"Check --role (see `gcloud iam roles describe {role}`) and the policy of "
        f"{place}; or grant it yourself, and pass --skip-grant."
    )


def deleted_account_in_policy_fix(place: str, commands: Sequence[str]) -> str:
    """Google refuses a grant to an account while the policy names a deleted one with the same e-mail
    (GoogleCloudPlatform/k8s-config-connector#279; "Handling diffs with deleted IAM principals" of the
    Terraform provider).
    """
    return (
        f"The policy of {place} still names a deleted account with this e-mail, and Google grants no role to "
        f"the new one until that is removed. Remove it, then run this again: {'; '.join(commands)}"
    )


def policy_contended_fix(place: str) -> str:
    return f"Others keep changing the policy of {place}. {errors.RUN_LATER}"


def role_removed_meanwhile(role: str, resource: str) -> str:
    return f"Google no longer shows {role} on {resource}: it was removed outside of pullkey."


GRANT_UNKNOWN = (
    "The key is valid; whether the account has a role that lets it pull is not known here, since pullkey "
    "grants it none (--skip-grant, or a role that it sees nowhere)."
)
STILL_SPREADING = "Google shows key and role in place, so it is still spreading, or a deny policy forbids it."

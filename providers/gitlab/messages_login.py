"""Messages about the access token and its instance."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.plugin.registry import code_of
from bootstrap.plugin.step import StepRole
from providers.gitlab.address import host_of_instance
from providers.gitlab.errors import GitlabApiError, LoginMissing


def login_not_supplied(host: str) -> LoginMissing:
    return LoginMissing(f"GitLab was not asked: no access token for {host} was supplied")


def login_invalid() -> UsageProblem:
    return UsageProblem(
        "The supplied access token holds a space or other characters that none has",
        fix="Pass the token alone, in one line.",
        code=Code.SECRET_MALFORMED,
    )


def login_refused(instance: str, error: GitlabApiError) -> StepFailed:
    """`instance` is the URL of the instance."""
    return StepFailed(
        f"{host_of_instance(instance)} refuses the access token: {error.summary}",
        fix="Check that it is of this GitLab instance, and that it has neither expired nor been revoked. "
        f"Create one with the scope api at {instance}/-/user_settings/personal_access_tokens",
        code=Code.GITLAB_LOGIN_REFUSED,
    )


def scope_missing(scopes: str) -> Problem:
    """`scopes` are the token's; "" if they are not shown."""
    has = f" (it has {scopes})" if scopes else ""
    return Problem(
        ProblemKind.RIGHT,
        f"The access token lacks the scope api{has}, needed to create and delete deploy tokens",
        "Create one with the scope api",
        step=StepRole.KEY,
        code=Code.GITLAB_TOKEN_SCOPE,
    )


def instance_untrusted(registry: str, attempt: PullAttempt) -> StepFailed:
    """The registry's token service has another owner, or the registry does not answer."""
    if attempt.verdict is Verdict.UNTRUSTED:
        return StepFailed(
            f"{registry} does not show which GitLab it belongs to ({attempt.detail})",
            fix="If that is its GitLab, name it; it is then sent your access token: --gitlab https://HOST",
            code=Code.GITLAB_HOST,
        )
    return StepFailed(
        f"{registry} could not be asked which GitLab it belongs to ({attempt})",
        fix="Name its GitLab: --gitlab https://HOST",
        code=code_of(attempt),
    )


def not_gitlab(registry: str) -> StepFailed:
    return StepFailed(
        f"{registry} does not answer as the container registry of a GitLab instance",
        fix="Name its GitLab with --gitlab https://HOST, or onboard it with a password: "
        "pullkey onboard private",
        code=Code.GITLAB_HOST,
    )


def login_for_another(recorded: str, named: str) -> StepFailed:
    """The user named one instance, and Akka's record, which others may be able to write, another."""
    return StepFailed(
        f"The deploy token in Akka is of {recorded}, and the access token is for {named}, so it is not "
        f"sent to {recorded}",
        fix=f"If {recorded} is yours, name it in the variable PULLKEY_GITLAB (with https://), and give an "
        "access token of it",
        code=Code.GITLAB_HOST,
    )


def instance_changed(registry: str, named: str, recorded: str) -> StepFailed:
    """The registry names another instance than the one in Akka's record."""
    return StepFailed(
        f"{registry} names the GitLab instance {named}, and the deploy token in Akka is of {recorded}",
        fix="If GitLab has moved, onboard the registry again; else name the instance in the variable "
        "PULLKEY_GITLAB",
        code=Code.GITLAB_HOST,
    )

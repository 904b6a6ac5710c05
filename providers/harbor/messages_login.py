"""Messages about the login to Harbor, and a Harbor that cannot be used."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, StepFailed
from bootstrap.plugin.step import StepRole
from providers.harbor.errors import HarborApiError, LoginMissing

_ROBOT_LOGIN = (
    "or of a robot account (from 2.12) that may create, read, list and delete robot accounts of the project, "
    "read the project, and pull from it"
)


def login_user_unknown(host: str) -> LoginMissing:
    return LoginMissing(
        f"{host} was not asked: the user for the login is not known",
        fix="Name the user with the variable PULLKEY_HARBOR_USER, or --user where there is one.",
    )


def login_for_another(recorded: str, named: str) -> StepFailed:
    """The environment names one Harbor, and Akka's record, which others may be able to write, another."""
    return StepFailed(
        f"The robot account in Akka is of {recorded}, and the login is for {named}, so it is not sent to "
        f"{recorded}",
        fix=f"If {recorded} is yours, name it in the variable PULLKEY_HARBOR_REGISTRY, and give its login",
        code=Code.HARBOR_LOGIN_MISSING,
    )


def login_not_supplied(host: str) -> LoginMissing:
    return LoginMissing(f"{host} was not asked: no login was supplied")


def login_failed(user: str, host: str, error: HarborApiError, *, auth_mode: str = "") -> StepFailed:
    """The login was refused, or not answered."""
    if _is_of_another_server(error):
        return server_unreadable(host, error)
    if not error.unauthenticated:
        return StepFailed(
            f"{host} did not log {user} in: {error.summary}", fix=error.fix, code=error.problem_code
        )
    fix = f"Check the password: of a project administrator, {_ROBOT_LOGIN}."
    if auth_mode == "oidc_auth":
        # src/server/middleware/security/oidc_cli.go
        fix = (
            "This Harbor logs users in with OIDC. The CLI secret of such a user pulls images, and is not a "
            f"login for robot accounts: use the password of a local administrator, {_ROBOT_LOGIN}."
        )
    return StepFailed(
        f"{host} refuses the login of {user}: {error.summary}", fix=fix, code=Code.HARBOR_LOGIN_REFUSED
    )


def server_unreadable(host: str, error: HarborApiError) -> StepFailed:
    """Its description of itself is refused, or is not Harbor's."""
    if _is_of_another_server(error):
        return StepFailed(
            f"{host} does not answer as Harbor does: {error.summary}",
            fix="Check --registry. Any other registry is onboarded with `pullkey onboard private`."
            + (f" {error.fix}." if error.page_from else ""),
            code=Code.HARBOR_UNSUITABLE,
        )
    return StepFailed(f"{host} does not answer: {error.summary}", fix=error.fix, code=error.problem_code)


def _is_of_another_server(error: HarborApiError) -> bool:
    unread = error.page_from or "JSON" in error.message or "Harbor" in error.message
    return error.missing or (error.status == 0 and bool(unread))


def server_too_old(host: str, version: str = "") -> StepFailed:
    which = f"is Harbor {version}" if version else "has no API for robot accounts of Harbor 2.2 and later"
    return StepFailed(
        f"{host} {which}, and pullkey creates robot accounts with 2.2 or later",
        fix="Create a robot account in Harbor, and register it with `pullkey onboard private`.",
        code=Code.HARBOR_UNSUITABLE,
    )


def read_only(host: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"{host} is in read-only mode, and creates no robot account",
        "Run it again when an administrator has ended that mode (Configuration, System Settings)",
        step=StepRole.KEY,
        code=Code.HARBOR_READ_ONLY,
    )

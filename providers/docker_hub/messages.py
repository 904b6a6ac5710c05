"""Messages about the login to Docker Hub, its tokens, and the images that a token cannot pull."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, PullkeyError, StepFailed, UsageProblem
from bootstrap.model.pull import PullAttempt
from bootstrap.model.text import one_line
from bootstrap.plugin.registry import code_of
from bootstrap.plugin.step import EngineStep, Intent, Notice, StepRole, StillThere
from providers.docker_hub import messages_options, scripts
from providers.docker_hub.errors import HubApiError, LoginMissing
from providers.docker_hub.target import TOKENS_PAGE, DockerHubTarget

# -- the login -----------------------------------------------------------------------------------------------


def login_user_unknown() -> LoginMissing:
    return LoginMissing(
        "Docker Hub was not asked: who logs in is not known",
        fix="Name your Docker ID with --hub-user or the variable PULLKEY_HUB_USER.",
    )


def login_not_supplied() -> LoginMissing:
    return LoginMissing("Docker Hub was not asked: no login was supplied")


def login_failed(user: str, error: HubApiError) -> StepFailed:
    """The login was refused, or not answered."""
    if error.status != 401:
        return StepFailed(
            f"Docker Hub did not log {user} in: {error.summary}", fix=error.fix, code=error.problem_code
        )
    why = " (two-factor authentication is enabled)" if error.second_factor else ""
    return StepFailed(
        f"Docker Hub refuses the login of {user}{why}: {error.summary}",
        fix="Check the password. Where two-factor authentication or single sign-on is enabled, it "
        "takes none: create "
        f"a read-only token at {TOKENS_PAGE}, and supply it with --token-stdin.",
        code=Code.HUB_LOGIN_REFUSED,
    )


def tokens_unreadable(target: DockerHubTarget, error: HubApiError) -> Problem:
    """The login may not list the tokens, so it may not create one either."""
    tokens = f"the tokens of {target.puller}"
    if error.status == 403:
        owner = f"is not an owner of {target.organization}, or " if target.organization else ""
        return Problem(
            ProblemKind.RIGHT,
            f"Docker Hub does not let this login see {tokens} ({error.summary}): {target.user} "
            f"{owner}has logged in with a token instead of a password, which cannot create tokens",
            f"Pass the password of {'an owner' if target.organization else target.user}, or supply "
            f"a token created at {TOKENS_PAGE}: --token-stdin",
            step=StepRole.KEY,
            code=Code.HUB_TOKEN_LOGIN,
        )
    if error.missing and target.organization:
        return Problem(
            ProblemKind.SETUP,
            f"Docker Hub shows {target.user} no organisation {target.organization} ({error.summary})",
            "Check --organization",
            step=StepRole.KEY,
            code=Code.ORGANIZATION_NOT_FOUND,
        )
    return Problem(
        ProblemKind.SETUP,
        f"Docker Hub does not show {tokens} ({error.summary})",
        error.fix_or_wait,
        step=StepRole.KEY,
        code=error.problem_code,
    )


# -- what is pulled ------------------------------------------------------------------------------------------


def puller_not_named() -> Problem:
    error = messages_options.puller_not_named()
    return Problem(ProblemKind.QUESTION, error.what, error.fix, step=StepRole.KEY, code=error.code)


def repository_not_found(user: str, repository: str, near: str) -> Problem:
    """`near` names the nearest repositories, or is ""."""
    return Problem(
        ProblemKind.SETUP,
        f"Docker Hub shows {user} no repository {repository}",
        f"{near} Check its name, or ask its owner to let this user read it".lstrip(),
        step=StepRole.KEY,
        code=Code.REPOSITORY_NOT_FOUND,
    )


def image_not_found(repository: str, reference: str, near: str) -> Problem:
    """`near` names the nearest image, or is ""."""
    return Problem(
        ProblemKind.SETUP,
        f"There is no image docker.io/{repository}:{reference}",
        f"{near} Check its name and tag".lstrip(),
        step=EngineStep.HANDSHAKE,
        code=Code.IMAGE_NOT_FOUND,
    )


# -- tokens --------------------------------------------------------------------------------------------------


def personal_token_is_broad(user: str, *, created: bool) -> Notice:
    """A personal token reads all that its user may read; `created` by this run, or supplied."""
    means = "with this one Akka can" if created else "with one, Akka can"
    return Notice(
        f"A personal access token cannot be limited to a repository: {means} "
        f"read all that {user} can. A token of an organisation can be "
        "(--organization NAME, for its owners).",
        warning=True,
    )


def repositories_dropped(repositories: Sequence[str]) -> Notice:
    """The file does not name repositories that the organisation's token in Akka may pull."""
    return Notice(
        f"Akka can pull {', '.join(repositories)} now, and cannot with the new token: the file does not name "
        "it. Add it to `repository` to keep it."
    )


def too_many_repositories(count: int, most: int) -> Problem:
    """The named repositories, with those of the token that is replaced, are more than a token may have."""
    return Problem(
        ProblemKind.LIMIT,
        f"With those that Akka pulls already, the token would have {count} repositories, and one may have "
        f"{most} at most",
        "Name all that are still needed in a file of registries, or register the others under another name: "
        "--secret-name NAME",
        step=StepRole.KEY,
        code=Code.OPTIONS_CONFLICT,
    )


def token_not_supplied() -> UsageProblem:
    return UsageProblem(
        "No Docker Hub token was supplied",
        fix="Pass it on stdin, with --token-stdin.",
        code=Code.SECRET_MISSING,
    )


def supplied_token_refused(attempt: PullAttempt, diagnosis: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The supplied token does not pull ({attempt}). {diagnosis}",
        f"Make a read-only token at {TOKENS_PAGE} and supply that one",
        step=StepRole.KEY,
        code=code_of(attempt),
    )


def supplied_token_may_not_pull(puller: str, repository: str) -> str:
    return (
        f"It is a token of {puller}, who may not pull {repository}; or there is no "
        "such repository, which Docker Hub answers alike."
    )


def supplied_token_invalid(puller: str) -> str:
    return f"It is not a token of {puller}, or it has expired, or was deactivated or deleted."


def token_may_not_pull(puller: str, repository: str) -> str:
    return (
        f"Docker Hub shows the token as active, so {puller} may not pull "
        f"{repository}, or there is no such repository."
    )


SHOWN_DELETED = "Docker Hub no longer shows the token: it was deleted outside of pullkey."
SHOWN_DEACTIVATED = "Docker Hub shows the token as deactivated."
SHOWN_ACTIVE = "Docker Hub shows the token as active, so its registry does not know it yet."


def supplied_token_not_revocable() -> PullkeyError:
    return PullkeyError(
        "Docker Hub cannot be asked about a user-supplied token: its id is not known",
        fix=f"Its owner sees it at {TOKENS_PAGE}",
        code=Code.KEY_NOT_REVOCABLE,
    )


def replaced_scope_unknown(organization: str) -> StepFailed:
    """The organisation's token that Akka holds was deleted, and only it named the repositories."""
    return StepFailed(
        "The token that Akka holds was deleted, so what it may pull is not known",
        fix=f"Name it: pullkey onboard docker-hub --organization {organization} --repository "
        f"{organization}/NAME",
        code=Code.SCOPE_UNKNOWN,
    )


def replaced_may_not_pull(organization: str, names: Sequence[str]) -> StepFailed:
    """The organisation's token that Akka holds was reduced since: its replacement may pull no more."""
    named = ", ".join(names) or "a repository"
    return StepFailed(
        f"The token that Akka holds may not pull {named}, so its replacement would not either",
        fix=f"Name it: pullkey onboard docker-hub --organization {organization} --repository "
        f"{organization}/NAME",
        code=Code.SCOPE_UNKNOWN,
    )


def not_pulled_by_replaced(names: Sequence[str]) -> str:
    return (
        f"The token that is replaced may not pull {', '.join(names)}, so the new one does not either: "
        "`pullkey onboard docker-hub --repository` adds it."
    )


def token_still_there(intent: Intent, why: str) -> StillThere:
    """A token that a run created, or may have created, was not deleted."""
    key_id, organization = intent.get("key_id", ""), intent["organization"]
    what = f"the token {key_id}" if key_id else "perhaps a token"
    which = f" {key_id}" if key_id else f' labelled "{one_line(intent["label"])}"'
    return StillThere(
        f'{what} of {organization or intent["user"]} at Docker Hub, labelled "{intent["label"]}" ({why})',
        scripts.delete_command(organization, which),
    )

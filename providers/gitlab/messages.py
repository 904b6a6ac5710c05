"""Messages about projects, groups and deploy tokens."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, StepFailed
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError, refused
from bootstrap.plugin.step import EngineStep, Intent, Notice, StepRole, StillThere
from providers.gitlab import scripts
from providers.gitlab.address import host_of_instance
from providers.gitlab.errors import GitlabApiError
from providers.gitlab.target import GitlabTarget

# -- projects and groups -------------------------------------------------------------------------------------


def namespace_hidden(
    target: GitlabTarget, instance: str, user: str, error: GitlabApiError | None
) -> StepFailed:
    """GitLab answers "not found" for what does not exist, and for what the token may not see."""
    host, whom = host_of_instance(instance), f"the user {one_line(user)}" if user else "this access token"
    if error is not None and error.no_route:
        return StepFailed(
            f"{instance} does not answer as GitLab's API ({error.summary})",
            fix="If a proxy before it does not pass on a project's path, name the project by its number. "
            "Else name its URL, with its path where it has one: --gitlab https://HOST/PATH",
            code=Code.GITLAB_HOST,
        )
    fix = "Check its path, and that the user is a member"
    if not (target.path or target.number):
        fix = "Check the image's name, or name its project: --project GROUP/PROJECT"
    return StepFailed(f"{host} shows {whom} no {_what(target)}", fix=fix, code=Code.GITLAB_PROJECT_NOT_FOUND)


def number_not_known(target: GitlabTarget, number: int) -> str:
    """What a run without a login says of Akka's record, which has the number only."""
    return (
        f"Whether {target.kind} {number}, which Akka's record names, is {target.called} is not known without "
        "GitLab's login: --login-stdin"
    )


def _what(target: GitlabTarget) -> str:
    if target.path or target.number:
        return f"{target.kind} {target.path or target.number}"
    return f"project whose path {target.repository} begins with"


def project_moved(old: str, new: str) -> StepFailed:
    """The API redirects the old path; the registry does not (gitlab-org/gitlab issue 34847)."""
    return StepFailed(
        f"The project {old} was moved to {one_line(new)}, and its registry does not answer to the old name",
        fix=f"Use the new path, also in the images of your services: --project {one_line(new)}",
        code=Code.GITLAB_PROJECT_MOVED,
    )


def registry_off(path: str, url: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The container registry of the project {path} is disabled, so its images cannot be pulled",
        f"Enable it at {url}/{path}/edit (Visibility, project features, permissions)",
        step=StepRole.KEY,
        code=Code.GITLAB_REGISTRY_OFF,
    )


def role_too_low(target: GitlabTarget, user: str, summary: str) -> Problem:
    """Deploy tokens take the role Maintainer in a project, and Owner in a group
    (gitlabhq/gitlabhq, doc/api/deploy_tokens.md).
    """
    role = "Owner" if target.kind == "group" else "Maintainer"
    whom = f"The user {one_line(user)}" if user else "The user of this access token"
    return Problem(
        ProblemKind.RIGHT,
        f"{whom} may not create deploy tokens of {target.called} ({summary})",
        f"It takes the role {role}: ask for it, or pass the access token of a user who has it",
        step=StepRole.KEY,
        permission=role,
        code=Code.MISSING_PERMISSION,
    )


def image_not_found(image: str, near: str) -> Problem:
    """`near` names the nearest image, or is ""."""
    return Problem(
        ProblemKind.SETUP,
        f"There is no image {image}",
        f"{near} Check its name and tag".lstrip(),
        step=EngineStep.HANDSHAKE,
        code=Code.IMAGE_NOT_FOUND,
    )


def project_of_image(image: str, path: str) -> Notice:
    return Notice(f"The image {image} is of the project {path}: the token can pull all images of it.")


def group_is_broad(path: str) -> Notice:
    return Notice(
        f"A group's deploy token can pull the images of all projects in {path} and its subgroups. "
        "That of a project is narrower (--project GROUP/PROJECT).",
        warning=True,
    )


# -- deploy tokens -------------------------------------------------------------------------------------------


def creation_refused(target: GitlabTarget, error: ApiError) -> StepFailed:
    failed = refused(error, f"create a deploy token of {target.called}")
    if isinstance(error, GitlabApiError) and error.read_only:
        failed.fix = "This GitLab is in maintenance mode: run it again when that has ended."
    elif error.forbidden:
        role = "Owner" if target.kind == "group" else "Maintainer"
        failed.fix = f"It takes the role {role} and an access token with the scope api."
    return failed


def token_still_there(target: GitlabTarget, intent: Intent, why: str) -> StillThere:
    """A deploy token that a run created, or may have created, was not deleted."""
    key_id = str(intent.get("key_id") or "")
    what = f"the deploy token {key_id}" if key_id else "perhaps a deploy token"
    name = one_line(str(intent.get("name", "")))
    return StillThere(
        f'{what} of {target.called}, named "{name}" ({why})',
        scripts.delete_command(target, key_id, name=name),
    )


def token_may_not_pull(repository: str, whose: str) -> str:
    return (
        f"GitLab shows the token as active, so {repository} is not in the registry of {whose}, or that "
        "registry is disabled."
    )


SHOWN_DELETED = "GitLab no longer shows the token: it was deleted outside of pullkey."
SHOWN_REVOKED = "GitLab shows the token as revoked."
SHOWN_EXPIRED = "GitLab shows that the token has expired."
SHOWN_ACTIVE = "GitLab shows the token as active, so its registry does not know it yet."

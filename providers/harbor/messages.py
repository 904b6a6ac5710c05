"""Messages about Harbor's projects and robot accounts, and the images that a robot account cannot pull."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, StepFailed
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError, refused
from bootstrap.plugin.step import Intent, StepRole, StillThere
from providers.harbor.errors import HarborApiError
from providers.harbor.target import HarborTarget

LATE_ANSWER = "Harbor has created the robot account of a request that it did not answer; deleting it first."

# -- the project ---------------------------------------------------------------------------------------------


def project_not_shown(target: HarborTarget, name: str, error: HarborApiError, *, by_robot: bool) -> Problem:
    """Harbor answers 404 to an administrator; to others 403, also for what does not exist."""
    if not (error.missing or error.forbidden):
        return Problem(
            ProblemKind.SETUP,
            f"{target.host} does not show the project {name} ({error.summary})",
            error.fix_or_wait,
            step=StepRole.KEY,
            code=error.problem_code,
        )
    unless = "" if error.missing else f", or {target.user} may not see it"
    needs = "; a robot account that logs in needs the permission to read the project" if by_robot else ""
    return Problem(
        ProblemKind.SETUP,
        f"{target.host} has no project {name}{unless} ({error.summary})",
        f"Check --project{needs}",
        step=StepRole.KEY,
        code=Code.HARBOR_PROJECT_NOT_FOUND,
    )


def project_public(target: HarborTarget) -> str:
    verb = "are" if len(target.projects) > 1 else "is"
    return f"{target.named} of {target.host} {verb} public"


def admin_needed(target: HarborTarget) -> Problem:
    return Problem(
        ProblemKind.RIGHT,
        f"{target.user} is not a system administrator of {target.host}, needed to: create a robot account "
        "of the system",
        "Onboard each project by itself as an administrator of the project, or log in as a system "
        "administrator",
        step=StepRole.KEY,
        permission="robot:create",
        code=Code.MISSING_PERMISSION,
    )


def robots_unreadable(target: HarborTarget, error: HarborApiError) -> Problem:
    return Problem(
        ProblemKind.RIGHT if error.forbidden else ProblemKind.SETUP,
        f"{target.host} does not list the robot accounts of {target.named} ({error.summary})",
        "Log in as an administrator of the project" if error.forbidden else error.fix_or_wait,
        step=StepRole.KEY,
        permission="robot:list" if error.forbidden else "",
        code=Code.MISSING_PERMISSION if error.forbidden else error.problem_code,
    )


# -- the image that verifies the pull ------------------------------------------------------------------------

_TO_VERIFY = "the pull cannot be verified"
NOT_IN_TIME = "no answer in time"


def no_image(target: HarborTarget) -> str:
    verb = "have" if len(target.projects) > 1 else "has"
    return f"{_sentence(target.named)} {verb} no image yet, so {_TO_VERIFY}."


def no_image_given(target: HarborTarget) -> str:
    """What is there is refused: by a policy to everyone, or to this login."""
    return (
        f"{target.host} gives {target.user} none of the newest images of {target.named}, so {_TO_VERIFY}. "
        "Name an image with --image."
    )


def images_not_listed(target: HarborTarget, why: str) -> str:
    return (
        f"{target.host} does not list the images of {target.named} ({why}), so {_TO_VERIFY}. "
        "Name an image with --image."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- robot accounts ------------------------------------------------------------------------------------------


def creation_refused(target: HarborTarget, error: ApiError, *, by_robot: bool) -> StepFailed:
    if by_robot and error.forbidden:
        if "permission scope" in error.message:
            # It compares the texts of resource, action and effect, and takes no effect for another one than
            # "allow" (goharbor/harbor, src/server/v2.0/handler/robot.go, `isValidPermissionScope`; accounts
            # that a tool created with an effect: goharbor/terraform-provider-harbor#494).
            needs = (
                "It must itself have the permission repository: pull there, set without an effect: one that "
                "was created with `effect: allow` may create no other. Create it again without"
            )
        else:
            # Before 2.14.1 one of the system may create none of a project (goharbor/harbor#22394).
            needs = (
                "It must itself have the permission to create robot accounts there; before 2.14.1 it must "
                "also be a robot account of that project. Correct that"
            )
        return StepFailed(
            f"Harbor does not let the robot account {target.user} create one that may pull from "
            f"{target.named}: {error.summary}",
            fix=f"{needs}, or log in as an administrator of the project.",
            code=error.problem_code,
        )
    return refused(error, f"create a robot account for {target.named}")


def renamed(key_id: str, name: str, held: str) -> str:
    """The server's prefix was changed, so the user name that Akka holds no longer exists."""
    return f"the robot account that Akka holds, {key_id}, is named {name} now, and Akka has {held}"


def replaced_scope_unknown(host: str) -> StepFailed:
    """The robot account that Akka holds was deleted, and only it named the projects."""
    return StepFailed(
        "The robot account that Akka holds was deleted, so what it may pull is not known",
        fix=f"Name it: pullkey onboard harbor --registry {host} --project NAME --user NAME",
        code=Code.SCOPE_UNKNOWN,
    )


def robot_still_there(
    target: HarborTarget, intent: Intent, why: str, command: Callable[[str], str]
) -> StillThere:
    """A robot account that a run created, or may have created, was not deleted."""
    key_id = str(intent.get("key_id") or "")
    name = one_line(str(intent.get("robot", "")))
    what = f"the robot account {key_id}" if key_id else "perhaps a robot account"
    return StillThere(f"{what} of {target.label}, named {name} ({why})", command(key_id or name))


# -- what Harbor shows of a credential that does not pull ----------------------------------------------------

SHOWN_DELETED = "Harbor does not show the robot account: it was deleted outside of pullkey."
SHOWN_DISABLED = "Harbor shows the robot account as disabled."
SHOWN_EXPIRED = "Harbor shows the robot account as expired: the clock of one of the two may be wrong."


def projects_not_known(target: HarborTarget) -> str:
    """What a run without a login says of a robot account of the system."""
    return (
        f"Whether the robot account that Akka's record names pulls from {target.named} is not known without "
        "Harbor's login: --login-stdin"
    )


def of_projects_not_shown(host: str, key_id: str) -> str:
    return f"{host}, by robot account {key_id}, whose projects Harbor does not show to this login"


def shown_with_other_name(name: str) -> str:
    return f"Harbor's prefix of robot accounts has changed: this one is named {name} now."


def shown_without_project(project: str) -> str:
    return f"Harbor shows that the robot account may not pull from the project {project}."


def shown_valid(host: str) -> str:
    return f"Harbor shows the robot account as valid, so {host} may be served by another Harbor than its API."


def policy_refuses(project: str) -> str:
    """412 PROJECTPOLICYVIOLATION, for every puller (src/server/middleware/contenttrust, vulnerable)."""
    return (
        f"The credential is valid; a policy of the project {project} (signatures, or vulnerabilities) "
        "refuses this image to everyone. Name another image, or change the policy."
    )

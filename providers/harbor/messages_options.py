"""Errors of the options and images that a user gives for Harbor."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem


def no_registry() -> UsageProblem:
    return UsageProblem("No Harbor is named", fix="Name its host: --registry HOST", code=Code.MISSING_VALUE)


def registry_with_path(typed: str) -> UsageProblem:
    return UsageProblem(
        f"--registry: {typed!r} names more than a host",
        fix="Pass HOST or HOST:PORT; name a project with --project, an image with --image.",
    )


def two_registries(image: str, registry: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of {image}, and --registry is {registry}: name one registry", code=Code.OPTIONS_CONFLICT
    )


def no_project() -> UsageProblem:
    return UsageProblem(
        "No project is named", fix="Name it, or an image of it: --project NAME", code=Code.MISSING_VALUE
    )


def invalid_project(name: str) -> UsageProblem:
    return UsageProblem(
        f"--project: {name!r} is not a valid name of a project",
        fix="A name has lower-case letters and digits, with single dots, dashes or underscores between them; "
        "separate several with commas.",
    )


def several_projects() -> UsageProblem:
    return UsageProblem(
        "--level project: a robot account of a project pulls from one project, and several are named",
        fix="Onboard each by itself, or leave --level out to create a robot account of the system.",
        code=Code.OPTIONS_CONFLICT,
    )


def image_without_project(typed: str) -> UsageProblem:
    return UsageProblem(f"--image: {typed!r} names no image of a project; write HOST/PROJECT/NAME:TAG")


def image_of_another_project(project: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of the project {project}, which --project does not name",
        fix="Add it there, or name an image of one of them.",
        code=Code.OPTIONS_CONFLICT,
    )


def no_user() -> UsageProblem:
    return UsageProblem(
        "The user for the login to Harbor is not named",
        fix="Name an administrator of the project: --user NAME",
        code=Code.MISSING_VALUE,
    )


def invalid_user(user: str) -> UsageProblem:
    return UsageProblem(
        f"--user: {user!r} is not a valid user name",
        fix="Type the name alone, without spaces around it and without a colon.",
    )


def invalid_lifetime() -> UsageProblem:
    return UsageProblem(
        "--expires-in must be a whole number of days", fix="Harbor counts days: write it as 90d or 365d."
    )


def email_of_record_invalid(email: str, name: str) -> PullkeyError:
    """Akka's record has an e-mail that names no robot account."""
    return PullkeyError(
        f"The e-mail {email} of Akka's {name} does not name a robot account of Harbor",
        code=Code.CREDENTIAL_UNREADABLE,
    )

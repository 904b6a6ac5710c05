"""Errors of the options and images that a user gives for GitLab."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem


def gitlab_not_https(text: str) -> UsageProblem:
    return UsageProblem(
        f"--gitlab is not https, so the access token would cross the network unencrypted: {text!r}",
        fix="Write it as https://HOST or HOST.",
    )


def gitlab_invalid(text: str) -> UsageProblem:
    return UsageProblem(
        f"--gitlab is not the URL of a GitLab instance: {text!r}",
        fix="Write it as HOST, or https://HOST/PATH where GitLab has a relative URL root.",
    )


def nothing_named() -> UsageProblem:
    """Neither project nor group nor image."""
    return UsageProblem(
        "No project is named",
        fix="Name it, or an image of it: --project GROUP/PROJECT, --image HOST/GROUP/PROJECT:TAG",
        code=Code.MISSING_VALUE,
    )


def project_and_group() -> UsageProblem:
    return UsageProblem(
        "--project and --group are both given: a deploy token is of one of them",
        fix="Leave out --group for the narrower token.",
        code=Code.OPTIONS_CONFLICT,
    )


def project_invalid(option: str, text: str) -> UsageProblem:
    expected = "GROUP/PROJECT" if option == "--project" else "GROUP or GROUP/SUBGROUP"
    return UsageProblem(
        f"{option}: {text!r} is not a path of GitLab's", fix=f"Write it as {expected}, or as its number."
    )


def registry_not_named(gitlab: str) -> UsageProblem:
    return UsageProblem(
        f"The host of the container registry of {gitlab} is not named",
        fix="Name it, or an image of it: --registry HOST[:PORT]",
        code=Code.MISSING_VALUE,
    )


def registry_with_path(text: str) -> UsageProblem:
    return UsageProblem(
        f"--registry names more than a host: {text!r}",
        fix="Write it as HOST or HOST:PORT, and name an image with --image.",
    )


def two_registries(image: str, registry: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of {image}, and --registry is {registry}: name one registry",
        code=Code.OPTIONS_CONFLICT,
    )


def image_without_repository(text: str) -> UsageProblem:
    return UsageProblem(f"--image names no image: {text!r}", fix="An image is HOST/GROUP/PROJECT:TAG.")


def image_elsewhere(image: str, namespace: str) -> UsageProblem:
    """`--image` is not of the project or group that is named."""
    return UsageProblem(
        f"--image is of {image}, which is not in {namespace}",
        fix="Name an image of it, or leave out one of the two.",
        code=Code.OPTIONS_CONFLICT,
    )


def lifetime_too_short() -> UsageProblem:
    return UsageProblem("--expires-in must be an hour at least", fix="A day is 1d.")


def record_unreadable(email: str, name: str) -> PullkeyError:
    """Akka's record has an e-mail that names no deploy token."""
    return PullkeyError(
        f"The e-mail {email} of Akka's {name} is none that pullkey gives a deploy token of GitLab",
        code=Code.CREDENTIAL_UNREADABLE,
    )

"""Messages about the lookup of the project, repository and account of a credential that Akka holds."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem


def email_cut(name: str, email: str, host: str) -> PullkeyError:
    """Akka's record shows too little of the e-mail to tell the account."""
    return PullkeyError(
        f"Akka shows the e-mail of {name} cut ({email}), so it does not say whose key that is",
        fix="Name the registry instead: pullkey onboard gcr --server "
        f"{host}/PROJECT/REPOSITORY --secret-name {name}",
        code=Code.CREDENTIAL_UNREADABLE,
    )


def image_not_of_credential(registry: str, name: str, host: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of {registry}, and Akka's {name} is for {host}",
        fix="Name an image of that registry.",
        code=Code.OPTIONS_CONFLICT,
    )


def image_without_repository(image: str, host: str, fix: str) -> UsageProblem:
    return UsageProblem(f"--image: {image!r} names no repository of {host}", fix=fix)


def name_an_image_fix(host: str, *, one_repository: bool) -> str:
    """Which image to name; a host that is one repository has none in its images' paths."""
    return f"Name an image of it: --image {host}/PROJECT/{'' if one_repository else 'REPOSITORY/'}IMAGE:TAG"


def repository_unknown(name: str, host: str, account: str, projects: str, fix: str) -> PullkeyError:
    """The account may pull from none of the projects that the record tells."""
    return PullkeyError(
        f"Which repository of {host} Akka's {name} is for is not known: "
        f"{account} has no role to pull in {projects or 'any project that its name tells'}",
        fix=fix,
        code=Code.CREDENTIAL_UNREADABLE,
    )


def repository_ambiguous(name: str, places: str, fix: str) -> PullkeyError:
    return PullkeyError(
        f"Akka's {name} may be for any of these: {places}", fix=fix, code=Code.CREDENTIAL_UNREADABLE
    )

"""Errors of the options, images and tokens that a user gives for Docker Hub."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem

# -- the user and the token ----------------------------------------------------------------------------------


def login_user_not_named() -> UsageProblem:
    """A token is to be created, and no user is named to log in as."""
    return UsageProblem(
        "The user for the login to Docker Hub is not named",
        fix="Name your Docker ID: --hub-user NAME",
        code=Code.MISSING_VALUE,
    )


def puller_not_named() -> UsageProblem:
    return UsageProblem(
        "The user who pulls is not named",
        fix="Name the Docker ID whose token it is: --hub-user NAME",
        code=Code.MISSING_VALUE,
    )


def email_as_account(option: str, name: str) -> UsageProblem:
    """An e-mail address was given in place of a Docker ID."""
    return UsageProblem(
        f"{option}: {name!r} is an e-mail address",
        fix="It takes the Docker ID, which is the name in front of your images.",
    )


def invalid_account(option: str, name: str) -> UsageProblem:
    return UsageProblem(
        f"{option}: {name!r} is not a valid Docker ID", fix="It holds letters and digits only."
    )


def token_supplied_and_created() -> UsageProblem:
    """A token is supplied, and other options ask to create one."""
    return UsageProblem(
        "--token-stdin supplies a token, so none is created: leave out --mint and --login-stdin",
        code=Code.OPTIONS_CONFLICT,
    )


def invalid_token() -> UsageProblem:
    return UsageProblem(
        "The supplied token holds white space or control characters, as none does",
        fix="Pass the token alone, in one line.",
        code=Code.SECRET_MALFORMED,
    )


def invalid_lifetime() -> UsageProblem:
    return UsageProblem(
        "--expires-in must be an hour at least, and a year at most",
        fix="A day is 1d; Docker Hub takes up to 365d.",
    )


def email_of_record_invalid(email: str, name: str) -> PullkeyError:
    """The e-mail in Akka's record does not name a kind of token."""
    return PullkeyError(
        f"The e-mail {email} of Akka's {name} is none that pullkey gives a Docker Hub token",
        code=Code.CREDENTIAL_UNREADABLE,
    )


# -- images and repositories ---------------------------------------------------------------------------------


def image_not_in_repositories(image: str) -> UsageProblem:
    """`--image` is of a repository that `--repository` leaves out."""
    return UsageProblem(
        f"--image is of {image}, which --repository does not name",
        fix="Add it there, or name an image of one of them.",
        code=Code.OPTIONS_CONFLICT,
    )


def image_not_on_docker_hub(option: str, image: str) -> UsageProblem:
    return UsageProblem(
        f"{option}: {image!r} is not on Docker Hub",
        fix="Another registry has another provider: see `pullkey onboard --help`.",
    )


def image_not_named(option: str, image: str) -> UsageProblem:
    return UsageProblem(f"{option} names no image: {image!r}", fix="An image is NAMESPACE/NAME:TAG.")


def invalid_image(option: str, image: str) -> UsageProblem:
    return UsageProblem(f"{option}: {image!r} is not an image of Docker Hub; write NAMESPACE/NAME:TAG")


def repository_with_tag(repository: str) -> UsageProblem:
    return UsageProblem(
        f"--repository: {repository!r} names a tag",
        fix="A token covers a whole repository: NAMESPACE/NAME.",
    )


def repositories_not_named(organization: str) -> UsageProblem:
    """An organisation's token is limited to repositories, and none is named."""
    return UsageProblem(
        "No repository is named that the organisation's token is to be limited to",
        fix=f"Name them: --repository {organization}/NAME,{organization}/NAME",
        code=Code.MISSING_VALUE,
    )


def repositories_of_others(repositories: str, organization: str) -> UsageProblem:
    return UsageProblem(
        f"{repositories} is not of the organisation {organization}, and its tokens read nothing else",
        fix="Leave it out, or onboard it by itself.",
    )


def too_many_repositories(count: int, most: int) -> UsageProblem:
    return UsageProblem(f"--repository names {count} repositories, and one token covers {most} at most")

"""What this provider tells its users: problems with what they typed, and notices."""

from __future__ import annotations

import datetime as dt

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.text import count_of
from bootstrap.plugin.step import Notice

_EXPECTED_SERVER = "Write it as https://HOST/v1/ or https://HOST:PORT/v1/."
_ANOTHER_REGISTRY = (
    "Copy the images to a registry whose passwords last, or to Akka's own: akka container-registry push IMAGE"
)
_USE_A_LASTING_ONE = "Bring one that lasts: of a robot account, a deploy token, a personal access token."


def no_registry() -> UsageProblem:
    return UsageProblem(
        "No registry is named", fix="Name it: --server https://HOST/v1/", code=Code.MISSING_VALUE
    )


def two_registries(image: str, server: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of {image}, and --server is {server}: name one registry",
        code=Code.OPTIONS_CONFLICT,
    )


def server_unencrypted(typed: str) -> UsageProblem:
    return UsageProblem(
        f"--server is http, so the password would cross the network unencrypted: {typed!r}",
        fix="Pass a registry with TLS: https://HOST/v1/.",
    )


def server_not_https(typed: str) -> UsageProblem:
    return UsageProblem(f"--server must be https: {typed!r}", fix=_EXPECTED_SERVER)


def server_with_path(typed: str, *, may_be_image: bool) -> UsageProblem:
    """A server with a path; without a scheme it may be an image."""
    return UsageProblem(
        f"--server may end in the version of the API, /v1/ or /v2/, and in nothing else: {typed!r}",
        fix=f"{_EXPECTED_SERVER}{' Name an image with --image.' if may_be_image else ''}",
    )


def image_without_repository(typed: str) -> UsageProblem:
    return UsageProblem(f"--image names no image: {typed!r}")


def token_host_with_port_or_path() -> UsageProblem:
    return UsageProblem(
        "--token-host names more than a host",
        fix="Pass the host alone, as in tokens.example.com; its token service is reached with https.",
    )


def token_host_invalid(host: str) -> UsageProblem:
    return UsageProblem(
        f"--token-host: {host!r} is not a host name", fix="Write it as in tokens.example.com."
    )


def no_username() -> UsageProblem:
    return UsageProblem("No user name was supplied", fix="Give it: --username NAME", code=Code.MISSING_VALUE)


def username_invalid(username: str) -> UsageProblem:
    return UsageProblem(
        f"--username: {username!r} is not a valid user name",
        fix="Type it again, without spaces around it.",
    )


def username_with_colon() -> UsageProblem:
    return UsageProblem(
        "--username holds a colon, which no registry can read: name and password are sent joined by one",
        fix="Pass the password apart, with --password-stdin or when asked.",
    )


def email_invalid(email: str) -> UsageProblem:
    return UsageProblem(f"--email: {email!r} is not a valid e-mail address", fix="It is NAME@DOMAIN.")


def email_too_long(length: int, limit: int) -> UsageProblem:
    """Beside an e-mail address of that length there is no room for the run's id."""
    return UsageProblem(
        f"--email: the part before the @ has {length} characters; with {limit} there "
        "is room for the run's id",
        fix="Set a shorter one, or leave --email out.",
    )


def registry_of_amazon(host: str) -> UsageProblem:
    return UsageProblem(
        f"{host} is Amazon ECR, whose passwords end after 12 hours, and Akka cannot renew them",
        fix=_ANOTHER_REGISTRY,
        code=Code.REGISTRY_UNSUITABLE,
    )


def registry_public(host: str) -> UsageProblem:
    return UsageProblem(
        f"{host} allows anonymous pulls, so Akka needs no credential for it",
        code=Code.REGISTRY_UNSUITABLE,
    )


def registry_of_akka(host: str) -> UsageProblem:
    return UsageProblem(
        f"{host} is Akka's own registry, for which a project needs no credential",
        code=Code.REGISTRY_UNSUITABLE,
    )


def registry_is_docker_hub(host: str) -> UsageProblem:
    return UsageProblem(
        f"{host} is Docker Hub, which Akka knows by one spelling of its server only",
        fix="Use `pullkey onboard docker-hub`, which has it.",
        code=Code.REGISTRY_UNSUITABLE,
    )


def username_of_google_access_token() -> UsageProblem:
    return UsageProblem(
        "The user name oauth2accesstoken is for a Google access token, which expires after an hour",
        fix="Use `pullkey onboard gcr`, which creates a key that lasts.",
        code=Code.SECRET_SHORT_LIVED,
    )


def username_of_azure_access_token() -> UsageProblem:
    return UsageProblem(
        "This user name is for a token of `az acr login --expose-token`, which expires after 3 hours",
        fix="Use `pullkey onboard acr`, which creates a secret that lasts.",
        code=Code.SECRET_SHORT_LIVED,
    )


def username_of_gitlab_job() -> UsageProblem:
    return UsageProblem(
        "The user name gitlab-ci-token is for the token of a CI job, which expires with its job",
        fix="Use a deploy token of the project or group, with the scope read_registry.",
        code=Code.SECRET_SHORT_LIVED,
    )


def username_of_yandex_token() -> UsageProblem:
    return UsageProblem(
        "The user name iam is for an IAM token of Yandex Cloud, which expires after 12 hours",
        fix="Use an authorized key of a service account, with the user name json_key.",
        code=Code.SECRET_SHORT_LIVED,
    )


def username_of_alibaba_token() -> UsageProblem:
    return UsageProblem(
        "The user name cr_temp_user is for a temporary password of Alibaba Cloud, which ends after an hour",
        fix="Use the access credential's fixed password, with the name of a RAM user.",
        code=Code.SECRET_SHORT_LIVED,
    )


def password_with_control_character() -> UsageProblem:
    return UsageProblem(
        "The password holds a line break or another control character, so it is not the password alone",
        fix="Pass nothing else with it: printf %s PASSWORD | pullkey ...",
        code=Code.SECRET_MALFORMED,
    )


def password_in_lines() -> UsageProblem:
    """A key file of JSON, as Yandex Cloud's registry takes for the user `json_key`."""
    return UsageProblem(
        "The password is JSON of several lines, and a password has one",
        fix="Pass the file in one line, which is the same to a registry: jq -c . FILE | pullkey ...",
        code=Code.SECRET_MALFORMED,
    )


def password_with_spaces_around() -> UsageProblem:
    return UsageProblem(
        "The password begins or ends with a space, probably from pasting",
        fix="Pass it without spaces around it.",
        code=Code.SECRET_MALFORMED,
    )


def password_is_google_access_token() -> UsageProblem:
    return UsageProblem(
        "This password is a Google access token, which expires after an hour",
        fix="Use `pullkey onboard gcr`, which creates a key that lasts.",
        code=Code.SECRET_SHORT_LIVED,
    )


def password_is_github_app_token() -> UsageProblem:
    return UsageProblem(
        "This password is a token of a GitHub App or of a job of GitHub Actions, which expires "
        "after an hour or with its job",
        fix="Use a personal access token with the scope read:packages.",
        code=Code.SECRET_SHORT_LIVED,
    )


def password_is_gitlab_job_token() -> UsageProblem:
    return UsageProblem(
        "This password is the token of a GitLab CI job, which expires with its job",
        fix="Use a deploy token of the project or group, with the scope read_registry.",
        code=Code.SECRET_SHORT_LIVED,
    )


def password_is_ecr_token() -> UsageProblem:
    return UsageProblem(
        "This password is a token of Amazon ECR, which expires after 12 hours, and Akka cannot renew it",
        fix=_ANOTHER_REGISTRY,
        code=Code.SECRET_SHORT_LIVED,
    )


def password_expired(expires: dt.datetime) -> UsageProblem:
    return UsageProblem(
        f"This password is a token that expired at {expires:%Y-%m-%d %H:%M} UTC",
        fix=_USE_A_LASTING_ONE,
        code=Code.SECRET_SHORT_LIVED,
    )


def password_expires_soon(expires: dt.datetime, left: dt.timedelta) -> UsageProblem:
    return UsageProblem(
        f"This password is a token that expires in {_in_words(left)}, at "
        f"{expires:%Y-%m-%d %H:%M} UTC, and Akka cannot renew it",
        fix=_USE_A_LASTING_ONE,
        code=Code.SECRET_SHORT_LIVED,
    )


def key_file_in_base64() -> UsageProblem:
    return UsageProblem(
        "The password is base64, and _json_key needs the plain key file",
        fix="Pass --username _json_key_base64, or the file: --password-stdin < keyfile.json",
        code=Code.SECRET_MALFORMED,
    )


def key_file_not_in_base64(*, plain: bool) -> UsageProblem:
    """The password is not base64; `plain` if it is the key file itself."""
    why = "is the plain key file" if plain else "is not base64"
    return UsageProblem(
        f"The user name _json_key_base64 needs a key file in base64, and the password {why}",
        fix="Pass it like this: `base64 keyfile.json | pullkey ... --password-stdin`; or the file "
        "itself with `--username _json_key`.",
        code=Code.SECRET_MALFORMED,
    )


def key_file_invalid(username: str, why: str) -> UsageProblem:
    return UsageProblem(
        f"The user name {username} needs the key file of a Google service account, and the "
        f"password is not one: {why}",
        fix="Pass the complete file that Google created: --password-stdin < keyfile.json",
        code=Code.SECRET_MALFORMED,
    )


def password_needed(whose: str) -> UsageProblem:
    return UsageProblem(
        f"The password of {whose} is needed",
        fix="Pass it with --password-stdin.",
        code=Code.SECRET_MISSING,
    )


def password_not_revocable(whose: str, host: str) -> PullkeyError:
    return PullkeyError(
        f"The password of {whose} is user-supplied, so pullkey cannot revoke it",
        fix=f"Revoke it at {host}, where it was created.",
        code=Code.KEY_NOT_REVOCABLE,
    )


def better_provider(provider: str, host: str) -> Notice:
    return Notice(
        f"`pullkey onboard {provider}` creates a key for {host} by itself, and can renew "
        "and remove it; with this provider you rotate the password yourself."
    )


def host_is_local(host: str) -> Notice:
    return Notice(f"{host} is known in your own network only, and Akka pulls over the public internet.")


def _in_words(time: dt.timedelta) -> str:
    """Name a duration in its largest unit, rounded down.

    >>> _in_words(dt.timedelta(hours=11, minutes=59))
    '11 hours'
    """
    seconds = int(time.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count_of(seconds // size, unit)
    return "less than a minute"

"""Registries, users and passwords that cannot last, or are not needed: refused before anything is changed.

Akka keeps what it is given, and pulls again whenever a service starts, scales or moves: a credential that
ends in hours works today and fails some night. Sources:

* Amazon ECR: `GetAuthorizationToken` ("valid for 12 hours"); the password is base64 of a JSON object with
  `payload`, `datakey`, `type` and `expiration`.
* Google: "gcloud auth print-access-token" (3600 seconds, 12 hours at most), user name `oauth2accesstoken`.
* Azure: "Authenticate with an Azure container registry" (`az acr login --expose-token`: the zero GUID as user
  name, 3 hours).
* GitHub: "Generating an installation access token" (an hour; `ghs_...`, since 2026 `ghs_APPID_JWT`); the
  token of a job of GitHub Actions is one, and ends with its job.
* GitLab: "CI/CD job token" (valid while its job runs; `glcbt-`, which an instance may put a prefix of its own
  before).
* JSON Web Tokens: RFC 7519, 4.1.4 (`exp`).
* Akka's own registry: the Akka CLI's `container-registry` commands; a project needs no credential for it.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from typing import Any

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem
from bootstrap.model.secret import Secret

LASTS = dt.timedelta(days=30)
"""How long a token with an end must be good for: what ends sooner is renewed by a machine, not by a
person.
"""

_ECR = re.compile(
    r"(?:^|\.)dkr[.-]ecr(?:-fips)?\..+\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn)$"
)
_ECR_PUBLIC = ("public.ecr.aws", "ecr-public.aws.com")
_AKKA = re.compile(r"^(?:acr\.(?:.+\.)?akka\.io|kcr\.(?:.+\.)?kalix\.io)$")
_DOCKER_HUB = ("docker.io", "docker.com")
_BETTER = {
    "gcr": ("pkg.dev", "gcr.io"),
    "acr": ("azurecr.io", "azurecr.us", "azurecr.cn"),
}
_GITLAB_JOB = re.compile(r"^(?:[A-Za-z0-9_]+-)*glcbt-")
_ELSEWHERE = (
    "Copy the images to a registry whose passwords last, or to Akka's own: akka container-registry push IMAGE"
)
_LASTING = "Bring one that lasts: of a robot account, a deploy token, a personal access token."


def refuse_host(host: str) -> None:
    """Whether a registry's credentials are of use to Akka at all.

    Raises:
        UsageProblem: they are not.
    """
    if _ECR.search(host):
        raise UsageProblem(
            f"{host} is Amazon ECR, whose passwords end after 12 hours, and Akka cannot renew them",
            fix=_ELSEWHERE,
            code=Code.REGISTRY_UNSUITABLE,
        )
    if host in _ECR_PUBLIC:
        raise UsageProblem(
            f"{host} allows anonymous pulls, so Akka needs no credential for it",
            code=Code.REGISTRY_UNSUITABLE,
        )
    if _AKKA.match(host):
        raise UsageProblem(
            f"{host} is Akka's own registry, for which a project needs no credential",
            code=Code.REGISTRY_UNSUITABLE,
        )
    if _under(host, _DOCKER_HUB):
        raise UsageProblem(
            f"{host} is Docker Hub, which Akka knows by one spelling of its server only",
            fix="Use `pullkey onboard docker-hub`, which has it.",
            code=Code.REGISTRY_UNSUITABLE,
        )


def refuse_username(username: str) -> None:
    """Whether a user name is one that goes with a password of hours.

    Raises:
        UsageProblem: it is.
    """
    if username == "oauth2accesstoken":
        raise UsageProblem(
            "The user name oauth2accesstoken is for a Google access token, which expires after an hour",
            fix="Use `pullkey onboard gcr`, which creates a key that lasts.",
            code=Code.SECRET_SHORT_LIVED,
        )
    if username == "00000000-0000-0000-0000-000000000000":
        raise UsageProblem(
            "This user name is for a token of `az acr login --expose-token`, which expires after 3 hours",
            fix="Use `pullkey onboard acr`, which creates a secret that lasts.",
            code=Code.SECRET_SHORT_LIVED,
        )
    if username == "gitlab-ci-token":
        raise UsageProblem(
            "The user name gitlab-ci-token is for the token of a CI job, which expires with its job",
            fix="Use a deploy token of the project or group, with the scope read_registry.",
            code=Code.SECRET_SHORT_LIVED,
        )


def better_provider(host: str) -> str:
    """The provider that can make a key for this registry by itself; "" if none can."""
    return next((name for name, domains in _BETTER.items() if _under(host, domains)), "")


def end_of(password: Secret, *, now: dt.datetime) -> dt.datetime | None:
    """When a password ends, where it says so itself. Nothing of it is ever repeated.

    Raises:
        UsageProblem: it ends too soon, or cannot be a password.
    """
    text = password.reveal()
    if not text.isprintable():
        raise UsageProblem(
            "The password holds a line break or another control character, so it is not the password alone",
            fix="Pass nothing else with it: printf %s PASSWORD | pullkey ...",
            code=Code.SECRET_MALFORMED,
        )
    if text != text.strip():
        raise UsageProblem(
            "The password begins or ends with a space, probably from pasting",
            fix="Pass it without spaces around it.",
            code=Code.SECRET_MALFORMED,
        )
    if text.startswith("ya29."):
        raise UsageProblem(
            "This password is a Google access token, which expires after an hour",
            fix="Use `pullkey onboard gcr`, which creates a key that lasts.",
            code=Code.SECRET_SHORT_LIVED,
        )
    if text.startswith("ghs_"):
        raise UsageProblem(
            "This password is a token of a GitHub App or of a job of GitHub Actions, which expires "
            "after an hour or with its job",
            fix="Use a personal access token with the scope read:packages.",
            code=Code.SECRET_SHORT_LIVED,
        )
    if _GITLAB_JOB.match(text):
        raise UsageProblem(
            "This password is the token of a GitLab CI job, which expires with its job",
            fix="Use a deploy token of the project or group, with the scope read_registry.",
            code=Code.SECRET_SHORT_LIVED,
        )
    if _is_ecr_token(text):
        raise UsageProblem(
            "This password is a token of Amazon ECR, which expires after 12 hours, and Akka cannot renew it",
            fix=_ELSEWHERE,
            code=Code.SECRET_SHORT_LIVED,
        )
    end = _end_of_jwt(text)
    if end is None:
        return None
    if end <= now:
        raise UsageProblem(
            f"This password is a token that ended at {end:%Y-%m-%d %H:%M} UTC",
            fix=_LASTING,
            code=Code.SECRET_SHORT_LIVED,
        )
    if end - now < LASTS:
        raise UsageProblem(
            f"This password is a token that expires in {_in_words(end - now)}, at "
            f"{end:%Y-%m-%d %H:%M} UTC, and Akka cannot renew it",
            fix=_LASTING,
            code=Code.SECRET_SHORT_LIVED,
        )
    return end


def _under(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _is_ecr_token(text: str) -> bool:
    """Whether it is what `aws ecr get-login-password` prints, or the same with the user name before it."""
    decoded = _decoded(text)
    if decoded.startswith("AWS:"):
        decoded = _decoded(decoded.removeprefix("AWS:"))
    found = _object(decoded)
    return found.keys() >= {"payload", "datakey"}


def _end_of_jwt(text: str) -> dt.datetime | None:
    header, _, rest = text.partition(".")
    claims, _, signature = rest.partition(".")
    if not claims or not signature or "alg" not in _object(_decoded(header)):
        return None
    end = _object(_decoded(claims)).get("exp")
    if isinstance(end, bool) or not isinstance(end, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(end, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _decoded(text: str) -> str:
    """Base64 of either alphabet, with or without its padding; "" for anything else."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except ValueError:  # no base64, or no text behind it
        return ""


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_words(time: dt.timedelta) -> str:
    """A time as a person says it: its largest unit, rounded down.

    >>> _in_words(dt.timedelta(hours=11, minutes=59))
    '11 hours'
    """
    seconds = int(time.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)}"
    return "less than a minute"

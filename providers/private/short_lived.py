"""Refuse short-lived passwords, and registries that need no credential, before anything is changed.

Akka stores the credential, and pulls again whenever a service starts, scales or moves: a credential that
expires within hours works today and fails some night. Sources:

* Amazon ECR: `GetAuthorizationToken` ("valid for 12 hours"); the password is base64 of a JSON object with
  `payload`, `datakey`, `type` and `expiration`.
* Google: "gcloud auth print-access-token" (3600 seconds, 12 hours at most), user name `oauth2accesstoken`.
* Azure: "Authenticate with an Azure container registry" (`az acr login --expose-token`: the zero GUID as user
  name, 3 hours).
* GitHub: "Generating an installation access token" (an hour; `ghs_...`, since 2026 `ghs_APPID_JWT`); the
  token of a job of GitHub Actions is one, and expires with its job.
* GitLab: "CI/CD job token" (valid while its job runs; `glcbt-`, before which an instance may put a
  prefix of its own).
* Yandex: "Authentication in Container Registry" and "in Cloud Registry" (user name `iam`: 12 hours at most;
  `oauth` lasts a year).
* Alibaba: `GetAuthorizationToken` of Container Registry (an hour; user name `cr_temp_user`, at a domain
  of the user's own too).
* JSON Web Tokens: RFC 7519, 4.1.4 (`exp`).
* Akka's own registry: the Akka CLI's `container-registry` commands; a project needs no credential for it.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from typing import Any

from bootstrap.model.secret import Secret
from providers.private import messages

MIN_LIFETIME = dt.timedelta(days=30)
"""How long a token must still be valid: one that expires sooner is meant to be renewed by a machine."""

_ECR = re.compile(
    r"(?:^|\.)dkr[.-]ecr(?:-fips)?\..+\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn)$"
)
_ECR_PUBLIC = ("public.ecr.aws", "ecr-public.aws.com")
_AKKA = re.compile(r"^(?:acr\.(?:.+\.)?akka\.io|kcr\.(?:.+\.)?kalix\.io)$")
_DOCKER_HUB = ("docker.io", "docker.com")
_OWN_PROVIDERS = {
    "gcr": ("pkg.dev", "gcr.io"),
    "acr": ("azurecr.io", "azurecr.us", "azurecr.cn"),
}
_YANDEX = ("cr.yandex", "yandexcloud.net")
_GITLAB_JOB = re.compile(r"^(?:[A-Za-z0-9_]+-)*glcbt-")


def refuse_host(host: str) -> None:
    """Refuse a registry whose credentials are of no use to Akka.

    Raises:
        UsageProblem: it is one.
    """
    if _ECR.search(host):
        raise messages.registry_of_amazon(host)
    if host in _ECR_PUBLIC:
        raise messages.registry_public(host)
    if _AKKA.match(host):
        raise messages.registry_of_akka(host)
    if _in_domain(host, _DOCKER_HUB):
        raise messages.registry_is_docker_hub(host)


def refuse_username(host: str, username: str) -> None:
    """Refuse a user name whose passwords, at this registry, expire within hours.

    Raises:
        UsageProblem: it is one.
    """
    if username == "oauth2accesstoken":
        raise messages.username_of_google_access_token()
    if username == "00000000-0000-0000-0000-000000000000":
        raise messages.username_of_azure_access_token()
    if username == "gitlab-ci-token":
        raise messages.username_of_gitlab_job()
    if username == "iam" and _in_domain(host, _YANDEX):
        raise messages.username_of_yandex_token()
    if username == "cr_temp_user":
        raise messages.username_of_alibaba_token()


def better_provider(host: str) -> str:
    """Name the provider that can create a key for this registry; "" if none can."""
    return next((name for name, domains in _OWN_PROVIDERS.items() if _in_domain(host, domains)), "")


def expiry_of(password: Secret, *, now: dt.datetime) -> dt.datetime | None:
    """Read when a password expires; None if it does not say so itself.

    Raises:
        UsageProblem: it expires too soon, or is not valid as a password. The message quotes nothing of it.
    """
    text = password.reveal()
    if not text.isprintable():
        raise messages.password_in_lines() if _object(text) else messages.password_with_control_character()
    if text != text.strip():
        raise messages.password_with_spaces_around()
    if text.startswith("ya29."):
        raise messages.password_is_google_access_token()
    if text.startswith("ghs_"):
        raise messages.password_is_github_app_token()
    if _GITLAB_JOB.match(text):
        raise messages.password_is_gitlab_job_token()
    if _is_ecr_token(text):
        raise messages.password_is_ecr_token()
    expires = _expiry_of_jwt(text)
    if expires is None:
        return None
    if expires <= now:
        raise messages.password_expired(expires)
    if expires - now < MIN_LIFETIME:
        raise messages.password_expires_soon(expires, expires - now)
    return expires


def _in_domain(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _is_ecr_token(text: str) -> bool:
    """Whether `aws ecr get-login-password` prints such a text; the user name may stand before it."""
    decoded = _decoded(text)
    if decoded.startswith("AWS:"):
        decoded = _decoded(decoded.removeprefix("AWS:"))
    found = _object(decoded)
    return found.keys() >= {"payload", "datakey"}


def _expiry_of_jwt(text: str) -> dt.datetime | None:
    header, _, rest = text.partition(".")
    claims, _, signature = rest.partition(".")
    if not claims or not signature or "alg" not in _object(_decoded(header)):
        return None
    expires = _object(_decoded(claims)).get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(expires, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _decoded(text: str) -> str:
    """Decode base64 of either alphabet, with or without padding; "" for anything else."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except ValueError:  # not base64, or not of a text
        return ""


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

"""The Docker registry of Artifact Registry and gcr.io: permissions and refusals.

The behaviour of the real registry, with sources:

* The token service itself refuses an identity that may not pull what it requests, with a 403 `DENIED`: `GET
  https://REGION-docker.pkg.dev/v2/token?scope=...: DENIED: Permission
  "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/..." (or it may not exist)`
  (GoogleContainerTools/skaffold#6743). It refuses anonymous callers too, with another text
  (argoproj/argo-cd#26260).
* A request without a credential is challenged; the challenge of `/v2/` names no service, that of an image
  does (and of a path without an image, one named `pkg`). A credential that is refused is a 401 `UNAUTHORIZED`
  without a challenge. A path of one part is a 400, with or without a credential. A token lasts twelve hours
  (curl of the live service, quoted in e6qu/sockerless-cloud). gcr.io names its service, as Container Registry
  did.
* A tag that does not exist is `MANIFEST_UNKNOWN`, a repository that does not exist `NAME_UNKNOWN`.
* A gcr.io host of a project that was never migrated to Artifact Registry answers 412 with plain text, which
  names the command that migrates; docker says of it "invalid character 'C' looking for beginning of value"
  (reports of 2025).
* A registry that answers on gcr.io honours Artifact Registry's permissions only: "automation that grants
  Cloud Storage permissions must be updated to grant Artifact Registry permissions" (Google, "Overview of
  gcr.io repositories"). `roles/storage.objectViewer` therefore pulls nothing here, on any host.
* A remote repository asks the registry behind it for what it has not kept, and answers 502 with that one's
  refusal ("Troubleshoot remote repositories"). Here that one is Docker Hub, which answers 401 for an image
  that does not exist.
* `/v2/` itself also accepts access tokens and JSON keys, as Basic or Bearer, without the token service.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.registry.answers import (
    API_VERSION,
    Login,
    Refusal,
    Scope,
    basic_login,
    bearer_challenge,
    bearer_token,
)
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, Repository
from providers.gcr.emulator.access import Access, service_disabled
from providers.gcr.emulator.oauth import Tokens
from providers.gcr.emulator.roles import DOWNLOAD, UPLOAD
from providers.gcr.emulator.state import GoogleState

CERTIFICATE_HOSTS: Final = (
    "gcr.io",
    "*.gcr.io",
    "*.pkg.dev",
    *(
        f"docker.{location}.rep.pkg.dev"
        for location in (
            "europe-west1",
            "europe-west3",
            "europe-west4",
            "us-central1",
            "us-east1",
            "us-west1",
        )
    ),
)
"""A wildcard matches one label only, so the regional endpoints are listed."""

_GCR_LOCATIONS: Final = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_PKG_DEV: Final = re.compile(
    r"^(?:(?P<location>[a-z0-9-]+)-docker\.pkg\.dev|docker\.(?P<regional>[a-z0-9-]+)\.rep\.pkg\.dev)$"
)
_SIGNED: Final = b"signed by the holder of the key"
_SCOPE: Final = re.compile(r"^repository(?:\([a-z]+\))?:(?P<path>[^:]+):(?P<actions>[a-z,*]+)$")
_TOKEN_LIFETIME: Final = dt.timedelta(hours=12)


@dataclass(frozen=True)
class ImagePath:
    """The meaning of a path below `/v2/` on a host."""

    project_id: str
    location: str
    repository_id: str
    image: str

    @property
    def resource(self) -> str:
        return f"projects/{self.project_id}/locations/{self.location}/repositories/{self.repository_id}"

    @property
    def canonical(self) -> str:
        """The image's name in the store."""
        return f"{self.location}-docker.pkg.dev/{self.project_id}/{self.repository_id}/{self.image}"


class ArtifactRegistryPolicy(RegistryPolicy):
    """Artifact Registry on all its hosts.

    A credential is accepted while its key is usable and the identity may download from the repository. An
    issued token stays valid for twelve hours, even if the key is deleted meanwhile.
    """

    token_path = "/v2/token"
    answers_head = True
    headers = API_VERSION
    error_headers = API_VERSION

    def __init__(self, state: GoogleState, access: Access, tokens: Tokens) -> None:
        super().__init__("")
        self._state = state
        self._access = access
        self._tokens = tokens

    # -- the token service -----------------------------------------------------------------------------------

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        if login is None:
            return Caller()
        email: str | None = None
        if login.name == "_json_key":
            email = self._key_file_identity(login.password)
        elif login.name == "_json_key_base64":
            try:
                email = self._key_file_identity(base64.b64decode(login.password).decode())
            except (binascii.Error, UnicodeDecodeError):
                email = None
        elif login.name == "oauth2accesstoken":
            email = self._tokens.account_of(login.password)
        if email is None:
            raise self.refusal(401, "UNAUTHORIZED", "authentication failed")
        return Caller(email)

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        """A token of the caller, if the caller may do everything in `scopes`."""
        for scope in " ".join(scopes).split():
            match = _SCOPE.match(scope)
            if match is None:
                raise self.refusal(400, "UNSUPPORTED", f"Invalid scope {scope}.")
            actions = match["actions"].split(",")
            path = self._resolve(request, match["path"])
            if self._never_migrated(request, path):
                continue  # Container Registry issued tokens to anyone, and refused later
            if set(actions) & {"pull", "*"}:
                self._require(caller, DOWNLOAD, path)
            if set(actions) & {"push", "*"}:
                self._require(caller, UPLOAD, path)
        token = self._tokens.issue(caller.name, _TOKEN_LIFETIME)[0]
        answer = {"token": token, "expires_in": int(_TOKEN_LIFETIME.total_seconds())}
        if _host(request) in _GCR_LOCATIONS:
            answer["issued_at"] = f"{self._state.now():%Y-%m-%dT%H:%M:%SZ}"
        return answer

    # -- the registry ----------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        service = request.host if scope or _host(request) in _GCR_LOCATIONS else ""
        challenge = bearer_challenge(self.token_service(request), service, scope)
        valid = "valid " if scope else ""
        message = f"not authenticated: No {valid}credential was supplied."
        return self.refusal(401, "UNAUTHORIZED", message, challenge=challenge)

    def authorize(self, request: web.Request, scope: Scope | None) -> None:
        self._authenticated(request, scope)

    def repository(self, request: web.Request, name: str) -> Repository:
        parts = name.split("/")
        if len(parts) == 1:
            raise self.refusal(400, "NAME_INVALID", "invalid number of path components: 1")
        image = name if len(parts) > 2 or _host(request) in _GCR_LOCATIONS else f"{name}/pkg"
        caller = self._authenticated(request, Scope.pull(image))
        path = self._resolve(request, name)
        if self._never_migrated(request, path):
            raise _not_migrated(path.project_id)
        self._require(caller, DOWNLOAD, path)
        if self._state.repository(path.project_id, path.location, path.repository_id) is None:
            raise self.refusal(404, "NAME_UNKNOWN", f'Repository "{path.repository_id}" not found')
        return Repository(name, path.canonical)

    async def tags(self, images: ImageStore, repository: Repository) -> dict[str, Any] | None:
        if repository.stored.endswith("/"):
            # google/go-containerregistry, pkg/v1/google/list.go: a folder has its images as `child`, and no
            # tags.
            below = {one.partition("/")[0] for one in await images.below(repository.stored.rstrip("/"))}
            return {"child": sorted(below), "name": repository.name, "tags": []}
        return await super().tags(images, repository)

    def unknown_repository(self, request: web.Request, repository: Repository) -> Refusal:
        image = repository.stored.split("/", 3)[3]
        return self.refusal(404, "NAME_UNKNOWN", f'Failed to fetch "{image}" from request "{request.path}".')

    def unknown_manifest(self, request: web.Request, reference: str) -> Refusal | None:
        path = self._resolve(request, request.path.removeprefix("/v2/").partition("/manifests/")[0])
        there = self._state.repository(path.project_id, path.location, path.repository_id)
        if there is not None and there.is_remote:
            upstream = f"https://registry-1.docker.io/v2/{path.image}/manifests/{reference}"
            message = f"Received invalid http status code 401 from external repository; url={upstream}."
            return self.refusal(502, "UNKNOWN", message)
        message = f'Failed to fetch "{reference}" from request "{request.path}".'
        return self.refusal(404, "MANIFEST_UNKNOWN", message)

    # -- authentication and paths ----------------------------------------------------------------------------

    def _authenticated(self, request: web.Request, scope: Scope | None) -> Caller:
        """The caller of a request with a token of the token service, an access token, or a password."""
        scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
        if not scheme:
            raise self.challenge(request, scope, "")
        if scheme == "basic":
            return self.caller(request, basic_login(request))
        token = bearer_token(request) or ""
        if self._tokens.is_anonymous(token):
            return Caller()
        email = self._tokens.account_of(token)
        if email is None:
            # No challenge: a refused client is not asked again.
            raise self.refusal(401, "UNAUTHORIZED", "No valid credential was supplied.")
        return Caller(email)

    def _key_file_identity(self, text: str) -> str | None:
        """The account of a key file, if the key is usable and the private key matches its public key."""
        try:
            content = json.loads(text)
            email, key_id = str(content["client_email"]), str(content["private_key_id"])
            # Skip the slow check of the RSA key itself; the signature below is enough.
            private_key = serialization.load_pem_private_key(
                content["private_key"].encode(), password=None, unsafe_skip_rsa_key_validation=True
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        key = self._state.usable_key(email, key_id)
        if key is None or not isinstance(private_key, rsa.RSAPrivateKey):
            return None
        try:
            signed = private_key.sign(_SIGNED, padding.PKCS1v15(), hashes.SHA256())
            key.public_key.verify(signed, _SIGNED, padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            return None
        return email

    def _resolve(self, request: web.Request, path: str) -> ImagePath:
        """Resolve a path on the requested host; a loopback address accepts any location."""
        host = _host(request)
        parts = path.split("/")
        if "." in parts[0] and len(parts) > 1:
            # A domain-scoped project, `example.com:project`, is `example.com/project` in a path.
            parts[:2] = [f"{parts[0]}:{parts[1]}"]
        if host in _GCR_LOCATIONS:
            return ImagePath(parts[0], _GCR_LOCATIONS[host], host, "/".join(parts[1:]))
        project_id, repository_id = parts[0], parts[1] if len(parts) > 1 else ""
        match = _PKG_DEV.match(host)
        location = (
            (match["location"] or match["regional"])
            if match
            else self._any_location(project_id, repository_id)
        )
        return ImagePath(project_id, location, repository_id, "/".join(parts[2:]))

    def _never_migrated(self, request: web.Request, path: ImagePath) -> bool:
        there = self._state.repository(path.project_id, path.location, path.repository_id)
        return _host(request) in _GCR_LOCATIONS and path.project_id in self._state.projects and there is None

    def _any_location(self, project_id: str, repository_id: str) -> str:
        project = self._state.project(project_id)
        known = project.repositories if project else {}
        return next((location for location, name in known if name == repository_id), "us")

    def _require(self, caller: Caller, permission: str, path: ImagePath) -> None:
        project = self._state.projects.get(path.project_id)
        resource = self._state.repository(path.project_id, path.location, path.repository_id) or project
        if project is not None and "artifactregistry.googleapis.com" not in project.services:
            error = service_disabled(project, "artifactregistry.googleapis.com")
            raise self.refusal(403, "DENIED", error.message)
        if resource is not None and self._access.holds(caller.name or None, permission, resource):
            return
        on = f'on resource "{path.resource}" (or it may not exist)'
        if caller.name:
            raise self.refusal(403, "DENIED", f'Permission "{permission}" denied {on}')
        message = "Unauthenticated request. Unauthenticated requests do not have permission"
        raise self.refusal(403, "DENIED", f'{message} "{permission}" {on}')


def _not_migrated(project_id: str) -> Refusal:
    """The refusal for a project whose gcr.io host was never migrated to Artifact Registry."""
    text = (
        "Container Registry is deprecated and shutting down, please use the auto migration tool to "
        "migrate to "
        f"Artifact Registry (gcloud artifacts docker upgrade migrate --projects='{project_id}'). "
        "For more details "
        "see: https://cloud.google.com/artifact-registry/docs/transition/auto-migrate-gcr-ar"
    )
    return Refusal(web.Response(status=412, text=text))


def _host(request: web.Request) -> str:
    return request.host.rsplit(":", 1)[0].lower()

"""The Docker side of Artifact Registry: challenge, token service, manifests, blobs, tags.

What the real one does, and where it was seen:

* The token service itself refuses an identity that may not pull what it asks for, with a 403 `DENIED`: `GET
  https://REGION-docker.pkg.dev/v2/token?scope=...: DENIED: Permission
  "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/..." (or it may not exist)`
  (GoogleContainerTools/skaffold#6743). So it does anonymous callers, in other words (argoproj/argo-cd#26260).
* Whoever comes without a credential is asked for one; the challenge of `/v2/` names no service, that of an image does
  (and of a path without an image, one named `pkg`). A credential that is refused is a 401 `UNAUTHORIZED` without a
  challenge. A path of one part is a 400, asked by whomever. A token lasts twelve hours (curl of the live service,
  quoted in e6qu/sockerless-cloud). gcr.io names its service, as Container Registry did.
* A tag that is not there is `MANIFEST_UNKNOWN`, a repository that is not there `NAME_UNKNOWN`.
* A gcr.io host of a project that was never migrated to Artifact Registry answers 412 with plain text, which names the
  command that migrates; docker says of it "invalid character 'C' looking for beginning of value" (reports of 2025).
* A registry that answers on gcr.io honours Artifact Registry's permissions only: "automation that grants Cloud Storage
  permissions must be updated to grant Artifact Registry permissions" (Google, "Overview of gcr.io repositories").
  `roles/storage.objectViewer` therefore pulls nothing here, on any host.
* Access tokens and JSON keys are also taken as Basic or Bearer on `/v2/` itself, without the token service.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bootstrap.sandbox.calls import CallGate, RestApi
from bootstrap.sandbox.images import ImageStore, registry_error
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
"""A wildcard stands for one label only, so the regional endpoints are named one by one."""

_GCR_LOCATIONS: Final = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_PKG_DEV: Final = re.compile(
    r"^(?:(?P<location>[a-z0-9-]+)-docker\.pkg\.dev|docker\.(?P<regional>[a-z0-9-]+)\.rep\.pkg\.dev)$"
)
_SIGNED: Final = b"signed by whoever logs in"
_SCOPE: Final = re.compile(r"^repository(?:\([a-z]+\))?:(?P<path>[^:]+):(?P<actions>[a-z,*]+)$")
_TOKEN_LIFETIME: Final = dt.timedelta(hours=12)
_API_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}


@dataclass(frozen=True)
class ImagePath:
    """What a path under `/v2/` means on a host."""

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


class RegistryError(Exception):
    """A refusal in the form of the Distribution specification."""

    def __init__(self, status: int, code: str, message: str, *, challenge: str = "") -> None:
        super().__init__(message)
        self.response = registry_error(status, code, message)
        self.response.headers.update(_API_VERSION)
        if challenge:
            self.response.headers["WWW-Authenticate"] = challenge


class NotMigratedError(RegistryError):
    """A project whose gcr.io host was never moved to Artifact Registry."""

    def __init__(self, project_id: str) -> None:
        super().__init__(412, "UNKNOWN", "not migrated")
        self.response = web.Response(
            status=412,
            text="Container Registry is deprecated and shutting down, please use the auto migration tool to migrate to "
            f"Artifact Registry (gcloud artifacts docker upgrade migrate --projects='{project_id}'). For more details "
            "see: https://cloud.google.com/artifact-registry/docs/transition/auto-migrate-gcr-ar",
        )


class Registry:
    """Answers `/v2/`.

    A credential passes while its key is usable and the identity's role downloads from that repository; a token that
    was issued stays good for its twelve hours, even if the key is deleted meanwhile.
    """

    def __init__(self, state: GoogleState, access: Access, tokens: Tokens, images: ImageStore) -> None:
        self._state = state
        self._access = access
        self._tokens = tokens
        self._images = images

    def add_to(self, gate: CallGate, app: web.Application) -> None:
        api = RestApi(gate, "registry", _render_fault, app)

        def route(path: str, method: str, handler: Any) -> None:
            async def safe(request: web.Request) -> web.StreamResponse:
                try:
                    response: web.StreamResponse = await handler(request)
                except RegistryError as error:
                    return error.response
                return response

            for verb in ("GET", "HEAD"):
                api.route(verb, path, method, safe)

        route("/v2/", "Ping", self._ping)
        route("/v2/token", "GetToken", self._token)
        route("/v2/{path:.+}/manifests/{reference}", "GetManifest", self._manifest)
        route("/v2/{path:.+}/blobs/{digest}", "GetBlob", self._blob)
        route("/v2/{path:.+}/tags/list", "ListTags", self._tags)

    # -- endpoints -----------------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Authorization"):
            message = "not authenticated: No credential was supplied."
            raise RegistryError(401, "UNAUTHORIZED", message, challenge=_challenge(request))
        self._identify(request)
        return web.json_response({}, headers=_API_VERSION)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        email = self._basic_identity(authorization) if authorization else None
        for scopes in request.query.getall("scope", []):
            for scope in scopes.split():
                match = _SCOPE.match(scope)
                if match is None:
                    raise RegistryError(400, "UNSUPPORTED", f"Invalid scope {scope}.")
                actions = match["actions"].split(",")
                path = self._resolve(request, match["path"])
                if self._never_migrated(request, path):
                    continue  # Container Registry's tokens were for everybody; it refused later
                if set(actions) & {"pull", "*"}:
                    self._require(email, DOWNLOAD, path)
                if set(actions) & {"push", "*"}:
                    self._require(email, UPLOAD, path)
        token = self._tokens.issue(email or "", _TOKEN_LIFETIME)[0]
        seconds = int(_TOKEN_LIFETIME.total_seconds())
        answer: dict[str, Any] = {"token": token, "expires_in": seconds}
        if _host(request) in _GCR_LOCATIONS:
            answer["issued_at"] = f"{self._state.now():%Y-%m-%dT%H:%M:%SZ}"
        return web.json_response(answer, headers=_API_VERSION)

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        path = self._authorized(request)
        reference = request.match_info["reference"]
        response = await self._images.manifest(path.canonical, reference, head=request.method == "HEAD")
        if response.status == 404:
            message = f'Failed to fetch "{reference}" from request "{request.path}".'
            raise RegistryError(404, "MANIFEST_UNKNOWN", message)
        return response

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        path = self._authorized(request)
        return await self._images.blob(
            path.canonical, request.match_info["digest"], head=request.method == "HEAD"
        )

    async def _tags(self, request: web.Request) -> web.StreamResponse:
        path = self._authorized(request)
        if not path.image:
            # google/go-containerregistry, pkg/v1/google/list.go: a folder has its images as `child`, and no tags.
            below = {one.partition("/")[0] for one in await self._images.below(path.canonical.rstrip("/"))}
            return web.json_response(
                {"child": sorted(below), "name": request.match_info["path"], "tags": []}, headers=_API_VERSION
            )
        tags = await self._images.tags(path.canonical)
        if tags is None:
            raise RegistryError(
                404, "NAME_UNKNOWN", f'Failed to fetch "{path.image}" from request "{request.path}".'
            )
        name = request.match_info["path"]
        return web.json_response({"name": name, "tags": tags}, headers=_API_VERSION)

    # -- who and what --------------------------------------------------------------------------------------------

    def _authorized(self, request: web.Request) -> ImagePath:
        """The image that a request is about, if its caller may pull it and its repository exists."""
        raw = request.match_info["path"]
        parts = raw.split("/")
        if len(parts) == 1:
            raise RegistryError(400, "NAME_INVALID", "invalid number of path components: 1")
        if not request.headers.get("Authorization"):
            image = raw if len(parts) > 2 or _host(request) in _GCR_LOCATIONS else f"{raw}/pkg"
            message = "not authenticated: No valid credential was supplied."
            challenge = _challenge(request, f"repository:{image}:pull")
            raise RegistryError(401, "UNAUTHORIZED", message, challenge=challenge)
        email = self._identify(request)
        path = self._resolve(request, raw)
        if self._never_migrated(request, path):
            raise NotMigratedError(path.project_id)
        self._require(email, DOWNLOAD, path)
        if self._state.repository(path.project_id, path.location, path.repository_id) is None:
            raise RegistryError(404, "NAME_UNKNOWN", f'Repository "{path.repository_id}" not found')
        return path

    def _identify(self, request: web.Request) -> str | None:
        """Whose credential a request carries; None for a token that was given to nobody in particular."""
        authorization = request.headers.get("Authorization", "")
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            return self._basic_identity(authorization)
        if scheme.lower() == "bearer":
            if self._tokens.is_anonymous(value):
                return None
            email = self._tokens.account_of(value)
            if email is not None:
                return email
        # No challenge: who was refused is not asked again.
        raise RegistryError(401, "UNAUTHORIZED", "No valid credential was supplied.")

    def _basic_identity(self, authorization: str) -> str:
        """Whose credential `Authorization: Basic` carries."""
        try:
            text = base64.b64decode(authorization.partition(" ")[2], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        user, _, password = text.partition(":")
        email: str | None = None
        if user == "_json_key":
            email = self._key_file_identity(password)
        elif user == "_json_key_base64":
            try:
                email = self._key_file_identity(base64.b64decode(password).decode())
            except (binascii.Error, UnicodeDecodeError):
                email = None
        elif user == "oauth2accesstoken":
            email = self._tokens.account_of(password)
        if email is None:
            raise RegistryError(401, "UNAUTHORIZED", "authentication failed")
        return email

    def _key_file_identity(self, text: str) -> str | None:
        """Whose key file this is, if its key is usable and its private half is really that key's."""
        try:
            content = json.loads(text)
            email, key_id = str(content["client_email"]), str(content["private_key_id"])
            # Whether it is a good RSA key takes long to check; what matters is shown below, by a signature.
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
        """What a path means on the host that was asked; on a loopback address any location will do."""
        host = _host(request)
        parts = path.split("/")
        if "." in parts[0] and len(parts) > 1:
            # A project of a domain: `example.com:project`, in a path `example.com/project`.
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

    def _require(self, email: str | None, permission: str, path: ImagePath) -> None:
        project = self._state.projects.get(path.project_id)
        resource = self._state.repository(path.project_id, path.location, path.repository_id) or project
        if project is not None and "artifactregistry.googleapis.com" not in project.services:
            error = service_disabled(project, "artifactregistry.googleapis.com")
            raise RegistryError(403, "DENIED", error.message)
        if resource is not None and self._access.holds(email, permission, resource):
            return
        if email is None:
            raise RegistryError(
                403,
                "DENIED",
                "Unauthenticated request. Unauthenticated requests do not have permission "
                f'"{permission}" on resource "{path.resource}" (or it may not exist)',
            )
        raise RegistryError(
            403,
            "DENIED",
            f'Permission "{permission}" denied on resource "{path.resource}" (or it may not exist)',
        )


def _challenge(request: web.Request, scope: str = "") -> str:
    challenge = f'Bearer realm="https://{request.host}/v2/token"'
    if scope or _host(request) in _GCR_LOCATIONS:
        challenge += f',service="{request.host}"'
    return f'{challenge},scope="{scope}"' if scope else challenge


def _host(request: web.Request) -> str:
    return request.host.rsplit(":", 1)[0].lower()


def _render_fault(status: int, code: str, message: str) -> web.Response:
    names = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
    return registry_error(status, code or names.get(status, "UNKNOWN"), message)

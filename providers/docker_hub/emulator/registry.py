"""The registry, registry-1.docker.io, and its token service, auth.docker.io.

Sources: Distribution, "Token Authentication Specification"; "Docker Hub usage and limits" for the addresses;
docker/hub-feedback issues 1981 and 2127 for the texts of refusals in `docker pull` and `docker login`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bootstrap.model.settings import is_loopback
from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.registry.answers import API_VERSION, Login, Refusal, Scope, bearer_challenge
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, Repository, pull_where
from providers.docker_hub.emulator.state import HubState, stamp
from providers.docker_hub.target import REGISTRY

AUTH = "auth.docker.io"
SERVICE = "registry.docker.io"


class DockerHubPolicy(RegistryPolicy):
    """Docker Hub's policy: tokens from another host, and the same refusal for a missing permission as for a
    missing repository.
    """

    takes_forms = True
    error_headers = API_VERSION

    def __init__(self, state: HubState) -> None:
        super().__init__(REGISTRY)
        self._state = state

    def resource(self, request: web.Request) -> str:
        return f"{request.host}{request.path}"

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        puller = self._state.puller(login.name, login.password) if login else None
        if login is not None and puller is None:
            raise self._wrong(login)
        allowed = pull_where(lambda repository: self._state.may_pull(puller, repository))
        return Caller(puller.name if puller else "", allowed)

    def _wrong(self, login: Login) -> Refusal:
        """The token service's refusal, which has a form of its own."""
        user = self._state.users.get(login.name)
        careful = user is not None and user.second_factor
        said = "please use personal access token to login" if careful else "incorrect username or password"
        return Refusal(web.json_response({"details": said}, status=401))

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        token = self.sign(caller, self.granted(caller, scopes))
        issued = stamp(self._state.sandbox.now(), fraction=True)
        return {"token": token, "access_token": token, "expires_in": 300, "issued_at": issued}

    def token_service(self, request: web.Request) -> str:
        # For a client at a loopback address, keep that address: the real name leads to the real service.
        host = request.host if is_loopback(request.host.partition(":")[0]) else AUTH
        return f"https://{host}{self.token_path}"

    def challenge(self, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        refused = scope is not None and "Authorization" in request.headers
        challenge = bearer_challenge(
            self.token_service(request), SERVICE, scope, "insufficient_scope" if refused else ""
        )
        detail = scope and [{"Type": scope.type, "Class": "", "Name": scope.name, "Action": scope.actions[0]}]
        message = "authentication required"
        return self.refusal(401, "UNAUTHORIZED", message, detail=detail, challenge=challenge)

    async def tags(self, images: ImageStore, repository: Repository) -> dict[str, Any] | None:
        # A repository exists before its first image.
        return {"name": repository.name, "tags": await images.tags(repository.stored) or []}

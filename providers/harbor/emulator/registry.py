"""Harbor's registry and its token service.

Sources: goharbor/harbor, src/core/service/token (tokens for any request with a scope),
src/server/middleware/v2auth/auth.go (challenges and refusals), contenttrust (a policy that refuses images).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from bootstrap.sandbox.registry.answers import (
    API_VERSION,
    CATALOG,
    Login,
    Refusal,
    Scope,
    basic_login,
    bearer_challenge,
    bearer_token,
)
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, Repository
from providers.harbor.emulator.state import Caller as HarborCaller
from providers.harbor.emulator.state import HarborState

SERVICE = "harbor-registry"


class HarborPolicy(RegistryPolicy):
    """Harbor: a token for any request that names a scope, Basic beside tokens, and the same refusal for what
    may not be pulled and what does not exist.
    """

    token_path = "/service/token"
    has_catalog = True
    error_headers = API_VERSION

    def __init__(self, state: HarborState) -> None:
        super().__init__(state.host)
        self._state = state

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        """A wrong password counts as none."""
        found = self._state.caller(login.name, login.password) if login and login.name else HarborCaller()
        sysadmin = found.user is not None and found.user.sysadmin
        return Caller(found.name, lambda name: self._actions(found, name), lists=sysadmin)

    def _actions(self, caller: HarborCaller, repository: str) -> tuple[str, ...]:
        project = self._state.project(repository.partition("/")[0], is_name=True)
        if project is None:
            return ()
        return tuple(
            action for action in ("pull", "push") if self._state.may(caller, project, f"repository:{action}")
        )

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        if service != SERVICE:
            raise Refusal(web.Response(text=f"Unable to handle service: {service}", status=400))
        if not caller.name and not scopes:
            raise Refusal(web.Response(status=401))
        token = self.sign(caller, self.granted(caller, scopes))
        return {"token": token, "access_token": "", "expires_in": 1800, "issued_at": "2026-01-01T00:00:00Z"}

    def granted(self, caller: Caller, scopes: Iterable[str]) -> list[Scope]:
        """What the caller has, whatever it requested."""
        found = []
        for scope in map(Scope.parse, scopes):
            if scope == CATALOG:
                found.append(scope if caller.lists else replace(scope, actions=()))
            elif scope.type == "repository":
                found.append(replace(scope, actions=tuple(caller.allowed(scope.name))))
        return found

    def authorize(self, request: web.Request, scope: Scope | None) -> None:
        """A token is valid for the whole project until it expires; Basic for the current permissions."""
        token, login = bearer_token(request), basic_login(request)
        access = self.access(token) if token is not None else None
        by_login = token is None and login is not None
        caller = self._state.caller(login.name, login.password) if by_login and login else HarborCaller()
        if scope is None:
            if caller.known or access is not None:
                return
            raise self._unauthorized(request, None, "unauthorized")
        if scope == CATALOG:
            if caller.user is not None and caller.user.sysadmin:
                return
            raise self._unauthorized(request, None, "unauthorized to list catalog", basic=True)
        if not request.headers.get("Authorization"):
            raise self._unauthorized(request, scope, "authorize header needed to send HEAD to repository")
        project = scope.name.partition("/")[0]
        if self._state.project(project, is_name=True) is None:
            raise self.refusal(401, "UNAUTHORIZED", f"project {project} not found", challenge=" ")
        held = {
            action for one in access or () if one.name.partition("/")[0] == project for action in one.actions
        } | {*self._actions(caller, scope.name)}
        if not {*scope.actions} <= held:
            message = f"unauthorized to access repository: {scope.name}, action: {scope.actions[0]}"
            raise self._unauthorized(request, scope, message)

    def _unauthorized(
        self, request: web.Request, scope: Scope | None, message: str, *, basic: bool = False
    ) -> Refusal:
        """The answer to a request with a header asks for Basic; to one without, for a token."""
        challenge = 'Basic realm="harbor"'
        if not (basic or request.headers.get("Authorization")):
            challenge = bearer_challenge(self.token_service(request), SERVICE, scope)
        return self.refusal(401, "UNAUTHORIZED", message, challenge=challenge)

    def repository(self, request: web.Request, name: str) -> Repository:
        if "/" not in name:
            raise self.refusal(400, "BAD_REQUEST", f"invalid repository name: {name}")
        found = super().repository(request, name)
        project = self._state.project(name.partition("/")[0], is_name=True)
        if project is not None and project.refuses_images and "/manifests/" in request.path:
            raise self.refusal(412, "PROJECTPOLICYVIOLATION", project.refuses_images)
        return found

    def unknown_repository(self, request: web.Request, repository: Repository) -> Refusal:
        return self.refusal(404, "NOT_FOUND", f"repository {repository.name} not found")

    def unknown_manifest(self, request: web.Request, reference: str) -> Refusal:
        name = request.match_info["name"]
        return self.refusal(404, "NOT_FOUND", f"artifact {name}:{reference} not found")

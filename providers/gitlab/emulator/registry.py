"""The container registry and its token service, which is GitLab's: `/jwt/auth`.

Sources, in gitlabhq/gitlabhq: app/services/auth/container_registry_authentication_service.rb (what is
granted, and 403 DENIED), app/controllers/jwt_controller.rb and lib/gitlab/auth.rb (401),
lib/gitlab/auth/ip_blocked.rb (403 as text), and for the registry's own answers its fork of Distribution
(registry/auth/token/accesscontroller.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bootstrap.model.settings import is_loopback
from bootstrap.sandbox.registry.answers import API_VERSION, Login, Refusal, Scope, bearer_challenge
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, pull_where
from providers.gitlab.emulator.state import DEVELOPER, PULL_SCOPES, GitlabState, Namespace

_SERVICE = "container_registry"
_BANNED = "Too many failed authentication attempts from this IP"
_WRONG = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was "
    "incorrect or you're required to use a token instead of a password."
)


class GitlabPolicy(RegistryPolicy):
    """The registry of one instance."""

    error_headers = API_VERSION

    def __init__(self, state: GitlabState) -> None:
        super().__init__(state.registry)
        self._state = state
        self.token_path = f"{state.root}/jwt/auth"

    def resource(self, request: web.Request) -> str:
        return f"{request.host}{request.path}"

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        if not self._state.registry_enabled:
            raise self.refusal(404, "UNAVAILABLE", "registry not enabled")
        if login is None:
            return Caller(allowed=pull_where(self._is_public))
        if self._state.banned:
            raise Refusal(web.Response(text=_BANNED, status=403))
        if (found := self._state.deploy_token(login.name, login.password)) is not None:
            where, token = found
            if not PULL_SCOPES & set(token.scopes):
                raise self._denied()
            return Caller(token.username, pull_where(lambda name: self._in(where, name)))
        access = self._state.access_token(login.password)
        if access is None or not self._state.is_valid(access):
            raise self.refusal(401, "UNAUTHORIZED", _WRONG)
        if not {"api", *PULL_SCOPES} & set(access.scopes):
            raise self._denied()
        return Caller(access.user, pull_where(lambda name: self._may_pull(access.user, name)))

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        """The body has `token` only. A wrong login that gets nothing is refused; a valid one gets a token
        that grants nothing.
        """
        granted = self.granted(caller, scopes)
        if service != _SERVICE or (not caller.name and not any(one.actions for one in granted)):
            raise self._denied()
        return {"token": self.sign(caller, [one for one in granted if one.actions])}

    def _denied(self) -> Refusal:
        return self.refusal(403, "DENIED", "access forbidden")

    def _in(self, where: Namespace, name: str) -> bool:
        """Whether a deploy token of a project or group is for a repository."""
        project = self._state.project_of(name)
        if project is None or project.registry == "disabled":
            return False
        return project is where or (
            where.kind == "group" and project.path.lower().startswith(f"{where.path.lower()}/")
        )

    def _may_pull(self, user: str, name: str) -> bool:
        project = self._state.project_of(name)
        if project is None or project.registry == "disabled":
            return False
        return project.public or self._state.level(user, project.path) >= DEVELOPER

    def _is_public(self, name: str) -> bool:
        project = self._state.project_of(name)
        return project is not None and project.public and project.registry == "enabled"

    def token_service(self, request: web.Request) -> str:
        # A client that used a loopback address has to come back here; the real name leads elsewhere.
        host = request.host if is_loopback(request.host.partition(":")[0]) else self._state.host
        return f"https://{host}{self.token_path}"

    def challenge(self, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        challenge = bearer_challenge(self.token_service(request), _SERVICE, scope, error)
        return self.refusal(401, "UNAUTHORIZED", "authentication required", challenge=challenge)

"""The policy of a self-hosted registry: its users, their permissions, and its kind of login.

Sources: "OCI Distribution Specification"; the Distribution project's "Token Authentication Specification" and
"Token Scope Documentation": a token service that knows the caller issues a token for the permitted actions,
of which there may be none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from bootstrap.sandbox.registry.answers import CATALOG, Login, Scope, basic_login
from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy, pull_where

Mode = Literal["bearer", "basic", "open"]


@dataclass
class User:
    """A user, with the prefixes of the repositories that it may pull."""

    password: str = field(repr=False)
    may_pull: tuple[str, ...] = ("",)


class PrivatePolicy(RegistryPolicy):
    """A registry on one port, under all names in its certificate.

    Attributes:
        mode: the kind of login. "bearer": a token; "basic": name and password; "open": none.
        realm: the host of its token service; "" for the registry's own.
        public: the prefixes of the repositories that anyone may pull.
        got_password: the hosts that received a name and password.
        lists: whether a user may list the repositories.
    """

    api = "private"
    has_catalog = True

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.mode: Mode = "bearer"
        self.realm = ""
        self.public: tuple[str, ...] = ()
        self.users: dict[str, User] = {}
        self.got_password: list[str] = []
        self.lists = True

    def add_user(self, name: str, password: str, *, may_pull: tuple[str, ...] = ("",)) -> None:
        self.users[name] = User(password, may_pull)

    def caller(self, request: web.Request, login: Login | None) -> Caller:
        if login is None:
            return Caller(allowed=pull_where(lambda name: self._may_pull(None, name)))
        user = self._user(request, login)
        if user is None:
            raise self.refusal(401, "UNAUTHORIZED", "incorrect username or password")
        return Caller(login.name, pull_where(lambda name: self._may_pull(user, name)), self.lists)

    def _user(self, request: web.Request, login: Login) -> User | None:
        """The user with this name and password; None if they are wrong."""
        if login.name:
            self.got_password.append(request.host)
        user = self.users.get(login.name)
        return user if user is not None and user.password == login.password else None

    def _may_pull(self, user: User | None, name: str) -> bool:
        return name.startswith(self.public) or (user is not None and name.startswith(user.may_pull))

    def token_service(self, request: web.Request) -> str:
        return f"https://{self.realm or request.host}{self.token_path}"

    def authorize(self, request: web.Request, scope: Scope | None) -> None:
        if self.mode == "bearer":
            super().authorize(request, scope)
        elif self.mode == "basic":
            self._authorize_by_password(request, scope)
        if scope == CATALOG and not self.lists:
            raise self.refusal(401, "UNAUTHORIZED", "authentication required")

    def _authorize_by_password(self, request: web.Request, scope: Scope | None) -> None:
        login = basic_login(request)
        user = self._user(request, login) if login else None
        if user is None:
            challenge = 'Basic realm="Registry"'
            raise self.refusal(401, "UNAUTHORIZED", "authentication required", challenge=challenge)
        if scope is not None and scope != CATALOG and not self._may_pull(user, scope.name):
            raise self.refusal(403, "DENIED", "requested access to the resource is denied")

"""The policy of a kind of registry. The defaults are those of a plain Distribution registry."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import Handler
from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.registry.answers import (
    CATALOG,
    NO_DETAIL,
    Login,
    Refusal,
    Scope,
    bearer_challenge,
    bearer_token,
    registry_error,
)

Route = tuple[str, str, str, Handler]
"""HTTP method, path, name in log and faults, handler."""


@dataclass(frozen=True)
class Caller:
    """Who requests a token; by default an anonymous caller without permissions.

    `allowed` returns the actions (`pull`, `push`) that the caller may perform on a repository; `lists` is
    whether it may list the repositories.
    """

    name: str = ""
    allowed: Callable[[str], Collection[str]] = lambda _: ()
    lists: bool = False


def pull_where(may_pull: Callable[[str], bool]) -> Callable[[str], Collection[str]]:
    """A `Caller.allowed` that allows only pulls, from the repositories for which `may_pull` is true."""
    return lambda repository: ("pull",) if may_pull(repository) else ()


@dataclass(frozen=True)
class Repository:
    """A repository: its name in requests (`name`) and in the image store (`stored`)."""

    name: str
    stored: str


class RegistryPolicy(ABC):
    """The policy of one kind of registry. A subclass implements `caller` and overrides what else differs.

    Every method may raise `Refusal`, which is then the answer to the request.

    Attributes:
        api: the API's name in log and faults: `registry.GetManifest`.
        token_path: the path of the token service, which issues tokens by GET.
        takes_forms: whether it also issues tokens by POST of a form (OAuth 2.0, "Resource Owner Password").
        has_catalog: whether there is a list of repositories.
        page: the number of repositories per page of that list.
        answers_head: whether HEAD is answered everywhere, not only for manifests and blobs.
        headers: the headers of the token, of tags and of the list of repositories.
        error_headers: the headers of refusals.
        host: the registry's name; the image store has its images under `HOST/`.
    """

    api = "registry"
    token_path = "/token"
    takes_forms = False
    has_catalog = False
    page = 1000
    answers_head = False
    headers: Mapping[str, str] = {}
    error_headers: Mapping[str, str] = {}

    def __init__(self, host: str) -> None:
        self.host = host
        self._issued: dict[str, Sequence[Scope]] = {}

    def admit(self, request: web.Request) -> None:
        """Refuse a request before anything else is checked, like a firewall. The default admits all."""

    def routes(self) -> Iterable[Route]:
        """Routes that other registries do not have."""
        return ()

    def refusal(
        self, status: int, code: str, message: str, *, detail: Any = NO_DETAIL, challenge: str = ""
    ) -> Refusal:
        """A refusal in this registry's form; `challenge` is the value of `WWW-Authenticate`."""
        headers = {**self.error_headers, **({"WWW-Authenticate": challenge} if challenge else {})}
        return Refusal(registry_error(status, code, message, detail=detail, headers=headers))

    def error(self, status: int, code: str, message: str) -> web.Response:
        """The error answer of an injected fault; `code` may be empty."""
        return registry_error(status, code, message)

    def resource(self, request: web.Request) -> str:
        """The resource of a request in the log."""
        return request.path.lstrip("/")

    # -- the token service -----------------------------------------------------------------------------------

    @abstractmethod
    def caller(self, request: web.Request, login: Login | None) -> Caller:
        """Who requests a token; `login` is None for an anonymous request.

        Raises:
            Refusal: the user name or password is wrong, and this registry refuses the token.
        """

    def caller_by_form(self, request: web.Request, form: Mapping[str, str]) -> Caller:
        """Who requests a token by a form (`takes_forms`)."""
        return self.caller(request, Login(form.get("username", ""), form.get("password", "")))

    def issue(
        self, request: web.Request, caller: Caller, scopes: Sequence[str], service: str | None
    ) -> dict[str, Any]:
        """The token service's answer: a token for the permitted part of `scopes` (`repository:NAME:pull`)."""
        return {"token": self.sign(caller, self.granted(caller, scopes)), "expires_in": 300}

    def granted(self, caller: Caller, scopes: Iterable[str]) -> list[Scope]:
        """The scopes, each with the actions that the caller may perform.

        Requesting too much is not an error ("Token Authentication Specification", "Requesting a Token").
        """
        granted = []
        for scope in map(Scope.parse, scopes):
            if scope == CATALOG:
                granted.append(replace(scope, actions=scope.actions if caller.lists else ()))
            elif scope.type == "repository":
                allowed = caller.allowed(scope.name)
                granted.append(replace(scope, actions=tuple(one for one in scope.actions if one in allowed)))
        return granted

    def sign(self, caller: Caller, access: Sequence[Scope]) -> str:
        """A new token; the default is an opaque one that stays valid while the sandbox runs."""
        token = secrets.token_urlsafe(48)
        self._issued[token] = access
        return token

    def access(self, token: str) -> Sequence[Scope] | None:
        """What a token grants; None if this registry does not accept it."""
        return self._issued.get(token)

    def login_of(self, token: str) -> str | None:
        """An id that all tokens of a login share, for `CallGate.recognise`; None for others' tokens."""
        access = self._issued.get(token)
        return None if access is None else " ".join(sorted(str(one) for one in access if one.actions))

    # -- the registry ----------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        """The refusal that requests a token.

        Args:
            request: the refused request.
            scope: the scope that the token must grant; None at `/v2/`, where any token is accepted.
            error: `invalid_token`, `insufficient_scope`, or "" for a request without a token.
        """
        # An unknown token is answered like a missing one.
        said = "" if error == "invalid_token" else error
        challenge = bearer_challenge(self.token_service(request), self.host, scope, said)
        return self.refusal(401, "UNAUTHORIZED", "authentication required", challenge=challenge)

    def token_service(self, request: web.Request) -> str:
        """The URL of the token service, the challenge's `realm`.

        The default has the host that the client used, so that it also works for a loopback address.
        """
        return f"https://{request.host}{self.token_path}"

    def authorize(self, request: web.Request, scope: Scope | None) -> None:
        """Refuse a request without a token for `scope`. At `/v2/` (None) any token is accepted."""
        token = bearer_token(request)
        access = None if token is None else self.access(token)
        if access is None:
            raise self.challenge(request, scope, "" if token is None else "invalid_token")
        if scope is not None and not any(one.covers(scope) for one in access):
            raise self.challenge(request, scope, "insufficient_scope")

    def repository(self, request: web.Request, name: str) -> Repository:
        """The repository that a request may pull from."""
        self.authorize(request, Scope.pull(name))
        return Repository(name, f"{self.host}/{name}")

    async def tags(self, images: ImageStore, repository: Repository) -> dict[str, Any] | None:
        """The answer to `tags/list`; None if the repository does not exist."""
        tags = await images.tags(repository.stored)
        return None if tags is None else {"name": repository.name, "tags": tags}

    def unknown_repository(self, request: web.Request, repository: Repository) -> Refusal:
        """The refusal of a repository without tags."""
        return self.refusal(404, "NAME_UNKNOWN", "repository name not known to registry")

    def unknown_manifest(self, request: web.Request, reference: str) -> Refusal | None:
        """The refusal of a missing tag or digest; None to send the image store's answer."""
        return None

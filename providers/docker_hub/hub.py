"""The calls of Docker Hub's API that this provider needs. There is no SDK for it.

Source: the OpenAPI document at https://docs.docker.com/reference/api/hub/latest/ (as of 2026). Log in with
`POST /v2/auth/token`; personal tokens are at `/v2/access-tokens`, an organisation's at
`/v2/orgs/NAME/access-tokens`; rate limits are 429 with `X-Retry-After`, a point in time.

Not in that document, but in https://github.com/docker/hub-feedback/issues/2478 and
https://github.com/docker/terraform-provider-docker/issues/84: a login with a token instead of a password can
neither list nor create tokens ("token issued from personal access token is not allowed", 403).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from bootstrap.model import clock
from bootstrap.model.api_times import time_in_json
from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.rest_client import TIMEOUT, Reply, patiently
from providers.docker_hub import messages
from providers.docker_hub.connection import Connection, bearer_header
from providers.docker_hub.errors import HubApiError, busy

_PAGE_SIZE = 100
_MOST_PAGES = 100
_MOST_PAGES_OF_NAMES = 5
_LONGEST_NAME = 256
# What includes pulling (docker/docs, content/manuals/security/access-tokens/reference.md).
_PULL_SCOPES = frozenset({"scope-image-pull", "scope-image-push", "scope-image-delete"})
_READ_SCOPES = frozenset({"repo:read", "repo:write", "repo:admin"})
_KEY_ID = re.compile(r"^[A-Za-z0-9-]{6,64}$")


@dataclass(frozen=True)
class Token:
    """What Docker Hub shows of a token; never its text."""

    key_id: str
    label: str
    created: dt.datetime | None
    expires: dt.datetime | None
    active: bool
    repositories: tuple[str, ...] = ()
    """The repositories that an organisation's token may pull; not shown in lists of tokens."""
    others: tuple[str, ...] = ()
    """The repositories that an organisation's token names and may not pull."""
    public_only: bool = False
    """Whether a personal token may read public repositories only."""

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= clock.now()


@dataclass(frozen=True)
class NewToken:
    """A created token, with the only copy of its text."""

    token: Token
    text: Secret


@dataclass
class Login:
    """One user's login, prompted for at most once per command, whatever the number of sessions.

    `secret` is the password. It is exchanged for a short-lived bearer token, which is renewed when it
    expires.
    """

    user: str
    secret: Secret | None = None
    refused: PullkeyError | None = None
    _bearer: Secret | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, context: RunContext) -> Secret:
        """The password; prompts for it if necessary.

        Raises:
            LoginMissing: this run does not prompt.
            UsageProblem: it cannot prompt: there is no terminal.
        """
        if self.secret is None:
            if not self.user:
                raise messages.login_user_unknown()
            self.secret = await context.ask_secret(f"The Docker Hub password of {self.user}")
        if self.secret is None:
            raise messages.login_not_supplied()
        return self.secret

    async def bearer(self, hub: Hub, *, instead_of: Secret | None = None) -> Secret:
        """The bearer token for calls; with `instead_of`, a new one in place of that expired one.

        Raises:
            LoginMissing, UsageProblem: see `ask`.
            StepFailed: the login was refused, and is not tried again, since that may lock the account; or it
                was not answered.
        """
        async with self._lock:
            if self.refused is not None:
                raise self.refused
            if self._bearer is None or self._bearer is instead_of:
                secret = await self.ask(hub.context)
                try:
                    self._bearer = await hub.log_in(self.user, secret)
                except HubApiError as error:
                    failed = messages.login_failed(self.user, error)
                    if not error.inconclusive:
                        self.refused = failed
                    raise failed from None
            return self._bearer


class Hub:
    """The API's calls for one session. The login is shared with the command's other sessions.

    Args:
        context: of the run.
        user: the user who logs in.
        secret: the password, if it was already given.
    """

    def __init__(self, context: RunContext, user: str, secret: Secret | None) -> None:
        self.context = context
        self._connection: Connection | None = None
        self.login: Login = context.shared.get(("docker-hub-login", user), lambda: Login(user))
        if secret is not None:
            self.login.secret = secret

    @property
    def connection(self) -> Connection:
        """The connection, created at the first call, so that an invalid endpoint is reported by the
        command.
        """
        if self._connection is None:
            self._connection = self.context.shared.get("docker-hub", Connection)
        return self._connection

    async def has_login(self) -> bool:
        """Whether calls need no prompt: the password was supplied, or a file names its source."""
        if self.login.secret is None and self.login.user:
            self.login.secret = await self.context.secret_of_file("login_stdin")
        return self.login.secret is not None

    # -- calls -----------------------------------------------------------------------------------------------

    async def log_in(self, user: str, secret: Secret) -> Secret:
        """Exchange a password for a bearer token (`AuthCreateAccessToken`).

        Raises:
            HubApiError: the password is wrong, or a second factor is required.
        """
        body = {"identifier": user, "secret": secret.reveal()}
        answer = await patiently(
            lambda: self.connection.send(
                "POST",
                "/v2/auth/token",
                trace=self.context.trace,
                secrets=(secret,),
                body=body,
                seconds=self._seconds,
            ),
            why=busy,
            context=self.context,
        )
        return Secret(_text(answer.body, "access_token"))

    async def tokens(self, organization: str) -> list[Token]:
        """All tokens of the user, or of an organisation."""
        found: list[Token] = []
        # Count pages instead of following the answer's address of the next page, which could be any host.
        for page in range(1, _MOST_PAGES + 1):
            answer = await self._read(
                "GET", _tokens(organization), query={"page": page, "page_size": _PAGE_SIZE}
            )
            results = answer.body.get("results") if isinstance(answer.body, dict) else None
            if not isinstance(results, list):
                raise HubApiError(0, "the answer is not a list of tokens")
            found += [_token(one) for one in results]
            if not results or not answer.body.get("next"):
                return found
        return found

    async def token(self, key_id: str, organization: str) -> Token | None:
        """One token; None if neither a read by id nor the list shows it."""
        try:
            answer = await self._read("GET", f"{_tokens(organization)}/{key_id}")
        except HubApiError as error:
            if not error.missing:
                raise
            return next((one for one in await self.tokens(organization) if one.key_id == key_id), None)
        return _token(answer.body)

    async def create(
        self, label: str, ends: dt.datetime, *, organization: str, repositories: Sequence[str]
    ) -> NewToken:
        """Create a token that may pull; an organisation's token is limited to `repositories`. Sent only once.

        Raises:
            HubApiError: if `unanswered`, the token may have been created.
        """
        expires_at = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
        if organization:
            scope = ["scope-image-pull"]
            resources = [{"type": "TYPE_REPO", "path": path, "scopes": scope} for path in repositories]
            body: dict[str, Any] = {
                "label": label,
                "description": "Pulls images for Akka. Made by pullkey.",
                "resources": resources,
                "expires_at": expires_at,
            }
        else:
            body = {"token_label": label, "scopes": ["repo:read"], "expires_at": expires_at}
        answer = await self._send("POST", _tokens(organization), body=body)
        return NewToken(_token(answer.body), Secret(_text(answer.body, "token")))

    async def switch(self, key_id: str, organization: str, *, on: bool) -> None:
        """Activate or deactivate a token."""
        await self._read("PATCH", f"{_tokens(organization)}/{key_id}", body={"is_active": on})

    async def delete(self, key_id: str, organization: str) -> None:
        """Delete a token. Sent once: after a lost answer the next one is "not found", which only the caller
        can tell from a token that is not shown yet.
        """
        await self._send("DELETE", f"{_tokens(organization)}/{key_id}")

    async def has_repository(self, path: str) -> bool:
        """Whether the user can see a repository (`GetRepository`)."""
        namespace, _, name = path.partition("/")
        try:
            await self._read("GET", f"/v2/namespaces/{namespace}/repositories/{name}")
        except HubApiError as error:
            if error.missing:
                return False
            raise
        return True

    async def repositories(self, namespace: str, *, token: Secret | None = None) -> list[str]:
        """The repositories of a namespace that the login can see (`ListNamespaceRepositories`), up to a
        limit.

        Args:
            namespace: a user or an organisation.
            token: a token of the user's to log in with instead of the password.
        """
        bearer = await self.log_in(self.login.user or namespace, token) if token is not None else None
        return await self._names(f"/v2/namespaces/{namespace}/repositories", bearer)

    async def tags(self, path: str) -> list[str]:
        """The tags of a repository (`ListRepositoryTags`), up to a limit."""
        namespace, _, name = path.partition("/")
        return await self._names(f"/v2/namespaces/{namespace}/repositories/{name}/tags", None)

    async def has_tag(self, path: str, tag: str) -> bool:
        """Whether a repository that the login can see has a tag (`GetRepositoryTag`)."""
        namespace, _, name = path.partition("/")
        try:
            await self._read(
                "GET", f"/v2/namespaces/{namespace}/repositories/{name}/tags/{quote(tag, safe='')}"
            )
        except HubApiError as error:
            if error.missing:
                return False
            raise
        return True

    async def _names(self, path: str, bearer: Secret | None) -> list[str]:
        """The printable names in a paged list."""
        found: list[str] = []
        for page in range(1, _MOST_PAGES_OF_NAMES + 1):
            query = {"page": page, "page_size": _PAGE_SIZE}
            if bearer is None:
                answer = await self._read("GET", path, query=query)
            else:
                answer = await self.connection.send(
                    "GET",
                    path,
                    trace=self.context.trace,
                    headers=bearer_header(bearer),
                    secrets=(bearer,),
                    query=query,
                    seconds=self._seconds,
                )
            results = answer.body.get("results") if isinstance(answer.body, dict) else None
            if not isinstance(results, list):
                raise HubApiError(0, "the answer is not a list of names")
            names = [one.get("name") for one in results if isinstance(one, dict)]
            found += [
                name
                for name in names
                if isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME
            ]
            if not results or not answer.body.get("next"):
                break
        return found

    async def _read(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send a read or an idempotent change, with retries."""
        return await patiently(
            lambda: self._send(method, path, query=query, body=body), why=busy, context=self.context
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        bearer = await self.login.bearer(self)

        def send(bearer: Secret) -> Awaitable[Reply]:
            return self.connection.send(
                method,
                path,
                trace=self.context.trace,
                headers=bearer_header(bearer),
                secrets=(bearer,),
                query=query,
                body=body,
                seconds=self._seconds,
            )

        try:
            return await send(bearer)
        except HubApiError as error:
            if error.status != 401:
                raise
        # The bearer token expires after minutes, and a run may take longer.
        return await send(await self.login.bearer(self, instead_of=bearer))

    @property
    def _seconds(self) -> float:
        """The time limit of one call."""
        return self.context.deadline.clip(TIMEOUT)


def _tokens(organization: str) -> str:
    return f"/v2/orgs/{organization}/access-tokens" if organization else "/v2/access-tokens"


def _text(body: Any, name: str) -> str:
    """The secret in an answer's field `name`.

    Raises:
        HubApiError: as unanswered: the field is missing or invalid.
    """
    text = body.get(name) if isinstance(body, dict) else None
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
        raise HubApiError(0, f"the answer holds no {name}")
    return text


def _token(body: Any) -> Token:
    """Parse a token of either API (`accessToken`, `orgAccessToken`).

    Raises:
        HubApiError: as unanswered: it is not a token.
    """
    shown = body if isinstance(body, dict) else {}
    key_id = shown.get("uuid") or shown.get("id")
    if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
        raise HubApiError(0, "the answer shows a token without an id")
    resources = shown.get("resources")
    named = [
        (one["path"], _may(one, _PULL_SCOPES))
        for one in (resources if isinstance(resources, list) else [])
        if isinstance(one, dict) and one.get("type") == "TYPE_REPO" and isinstance(one.get("path"), str)
    ]
    return Token(
        key_id=key_id,
        label=str(shown.get("token_label") or shown.get("label") or ""),
        created=time_in_json(shown.get("created_at")),
        expires=time_in_json(shown.get("expires_at")),
        active=shown.get("is_active") is not False,
        repositories=tuple(path for path, pulls in named if pulls),
        others=tuple(path for path, pulls in named if not pulls),
        public_only=not _may(shown, _READ_SCOPES),
    )


def _may(shown: Mapping[str, Any], scopes: frozenset[str]) -> bool:
    """Whether a token or one of its resources has one of these scopes, or does not show its scopes."""
    found = shown.get("scopes")
    return not (isinstance(found, list) and found) or any(
        isinstance(one, str) and one in scopes for one in found
    )

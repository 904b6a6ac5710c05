"""GitLab's REST API, as far as this provider calls it. There is no SDK; `connection` sends the requests.

Sources, in gitlabhq/gitlabhq: lib/api/deploy_tokens.rb and doc/api/deploy_tokens.md (the calls and their
roles), lib/api/entities/deploy_token.rb (the fields of a token), doc/api/rest/_index.md (pages, moved
projects), doc/api/rest/authentication.md (`PRIVATE-TOKEN`), lib/api/users.rb and
lib/api/personal_access_tokens/self_information.rb (the token's user and scopes), lib/api/members.rb.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.rest_client import TIMEOUT, Reply, patiently
from providers.gitlab import messages_login as messages
from providers.gitlab.address import url_of_calls
from providers.gitlab.answers import DeployToken, Namespace, NewToken, deploy_token, namespace, new_token
from providers.gitlab.connection import Connection
from providers.gitlab.errors import GitlabApiError, busy

_PAGE_SIZE = 100  # the maximum (doc/api/rest/_index.md)
_MOST_PAGES = 100
_NUMBERED = re.compile(r"/projects/([1-9][0-9]{0,18})(?:[/?]|$)")


@dataclass
class Login:
    """One access token for one instance, prompted for at most once a command, for all sessions."""

    host: str
    secret: Secret | None = None
    refused: PullkeyError | None = None
    user: tuple[str, int] | None = None
    """Its user, once that was read."""
    is_admin: bool = False
    """Whether that is an administrator of the instance who acts as one, as far as it is shown."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, context: RunContext) -> Secret:
        """The access token, from the user if it was not supplied.

        Raises:
            LoginMissing: this run does not prompt.
            UsageProblem: there is no terminal, or the text cannot be an access token.
            StepFailed: GitLab has refused it; it is not tried twice, since that may lock the address.
        """
        async with self._lock:
            if self.refused is not None:
                raise self.refused
            if self.secret is None:
                self.secret = await context.ask_secret(f"The GitLab access token for {self.host}")
            if self.secret is None:
                raise messages.login_not_supplied(self.host)
            text = self.secret.reveal()
            if not text.isascii() or not text.isprintable() or " " in text:
                raise messages.login_invalid()
            return self.secret


class Gitlab:
    """The calls of one session to one instance.

    Args:
        context: of the run: how to prompt, how long to wait, where to report.
        instance: the URL of the instance.
        login: the login that it shares with the other sessions of the command.
    """

    def __init__(self, context: RunContext, instance: str, login: Login) -> None:
        self.context = context
        self.instance = instance
        self.login = login
        self._connection = context.shared.get(
            ("gitlab", instance), lambda: Connection(url_of_calls(instance))
        )

    # -- the caller ------------------------------------------------------------------------------------------

    async def user(self) -> tuple[str, int]:
        """The name and number of the access token's user; "" and 0 if the token may not read them.

        Raises:
            StepFailed: the token is refused.
        """
        if self.login.user is None:
            self.login.user = await self._user()
        return self.login.user

    async def _user(self) -> tuple[str, int]:
        try:
            answer = await self._read("GET", "user")
        except GitlabApiError as error:
            if error.forbidden or error.status == 404:
                return "", 0
            raise
        shown = answer.body if isinstance(answer.body, dict) else {}
        number = shown.get("id")
        self.login.is_admin = shown.get("is_admin") is True
        return str(shown.get("username") or ""), number if isinstance(number, int) else 0

    async def scopes(self) -> Sequence[str]:
        """The scopes of the access token; empty if they are not shown."""
        try:
            answer = await self._read("GET", "personal_access_tokens/self")
        except GitlabApiError:
            return ()
        scopes = answer.body.get("scopes") if isinstance(answer.body, dict) else None
        return [str(one) for one in scopes] if isinstance(scopes, list) else ()

    async def access_in_group(self, group: int, user: int) -> tuple[int, bool] | None:
        """The user's access level in a group, inherited ones included, and whether it is from a custom role;
        None if it is not shown.
        """
        try:
            answer = await self._read("GET", f"groups/{group}/members/all/{user}")
        except GitlabApiError:
            return None
        shown = answer.body if isinstance(answer.body, dict) else {}
        level = shown.get("access_level")
        return (level, bool(shown.get("member_role"))) if isinstance(level, int) else None

    # -- projects and groups ---------------------------------------------------------------------------------

    async def namespace(self, kind: str, reference: str | int) -> Namespace:
        """A project or group by its path or number.

        Raises:
            GitlabApiError: it is not shown (`hidden`), or was moved (`location`).
        """
        # By default a group's answer has up to 200 of its projects, of several kilobytes each
        # (lib/api/groups.rb, lib/api/entities/group_detail.rb).
        query = {"with_projects": "false"} if kind == "group" else None
        answer = await self._read("GET", f"{kind}s/{quote(str(reference), safe='')}", query=query)
        return namespace(kind, answer.body)

    async def moved_to(self, error: GitlabApiError) -> Namespace | None:
        """The project to whose number a GET by its old path was redirected."""
        found = _NUMBERED.search(error.location)
        return await self.namespace("project", int(found[1])) if found else None

    async def repositories(self, project: int) -> list[str]:
        """The repositories of a project's registry, by their full names; only the first ones of very many."""
        answer = await self._read(
            "GET", f"projects/{project}/registry/repositories", query={"per_page": _PAGE_SIZE}
        )
        rows = answer.body if isinstance(answer.body, list) else []
        return [str(one["path"]) for one in rows if isinstance(one, dict) and one.get("path")]

    # -- deploy tokens ---------------------------------------------------------------------------------------

    async def deploy_tokens(self, kind: str, number: int) -> list[DeployToken]:
        """All deploy tokens of a project or group, those included that are revoked or have expired."""
        found: list[DeployToken] = []
        page = 1
        for _ in range(_MOST_PAGES):
            answer = await self._read(
                "GET", f"{kind}s/{number}/deploy_tokens", query={"per_page": _PAGE_SIZE, "page": page}
            )
            if not isinstance(answer.body, list):
                raise GitlabApiError(0, "the answer is not a list of deploy tokens")
            found += [deploy_token(one) for one in answer.body]
            following = answer.headers.get("x-next-page")
            if following is None and len(answer.body) == _PAGE_SIZE:
                following = str(page + 1)  # a proxy does not pass on the header
            if following is None or not following.isdecimal() or int(following) <= page:
                return found
            page = int(following)
        return found

    async def deploy_token(self, kind: str, number: int, token: int) -> DeployToken | None:
        """One deploy token. None only if it is not shown by its number, nor in the list of all, so that one
        wrong answer does not leave it behind.
        """
        try:
            answer = await self._read("GET", f"{kind}s/{number}/deploy_tokens/{token}")
        except GitlabApiError as error:
            # GitLab before 14.9 has no such call (python-gitlab/python-gitlab issue 1963).
            if not error.missing and error.status != 405 and not error.no_route:
                raise
            listed = await self.deploy_tokens(kind, number)
            return next((one for one in listed if one.number == token), None)
        return deploy_token(answer.body)

    async def create(self, kind: str, number: int, name: str, expires: dt.datetime) -> NewToken:
        """Create a deploy token that may only read the registry. The request is sent once: neither names nor
        user names are unique, so a second one would create another token.

        Raises:
            GitlabApiError: if it is `unanswered`, the token may exist.
        """
        body = {
            "name": name,
            "scopes": ["read_registry"],
            # A bare date would mean the start of that day (doc/user/project/deploy_tokens/_index.md).
            "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }
        answer = await self._send("POST", f"{kind}s/{number}/deploy_tokens", body=body)
        return new_token(answer.body)

    async def delete(self, kind: str, number: int, token: int) -> None:
        """Delete a deploy token with its row, which the page's "Revoke" would keep. Sent once: after a lost
        answer the next one is "not found", which only the caller can tell from a token that is not shown yet.
        """
        await self._send("DELETE", f"{kind}s/{number}/deploy_tokens/{token}")

    # -- calls -----------------------------------------------------------------------------------------------

    async def _read(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send a call that may be repeated: a read, or a change that leads to the same result every time."""
        return await patiently(lambda: self._send(method, path, query=query), why=busy, context=self.context)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        token = await self.login.ask(self.context)
        try:
            return await self._connection.send(
                method,
                f"/api/v4/{path}",
                trace=self.context.trace,
                headers={"PRIVATE-TOKEN": token.reveal()},
                secrets=(token,),
                query=query,
                body=body,
                seconds=self.context.deadline.clip(TIMEOUT),
            )
        except GitlabApiError as error:
            if not error.unauthenticated:
                raise
            self.login.refused = messages.login_refused(self.instance, error)
            raise self.login.refused from None

"""Harbor's API, as far as this provider calls it. There is no SDK; `connection` sends the requests.

Sources: goharbor/harbor, api/v2.0/swagger.yaml (paths, fields); src/server/v2.0/handler/robot.go (robot
accounts), user.go (permissions, and the answers to a robot account's login), base.go (pages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from bootstrap.model.secret import Secret
from bootstrap.plugin.cache import AsyncOnceByKey
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.rest_client import TIMEOUT, Reply, patiently
from providers.harbor import messages_login as messages
from providers.harbor import objects
from providers.harbor.connection import Connection
from providers.harbor.errors import HarborApiError, busy
from providers.harbor.login import Login
from providers.harbor.objects import NewRobot, Project, Robot, ServerInfo

_PAGE_SIZE = 100  # the maximum (swagger.yaml, `pageSize`)
_MOST_PAGES = 100
_FEW = 10
PULL = ({"resource": "repository", "action": "pull"},)
"""The permissions of a puller; each action must be one that the server knows (handler/robot.go, `validate`).
"""


class Harbor:
    """The calls of one session, with the login that it shares with the others of the command.

    Args:
        context: of the run: how to prompt, how long to wait, where to report.
        host: of the Harbor, with its port.
        user: the user who logs in.
        secret: the password, if it was supplied already.
        login_for: another Harbor that the login is for, which is not sent to this one then.
    """

    def __init__(
        self,
        context: RunContext,
        host: str,
        user: str,
        secret: Secret | None,
        *,
        login_for: str = "",
    ) -> None:
        self.context = context
        self.host = host
        self.login: Login = context.shared.get(
            ("harbor-login", host, user), lambda: Login(host, user, login_for=login_for)
        )
        if secret is not None:
            self.login.secret = secret
        self._projects = AsyncOnceByKey(_may_pass)
        self._permissions = AsyncOnceByKey(_may_pass)

    @property
    def connection(self) -> Connection:
        """Created when first needed, so that an invalid setting of the environment is reported then."""
        return self.context.shared.get(("harbor", self.host), lambda: Connection(self.host))

    async def may_look(self) -> bool:
        """Whether looking needs no prompt."""
        return await self.login.is_supplied(self.context)

    # -- the login and the server ----------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Try the login, once a command.

        Raises:
            LoginMissing, UsageProblem, StepFailed: it is missing, or refused.
        """
        await self._authorization()

    async def _authorization(self) -> Secret:
        return await self.login.authorization(self.context, self._try_login)

    async def _try_login(self, header: Secret) -> None:
        """Determine the kind of login: 200 a user, 412 a robot account, 401 neither."""
        try:
            reply = await patiently(
                lambda: self._send("GET", "/users/current", header=header), why=busy, context=self.context
            )
        except HarborApiError as error:
            if error.of_robot_login:
                self.login.is_robot = True
                return
            mode = await self._auth_mode() if error.unauthenticated else ""
            raise messages.login_failed(self.login.user, self.host, error, auth_mode=mode) from None
        self.login.is_robot = False
        self.login.is_admin = isinstance(reply.body, dict) and (
            reply.body.get("sysadmin_flag") is True or reply.body.get("admin_role_in_auth") is True
        )

    async def _auth_mode(self) -> str:
        """How this Harbor authenticates users; "" if it does not say."""
        try:
            return objects.server_info((await self._send("GET", "/systeminfo")).body).auth_mode
        except HarborApiError:
            return ""

    async def info(self) -> ServerInfo:
        """What the server shows of itself to this login."""
        return objects.server_info((await self._read("GET", "/systeminfo")).body)

    async def project(self, name: str) -> Project:
        """Read a project by its name, which may look like a number: a header marks it as a name
        (handler/util.go).

        Raises:
            HarborApiError: `missing` to an administrator, `forbidden` to others if it does not exist.
        """

        async def ask() -> Project:
            reply = await self._read(
                "GET", f"/projects/{quote(name, safe='')}", headers={"X-Is-Resource-Name": "true"}
            )
            return objects.project(reply.body)

        return await self._projects.of(name, ask)()

    async def permissions(self, name: str) -> frozenset[str]:
        """What this login may do in a project, as `robot:create`."""
        return await self._permissions.of(name, lambda: self._permissions_now(name))()

    async def _permissions_now(self, name: str) -> frozenset[str]:
        scope = f"/project/{(await self.project(name)).number}"
        reply = await self._read(
            "GET", "/users/current/permissions", query={"scope": scope, "relative": "true"}
        )
        rows = reply.body if isinstance(reply.body, list) else []
        return frozenset(
            f"{one.get('resource')}:{one.get('action')}" for one in rows if isinstance(one, dict)
        )

    # -- images ----------------------------------------------------------------------------------------------

    async def repositories(self, project: str) -> list[str]:
        """The repositories of a project that have something in them, by their whole names, the newest first;
        the first of very many.

        Raises:
            HarborApiError: among others `forbidden`, where the login may not list them.
        """
        path = f"/projects/{quote(project, safe='')}/repositories"
        reply = await self._read("GET", path, query={"page_size": _FEW})
        return objects.repositories(reply.body)

    async def newest_image(self, repository: str) -> str:
        """The tag of the newest image of a repository, its digest where it has no tag; "" if it has none."""
        project, _, name = repository.partition("/")
        # A name with a slash is escaped twice (swagger.yaml, `repositoryName`).
        escaped = quote(quote(name, safe=""), safe="")
        path = f"/projects/{quote(project, safe='')}/repositories/{escaped}/artifacts"
        reply = await self._read("GET", path, query={"page_size": _FEW})
        return objects.newest_image(reply.body)

    # -- robot accounts --------------------------------------------------------------------------------------

    async def robots(self, level: str, projects: Sequence[str]) -> list[Robot]:
        """The robot accounts of a project, or those of the system, which only an administrator may list.

        The keys of the query are spelled as the handler reads them: `level=project` is ignored. Up to 2.12
        the list of the system has those of projects too.
        """
        query = "Level=system"
        if level == "project":
            query = f"Level=project,ProjectID={(await self.project(projects[0])).number}"
        found: list[Robot] = []
        # An answer has the address of the next page unescaped; its number is known.
        for page in range(1, _MOST_PAGES + 1):
            reply = await self._read(
                "GET", "/robots", query={"q": query, "page": page, "page_size": _PAGE_SIZE}
            )
            rows = reply.body if isinstance(reply.body, list) else None
            if rows is None:
                raise HarborApiError(0, "the answer is not a list of robot accounts")
            found += [one for one in map(objects.robot, rows) if one.level == level]
            if len(rows) < _PAGE_SIZE:
                break
        return found

    async def robot(self, number: int) -> Robot | None:
        """Read a robot account by its id; None if it does not exist."""
        try:
            return objects.robot((await self._read("GET", f"/robots/{number}")).body)
        except HarborApiError as error:
            if error.missing:
                return None
            raise

    async def create(
        self, name: str, level: str, projects: Sequence[str], days: int, description: str
    ) -> NewRobot:
        """Create a robot account that may pull from these projects. Sent once, whatever comes of it.

        Raises:
            HarborApiError: where it is `unanswered`, the account may exist.
        """
        body = {
            "name": name,
            "level": level,
            "duration": days,
            "description": description,
            "permissions": [
                {"kind": "project", "namespace": one, "access": [dict(each) for each in PULL]}
                for one in projects
            ],
        }
        reply = await self._send("POST", "/robots", body=body, header=await self._authorization())
        return objects.new_robot(reply.body)

    async def delete(self, number: int) -> None:
        """Delete a robot account. Sent once: after a lost answer the next one is "not found", which only the
        caller can tell from an account that is not shown yet.
        """
        await self._send("DELETE", f"/robots/{number}", header=await self._authorization())

    async def switch(self, robot: Robot, *, on: bool) -> None:
        """Enable or disable a robot account. The change replaces all of it: what is left out is erased, and
        another duration would set another expiry, counted from the creation.
        """
        fields = ("name", "level", "description", "duration", "permissions")
        body = {name: robot.shown[name] for name in fields if name in robot.shown}
        await self._read("PUT", f"/robots/{robot.number}", body={**body, "disable": not on})

    # -- calls -----------------------------------------------------------------------------------------------

    async def _read(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A call that may be sent again: a read, or a change that leads to the same result every time."""
        header = await self._authorization()
        return await patiently(
            lambda: self._send(method, path, query=query, body=body, headers=headers, header=header),
            why=busy,
            context=self.context,
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        header: Secret | None = None,
    ) -> Reply:
        secrets = [one for one in (header, self.login.secret) if one is not None]
        try:
            return await self.connection.send(
                method,
                path,
                trace=self.context.trace,
                headers={**(headers or {}), **({"Authorization": header.reveal()} if header else {})},
                body=body,
                query=query,
                secrets=secrets,
                seconds=self.context.deadline.clip(TIMEOUT),
            )
        except HarborApiError as error:
            # A project that no longer exists has the code NOT_FOUND; a path that does not exist has none.
            if error.status == HTTPStatus.NOT_FOUND and path == "/robots" and not error.code:
                raise messages.server_too_old(self.host) from None
            raise


def _may_pass(error: BaseException) -> bool:
    """Whether another call may be answered."""
    return isinstance(error, HarborApiError) and error.inconclusive

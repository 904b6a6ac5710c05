"""The caller of the API, and what its access token may see and do.

Sources, in gitlabhq/gitlabhq: lib/api/helpers.rb (`find_project!`, `unauthorized!`, `not_found!`: the same
answer for what does not exist, what may not be seen, and a missing token), lib/api/api_guard.rb.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from providers.gitlab.emulator.state import GUEST, AccessToken, GitlabState, Namespace

_NOT_MOVED = "Non GET methods are not allowed for moved projects"


class ApiError(Exception):
    """An error answer, in one of the two forms: `message` or `error`."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(str(body))
        self.response = web.json_response(body, status=status)


class Moved(ApiError):
    """The answer to a call by the older path of a project that was moved."""

    def __init__(self, request: web.Request, state: GitlabState, number: int) -> None:
        super().__init__(405, message="405 Method Not Allowed")
        if request.method != "GET":
            self.response = web.Response(text=_NOT_MOVED, status=405)
            return
        rest = request.rel_url.raw_path.partition("/projects/")[2].partition("/")[2]
        url = f"https://{state.host}{state.root}/api/v4/projects/{number}{'/' if rest else ''}{rest}"
        self.response = web.Response(
            text=f"This resource has been moved permanently to {url}", status=301, headers={"Location": url}
        )


class Access:
    """The access tokens of an instance, at its API."""

    def __init__(self, state: GitlabState) -> None:
        self._state = state

    def token(self, request: web.Request) -> AccessToken | None:
        """The access token of a request; None without one."""
        text = request.headers.get("PRIVATE-TOKEN", "")
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        text = text or (bearer if scheme.lower() == "bearer" else "")
        if not text:
            return None
        found = self._state.access_token(text)
        if found is None:
            raise ApiError(401, message="401 Unauthorized")
        if found.revoked:
            raise _invalid("Token was revoked. You have to re-authorize from the user.")
        if not self._state.is_valid(found):
            raise _invalid("Token is expired. You can either do re-authorization or token refresh.")
        return found

    def user(self, request: web.Request, *enough: str) -> str:
        """The caller, with a scope that reads, or one of those that suffice.

        Raises:
            ApiError: there is no valid token, or it has other scopes.
        """
        token = self.token(request)
        if token is None:
            raise ApiError(401, message="401 Unauthorized")
        self._check_scope(request, token, *enough)
        return token.user

    def visible(self, request: web.Request, kind: str) -> Namespace:
        """The project or group of the path, if the caller may see it."""
        token, reference = self.token(request), request.match_info["id"]
        if token is not None:
            self._check_scope(request, token)
        found = self._state.find(kind, reference)
        moved = self._state.moved.get(reference) if kind == "project" else None
        where = found or (self._state.projects.get(moved) if moved else None)
        level = self._state.may(token.user, where.path) if token is not None and where is not None else 0
        if where is None or (level < GUEST and not where.public):
            raise ApiError(404, message=f"404 {kind.capitalize()} Not Found")
        if found is None:
            raise Moved(request, self._state, where.number)
        return where

    def at_least(self, request: web.Request, where: Namespace, level: int) -> None:
        """Refuse a caller whose role is lower."""
        user = self.user(request)
        if self._state.may(user, where.path) < level and user not in self._state.custom_roles:
            raise ApiError(403, message="403 Forbidden")

    def _check_scope(self, request: web.Request, token: AccessToken, *enough: str) -> None:
        reads = {"read_api", *enough} if request.method in ("GET", "HEAD") else set()
        if not {"api", *reads} & set(token.scopes):
            raise ApiError(
                403,
                error="insufficient_scope",
                error_description="The request requires higher privileges than provided by the access token.",
                scope="api",
            )


def _invalid(why: str) -> ApiError:
    return ApiError(401, error="invalid_token", error_description=why)

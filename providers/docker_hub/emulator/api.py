"""Docker Hub's API at hub.docker.com, as far as it concerns tokens.

Source: the OpenAPI document at https://docs.docker.com/reference/api/hub/latest/: paths, fields, status
codes, error bodies (schemas `error` and `ValueError`), rate limit headers. Limits and permissions: "Create
and manage personal access tokens", "Create and manage organization access tokens". The answer to a login with
a token: https://github.com/docker/hub-feedback/issues/2478. The answer of `/v2/auth/token` for a user with a
second factor is not documented; the form of the older `/v2/users/login` is assumed.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from bootstrap.sandbox.images import ImageStore
from providers.docker_hub.emulator.state import ALL_SCOPES, HubState, Oat, Organization, Pat, User
from providers.docker_hub.target import REGISTRY

_LIFETIME = dt.timedelta(minutes=10)
_LONGEST = dt.timedelta(days=366)
_LABEL_LIMIT = 100
_DESCRIPTION_LIMIT = 200
_MOST_RESOURCES = 50
_LIMIT_PER_MINUTE = 180


class ApiError(Exception):
    """An error answer; with `fields` it has the schema `ValueError`."""

    def __init__(
        self, status: int, message: str, *, fields: Mapping[str, Sequence[str]] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = fields
        self.more = more


def render_error(status: int, code: str, message: str) -> web.Response:
    """An error in the schema `error`."""
    del code
    return web.json_response({"errinfo": {}, "message": message}, status=status)


@dataclass(frozen=True)
class _Caller:
    """The account of a bearer token, the kind of login that it came from, and its expiry."""

    name: str
    got_with: str  # "password", "personal access token" or "organization access token"
    until: dt.datetime


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HubApi:
    """The API, on its own port."""

    def __init__(self, state: HubState, images: ImageStore, gate: CallGate) -> None:
        self._state = state
        self._images = images
        self._callers: dict[str, _Caller] = {}
        self._limited_until = 0
        gate.recognise(self._login_of)
        self.app = web.Application()
        api = RestApi(gate, "hub", render_error, self.app)

        def route(verb: str, path: str, method: str, handler: Answering, *, changes: bool) -> None:
            api.route(verb, path, method, self._answering(handler), changes=changes)

        route("POST", "/v2/auth/token", "CreateAuthToken", self._log_in, changes=False)
        for path, kind, create, listing, get, update, delete in (
            (
                "/v2/access-tokens",
                "AccessToken",
                self._create,
                self._list,
                self._get,
                self._update,
                self._delete,
            ),
            (
                "/v2/orgs/{org}/access-tokens",
                "OrgAccessToken",
                self._org_create,
                self._org_list,
                self._org_get,
                self._org_update,
                self._org_delete,
            ),
        ):
            route("POST", path, f"Create{kind}", create, changes=True)
            route("GET", path, f"List{kind}s", listing, changes=False)
            route("GET", f"{path}/{{id}}", f"Get{kind}", get, changes=False)
            route("PATCH", f"{path}/{{id}}", f"Update{kind}", update, changes=True)
            route("DELETE", f"{path}/{{id}}", f"Delete{kind}", delete, changes=True)
        route(
            "GET",
            "/v2/namespaces/{namespace}/repositories",
            "ListRepositories",
            self._repositories,
            changes=False,
        )
        route(
            "GET",
            "/v2/namespaces/{namespace}/repositories/{name}/tags",
            "ListTags",
            self._tags,
            changes=False,
        )
        route(
            "GET",
            "/v2/namespaces/{namespace}/repositories/{name}/tags/{tag}",
            "GetTag",
            self._tag,
            changes=False,
        )
        route(
            "GET",
            "/v2/namespaces/{namespace}/repositories/{name}",
            "GetRepository",
            self._repository,
            changes=False,
        )

    def _answering(self, handler: Answering) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            state = self._state
            if state.requests_left <= 0 and not self._limited_until:
                self._limited_until = math.ceil(state.sandbox.clock() + state.limited_for)
            if self._limited_until > state.sandbox.clock():
                response = web.json_response({"detail": "Rate limit exceeded", "error": False}, status=429)
                response.headers["X-Retry-After"] = str(self._limited_until)
                return response
            if self._limited_until:
                self._limited_until, state.requests_left = 0, _LIMIT_PER_MINUTE
            state.requests_left -= 1
            try:
                response = await handler(request)  # type: ignore[assignment]
            except ApiError as error:
                if error.fields is not None:
                    body: dict[str, Any] = {"fields": error.fields, "text": error.message}
                else:
                    body = {"errinfo": {}, "message": error.message, **error.more}
                response = web.json_response(body, status=error.status)
            response.headers["X-RateLimit-Limit"] = str(_LIMIT_PER_MINUTE)
            response.headers["X-RateLimit-Remaining"] = str(state.requests_left)
            response.headers["X-RateLimit-Reset"] = f"{state.sandbox.clock() + 60:.0f}"
            return response

        return answer

    # -- who calls -------------------------------------------------------------------------------------------

    async def _log_in(self, request: web.Request) -> web.Response:
        body = await _object(request)
        name, secret = str(body.get("identifier", "")), str(body.get("secret", ""))
        user = self._state.users.get(name)
        if (
            user is not None
            and user.second_factor
            and secrets.compare_digest(user.password.encode(), secret.encode())
        ):
            raise ApiError(
                401,
                "unauthorized",
                detail="Require secondary authentication on MFA enabled account",
                login_2fa_token=_jwt(name),
            )
        puller = self._state.puller(name, secret)
        if puller is None:
            raise ApiError(401, "unauthorized", detail="Incorrect authentication credentials")
        got_with = (
            "personal access token"
            if puller.pat
            else "organization access token"
            if puller.oat
            else "password"
        )
        bearer = _jwt(name)
        self._callers[bearer] = _Caller(name, got_with, self._state.sandbox.now() + _LIFETIME)
        return web.json_response({"access_token": bearer})

    def _login_of(self, bearer: str) -> str | None:
        caller = self._callers.get(bearer)
        return f"{caller.name} by {caller.got_with}" if caller is not None else None

    def _caller(self, request: web.Request) -> _Caller:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        caller = self._callers.get(bearer)
        if scheme.lower() != "bearer" or caller is None or caller.until <= self._state.sandbox.now():
            raise ApiError(401, "unauthorized")
        return caller

    def _person(self, request: web.Request) -> User:
        """The user of a request, if logged in with a password: others may not see tokens."""
        caller = self._caller(request)
        if caller.got_with != "password":
            raise ApiError(403, f"token issued from {caller.got_with} is not allowed")
        return self._state.users[caller.name]

    def _owned(self, request: web.Request) -> tuple[Organization, User]:
        person = self._person(request)
        organization = self._state.organizations.get(request.match_info["org"])
        if organization is None:
            raise ApiError(404, "not found")
        if person.name not in organization.owners:
            raise ApiError(403, "permission denied")
        return organization, person

    # -- personal tokens -------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        person, body = self._person(request), await _object(request)
        label, scopes = body.get("token_label"), body.get("scopes")
        _check_label(label, "token_label")
        if not isinstance(scopes, list) or not scopes or not set(scopes) <= ALL_SCOPES:
            raise ApiError(400, "invalid scopes", fields={"scopes": ["is not valid"]})
        pat = Pat(str(label), tuple(scopes), self._now, expires=self._expiry(body))
        person.tokens.append(pat)
        return web.json_response(pat.shown(text=pat.text), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        tokens = self._person(request).tokens
        shown, more = _page(request, [one.shown(text="") for one in reversed(tokens)])
        active = sum(one.active for one in tokens)
        return web.json_response({"count": len(tokens), "active_count": active, **more, "results": shown})

    def _pat(self, request: web.Request) -> tuple[User, Pat]:
        person = self._person(request)
        for one in person.tokens:
            if one.uuid == request.match_info["id"]:
                return person, one
        raise ApiError(404, "not found")

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._pat(request)[1].shown(text=""))

    async def _update(self, request: web.Request) -> web.Response:
        (_, pat), body = self._pat(request), await _object(request)
        if "token_label" in body:
            _check_label(body["token_label"], "token_label")
            pat.label = body["token_label"]
        pat.active = bool(body.get("is_active", pat.active))
        return web.json_response(pat.shown(text=""))

    async def _delete(self, request: web.Request) -> web.Response:
        person, pat = self._pat(request)
        person.tokens.remove(pat)
        return web.Response(status=204)

    # -- an organisation's tokens ----------------------------------------------------------------------------

    async def _org_create(self, request: web.Request) -> web.Response:
        (organization, person), body = self._owned(request), await _object(request)
        _check_label(body.get("label"), "label")
        if len(str(body.get("description") or "")) > _DESCRIPTION_LIMIT:
            raise ApiError(400, "description is too long", fields={"description": ["is too long"]})
        resources = self._resources(organization, body.get("resources"))
        if len(organization.tokens) >= organization.most_tokens:
            raise ApiError(
                403,
                f"organization {organization.name} has reached its limit of "
                f"{organization.most_tokens} access tokens",
            )
        oat = Oat(
            body["label"],
            person.name,
            resources,
            self._now,
            expires=self._expiry(body),
            description=str(body.get("description") or ""),
        )
        organization.tokens.append(oat)
        return web.json_response({**oat.shown(), "token": oat.text, "resources": resources}, status=201)

    def _resources(self, organization: Organization, resources: Any) -> list[dict[str, Any]]:
        if not isinstance(resources, list) or not 0 < len(resources) <= _MOST_RESOURCES:
            raise ApiError(400, "resources are required", fields={"resources": ["is required"]})
        for one in resources:
            path = str(one.get("path", ""))
            known = path in self._state.repositories or path in {f"{organization.name}/*", "*/*/public"}
            mine = path.startswith((f"{organization.name}/", "*/"))
            if one.get("type") != "TYPE_REPO" or not one.get("scopes") or not known or not mine:
                raise ApiError(400, "invalid resource", fields={"resources": [f"{path} is not valid"]})
        return resources

    async def _org_list(self, request: web.Request) -> web.Response:
        tokens = self._owned(request)[0].tokens
        shown, more = _page(request, [one.shown() for one in reversed(tokens)])
        return web.json_response({"total": len(tokens), **more, "results": shown})

    def _oat(self, request: web.Request) -> tuple[Organization, Oat]:
        organization, _ = self._owned(request)
        for one in organization.tokens:
            if one.id == request.match_info["id"]:
                return organization, one
        raise ApiError(404, "not found")

    async def _org_get(self, request: web.Request) -> web.Response:
        oat = self._oat(request)[1]
        return web.json_response({**oat.shown(), "resources": list(oat.resources)})

    async def _org_update(self, request: web.Request) -> web.Response:
        (organization, oat), body = self._oat(request), await _object(request)
        if "label" in body:
            _check_label(body["label"], "label")
            oat.label = body["label"]
        if "resources" in body:
            oat.resources = self._resources(organization, body["resources"])
        oat.active = bool(body.get("is_active", oat.active))
        return web.json_response({**oat.shown(), "resources": list(oat.resources)})

    async def _org_delete(self, request: web.Request) -> web.Response:
        organization, oat = self._oat(request)
        organization.tokens.remove(oat)
        return web.Response(status=204)

    # -- repositories ----------------------------------------------------------------------------------------

    async def _repository(self, request: web.Request) -> web.Response:
        path = f"{request.match_info['namespace']}/{request.match_info['name']}"
        caller = self._caller(request) if "Authorization" in request.headers else None
        # A private repository is "not found" for those who may not see it.
        if not self._state.sees(caller.name if caller else "", path):
            raise ApiError(404, "object not found")
        namespace, _, name = path.partition("/")
        return web.json_response(
            {
                "user": namespace,
                "name": name,
                "namespace": namespace,
                "repository_type": "image",
                "status": 1,
                "status_description": "active",
                "is_private": self._state.repositories[path],
                "permissions": {"read": True, "write": False, "admin": False},
            }
        )

    async def _repositories(self, request: web.Request) -> web.Response:
        caller = self._caller(request) if "Authorization" in request.headers else None
        namespace = request.match_info["namespace"]
        paths = [path for path in sorted(self._state.repositories) if path.startswith(f"{namespace}/")]
        if not paths and namespace not in {*self._state.users, *self._state.organizations}:
            raise ApiError(404, "object not found")
        seen = [path for path in paths if self._state.sees(caller.name if caller else "", path)]
        rows = [
            {
                "name": path.partition("/")[2],
                "namespace": namespace,
                "is_private": self._state.repositories[path],
            }
            for path in seen
        ]
        shown, more = _page(request, rows)
        return web.json_response({"count": len(rows), **more, "results": shown})

    async def _tags_of(self, request: web.Request) -> list[str]:
        path = f"{request.match_info['namespace']}/{request.match_info['name']}"
        caller = self._caller(request) if "Authorization" in request.headers else None
        if not self._state.sees(caller.name if caller else "", path):
            raise ApiError(404, "object not found")
        return await self._images.tags(f"{REGISTRY}/{path}") or []

    async def _tags(self, request: web.Request) -> web.Response:
        rows = [{"name": tag} for tag in await self._tags_of(request)]
        shown, more = _page(request, rows)
        return web.json_response({"count": len(rows), **more, "results": shown})

    async def _tag(self, request: web.Request) -> web.Response:
        tag = request.match_info["tag"]
        if tag not in await self._tags_of(request):
            raise ApiError(404, "object not found")
        return web.json_response({"name": tag, "tag_status": "active"})

    # -- helpers ---------------------------------------------------------------------------------------------

    @property
    def _now(self) -> dt.datetime:
        return self._state.sandbox.now()

    def _expiry(self, body: Mapping[str, Any]) -> dt.datetime | None:
        text = body.get("expires_at")
        if text is None:
            return None
        try:
            expires = dt.datetime.fromisoformat(str(text))
        except ValueError:
            raise ApiError(400, "invalid expires_at", fields={"expires_at": ["is not a date"]}) from None
        if expires.tzinfo is None or not self._now < expires <= self._now + _LONGEST:
            raise ApiError(400, "invalid expires_at", fields={"expires_at": ["must be in the coming year"]})
        return expires


def _check_label(label: Any, field: str) -> None:
    if not isinstance(label, str) or not 0 < len(label) <= _LABEL_LIMIT:
        raise ApiError(400, f"invalid {field}", fields={field: [f"must have 1 to {_LABEL_LIMIT} characters"]})


def _page(request: web.Request, results: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One page of results, and the links to the next and previous one."""
    number = max(1, _number(request, "page", 1))
    size = max(1, min(100, _number(request, "page_size", 10)))
    end = number * size

    def address(page: int) -> str:
        return f"https://hub.docker.com{request.path}?page={page}&page_size={size}"

    return results[end - size : end], {
        "next": address(number + 1) if end < len(results) else None,
        "previous": address(number - 1) if number > 1 else None,
    }


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdigit() else default


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "malformed request")
    return body


def _jwt(subject: str) -> str:
    """A token in the form of a JSON web token. It needs no signature: the emulator remembers its subject."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    claims = {
        "sub": subject,
        "exp": int(time.time() + _LIFETIME.total_seconds()),
        "jti": secrets.token_hex(8),
    }
    header = {"alg": "RS256", "typ": "JWT"}
    return ".".join(
        (part(json.dumps(header).encode()), part(json.dumps(claims).encode()), part(secrets.token_bytes(32)))
    )

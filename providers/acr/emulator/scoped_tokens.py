"""The tokens of a registry, their scope maps and passwords, in Resource Manager.

Sources: recorded runs of `az acr scope-map`, `az acr token` and `az acr connected-registry` (statuses, keys,
forms of dates; a scope map is created immediately, a token and an update are not), `az acr token` (removal of
a password), "Non-Microsoft Entra token-based repository permissions". The answer 409 TokenNotActive for a
token that is still being created is from a public report.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object, moment_in, object_in, text_in, texts_in
from providers.acr.emulator.arm_api import ArmApi, any_case, not_found
from providers.acr.emulator.dates import with_offset
from providers.acr.emulator.operations import Operations
from providers.acr.emulator.registry_json import REGISTRY_TYPE
from providers.acr.emulator.state import Registry, ScopeMap, Token, TokenPassword
from providers.acr.emulator.tokens import Caller

_REGISTRY = (
    any_case("subscriptions")
    + "/{subscription}"
    + any_case("resourceGroups")
    + "/{group}"
    + any_case("providers", "Microsoft.ContainerRegistry", "registries")
    + "/{registry}"
)
_NAME = re.compile(r"[A-Za-z0-9_-]{5,50}")
# How long Azure takes to create a token if no one polls the operation.
_MAKING = dt.timedelta(seconds=2)
_ACTION = re.compile(
    r"(repositories/.+/(content|metadata)/(read|write)|repositories/.+/content/delete"
    r"|gateway/.+/(config|message)/(read|write))"
)
SLOTS = ("password1", "password2")
_Thing = TypeVar("_Thing", ScopeMap, Token)


@dataclass(frozen=True)
class _Changes:
    """The changes of a PUT or PATCH to a token; None means unchanged."""

    scope_map: str | None
    status: str | None
    staying: frozenset[str] | None
    """The slots whose passwords are kept."""


class ScopedTokens:
    """The routes of scope maps and tokens."""

    def __init__(self, arm: ArmApi) -> None:
        self._arm = arm
        self._state = arm.state
        self._operations = Operations(arm)
        maps, tokens = _REGISTRY + any_case("scopeMaps"), _REGISTRY + any_case("tokens")
        arm.route("GET", maps, "ListScopeMaps", self._list_maps)
        arm.route("GET", maps + "/{name}", "GetScopeMap", self._get_map)
        arm.route("PUT", maps + "/{name}", "PutScopeMap", self._put_map)
        arm.route("PATCH", maps + "/{name}", "UpdateScopeMap", self._patch_map)
        arm.route("DELETE", maps + "/{name}", "DeleteScopeMap", self._delete_map)
        arm.route("GET", tokens, "ListTokens", self._list_tokens)
        arm.route("GET", tokens + "/{name}", "GetToken", self._get_token)
        arm.route("PUT", tokens + "/{name}", "PutToken", self._put_token)
        arm.route("PATCH", tokens + "/{name}", "UpdateToken", self._patch_token)
        arm.route("DELETE", tokens + "/{name}", "DeleteToken", self._delete_token)
        generate = _REGISTRY + any_case("generateCredentials")
        arm.route("POST", generate, "GenerateCredentials", self._generate)

    # -- scope maps ------------------------------------------------------------------------------------------

    async def _list_maps(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/read")
        return self._arm.page(
            request, [self._map_json(registry, one) for one in self._shown(registry, ScopeMap)]
        )

    async def _get_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/read")
        return web.json_response(self._map_json(registry, self._read(request, registry, ScopeMap)))

    async def _put_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/write")
        name = _named(request)
        properties = object_in(await json_object(request), "properties")
        there = registry.scope_maps.get(name.lower())
        now = self._state.now()
        made = ScopeMap(
            there.name if there else name,
            _actions(properties),
            text_in(properties, "description"),
            there.created if there else now,
            modified=now,
        )
        registry.scope_maps[name.lower()] = made
        body = self._map_json(registry, made)
        if self._state.scope_maps_take_a_poll:
            return self._operations.going_on(request, body["id"], body, "Creating")
        return web.json_response(body)

    async def _patch_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/write")
        found = self._map(request, registry)
        properties = object_in(await json_object(request), "properties")
        if properties.get("actions") is not None:
            found.actions = _actions(properties)
        if "description" in properties:
            found.description = text_in(properties, "description")
        found.modified = self._state.now()
        body = self._map_json(registry, found)
        return self._operations.going_on(request, body["id"], body, "Updating")

    async def _delete_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/delete")
        name = request.match_info["name"].lower()
        self._arm.require_unlocked(f"{registry.id}/scopeMaps/{name}")
        if any(one.scope_map.lower() == name for one in registry.tokens.values()):
            raise ApiError(
                409,
                "ScopeMapInUse",
                f"The scope map '{name}' is associated with tokens and cannot be deleted.",
            )
        gone = registry.scope_maps.pop(name, None)
        if gone is None:
            return web.Response(status=204)
        registry.deleted.append((gone, self._state.now()))
        return self._operations.accepted(request, registry, "Deleting")

    def _map(self, request: web.Request, registry: Registry) -> ScopeMap:
        found = registry.scope_maps.get(request.match_info["name"].lower())
        if found is None:
            raise _not_found_in_registry(request.match_info["name"])
        return found

    # -- tokens ----------------------------------------------------------------------------------------------

    async def _list_tokens(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/read")
        return self._arm.page(
            request, [self._token_json(registry, one) for one in self._shown(registry, Token)]
        )

    async def _get_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/read")
        return web.json_response(self._token_json(registry, self._read(request, registry, Token)))

    async def _put_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/write")
        name = _named(request)
        properties = object_in(await json_object(request), "properties")
        status = text_in(properties, "status") or "enabled"
        if self._state.tokens_forbidden and status != "disabled":
            raise ApiError(
                403,
                "RequestDisallowedByPolicy",
                f"Resource '{name}' was disallowed by policy. Policy identifiers: 'Container "
                "registries should have "
                "repository scoped access token disabled.'.",
            )
        changes = self._changes(registry, properties)
        token = registry.tokens.get(name.lower())
        doing = "Updating"
        if token is None:
            token, doing = self._state.add_token(registry, name, ""), "Creating"
        return self._changed(request, registry, token, changes, doing)

    async def _patch_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/write")
        token = self._token(request, registry)
        changes = self._changes(registry, object_in(await json_object(request), "properties"))
        return self._changed(request, registry, token, changes, "Updating")

    def _changed(
        self, request: web.Request, registry: Registry, token: Token, changes: _Changes, doing: str
    ) -> web.Response:
        token.scope_map = changes.scope_map or token.scope_map
        token.status = changes.status or token.status
        if changes.staying is not None:
            # Passwords that are not listed are removed; none is created.
            for slot in token.passwords.keys() - changes.staying:
                removed = token.passwords.pop(slot)
                removed.lifetime.removed = self._state.now()
                token.removed_passwords.append(removed)
        token.modified = self._state.now()
        body = self._token_json(registry, token)
        return self._operations.going_on(request, body["id"], body, doing, token)

    def _changes(self, registry: Registry, properties: dict[str, Any]) -> _Changes:
        name = (text_in(properties, "scopeMapId") or "").rpartition("/")[2]
        if name and name.lower() not in registry.scope_maps:
            raise ApiError(400, "ScopeMapNotFound", f"The scope map '{name}' does not exist.")
        scope_map = registry.scope_maps[name.lower()].name if name else None
        passwords = object_in(properties, "credentials").get("passwords")
        if passwords is None:
            return _Changes(scope_map, text_in(properties, "status"), None)
        if not isinstance(passwords, list) or not all(isinstance(one, dict) for one in passwords):
            raise ApiError(400, "InvalidRequestContent", "The passwords must be a list of objects.")
        staying = frozenset(text_in(one, "name") or "" for one in passwords)
        return _Changes(scope_map, text_in(properties, "status"), staying)

    async def _delete_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/delete")
        self._arm.require_unlocked(f"{registry.id}/tokens/{request.match_info['name']}")
        gone = registry.tokens.pop(request.match_info["name"].lower(), None)
        if gone is None:
            return web.Response(status=204)
        registry.deleted.append((gone, self._state.now()))
        return self._operations.accepted(request, registry, "Deleting")

    def _token(self, request: web.Request, registry: Registry) -> Token:
        found = registry.tokens.get(request.match_info["name"].lower())
        if found is None:
            raise _not_found_in_registry(request.match_info["name"])
        return found

    async def _generate(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "generateCredentials/action")
        body = await json_object(request)
        prefix, _, name = (text_in(body, "tokenId") or "").rpartition("/")
        token = registry.tokens.get(name.lower())
        if token is None or prefix.lower() != f"{registry.id}/tokens".lower():
            raise _not_found_in_registry(name)
        if self._doing(token) == "Creating":
            raise ApiError(409, "TokenNotActive", f"The token '{name}' is not active.")
        slot_wanted = text_in(body, "name")
        chosen = (slot_wanted,) if slot_wanted else SLOTS
        if not set(chosen) <= set(SLOTS):
            raise ApiError(400, "InvalidPasswordName", f"The password name '{chosen[0]}' is invalid.")
        expiry = moment_in(body, "expiry")
        if expiry is not None and expiry <= self._state.now():
            raise ApiError(400, "InvalidExpiry", "The expiry must be in the future.")
        for slot in chosen:
            self._state.add_password(token, slot, expiry=expiry)
        answer = {
            "username": token.name,
            # Only generated passwords are shown with their text.
            "passwords": [
                {**_password_json(one), **({"value": one.text} if slot in chosen else {})}
                for slot, one in sorted(token.passwords.items())
            ],
        }
        if self._state.credentials_take_a_poll:
            return self._operations.accepted(request, registry, "Creating", answer)
        return web.json_response(answer)

    def _registry(self, request: web.Request, caller: Caller, action: str) -> Registry:
        info = request.match_info
        scope = f"/subscriptions/{info['subscription']}/resourceGroups/{info['group']}/providers/{REGISTRY_TYPE}/{info['registry']}"  # noqa: E501
        self._arm.require(caller, f"{REGISTRY_TYPE}/{action}", scope)
        for one in self._state.registries:
            if one.id.lower() == scope.lower():
                return one
        raise not_found(f"{REGISTRY_TYPE}/{info['registry']}", info["group"])

    def _doing(self, token: Token) -> str:
        """The token's operation in progress; it ends when a client has polled its end, or after a while."""
        if self._state.now() - (token.modified or token.created) < _MAKING:
            return token.in_progress
        return "Failed" if token.in_progress and self._state.operations_fail else ""

    # -- reads -----------------------------------------------------------------------------------------------

    def _shown(self, registry: Registry, kind: type[_Thing]) -> list[_Thing]:
        """The scope maps or tokens that a replica shows, which may include deleted ones."""
        shows = self._state.replicas.shows
        things = (*registry.scope_maps.values(), *registry.tokens.values())
        live = [one for one in things if isinstance(one, kind) and shows(one.created, "identity", one.name)]
        return live + [
            one
            for one, when in registry.deleted
            if isinstance(one, kind) and not shows(when, "identity", one.name)
        ]

    def _read(self, request: web.Request, registry: Registry, kind: type[_Thing]) -> _Thing:
        name = request.match_info["name"]
        for one in self._shown(registry, kind):
            if one.name.lower() == name.lower():
                return one
        raise _not_found_in_registry(name)

    def _shown_passwords(self, token: Token) -> list[TokenPassword]:
        """The passwords that a replica shows; for a regenerated slot it may be the previous one."""
        found: dict[str, TokenPassword] = {}
        for one in token.removed_passwords:
            if self._state.replicas.shown(one.lifetime):
                found[one.name] = one
        for slot, new in token.passwords.items():
            shown: TokenPassword | None = new
            while shown is not None and not self._state.replicas.shown(shown.lifetime):
                shown = shown.before
            if shown is not None:
                found[slot] = shown
        return [found[slot] for slot in sorted(found)]

    # -- answers ---------------------------------------------------------------------------------------------

    def _map_json(self, registry: Registry, scope_map: ScopeMap) -> dict[str, Any]:
        described = {} if scope_map.description is None else {"description": scope_map.description}
        return {
            "type": f"{REGISTRY_TYPE}/scopeMaps",
            "id": f"{registry.id}/scopeMaps/{scope_map.name}",
            "name": scope_map.name,
            "systemData": self._arm.system_data(scope_map.created, scope_map.modified),
            "properties": {
                **described,
                "type": "UserDefined",
                "creationDate": with_offset(scope_map.created),
                "provisioningState": "Succeeded",
                "actions": list(scope_map.actions),
            },
        }

    def _token_json(self, registry: Registry, token: Token) -> dict[str, Any]:
        of = {"scopeMapId": f"{registry.id}/scopeMaps/{token.scope_map}"} if token.scope_map else {}
        return {
            "type": f"{REGISTRY_TYPE}/tokens",
            "id": f"{registry.id}/tokens/{token.name}",
            "name": token.name,
            "systemData": self._arm.system_data(token.created, token.modified),
            "properties": {
                "creationDate": with_offset(token.created),
                "provisioningState": self._doing(token) or "Succeeded",
                **of,
                "credentials": {"passwords": [_password_json(one) for one in self._shown_passwords(token)]},
                "status": token.status,
            },
        }


def allowed_by(registry: Registry, token: Token, repository: str) -> set[str]:
    """The actions of a token on a repository, by the token service's names."""
    scope_map = registry.scope_maps.get(token.scope_map.lower())
    given = set()
    for action in scope_map.actions if scope_map else ():
        kind, _, rest = action.partition("/")
        name, _, what = (
            rest.removesuffix("/read").removesuffix("/write").removesuffix("/delete").rpartition("/")
        )
        verb = action.rpartition("/")[2]
        # An asterisk is allowed only at the end of a name, as a prefix match.
        same = repository.startswith(name[:-1]) if name.endswith("*") else repository == name
        if kind == "repositories" and what == "content" and same:
            given.add({"read": "pull", "write": "push", "delete": "delete"}[verb])
    return given


def _named(request: web.Request) -> str:
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise ApiError(
            400, "InvalidResourceName", f"The name '{name}' is invalid: 5 to 50 letters, digits and dashes."
        )
    return name


def _actions(properties: dict[str, Any]) -> list[str]:
    actions = texts_in(properties, "actions")
    for one in actions:
        if not _ACTION.fullmatch(one):
            raise ApiError(400, "InvalidScopeMapAction", f"The action '{one}' is invalid.")
    if not actions:
        raise ApiError(400, "InvalidScopeMapAction", "A scope map has at least one action.")
    return actions


def _not_found_in_registry(name: str) -> ApiError:
    """The registry's form of "not found"; Resource Manager's form is for the registry itself."""
    return ApiError(
        404, "ResourceNotFound", f"The resource {name} could not be found.", more={"status": "Failed"}
    )


def _password_json(password: TokenPassword) -> dict[str, Any]:
    ends = {} if password.expiry is None else {"expiry": with_offset(password.expiry, exactly=True)}
    return {"creationTime": with_offset(password.created), **ends, "name": password.name}

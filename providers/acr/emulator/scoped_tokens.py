"""The tokens of a registry, their scope maps and passwords: the part of Resource Manager that needs no directory.

Sources: the REST specification of Microsoft.ContainerRegistry 2025-11-01 (statuses and headers of the operations that
go on after the answer), `az acr token` (how a password is removed), "Non-Microsoft Entra token-based repository
permissions". That a token which is still being made answers 409 TokenNotActive is a public report from the live service.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object
from providers.acr.emulator.arm_api import ArmApi, any_case, not_found
from providers.acr.emulator.resource_manager import REGISTRY_TYPE
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
# How long Azure goes on making a token, whether anybody waits for it or not.
_MAKING = dt.timedelta(seconds=2)
_ACTION = re.compile(
    r"(repositories/.+/(content|metadata)/(read|write)|repositories/.+/content/delete"
    r"|gateway/.+/(config|message)/(read|write))"
)
SLOTS = ("password1", "password2")


class ScopedTokens:
    """Adds its routes to the API."""

    def __init__(self, arm: ArmApi) -> None:
        self._arm = arm
        self._state = arm.state
        self._operations: dict[str, Any] = {}
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
        for kind in (maps, tokens):
            status = kind + "/{name}" + any_case("operationStatuses") + "/{operation}"
            arm.route("GET", status, "GetOperationStatus", self._status)
        results = _REGISTRY + any_case("operationResults") + "/{operation}"
        arm.route("GET", results, "GetOperationResult", self._result)
        generate = _REGISTRY + any_case("generateCredentials")
        arm.route("POST", generate, "GenerateCredentials", self._generate)

    # -- scope maps ----------------------------------------------------------------------------------------------

    async def _list_maps(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/read")
        return self._arm.page(request, [_map_json(registry, one) for one in registry.scope_maps.values()])

    async def _get_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/read")
        return web.json_response(_map_json(registry, self._map(request, registry)))

    async def _put_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/write")
        name = _named(request)
        properties = (await json_object(request)).get("properties") or {}
        there = registry.scope_maps.get(name.lower())
        made = ScopeMap(
            there.name if there else name,
            _actions(properties.get("actions")),
            properties.get("description"),
            there.created if there else self._state.now(),
        )
        registry.scope_maps[name.lower()] = made
        return self._going_on(registry, "scopeMaps", made.name, _map_json(registry, made), None)

    async def _patch_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/write")
        found = self._map(request, registry)
        properties = (await json_object(request)).get("properties") or {}
        if properties.get("actions") is not None:
            found.actions = _actions(properties["actions"])
        found.description = properties.get("description", found.description)
        return self._going_on(registry, "scopeMaps", found.name, _map_json(registry, found), None)

    async def _delete_map(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "scopeMaps/delete")
        name = request.match_info["name"].lower()
        if any(one.scope_map.lower() == name for one in registry.tokens.values()):
            raise ApiError(
                409,
                "ScopeMapInUse",
                f"The scope map '{name}' is associated with tokens and cannot be deleted.",
            )
        return self._deleted(registry, registry.scope_maps.pop(name, None) is not None)

    def _map(self, request: web.Request, registry: Registry) -> ScopeMap:
        found = registry.scope_maps.get(request.match_info["name"].lower())
        if found is None:
            raise not_found(f"{REGISTRY_TYPE}/{registry.name}/scopeMaps/{request.match_info['name']}", registry.resource_group)  # fmt: skip
        return found

    # -- tokens --------------------------------------------------------------------------------------------------

    async def _list_tokens(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/read")
        return self._arm.page(request, [_token_json(registry, one) for one in registry.tokens.values()])

    async def _get_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/read")
        return web.json_response(_token_json(registry, self._token(request, registry)))

    async def _put_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/write")
        name = _named(request)
        properties = (await json_object(request)).get("properties") or {}
        status = properties.get("status") or "enabled"
        if self._state.tokens_forbidden and status != "disabled":
            raise ApiError(
                403,
                "RequestDisallowedByPolicy",
                f"Resource '{name}' was disallowed by policy. Policy identifiers: 'Container registries should have "
                "repository scoped access token disabled.'.",
            )
        token = registry.tokens.get(name.lower())
        if token is None:
            token = self._state.add_token(registry, name, "")
        self._change(registry, token, properties)
        return self._going_on(registry, "tokens", token.name, _token_json(registry, token), token)

    async def _patch_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/write")
        token = self._token(request, registry)
        self._change(registry, token, (await json_object(request)).get("properties") or {})
        return self._going_on(registry, "tokens", token.name, _token_json(registry, token), token)

    def _change(self, registry: Registry, token: Token, properties: dict[str, Any]) -> None:
        if properties.get("scopeMapId"):
            name = str(properties["scopeMapId"]).rpartition("/")[2]
            if name.lower() not in registry.scope_maps:
                raise ApiError(400, "ScopeMapNotFound", f"The scope map '{name}' does not exist.")
            token.scope_map = registry.scope_maps[name.lower()].name
        token.status = properties.get("status") or token.status
        credentials = properties.get("credentials")
        if credentials and credentials.get("passwords") is not None:
            # Those that are not named are removed; none is made.
            staying = {one.get("name") for one in credentials["passwords"]}
            token.passwords = {slot: one for slot, one in token.passwords.items() if slot in staying}

    async def _delete_token(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "tokens/delete")
        return self._deleted(
            registry, registry.tokens.pop(request.match_info["name"].lower(), None) is not None
        )

    def _token(self, request: web.Request, registry: Registry) -> Token:
        found = registry.tokens.get(request.match_info["name"].lower())
        if found is None:
            raise not_found(f"{REGISTRY_TYPE}/{registry.name}/tokens/{request.match_info['name']}", registry.resource_group)  # fmt: skip
        return found

    async def _generate(self, request: web.Request, caller: Caller) -> web.Response:
        registry = self._registry(request, caller, "generateCredentials/action")
        body = await json_object(request)
        prefix, _, name = str(body.get("tokenId", "")).rpartition("/")
        token = registry.tokens.get(name.lower())
        if token is None or prefix.lower() != f"{registry.id}/tokens".lower():
            raise not_found(f"{REGISTRY_TYPE}/{registry.name}/tokens/{name}", registry.resource_group)
        if not (token.awaited or self._state.now() - token.created >= _MAKING):
            raise ApiError(409, "TokenNotActive", f"The token '{name}' is not active.")
        chosen = (body["name"],) if body.get("name") else SLOTS
        if not set(chosen) <= set(SLOTS):
            raise ApiError(400, "InvalidPasswordName", f"The password name '{chosen[0]}' is invalid.")
        expiry = dt.datetime.fromisoformat(body["expiry"]) if body.get("expiry") else None
        if expiry is not None and expiry <= self._state.now():
            raise ApiError(400, "InvalidExpiry", "The expiry must be in the future.")
        for slot in chosen:
            self._state.add_password(token, slot, expiry=expiry)
        answer = {
            "username": token.name,
            # Of those that were not generated, no text is shown.
            "passwords": [
                {**_password_json(one), "value": one.text if slot in chosen else None}
                for slot, one in sorted(token.passwords.items())
            ],
        }
        if self._state.credentials_take_a_poll:
            return self._later(registry, answer)
        return web.json_response(answer)

    # -- what goes on after the answer ---------------------------------------------------------------------------

    def _going_on(
        self, registry: Registry, kind: str, name: str, body: dict[str, Any], token: Token | None
    ) -> web.Response:
        """201 and `Creating`, with the address at which it becomes `Succeeded`."""
        operation = str(uuid.uuid4())
        self._operations[operation] = token
        body["properties"]["provisioningState"] = "Creating"
        at = f"{self._arm.address}{registry.id}/{kind}/{name}/operationStatuses/{operation}?api-version=2025-11-01"
        return web.json_response(body, status=201, headers={"Azure-AsyncOperation": at, "Retry-After": "1"})

    def _deleted(self, registry: Registry, there: bool) -> web.Response:
        return self._later(registry, None) if there else web.Response(status=204)

    def _later(self, registry: Registry, answer: Any) -> web.Response:
        """202, with the address at which the answer will be."""
        operation = str(uuid.uuid4())
        self._operations[operation] = answer
        at = f"{self._arm.address}{registry.id}/operationResults/{operation}?api-version=2025-11-01"
        return web.Response(status=202, headers={"Location": at, "Retry-After": "1"})

    async def _status(self, request: web.Request, caller: Caller) -> web.Response:
        kind = "scopeMaps" if "/scopemaps/" in request.path.lower() else "tokens"
        self._registry(request, caller, f"{kind}/operationStatuses/read")
        token = self._operations.get(request.match_info["operation"])
        if isinstance(token, Token):
            token.awaited = True
        return web.json_response({"status": "Succeeded"})

    async def _result(self, request: web.Request, _caller: Caller) -> web.Response:
        answer = self._operations.pop(request.match_info["operation"], None)
        return web.Response(status=200) if answer is None else web.json_response(answer)

    def _registry(self, request: web.Request, caller: Caller, action: str) -> Registry:
        info = request.match_info
        scope = f"/subscriptions/{info['subscription']}/resourceGroups/{info['group']}/providers/{REGISTRY_TYPE}/{info['registry']}"
        self._arm.require(caller, f"{REGISTRY_TYPE}/{action}", scope)
        for one in self._state.registries:
            if one.id.lower() == scope.lower():
                return one
        raise not_found(f"{REGISTRY_TYPE}/{info['registry']}", info["group"])


def allowed_by(registry: Registry, token: Token, repository: str) -> set[str]:
    """What a token may do with a repository, as the registry's token service calls it."""
    scope_map = registry.scope_maps.get(token.scope_map.lower())
    given = set()
    for action in scope_map.actions if scope_map else ():
        kind, _, rest = action.partition("/")
        name, _, what = (
            rest.removesuffix("/read").removesuffix("/write").removesuffix("/delete").rpartition("/")
        )
        verb = action.rpartition("/")[2]
        # An asterisk stands at the end of a name only, for whatever follows.
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


def _actions(given: Any) -> list[str]:
    actions = [str(one) for one in given or ()]
    for one in actions:
        if not _ACTION.fullmatch(one):
            raise ApiError(400, "InvalidScopeMapAction", f"The action '{one}' is invalid.")
    if not actions:
        raise ApiError(400, "InvalidScopeMapAction", "A scope map has at least one action.")
    return actions


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _password_json(password: TokenPassword) -> dict[str, Any]:
    return {
        "creationTime": _time(password.created),
        "expiry": _time(password.expiry) if password.expiry else None,
        "name": password.name,
    }


def _map_json(registry: Registry, scope_map: ScopeMap) -> dict[str, Any]:
    return {
        "id": f"{registry.id}/scopeMaps/{scope_map.name}",
        "name": scope_map.name,
        "type": f"{REGISTRY_TYPE}/scopeMaps",
        "properties": {
            "actions": list(scope_map.actions),
            "creationDate": _time(scope_map.created),
            "description": scope_map.description,
            "provisioningState": "Succeeded",
            "type": "UserDefined",
        },
    }


def _token_json(registry: Registry, token: Token) -> dict[str, Any]:
    passwords = [{**_password_json(one), "value": None} for _, one in sorted(token.passwords.items())]
    return {
        "id": f"{registry.id}/tokens/{token.name}",
        "name": token.name,
        "type": f"{REGISTRY_TYPE}/tokens",
        "properties": {
            "creationDate": _time(token.created),
            "credentials": {"certificates": [], "passwords": passwords},
            "provisioningState": "Succeeded",
            "scopeMapId": f"{registry.id}/scopeMaps/{token.scope_map}" if token.scope_map else None,
            "status": token.status,
        },
    }

"""The long-running operations of a container registry, and the URLs to poll.

As recorded: a PUT or PATCH returns a path below the registry (`Azure-AsyncOperation`), a DELETE one of the
subscription (`Location`), which no role on the registry covers. Neither says when to poll again. A URL is
signed by its query, and each answer returns another one.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError
from providers.acr.emulator.arm_api import ArmApi, any_case
from providers.acr.emulator.state import Registry, Token
from providers.acr.emulator.tokens import Caller

_PROVIDER = "Microsoft.ContainerRegistry"
_REGISTRY = (
    any_case("subscriptions")
    + "/{subscription}"
    + any_case("resourceGroups")
    + "/{group}"
    + any_case("providers", _PROVIDER, "registries")
    + "/{registry}"
)
_EPOCH = 621_355_968_000_000_000
"""1970 in tenths of a microsecond since the year 1, as in signed URLs."""


@dataclass
class _Operation:
    """An operation; `doing` is its status until it ends: "Creating", "Updating", "Deleting"."""

    id: str
    doing: str
    polls_left: int
    token: Token | None = None
    answer: Any = None

    @property
    def ended(self) -> bool:
        return self.polls_left <= 0


class Operations:
    """The routes to poll."""

    def __init__(self, arm: ArmApi) -> None:
        self._arm = arm
        self._state = arm.state
        self._operations: dict[str, _Operation] = {}
        for kind in ("scopeMaps", "tokens"):
            status = _REGISTRY + any_case(kind) + "/{name}" + any_case("operationStatuses") + "/{operation}"
            arm.route("GET", status, "GetOperationStatus", self._status)
        locations = (
            any_case("subscriptions") + "/{subscription}" + any_case("providers", _PROVIDER, "locations")
        )
        results = locations + "/{location}" + any_case("operationResults") + "/{operation}"
        arm.route("GET", results, "GetOperationResult", self._result)

    def going_on(
        self,
        request: web.Request,
        at: str,
        body: dict[str, Any],
        doing: str,
        token: Token | None = None,
    ) -> web.Response:
        """201 with the resource that is being created; its status is below its path `at`."""
        operation = self._begin(doing, token)
        body["properties"]["provisioningState"] = doing
        if token is not None:
            token.in_progress = doing
        status = f"{self._arm.address}{at}/operationStatuses/{operation.id}"
        address = self._signed(request, status)
        return web.json_response(body, status=201, headers={"Azure-AsyncOperation": address})

    def accepted(
        self, request: web.Request, registry: Registry, doing: str, answer: Any = None
    ) -> web.Response:
        """202, with the URL below the subscription at which the result will be."""
        operation = self._begin(doing)
        operation.answer = answer
        scope = f"/subscriptions/{registry.subscription_id}/providers/{_PROVIDER}/locations"
        at = f"{self._arm.address}{scope}/{registry.location.upper()}/operationResults/{operation.id}"
        return web.Response(status=202, headers={"Location": self._signed(request, at)})

    def _begin(self, doing: str, token: Token | None = None) -> _Operation:
        operation = _Operation(f"token-{uuid.uuid1()}", doing, self._state.polls_in_progress, token)
        self._operations[operation.id] = operation
        return operation

    def _signed(self, request: web.Request, address: str) -> str:
        version = request.query.get("api-version", "")
        ticks = _EPOCH + int(self._state.now().timestamp() * 10_000_000)
        signature = hashlib.sha256(f"{address}{ticks}".encode()).hexdigest()
        return f"{address}?api-version={version}&t={ticks}&c=none&s={signature}&h={signature[:43]}"

    def _polled(self, request: web.Request) -> _Operation:
        operation = self._operations.get(request.match_info["operation"])
        if operation is None:
            raise ApiError(404, "OperationNotFound", "The operation could not be found.")
        return operation

    async def _status(self, request: web.Request, caller: Caller) -> web.Response:
        info = request.match_info
        kind = "scopeMaps" if "/scopemaps/" in request.path.lower() else "tokens"
        scope = (
            f"/subscriptions/{info['subscription']}/resourceGroups/{info['group']}"
            f"/providers/{_PROVIDER}/registries/{info['registry']}"
        )
        self._arm.require(caller, f"{_PROVIDER}/registries/{kind}/operationStatuses/read", scope)
        operation = self._polled(request)
        address = self._signed(request, f"{self._arm.address}{request.path}")
        failed = operation.ended and self._state.operations_fail
        status = "Failed" if failed else "Succeeded" if operation.ended else operation.doing
        if operation.ended and operation.token is not None:
            operation.token.in_progress = "Failed" if failed else ""
        operation.polls_left -= 1
        return web.json_response({"status": status}, headers={"Azure-AsyncOperation": address})

    async def _result(self, request: web.Request, caller: Caller) -> web.Response:
        scope = f"/subscriptions/{request.match_info['subscription']}"
        self._arm.require(caller, f"{_PROVIDER}/locations/operationResults/read", scope)
        operation = self._polled(request)
        if not operation.ended:
            operation.polls_left -= 1
            address = self._signed(request, f"{self._arm.address}{request.path}")
            return web.Response(status=202, headers={"Location": address})
        if operation.answer is None:
            return web.Response(status=200)
        return web.json_response(operation.answer)

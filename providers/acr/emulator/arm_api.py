"""The common part of all calls to Azure Resource Manager: token, api-version, permission."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Sequence
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, RestApi
from providers.acr.emulator import odata, paging
from providers.acr.emulator.answers import ApiError, answering, arm_error
from providers.acr.emulator.dates import with_offset
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.state import AzureState, scope_holds
from providers.acr.emulator.tokens import Caller, Tokens

ArmHandler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")


def any_case(*segments: str) -> str:
    """Path segments for a route, ignoring case, like Resource Manager."""
    return "".join(
        f"/{{_{re.sub('[^A-Za-z]', '_', segment)}:(?i:{re.escape(segment)})}}" for segment in segments
    )


class ArmApi:
    """The endpoint to which the parts of Resource Manager add their routes."""

    def __init__(self, state: AzureState, tokens: Tokens, entra: EntraId, gate: CallGate) -> None:
        self.state = state
        self._tokens = tokens
        self._entra = entra
        self.address = ""
        self.app = web.Application()
        self.api = RestApi(gate, "arm", arm_error, self.app)

    def route(
        self, verb: str, path: str, method: str, handler: ArmHandler, *, changes: bool | None = None
    ) -> None:
        async def checked(request: web.Request) -> web.StreamResponse:
            caller = self._tokens.caller(
                request,
                self._entra.audiences.arm,
                challenge=f'Bearer authorization_uri="{self._entra.address}/{self.state.tenant_id}", '
                'error="invalid_token", error_description="Could not find identity for access token."',
            )
            version = request.query.get("api-version", "")
            if not _VERSION.fullmatch(version):
                raise ApiError(
                    400,
                    "InvalidApiVersionParameter" if version else "MissingApiVersionParameter",
                    f"The api-version '{version}' is invalid."
                    if version
                    else "The api-version query parameter (?api-version=) is required for all requests.",
                )
            response = await handler(request, caller)
            # The sandbox's time, for clients that compare their clocks.
            response.headers["Date"] = format_datetime(self.state.now().astimezone(dt.UTC), usegmt=True)
            return response

        self.api.route(verb, path, method, answering(checked, arm_error), changes=changes)

    def refuse_other_paths(self) -> None:
        """Answer unknown paths like Resource Manager. Call this after all routes were added."""
        self.api.route("*", "/{path:.*}", "Unknown", answering(_no_such_path, arm_error), changes=False)

    def require(self, caller: Caller, action: str, scope: str) -> None:
        """Check that the caller's roles allow the action at the scope.

        Raises:
            ApiError: 403 AuthorizationFailed, or 404 for a scope that does not exist.
        """
        if not self.state.allowed(caller.object_id, action, scope):
            raise ApiError(
                403,
                "AuthorizationFailed",
                f"The client '{caller.app_id}' with object id '{caller.object_id}' does not have "
                "authorization to "
                f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access "
                "was recently "
                "granted, please refresh your credentials.",
            )

    def require_unlocked(self, scope: str) -> None:
        """Check that no lock forbids to delete what is at the scope; creating and changing it is allowed.

        Raises:
            ApiError: 409 ScopeLocked (hashicorp/terraform-provider-azurerm#11770).
        """
        locked = sorted(one for one in self.state.locks if scope_holds(one, scope))
        if locked:
            raise ApiError(
                409,
                "ScopeLocked",
                f"The scope '{scope}' cannot perform delete operation because following scope(s) are locked: "
                f"'{', '.join(locked)}'. Please remove the lock and try again.",
            )

    def require_scope(self, scope: str) -> None:
        """Check that the subscription, resource group or registry of a scope exists."""
        parts = scope.strip("/").split("/")
        if len(parts) < 2 or parts[0].lower() != "subscriptions" or not self.state.subscription(parts[1]):
            name = parts[1] if len(parts) > 1 else ""
            raise ApiError(404, "SubscriptionNotFound", f"The subscription '{name}' could not be found.")
        if len(parts) < 4:
            return
        inside = [
            one
            for one in self.state.registries
            if one.id.lower().startswith("/" + "/".join(parts[:4]).lower() + "/")
        ]
        if not inside:
            raise ApiError(404, "ResourceGroupNotFound", f"Resource group '{parts[3]}' could not be found.")
        if len(parts) >= 8 and not any(one.id.lower() == scope.lower().rstrip("/") for one in inside):
            raise not_found("/".join(parts[5:8]), parts[3])

    def system_data(
        self,
        created: dt.datetime,
        modified: dt.datetime | None = None,
        *,
        form: Callable[[dt.datetime], str] = with_offset,
    ) -> dict[str, str]:
        """The creator and last modifier of a resource: always the operator."""
        who = {"By": self.state.operator.app_id, "ByType": "Application"}
        return {
            **{f"created{name}": value for name, value in who.items()},
            "createdAt": form(created),
            **{f"lastModified{name}": value for name, value in who.items()},
            "lastModifiedAt": form(modified or created),
        }

    def filtered(
        self,
        request: web.Request,
        items: Sequence[dict[str, Any]],
        view: Callable[[dict[str, Any]], odata.Item],
    ) -> list[dict[str, Any]]:
        """The items that match the request's `$filter`; `view` converts an item for the comparison."""
        text = request.query.get("$filter")
        if not text:
            return list(items)
        try:
            matches = odata.parse(text).matches
            return [item for item in items if matches(view(item))]
        except odata.FilterError as error:
            raise ApiError(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}'. {error}") from None

    def page(self, request: web.Request, items: Sequence[dict[str, Any]], **more: Any) -> web.Response:
        """One page of a list, with the link to the next one and further fields."""
        start = paging.start_of(request.query.get("$skiptoken", ""))
        if start is None:
            raise ApiError(400, "InvalidSkipToken", "The provided skip token is not valid.")
        end = start + self.state.page_size
        body: dict[str, Any] = {"value": list(items[start:end]), **more}
        if end < len(items):
            link = request.rel_url.update_query({"$skiptoken": paging.token_of(end)})
            body["nextLink"] = f"{self.address}{link}"
        return web.json_response(body)


async def _no_such_path(request: web.Request) -> web.StreamResponse:
    raise ApiError(
        404,
        "InvalidResourceType",
        f"The resource type of '{request.path}' could not be found for this method.",
    )


def not_found(resource: str, group: str) -> ApiError:
    """The error for a resource that does not exist."""
    return ApiError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource}' under resource group '{group}' was not found. For more details "
        "please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )

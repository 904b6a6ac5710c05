"""The APIs over REST by their `google.api.http` rules, as `gcloud` uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web
from google.protobuf import json_format

from bootstrap.sandbox.calls import CallGate, RestApi
from providers.gcr.emulator.api import Api, Http, Rpc, answer
from providers.gcr.emulator.errors import CloudError, invalid_argument
from providers.gcr.emulator.oauth import Tokens, render_fault

_VARIABLE: Final = re.compile(r"\{(?P<field>[a-z_.]+)=(?P<pattern>[^}]+)\}")


class RestServer:
    """Adds routes for some APIs to an application."""

    def __init__(self, apis: Iterable[Api], tokens: Tokens, gate: CallGate, app: web.Application) -> None:
        self._tokens = tokens
        for api in apis:
            routes = RestApi(gate, api.name, render_fault, app)
            for rpc in api.rpcs:
                for http in rpc.http:
                    self._add(routes, api, rpc, http)

    def _add(self, routes: RestApi, api: Api, rpc: Rpc, http: Http) -> None:
        variable = _VARIABLE.search(http.path)
        field = variable["field"] if variable else ""
        path = _VARIABLE.sub(lambda it: f"{{subject:{_as_expression(it['pattern'])}}}", http.path)

        async def handle(request: web.Request) -> web.StreamResponse:
            authorization = request.headers.get("Authorization", "")
            try:
                message = await _request_message(rpc, request, field)
                response = await answer(api, rpc, self._tokens, authorization, message)
            except CloudError as error:
                shown = http.refusal(error) if http.refusal else error
                older = api.older_errors and request.query.get("prettyPrint") == "false"
                return web.json_response(shown.body(older=older), status=shown.http_status)
            numbers = "enum-encoding=int" in request.query.get("$alt", "")
            return web.json_response(
                http.render(response)
                if http.render
                else json_format.MessageToDict(response, use_integers_for_enums=numbers)
            )

        routes.route(
            http.verb,
            path,
            rpc.method,
            handle,
            changes=rpc.changes,
            resource=lambda it: it.match_info.get("subject", ""),
        )


def _as_expression(pattern: str) -> str:
    return pattern.replace("projects/*", f"projects/{_PROJECT}").replace("*", _SEGMENT)


async def _request_message(rpc: Rpc, request: web.Request, field: str) -> Any:
    """The request message: the JSON body or the query, and the path's variable over it."""
    values = _from_query(request)
    raw = await request.read()
    message = rpc.request()
    try:
        if raw:
            # PatchServiceAccount's body has its mask in `updateMask`; other bodies are the message itself.
            values |= json.loads(raw)
        if isinstance(values.get("updateMask"), str):
            # Masks in JSON are in camel case; Google also accepts snake case.
            values["updateMask"] = re.sub(r"_([a-z])", lambda it: it[1].upper(), values["updateMask"])
        json_format.ParseDict(values, message, ignore_unknown_fields=True)
    except (ValueError, TypeError, json_format.ParseError) as error:
        raise invalid_argument(f"Invalid JSON payload received. {error}") from None
    if field:
        *parents, last = field.split(".")
        target = message
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, request.match_info["subject"])
    return message


def _from_query(request: web.Request) -> dict[str, Any]:
    """Convert a query to nested JSON (`a.b=c`); repeated parameters and fields become lists."""
    values: dict[str, Any] = {}
    for key in dict.fromkeys(request.query):
        if key in _SYSTEM_PARAMETERS:
            continue
        found: list[Any] = request.query.getall(key)
        *parents, last = key.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = found if last in _REPEATED or len(found) > 1 else found[0]
    return values


_SEGMENT: Final = r"[^/:]+"
# A domain-scoped project has a colon in its id (`example.com:shop`), which elsewhere ends the resource.
_PROJECT: Final = rf"(?:[^/:]+\.[^/:]+:)?{_SEGMENT}"
_SYSTEM_PARAMETERS: Final = frozenset(
    {"alt", "$alt", "fields", "key", "prettyPrint", "quotaUser", "access_token"}
)
_REPEATED: Final = frozenset({"names", "keyTypes", "permissions"})

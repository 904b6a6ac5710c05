"""How Azure's APIs say no: one exception, and each API's own form of it."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from bootstrap.sandbox.calls import Handler

_ARM_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "AuthorizationFailed",
    404: "ResourceNotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}
_GRAPH_CODES = {
    400: "Request_BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "Request_ResourceNotFound",
    409: "Request_MultipleObjectsWithSameKeyValue",
    429: "TooManyRequests",
    500: "Service_InternalServerError",
    503: "serviceNotAvailable",
}


@dataclass
class ApiError(Exception):
    """Raised by a handler to answer with an error; how it looks is the API's business."""

    status: int
    code: str
    message: str
    details: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def arm_error(
    status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = ()
) -> web.Response:
    """Resource Manager's form: `{"error": {"code", "message"}}`."""
    error: dict[str, Any] = {"code": code or _ARM_CODES.get(status, "UnknownError"), "message": message}
    if details:
        error["details"] = list(details)
    return web.json_response({"error": error}, status=status)


def graph_error(
    status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = ()
) -> web.Response:
    """Microsoft Graph's form, with the ids that its support asks for."""
    request_id = str(uuid.uuid4())
    error: dict[str, Any] = {
        "code": code or _GRAPH_CODES.get(status, "UnknownError"),
        "message": message,
        "innerError": {
            "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": request_id,
        },
    }
    if details:
        error["details"] = list(details)
    return web.json_response({"error": error}, status=status, headers={"request-id": request_id})


def entra_error(
    status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = ()
) -> web.Response:
    """The token endpoint's form: OAuth's, with the AADSTS number in the text and apart.

    `message` begins with `AADSTS<number>:`; one that does not (of a fault asked for) gets Entra's number for
    "the service is not there just now".
    """
    if not message.startswith("AADSTS"):
        message = f"AADSTS90033: A transient error has occurred. {message}"
    now = dt.datetime.now(dt.UTC)
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    number = int(message.removeprefix("AADSTS").partition(":")[0])
    body = {
        "error": code or "temporarily_unavailable",
        "error_description": f"{message} Trace ID: {trace} Correlation ID: {correlation} "
        f"Timestamp: {now:%Y-%m-%d %H:%M:%SZ}",
        "error_codes": [number],
        "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    if details:
        body["details"] = list(details)
    return web.json_response(body, status=status)


def registry_error_form(
    status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = ()
) -> web.Response:
    """The form of the Distribution specification, "Error codes"."""
    by_status = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
    error: dict[str, Any] = {"code": code or by_status.get(status, "UNKNOWN"), "message": message}
    if details:
        error["detail"] = list(details)
    return web.json_response(
        {"errors": [error]}, status=status, headers={"Docker-Distribution-Api-Version": "registry/2.0"}
    )


class ErrorForm(Protocol):
    """One of the functions above."""

    def __call__(
        self, status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = (), /
    ) -> web.Response: ...


def answering(handler: Handler, form: ErrorForm) -> Handler:
    """`handler`, with an `ApiError` answered in `form`."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            response = form(error.status, error.code, error.message, error.details)
            response.headers.update(error.headers)
            return response

    return answer


async def json_object(request: web.Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object."""
    try:
        body = await request.json()
    except ValueError:
        raise ApiError(400, "", "Unable to read JSON request payload.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "", "The request payload must be a JSON object.")
    return body

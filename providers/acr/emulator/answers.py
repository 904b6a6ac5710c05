"""Errors of Azure's APIs: one exception, rendered in the form of each API."""

from __future__ import annotations

import datetime as dt
import functools
import json
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
    """Raised by a handler to answer with an error, which is rendered in the API's form.

    `more` are further fields of the answer.
    """

    status: int
    code: str
    message: str
    details: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


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
    """The token endpoint's form: OAuth's, with the AADSTS number in the text and as a field.

    `message` begins with `AADSTS<number>:`. Without it (an injected fault), the number is Entra's for
    "service temporarily unavailable".
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


class ErrorForm(Protocol):
    """The signature of the functions above."""

    def __call__(
        self, status: int, code: str, message: str, details: Sequence[Mapping[str, str]] = (), /
    ) -> web.Response: ...


def answering(handler: Handler, form: ErrorForm) -> Handler:
    """Wrap a handler so that an `ApiError` is answered in `form`."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            response = form(error.status, error.code, error.message, error.details)
            if error.more:
                response.text = json.dumps({**json.loads(response.text or "{}"), **error.more})
            response.headers.update(error.headers)
            return response

    return answer


async def json_object(request: web.Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object.

    Raises:
        ApiError: 400; it is something else, in an unknown character set, or nested too deeply.
    """
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):
        raise ApiError(400, "", "Unable to read JSON request payload.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "", "The request payload must be a JSON object.")
    return body


def object_in(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A property that is an object; one that is absent or null is empty."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise _of_another_type(name, "an object")
    return value or {}


def text_in(body: Mapping[str, Any], name: str) -> str | None:
    """A property that is text; None if it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _of_another_type(name, "a string")
    return value


def texts_in(body: Mapping[str, Any], name: str) -> list[str]:
    """A property that is a list of texts; one that is absent or null is empty."""
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise _of_another_type(name, "a list of strings")
    return value or []


def moment_in(body: Mapping[str, Any], name: str) -> dt.datetime | None:
    """A property that is a date, UTC unless it has an offset; None if it is absent or null."""
    text = text_in(body, name)
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ApiError(
            400, "", f"Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset'."
        ) from None


def _of_another_type(name: str, expected: str) -> ApiError:
    return ApiError(
        400, "", f"Invalid value specified for property '{name}' of the resource: {expected} is expected."
    )

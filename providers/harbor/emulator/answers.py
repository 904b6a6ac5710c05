"""The form of Harbor's answers and errors.

Sources: goharbor/harbor, src/lib/http/error.go (codes and their statuses), handler/base.go (`Links`).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

_STATUS = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "DENIED": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "PRECONDITION": 412,
    "UNPROCESSABLE_ENTITY": 422,
    "UNKNOWN": 500,
}
_CODES = {status: code for code, status in _STATUS.items() if code != "DENIED"}


class HarborError(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def errors(status: int, code: str, message: str) -> web.Response:
    """`Errors` of swagger.yaml. An empty code stands for the usual one of the status."""
    named = code or _CODES.get(status, "UNKNOWN")
    if status >= 500:
        message = "internal server error"  # details are in the log only
    body = {"errors": [{"code": named, "message": message}]}
    return web.json_response(body, status=status)


def answer_of(error: HarborError) -> web.Response:
    return errors(_STATUS[error.code], error.code, error.message)


def page_of(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    """One page of a list, with the total and the addresses beside it, relative and unescaped.

    Raises:
        HarborError: the page is larger than is allowed, or is not a number.
    """
    number, size = _number(request, "page", 1), _number(request, "page_size", 10)
    if size > 100:
        raise HarborError("UNPROCESSABLE_ENTITY", "page_size in query should be less than or equal to 100")
    shown = rows[(number - 1) * size : number * size] if size else rows
    headers = {"X-Total-Count": str(len(rows))}
    links = []
    for rel, other, there in (
        ("prev", number - 1, size and number > 1 and (number - 1) * size < len(rows)),
        ("next", number + 1, size and number * size < len(rows)),
    ):
        if there:
            query = {**request.query, "page": str(other), "page_size": str(size)}
            text = "&".join(f"{name}={query[name]}" for name in sorted(query))
            links.append(f'<{request.path}?{text}>; rel="{rel}"')
    if links:
        headers["Link"] = " , ".join(links)
    return web.json_response(shown, headers=headers)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        message = f'{name} in query must be of type int64: "{text}"'
        raise HarborError("UNPROCESSABLE_ENTITY", message) from None


async def object_of(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        HarborError: it is not one.
    """
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise HarborError("BAD_REQUEST", "parsing body failed, because of an invalid JSON object")
    return body

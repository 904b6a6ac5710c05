"""Pages of a list, by offset (gitlabhq/gitlabhq, doc/api/rest/_index.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

_PER_PAGE, _MOST = 20, 100


def page_of(request: web.Request, rows: Sequence[Any]) -> web.Response:
    """One page of the rows, with the headers that lead to the others."""
    number = max(1, _number(request, "page", 1))
    size = min(_MOST, max(1, _number(request, "per_page", _PER_PAGE)))
    pages = max(1, -(-len(rows) // size))
    response = web.json_response(rows[(number - 1) * size : number * size])
    response.headers.update(
        {
            "x-page": str(number),
            "x-per-page": str(size),
            "x-next-page": str(number + 1) if number < pages else "",
            "x-prev-page": str(number - 1) if number > 1 else "",
            "x-total": str(len(rows)),
            "x-total-pages": str(pages),
        }
    )
    return response


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else default

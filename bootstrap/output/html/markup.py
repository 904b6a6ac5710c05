"""HTML in which every text and every attribute is escaped by one function.

The contents of a page come from Akka, from clouds and from a file, any of which may have been written to do
harm.
"""

from __future__ import annotations

import html
from typing import Any


class Markup(str):
    """HTML that needs no escaping: the result of `tag` or `escaped`, or written in this package."""

    __slots__ = ()


def escaped(text: Any) -> Markup:
    """Escape any text for HTML, between tags and in attributes.

    What cannot be printed is shown by its number: a control that turns the direction of writing could have
    one name read as another.
    """
    plain = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))
    return Markup(html.escape(plain, quote=True))


def tag(name: str, *inner: Any, **attributes: Any) -> Markup:
    """An element. What is inside it is escaped unless it is `Markup`; None and "" are left out.

    An attribute's name may end with an underscore (`class_`), others become dashes; None and False leave it
    out.
    """
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escaped(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{told}>{joined(*inner)}</{name}>")


def joined(*inner: Any) -> Markup:
    """One after another, each escaped unless it is `Markup`."""
    return Markup(
        "".join(one if isinstance(one, Markup) else escaped(one) for one in inner if one is not None)
    )

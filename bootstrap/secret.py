"""The one type that a key travels in."""

from __future__ import annotations

import hmac
import json
from typing import NoReturn

_PIECE = 12


class Secret:
    """A string that cannot be printed, logged, formatted, pickled or compared in variable time.

    >>> Secret("hunter2")
    Secret(<hidden, 7 characters>)
    >>> f"{Secret('hunter2')}"
    '<hidden>'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Each call of this is a place to look at in review."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(<hidden, {len(self._value)} characters>)"

    def __str__(self) -> str:
        return "<hidden>"

    def __format__(self, spec: str) -> str:
        return format("<hidden>", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret is a fingerprint of it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never written anywhere")

    def redact(self, text: str) -> str:
        """`text` without any piece of this secret, for text that another program wrote.

        That program may have cut, quoted or unescaped it, so pieces of a dozen characters count, not the whole only.
        """
        size = min(_PIECE, len(self._value))
        if size == 0 or len(text) < size:
            return text
        quoted = json.dumps(self._value)[1:-1]
        pieces = {
            form[at : at + size] for form in (self._value, quoted) for at in range(len(form) - size + 1)
        }
        kept: list[str] = []
        hidden_until = 0
        for at, character in enumerate(text):
            if text[at : at + size] in pieces:
                if at >= hidden_until:
                    kept.append("<hidden>")
                hidden_until = at + size
            if at >= hidden_until:
                kept.append(character)
        return "".join(kept)

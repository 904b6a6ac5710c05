"""The pieces of a secret that a text could hold, found quickly: nearly no text holds one, and each is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import AnyStr, Generic, NoReturn


class Pieces(Generic[AnyStr]):
    """The pieces of some forms of a secret.

    A form shorter than a piece counts as a whole.

    Args:
        forms: what is looked for; an empty one is not.
        size: how many characters, or bytes, are a piece; an even number.
    """

    # No `vars` to print: what is in here is the secret itself.
    __slots__ = ("_forms", "_half", "_halves", "_short", "_size")

    def __init__(self, forms: Iterable[AnyStr], size: int) -> None:
        self._size, self._half = size, size // 2
        self._forms: frozenset[AnyStr] = frozenset(form for form in forms if form)
        self._short: frozenset[AnyStr] = frozenset(form for form in self._forms if len(form) < size)
        # A piece, wherever it begins, holds a whole half that begins at a multiple of its length.
        half = self._half
        self._halves: frozenset[AnyStr] = frozenset(
            [
                form[at : at + half]
                for form in self._forms - self._short
                for at in range(0, len(form) - half + 1, half)
            ]
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never written anywhere")

    def to_look_for(self, text: AnyStr) -> dict[int, set[AnyStr]]:
        """The pieces that the text could hold, by their length."""
        found: dict[int, set[AnyStr]] = {}
        for form in self._short:
            if form in text:
                found.setdefault(len(form), set()).add(form)
        there = self._halves.intersection(self._all_halves(text))
        if not there:
            return found
        for form in self._forms - self._short:
            if any(form[at : at + self._half] in there for at in range(0, len(form) - self._half + 1, self._half)):  # fmt: skip
                found.setdefault(self._size, set()).update(
                    form[at : at + self._size] for at in range(len(form) - self._size + 1)
                )
        return found

    def _all_halves(self, text: AnyStr) -> set[AnyStr]:
        return {text[at : at + self._half] for at in range(len(text) - self._half + 1)}

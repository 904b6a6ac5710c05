"""A fast filter: which pieces of a secret can a text contain? Almost no text contains any."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from string import ascii_lowercase, ascii_uppercase
from typing import AnyStr, Generic, NoReturn

_FOLD = bytes.maketrans(f"{ascii_uppercase}-_".encode(), f"{ascii_lowercase}+/".encode())
"""Half of the forms of a secret are others of its forms in the other case, or in the other base64 alphabet.
The filter makes no difference, which halves its size and the time to make it.
"""


class SecretPieces(Generic[AnyStr]):
    """The pieces of several forms of a secret. A form shorter than a piece is searched for as a whole.

    Args:
        forms: the forms to search for; empty ones are ignored.
        size: the length of a piece in characters or bytes; an even number.
    """

    # Slots instead of `vars`, so that a debugger's dump does not print the secret.
    __slots__ = ("_forms", "_half", "_halves", "_short", "_size")

    def __init__(self, forms: Iterable[AnyStr], size: int) -> None:
        self._size, self._half = size, size // 2
        self._forms: frozenset[AnyStr] = frozenset(form for form in forms if form)
        self._short: frozenset[AnyStr] = frozenset(form for form in self._forms if len(form) < size)
        # Wherever a piece starts, it contains a half piece that starts at a multiple of the half's length.
        halves: set[bytes] = set()
        for form in {_coded(form) for form in self._forms - self._short}:
            halves.update(self._halves_of(form))
        # A copy takes half of the room: a set that grows takes more than it needs.
        self._halves = frozenset(halves)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never written anywhere")

    def to_look_for(self, text: AnyStr) -> dict[int, set[AnyStr]]:
        """The pieces that the text may contain, by length."""
        found: dict[int, set[AnyStr]] = {}
        for form in self._short:
            if form in text:
                found.setdefault(len(form), set()).add(form)
        there = self._halves.intersection(self._all_halves(text))
        if not there:
            return found
        for form in self._forms - self._short:
            if not there.isdisjoint(self._halves_of(_coded(form))):
                found.setdefault(self._size, set()).update(
                    form[at : at + self._size] for at in range(len(form) - self._size + 1)
                )
        return found

    def _halves_of(self, coded: bytes) -> tuple[bytes, ...]:
        number = len(coded) // self._half
        # A Google key has 25,000 of them, and `struct` takes a third of the time that slices take.
        return struct.unpack(f"{self._half}s" * number, coded[: number * self._half])

    def _all_halves(self, text: AnyStr) -> set[bytes]:
        coded = _coded(text)
        return {coded[at : at + self._half] for at in range(len(coded) - self._half + 1)}


def _coded(text: str | bytes) -> bytes:
    """Encode and fold a text. It has at least as many bytes as characters, so the sizes remain valid."""
    return (text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")).translate(_FOLD)

"""Find and hide secrets that are written character by character: escaped (also repeatedly), split over
lines, or as rows of numbers.

A proxy's error page, JSON inside JSON, or a hex dump may repeat a secret in such a form.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from bootstrap.model.secret_pieces import SecretPieces

_SHORTEST = 6  # fewer characters occur in any text by chance, once blanks are removed

_ESCAPED = re.compile(
    r"""(?P<blank>[\s\0\u200b-\u200f\u2060\ufeff]++)
    | %(?:25)*(?P<percent>[0-9A-Fa-f]{2})
    | (?<!\\)\\++u\{?(?P<unicode>[0-9A-Fa-f]{4})\}?
    | (?<!\\)\\++x(?P<hex>[0-9A-Fa-f]{2})
    | (?<!\\)\\++(?P<octal>[0-3][0-7]{2})
    | (?<!\\)\\++(?P<plain>[^\\\s])
    | &(?:amp;)*+(?P<entity>\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});""",
    re.VERBOSE,
)
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0x)?[0-9A-F]{2}(?:[\s:,;.-]*+(?:0x)?[0-9A-F]{2}){5,}+", re.IGNORECASE)
_DECIMAL = re.compile(r"(?<![0-9])[0-9]{1,3}(?:[\s,;]++[0-9]{1,3}){5,}+")


def pieces(secrets: Iterable[str], size: int) -> SecretPieces[bytes]:
    """Prepare secrets for `without`: remove blanks and whatever in them looks like an escape.

    Args:
        secrets: the texts to hide.
        size: the length of a piece in bytes; an even number.
    """
    forms = (
        form
        for secret in secrets
        for form in (
            "".join(secret.split()).encode(errors="replace"),
            _unescaped(secret),
        )
    )
    return SecretPieces((form for form in forms if min(size, len(form)) >= _SHORTEST), size)


def without(secrets: SecretPieces[bytes], text: str) -> str:
    """Hide every piece of the secrets in `text`."""
    return _hidden(text, sorted([*_escaped(text, secrets), *_numbers(text, secrets)]))


def _unescaped(text: str) -> bytes:
    """The bytes of a text with escapes decoded and blanks removed, without their positions (faster)."""
    if _ESCAPED.search(text) is None:
        return text.encode(errors="replace")
    return bytes(byte for byte, _, _ in _bytes_of(text))


def _bytes_of(text: str) -> Iterator[tuple[int, int, int]]:
    """Each byte of a text with escapes decoded and blanks removed, with its start and end in the text."""
    at = 0
    for found in _ESCAPED.finditer(text):
        yield from _encoded(text[at : found.start()], at)
        at = found.end()
        match found.lastgroup:
            case "percent" | "hex":
                yield int(found[found.lastgroup], 16), found.start(), at
            case "octal":
                yield int(found["octal"], 8), found.start(), at
            case "unicode" | "plain" | "entity":
                for byte in _character(found.lastgroup, found[found.lastgroup]).encode(errors="replace"):
                    yield byte, found.start(), at
    yield from _encoded(text[at:], at)


def _character(kind: str, text: str) -> str:
    if kind == "unicode":
        return chr(int(text, 16))
    return html.unescape(f"&{text};") if kind == "entity" else text


def _encoded(text: str, at: int) -> Iterator[tuple[int, int, int]]:
    for number, character in enumerate(text, at):
        for byte in character.encode(errors="replace"):
            yield byte, number, number + 1


def _escaped(text: str, secrets: SecretPieces[bytes]) -> Iterator[tuple[int, int]]:
    plain = _unescaped(text)
    found = secrets.to_look_for(plain)
    bytes_of = list(_bytes_of(text)) if found else []
    for size, pieces in found.items():
        for at in range(len(plain) - size + 1):
            if plain[at : at + size] in pieces:
                yield bytes_of[at][1], bytes_of[at + size - 1][2]


def _numbers(text: str, secrets: SecretPieces[bytes]) -> Iterator[tuple[int, int]]:
    """The spans of rows of numbers, each number a byte, that contain a piece; such rows are hidden whole."""
    for found in _HEX.finditer(text):
        digits = re.sub("0[xX]|[^0-9A-Fa-f]", "", found[0])
        if any(
            _holds(bytes.fromhex(digits[first:][: (len(digits) - first) // 2 * 2]), secrets)
            for first in (0, 1)
        ):
            yield found.span()
    for found in _DECIMAL.finditer(text):
        row = bytes(number for number in map(int, re.findall("[0-9]+", found[0])) if number < 256)
        if _holds(row, secrets):
            yield found.span()


def _holds(plain: bytes, secrets: SecretPieces[bytes]) -> bool:
    return any(one in plain for pieces in secrets.to_look_for(plain).values() for one in pieces)


def _hidden(text: str, spans: Iterable[tuple[int, int]]) -> str:
    kept: list[str] = []
    end = 0
    for start, stop in spans:
        if stop <= end:
            continue
        if start > end or not kept:
            kept += [text[end:start], "<hidden>"]
        end = stop
    return "".join([*kept, text[end:]])

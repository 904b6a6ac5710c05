"""The type of every key and password in memory."""

from __future__ import annotations

import base64
import contextlib
import hmac
import itertools
import json
import re
from typing import NoReturn

from bootstrap.model import spelled_out
from bootstrap.model.secret_pieces import SecretPieces

_PIECE = 12
_SHORTEST_CODED = 4  # fewer characters of base64 or hexadecimal occur in any text by chance
_URL_SAFE = str.maketrans("+/", "-_")
_PERCENT = re.compile("%[0-9A-F]{2}")


class Secret:
    """A string that cannot be printed, logged, formatted, pickled or compared in variable time.

    >>> Secret("hunter2")
    Secret(<hidden, 7 characters>)
    >>> f"{Secret('hunter2')}"
    '<hidden>'
    """

    __slots__ = ("_pieces", "_spelled_out", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        # Computed at the first search; a run searches for a key about a hundred times.
        self._pieces: SecretPieces[str] | None = None
        self._spelled_out: SecretPieces[bytes] | None = None

    def reveal(self) -> str:
        """The secret itself. Review every caller of this method."""
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

    def drop_index(self) -> None:
        """Free what `redact` searches by, which is more than a megabyte for a key file; it is made again when
        it is needed.
        """
        self._pieces = self._spelled_out = None

    def redact(self, text: str) -> str:
        """Hide every piece of this secret in a text that another program or a server wrote.

        The text may have truncated, quoted or encoded the secret, so pieces of twelve characters are searched
        for in every form of `_forms`, and character by character (`spelled_out`). Truncate the text after
        this call, not before: shorter pieces are not recognised.
        """
        if not text:
            return text
        if self._pieces is None or self._spelled_out is None:
            self._pieces = SecretPieces(_forms(self._value), _PIECE)
            self._spelled_out = spelled_out.pieces(_parts(self._value), _PIECE)
        text = spelled_out.without(self._spelled_out, _without_its_beginning(self._value, text))
        pieces = self._pieces.to_look_for(text)
        if not pieces:
            return text
        kept: list[str] = []
        hidden_until = 0
        for at, character in enumerate(text):
            for size, of_size in pieces.items():
                if text[at : at + size] in of_size and at + size > hidden_until:
                    if at >= hidden_until:
                        kept.append("<hidden>")
                    hidden_until = at + size
            if at >= hidden_until:
                kept.append(character)
        return "".join(kept)


def _without_its_beginning(value: str, text: str) -> str:
    """Hide each occurrence of the secret's beginning together with as much of the rest as follows it.

    This hides a repeated argument whole, truncated or not. Of a key file, only the private key is searched
    for by pieces; this hides the rest.
    """
    for form in (value, json.dumps(value)[1:-1], repr(value)[1:-1]):
        if len(form) <= _PIECE:
            continue
        kept, *pieces = text.split(form[:_PIECE])
        rest = form[_PIECE:]
        for piece in pieces:
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(piece, rest, strict=False))
            kept += f"<hidden>{piece[sum(1 for _ in same) :]}"
        text = kept
    return text


def _forms(value: str) -> set[str]:
    """The forms in which a secret may appear in a text.

    Plain; escaped for JSON, HTML, a URL or a form; in hexadecimal; in base64, also as part of a longer
    encoded text (`user:password`, a Docker configuration); and in base64 of base64, as in a Kubernetes
    secret.
    """
    # late: a help page needs neither
    import html
    import urllib.parse

    whole = value
    value = _private_part(whole)
    raw = value.encode(errors="surrogatepass")
    quoted = urllib.parse.quote(raw, safe="")
    every = "%" + raw.hex("%").upper() if raw else ""
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
    }
    coded = {
        quoted,
        urllib.parse.quote_plus(raw),
        urllib.parse.quote(raw),
        every,
        raw.hex(),
        raw.hex().upper(),
    }
    coded |= {_PERCENT.sub(lambda found: found[0].lower(), quoted), every.lower()}
    if len(value) >= _PIECE:
        forms.add(value[::-1])
        coded |= _base32_forms(raw)
    for inner in {value, whole, json.dumps(whole)[1:-1]}:
        once = _base64_forms(inner.encode(errors="surrogatepass"))
        coded |= once
        coded |= {form for one in once for form in _base64_forms(one.encode())}
    return forms | {form for form in coded if len(form) >= _SHORTEST_CODED}


def _private_part(value: str) -> str:
    """The private key if the value is a service account's key file, whose other fields are public; else the
    value.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return str(json.loads(value)["private_key"]) or value
    return value


def _parts(value: str) -> set[str]:
    """The secret plain and in base64: the forms to search for character by character."""
    private = _private_part(value)
    return {private} | {
        form for form in _base64_forms(private.encode(errors="surrogatepass")) if len(form) >= _SHORTEST_CODED
    }


def _base32_forms(raw: bytes) -> set[str]:
    """The base32 characters that these bytes alone determine, in upper and lower case."""
    forms = set()
    for before in range(5):
        coded = base64.b32encode(b"\0" * before + raw + b"\0" * 5).decode()
        form = coded[-(-8 * before // 5) : 8 * (before + len(raw)) // 5]
        forms |= {form, form.lower()}
    return forms


def _base64_forms(raw: bytes) -> set[str]:
    """The base64 characters that these bytes alone determine, for each offset in a longer encoded text."""
    forms = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw + b"\0" * 3).decode()
        form = coded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
        forms |= {form, form.translate(_URL_SAFE)}
    return forms

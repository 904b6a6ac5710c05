"""Parses `WWW-Authenticate`: which login a registry asks for (RFC 9110, 11.6.1).

Pullers read it in two ways. containers/image (`docker/wwwauthenticate.go`) and containerd
(`core/remotes/docker/auth/parse.go`) take one challenge from each header, parameters quoted or not, names in
any case, and containerd puts Bearer before Basic in whatever order they come. The RFC allows several
challenges in one header too, and some registries send them so; both are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_LONGEST = 16_000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_SPACE = re.compile(r"[ \t\r\n]*+")
_BETWEEN = re.compile(r"[ \t\r\n,]*+")
_UNQUOTED = re.compile(r'[^\s,"]*+')  # more than a token: many a realm comes without quotes
_IN_QUOTES = re.compile(r'[^"\\]*+')
_SCHEMES = frozenset(
    {"basic", "bearer", "digest", "hoba", "kerberos", "mutual", "negotiate", "ntlm", "vapid"}
)


class TooLong(ValueError):
    """The header is longer than a registry needs."""


@dataclass(frozen=True)
class Challenge:
    """The login that a registry asks for: a token from `realm` ("bearer"), a password ("basic"), or nothing
    ("none").
    """

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


@dataclass
class _Found:
    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def challenge(self) -> Challenge:
        if self.scheme != "bearer":
            return Challenge(self.scheme)
        return Challenge("bearer", *(self.parameters.get(name, "") for name in ("realm", "service", "scope")))


def challenges_in(headers: Iterable[str]) -> list[Challenge]:
    """All the challenges of all the headers, Bearer first, else in their order, in linear time.

    >>> challenges_in(['Basic realm="x", Bearer realm="https://t/",service=s'])
    [Challenge(scheme='bearer', realm='https://t/', service='s', scope=''), Challenge(scheme='basic',
    realm='', service='', scope='')]

    Raises:
        TooLong: together they are longer than a registry needs.
    """
    values = list(headers)
    if sum(map(len, values)) > _LONGEST:
        raise TooLong
    found = [one.challenge for value in values for one in _challenges_of(value)]
    return sorted(found, key=lambda one: one.scheme != "bearer")


def _challenges_of(text: str) -> list[_Found]:
    found: list[_Found] = []
    at = 0
    while at < len(text):
        at = _skip(_BETWEEN, text, at)
        token = _TOKEN.match(text, at)
        if token is None:
            at += 1  # not allowed here
            continue
        at = _skip(_SPACE, text, token.end())
        name = token[0].lower()
        if found and text.startswith("=", at):
            value, at = _value(text, _skip(_SPACE, text, at + 1))
            # Of a repeated parameter the first counts.
            found[-1].parameters.setdefault(name, value)
        elif not found or name in _SCHEMES:
            found.append(_Found(name))
    return found


def _skip(what: re.Pattern[str], text: str, at: int) -> int:
    match = what.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[str, int]:
    """A parameter's value, quoted or not, and where it ends; "" if its quotes are not closed."""
    if not text.startswith('"', at):
        end = _skip(_UNQUOTED, text, at)
        return text[at:end], end
    pieces = []
    at += 1
    while at < len(text):
        end = _skip(_IN_QUOTES, text, at)
        pieces.append(text[at:end])
        if text.startswith('"', end):
            return "".join(pieces), end + 1
        pieces.append(text[end + 1 : end + 2])  # after a backslash, whatever it is
        at = end + 2
    return "", at

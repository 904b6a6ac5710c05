"""Format text for display."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"""[^\s'"]+""")
# These have an @ and a colon but are no logins: an image's digest, a member of a Google policy.
_NO_LOGIN = re.compile(r"@sha(?:256|384|512):[0-9A-Fa-f]*|(?:deleted:)?serviceAccount:")
_HIDDEN = "(an address with a login)"


# A command follows a colon and has no ", " as a sentence would; or it is an option with a value.
_ENDS_IN_COMMAND = re.compile(
    r""": \ (?: (?:pullkey|az|gcloud|akka|docker|curl|pip|pipx|uv|python3?|printf|base64|kubectl|gh|fuser) \ |--|\.\.\.|[A-Z][A-Z0-9_]*=) (?:(?!,\ )[^`])*$
    | \s --[a-z][a-z-]*[ =] (?!(?:out|too|alone|again|first|instead)$) [^\s`]+$
    | https?://[^\s`)]+$""",  # noqa: E501
    re.VERBOSE,
)


def sentence(text: str) -> str:
    """Add a full stop, unless the text has one or ends in a command, with which the stop would be copied.

    >>> sentence("It is disabled. Enable it: az ad sp update --id 1")
    'It is disabled. Enable it: az ad sp update --id 1'
    >>> sentence("Log in: az login, or name another account")
    'Log in: az login, or name another account.'
    """
    return text if text.endswith((".", "?", "!")) or _ENDS_IN_COMMAND.search(text) else f"{text}."


def capitalised(text: str) -> str:
    """Capitalise the first letter, unless the first word is a name with digits, dots or dashes."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def without_logins(text: str) -> str:
    """Hide addresses that contain a user name or a password.

    >>> without_logins("--role: 'https://ops:secret@host' is not a valid role")
    "--role: '(an address with a login)' is not a valid role"
    """
    if "@" not in text:
        return text
    return _WORD.sub(lambda found: _HIDDEN if _is_login(found[0]) else found[0], text)


def _is_login(word: str) -> bool:
    """Whether a word contains a login such as `ops:secret@host` or `https://secret@host`."""
    for number, part in enumerate(_NO_LOGIN.sub("", word).split("://")):
        before, at, _ = part.rpartition("@")
        if at and (":" in before or (number and "/" not in before)):
            return True
    return False


def as_typed(text: str) -> str:
    """Strip what editors and programs add to a secret: a byte order mark before it, line ends after it."""
    return text.removeprefix("\ufeff").rstrip("\r\n")


def one_line(text: str, limit: int = 300) -> str:
    """Reduce text of another program or a server to one printable line of at most `limit` characters."""
    joined = " ".join(text.split())
    return "".join(character for character in joined if character.isprintable())[:limit]


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["gcr"]), listed(["gcr", "acr"]), listed(["gcr", "acr", "private"])
    ('gcr', 'gcr and acr', 'gcr, acr and private')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def count_of(number: int, thing: str) -> str:
    """A number of things.

    >>> count_of(1, "target"), count_of(3, "target")
    ('1 target', '3 targets')
    """
    return f"{number} {thing}{'s' * (number != 1)}"


def nearest_names(word: str, known: Iterable[str]) -> list[str]:
    """The known names that a word may be a misspelling of, nearest first; at most two."""
    import difflib  # late: only error messages need it

    names, lower = list(known), word.lower()
    if lower in names:
        return [lower]
    near = difflib.get_close_matches(lower, names, n=2, cutoff=0.6)
    return near or [name for name in names if len(lower) > 2 and name.startswith(lower)][:2]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that suggests the nearest known names; "" if none is near.

    >>> did_you_mean("gcrr", ["acr", "docker-hub", "gcr", "private"])
    'Did you mean gcr?'
    """
    near = nearest_names(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else ""

"""The e-mail field of a credential, which names the cloud's key in Akka's record.

Akka never shows a password, but it shows the e-mail field, whose content is free. `NAME+KEY_ID@DOMAIN` names
the key that Akka has, readable from any machine and without a state file. After a rotation,
`KEY_ID@NAME.was-OLD_KEY_ID.DOMAIN` also names the replaced key, until that key is deleted.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from bootstrap.model import clock
from bootstrap.model.text import one_line

_WAS = "was-"
_LOCAL_LIMIT = 64  # RFC 5321, 4.5.3.1.1
_KEY_ID = re.compile(r"^[A-Za-z0-9-]{6,64}$")
_SUPPLIED = re.compile(r"[0-9a-f]{12}-([0-9]{10})")
_OF_A_RUN = re.compile(r"[0-9a-f]{12}(?:-[0-9]{10})?")
_NAME = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True)
class KeyRef:
    """A reference to one key of one identity.

    >>> str(KeyRef("akka-docker-reader", "abc123def", "acme.iam.gserviceaccount.com"))
    'akka-docker-reader+abc123def@acme.iam.gserviceaccount.com'
    >>> KeyRef.parse("akka-docker-reader+abc123def@acme.iam.gserviceaccount.com").key_id
    'abc123def'
    >>> KeyRef.parse("user@example.com") is None
    True
    >>> str(KeyRef("akka-docker-reader", "abc123def", "acmeshop.azurecr.io", replaces="fed321cba"))
    'abc123def@akka-docker-reader.was-fed321cba.acmeshop.azurecr.io'
    """

    name: str
    key_id: str
    domain: str
    replaces: str = ""  # the replaced key, as long as it may still exist

    def __str__(self) -> str:
        if self.replaces:
            return f"{self.key_id}@{self.name}.{_WAS}{self.replaces}.{self.domain}"
        local = f"{self.name}+{self.key_id}"
        if len(local) <= _LOCAL_LIMIT:
            return f"{local}@{self.domain}"
        # The name and a 40-digit key id do not fit before the @: put the name into the domain.
        return f"{self.key_id}@{self.name}.{self.domain}"

    def replacing(self, key_id: str) -> KeyRef:
        """The same reference, with `key_id` as the replaced key."""
        return replace(self, replaces=key_id)

    @classmethod
    def parse(cls, email: str) -> KeyRef | None:
        """Parse an e-mail field; None if pullkey did not write it."""
        return _parsed(email)

    @classmethod
    def _parse(cls, email: str) -> KeyRef | None:
        local, at, domain = email.strip().partition("@")
        if not at or not domain or "@" in domain:
            return None
        name, plus, key_id = local.rpartition("+")
        if plus and name and _KEY_ID.match(key_id):
            return cls(name, key_id, domain)
        name, dot, rest = domain.partition(".")
        was, _, home = rest.partition(".")
        if not plus and was.startswith(_WAS) and _KEY_ID.match(local):
            replaces = was.removeprefix(_WAS)
            if not home:
                return cls(name, local, "")  # truncated by Akka: only the key id can be read
            return cls(name, local, home, replaces) if _KEY_ID.match(replaces) else None
        if not plus and dot and len(local) == 40 and _KEY_ID.match(local):
            return cls(name, local, rest)
        return None


@lru_cache(maxsize=16_384)
def _parsed(email: str) -> KeyRef | None:
    """As `KeyRef.parse`: each of thousands of targets reads all records of its project."""
    return KeyRef._parse(email)  # noqa: SLF001  - its other half


def why_not_found_again(ref: KeyRef, *, replaced: bool = True) -> str:
    """Why Akka's record would not lead back to a key, as a clause; "" where it does.

    Args:
        ref: the key.
        replaced: whether its record may also name a key that it replaces.

    >>> why_not_found_again(KeyRef("robot", "17", "registry.example.com"))
    "the id '17' is not 6 to 64 letters, digits and dashes"
    """
    if not is_key_id(ref.key_id):
        return f"the id {one_line(str(ref.key_id))!r} is not 6 to 64 letters, digits and dashes"
    for one in (ref, ref.replacing(ref.key_id)) if replaced else (ref,):
        if KeyRef.parse(str(one)) != one:
            return f"the e-mail {one_line(str(one))} does not lead back to key {ref.key_id} of {ref.name!r}"
    return ""


def supplied_id(run_id: str, *, now: dt.datetime | None = None) -> str:
    """The id of a user-supplied password: the run that registered it, and the time, recorded nowhere else.

    >>> supplied_id("0123456789ab", now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    '0123456789ab-1767225600'
    """
    return f"{run_id}-{int((now or clock.now()).timestamp())}"


def is_supplied_id(key_id: str) -> bool:
    """Whether an id is that of a user-supplied password; the first versions wrote it without the time.

    >>> is_supplied_id("0123456789ab-1767225600"), is_supplied_id("0123456789ab"), is_supplied_id("abc123")
    (True, True, False)
    """
    return _OF_A_RUN.fullmatch(key_id) is not None


def registered_on(key_id: str) -> dt.datetime | None:
    """When the password with an id of `supplied_id` was registered; None for ids of older versions."""
    found = _SUPPLIED.fullmatch(key_id)
    return dt.datetime.fromtimestamp(int(found[1]), dt.UTC) if found else None


def is_key_id(text: object) -> bool:
    """Whether it is a valid key id, and so safe as part of a URL path or a command."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None


def local_name(text: str) -> str:
    """Normalise a name for the part before the `+`: lower case, dashes, short enough to add a key id."""
    return _NAME.sub("-", text.lower()).strip("-")[:27].rstrip("-") or "pullkey"

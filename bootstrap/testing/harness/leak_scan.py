"""The leak scan: searches for pieces of secrets anywhere but in Akka.

It searches for every `Secret` that a watched process created, and every password that Akka was given. Of a
JSON key only the private half is secret: everything else in it, the modulus included, is public. A piece of
twelve characters counts, in each form in which another program could have written it.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WATCH = Path(__file__).with_name("watch")
_PIECE = 12
_BLOCK = 6  # a piece of 12 contains a whole block of 6 that begins at a multiple of 6 (from 11 on)
_LOOPBACK = re.compile(r"^(?:127\.[0-9.]+|::1|localhost|unix:.*)$")
_HANDOFF = ("docker", "add-credentials")


@functools.cache
def secret_parts(secret: str) -> tuple[bytes, ...]:
    """The secret parts: of a PEM key, in a JSON key or alone, the lines after its public modulus."""
    pem = secret
    with contextlib.suppress(ValueError, KeyError, TypeError):
        pem = json.loads(secret)["private_key"]
    if "PRIVATE KEY" in pem:
        lines = pem.strip().splitlines()[1:-1]
        return tuple(line.encode() for line in lines[len(lines) // 2 :] if len(line) >= _PIECE)
    return (secret.encode(),)


@functools.cache
def forms(part: bytes) -> Mapping[str, bytes]:
    """The forms in which a secret could be in a text: plain, escaped, and in base64 at each offset."""
    text = part.decode()
    every = {
        "plain": part,
        "JSON": json.dumps(text)[1:-1].encode(),
        "repr": repr(text)[1:-1].encode(),
        "URL": urllib.parse.quote(part, safe="").encode(),
        "form": urllib.parse.quote_plus(part).encode(),
        "hex": part.hex().encode(),
        "HEX": part.hex().upper().encode(),
    }
    for before in range(3):
        # The characters at both ends depend on what is next to it.
        coded = base64.b64encode(b"\0" * before + part)[4 if before else 0 :].rstrip(b"=")
        every[f"base64+{before}"] = coded[:-1]
        every[f"base64url+{before}"] = coded[:-1].translate(bytes.maketrans(b"+/", b"-_"))
    unique: dict[bytes, str] = {}
    for name, form in every.items():
        unique.setdefault(form, name)
    return {name: form for form, name in unique.items()}


@functools.cache
def _blocks(form: bytes, piece: int) -> tuple[tuple[int, bytes], ...]:
    size = max(1, piece // 2)
    return tuple((at, form[at : at + size]) for at in range(0, len(form) - size + 1, size))


def holds(haystack: bytes, secret: str) -> str:
    """The form in which a piece of a secret is in a text, or ""."""
    for part in secret_parts(secret):
        for name, form in forms(part).items():
            piece = min(len(form), 2 * _PIECE if name.lower() == "hex" else _PIECE)
            if piece < len(form) and any(
                _piece_at(haystack, form, at, block, piece) for at, block in _blocks(form, piece)
            ):
                return name
            if piece == len(form) and form in haystack:
                return name
    return ""


def may_hold(grams: AbstractSet[bytes], secret: str) -> bool:
    """Whether a text could contain a piece of a secret: False only if it does not. A hundred times as fast as
    `holds`.

    Args:
        grams: every sequence of `_BLOCK` bytes in the text.
        secret: the secret.
    """
    starts = _starts(secret)
    return starts is None or not starts.isdisjoint(grams)


@functools.cache
def _starts(secret: str) -> frozenset[bytes] | None:
    """The first bytes of all that `holds` looks for first; None if something of it is shorter."""
    found: set[bytes] = set()
    for part in secret_parts(secret):
        for name, form in forms(part).items():
            piece = min(len(form), 2 * _PIECE if name.lower() == "hex" else _PIECE)
            if len(form) < _BLOCK:
                return None
            if piece == len(form):
                found.add(form[:_BLOCK])
            else:  # as in `_blocks`, whose blocks are longer for hex only
                size = piece // 2
                found |= {form[at : at + _BLOCK] for at in range(0, len(form) - size + 1, size)}
    return frozenset(found)


def _piece_at(haystack: bytes, form: bytes, at: int, block: bytes, piece: int) -> bool:
    """Whether a block of a form is found with enough of the form around it."""
    found = haystack.find(block)
    while found >= 0:
        begin = end = 0
        while at - begin > 0 and found - begin > 0 and form[at - begin - 1] == haystack[found - begin - 1]:
            begin += 1
        while (
            at + end < len(form) and found + end < len(haystack) and form[at + end] == haystack[found + end]
        ):
            end += 1
        if begin + end >= piece:
            return True
        found = haystack.find(block, found + 1)
    return False


@dataclass
class Figures:
    """What was searched, and what was found."""

    processes: int = 0
    secrets: int = 0
    children: int = 0
    handoffs: int = 0
    connections: int = 0
    files: int = 0
    searched: int = 0
    hits: int = 0
    timed: int = 0
    milliseconds: int = 0

    def add(self, other: Mapping[str, int]) -> None:
        for name, count in other.items():
            setattr(self, name, getattr(self, name) + count)

    def __str__(self) -> str:
        return (
            f"{self.hits} hits in {self.searched / 1e6:.1f} MB of {self.processes} processes of "
            "pullkey, which had "
            f"{self.secrets} secrets, started {self.children} others, made {self.connections} "
            "connections and wrote "
            f"{self.files} files; {self.handoffs} of the {self.children} got the key as an "
            "argument, all of them akka's"
            + (
                f", for {self.milliseconds / self.timed:.0f} ms on the average of {self.timed}"
                if self.timed
                else ""
            )
        )


@dataclass
class Watched:
    """What the watched processes of one test have done.

    Args:
        folder: where they write it (`watch/sitecustomize.py`).
    """

    folder: Path
    records: list[dict[str, Any]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(WATCH), "PULLKEY_TESTS_WATCH": str(self.folder)}

    def read(self) -> None:
        self.records = [
            json.loads(line)
            for path in sorted(self.folder.glob("*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.endswith("}")  # a killed process may have been writing one
        ]

    def invalidate(self) -> None:
        """Start over."""
        self.records = []
        for path in self.folder.iterdir():
            path.unlink()

    def of(self, *events: str) -> Iterator[dict[str, Any]]:
        return (record for record in self.records if record["event"] in events)

    def secrets(self) -> set[str]:
        return {record["value"] for record in self.of("secret")}

    def handoffs(self) -> list[dict[str, Any]]:
        """The one call that has to contain a key: a direct child, without a shell, of `akka docker
        add-credentials`.
        """
        return [record for record in self.of("subprocess.Popen") if tuple(record["argv"][1:3]) == _HANDOFF]

    def contacted_hosts(self) -> list[str]:
        """The other machines that a process has tried to reach, by name or address."""
        reached = {record["to"] for record in self.of("socket.connect", "socket.sendto")}
        asked = {record["host"] for record in self.of("socket.getaddrinfo")} - {"None"}
        return sorted(host for host in reached | asked if not _LOOPBACK.match(host))

    def written(self) -> set[str]:
        """Every file that was opened for writing, except Python's compiled modules."""
        paths = {record["path"] for record in self.of("open")}
        return {path for path in paths if "/__pycache__/" not in path and not path.startswith("/dev/")}

    def texts(self) -> Iterator[tuple[str, str]]:
        """All texts to search, each with its place."""
        for record in self.records:
            event = record["event"]
            if event == "secret":
                continue
            values = {name: value for name, value in record.items() if name not in ("event", "at")}
            environment = values.pop("environment", None)
            if event == "subprocess.Popen" and tuple(record["argv"][1:3]) == _HANDOFF:
                values["argv"] = _without_password(record["argv"])
            where = f"{event} {record.get('path') or record.get('program') or ''}".strip()
            # As lines, not as JSON: quoted text is searched for in both forms anyway.
            yield where, _flat(values)
            if environment:
                # By itself: most processes have the same, and the same text is searched once.
                yield where, _flat(environment)
        for path in self.folder.glob("*.log"):
            yield "the libraries' logs", path.read_text(encoding="utf-8", errors="replace")


def _without_password(argv: list[str]) -> list[str]:
    """The arguments without the one required password; a second one would be found."""
    kept = list(argv)
    for number, argument in enumerate(kept):
        if argument.startswith("--docker-password="):
            del kept[number]
            break
    return kept


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}={_flat(one)}" for name, one in value.items())
    return "\n".join(map(_flat, value)) if isinstance(value, list) else str(value)


def search(texts: Iterable[tuple[str, str]], secrets: Iterable[str], figures: Figures) -> list[str]:
    """List the places that contain a piece of any of the secrets."""
    every = [(where, text.encode(errors="replace")) for where, text in dict.fromkeys(texts)]
    figures.searched += sum(len(text) for _, text in every)
    found = []
    unique = {text for _, text in every}
    grams = {text[at : at + _BLOCK] for text in unique for at in range(len(text) - _BLOCK + 1)}
    # Very short secrets are words of any text.
    for secret in sorted(one for one in set(secrets) if len(one) >= _BLOCK and may_hold(grams, one)):
        for where, text in every:
            if form := holds(text, secret):
                found.append(f"{where} holds a piece of {secret[:3]}... ({form})")
    figures.hits += len(found)
    return sorted(set(found))


def files_under(*folders: Path) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_text(encoding="utf-8", errors="replace")

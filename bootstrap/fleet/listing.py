"""What Akka and the clouds have for each target of a file: what `pullkey list -f` shows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.documents import SCHEMA_VERSION, moment, standing_document
from bootstrap.errors import ExitCode, PullkeyError
from bootstrap.fleet.look import due_by, due_on_by
from bootstrap.fleet.open import about
from bootstrap.fleet.registries import Entry, Registries
from bootstrap.fleet.work import Crew, each
from bootstrap.standing import Standing, stand


@dataclass
class Listed:
    """One target of a file, and how it stands; `standing` is None where Akka has nothing of it."""

    entry: Entry
    standing: Standing | None = None
    missing: str = ""
    not_seen: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.standing is not None:
            return self.standing.state
        return "wrong" if self.missing else "unseen" if self.not_seen else "gone"

    @property
    def wrong(self) -> list[str]:
        return self.standing.wrong if self.standing is not None else [self.missing] if self.missing else []

    @property
    def unseen(self) -> list[str]:
        return self.standing.unseen if self.standing is not None else self.not_seen


async def stands(crew: Crew, entries: Sequence[Entry], *, expires_within: dt.timedelta) -> list[Listed]:
    """How each stands, in the order of the file; what cannot be seen is told, and stops no other."""

    async def one(entry: Entry) -> Listed:
        async with crew.turns.room(entry):
            crew.board.at_work(entry, "looking")
            try:
                return await _stands(crew, entry, expires_within)
            except PullkeyError as error:
                return Listed(entry, not_seen=[error.what])

    crew.board.begin("looking", len(entries))
    with crew.office.desk.looking():
        return await each(entries, one)


async def _stands(crew: Crew, entry: Entry, within: dt.timedelta) -> Listed:
    held = await crew.office.held(entry)
    if held is None:
        return Listed(entry, missing="" if entry.remove else f"Akka has no credential named {entry.secret_name}")  # fmt: skip
    behind = await crew.looking.behind(entry, held)
    try:
        found = await stand(behind, crew.office.proofs, expires_within=within)
    finally:
        if behind.session is not None:
            await behind.session.close()
    if entry.remove:
        found.known.append("the file says that it is to go")
    elif held.link is None:
        found.wrong.append("it was not made by pullkey")
    elif behind.target is not None and behind.target.identity != entry.target.identity:
        found.wrong.append(f"it is of {behind.target.label}, and the file says {entry.target.label}")
    return Listed(entry, found)


def listing_lines(found: Sequence[Listed]) -> Iterator[str]:
    """A line a target, and below it what is wrong."""
    width = max((len(one.entry.name) for one in found), default=0)
    for one in found:
        key = one.standing.key if one.standing is not None else None
        end = f"key {key.key_id}" + (f" until {key.ends:%Y-%m-%d}" if key.ends else "") if key else ""
        yield f"{one.state:8} {one.entry.name:{width}}  {end}".rstrip()
        yield from (f"         wrong: {text}" for text in one.wrong)
        yield from (f"         not seen: {text}" for text in one.unseen)
    counts = Counter(one.state for one in found)
    yield f"{len(found)} target{'s' * (len(found) != 1)}: {', '.join(f'{count} {word}' for word, count in sorted(counts.items()))}."  # fmt: skip


def listing_document(registries: Registries, found: Sequence[Listed], code: ExitCode) -> dict[str, Any]:
    """What `pullkey list -f` prints as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "list",
        "file": registries.name,
        "exit_code": int(code),
        "targets": [
            {
                "name": one.entry.name,
                "line": one.entry.place.line,
                **about(one.entry),
                "state": one.state.replace(" ", "-"),
                "wrong": one.wrong,
                "not_seen": one.unseen,
                "credential": _credential(one.entry, one.standing) if one.standing is not None else None,
            }
            for one in found
        ],
    }


def _credential(entry: Entry, standing: Standing) -> dict[str, Any]:
    """As `pullkey list` prints it; when its key is due is for the file to say."""
    document, key = standing_document(standing), standing.key
    if key is not None:
        document["due"] = due_by(key, entry.rotate_after) or None
        document["due_on"] = moment(due_on_by(key, entry.rotate_after))
    return document

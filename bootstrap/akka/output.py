"""What the Akka CLI prints, as records: JSON where it has it, else the table."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import OutcomeUnknown, StepFailed

_SHOWN = 2_000


_BEGIN_OF_JSON = re.compile(r"^[^\S\n]*+(?=[\[{]|null[^\S\n]*+$)", re.MULTILINE)


_NOTICES = 100  # lines before the JSON that may look like some


def parse_credentials(text: str) -> list[HeldCredential]:
    """Read `akka docker list-credentials`, JSON or text: one row a credential, or one a credential and
    region.

    No sample of the current CLI's JSON is published, so any list of objects with the known keys is taken, in
    any case; the text form is what the guide shows, whose columns are not aligned.

    Raises:
        Unreadable: it is neither, so that what Akka has is not known: it may be anything.
    """
    if not text.strip():
        raise PrintedNothing
    found, document = json_in(text)
    if not found:
        return _parse_table(text)
    rows = _rows_of(document)
    if rows is None:
        raise Unreadable
    credentials = [_from_json(row) for row in rows]
    if not all(held.name for held in credentials):
        raise Unreadable
    return credentials


def parse_projects(text: str, context: str = "") -> list[AkkaScope]:
    """Read `akka projects list -o json`, of which no sample of the current CLI is published either."""
    found = []
    for row in _rows_of(json_in(text)[1]) or []:
        lower = _lower(row)
        name = _text(lower, "friendly_name", "friendlyname") or _text(lower, "name").rsplit("/", 1)[-1]
        owner = lower.get("owner")
        of = _text(_lower(owner), "friendly_name", "friendlyname", "id") if isinstance(owner, dict) else ""
        if name:
            found.append(AkkaScope(project=name, owner=of, context=context))
    return found


def merge_regions(rows: Sequence[HeldCredential]) -> list[HeldCredential]:
    """One row a credential, as its first region shows it; `behind` names the regions that show something
    else.

    The platform's API calls a copy Synced, NotSynced, Failed or Conflict.
    """
    by_name: dict[str, list[HeldCredential]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    merged = []
    for first, *others in by_name.values():
        same = (first.server, first.username, first.email, first.status.upper())
        behind = [
            row.region or "another region"
            for row in (first, *others)
            if (row.server, row.username, row.email, row.status.upper()) != same
            or row.sync.upper() not in ("", "OK", "SYNCED")
        ]
        merged.append(replace(first, lagging_regions=", ".join(behind)))
    return merged


class PrintsWithoutEnd(OutcomeUnknown):
    """The CLI prints more than could be read."""

    code = Code.AKKA_OUTPUT


class Unreadable(StepFailed):
    """What the CLI has printed is of no form that is known."""

    code = Code.AKKA_OUTPUT

    def __init__(self, what: str = "prints what pullkey cannot read") -> None:
        super().__init__(
            f"akka docker list-credentials {what}",
            fix="See what it prints; an update of the Akka CLI, or of pullkey, may be due.",
        )


class PrintedNothing(Unreadable):
    """The CLI has ended well and printed nothing: one form of its output says too little to conclude
    anything.
    """

    def __init__(self) -> None:
        super().__init__("printed nothing, so what Akka has is not known")


def json_in(text: str) -> tuple[bool, Any]:
    """Whether there is JSON, and the first of it: the CLI may print a notice of its own before and after."""
    decoder = json.JSONDecoder()
    begins = _BEGIN_OF_JSON.finditer(text)
    for begin in itertools.islice(begins, _NOTICES):
        with contextlib.suppress(ValueError, RecursionError):
            return True, decoder.raw_decode(text, begin.end())[0]
    return False, None


def _rows_of(document: Any) -> list[dict[str, Any]] | None:
    """The objects of a list, or of the one list in an object; none of null; None if it is something else."""
    if isinstance(document, dict) and document:
        lists = [value for value in document.values() if isinstance(value, list | None)]
        if not lists:
            return None
        document = lists[0]
    if not isinstance(document, list):
        return None if document else []
    return document if all(isinstance(row, dict) for row in document) else None


def _lower(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in row.items()}


def _text(lower: Mapping[str, Any], *names: str) -> str:
    found = next((lower[name] for name in names if lower.get(name) is not None), "")
    return _harmless(str(found)) if isinstance(found, str | int) else ""


def _harmless(text: str) -> str:
    """What somebody has registered may hold what moves a terminal's cursor, and is shown: only what can be
    printed.
    """
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text[:_SHOWN]


def _from_json(row: Mapping[str, Any]) -> HeldCredential:
    lower = _lower(row)
    return HeldCredential(
        name=_text(lower, "name", "secretname", "secret_name", "secret").rsplit("/", 1)[-1],
        server=_text(lower, "server", "dockerserver", "docker_server"),
        username=_text(lower, "username", "user", "dockerusername", "docker_username"),
        email=_text(lower, "email", "dockeremail", "docker_email"),
        status=_text(lower, "status", "state"),
        region=_text(lower, "region"),
        sync=_text(lower, "sync", "syncstatus", "sync_status"),
    )


def _parse_table(text: str) -> list[HeldCredential]:
    """Rows by what a column can hold, not by where it stands: user and e-mail may be blank."""
    lines = [_harmless(line.expandtabs(1)) for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if line.strip()]
    heads = [
        number for number, line in enumerate(lines) if line.split()[0] in ("NAME", "ID") and "SERVER" in line
    ]
    if not heads:
        # Nobody has documented what is printed where there are none.
        if not lines or (len(lines) == 1 and lines[0].lower().startswith("no ")):
            return []
        raise Unreadable
    columns = lines[heads[0]].split()
    rows = lines[heads[0] + 1 :]
    found = []
    for line in rows:
        name, *words = line.split()
        status = words.pop(0) if "STATUS" in columns and words else ""
        sync = words.pop() if "SYNC" in columns and words else ""
        region = words.pop() if "REGION" in columns and words else ""
        server = words.pop(0) if words else ""
        email = next((word for word in words if "@" in word), "")
        username = next((word for word in words if word != email), "")
        found.append(HeldCredential(name, server, username, email, status, region=region, sync=sync))
    return found

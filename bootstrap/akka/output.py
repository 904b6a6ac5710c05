"""Parse what the Akka CLI prints, as JSON or else as a table."""

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

MAX_FIELD_CHARACTERS = 2_000
# The names of a list beside which an object may have others.
_LISTS = ("items", "credentials", "dockercredentials", "docker_credentials", "projects")
# The forms of Cobra's errors, and of gRPC's.
_ERROR = re.compile(r"^[^\S\n]*+error:|\brpc error: code = ", re.IGNORECASE | re.MULTILINE)
_NO_ACCESS = re.compile(
    r"\b(?:log(?:ged)? in|login|auth|unauthenticated|permission|denied|expired|failed|context)\b",
    re.IGNORECASE,
)
# After these a call is retried: gRPC codes, and errors of the network before any answer.
_TRANSIENT = (
    "code = unavailable",
    "code = deadlineexceeded",
    "code = resourceexhausted",
    "code = internal",
    "code = aborted",
    "dial tcp",
    "no such host",
)
_BEGIN_OF_JSON = re.compile(r"^[^\S\n]*+(?=[\[{]|null[^\S\n]*+$)", re.MULTILINE)
_MAX_NOTICES = 100  # lines before the JSON that look like the beginning of JSON


def parse_credentials(text: str) -> list[HeldCredential]:
    """Parse `akka docker list-credentials`, JSON or text: a row per credential, or per credential and region.

    No sample of the current CLI's JSON is published, so any list of objects with the known keys, in upper or
    lower case, is accepted. The text form is the one in the guide, whose columns are not aligned.

    Raises:
        Unreadable: the text has neither form, so Akka may have any credentials.
    """
    if not text.strip():
        raise NoOutput
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
    """Parse `akka projects list -o json`. No sample of the current CLI's JSON is published.

    Raises:
        Unreadable: the text has no known form, so there may be any projects.
    """
    has_json, document = json_in(text)
    rows = _rows_of(document) if has_json else None
    if rows is None:
        raise Unreadable(command="akka projects list")
    found = []
    for row in rows:
        lower = _lower(row)
        name = _text(lower, "friendly_name", "friendlyname") or _text(lower, "name").rsplit("/", 1)[-1]
        owner = lower.get("owner")
        of = _text(_lower(owner), "friendly_name", "friendlyname", "id") if isinstance(owner, dict) else ""
        if name:
            found.append(AkkaScope(project=name, owner=of, context=context))
    return found


def merge_regions(rows: Sequence[HeldCredential]) -> list[HeldCredential]:
    """Merge the rows of each credential to that of its first region; `lagging_regions` has those that differ.

    The platform's API calls a region's copy Synced, NotSynced, Failed or Conflict.
    """
    by_name: dict[str, list[HeldCredential]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    merged = []
    for first, *others in by_name.values():
        same = (first.server, first.username, first.email, first.status.upper())
        lagging = [
            row.region or "another region"
            for row in (first, *others)
            if (row.server, row.username, row.email, row.status.upper()) != same
            or row.sync.upper() not in ("", "OK", "SYNCED")
        ]
        emails = dict.fromkeys(row.email for row in others if row.email not in ("", first.email))
        merged.append(replace(first, lagging_regions=", ".join(lagging), other_emails=" ".join(emails)))
    return merged


def is_error(text: str) -> bool:
    """Whether a text is an error's, also if the command ended with exit code 0: the CLI's exit codes are not
    documented.
    """
    return _ERROR.search(text) is not None


def says_why_not(text: str) -> bool:
    """Whether a text beside an empty list says why nothing could be listed."""
    return is_error(text) or _NO_ACCESS.search(text) is not None


def is_absence(error_text: str) -> bool:
    """Whether the CLI says that a named object does not exist. The wording is not documented.

    >>> is_absence("Error: rpc error: code = NotFound desc = no such project")
    True
    >>> is_absence("Error: rpc error: code = Unavailable desc = dial tcp: lookup api.example: no such host")
    False
    """
    words = ("not found", "does not exist", "no such", "notfound")
    return any(word in error_text.lower() for word in words) and not is_transient_text(error_text)


def is_transient_text(error_text: str) -> bool:
    """Whether an error is one that may pass, and so says nothing about what was asked for."""
    return any(reason in error_text.lower() for reason in _TRANSIENT)


class OutputTooLong(OutcomeUnknown):
    """The CLI printed more than `OUTPUT_LIMIT` and was stopped."""

    code = Code.AKKA_OUTPUT


class Unreadable(StepFailed):
    """The CLI's output has no known form."""

    code = Code.AKKA_OUTPUT

    def __init__(
        self,
        what: str = "prints what pullkey cannot read",
        *,
        command: str = "akka docker list-credentials",
    ) -> None:
        super().__init__(
            f"{command} {what}",
            fix="See what it prints; an update of the Akka CLI, or of pullkey, may be due.",
        )


class NoOutput(Unreadable):
    """The CLI succeeded and printed nothing, which is not enough to conclude that the list is empty."""

    def __init__(self) -> None:
        super().__init__("printed nothing, so what Akka has is not known")


def json_in(text: str) -> tuple[bool, Any]:
    """Find the first JSON in a text: the CLI may print notices before and after it. Return whether there is
    any, and its value.
    """
    decoder = json.JSONDecoder()
    begins = _BEGIN_OF_JSON.finditer(text)
    for begin in itertools.islice(begins, _MAX_NOTICES):
        with contextlib.suppress(ValueError, RecursionError):
            return True, decoder.raw_decode(text, begin.end())[0]
    return False, None


def _rows_of(document: Any) -> list[dict[str, Any]] | None:
    """The objects in a list, or in the only list of an object that is not empty; [] for null; None for
    anything else, such as an object with several lists of unknown names.
    """
    if isinstance(document, dict) and document:
        lower = _lower(document)
        lists = [value for value in document.values() if isinstance(value, list) and value]
        if len(lists) > 1:
            lists = [lower[name] for name in _LISTS if lower.get(name) in lists]
        if not lists and _has_empty_list(lower):
            return []
        if len(lists) != 1:
            return None
        document = lists[0]
    if not isinstance(document, list):
        return None if document else []
    return document if all(isinstance(row, dict) for row in document) else None


def _has_empty_list(lower: Mapping[str, Any]) -> bool:
    """Whether an object has a list with nothing in it, or null in its place."""
    return (
        [] in lower.values()
        or [*lower.values()] == [None]
        or any(name in lower and lower[name] is None for name in _LISTS)
    )


def _lower(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in row.items()}


def _text(lower: Mapping[str, Any], *names: str) -> str:
    found = next((lower[name] for name in names if lower.get(name) is not None), "")
    return _printable(str(found)) if isinstance(found, str | int) else ""


def _printable(text: str) -> str:
    """Drop control characters: a registered text may contain some that move a terminal's cursor."""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text[:MAX_FIELD_CHARACTERS]


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
    """Parse the text form. Columns are recognised by content, since user name and e-mail may be blank."""
    lines = [_printable(line.expandtabs(1)) for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if line.strip()]
    heads = [
        number for number, line in enumerate(lines) if line.split()[0] in ("NAME", "ID") and "SERVER" in line
    ]
    if not heads:
        # The form of an empty list is not documented.
        said_none = len(lines) == 1 and lines[0].lower().startswith("no ") and not says_why_not(lines[0])
        if not lines or said_none:
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

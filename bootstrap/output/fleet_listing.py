"""The health of each target of a file, as `pullkey list -f` shows it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.engine.due import due_by_policy, due_on_by_policy
from bootstrap.engine.health import CredentialHealth, assess, exit_code_of_all
from bootstrap.engine.unfinished import unfinished
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.executor import Executor, each
from bootstrap.fleet.registries import Registries
from bootstrap.fleet.workspace import about
from bootstrap.model.errors import ExitCode, LeftOver, PullkeyError, Refused, exit_code_of_many
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.model.text import count_of, sentence
from bootstrap.output.fleet_results import ScopeOf
from bootstrap.output.json_documents import health_document, left_over_document, moment
from bootstrap.output.tables import Row, Style, as_table, state_word
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.unavailable import Unavailable


@dataclass
class Listed:
    """One target of a file with its health; `health` is None where Akka has no credential."""

    entry: Entry
    health: CredentialHealth | None = None
    missing: str = ""
    not_seen: list[str] = field(default_factory=list)
    of_gone: Sequence[LeftOver] = ()
    """What is left over of a credential that Akka no longer lists."""
    unfinished: str = ""
    """An earlier run for such a credential that did not end, and the command that cleans up after it."""
    unread: bool = False
    """Whether Akka could not be asked for its credential."""

    @property
    def state(self) -> str:
        if self.health is not None:
            return self.health.state
        return "wrong" if self.problems else "unseen" if self.not_seen else "gone"

    @property
    def problems(self) -> list[str]:
        if self.health is not None:
            return self.health.problems
        return [*filter(None, [self.missing, self.unfinished]), *map(str, self.of_gone)]

    @property
    def left_over(self) -> Sequence[LeftOver]:
        return self.health.left_over if self.health is not None else self.of_gone

    @property
    def unverified(self) -> list[str]:
        return self.health.unverified if self.health is not None else self.not_seen


async def assess_targets(
    executor: Executor, entries: Sequence[Entry], *, expires_within: dt.timedelta | None
) -> list[Listed]:
    """The health of each target, in the order of the file; errors are reported and do not stop the others."""

    async def one(entry: Entry) -> Listed:
        async with executor.scheduler.reading(entry):
            executor.reporter.at_work(entry, "looking")
            try:
                return await _assess_target(executor, entry, expires_within)
            except Exception as error:  # noqa: BLE001  - an SDK can raise anything
                return Listed(entry, not_seen=[as_user_error(error).what])

    executor.reporter.begin("looking", len(entries))
    with executor.workspace.pool.reading():
        return await each(entries, one)


async def _assess_target(executor: Executor, entry: Entry, within: dt.timedelta | None) -> Listed:
    if isinstance(entry.provider, Unavailable):
        raise entry.provider.error
    try:
        workspace = executor.workspace
        held = await (workspace.held_confirmed if entry.remove else workspace.held)(entry)
    except PullkeyError as error:
        return Listed(entry, not_seen=_reasons(error), unread=True)
    if held is None:
        journal = workspace.journal(entry)
        earlier = await unfinished(journal, None)
        left, unseen = earlier.left_over, list[str]()
        if entry.remove and journal.left_behind() is None:
            left, unseen = await executor.planner.remains(entry)
        return Listed(
            entry,
            missing="" if entry.remove else f"Akka has no credential named {entry.secret_name}",
            unfinished="" if left else str(earlier),
            of_gone=left,
            not_seen=unseen,
        )
    found = await assess(
        lambda: executor.planner.locate(entry, held),
        executor.workspace.assembly.verified_pulls,
        executor.workspace.journal(entry),
        expires_within=within,
    )
    if entry.remove:
        found.notes.append("the file marks it for removal")
    elif found.located.differs:
        found.problems.append(found.located.differs)
    elif (
        found.key is not None and found.key.supplied and (why := due_by_policy(found.key, entry.rotate_after))
    ):
        found.problems.append(why)  # only the user can replace it
    return Listed(entry, found)


def _reasons(error: PullkeyError) -> list[str]:
    """Why Akka could not be asked, with the fix of each problem that the preflight has found."""
    if not isinstance(error, Refused):
        return [error.what]
    return [f"{sentence(one.what)} {one.fix}".strip() for one in error.problems]


def exit_code_of_targets(found: Sequence[Listed], *, check: bool) -> ExitCode:
    """As `exit_code_of_all`; and where Akka could not be asked, 4, or 3 if that is so for all targets."""
    if code := exit_code_of_all(found, check=check):
        return code
    return exit_code_of_many([ExitCode.REFUSED if one.unread else ExitCode.DONE for one in found])


def listing_lines(
    found: Sequence[Listed], *, width: int | None, style: Style, summary: bool = False
) -> Iterator[str]:
    """The table of `pullkey list` with a line per target and its problems; in a summary only problems."""
    rows = [
        _row(one)
        for one in found
        if not (summary and one.state in ("ok", "brought", "gone") and not one.left_over)
    ]
    if rows:
        yield from as_table(rows, width=width, style=style)
    counts = Counter(one.state for one in found)
    yield (
        f"{count_of(len(found), 'target')}: "
        f"{', '.join(f'{count} {state_word(word)}' for word, count in sorted(counts.items()))}."
    )


def _row(one: Listed) -> Row:
    remarks = [
        *(("wrong: ", text) for text in one.problems),
        *(("not seen: ", text) for text in one.unverified),
    ]
    return Row(one.entry.name, one.entry.target.label, one.health, one.state, remarks)


def listing_document(
    registries: Registries, found: Sequence[Listed], code: ExitCode, scope: ScopeOf
) -> dict[str, Any]:
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
                **about(one.entry, scope(one.entry)),
                "state": one.state.replace(" ", "-"),
                "wrong": one.problems,
                "not_seen": one.unverified,
                "left_over": left_over_document(one.left_over),
                "credential": _credential(one.entry, one.health) if one.health is not None else None,
            }
            for one in found
        ],
    }


def _credential(entry: Entry, health: CredentialHealth) -> dict[str, Any]:
    """The credential as `pullkey list` prints it, but due by the file's policy."""
    document, key = health_document(health), health.key
    if key is not None:
        document["due"] = due_by_policy(key, entry.rotate_after) or None
        document["due_on"] = moment(due_on_by_policy(key, entry.rotate_after))
    return document

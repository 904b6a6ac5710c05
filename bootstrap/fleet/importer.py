"""Writes a file of registries from Akka's credentials, as a starting point that matches the actual state.

What Akka's record does not say is read from the clouds; what neither shows is marked with a comment for the
user to complete.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.locate import find, provider_of
from bootstrap.fleet.fields import Kind, own_fields
from bootstrap.fleet.registries import InvalidFile, parse_entries
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import ExitCode, PullkeyError, Refused, UsageProblem
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.model.text import one_line, sentence
from bootstrap.plugin.context import RunContext

_AT_ONCE = 16
# What every YAML parser reads as the same text.
_PLAIN = re.compile(r"^[A-Za-z][A-Za-z0-9._/@-]*(?::[A-Za-z0-9._/@-]+)*$")
_NO_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})

Value = str | bool


@dataclass(frozen=True)
class Found:
    """One credential of Akka's, as a target.

    Attributes:
        options: the target's, by their names in the file.
        incomplete: why it is not a complete target, and is written as a comment.
        notes: what the user should know about it.
        sources: the names under which a secret's source may be given.
    """

    held: HeldCredential
    scope: AkkaScope
    options: Mapping[str, Value]
    incomplete: str = ""
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """What the user has to complete before `apply` accepts it."""
        source = [f"{' or '.join(self.sources)}: where it is read from"] if self.sources else []
        return [*([self.incomplete] if self.incomplete else []), *source]


def imported_document(
    found: Sequence[Found], unseen: Sequence[str], text: str, path: str | None, code: ExitCode
) -> dict[str, Any]:
    """What `pullkey import` prints as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "import",
        "exit_code": int(code),
        "file": path or None,
        "text": text,
        "targets": [
            {
                "secret_name": one.held.name,
                "akka_project": one.scope.project or None,
                "akka_owner": one.scope.owner or None,
                "akka_context": one.scope.context or None,
                "provider": str(one.options["provider"]),
                "server": one.held.server,
                "missing": one.missing,
                "notes": list(one.notes),
            }
            for one in found
        ],
        "not_seen": list(unseen),
    }


async def _found_in(akka: AkkaCli, context: RunContext, room: asyncio.Semaphore) -> list[Found]:
    """The credentials of one Akka project, by name.

    Args:
        akka: for the project, whose name is "" only where the CLI does not show it.
        context: of the command.
        room: for the credentials of all projects that are looked at in parallel.

    Raises:
        PullkeyError: Akka cannot be asked.
    """

    async def one(held: HeldCredential) -> Found:
        async with room:
            return await _found(held, akka.scope, context)

    return list(await asyncio.gather(*map(one, sorted(await akka.credentials(), key=lambda held: held.name))))


async def _found(held: HeldCredential, scope: AkkaScope, context: RunContext) -> Found:
    try:
        provider = provider_of(held)
    except UsageProblem as error:
        return Found(held, scope, {"provider": "unknown", "secret-name": held.name}, one_line(error.what), ())
    notes = [] if held.status_is_ok else [f"Akka's status of it is {held.status}"]
    target = None
    if held.link is None:
        notes.append(
            "created by hand: pullkey replaces it with a credential of its own; its cloud resources are kept"
        )
    else:
        located = await find(held, context)
        target = located.target
        if located.session is not None:
            await located.session.close()
        if located.error is not None:
            notes.append(f"its cloud resources could not be read: {one_line(located.error.what)}")
    options: dict[str, Value] = {"provider": provider.name, **provider.options_of(held, target)}
    options |= {
        name: value
        for name, value in (
            ("akka-project", scope.project),
            ("akka-owner", scope.owner),
            ("akka-region", scope.region),
            ("akka-context", scope.context),
        )
        if value
    }
    options["secret-name"] = held.name
    incomplete = ""
    try:
        (entry,) = parse_entries([options], "it").entries
        if entry.target.secret_name == held.name:
            del options["secret-name"]
    except InvalidFile as error:
        incomplete = "; ".join(one.what for one in error.faults)
    sources = tuple(one.name for one in own_fields(provider.name).values() if one.kind is Kind.SOURCE)
    return Found(held, scope, options, incomplete, tuple(notes), sources)


def as_file(found: Sequence[Found], *, unseen: Sequence[str]) -> Iterator[str]:
    """The lines of the file.

    Args:
        found: its targets, those of one Akka project together.
        unseen: the projects that could not be read, and why.
    """
    yield "# yaml-language-server: $schema=registries.schema.json"
    yield "# Written by `pullkey import`. The schema: pullkey schema registries > registries.schema.json"
    yield "# Look it over, then: pullkey plan -f FILE"
    for why in unseen:
        yield f"# Not in here: {_comment(why)}"
    yield "version: 1"
    whole = [one for one in found if not one.incomplete]
    yield "targets:" if whole else "targets: []  # nothing could be written as a whole target; see below"
    scope = None
    for one in found:
        if one.scope != scope:
            scope = one.scope
            yield ""
            yield f"  # Akka project {_comment(_name_of(scope)) or '(current)'}"
        yield from _target(one)


def _target(one: Found) -> Iterator[str]:
    for note in one.notes:
        yield f"  # {_comment(f'{one.held.name}: {note}')}"
    if one.incomplete:
        yield (
            "  # "
            f"{_comment(f'{one.held.name} ({one.held.server}, {one.held.username}) is to be completed: {one.incomplete}')}"  # noqa: E501
        )
    mark = "  # " if one.incomplete else "  "
    for number, (name, value) in enumerate(one.options.items()):
        yield f"{mark}{'- ' if number == 0 else '  '}{name}: {_scalar(value)}"
    if one.sources:
        names = " or ".join(one.sources)
        yield (
            f"{'  #   ' if one.incomplete else '    # '}{one.sources[0]}: env:NAME   ({names}: where it is "
            "read from, when it is needed)"
        )


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = _PLAIN.match(value) and value.lower() not in _NO_WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    return one_line(text, 400)


async def of_projects(
    akka: AkkaCli, projects: Sequence[AkkaScope], context: RunContext
) -> tuple[list[Found], dict[AkkaScope, list[str]]]:
    """The credentials of several Akka projects, and why some projects could not be read."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(project: AkkaScope) -> list[Found]:
        there = akka.elsewhere(project)
        if problems := await there.preflight():
            raise Refused(problems)
        return await _found_in(there, context, room)

    answers = await asyncio.gather(*map(one, projects), return_exceptions=True)
    found: list[Found] = []
    unseen: dict[AkkaScope, list[str]] = {}
    for project, answer in zip(projects, answers, strict=True):
        if isinstance(answer, Refused):
            unseen[project] = [f"{sentence(one.what)} {one.fix}" for one in answer.problems]
        elif isinstance(answer, PullkeyError):
            unseen[project] = [f"Akka's project {_name_of(project)}: {answer.what}"]
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += answer
    return found, unseen


def _name_of(project: AkkaScope) -> str:
    """The name of a project, with its owner where that is needed."""
    return "/".join(filter(None, (project.owner, project.project)))

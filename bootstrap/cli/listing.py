"""`pullkey list` for a project and for a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli.file_work import open_file, registries_of
from bootstrap.cli.heartbeat import explaining_slow_reads
from bootstrap.cli.listing_output import show_listing
from bootstrap.cli.project_command import ProjectCommand, open_project
from bootstrap.cli.secrets import asker, check_one_service
from bootstrap.model.errors import ExitCode, LeftOver, PullkeyError
from bootstrap.output.terminal import say, width_of

if TYPE_CHECKING:
    import asyncio

    from bootstrap.akka.scope import AkkaScope
    from bootstrap.engine.health import CredentialHealth
    from bootstrap.engine.journal import Record
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.secret import Secret


AT_ONCE = 8


@dataclass(frozen=True)
class Listing:
    """The health of a project's credentials.

    Args:
        left_over: what earlier runs have left over of credentials that Akka no longer lists.
    """

    scope: AkkaScope
    assessed: Sequence[CredentialHealth]
    left_over: Sequence[LeftOver]

    def exit_code(self, *, check: bool) -> ExitCode:
        from bootstrap.engine.health import exit_code_of_all

        return ExitCode.LEFT_OVER if self.left_over else exit_code_of_all(self.assessed, check=check)


async def listing(values: Mapping[str, Any], secret: Secret | None) -> Listing:
    """The health of all credentials of a project, or of the named ones.

    Raises:
        Refused: Akka cannot be asked.
        UsageProblem: Akka has no credential of a given name.
    """
    from bootstrap.engine.locate import known_names
    from bootstrap.engine.messages import credential_not_found

    async with open_project(values) as command:
        if secret is not None:
            command.context.ask_secret = asker(secret)
        held = await command.akka.credentials_with(values["names"])
        gone = left_over_of_gone(command.scope, [one.name for one in held])
        for name in values["names"]:
            if name not in [*gone, *(one.name for one in held)]:
                raise credential_not_found(name, command.scope.label, known_names(held, name))
        chosen = [one for one in held if not values["names"] or one.name in values["names"]]
        check_one_service(secret, chosen)
        left = [left for name, items in gone.items() if name in (values["names"] or gone) for left in items]
        with explaining_slow_reads():
            assessed = await assess_all(command, chosen, values["expires_within"])
        return Listing(command.scope, assessed, left)


def records_of_left_overs() -> list[Record]:
    """The records of earlier runs on this machine that have left something over."""
    from bootstrap.engine.journal import Journal
    from bootstrap.model.settings import state_directory

    found = Journal.all_left_behind(state_directory())
    return [one for one in found if not isinstance(one, PullkeyError) and one.left_over]


def left_over_of_gone(
    scope: AkkaScope, listed: Sequence[str], records: Sequence[Record] | None = None
) -> Mapping[str, Sequence[LeftOver]]:
    """What earlier runs on this machine have left over of credentials that Akka does not list, by name.

    Args:
        scope: the project.
        listed: the names that Akka lists in it.
        records: of `records_of_left_overs`, if they were read.
    """
    found = {}
    for record in records_of_left_overs() if records is None else records:
        name = scope.secret_at(record.place)
        if name and name not in listed:
            found[name] = record.left_over
    return found


async def list_of_project(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.output.json_documents import list_document

    found = await listing(values, secret)
    code = found.exit_code(check=values["check"])

    def show() -> None:
        _show(found.assessed, values["names"], found.scope)
        for left in found.left_over:
            say(str(left), sys.stdout)

    show_listing(
        values, lambda: list_document(found.assessed, found.left_over, scope=found.scope, code=code), show
    )
    return code


async def assess_all(
    command: ProjectCommand,
    chosen: Sequence[HeldCredential],
    within: Any,
    room: asyncio.Semaphore | None = None,
) -> list[CredentialHealth]:
    """The health of each credential, read in parallel; one that fails does not stop the others.

    Args:
        command: for the project.
        chosen: its credentials.
        within: the time within which an expiry is a problem.
        room: for those that are read in parallel, where it is shared with other projects.
    """
    import asyncio

    from bootstrap.engine.health import assess
    from bootstrap.engine.locate import find

    room = room or asyncio.Semaphore(AT_ONCE)

    async def look(held: HeldCredential) -> Any:
        journal = command.assembly.journal(command.scope, held.name)
        async with room:
            return await assess(
                lambda: find(held, command.context),
                command.assembly.verified_pulls,
                journal,
                expires_within=within,
            )

    return list(await asyncio.gather(*map(look, sorted(chosen, key=lambda one: one.name))))


def style_of_list() -> Callable[[str, str], str]:
    """Returns a function that gives a line the colour of its state, if stdout shows colours."""
    from bootstrap.output.terminal import wants_colour

    colours = {
        "head": {"bold": True},
        "ok": {"fg": "green"},
        "wrong": {"fg": "red", "bold": True},
        "unseen": {"fg": "yellow"},
    }
    coloured = wants_colour(sys.stdout)

    def style(text: str, state: str) -> str:
        return click.style(text, **colours.get(state, {"dim": True})) if coloured else text  # type: ignore[arg-type]

    return style


def _show(assessed: Sequence[Any], names: Sequence[str], scope: AkkaScope) -> None:
    from bootstrap.output.tables import HANGING, as_page, as_table, row_of, total, unseen_lines

    if not assessed:
        what = f"credential named {', '.join(names)}" if names else "registry credentials"
        say(f"Akka has no {what} in {scope.label}.", sys.stdout)
        return
    say(scope.described, sys.stdout)
    style = style_of_list()
    if len(names) == 1:
        for line in as_page(assessed[0], style=style):
            say(line, sys.stdout, further=HANGING)
        return
    width = width_of(sys.stdout)
    table = as_table([row_of(one) for one in assessed], width=width, style=style)
    say("\n".join([*table, *unseen_lines(assessed, width), total(assessed)]), sys.stdout)


async def list_of_file(values: Mapping[str, Any]) -> int:
    from bootstrap.cli.heartbeat import ticking
    from bootstrap.output.fleet_listing import (
        assess_targets,
        exit_code_of_targets,
        listing_document,
        listing_lines,
    )
    from bootstrap.output.fleet_results import project_lines

    registries = registries_of(values)
    async with open_file(registries, values) as job:
        with ticking(job.reporter):
            found = await assess_targets(
                job.executor, registries.entries, expires_within=values["expires_within"]
            )
    code = exit_code_of_targets(found, check=values["check"])

    def show() -> None:
        shown = listing_lines(
            found, width=width_of(sys.stdout), style=style_of_list(), summary=values["summary"]
        )
        for line in (*project_lines(registries.entries, job.workspace.scope), *shown):
            say(line, sys.stdout)

    show_listing(values, lambda: listing_document(registries, found, code, job.workspace.scope), show)
    return code

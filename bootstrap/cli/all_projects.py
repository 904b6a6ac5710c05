"""`pullkey list --all-projects`: the credentials of every Akka project that the login sees."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.cli import messages, messages_credentials
from bootstrap.cli.listing import (
    AT_ONCE,
    Listing,
    assess_all,
    left_over_of_gone,
    records_of_left_overs,
    style_of_list,
)
from bootstrap.cli.listing_output import show_listing
from bootstrap.cli.options import is_typed
from bootstrap.cli.project_command import ProjectCommand, open_project
from bootstrap.cli.secrets import asker, check_one_service
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import ExitCode, PullkeyError, exit_code_of_many, first_line
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.text import count_of
from bootstrap.output.tables import as_table, row_of, total, unseen_lines
from bootstrap.output.terminal import put, say, width_of
from bootstrap.plugin.retry import read_twice

if TYPE_CHECKING:
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.model.secret import Secret


@dataclass(frozen=True)
class NotRead:
    """A project whose credentials this login may not read."""

    scope: AkkaScope
    error: PullkeyError


async def list_all_projects(values: Mapping[str, Any], secret: Secret | None) -> int:
    """List the credentials of all projects with their state in the clouds; report those not read.

    Raises:
        Refused: Akka cannot be asked.
        UsageProblem: no project has a credential of a given name; or --akka-project was given.
    """
    if values["akka_project"] and is_typed("akka_project"):
        raise messages.project_and_all_projects()
    # A project that a variable names is ignored here: it is for the other commands.
    async with open_project({**values, "akka_project": None}) as command:
        if secret is not None:
            command.context.ask_secret = asker(secret)
        user = command.akka.resolved.user
        scopes = [
            replace(one, region=command.scope.region, user=user)
            for one in await command.akka.projects()
            if command.scope.owner in ("", one.owner)
        ]
        scopes.sort(key=lambda one: (one.project, one.owner))
        answers = await _credentials(command.akka, scopes, values["names"])
        held, not_read = _split(scopes, answers)
        found = await _assessed(command, held, not_read, values, secret)
    refused = [
        one.error.exit_code if one.error.exit_code is ExitCode.USAGE else ExitCode.REFUSED for one in not_read
    ]
    code = exit_code_of_many([*(one.exit_code(check=values["check"]) for one in found), *refused])

    def document() -> Mapping[str, Any]:
        from bootstrap.output.json_documents import projects_document

        return projects_document(
            [(one.scope, one.assessed, one.left_over) for one in found],
            [(one.scope, one.error) for one in not_read],
            scope=replace(command.scope, project="", current="", current_owner="", user=user),
            code=code,
        )

    show_listing(values, document, lambda: _show(found, not_read, user, values["names"]))
    return code


def _split(
    scopes: Sequence[AkkaScope], answers: Sequence[list[HeldCredential] | PullkeyError]
) -> tuple[list[tuple[AkkaScope, list[HeldCredential]]], list[NotRead]]:
    """The projects with their credentials, and those that were not read."""
    held: list[tuple[AkkaScope, list[HeldCredential]]] = []
    not_read: list[NotRead] = []
    for scope, answer in zip(scopes, answers, strict=True):
        if isinstance(answer, PullkeyError):
            not_read.append(NotRead(scope, answer))
        else:
            held.append((scope, answer))
    return held, not_read


async def _assessed(
    command: ProjectCommand,
    held: Sequence[tuple[AkkaScope, Sequence[HeldCredential]]],
    not_read: Sequence[NotRead],
    values: Mapping[str, Any],
    secret: Secret | None,
) -> list[Listing]:
    """The health of the credentials of each project, or of the named ones.

    Raises:
        UsageProblem: no project has a credential of a given name, or a secret is for more than one service.
    """
    names, records = values["names"], records_of_left_overs()
    gone = {scope: left_over_of_gone(scope, [one.name for one in listed], records) for scope, listed in held}
    known = [
        *(one.name for _, listed in held for one in listed),
        *(name for one in gone.values() for name in one),
    ]
    _check_names(names, known, not_read)
    chosen = [(scope, [one for one in listed if not names or one.name in names]) for scope, listed in held]
    check_one_service(secret, (one for _, credentials in chosen for one in credentials))
    room = asyncio.Semaphore(AT_ONCE)

    async def of(scope: AkkaScope, credentials: Sequence[HeldCredential]) -> Listing:
        of_project = replace(command, scope=scope, akka=command.akka.elsewhere(scope))
        left = [one for name, items in gone[scope].items() if name in (names or gone[scope]) for one in items]
        assessed = await assess_all(of_project, credentials, values["expires_within"], room)
        return Listing(scope, assessed, left)

    return list(await asyncio.gather(*(of(scope, credentials) for scope, credentials in chosen)))


async def _credentials(
    akka: AkkaCli, scopes: Sequence[AkkaScope], names: Sequence[str]
) -> list[list[HeldCredential] | PullkeyError]:
    """The credentials of each project, or the error. Read twice if a name is in none: replicas lag."""
    room = asyncio.Semaphore(AT_ONCE)
    answers: list[list[HeldCredential] | PullkeyError] = []

    async def of(scope: AkkaScope) -> list[HeldCredential] | PullkeyError:
        async with room:
            try:
                return await akka.elsewhere(scope).credentials()
            except PullkeyError as error:
                return error

    async def as_expected() -> bool | None:
        nonlocal answers
        answers = await asyncio.gather(*map(of, scopes))
        shown = {one.name for listed in answers if not isinstance(listed, PullkeyError) for one in listed}
        return shown.issuperset(names) or None

    await read_twice(as_expected)
    return answers


def _check_names(names: Sequence[str], known: Sequence[str], not_read: Sequence[NotRead]) -> None:
    for name in names:
        if name not in known:
            near = nearest_or_all(name, dict.fromkeys(known), many="See `pullkey list --all-projects`")
            raise messages_credentials.credential_in_no_project(name, near, len(not_read))


def _show(found: Sequence[Listing], not_read: Sequence[NotRead], user: str, names: Sequence[str]) -> None:
    count, width, style = len(found) + len(not_read), width_of(sys.stdout), style_of_list()
    say(f"{count_of(count, 'Akka project')}{f', as {user}' if user else ''}", sys.stdout)
    scopes = [*(one.scope for one in found), *(one.scope for one in not_read)]
    several = len({scope.owner for scope in scopes}) > 1
    rows = [
        replace(row_of(one), name=f"{_name(listing.scope, several)}/{one.located.held.name}")
        for listing in found
        for one in listing.assessed
    ]
    assessed = [one for listing in found for one in listing.assessed]
    if rows:
        put("\n".join(as_table(rows, width=width, style=style)), sys.stdout)
        for line in unseen_lines(assessed, width):
            put(line, sys.stdout)
    for one in not_read:
        say(style(f"not seen: {one.scope.label}: {first_line(one.error)}", "unseen"), sys.stdout)
    unread = f"; {count_of(len(not_read), 'project')} could not be read" if not_read else ""
    none = (
        f"There is no credential named {', '.join(names)}" if names else "There are no registry credentials"
    )
    say(f"{total(assessed) if assessed else none}{unread}.", sys.stdout)
    for listing in found:
        for left in listing.left_over:
            say(f"{_name(listing.scope, several)}: {left}", sys.stdout)


def _name(scope: AkkaScope, several: bool) -> str:
    """The name of a project, with its owner where projects of several owners are shown."""
    return f"{scope.owner}/{scope.project}" if several and scope.owner else scope.project

"""`pullkey offboard` for a project and for a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages_credentials as messages
from bootstrap.cli.file_work import do_planned, open_file, registries_of
from bootstrap.cli.listing import left_over_of_gone
from bootstrap.cli.options import command_as_typed
from bootstrap.cli.project_command import (
    ProjectCommand,
    each_credential,
    open_project,
)
from bootstrap.cli.secrets import check_one_service
from bootstrap.model.errors import ExitCode, LeftOver, PullkeyError
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.secret import Secret


async def offboard_in_project(values: Mapping[str, Any], secret: Secret | None) -> int:
    """Remove the named credential, or all that pullkey created."""
    left_over: Sequence[LeftOver] = ()

    async def one(command: ProjectCommand, held: HeldCredential) -> int:
        return await _offboard_one(command, held, values, secret)

    async with open_project(values) as command:
        name = values["name"]
        credentials = await command.akka.credentials_with([name] if name else [])
        if not name:
            check_one_service(secret, credentials)
            code = await each_credential(command, values, one, "offboard")
            # Akka has no record of a credential whose run left something before it registered it.
            listed = await _credentials_now(command)
            names = [held.name for held in (credentials if listed is None else listed)]
            left_over = [one for items in left_over_of_gone(command.scope, names).values() for one in items]
            if left_over:
                command.reporter.left_over(left_over)
                code = code if code == ExitCode.INTERRUPTED else ExitCode.LEFT_OVER
        elif name in [held.name for held in credentials]:
            code = await each_credential(command, values, one, "offboard")
        elif (lost := _left_behind(command, name)) is not None:
            command.reporter.notice("An earlier run has not removed all of it; going on with that.")
            code = await one(command, lost)
        else:
            left_over = await _unlisted(command, name, credentials, keep_secret=values["keep_secret"])
            code = ExitCode.LEFT_OVER if left_over else ExitCode.DONE
    command.print_results("offboard", values, code, left_over)
    return code


async def _credentials_now(command: ProjectCommand) -> Sequence[HeldCredential] | None:
    """What Akka lists after the removals; None if it does not answer, or a signal arrives: what was removed
    is reported all the same.
    """
    import asyncio

    try:
        return await command.akka.credentials()
    except (PullkeyError, asyncio.CancelledError, KeyboardInterrupt):
        return None


async def _unlisted(
    command: ProjectCommand, name: str, credentials: Sequence[HeldCredential], *, keep_secret: bool
) -> list[LeftOver]:
    """What is left of a credential that Akka does not list: its secret, whose owner is not managed.

    Akka lists a credential by the project's reference, which is removed first, written last, and may appear
    late.

    Raises:
        UsageProblem: there is no secret either; an already deleted and a mistyped name look the same.
    """
    from bootstrap.engine.locate import known_names
    from bootstrap.engine.messages import secret_left_over

    where = command.scope.label
    if keep_secret or not await command.akka.lists_secret(name):
        # Already deleted would count as done, but a mistyped name must not.
        say(messages.offboarding_may_be_interrupted(name), sys.stderr)
        raise messages.nothing_of_this_name(name, where, known_names(credentials, name))
    found = [secret_left_over(name, command.akka.secret_removal(name))]
    for line in messages.only_secret_is_there(name, where):
        say(line, sys.stderr)
    command.reporter.left_over(found)
    return found


def _left_behind(command: ProjectCommand, name: str) -> HeldCredential | None:
    """The credential that an interrupted run was removing; Akka may no longer list it.

    Raises:
        PullkeyError: the interrupted run did something else, or is still running.
    """
    from bootstrap.engine.removal_entry import being_removed

    journal = command.assembly.journal(command.scope, name)
    lost = journal.left_behind()
    if lost is not None and journal.at_work:
        raise messages.run_at_work(name, command.scope.label, lost.run_id, lost.begun)
    going = being_removed(lost)
    if lost is not None and going is None:
        raise messages.run_unfinished(name, command.scope.label, lost.run_id, lost.begun, lost.command)
    return going


async def _offboard_one(
    command: ProjectCommand,
    held: HeldCredential,
    values: Mapping[str, Any],
    secret: Secret | None,
) -> int:
    from bootstrap.engine.run_options import OffboardOptions
    from bootstrap.output.json_documents import offboarding_document
    from bootstrap.output.summary import print_offboarding

    located, managed = await command.locate("offboard", held, values, secret)
    options = OffboardOptions(
        dry_run=values["dry_run"],
        yes=values["yes"],
        keep_identity=values["keep_identity"],
        keep_secret=values["keep_secret"],
        command=command_as_typed(),
    )
    who = await managed.session.connect()
    command.record(located)
    command.reporter.connected(managed.target.label, who)
    offboarding = command.assembly.offboarding(located, command.open_target(managed), options)
    outcome = await command.perform(offboarding, options.command)
    command.documents.append(offboarding_document(outcome, located, scope=command.scope))
    print_offboarding(outcome, located, command.scope.label)
    return outcome.exit_code


async def offboard_in_file(values: Mapping[str, Any]) -> int:
    found = registries_of(values)
    registries = replace(found, entries=tuple(replace(one, remove=True) for one in found.entries))
    async with open_file(registries, values) as job:
        return await do_planned(job, "offboard")

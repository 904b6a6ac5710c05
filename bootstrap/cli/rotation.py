"""`pullkey rotate` for a project and for a file."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages_credentials as messages
from bootstrap.cli.file_work import do_planned, open_file, registries_of
from bootstrap.cli.options import command_as_typed
from bootstrap.cli.project_command import (
    ManagedCredential,
    ProjectCommand,
    each_credential,
    open_project,
)
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import Declined, ExitCode, PullkeyError
from bootstrap.model.text import count_of
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.engine.result import Result
    from bootstrap.engine.target_operation import TargetOperation
    from bootstrap.fleet.planner import Planned
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.key_facts import KeyFacts
    from bootstrap.model.secret import Secret


async def rotate_in_project(values: Mapping[str, Any], secret: Secret | None) -> int:
    """Replace the key of the named credential, or of all that pullkey created."""

    async def one(command: ProjectCommand, held: HeldCredential) -> int:
        return await _rotate_one(command, held, values, secret)

    async with open_project(values) as command:
        code = await each_credential(command, values, one, "rotate")
    command.print_results("rotate", values, code)
    return code


async def _rotate_one(
    command: ProjectCommand,
    held: HeldCredential,
    values: Mapping[str, Any],
    secret: Secret | None,
) -> int:
    from bootstrap.engine.due import due
    from bootstrap.engine.result import Result
    from bootstrap.engine.run_options import RunOptions
    from bootstrap.output.json_documents import result_document, run_document
    from bootstrap.output.summary import print_summary

    located, managed = await command.locate("rotate", held, values, secret)
    command.record(located)
    session, context, link = managed.session, managed.context, managed.link
    options = RunOptions(
        secret_name=held.name,
        anyway=True,
        dry_run=values["dry_run"],
        yes=values["yes"],
        grace=values["keep_old"],
        overlap=values["overlap"],
        command=command_as_typed(),
    )

    def report_without_run(result: str, code: ExitCode, said: str, who: str) -> ExitCode:
        command.documents.append(
            result_document(
                Result(result, code, changed=result == "done", notices=[said], who=who),
                command="rotate",
                provider=located.provider.name,
                registry=managed.target.label,
                akka=command.akka.resolved,
                secret_name=held.name,
            )
        )
        return code

    if values["restore"]:
        return report_without_run(*await _restore_one(command, held, managed, values))
    context.new_key = True
    why, key = "", None
    if values["due"]:
        who = await session.connect()
        key = await session.key.facts(link.key_id)
        why = due(key, values["older_than"]) if key is not None else "it was deleted"
        if key is not None and key.supplied:
            said = messages.password_to_replace(held.name, why, command.scope)
            command.reporter.notice(said)
            await session.close()
            command.results.append("to be replaced by you" if why else "user-supplied")
            code = ExitCode.DRIFT if why else ExitCode.DONE
            return report_without_run("drift" if why else "unchanged", code, said, who)
        context.new_key = bool(why)
        if why:
            command.reporter.notice(f"{held.name}: key {link.key_id} is due: {why}.")
    run = command.assembly.run(command.open_target(managed), options, akka_checked=True)
    outcome = await command.perform(run, options.command)
    command.documents.append(run_document(run, command="rotate", provider=located.provider.name))
    if values["due"] and not why and outcome.result == "unchanged" and not outcome.left_over:
        say(f"{held.name}: key {link.key_id} is not due{_age_and_expiry(key)}.", sys.stderr)
        command.results.append("not due")
        return outcome.exit_code
    print_summary(outcome, run=run, show_commands=False, handover=None, verbose=command.verbose)
    command.results.append(_word_for(run, outcome))
    return outcome.exit_code


@dataclass
class _Enabling:
    """The one change of `--restore`. A signal waits for its answer, since a call that was sent may be carried
    out all the same.
    """

    key_id: str
    changing: bool = False
    then: str = "ending"

    def interrupt(self) -> None:
        """Nothing comes after the call."""

    def unfinished(self) -> list[str]:
        return [messages.may_be_enabled(self.key_id)]


async def _restore_one(
    command: ProjectCommand, held: HeldCredential, managed: ManagedCredential, values: Mapping[str, Any]
) -> tuple[str, ExitCode, str, str]:
    """Enable the key again that the last rotation has disabled, after a confirmation. Return the result, as
    in `Result`, the exit code, a sentence about it, and the login.
    """
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.engine.key_retirement import nothing_to_restore, restore

    session, link = managed.session, managed.link
    journal = command.assembly.journal(command.scope, held.name, managed.target.lock_key)
    enabling = _Enabling(link.replaces)
    with (
        contextlib.nullcontext() if values["dry_run"] else journal.locked(),
        ends_in_order(enabling, command.reporter, command_as_typed()),
    ):
        await session.connect()
        rotate = f"pullkey rotate {shlex.quote(held.name)}{command.scope.options}"
        nothing = await nothing_to_restore(session, link, rotate)
        if nothing or values["dry_run"]:
            said = nothing or messages.key_would_be_restored(link)
            say(said, sys.stderr)
            say("No changes were made.", sys.stderr)
            return "unchanged" if nothing else "planned", ExitCode.DONE, said, await session.connect()
        if not values["yes"] and not command.reporter.confirm(messages.question_to_restore(link)):
            raise Declined
        # Not the login of before: its secret may have been asked for since.
        who = await session.connect()
        enabling.changing = True
        try:
            restored = await restore(session, link)
        except PullkeyError as error:
            managed.context.audit(Change("restore", error.what, ChangeOutcome.FAILED, link.replaces, who))
            raise
        managed.context.audit(Change("restore", restored, ChangeOutcome.DONE, link.replaces, who))
        say(restored, sys.stderr)
    return "done", ExitCode.DONE, restored, who


def _word_for(run: TargetOperation, outcome: Result) -> str:
    """The result of a rotation, in a word or two."""
    if outcome.exit_code not in (ExitCode.DONE, ExitCode.LEFT_OVER):
        return "not rotated"
    if outcome.result == "planned":
        return "to rotate"
    return "rotated" if outcome.steps[run.handoff.name].result == "done" else "repaired"


def _age_and_expiry(key: KeyFacts | None) -> str:
    """`, 12d old, expires 2027-02-27`, without what is not managed."""
    if key is None:
        return ""
    from bootstrap.output.tables import ago

    age = f", {ago(key.created)} old" if key.created and ago(key.created) != "now" else ""
    return f"{age}, {f'expires {key.expires:%Y-%m-%d}' if key.expires else 'no expiry'}"


async def rotate_in_file(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.rotations import keep_only_rotations

    found = registries_of(values)
    entries = tuple(one for one in found.entries if not one.remove)
    if (overlap := values["overlap"]) is not None:
        entries = tuple(replace(one, overlap=overlap) for one in entries)
    registries = replace(found, entries=entries)
    async with open_file(registries, values, rotate=not values["due"]) as job:

        def rotations(plan: Sequence[Planned]) -> None:
            others = keep_only_rotations(plan)
            if others:
                job.reporter.notice(
                    f"{count_of(others, 'target')} need{'s' * (others == 1)} something else than a new key; "
                    f"see: pullkey plan -f {shlex.quote(registries.name)}"
                )

        return await do_planned(job, "rotate", rotations)

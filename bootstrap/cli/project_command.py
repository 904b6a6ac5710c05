"""The common part of the commands for the credentials of one Akka project."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages_credentials as messages
from bootstrap.cli.audit import audited
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import (
    clean,
    scope_of,
)
from bootstrap.cli.secrets import asker
from bootstrap.model.codes import Code
from bootstrap.model.errors import (
    ExitCode,
    Interrupted,
    LeftOver,
    PullkeyError,
    Refused,
    UsageProblem,
    advice,
    exit_code_of_many,
    first_line,
)
from bootstrap.model.text import count_of
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.akka.cli import AkkaCli
    from bootstrap.akka.scope import AkkaScope
    from bootstrap.engine.assembly import Assembly, OpenedTarget
    from bootstrap.engine.locate import LocatedCredential
    from bootstrap.engine.operation import Operation
    from bootstrap.engine.reporter import Reporter
    from bootstrap.engine.result import Result
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.key_ref import KeyRef
    from bootstrap.model.secret import Secret
    from bootstrap.plugin.context import RunContext
    from bootstrap.plugin.provider import Target
    from bootstrap.plugin.session import Session


@dataclass
class ProjectCommand:
    """The open resources of one command."""

    scope: AkkaScope
    context: RunContext
    akka: AkkaCli
    reporter: Reporter
    assembly: Assembly
    verbose: bool
    errors: list[tuple[str, PullkeyError]] = field(default_factory=list)
    """The credentials, of several, whose operation could not be started."""
    interrupted: bool = False
    """Whether a signal interrupted the latest credential; declining a prompt does not count."""
    stopped: bool = False
    """Whether a signal came while the latest credential was worked on, which may be done nevertheless."""
    results: list[str] = field(default_factory=list)
    """The result of each credential of a rotation, in a word or two."""

    documents: list[Mapping[str, Any]] = field(default_factory=list)
    """The JSON document of each credential's result."""

    async def locate(
        self, verb: str, held: HeldCredential, values: Mapping[str, Any], secret: Secret | None
    ) -> tuple[LocatedCredential, ManagedCredential]:
        """Locate the cloud resources of a credential that is to be changed; that may need a secret.

        Raises:
            PullkeyError: pullkey did not create it, or they cannot be found.
        """
        from bootstrap.engine.locate import find

        context = self.context
        if not values["dry_run"] or values.get("restore"):  # only a login shows whether a key is disabled
            typed = f"pullkey {verb} {shlex.quote(held.name)} --secret-stdin --yes{self.scope.options}"
            context = replace(context, ask_secret=asker(secret, instead=f"{typed} < FILE"))
        located = await find(held, context, image=values["image"])
        return located, require_managed(located, self.scope, verb)

    async def perform(self, operation: Operation, typed: str) -> Result:
        """Execute an operation; a signal ends it in order. `typed` is the command that repeats it."""
        from bootstrap.cli.signals import ends_in_order

        with ends_in_order(operation, self.reporter, typed):
            result = await operation.execute()
        self.interrupted, self.stopped = isinstance(result.error, Interrupted), operation.stopped
        self.reporter.close()
        return result

    def print_results(
        self, verb: str, values: Mapping[str, Any], code: int, left_over: Sequence[LeftOver] = ()
    ) -> None:
        """Print the results of all credentials, if JSON was requested."""
        from bootstrap.output.json_documents import results_document

        if values["output"] == "json":
            print_document(results_document(verb, self.documents, code, left_over, self.errors))

    def record(self, located: LocatedCredential) -> None:
        """Record the changes of this credential in the audit trail from now on, if there is one."""
        from bootstrap.engine.audit_log import Audited

        if located.context is not None:
            label = located.target.label if located.target is not None else located.held.server
            target = Audited(located.provider.name, label, lambda: self.akka.resolved, located.held.name)
            self.assembly.record(located.context, target)

    def open_target(self, managed: ManagedCredential) -> OpenedTarget:
        from bootstrap.engine.assembly import OpenedTarget

        return OpenedTarget(
            managed.target, managed.session, managed.context, self.akka, self.scope, self.reporter
        )


@asynccontextmanager
async def open_project(values: Mapping[str, Any]) -> AsyncIterator[ProjectCommand]:
    """Check that Akka is installed, logged in and sees the project; close all resources at the end.

    Raises:
        Refused: Akka cannot be asked.
    """
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.engine.assembly import Assembly
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.settings import check_addresses, state_directory
    from bootstrap.output.progress import make_reporter
    from bootstrap.plugin.context import RunContext

    check_addresses("")
    reporter = make_reporter(
        sys.stderr,
        verbose=values["verbose"],
        plan=not values.get("yes") or values["dry_run"],
        checks="yes" not in values,
        brief=bool(values.get("due")),
    )
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    scope = scope_of(values)
    akka = AkkaCli(scope, deadline, reporter.trace)
    try:
        problems = await akka.preflight(of_project=not values.get("all_projects"))
        if problems:
            reporter.problems(problems)
            raise Refused(problems)
        command = ProjectCommand(
            await akka.scope_by_name(),
            context,
            akka,
            reporter,
            Assembly(state_directory()),
            values["verbose"],
        )
        async with audited(values) as command.assembly.trail:
            yield command
    except UsageProblem as problem:
        if problem.code is Code.CREDENTIAL_NOT_FOUND:
            problem.fix = await _hint_of_service(akka, values) or problem.fix
        raise
    finally:
        reporter.close()
        await context.shared.close()


async def _hint_of_service(akka: AkkaCli, values: Mapping[str, Any]) -> str:
    """How to find the credential of a service, if a service's name was given; "" otherwise."""
    names = {*(values.get("names") or ()), values.get("name")}
    try:
        found = [one.name for one in await akka.exported_services() if one.name in names]
    except PullkeyError:
        return ""
    return messages.service_not_a_credential(found[0], akka.scope) if found else ""


def clean_all(values: dict[str, Any]) -> dict[str, Any]:
    return {key: clean(key, value) for key, value in values.items()}


@dataclass(frozen=True)
class ManagedCredential:
    """A credential that pullkey created, with all of its underlying resources."""

    target: Target
    session: Session
    context: RunContext
    link: KeyRef


def require_managed(located: LocatedCredential, scope: AkkaScope, verb: str) -> ManagedCredential:
    """The underlying resources, which the command `verb` requires.

    Raises:
        PullkeyError: pullkey did not create the credential, or they were not found.
    """
    name, link = located.held.name, located.held.link
    if located.held.empty:
        raise messages.secret_lost(name, verb, scope)
    if link is None:
        raise messages.credential_not_managed(name, located.provider.name, scope)
    if located.target is None or located.session is None or located.context is None:
        raise located.error or messages.cloud_resources_not_found(name)
    return ManagedCredential(located.target, located.session, located.context, link)


async def each_credential(
    command: ProjectCommand,
    values: Mapping[str, Any],
    work: Callable[[ProjectCommand, HeldCredential], Awaitable[int]],
    verb: str,
) -> int:
    """Run `work` for the named credential, or in sequence for all that pullkey created, despite errors."""
    from bootstrap.engine.locate import credential_named

    credentials = await command.akka.credentials_with([values["name"]] if values["name"] else [])
    if values["name"]:
        return await work(command, credential_named(credentials, values["name"], command.scope.label))
    chosen = sorted((one for one in credentials if one.link is not None), key=lambda one: one.name)
    lost = [one for one in credentials if one.empty]
    others = len(credentials) - len(chosen) - len(lost)
    if others:
        command.reporter.notice(
            f"{others} of Akka's credentials were not created by pullkey and are left alone."
        )
    if not (chosen or lost):
        command.reporter.notice(f"Akka has no credential created by pullkey in {command.scope.label}.")
    codes: list[int] = []
    stopped: list[ExitCode] = []
    for number, held in enumerate(chosen):
        command.interrupted = command.stopped = False
        try:
            codes.append(await _unless_interrupted(work(command, held)))
        except PullkeyError as error:
            command.interrupted = isinstance(error, Interrupted)
            command.errors.append((held.name, error))
            codes.append(_show_error(held.name, error))
        done = number if command.interrupted else number + 1
        if command.interrupted or (command.stopped and done < len(chosen)):
            say(f"pullkey: {_how_far(done, len(chosen))}", sys.stderr)
            stopped += [ExitCode.INTERRUPTED] * (not command.interrupted)
            break
    for held in lost:
        no_secret = messages.secret_lost(held.name, verb, command.scope)
        command.errors.append((held.name, no_secret))
        codes.append(_show_error(held.name, no_secret))
    failed = [code for code in codes if code not in (ExitCode.DONE, ExitCode.LEFT_OVER, ExitCode.DRIFT)]
    if len(chosen) > 1 and failed:
        say(f"pullkey: {len(failed)} of {len(chosen)} credentials failed; see above.", sys.stderr)
    elif command.results and not stopped:
        counts = Counter(command.results)
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        say(f"{count_of(len(chosen), 'credential')}: {words}.", sys.stderr)
    return exit_code_of_many([*map(ExitCode, codes), *stopped])


async def _unless_interrupted(work: Awaitable[int]) -> int:
    """Await it. A signal that no operation handles is an error like any other, so that what was done before
    is reported.

    Raises:
        Interrupted: there was one.
    """
    import asyncio

    try:
        return await work
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted("Interrupted") from None


def _how_far(done: int, count: int) -> str:
    return (
        f"{done} of {count} credentials were done before the interruption."
        if done
        else "No credential was done before the interruption."
    )


def _show_error(name: str, error: PullkeyError) -> int:
    say(f"pullkey: {name}: {first_line(error)}", sys.stderr)
    if fix := advice(error):
        say(f"  {fix}", sys.stderr)
    return error.exit_code

"""Carries out `onboard`, `plan` and `verify` for one target, and shows the result."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bootstrap.cli.audit import audited
from bootstrap.cli.handover import handover_file, write_handover
from bootstrap.cli.heartbeat import explaining_slow_reads
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import command_as_typed, inner_command, onboarding_of, scope_of
from bootstrap.cli.secrets import asker
from bootstrap.model.errors import Interrupted
from bootstrap.output.terminal import say
from bootstrap.plugin.provider import Provider

if TYPE_CHECKING:
    from bootstrap.engine.run_options import RunOptions
    from bootstrap.engine.target_operation import TargetOperation
    from bootstrap.model.secret import Secret
    from bootstrap.plugin.provider import Target


async def run_target(
    provider: Provider, values: Mapping[str, Any], *, verify: bool = False, password: Secret | None = None
) -> int:
    """Onboard, plan or verify one target; return the exit code.

    Args:
        provider: of the target.
        values: of the command's options, `dry_run` for a plan.
        verify: only verify what Akka holds.
        password: the credential's, if it was supplied for a verification.

    Raises:
        UsageProblem: an option is not valid.
    """
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.engine.assembly import Assembly, OpenedTarget
    from bootstrap.engine.waiting_services import WaitingServices
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.settings import state_directory
    from bootstrap.output.progress import make_reporter
    from bootstrap.plugin.context import RunContext

    target = _checked_target(provider, values)
    changes = not (verify or values["dry_run"])
    reporter = make_reporter(
        sys.stderr, verbose=values["verbose"], plan=not values["yes"] or values["dry_run"], checks=verify
    )
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace, new_key=values["new_key"])
    if changes:
        on_stdin = " or ".join(option.name for option in provider.options if option.kind == "secret")
        context.ask_secret = asker(instead=f"{on_stdin} < FILE")
    options = _run_options(values, target)
    akka = AkkaCli(scope_of(values), deadline, reporter.trace)
    scope = await akka.scope_by_name()
    assembly = Assembly(state_directory())
    opened = OpenedTarget(target, provider.open(target, context), context, akka, scope, reporter)
    operation = (
        assembly.verification(
            opened, options, password=password, reopen=lambda: provider.open(target, context)
        )
        if verify
        else assembly.run(opened, options)
    )
    waiting = WaitingServices(akka, provider, target) if changes else None
    try:
        async with audited(values) as assembly.trail:
            if assembly.trail is not None:
                from bootstrap.engine.audit_log import Audited

                await akka.resolve()
                label, name = target.label, options.secret_name
                assembly.record(context, Audited(provider.name, label, lambda: akka.resolved, name))
            looking = explaining_slow_reads() if verify else nullcontext()
            with ends_in_order(operation, reporter, options.command), looking:
                outcome = await operation.execute()
                # A signal meanwhile ends nothing any more.
                waited = await waiting.names() if waiting is not None and outcome.result == "done" else []
            inner_command.interrupted = operation.stopped or isinstance(outcome.error, Interrupted)
    finally:
        if waiting is not None:
            await waiting.close()
        reporter.close()
        await context.shared.close()
    _show_result(operation, values, provider.name, waited, verify=verify)
    return outcome.exit_code


def _checked_target(provider: Provider, values: Mapping[str, Any]) -> Target:
    """The target of the options; whatever else can be checked without a call is checked too.

    Raises:
        UsageProblem: an option is not valid.
    """
    from bootstrap.engine.lifetime import check_lifetime
    from bootstrap.model.settings import check_addresses

    target = provider.target(values)
    check_lifetime(target, values.get("max_expires_in"), given=_given("expires_in"))
    check_addresses(target.registry)
    if values["handover"]:
        handover_file(values["handover"]).check()
    return target


def _run_options(values: Mapping[str, Any], target: Target) -> RunOptions:
    from bootstrap.engine.run_options import RunOptions

    return RunOptions(
        secret_name=secret_name_of(values, target),
        replace=values["replace"],
        anyway=values["anyway"],
        wait=not values["no_wait"],
        dry_run=values["dry_run"],
        yes=values["yes"],
        command=command_as_typed(),
    )


def _show_result(
    operation: TargetOperation,
    values: Mapping[str, Any],
    provider: str,
    waited: Sequence[str],
    *,
    verify: bool,
) -> None:
    """Write the hand-over, the JSON document and the summary.

    Args:
        operation: what was executed.
        values: of the command's options.
        provider: the name of the target's.
        waited: the services that could not pull before.
        verify: whether it is a verification.
    """
    from bootstrap.output.summary import print_summary

    outcome, options = operation.result, operation.options
    handover = write_handover(operation, outcome, values)
    as_json = values["output"] == "json"
    if as_json or inner_command.arguments:
        from bootstrap.output.json_documents import run_document

        command = "verify" if verify else "plan" if options.dry_run else "onboard"
        document = run_document(operation, command=command, provider=provider, waited=waited)
        inner_command.document = document
        if as_json:
            print_document(document)
    print_summary(
        outcome,
        run=operation,
        show_commands=options.dry_run,
        handover=handover,
        verbose=values["verbose"],
        repair=onboarding_of(options.command) if verify else "",
    )
    if waited:
        say(
            f"Services that could not pull before: {', '.join(waited)}. Akka tries again by itself, "
            "within minutes.",
            sys.stderr,
        )


def _given(option: str) -> bool:
    """Whether an option was given, on the command line or by a variable."""
    context = click.get_current_context()
    return context.get_parameter_source(option) not in (None, ParameterSource.DEFAULT)


def secret_name_of(values: Mapping[str, Any], target: Target) -> str:
    """The name of the Akka secret: as typed, else derived from the target.

    Raises:
        UsageProblem: it is not valid.
    """
    from bootstrap.model.credential import check_secret_name

    return check_secret_name(values["secret_name"]) if values["secret_name"] else target.secret_name

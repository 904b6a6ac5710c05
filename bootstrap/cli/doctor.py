"""`pullkey doctor`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import OUTPUT, TIMEOUT, VERBOSE, clean, scope_of, with_options
from bootstrap.model.common_options import SCOPE
from bootstrap.model.errors import ExitCode
from bootstrap.model.text import count_of, sentence
from bootstrap.output.terminal import say
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.messages import provider_unknown

if TYPE_CHECKING:
    from bootstrap.plugin.checks import Check


@click.command()
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@with_options(*SCOPE, TIMEOUT, OUTPUT, VERBOSE)
def doctor(**values: Any) -> int:
    """Check everything that a run needs, without a target; change nothing. Exit 3 if there is a problem.

    Versions and logins of the clouds and of Akka, clocks, proxies, certificates, runs that did not end, and
    whether other users of this host could read the password that the Akka CLI takes as an argument. It calls
    only the clouds and Akka. Permissions and policies need a target: see `pullkey plan`.

    \b
    Examples:
      pullkey doctor
      pullkey doctor gcr
    """
    from bootstrap.cli.secrets import run_alone

    values = {key: clean(key, value) for key, value in values.items()}
    for name in values["providers"]:
        if name not in plugins.names():
            raise provider_unknown(name, plugins.names())
    return run_alone(_doctor(values))


async def _doctor(values: Mapping[str, Any]) -> int:
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.engine.doctor import examine
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.settings import check_addresses, state_directory
    from bootstrap.output.json_documents import doctor_document
    from bootstrap.output.progress import make_reporter
    from bootstrap.plugin.context import RunContext

    check_addresses("")
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    akka = AkkaCli(scope_of(values), deadline, reporter.trace)
    try:
        found = await examine(values["providers"], context, akka, state_directory())
    finally:
        reporter.close()
        await context.shared.close()
    bad = sum(check.good is False for checks in found.values() for check in checks)
    code = ExitCode.REFUSED if bad else ExitCode.DONE
    if values["output"] == "json":
        print_document(doctor_document(found, code))
    else:
        _show(found, bad)
    return code


def _show(found: Mapping[str, Sequence[Check]], bad: int) -> None:
    from bootstrap.output.terminal import wants_colour

    coloured = wants_colour(sys.stdout)
    marks = {True: ("ok", "green"), False: ("BAD", "red"), None: ("note", "yellow")}
    for about, checks in found.items():
        say(about, sys.stdout)
        for check in checks:
            mark, colour = marks[check.good]
            shown = click.style(f"{mark:4}", fg=colour) if coloured else f"{mark:4}"
            code = f" [{check.code}]" if check.code else ""
            say(f"  {shown}  {check.what}: {check.detail}{code}", sys.stdout, further=6)
            if check.fix and check.good is not True:
                say(f"        {sentence(check.fix)}", sys.stdout, further=0)
    checks = [check for found_of in found.values() for check in found_of]
    notes = sum(check.good is None for check in checks)
    sum_up = count_of(bad, "problem") if bad else "No problems"
    say(f"{sum_up} found in {len(checks) - notes} checks; {notes} for information only.", sys.stdout)

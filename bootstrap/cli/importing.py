"""`pullkey import`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bootstrap.cli.options import TIMEOUT, VERBOSE, clean, scope_of, with_options
from bootstrap.errors import ExitCode, Refused, UsageProblem
from bootstrap.options import SCOPE
from bootstrap.provider import Option

_TO = Option("--to", "Write it to this file, which must not be there yet; else to stdout.", metavar="FILE")
_ALL = Option("--all-projects", "All Akka projects that the login sees.", kind="switch")


@click.command("import")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@with_options(_ALL, _TO, *SCOPE[1:], TIMEOUT, VERBOSE)
def import_file(**values: Any) -> int:
    """Write a file of registries from the credentials that Akka has; change nothing.

    Of the Akka projects that are named, or of the one that the Akka CLI is set to. What neither Akka nor the clouds tell
    stands in it as a comment.

    \b
    Examples:
      pullkey import shop billing --to registries.yaml
      pullkey import --all-projects > registries.yaml
    """
    from bootstrap.cli.secrets import run_alone

    values = {key: clean(key, value) for key, value in values.items()}
    if values["projects"] and values["all_projects"]:
        raise UsageProblem("Name Akka projects, or give --all-projects")
    if values["to"] and os.path.lexists(values["to"]):
        raise UsageProblem(f"--to: {values['to']} is there already", mend="Name another file, and compare the two.")  # fmt: skip
    return run_alone(_import(values))


async def _import(values: Mapping[str, Any]) -> int:
    from bootstrap.display import make_reporter
    from bootstrap.fleet.akka import AkkaDesk, DeskAkka
    from bootstrap.fleet.importing import as_file, of_projects
    from bootstrap.provider import RunContext
    from bootstrap.settings import check_addresses
    from bootstrap.waiting import Deadline

    check_addresses("")
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    named = list(dict.fromkeys(values["projects"]))
    # Whether there is a login can be asked of any of them.
    scope = scope_of({**values, "akka_project": named[0] if len(named) == 1 else ""})
    akka = DeskAkka(scope, deadline, reporter.trace, desk=AkkaDesk(8))
    try:
        problems = await akka.preflight() if len(named) < 2 and not values["all_projects"] else []
        if problems:
            reporter.problems(problems)
            raise Refused(problems)
        if values["all_projects"]:
            named = sorted(one.project for one in await akka.projects())
        found, unseen = await of_projects(akka, named or [await akka.project_name()], context)
    finally:
        reporter.close()
        await context.shared.close()
    text = "\n".join(as_file(found, unseen=unseen)) + "\n"
    if values["to"]:
        _write(Path(values["to"]), text)
    else:
        click.echo(text, nl=False)
    incomplete = sum(bool(one.unfit) for one in found)
    click.echo(f"{len(found)} credential{'s' * (len(found) != 1)} of {len(named) or 1} Akka project{'s' * (len(named) > 1)}; {incomplete} to be completed by hand.", err=True)  # fmt: skip
    for why in unseen:
        click.echo(f"pullkey: Not in it: {why}", err=True)
    if unseen:
        return ExitCode.FAILED if len(unseen) == len(named or [""]) else ExitCode.SOME_FAILED
    return ExitCode.DONE


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageProblem(f"--to: {path} cannot be written: {error.strerror}") from None

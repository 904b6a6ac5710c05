"""`pullkey import`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli import messages
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import (
    ALL_PROJECTS,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    clean,
    is_typed,
    scope_of,
    with_options,
)
from bootstrap.model.common_options import SCOPE
from bootstrap.model.errors import ExitCode, Refused
from bootstrap.model.option import Option
from bootstrap.model.text import count_of
from bootstrap.output.terminal import put, say

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope
    from bootstrap.files.output_file import OutputFile
    from bootstrap.fleet.importer import Found

_TO = Option("--to", "Write to this file, which must not exist yet; else to stdout.", metavar="FILE")


@click.command("import")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@with_options(ALL_PROJECTS, _TO, *SCOPE[1:], TIMEOUT, OUTPUT, VERBOSE)
def import_file(**values: Any) -> int:
    """Write a file of registries from the credentials that Akka has; change nothing.

    It covers the Akka projects that you name, or the one that the Akka CLI is set to. What neither Akka nor
    the clouds show is marked with a comment.

    \b
    Examples:
      pullkey import shop billing --to registries.yaml
      pullkey import --all-projects > registries.yaml
    """
    from bootstrap.cli.secrets import run_alone

    values = {key: clean(key, value) for key, value in values.items()}
    if values["projects"] and values["all_projects"]:
        if is_typed("all_projects"):
            raise messages.projects_and_all_projects()
        values["all_projects"] = False
    if values["to"]:
        if os.path.lexists(values["to"]):
            raise messages.output_file_exists("--to", values["to"])
        _file(values["to"]).check()
    return run_alone(_import(values))


async def _import(values: Mapping[str, Any]) -> int:
    from bootstrap.fleet.akka_pool import AkkaPool, PooledAkkaCli
    from bootstrap.fleet.importer import as_file, imported_document, of_projects
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.settings import check_addresses
    from bootstrap.output.progress import make_reporter
    from bootstrap.plugin.context import RunContext

    check_addresses("")
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    named = list(dict.fromkeys(values["projects"]))
    # Whether there is a login can be asked of any of them.
    scope = scope_of({**values, "akka_project": named[0] if len(named) == 1 else ""})
    akka = PooledAkkaCli(scope, deadline, reporter.trace, pool=AkkaPool(8))
    try:
        problems = await akka.preflight() if len(named) < 2 and not values["all_projects"] else []
        if problems:
            reporter.problems(problems)
            raise Refused(problems)
        if values["all_projects"]:
            projects = _of_all(await akka.projects(), scope)
        else:
            projects = [replace(scope, project=name) for name in named or [await akka.project_name()]]
        found, unread = await of_projects(akka, projects, context)
    finally:
        reporter.close()
        await context.shared.close()
    unseen = [why for of_project in unread.values() for why in of_project]
    text = "\n".join(as_file(found, unseen=unseen)) + "\n"
    if values["to"]:
        _file(values["to"]).write(text)
    elif values["output"] != "json":
        put(text.removesuffix("\n"), sys.stdout)
    code = ExitCode.DONE
    if unread:
        code = ExitCode.FAILED if len(unread) == len(projects) else ExitCode.SOME_FAILED
    if values["output"] == "json":
        print_document(imported_document(found, unseen, text, values["to"], code))
    say(_total(found, len(projects)), sys.stderr)
    for why in unseen:
        say(f"pullkey: Not in it: {why}", sys.stderr)
    return code


def _of_all(listed: Sequence[AkkaScope], scope: AkkaScope) -> list[AkkaScope]:
    """The projects to import, each with its owner where the name alone does not say which is meant."""
    ours = [one for one in listed if scope.owner in ("", one.owner)]
    count = Counter(one.project for one in ours)
    return sorted(
        (
            replace(scope, project=one.project, owner=one.owner if count[one.project] > 1 else scope.owner)
            for one in ours
        ),
        key=lambda one: (one.project, one.owner),
    )


def _total(found: Sequence[Found], projects: int) -> str:
    """What was written, and what is still missing in it."""
    count = len(found)
    incomplete, sourceless = (
        sum(map(bool, ones))
        for ones in ([one.incomplete for one in found], [one.sources and not one.incomplete for one in found])
    )
    missing = [
        *([f"{incomplete} to complete by hand"] if incomplete else []),
        *([f"{sourceless} need{'s' * (sourceless == 1)} a source for its password"] if sourceless else []),
    ]
    of = f"{count_of(count, 'credential')} of {count_of(projects, 'Akka project')}"
    return (
        f"{of}: {', '.join(missing)}; see the comments in the file."
        if missing
        else f"{of}; nothing is missing."
    )


def _file(path: str) -> OutputFile:
    from bootstrap.files.output_file import OutputFile

    return OutputFile(Path(path), "--to", "a file of registries", mode=0o666)

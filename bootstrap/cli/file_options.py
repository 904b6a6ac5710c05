"""The options of the commands for a file of registries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from bootstrap.cli.options import OUTPUT, TIMEOUT, VERBOSE, CheckedOption, with_options
from bootstrap.cli.types import FilePath
from bootstrap.model.option import Option

F = TypeVar("F", bound=Callable[..., Any])


_COUNT = click.IntRange(1, 256)
FILE = click.option(
    "-f",
    "--file",
    "file",
    required=True,
    metavar="FILE",
    type=FilePath(),
    help="A file of registries; - is stdin. See docs/fleet.md.",
)
NAMES = (
    click.argument("names", nargs=-1, metavar="[NAME]..."),
    click.option(
        "--only",
        cls=CheckedOption,
        multiple=True,
        metavar="NAME",
        help="These targets only: PROJECT/SECRET, or the name of an Akka secret. More names may follow.",
    ),
)
_SIDE_BY_SIDE = (
    click.option(
        "--shard",
        cls=CheckedOption,
        metavar="I/N",
        envvar="PULLKEY_SHARD",
        help="Part I of N only, from 1; all targets of one Google project, or of one registry, are in one "
        "part. Else by JOB_COMPLETION_INDEX and JOB_COMPLETIONS.",
    ),
    click.option(
        "--at-once",
        cls=CheckedOption,
        type=_COUNT,
        default=16,
        show_default=True,
        envvar="PULLKEY_AT_ONCE",
        metavar="N",
        help="How many targets of one cloud are worked on side by side.",
    ),
    click.option(
        "--at-once-per-project",
        cls=CheckedOption,
        type=_COUNT,
        default=4,
        show_default=True,
        envvar="PULLKEY_AT_ONCE_PER_PROJECT",
        metavar="N",
        help="How many of these may be of one Google project, or of one registry.",
    ),
    click.option(
        "--akka-at-once",
        cls=CheckedOption,
        type=_COUNT,
        default=8,
        show_default=True,
        envvar="PULLKEY_AKKA_AT_ONCE",
        metavar="N",
        help="How many Akka CLIs run side by side.",
    ),
)
PROCESSES = click.option(
    "--processes",
    cls=CheckedOption,
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    envvar="PULLKEY_PROCESSES",
    metavar="N",
    help="Work on the file in parts, as of --shard, N of them at once in processes of their own: for "
    "thousands of targets. Needs --yes, and a file where --audit is passed.",
)
POLICY = click.option(
    "--policy",
    metavar="FILE",
    type=FilePath(),
    envvar="PULLKEY_POLICY",
    help="A file with a policy that the targets must observe too. See docs/fleet.md.",
)
_TURN = replace(TIMEOUT, help="How long to wait for the clouds, for each target.")
CHECK = Option("--check", "For jobs: exit 5 if anything has to be done or is wrong.", kind="switch")
SUMMARY = Option(
    "--summary", "Count by result, and show only the targets that need attention.", kind="switch"
)
DRY_RUN = Option("--dry-run", "Preview the changes; change nothing.", kind="switch")


def of_a_file(*more: Option, names: bool = True, file: bool = True, output: bool = True) -> Callable[[F], F]:
    """A decorator that adds the common options of the commands for a file, and `more`."""

    def decorate(function: F) -> F:
        function = with_options(*more, _TURN, *((OUTPUT,) if output else ()), VERBOSE)(function)
        for option in reversed((*((FILE,) if file else ()), *(NAMES if names else ()), *_SIDE_BY_SIDE)):
            function = option(function)
        return function

    return decorate

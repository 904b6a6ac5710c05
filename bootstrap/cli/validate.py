"""`pullkey validate`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from bootstrap.cli.file_options import POLICY
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import clean
from bootstrap.cli.types import FilePath
from bootstrap.model.errors import ExitCode, PullkeyError
from bootstrap.model.text import count_of, sentence
from bootstrap.output.terminal import put, say

if TYPE_CHECKING:
    from bootstrap.fleet.policy import Policy

Checked = tuple[str, int | PullkeyError]
"""The name of a file, and how many targets it has, or why it is not valid."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    envvar="PULLKEY_OUTPUT",
    help="Text for people, one JSON object, or annotations of GitHub Actions.",
)
@POLICY
def validate(files: Sequence[Path], output: str, policy: Path | None) -> int:
    """Check files of registries. Needs no login and no network, and reads no secret.

    Each mistake is shown with its line and column, and the exit code is then 2. `plan`, `apply` and the other
    commands for a file check the same before they begin. In GitHub Actions the mistakes are also marked at
    their lines, whatever --output says. FILE - is stdin.

    \b
    Examples:
      pullkey validate registries.yaml
      pullkey validate shop.yaml billing.yaml --output json
      pullkey validate registries.yaml --output github
      pullkey validate registries.yaml --policy policy.yaml
    """
    for path in files:
        if str(path) != "-":
            clean("file", str(path))  # messages name it
    if policy is not None:
        clean("policy", str(policy))
    policies, found = _policies(policy)
    found += [_checked(path, policies) for path in files]
    code = ExitCode.USAGE if any(isinstance(one, PullkeyError) for _, one in found) else ExitCode.DONE
    if output == "json":
        from bootstrap.output.json_documents import validation_document

        print_document(validation_document(found, code))
    elif output == "text":
        _print(found)
    if output == "github" or os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(found, sys.stdout if output == "github" else sys.stderr)
    return code


def _policies(path: Path | None) -> tuple[Sequence[Policy], list[Checked]]:
    """That of `--policy`; if it is not valid, why not, as of any file, and the files are checked without."""
    from bootstrap.cli.file_work import policies_of

    try:
        return policies_of({"policy": path}), []
    except PullkeyError as error:
        return [], [(str(path), error)]


def _checked(path: Path, policies: Sequence[Policy]) -> Checked:
    from bootstrap.fleet import messages_file as messages
    from bootstrap.fleet.registries import InvalidFile, load
    from bootstrap.plugin.unavailable import Unavailable

    name = "stdin" if str(path) == "-" else str(path)
    try:
        entries = load(path, *policies).entries
        unusable = [(one.place, one.provider) for one in entries if isinstance(one.provider, Unavailable)]
        if unusable:
            raise InvalidFile(name, [messages.of_error(place, one.error) for place, one in unusable])
        return name, len(entries)
    except PullkeyError as error:
        return name, error


def _print(found: Sequence[Checked]) -> None:
    from bootstrap.fleet.registries import InvalidFile

    for name, one in found:
        if not isinstance(one, PullkeyError):
            say(f"{name} is valid: {count_of(one, 'target')}.", sys.stdout)
            continue
        for line in one.lines if isinstance(one, InvalidFile) else ():
            say(line, sys.stdout)
        say(f"pullkey: {sentence(one.what)} [{one.code}]", sys.stderr)


def _annotate(found: Sequence[Checked], stream: TextIO) -> None:
    from bootstrap.fleet.registries import InvalidFile
    from bootstrap.output.annotations import annotation, fault_annotations

    for name, one in found:
        if isinstance(one, InvalidFile):
            lines = fault_annotations(one.name, one.faults)
        elif isinstance(one, PullkeyError):
            lines = [annotation("error", name, None, one.what)]
        else:
            lines = []
        for line in lines:
            put(line, stream)  # unfolded: a workflow command is one line

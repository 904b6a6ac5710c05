"""`pullkey audit verify`."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import click

from bootstrap.cli import messages
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import OUTPUT, with_options
from bootstrap.cli.types import FilePath
from bootstrap.model.errors import ExitCode
from bootstrap.model.text import count_of
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.engine.audit_chain import ChainReport


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def audit() -> None:
    """Verify the audit trail that --audit writes.

    \b
    Examples:
      pullkey audit verify changes.jsonl
      pullkey audit verify changes.jsonl.2 changes.jsonl.1 changes.jsonl
    """


@audit.command("verify", short_help="Verify that no line was changed, removed or added.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath(str))
@with_options(OUTPUT)
def audit_verify(files: Sequence[str], output: str) -> int:
    """Verify that each line of an audit trail holds the SHA-256 of the line before it.

    It names the first line that does not fit, and exits with 5. Name the files of a rotation oldest first; -
    is stdin. Lines missing at the end cannot be detected: compare the last hash with one that you kept.

    \b
    Examples:
      pullkey audit verify changes.jsonl
      pullkey audit verify changes.jsonl.2 changes.jsonl.1 changes.jsonl
      zcat changes.jsonl.3.gz | pullkey audit verify -
    """
    from bootstrap.engine.audit_chain import verify

    found: list[tuple[str, ChainReport]] = []
    with contextlib.ExitStack() as opened:
        # All are opened first, so that a mistyped name is reported before any result.
        streams = [opened.enter_context(_opened(name)) for name in files]
        for name, stream in zip(files, streams, strict=True):
            before = next((one.begins for _, one in reversed(found) if one.begins), None)
            try:
                found.append((name, verify(_lines(stream), not_before=before)))
            except OSError as error:
                raise messages.audit_file_unreadable(name, error) from None
            if found[-1][1].mismatch:
                break
    code = ExitCode.DRIFT if any(one.mismatch for _, one in found) else ExitCode.DONE
    if output == "json":
        from bootstrap.output.json_documents import audit_document

        print_document(audit_document(found, code))
    else:
        for name, report in found:
            _show(name, report)
    return code


def _show(name: str, report: ChainReport) -> None:
    for number in report.torn:
        say(f"{name}, line {number}: torn; a run could not finish it", sys.stdout)
    if report.mismatch:
        say(f"{name}, line {report.mismatch.line}: {report.mismatch.what}.", sys.stdout)
        return
    count = f"verified {count_of(report.lines, 'line')}; SHA-256 of the last: {report.last}"
    say(f"{name}: {count if report.lines else 'empty'}", sys.stdout)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open a file to read.

    Raises:
        UsageProblem: it cannot be read, or is not a regular file.
    """
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        # Non-blocking: opening a FIFO must not hang.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise messages.audit_file_unreadable(name, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise messages.audit_file_unreadable(name, "it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, in parts where one is longer than any line of a trail."""
    from bootstrap.engine.audit_chain import LONGEST_LINE

    while line := stream.readline(LONGEST_LINE):
        yield line

"""`--output json`: each command prints exactly one document on stdout, also on errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.cli.streams import final_code
from bootstrap.model.errors import ExitCode
from bootstrap.output.terminal import put

if TYPE_CHECKING:
    from bootstrap.model.errors import PullkeyError

_RESULTS = {ExitCode.USAGE: "usage", ExitCode.REFUSED: "refused", ExitCode.INTERRUPTED: "interrupted"}


class _Printed:
    document = False


def print_document(document: Mapping[str, Any]) -> None:
    """Print the command's one document. The audit trail, if there is one, has been closed."""
    from bootstrap.output.error_documents import as_text

    _Printed.document = True
    if "exit_code" in document:
        document = {**document, "exit_code": final_code(document["exit_code"])}
    put(as_text(document), sys.stdout)


def is_asked_for(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether JSON was requested, also if the command line cannot be parsed: with `--output json`, or the
    `--format json` of `permissions`.
    """
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments

    def given(option: str) -> str | None:
        values = [
            one.partition("=")[2] if "=" in one else "".join(typed[number + 1 : number + 2])
            for number, one in enumerate(typed)
            if one == option or one.startswith(f"{option}=")
        ]
        return values[-1] if values else None

    output = given("--output")
    return (environment.get("PULLKEY_OUTPUT") if output is None else output) == "json" or (
        given("--format") == "json"
    )


def print_error(error: PullkeyError, *, what: str = "", fix: str = "") -> None:
    """Print the document of a command that ended with an error, if JSON was requested and not printed yet.

    Args:
        error: the error.
        what: its text, if it is to be shorter.
        fix: its fix, shortened.
    """
    if _Printed.document or not is_asked_for(sys.argv[1:]):
        return
    print_document(document_of_error(_command(), error, what=what or error.what, fix=fix))


def document_of_error(command: str | None, error: PullkeyError, *, what: str, fix: str) -> dict[str, Any]:
    """The document of a command that ended with an error; `what` and `fix` may be shortened."""
    from bootstrap.output.error_documents import error_document

    result = _RESULTS.get(error.exit_code, "failed")
    return error_document(command, result, error, what=what, fix=fix)


def _command() -> str | None:
    from bootstrap.cli.command_table import COMMANDS

    first = next((one for one in sys.argv[1:] if not one.startswith("-")), "")
    return first if first in COMMANDS else None

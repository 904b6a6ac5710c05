"""`--output json`: each command prints exactly one document on stdout, also on errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.errors import ExitCode
from bootstrap.output.terminal import put

if TYPE_CHECKING:
    from bootstrap.model.errors import PullkeyError

_RESULTS = {ExitCode.USAGE: "usage", ExitCode.REFUSED: "refused", ExitCode.INTERRUPTED: "interrupted"}


class _Printed:
    document = False


def print_document(document: Mapping[str, Any]) -> None:
    """Print the command's one document."""
    from bootstrap.output.error_documents import as_text

    _Printed.document = True
    put(as_text(document), sys.stdout)


def is_asked_for(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `--output json` was given, also if the command line cannot be parsed."""
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    given = [
        one.partition("=")[2] if "=" in one else "".join(typed[number + 1 : number + 2])
        for number, one in enumerate(typed)
        if one == "--output" or one.startswith("--output=")
    ]
    return (given[-1] if given else environment.get("PULLKEY_OUTPUT")) == "json"


def print_error(error: PullkeyError, *, what: str = "", fix: str = "") -> None:
    """Print the document of a command that ended with an error, if JSON was requested and not printed yet.

    Args:
        error: the error.
        what: its text, if it is to be shorter.
        fix: its fix, shortened.
    """
    if _Printed.document or not is_asked_for(sys.argv[1:]):
        return
    from bootstrap.output.error_documents import error_document

    result = _RESULTS.get(error.exit_code, "failed")
    print_document(error_document(_command(), result, error, what=what or error.what, fix=fix))


def _command() -> str | None:
    from bootstrap.cli.command_table import COMMANDS

    return next((one for one in sys.argv[1:2] if one in COMMANDS), None)

"""`--output json`: one document on stdout for each command, however it ends."""

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
    """Print a command's document, which is the only one that it prints."""
    from bootstrap.output.json_documents import as_text

    _Printed.document = True
    put(as_text(document), sys.stdout)


def is_asked_for(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `--output json` was given, also where what was typed cannot be read to its end."""
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    given = [
        one.partition("=")[2] if "=" in one else "".join(typed[number + 1 : number + 2])
        for number, one in enumerate(typed)
        if one == "--output" or one.startswith("--output=")
    ]
    return (given[-1] if given else environment.get("PULLKEY_OUTPUT")) == "json"


def print_error(error: PullkeyError, *, what: str = "", fix: str = "") -> None:
    """Print the document of a command that ended with an error, where one was asked for and none is printed
    yet.

    Args:
        error: what ended it.
        what: its text, where that is to be shorter.
        fix: what to do about it, as far as that is to be shown.
    """
    if _Printed.document or not is_asked_for(sys.argv[1:]):
        return
    from bootstrap.output.json_documents import error_document

    result = _RESULTS.get(error.exit_code, "failed")
    print_document(error_document(_command(), result, error, what=what or error.what, fix=fix))


def _command() -> str | None:
    from bootstrap.cli.command_table import COMMANDS

    return next((one for one in sys.argv[1:2] if one in COMMANDS), None)

"""`pullkey explain CODE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from bootstrap.cli import messages
from bootstrap.cli.options import OUTPUT, with_options
from bootstrap.model.codes import Code, Explanation, explanations, find
from bootstrap.model.errors import UsageProblem
from bootstrap.model.text import nearest_names
from bootstrap.output.terminal import fold, put, say, width_of

_HANGING = 7


class _CodeType(click.ParamType[str]):
    name = "code"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        typed = incomplete.upper()
        return [
            CompletionItem(str(code), help=one.title)
            for code, one in explanations().items()
            if code.startswith(typed)
        ]


@click.command()
@click.argument("code", required=False, default="", type=_CodeType())
@with_options(OUTPUT)
def explain(code: str, output: str) -> None:
    """Explain the code of a problem or error: its cause, how to fix it, and who can. Without a code, list all
    of them.

    The code is in brackets at the end of a message, and in the field `code` of JSON. Type it in upper or
    lower case, with or without `PK-`.

    \b
    Examples:
      pullkey explain PK-IMAGE-NOT-FOUND
      pullkey explain missing-permission
      pullkey explain
    """
    found = list(explanations().values())
    if code:
        one = find(code)
        if one is None:
            raise _unknown(code)
        found = [one]
    if output == "json":
        from bootstrap.output.json_documents import codes_document

        put(json.dumps(codes_document(found), indent=2), sys.stdout)
    elif code:
        _print_one(found[0])
    else:
        _print_list(found)


def _unknown(typed: str) -> UsageProblem:
    name = typed.upper().strip("[]").removeprefix("PK-")
    near = nearest_names(f"pk-{name}", [code.lower() for code in Code])
    return messages.unknown_code(typed, [one.upper() for one in near])


def _print_one(one: Explanation) -> None:
    say(f"{one.code}: {one.title}", sys.stdout)
    say("", sys.stdout)
    width = width_of(sys.stdout) or 80
    for label, text in (("Cause", one.cause), ("Fix", one.fix), ("Who", one.who_text)):
        # Prose, which nobody searches by lines: it is folded in a pipe too.
        say("\n".join(fold(f"{label:{_HANGING}}{text}", width, further=_HANGING)), sys.stdout)


def _print_list(found: Sequence[Explanation]) -> None:
    width = max(len(one.code) for one in found)
    for number, one in enumerate(found):
        if number == 0 or one.area != found[number - 1].area:
            say(f"\n{one.area}" if number else one.area, sys.stdout)
        say(f"  {one.code:{width}}  {one.title}", sys.stdout, further=4)

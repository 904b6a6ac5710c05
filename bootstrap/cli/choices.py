"""Questions with a list of answers, asked at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bootstrap.cli import messages
from bootstrap.output.prompt import ask_line, can_ask
from bootstrap.output.terminal import say

Choices = Sequence[tuple[str, str]]
"""Values, each with its description."""


def has_terminal() -> bool:
    """Whether a question can be asked: it is read from stdin and shown on stderr."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def check_can_ask(*, stdin_taken: bool = False, preview: str = "--dry-run to preview") -> None:
    """Check that a later confirmation can be prompted for.

    Args:
        stdin_taken: whether stdin holds a secret, so that the answer is read from the controlling terminal.
        preview: what to do instead, for the message.

    Raises:
        UsageProblem: there is no terminal.
    """
    if not can_ask(stdin_taken=stdin_taken):
        raise messages.no_terminal_to_confirm(preview)


def choose(question: str, choices: Choices) -> str:
    """Ask for one of several values, by its number or by itself.

    Raises:
        Interrupted: Ctrl-C or Ctrl-D.
    """
    _show(question, choices)
    while True:
        found = _selected(ask_line("Number or name", sys.stderr), choices)
        if found is not None:
            return found
        say(f"Enter a number from 1 to {len(choices)}.", sys.stderr)


def choose_some(question: str, choices: Choices) -> list[str]:
    """Ask for any number of values, by their numbers; `all` selects all of them, Enter none.

    Raises:
        Interrupted: Ctrl-C or Ctrl-D.
    """
    _show(question, choices)
    while True:
        answer = ask_line("Numbers separated by commas, or all (Enter: none)", sys.stderr)
        if answer.lower() == "all":
            return [value for value, _ in choices]
        found = [_selected(part.strip(), choices) for part in answer.replace(",", " ").split()]
        if None not in found:
            return [value for value, _ in choices if value in found]
        say(f"Enter numbers from 1 to {len(choices)}, as in 1,2.", sys.stderr)


def _show(question: str, choices: Choices) -> None:
    say(question, sys.stderr)
    width = max(len(value) for value, _ in choices)
    for number, (value, what) in enumerate(choices, 1):
        say(f"  {number:2}  {value:{width}}  {what}".rstrip(), sys.stderr, further=4)


def _selected(answer: str, choices: Choices) -> str | None:
    """The value that an answer selects; None if it selects none."""
    if answer in [value for value, _ in choices]:
        return answer
    # No list of choices has a number with more digits.
    if answer.isascii() and answer.isdecimal() and len(answer) < 6 and 0 < int(answer) <= len(choices):
        return choices[int(answer) - 1][0]
    return None

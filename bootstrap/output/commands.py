"""The steps of a plan as commands that run as they are printed, one after another in one shell.

A command may use a variable that an earlier step sets. If that step is already in place, the variable is
looked up first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bootstrap.model.shell_text import filled_in
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Step

_USED = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)")
_SET = re.compile(r"^\s*([A-Z][A-Z0-9_]*)=|\bread (?:-\w+ )*([A-Z][A-Z0-9_]*)", re.MULTILINE)


def by_hand(session: Session, steps: Iterable[Step]) -> dict[str, str]:
    """The commands of each step, by its name; they assume that those of the earlier steps were run."""
    words = {**session.script_variables(), **session.script_lookups()}
    values = session.script_variables()
    known: set[str] = set()
    commands = {}
    for step in steps:
        command = filled_in(step.script().shown, values)
        lines = _assignments(command, words, values, known)
        known |= _set_by(command)
        commands[step.name] = "\n".join([*lines, command])
    return commands


def _assignments(
    command: str, words: Mapping[str, str], values: Mapping[str, str], known: set[str]
) -> list[str]:
    """The lines that set the variables that a command uses and that are not `known`; adds them to `known`."""
    lines: list[str] = []
    for name in dict.fromkeys(_USED.findall(command)):
        if name in words and name not in known | _set_by(command):
            word = words[name] if name in values else filled_in(words[name], values)
            known.add(name)
            lines += [*_assignments(word, words, values, known), f"{name}={word}"]
    return lines


def _set_by(command: str) -> set[str]:
    return {assigned or read for assigned, read in _SET.findall(command)}

"""The steps of a target as commands to run by hand: a bash script, or a Markdown page.

It is generated from the same steps that `onboard` runs, so the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bootstrap.model.shell_text import quoted
from bootstrap.model.text import one_line
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Step

BEGINNING = b"#!/usr/bin/env bash\n# Written by pullkey.\n"
"""The first lines of every script, by which an existing hand-over script is recognised."""
_AGAIN = """\
# Clouds replicate changes: what was just created is not visible everywhere at once.
again() {
  local try
  for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
    if "$@"; then return 0; fi
    echo "Not yet (try $try); again in 10 s ..." >&2
    sleep "${PULLKEY_RUNBOOK_PAUSE:-10}"
  done
  return 1
}"""


def as_bash(session: Session, steps: Sequence[Step], *, label: str, then: str = "", extra: str = "") -> str:
    """A script that runs the steps, with a check after each; with the argument `undo` it undoes them.

    Args:
        session: provides the variables.
        steps: the steps, in order; a hand-over has only some.
        label: the registry, for the heading.
        then: what to do afterwards, printed at the end.
        extra: bash commands after the steps.
    """
    head = [
        *BEGINNING.decode().splitlines(),
        f"# Makes {one_line(label)} pullable for Akka.",
        "#   bash THIS_FILE        does it",
        "#   bash THIS_FILE undo   undoes it",
        "set -euo pipefail",
        "umask 077  # files written here are readable by you only",
        "",
    ]
    parts = [
        "",
        _AGAIN,
        "",
        *([session.script_preamble(), ""] if session.script_preamble() else []),
        'if [ "${1:-do}" = undo ]; then',
        *_indented(_undo(steps)),
        "  exit 0",
        "fi",
    ]
    for number, step in enumerate(steps, 1):
        script = step.script()
        parts += ["", f"# {number}. {one_line(step.title)}"]
        parts += [f"#    {line}" for line in script.why.splitlines()]
        parts += [f"echo {quoted(f'{number}. {step.title}')}"]
        parts += [f"again {script.do}" if script.repeat else script.do]
        if script.check:
            parts += [f"check_{step.name}() {{", *_indented(script.check), "}", f"again check_{step.name}"]
    parts += ["", extra] if extra else []
    parts += ["", f"echo {quoted(then or 'Done.')}"]
    body = "\n".join(parts)
    # The few steps of a hand-over do not need every variable.
    used = [
        f"{name}={value}"
        for name, value in session.script_variables().items()
        if re.search(rf"\${{?{name}\b", body)
    ]
    return "\n".join([*head, *used, body]) + "\n"


def as_markdown(
    session: Session, steps: Sequence[Step], *, label: str, then: str = "", level: int = 1
) -> str:
    """The same as a Markdown page, or part of one (`level`): what, why, command, check, undo."""
    at = "#" * level
    parts = [
        f"{at} Make {one_line(label)} pullable for Akka",
        "",
        "Run these in one shell, in order.",
        "",
        "```bash",
        "umask 077",
        *(f"{name}={value}" for name, value in session.script_variables().items()),
        *session.script_preamble().splitlines(),
        "```",
    ]
    for number, step in enumerate(steps, 1):
        script = step.script()
        parts += ["", f"{at}# {number}. {one_line(step.title)}", ""]
        parts += [script.why, ""] if script.why else []
        parts += ["```bash", script.do, "```"]
        if script.check:
            parts += ["", "Check:", "", "```bash", script.check, "```"]
    parts += ["", f"{at}# Undo", "", "```bash", *_undo(steps), "```"]
    if then:
        parts += ["", f"{at}# Then", "", then]
    return "\n".join(parts) + "\n"


def _undo(steps: Sequence[Step]) -> list[str]:
    lines: list[str] = []
    for step in reversed(steps):
        undo = step.script().undo
        if undo:
            lines += [f"# {one_line(step.title)}: undo it", *undo.splitlines()]
    return lines or [": # nothing to undo"]


def _indented(script: str | Sequence[str]) -> list[str]:
    lines = script.splitlines() if isinstance(script, str) else script
    return [f"  {line}" if line else line for line in lines]

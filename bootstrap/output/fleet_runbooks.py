"""The runbooks of a file's targets as one page or script: each as `pullkey runbook PROVIDER` writes it.

Targets of one account, application or repository have the same commands to create and to undo it. So the undo
of one target keeps what another target of the file needs: the other could no longer pull.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine.run import all_steps
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.registries import Registries
from bootstrap.model.deadline import Deadline
from bootstrap.model.shell_text import filled_in, quoted
from bootstrap.model.text import one_line
from bootstrap.output.runbook import as_bash, as_markdown
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Script, Step, StepRole, StepStatus

# Steps that belong to one target even if their commands look the same: only the shell knows their values.
_OF_ONE = (StepRole.KEY, EngineStep.HANDSHAKE, EngineStep.HANDOFF)

_MOST_OTHERS = 8
"""How many of the others are named: one application may serve thousands of targets."""


class _Kept(Step):
    """A step whose result is kept when its target is undone, since another target needs it too."""

    def __init__(self, step: Step, others: Sequence[str]) -> None:
        self.name = step.name
        self._step, self._others = step, others

    @property
    def title(self) -> str:
        return self._step.title

    async def look(self) -> StepStatus:
        return await self._step.look()

    async def do(self) -> Done:
        return await self._step.do()

    def script(self) -> Script:
        script = self._step.script()
        shown = ", ".join(self._others[:_MOST_OTHERS])
        rest = len(self._others) - _MOST_OTHERS
        others = f"{shown} and {rest} more" if rest > 0 else shown
        told = [f"# It stays: {others} need{'s' * (len(self._others) == 1)} it too. Once none does:"]
        return replace(script, undo="\n".join([*told, *(f"#   {line}" for line in script.undo.splitlines())]))


@dataclass(frozen=True)
class _Book:
    """One target with its steps."""

    entry: Entry
    session: Session

    @cached_property
    def steps(self) -> list[Step]:
        context = RunContext(Deadline(0), lambda _: None, lambda _: None)
        akka = AkkaCli(self.entry.scope, context.deadline, context.trace)
        return list(all_steps(self.session, context, akka, self.entry.secret_name))

    def made_by(self, step: Step) -> tuple[str, ...]:
        """What a step creates, as far as that is known without a call; equal values are the same resource."""
        undo = filled_in(step.script().undo, self.session.script_variables())
        return (step.name, step.title, self.entry.target.shared_identity_key, undo)


def as_page(whole: Registries, chosen: Registries) -> str:
    """A Markdown page of the chosen targets of a file."""
    books = _books(whole, chosen)
    parts = [
        f"# Runbooks of {whole.name}",
        "",
        (
            "The documented commands for each registry, with a check after each and the command that "
            "undoes it. Run those of one"
        ),
        "registry in one shell, and take a new shell for the next.",
        "",
        *(f"{number}. {entry.name}: {entry.target.label}" for number, (entry, _, _) in enumerate(books, 1)),
        *(
            f"- {entry.name} is marked for removal: "
            f"`{shlex.join(['pullkey', 'offboard', '-f', whole.name, '--only', entry.name])}`"
            for entry in chosen.entries
            if entry.remove
        ),
    ]
    for entry, session, steps in books:
        page = as_markdown(session, steps, label=f"{entry.target.label} ({entry.name})", level=2)
        parts += ["", page.rstrip("\n")]
    return "\n".join(parts) + "\n"


def as_script(whole: Registries, chosen: Registries) -> str:
    """A bash script of the chosen targets of a file; each is its own process; errors do not stop it."""
    books = _books(whole, chosen)
    parts = [
        "#!/usr/bin/env bash",
        f"# Makes the registries of {quoted(one_line(whole.name))} pullable for Akka; written by pullkey.",
        "#   bash THIS_FILE             does it",
        "#   bash THIS_FILE undo        undoes it",
        (
            "#   bash THIS_FILE do NAME     does it for one of them; so does undo, with KEY_ID set to "
            "the key to delete"
        ),
        "set -euo pipefail",
        'mode="${1:-do}" only="${2:-}" known="" failed=()',
        'case "$mode" in do | undo) ;; *) echo "Give do or undo, not $mode" >&2; exit 2 ;; esac',
        "# A key is of one registry.",
        'if [ -z "$only" ]; then unset KEY_ID; fi',
    ]
    for number, (entry, session, steps) in enumerate(books, 1):
        end = f"PULLKEY_END_OF_{number}"
        script = as_bash(session, steps, label=entry.target.label)
        if any(line == end for line in script.splitlines()):
            raise AssertionError("no step writes the mark that ends it")
        name = quoted(entry.name)
        parts += [
            "",
            f'if [ -z "$only" ] || [ "$only" = {name} ]; then',
            "  known=yes",
            f"  echo {quoted(f'== {entry.name}: {entry.target.label}')}",
            # Not on stdin, where a password may be asked for.
            f"  bash /dev/fd/3 \"$mode\" 3<<'{end}' || failed+=({name})",
            script.rstrip("\n"),
            end,
            "fi",
        ]
    parts += [
        "",
        'if [ -n "$only" ] && [ -z "$known" ]; then',
        '  echo "There is no $only in this script" >&2',
        "  exit 2",
        "fi",
        'if [ "${#failed[@]}" -gt 0 ]; then',
        '  echo "Not done: ${failed[*]}" >&2',
        "  exit 4",
        "fi",
    ]
    return "\n".join(parts) + "\n"


def _books(whole: Registries, chosen: Registries) -> list[tuple[Entry, Session, list[Step]]]:
    books = [_book(entry) for entry in whole.entries if not entry.remove]
    users: dict[tuple[str, ...], list[Entry]] = {}
    for book in books:
        for step in book.steps:
            users.setdefault(book.made_by(step), []).append(book.entry)
    numbers = {entry.number for entry in chosen.entries}

    def steps(book: _Book) -> Iterator[Step]:
        for step in book.steps:
            users_of_it = users[book.made_by(step)]
            others = [one.name for one in users_of_it if one.number != book.entry.number]
            shared = others and step.script().undo and step.name not in _OF_ONE
            yield _Kept(step, others) if shared else step

    return [(book.entry, book.session, list(steps(book))) for book in books if book.entry.number in numbers]


def _book(entry: Entry) -> _Book:
    context = RunContext(Deadline(0), lambda _: None, lambda _: None)
    return _Book(entry, entry.provider.open(entry.target, context))

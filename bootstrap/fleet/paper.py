"""Plans and results on paper: as text, as JSON, and as a file that `apply` takes. None holds a secret."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.akka_scope import AkkaScope
from bootstrap.codes import Code
from bootstrap.documents import SCHEMA_VERSION, error_fields, left_over_document, problem_document
from bootstrap.errors import ExitCode, UsageProblem, first_line
from bootstrap.fleet.look import Action, Planned
from bootstrap.fleet.open import about
from bootstrap.fleet.registries import Entry, Registries, again
from bootstrap.fleet.target_result import TargetResult
from bootstrap.input_file import read_file
from bootstrap.output_file import OutputFile
from bootstrap.plugin import clock
from bootstrap.words import sentence

_PLAN, _VERSION, _DIGEST = "pullkey_plan", 2, "sha256"
_BEGINNING = b'{\n "pullkey_plan":'
_MOST_BYTES = 50_000_000
_MOST_PROJECTS = 8
ScopeOf = Callable[[Entry], AkkaScope]
"""The Akka project of a target, as far as Akka was asked for it."""
_TELL = {
    Action.CREATE: "to create", Action.REPLACE: "to replace", Action.ROTATE: "to rotate", Action.REPAIR: "to repair",
    Action.REMOVE: "to remove", Action.POSTPONED: "postponed", Action.KEEP: "to keep as it is", Action.BLOCKED: "blocked",
}  # fmt: skip


SIGNS = {
    Action.CREATE: "+", Action.REPLACE: "~", Action.ROTATE: "~", Action.REPAIR: "~", Action.REMOVE: "-",
    Action.POSTPONED: ".", Action.KEEP: "=", Action.BLOCKED: "!",
}  # fmt: skip


# -- for people ----------------------------------------------------------------------------------------------------


def plan_lines(
    plan: Sequence[Planned],
    *,
    style: Callable[[str, Action], str],
    keep: bool = True,
    summary: bool = False,
) -> Iterator[str]:
    """A plan, one line for each target and its reasons below it; in a summary only those that need attention."""
    for one in plan:
        if summary and not needs_attention(one):
            continue
        if one.action is Action.KEEP and not keep and not one.attention:
            continue
        yield f"{style(f'{SIGNS[one.action]} {one.action:8}', one.action)} {one.entry.name}  ({one.entry.target.label})"  # fmt: skip
        if one.action is Action.KEEP:
            if one.attention:
                yield f"           {one.attention}"
            continue
        if one.action is Action.BLOCKED:
            for problem in one.problems:
                yield f"           {first_line(problem)}{f' {sentence(problem.fix)}' if problem.fix else ''}"
            for left in one.left_over:
                yield f"           {left}"
            continue
        drift = set(one.drift)
        yield from (f"           {'drift: ' if reason in drift else ''}{reason}" for reason in one.reasons)
        yield from (f"           drift: {reason}" for reason in one.drift if reason not in one.reasons)
        for title in one.steps.values():
            yield f"           - {title}"
        for notice in one.notices:
            yield f"           note: {notice}"
        for left in one.left_over:
            yield f"           {left}"


def needs_attention(one: Planned) -> bool:
    """Whether `apply` would not leave this target as it should be."""
    return one.action in (Action.BLOCKED, Action.POSTPONED) or bool(one.left_over or one.attention)


def plan_total(plan: Sequence[Planned]) -> str:
    """How many of each, in one line."""
    counts = Counter(one.action for one in plan)
    words = [f"{counts[action]} {text}" for action, text in _TELL.items() if counts[action]]
    return f"{len(plan)} target{'s' * (len(plan) != 1)}: {', '.join(words)}." if plan else "No targets."


def project_lines(entries: Sequence[Entry], scope: ScopeOf) -> list[str]:
    """The Akka projects of a file's targets, and who is logged in to Akka."""
    found = list(dict.fromkeys(scope(entry).described for entry in entries))
    rest = len(found) - _MOST_PROJECTS
    return [*found[:_MOST_PROJECTS], *([f"and {rest} more Akka projects"] if rest > 0 else [])]


def end_total(ended: Sequence[TargetResult]) -> str:
    """How a whole file's work has ended, in one line."""
    counts = Counter("for you to check" if one.result == "drift" else one.result for one in ended)
    words = [f"{count} {word}" for word, count in sorted(counts.items())]
    return f"{len(ended)} target{'s' * (len(ended) != 1)}: {', '.join(words)}."


# -- for programs --------------------------------------------------------------------------------------------------


def plan_document(
    registries: Registries, plan: Sequence[Planned], code: ExitCode, scope: ScopeOf
) -> dict[str, Any]:
    """What `pullkey plan -f` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "plan",
        "file": registries.name,
        "exit_code": int(code),
        "targets": [_planned(one, scope) for one in plan],
    }


def work_document(
    command: str, registries: Registries, ended: Sequence[TargetResult], code: ExitCode, scope: ScopeOf
) -> dict[str, Any]:
    """What `pullkey apply`, `rotate -f` and `offboard -f` print."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "file": registries.name,
        "exit_code": int(code),
        "targets": [
            {
                **_planned(one.planned, scope),
                "result": one.result.replace(" ", "-"),
                "exit_code": int(one.exit_code),
                "changed": one.changed,
                "key_id": one.key_id or None,
                "proven": one.proven or None,
                "detail": one.detail or None,
                "seconds": one.seconds,
                "undone": list(one.undone),
                "left_over": left_over_document(one.left_over),
                "error": error_fields(one.error),
            }
            for one in ended
        ],
    }


def _planned(one: Planned, scope: ScopeOf) -> dict[str, Any]:
    return {
        "name": one.entry.name,
        "line": one.entry.place.line,
        **about(one.entry, scope(one.entry)),
        "action": str(one.action),
        "reasons": list(one.reasons),
        "drift": list(one.drift),
        "steps": [{"name": name, "title": title} for name, title in one.steps.items()],
        "key_id": one.key_id or None,
        "problems": [problem_document(problem) for problem in one.problems],
        "notices": list(one.notices),
        "left_over": left_over_document(one.left_over),
    }


# -- saved ---------------------------------------------------------------------------------------------------------


def file_of_plan(path: Path) -> OutputFile:
    """The file of a plan that is to be saved; only its owner can read it."""
    return OutputFile(path, "--save", "a plan", _BEGINNING)


def save(path: Path, registries: Registries, plan: Sequence[Planned]) -> None:
    """Write a plan to a file, with a digest over all of it.

    Raises:
        UsageProblem: it cannot be written.
    """
    document: dict[str, Any] = {
        _PLAN: _VERSION,
        "file": registries.name,
        "made": clock.now().isoformat(timespec="seconds"),
        "targets": [{"entry": dict(one.entry.raw), "mark": dict(one.mark)} for one in plan],
    }
    file_of_plan(path).write(json.dumps({**document, _DIGEST: _digest(document)}, indent=1) + "\n")


def _digest(document: Mapping[str, Any]) -> str:
    """Of a plan as it was saved. It shows that a plan was torn or edited; whoever means to can compute it anew."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def saved(path: Path) -> tuple[Registries, list[Mapping[str, Any]]]:
    """The targets of a saved plan, and what was planned for each.

    Raises:
        UsageProblem: it cannot be read, or is no plan.
    """
    fix = "Make one: pullkey plan -f FILE --save PLAN"
    try:
        document = json.loads(read_file(path, _MOST_BYTES))
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be read: {error.strerror}", fix=fix, code=Code.FILE_UNREADABLE
        ) from None
    except (ValueError, RecursionError):
        raise UsageProblem(
            f"{path} is not a plan of pullkey's: it is not JSON", fix=fix, code=Code.PLAN_FILE
        ) from None
    if not isinstance(document, dict) or _PLAN not in document:
        raise UsageProblem(f"{path} is not a plan of pullkey's", fix=fix, code=Code.PLAN_FILE)
    if document[_PLAN] != _VERSION:
        raise UsageProblem(f"{path} is a plan of another version of pullkey", fix=fix, code=Code.PLAN_FILE)
    if document.pop(_DIGEST, None) != _digest(document):
        raise UsageProblem(f"{path} was edited or not written completely since it was saved; nothing was changed", fix="A plan is applied as saved. Change the file of registries, and plan again: pullkey plan -f FILE --save PLAN", code=Code.PLAN_FILE)  # fmt: skip
    try:
        entries = [dict(one["entry"]) for one in document["targets"]]
        marks: list[Mapping[str, Any]] = [dict(one["mark"]) for one in document["targets"]]
    except (KeyError, TypeError, ValueError):
        raise UsageProblem(
            f"{path} is not a complete plan of pullkey's", fix=fix, code=Code.PLAN_FILE
        ) from None
    if not entries:
        return Registries(str(path)), []
    return again(entries, str(path)), marks


def moved_on(marks: Sequence[Mapping[str, Any]], now: Sequence[Planned]) -> list[str]:
    """What is no longer as a saved plan says, each in a few words. Where nothing is left to do, all is well."""
    return [
        f"{one.entry.name}: {mark.get('action')} was planned, and now it is {one.action}: {'; '.join(one.reasons)}"
        for mark, one in zip(marks, now, strict=True)
        if one.action is not Action.KEEP and dict(one.mark) != dict(mark)
    ]

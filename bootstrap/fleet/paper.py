"""Plans and results on paper: as text, as JSON, and as a file that `apply` takes. None holds a secret."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.documents import SCHEMA_VERSION, problem_document
from bootstrap.errors import ExitCode, UsageProblem
from bootstrap.fleet.look import Action, Planned
from bootstrap.fleet.open import about
from bootstrap.fleet.registries import Registries, again
from bootstrap.fleet.work import Ended

_PLAN = "pullkey_plan"
_MOST_BYTES = 50_000_000
_TELL = {
    Action.CREATE: "to create", Action.REPLACE: "to replace", Action.ROTATE: "to rotate", Action.REPAIR: "to repair",
    Action.REMOVE: "to remove", Action.KEEP: "to keep as it is", Action.BLOCKED: "blocked",
}  # fmt: skip


# -- for people ----------------------------------------------------------------------------------------------------


def plan_lines(plan: Sequence[Planned], *, style: Callable[[str, Action], str], keep: bool = True) -> Iterator[str]:  # fmt: skip
    """A plan, one line a target and its reasons below it."""
    for one in plan:
        if one.action is Action.KEEP and not keep:
            continue
        yield f"{style(f'{one.action:8}', one.action)} {one.entry.name}  ({one.entry.target.label})"
        if one.action is Action.KEEP:
            continue
        if one.action is Action.BLOCKED:
            for problem in one.problems:
                yield f"         {problem.what}{f'. {problem.mend}' if problem.mend else ''}"
            continue
        drift = set(one.drift)
        yield from (f"         {'drift: ' if reason in drift else ''}{reason}" for reason in one.reasons)
        yield from (f"         drift: {reason}" for reason in one.drift if reason not in one.reasons)
        for title in one.steps.values():
            yield f"         - {title}"
        for notice in one.notices:
            yield f"         note: {notice}"


def plan_total(plan: Sequence[Planned]) -> str:
    """How many of each, in one line."""
    counts = Counter(one.action for one in plan)
    words = [f"{counts[action]} {text}" for action, text in _TELL.items() if counts[action]]
    return (
        f"{len(plan)} target{'s' * (len(plan) != 1)}: {', '.join(words)}." if plan else "There is no target."
    )


def end_total(ended: Sequence[Ended]) -> str:
    """How a whole file's work has ended, in one line."""
    counts = Counter("failed" if one.failed and one.result not in ("refused", "interrupted", "not begun") else one.result for one in ended)  # fmt: skip
    words = [f"{count} {word}" for word, count in sorted(counts.items())]
    return f"{len(ended)} target{'s' * (len(ended) != 1)}: {', '.join(words)}."


# -- for programs --------------------------------------------------------------------------------------------------


def plan_document(registries: Registries, plan: Sequence[Planned], code: ExitCode) -> dict[str, Any]:
    """What `pullkey plan -f` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "plan",
        "file": registries.name,
        "exit_code": int(code),
        "targets": [_planned(one) for one in plan],
    }


def work_document(
    command: str, registries: Registries, ended: Sequence[Ended], code: ExitCode
) -> dict[str, Any]:
    """What `pullkey apply`, `rotate -f` and `offboard -f` print."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "file": registries.name,
        "exit_code": int(code),
        "targets": [
            {
                **_planned(one.planned),
                "result": one.result.replace(" ", "-"),
                "exit_code": int(one.exit_code),
                "changed": one.changed,
                "key_id": one.key_id or None,
                "proven": one.proven or None,
                "detail": one.detail or None,
                "seconds": one.seconds,
                "undone": list(one.undone),
                "left_over": [{"what": left.what, "command": left.command} for left in one.left_over],
                "error": {"what": one.error.what, "mend": one.error.mend} if one.error else None,
            }
            for one in ended
        ],
    }


def _planned(one: Planned) -> dict[str, Any]:
    return {
        "name": one.entry.name,
        "line": one.entry.place.line,
        **about(one.entry),
        "action": str(one.action),
        "reasons": list(one.reasons),
        "drift": list(one.drift),
        "steps": [{"name": name, "title": title} for name, title in one.steps.items()],
        "key_id": one.key_id or None,
        "problems": [problem_document(problem) for problem in one.problems],
        "notices": list(one.notices),
    }


# -- saved ---------------------------------------------------------------------------------------------------------


def save(path: Path, registries: Registries, plan: Sequence[Planned]) -> None:
    """Write a plan to a file that only its owner can read.

    Raises:
        UsageProblem: it cannot be written.
    """
    document = {
        _PLAN: 1,
        "file": registries.name,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "targets": [{"entry": dict(one.entry.raw), "mark": dict(one.mark)} for one in plan],
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageProblem(f"--save: {path} cannot be written: {error.strerror}") from None


def saved(path: Path) -> tuple[Registries, list[Mapping[str, Any]]]:
    """The targets of a saved plan, and what was planned for each.

    Raises:
        UsageProblem: it cannot be read, or is no plan.
    """
    mend = "Make one: pullkey plan -f FILE --save PLAN"
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}", mend=mend) from None
    except (ValueError, RecursionError):
        raise UsageProblem(f"{path} is no plan of pullkey's: it is no JSON", mend=mend) from None
    if not isinstance(document, dict) or document.get(_PLAN) != 1:
        raise UsageProblem(f"{path} is no plan of pullkey's", mend=mend)
    try:
        entries = [dict(one["entry"]) for one in document["targets"]]
        marks: list[Mapping[str, Any]] = [dict(one["mark"]) for one in document["targets"]]
    except (KeyError, TypeError, ValueError):
        raise UsageProblem(f"{path} is no whole plan of pullkey's", mend=mend) from None
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

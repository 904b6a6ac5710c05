"""Plans and results of many targets, as text and as JSON. None holds a secret."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.pace import pace_of
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.registries import Registries
from bootstrap.fleet.target_end import TargetEnd
from bootstrap.fleet.target_result import TargetResult
from bootstrap.fleet.workspace import about
from bootstrap.model.errors import ExitCode, first_line
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.model.text import count_of, sentence
from bootstrap.output.error_documents import error_fields, problem_document
from bootstrap.output.json_documents import left_over_document

_MOST_PROJECTS = 8


ScopeOf = Callable[[Entry], AkkaScope]


"""The Akka project of a target, as far as Akka was asked for it."""


_TELL = {
    Action.CREATE: "to create",
    Action.REPLACE: "to replace",
    Action.ROTATE: "to rotate",
    Action.REPAIR: "to repair",
    Action.REMOVE: "to remove",
    Action.POSTPONED: "postponed",
    Action.KEEP: "to keep",
    Action.BLOCKED: "blocked",
}


SIGNS = {
    Action.CREATE: "+",
    Action.REPLACE: "~",
    Action.ROTATE: "~",
    Action.REPAIR: "~",
    Action.REMOVE: "-",
    Action.POSTPONED: ".",
    Action.KEEP: "=",
    Action.BLOCKED: "!",
}


def plan_lines(
    plan: Sequence[Planned],
    *,
    style: Callable[[str, Action], str],
    keep: bool = True,
    summary: bool = False,
) -> Iterator[str]:
    """A plan, one line for each target and its reasons below it; in a summary only those that need
    attention.
    """
    for one in plan:
        if summary and not needs_attention(one):
            continue
        if one.action is Action.KEEP and not keep and not (one.attention or one.unconfirmed or one.left_over):
            continue
        yield (
            f"{style(f'{SIGNS[one.action]} {one.action:8}', one.action)} {one.entry.name}  "
            f"({one.entry.target.label})"
        )
        if one.action is Action.KEEP:
            for text in filter(None, (one.attention, one.unconfirmed)):
                yield f"           {text}"
            for left in one.left_over:
                yield f"           {left}"
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
    return f"{count_of(len(plan), 'target')}: {', '.join(words)}." if plan else "No targets."


def project_lines(entries: Sequence[Entry], scope: ScopeOf) -> list[str]:
    """The Akka projects of a file's targets, and who is logged in to Akka."""
    found = list(dict.fromkeys(scope(entry).described for entry in entries))
    rest = len(found) - _MOST_PROJECTS
    return [*found[:_MOST_PROJECTS], *([f"and {rest} more Akka projects"] if rest > 0 else [])]


def end_total(ended: Sequence[TargetEnd]) -> str:
    """How a whole file's work has ended, in one line."""
    counts = Counter("for you to check" if one.result == "drift" else one.result for one in ended)
    words = [f"{count} {word}" for word, count in sorted(counts.items())]
    return f"{count_of(len(ended), 'target')}: {', '.join(words)}."


def pace_lines(plan: Sequence[Planned], *, all_parts: bool) -> list[str]:
    """How long a plan takes at least by the documented quotas, if any of its calls has to wait for one.

    Args:
        plan: of this machine.
        all_parts: whether it is the whole file, and not a part of it.
    """
    pace = pace_of(plan)
    if pace is None or not pace.seconds:
        return []
    quota = pace.quota
    shards = (
        "`--shard` does not make it shorter: all that this quota counts is in one part."
        if quota.one_part
        else "`--shard` does not make it shorter: all parts draw on this quota."
        if all_parts
        else "The other parts draw on the same quota, which makes it longer."
    )
    least = f"{pace.seconds:.0f} s" if pace.seconds < 120 else f"{math.ceil(pace.seconds / 60)} min"
    text = (
        f"It takes {least} at least: {pace.calls:,} calls to {quota.api} for {pace.place}, "
        f"and it accepts {quota.limit} ({quota.source})."
    )
    return [text, shards]


def _pace_document(plan: Sequence[Planned]) -> dict[str, Any] | None:
    pace = pace_of(plan)
    if pace is None:
        return None
    return {
        "seconds": round(pace.seconds),
        "api": pace.quota.api,
        "limit": pace.quota.limit,
        "place": pace.place,
        "calls": pace.calls,
        "source": pace.quota.source,
    }


def plan_document(
    registries: Registries, plan: Sequence[Planned], code: ExitCode, scope: ScopeOf
) -> dict[str, Any]:
    """What `pullkey plan -f` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "plan",
        "file": registries.name,
        "exit_code": int(code),
        "pace": _pace_document(plan),
        "targets": [_planned(one, scope) for one in plan],
    }


def work_document(
    command: str, file: str, targets: Sequence[Mapping[str, Any] | None], code: ExitCode
) -> dict[str, Any]:
    """What `pullkey apply`, `rotate -f` and `offboard -f` print; `targets` are of `ended_document`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "file": file,
        "exit_code": int(code),
        "targets": list(targets),
    }


def ended_document(one: TargetResult, scope: ScopeOf) -> dict[str, Any]:
    """How one target ended, for `work_document`."""
    return {
        **_planned(one.planned, scope),
        "result": one.result.replace(" ", "-"),
        "exit_code": int(one.exit_code),
        "changed": one.changed,
        "key_id": one.key_id or None,
        "proven": one.verified or None,
        "detail": one.detail or None,
        "seconds": one.seconds,
        "undone": list(one.undone),
        "left_over": left_over_document(one.left_over),
        "error": error_fields(one.error),
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

"""Saved plans: the files that `pullkey plan --save` writes and `pullkey apply` reads. None holds a secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bootstrap.files.input_file import read_file
from bootstrap.files.output_file import OutputFile
from bootstrap.fleet import messages
from bootstrap.fleet.fault import Place
from bootstrap.fleet.planner import Action, Planned
from bootstrap.fleet.policy import Policy
from bootstrap.fleet.registries import Registries, against, parse_entries
from bootstrap.fleet.shards import Shard
from bootstrap.model import clock

_PLAN, _VERSION, _DIGEST = "pullkey_plan", 3, "sha256"


_BEGINNING = b'{\n "pullkey_plan":'


_MOST_BYTES = 50_000_000


def file_of_plan(path: Path) -> OutputFile:
    """The output file of a plan; readable by its owner only."""
    return OutputFile(path, "--save", "a plan", _BEGINNING)


def save(path: Path, registries: Registries, plan: Sequence[Planned], part: Shard | None) -> None:
    """Write a plan to a file, with a digest of its content; `part` is the part of the file that it is for.

    Raises:
        UsageProblem: it cannot be written.
    """
    document: dict[str, Any] = {
        _PLAN: _VERSION,
        "file": registries.name,
        "made": clock.now().isoformat(timespec="seconds"),
        "part": str(part or ""),
        "policies": list(registries.policy_files),
        "targets": [
            {
                "entry": dict(one.entry.raw),
                "mark": dict(one.mark),
                "line": one.entry.place.line,
                "column": one.entry.place.column,
            }
            for one in plan
        ],
    }
    file_of_plan(path).write(json.dumps({**document, _DIGEST: _digest(document)}, indent=1) + "\n")


def _digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a plan, which detects a truncated or edited file. It is not a signature."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_saved(path: Path, here: Shard | None) -> tuple[Registries, list[Mapping[str, Any]]]:
    """The targets of a saved plan, and what was planned for each.

    Args:
        path: of the plan.
        here: the part of this machine, by a variable.

    Raises:
        UsageProblem: it cannot be read, is not a plan, or is not the plan of this machine's part.
    """
    try:
        document = json.loads(read_file(path, _MOST_BYTES))
    except OSError as error:
        raise messages.plan_unreadable(path, error.strerror) from None
    except (ValueError, RecursionError):
        raise messages.plan_not_json(path) from None
    if not isinstance(document, dict) or _PLAN not in document:
        raise messages.not_a_plan(path)
    if document[_PLAN] != _VERSION:
        raise messages.plan_of_other_version(path)
    if document.pop(_DIGEST, None) != _digest(document):
        raise messages.plan_edited(path)
    part = str(document.get("part") or "")
    if here is not None and part != str(here):
        raise messages.plan_of_another_part(path, part, str(here))
    try:
        entries = [dict(one["entry"]) for one in document["targets"]]
        marks: list[Mapping[str, Any]] = [dict(one["mark"]) for one in document["targets"]]
        places = [Place(int(one["line"]), int(one["column"])) for one in document["targets"]]
    except (KeyError, TypeError, ValueError):
        raise messages.plan_incomplete(path) from None
    policies = tuple(map(str, document.get("policies") or ()))
    if not entries:
        return Registries(str(path)), []
    found = parse_entries(entries, str(path)).entries
    # What is said of a target later is about the file that the plan was made of.
    placed = [replace(one, place=place) for one, place in zip(found, places, strict=True)]
    return Registries(str(document["file"]), tuple(placed), policies), marks


def policy_violations(registries: Registries, policies: Sequence[Policy]) -> list[str]:
    """The policy violations of a saved plan, one line each: of these policies, and of those that it was
    checked against, in the files that still exist.
    """
    from bootstrap.fleet.policy_file import policy_of_registries

    given = {str(Path(one.file).absolute()) for one in policies}
    paths = [Path(one) for one in registries.policy_files if one not in given]
    now = [*policies, *(policy_of_registries(one) for one in paths if one.exists())]
    faults = list(dict.fromkeys(against(registries.entries, *now)))
    return [
        f"{one.name}: {fault.what}"
        for one in registries.entries
        for fault in faults
        if fault.place in (one.place, *one.places.values())
    ]


def changes_since(marks: Sequence[Mapping[str, Any]], now: Sequence[Planned]) -> list[str]:
    """What differs from a saved plan, one line each; a target with nothing left to do does not differ.

    A target whose key could not be seen may have something left to do.
    """
    return [
        f"{one.entry.name}: {mark.get('action')} was planned, and now it is {one.action}: "
        f"{one.not_seen or '; '.join(one.reasons)}"
        for mark, one in zip(marks, now, strict=True)
        if (one.action is not Action.KEEP or one.not_seen) and dict(one.mark) != dict(mark)
    ]

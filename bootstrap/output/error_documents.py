"""What the JSON documents of `--output json` say of errors, with nothing of a run: the command line may be
unusable, or the system.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bootstrap.model.errors import Problem, PullkeyError, Refused, fix_fields
from bootstrap.model.schema_version import SCHEMA_VERSION


def as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2)


def error_document(
    command: str | None, result: str, error: PullkeyError, *, what: str, fix: str
) -> dict[str, Any]:
    """A command that ended before it had another document; `what` and `fix` are shortened."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "result": result,
        "exit_code": int(error.exit_code),
        "error": {"code": str(error.code), "what": what, **fix_fields(fix)},
        "problems": [problem_document(one) for one in error.problems] if isinstance(error, Refused) else [],
        "faults": faults_document(error),
    }


def error_fields(error: PullkeyError | None) -> dict[str, str] | None:
    return {"code": str(error.code), "what": error.what, **fix_fields(error.fix)} if error else None


def problem_document(problem: Problem) -> dict[str, str | None]:
    return {
        "code": str(problem.code),
        "kind": str(problem.kind),
        "what": problem.what,
        **fix_fields(problem.fix or None),
        "step": problem.step or None,
        "permission": problem.permission or None,
    }


def faults_document(error: object) -> list[dict[str, Any]]:
    """The mistakes of a file, if the error is about one."""
    return [dict(one) for one in getattr(error, "places", ())]

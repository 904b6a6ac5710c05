"""The JSON objects of `--output json`, which `pullkey schema` describes. None holds a secret: none is in what they tell."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.akka import AkkaScope
from bootstrap.behind import Behind
from bootstrap.engine import Run
from bootstrap.errors import ExitCode, LeftOver, Problem, PullkeyError
from bootstrap.offboarding import Parting
from bootstrap.provider import Check, KeyFacts
from bootstrap.runbook import filled_in
from bootstrap.standing import Standing, due, due_on

SCHEMA_VERSION = 1


def as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2)


def run_document(run: Run, *, command: str, provider: str, scope: AkkaScope) -> dict[str, Any]:
    """One run for one target: `onboard`, `plan`, `verify`, `rotate`."""
    outcome, session = run.outcome, run.session
    variables = session.script_variables()
    scripts = {step.name: filled_in(step.script().shown, variables) for step in run.steps}
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "result": outcome.result,
        "exit_code": int(outcome.exit_code),
        "changed": outcome.changed,
        "proven": outcome.proven or None,
        "provider": provider,
        "registry": run.target.label,
        "as": outcome.who or None,
        "akka": _akka(scope, run.wishes.secret_name),
        "credential": dict(outcome.credential) or None,
        "steps": [
            {
                "name": result.name,
                "title": result.title,
                "state": str(result.seen.state),
                "reason": result.seen.detail,
                "result": result.result,
                "detail": result.detail,
                "seconds": result.seconds,
                "command": scripts[result.name],
            }
            for result in outcome.steps.values()
        ],
        "problems": [problem_document(problem) for problem in outcome.problems],
        "notices": outcome.notices,
        "undone": outcome.undone,
        "left_over": _left_over(outcome.left_over),
        "error": _error(outcome.error),
    }


def parting_document(parting: Parting, behind: Behind, *, scope: AkkaScope) -> dict[str, Any]:
    """One offboarding."""
    held = behind.held
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "offboard",
        "result": parting.result,
        "exit_code": int(parting.exit_code),
        "changed": parting.changed,
        "provider": behind.provider.name,
        "registry": behind.target.label if behind.target else held.server,
        "akka": _akka(scope, held.name),
        "things": [
            {
                "name": item.name,
                "what": item.removal.what,
                "fate": str(item.removal.fate),
                "why": item.removal.why or None,
                "command": item.removal.command or None,
                "result": item.result or None,
                "detail": item.detail or None,
            }
            for item in parting.items
        ],
        "notices": parting.notices,
        "left_over": _left_over(parting.left_over),
        "error": _error(parting.error),
    }


def results_document(
    command: str, results: Sequence[Mapping[str, Any]], code: int, left_over: Sequence[LeftOver] = ()
) -> dict[str, Any]:
    """What one command has done to several credentials, and what is there of one that Akka does not list."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "exit_code": int(code),
        "results": list(results),
        "left_over": _left_over(left_over),
    }


def list_document(standings: Sequence[Standing], *, scope: AkkaScope, code: ExitCode) -> dict[str, Any]:
    """What `pullkey list` shows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "list",
        "exit_code": int(code),
        "akka": {name: value for name, value in _akka(scope, "").items() if name != "secret_name"},
        "credentials": [standing_document(one) for one in standings],
    }


def doctor_document(found: Mapping[str, Sequence[Check]], code: ExitCode) -> dict[str, Any]:
    """What `pullkey doctor` has seen."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "doctor",
        "exit_code": int(code),
        "checks": [
            {
                "about": about,
                "what": check.what,
                "good": check.good,
                "detail": check.detail,
                "mend": check.mend or None,
            }
            for about, checks in found.items()
            for check in checks
        ],
    }


def standing_document(one: Standing) -> dict[str, Any]:
    held, link = one.behind.held, one.behind.held.link
    return {
        "name": held.name,
        "state": one.state.replace(" ", "-"),
        "provider": one.behind.provider.name,
        "registry": one.behind.target.label if one.behind.target else None,
        "server": held.server,
        "username": held.username,
        "email": held.email,
        "status": held.status or None,
        "regions_behind": held.behind or None,
        "identity": one.identity or None,
        "grant": one.grant or None,
        "right": one.right or None,
        "key_id": link.key_id if link else None,
        "key": _key(one.key),
        "replaced_key": _key(one.replaced),
        "due": (due(one.key) or None) if one.key else None,
        "due_on": moment(due_on(one.key)) if one.key else None,
        "last_pulled": moment(one.proven),
        "wrong": one.wrong,
        "not_seen": one.unseen,
        "notes": one.known,
    }


def _key(key: KeyFacts | None) -> dict[str, Any] | None:
    if key is None:
        return None
    return {
        "id": key.key_id,
        "created": moment(key.created),
        "ends": moment(key.ends),
        "disabled": key.disabled,
    }


def moment(when: dt.datetime | None) -> str | None:
    return when.isoformat(timespec="seconds") if when else None


def _akka(scope: AkkaScope, secret_name: str) -> dict[str, str | None]:
    return {
        "project": scope.project or None,
        "owner": scope.owner or None,
        "region": scope.region or None,
        "secret_name": secret_name,
    }


def _left_over(items: Sequence[LeftOver]) -> list[dict[str, str]]:
    return [{"what": item.what, "command": item.command} for item in items]


def _error(error: PullkeyError | None) -> dict[str, str] | None:
    return {"what": error.what, "mend": error.mend} if error else None


def problem_document(problem: Problem) -> dict[str, str | None]:
    return {
        "kind": str(problem.kind),
        "what": problem.what,
        "mend": problem.mend or None,
        "step": problem.step or None,
        "permission": problem.permission or None,
    }

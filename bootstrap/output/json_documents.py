"""The JSON documents of `--output json`, which `pullkey schema` describes. None holds a secret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.due import due, due_on
from bootstrap.engine.health import CredentialHealth
from bootstrap.engine.locate import LocatedCredential
from bootstrap.engine.result import Result
from bootstrap.engine.target_operation import TargetOperation
from bootstrap.model.codes import Code, Explanation
from bootstrap.model.errors import ExitCode, LeftOver, PullkeyError, fix_fields
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.schema_version import SCHEMA_VERSION
from bootstrap.output.commands import by_hand
from bootstrap.output.error_documents import error_fields, faults_document, problem_document
from bootstrap.plugin.checks import Check

if TYPE_CHECKING:
    from bootstrap.akka.services import PullFailure, Service
    from bootstrap.engine.audit_chain import ChainReport
    from bootstrap.engine.service_survey import RegistryInUse
    from bootstrap.plugin.inventory import InstalledProvider


def run_document(
    run: TargetOperation, *, command: str, provider: str, waited: Sequence[str] = ()
) -> dict[str, Any]:
    """A run for one target: `onboard`, `plan`, `verify`, `rotate`; `waited`: services that could not pull."""
    return result_document(
        run.result,
        command=command,
        provider=provider,
        registry=run.target.label,
        akka=run.akka.resolved,
        secret_name=run.options.secret_name,
        steps=_steps(run),
        waited=waited,
    )


def result_document(
    result: Result,
    *,
    command: str,
    provider: str,
    registry: str,
    akka: AkkaScope,
    secret_name: str,
    steps: Sequence[Mapping[str, Any]] = (),
    waited: Sequence[str] = (),
) -> dict[str, Any]:
    """As `run_document`, of what was done without a run."""
    return {
        **_of_result(command, result),
        "proven": result.verified or None,
        "provider": provider,
        "registry": registry,
        "as": result.who or None,
        "akka": _akka(akka, secret_name),
        "credential": dict(result.credential) or None,
        "steps": list(steps),
        "problems": [problem_document(problem) for problem in result.problems],
        "notices": result.notices,
        "warnings": result.warnings,
        "services_without_image": list(waited),
        "undone": result.undone,
        **_end_of_result(result),
    }


def _of_result(command: str, result: Result) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "result": result.result,
        "exit_code": int(result.exit_code),
        "changed": result.changed,
    }


def _end_of_result(result: Result) -> dict[str, Any]:
    return {"left_over": left_over_document(result.left_over), "error": error_fields(result.error)}


def _steps(run: TargetOperation) -> list[dict[str, Any]]:
    """The steps, each with the equivalent command."""
    found = run.result.steps
    # A run may fail before it has looked at its steps.
    to_do = [step for step in run.steps if step.name in found and found[step.name].seen.state != "done"]
    # The commands of a step that is in place need no variables of the others.
    scripts = {step.name: command for step in run.steps for command in by_hand(run.session, [step]).values()}
    scripts |= by_hand(run.session, to_do)
    return [
        {
            "name": one.name,
            "title": one.title,
            "state": str(one.seen.state),
            "reason": one.seen.detail,
            "result": one.result,
            "detail": one.detail,
            "seconds": one.seconds,
            "command": scripts[one.name],
        }
        for one in found.values()
    ]


def service_document(
    service: Service,
    failures: Sequence[PullFailure],
    problem: str,
    problem_code: Code | None,
    verification: Mapping[str, Any] | None,
    code: ExitCode,
) -> dict[str, Any]:
    """The result of `pullkey verify --service`: the service's pull, and the credential for its image."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "verify-service",
        "exit_code": int(code),
        "service": {"name": service.name, "image": service.image, "status": service.status or None},
        "pull_failures": [{"reason": one.reason, "message": one.message or None} for one in failures],
        "problem": problem or None,
        "problem_code": str(problem_code) if problem_code else None,
        "verification": verification,
    }


def survey_document(
    found: Sequence[RegistryInUse],
    ended: Mapping[str, tuple[int, Mapping[str, Any] | None]],
    code: ExitCode,
) -> dict[str, Any]:
    """The registries that a project's services pull from; of those that were onboarded, by their places, the
    exit code and the document.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "from-project",
        "exit_code": int(code),
        "registries": [
            {
                "registry": one.place,
                "provider": one.provider.name if one.provider is not None else None,
                "credential_state": str(one.need),
                "credential": one.credential or None,
                "problems": list(one.problems),
                "services": [
                    {
                        "name": name,
                        "image": image,
                        "pull_failure": one.failures[name].reason if name in one.failures else None,
                    }
                    for image, names in one.images.items()
                    for name in names
                ],
                "exit_code": int(ended[one.place][0]) if one.place in ended else None,
                "onboarding": ended[one.place][1] if one.place in ended else None,
            }
            for one in found
        ],
    }


def offboarding_document(result: Result, located: LocatedCredential, *, scope: AkkaScope) -> dict[str, Any]:
    """One offboarding."""
    held = located.held
    return {
        **_of_result("offboard", result),
        "provider": located.provider.name,
        "registry": located.target.label if located.target else held.server,
        "akka": _akka(scope, held.name),
        "things": [
            {
                "name": item.name,
                "what": item.removal.what,
                "fate": str(item.removal.disposition),
                "why": item.removal.why or None,
                "command": item.removal.command or None,
                "result": item.result or None,
                "detail": item.detail or None,
            }
            for item in result.removals
        ],
        "notices": result.notices,
        **_end_of_result(result),
    }


def results_document(
    command: str,
    results: Sequence[Mapping[str, Any]],
    code: int,
    left_over: Sequence[LeftOver] = (),
    errors: Sequence[tuple[str, PullkeyError]] = (),
) -> dict[str, Any]:
    """The results of one command for several credentials, and what is left of one that Akka does not list."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "exit_code": int(code),
        "results": list(results),
        "errors": [
            {
                "name": name,
                "exit_code": int(one.exit_code),
                "code": str(one.code),
                "what": one.what,
                **fix_fields(one.fix),
            }
            for name, one in errors
        ],
        "left_over": left_over_document(left_over),
    }


def list_document(
    assessed: Sequence[CredentialHealth], left_over: Sequence[LeftOver], *, scope: AkkaScope, code: ExitCode
) -> dict[str, Any]:
    """What `pullkey list` shows."""
    return projects_document([(scope, assessed, left_over)], [], scope=scope, code=code)


def projects_document(
    found: Sequence[tuple[AkkaScope, Sequence[CredentialHealth], Sequence[LeftOver]]],
    not_read: Sequence[tuple[AkkaScope, PullkeyError]],
    *,
    scope: AkkaScope,
    code: ExitCode,
) -> dict[str, Any]:
    """What `pullkey list --all-projects` shows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "list",
        "exit_code": int(code),
        "akka": scope.document(),
        "credentials": [_in_project(one, project) for project, assessed, _ in found for one in assessed],
        "left_over": [one for _, _, left_over in found for one in left_over_document(left_over)],
        "projects_not_read": [
            {**project.document(), "error": error_fields(error)} for project, error in not_read
        ],
    }


def _in_project(one: CredentialHealth, scope: AkkaScope) -> dict[str, Any]:
    return {**health_document(one), "akka": scope.document()}


def codes_document(found: Sequence[Explanation]) -> dict[str, Any]:
    """What `pullkey explain` shows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "explain",
        "codes": [
            {
                "code": str(one.code),
                "area": one.area,
                "title": one.title,
                "cause": one.cause,
                "fix": one.fix,
                "who": [str(who) for who in one.who],
            }
            for one in found
        ],
    }


def doctor_document(found: Mapping[str, Sequence[Check]], code: ExitCode) -> dict[str, Any]:
    """The checks of `pullkey doctor`."""
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
                **fix_fields(check.fix or None),
                "code": str(check.code) if check.code else None,
            }
            for about, checks in found.items()
            for check in checks
        ],
    }


def providers_document(found: Sequence[InstalledProvider], code: ExitCode) -> dict[str, Any]:
    """The providers of `pullkey providers`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "providers",
        "exit_code": int(code),
        "providers": [
            {
                "name": one.name,
                "title": one.title or None,
                "distribution": one.distribution,
                "version": one.version,
                "installed_from": one.origin or None,
                "editable": one.editable,
                "location": one.folder,
                "hosts": list(one.hosts),
                "fallback": one.fallback,
                "problem": {
                    "code": str(one.problem.code),
                    "what": one.problem.what,
                    **fix_fields(one.problem.fix or None),
                }
                if one.problem is not None
                else None,
            }
            for one in found
        ],
    }


def audit_document(found: Sequence[tuple[str, ChainReport]], code: ExitCode) -> dict[str, Any]:
    """What `pullkey audit verify` has found, by file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "audit-verify",
        "exit_code": int(code),
        "files": [
            {
                "file": name,
                "lines": one.lines,
                "torn_lines": one.torn,
                "last_hash": one.last,
                "mismatch": {"line": one.mismatch.line, "what": one.mismatch.what} if one.mismatch else None,
            }
            for name, one in found
        ],
    }


def validation_document(found: Sequence[tuple[str, int | PullkeyError]], code: ExitCode) -> dict[str, Any]:
    """What `pullkey validate` has found: of each file how many targets it has, or why it is not valid."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "validate",
        "exit_code": int(code),
        "files": [
            {
                "file": name,
                "valid": not isinstance(one, PullkeyError),
                "targets": None if isinstance(one, PullkeyError) else one,
                "faults": faults_document(one),
                "error": error_fields(one) if isinstance(one, PullkeyError) else None,
            }
            for name, one in found
        ],
    }


def health_document(one: CredentialHealth) -> dict[str, Any]:
    held, link = one.located.held, one.located.held.link
    return {
        "name": held.name,
        "state": one.state.replace(" ", "-"),
        "provider": one.located.provider.name,
        "registry": one.located.target.label if one.located.target else None,
        "server": held.server,
        "username": held.username,
        "email": held.email,
        "status": held.status or None,
        "regions_behind": held.lagging_regions or None,
        "identity": one.identity or None,
        "grant": one.grant or None,
        "right": one.access or None,
        "key_id": link.key_id if link else None,
        "key": _key(one.key),
        "expiry": ("date" if one.key.expires else one.key.expiry) if one.key else "unknown",
        "replaced_key": _key(one.replaced),
        "due": (due(one.key) or None) if one.key else None,
        "due_on": moment(due_on(one.key)) if one.key else None,
        "last_pulled": moment(one.verified_at),
        "wrong": one.problems,
        "not_seen": one.unverified,
        "notes": one.notes,
        "left_over": left_over_document(one.left_over),
    }


def _key(key: KeyFacts | None) -> dict[str, Any] | None:
    if key is None:
        return None
    return {
        "id": key.key_id,
        "created": moment(key.created),
        "ends": moment(key.expires),
        "disabled": key.disabled,
    }


def moment(when: dt.datetime | None) -> str | None:
    return when.isoformat(timespec="seconds") if when else None


def _akka(scope: AkkaScope, secret_name: str) -> dict[str, str | None]:
    return {**scope.document(), "secret_name": secret_name}


def left_over_document(items: Sequence[LeftOver]) -> list[dict[str, str]]:
    return [{"code": str(item.code), "what": item.what, "command": item.command} for item in items]

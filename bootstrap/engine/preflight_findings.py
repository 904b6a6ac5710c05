"""Problems and notices of the preflight: permissions, Akka's record and the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from bootstrap.engine import messages
from bootstrap.engine.run_options import RunOptions
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import Problem, PullkeyError
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.model.server import same_registry
from bootstrap.plugin.provider import missing_permission
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, Notice, PreflightFindings, State, Step, StepStatus
from bootstrap.registry import Challenge

T = TypeVar("T")
Ask = Callable[[], Awaitable[T]]


async def about_record(
    session: Session,
    options: RunOptions,
    held_now: Ask[HeldCredential | None],
    listed: Ask[Sequence[HeldCredential]],
    *,
    scope_options: str,
    read_only: bool,
) -> PreflightFindings:
    """The findings on Akka's record that a handoff will write or replace.

    Args:
        session: of the target.
        options: of the run.
        held_now: reads Akka's record.
        listed: reads all records of the project.
        scope_options: the options of a command that name the Akka project (`AkkaScope.options`).
        read_only: nothing will be changed, so notices of changes are left out.
    """
    held, name = await held_now(), options.secret_name
    try:
        server = await session.server()
    except PullkeyError:
        return PreflightFindings()  # the registry does not exist, which is already reported
    found = PreflightFindings([], await _about_others_of(server, options, listed, scope_options))
    if held is not None:
        replacing = await _about_replacing(session, options, held, name, server)
        found.add(PreflightFindings(replacing.problems) if read_only else replacing)
    return found


async def _about_others_of(
    server: str, options: RunOptions, listed: Ask[Sequence[HeldCredential]], scope_options: str
) -> list[Notice]:
    """Notices of other credentials for the same server: which of them Akka uses is not documented."""
    if options.as_planned is not None:
        return []  # reported when it was planned
    try:
        found = await listed()
    except PullkeyError:
        return []  # reported where the record itself is read
    return [
        messages.another_credential_for_server(one, server, scope_options)
        for one in found
        if one.name != options.secret_name and same_registry(one.server, server)
    ]


async def _about_replacing(
    session: Session, options: RunOptions, held: HeldCredential, name: str, server: str
) -> PreflightFindings:
    """The findings on the current record of this name."""
    if held.empty:
        return _notice(messages.record_without_secret(name))
    ours = (await key_in_record(session, held))[0] is not None
    other = "" if same_registry(held.server, server) else held.server
    if not other and held.link is not None and not ours:
        other = await session.other_place(held)
    if other:
        if not options.replace:
            return PreflightFindings([messages.record_of_another_registry(held, other)])
        return _notice(messages.record_will_be_overwritten(held, other))
    if held.link is None:
        return _notice(messages.external_record_will_be_replaced(held))
    if not ours:
        return _notice(messages.record_of_another_identity_will_be_replaced(name, held.link))
    if options.grace is not None:
        return PreflightFindings()  # retiring the old key is a step of its own
    return _notice(messages.record_will_be_replaced(name, held.link))


def permission_problems(
    steps: Sequence[Step],
    statuses: Mapping[str, StepStatus],
    missing: Mapping[str, str] | None,
    who: str,
    role_with: Callable[[str], str],
) -> list[Problem]:
    """The missing permissions of the steps that are still to be done."""
    if missing is None:
        return []
    return [
        missing_permission(permission, missing[permission], step.name, step.title, who, role_with(permission))
        for step in steps
        if statuses[step.name].state is not State.DONE
        for permission in step.permissions
        if permission in missing
    ]


def undo_notices(
    steps: Sequence[Step],
    statuses: Mapping[str, StepStatus],
    missing: Mapping[str, str] | None,
    role_with: Callable[[str], str],
) -> list[Notice]:
    """Notices of the permissions without which the steps that are still to be done cannot be undone."""
    lacking = {
        permission
        for step in steps
        if statuses[step.name].state is not State.DONE
        for permission in step.undo_permissions
        if permission in (missing or {})
    }
    return [messages.undo_permission_missing(one, role_with(one)) for one in sorted(lacking)]


def about_registry(
    answered: Challenge | PullAttempt, statuses: Mapping[str, StepStatus], *, wait: bool
) -> PreflightFindings:
    """The findings on the registry's first answer."""
    if isinstance(answered, Challenge) or statuses[EngineStep.HANDSHAKE].state is State.DONE:
        return PreflightFindings()
    if answered.verdict is Verdict.UNREACHABLE:
        # It may be transient: the verification tries again.
        return _notice(messages.registry_unreachable_for_now(answered))
    if not wait:
        # No credential will be sent to it.
        return _notice(messages.registered_without_verification(answered))
    return PreflightFindings([messages.registry_refuses(answered)])


def _notice(notice: Notice) -> PreflightFindings:
    return PreflightFindings([], [notice])

"""What the preflight reports of permissions, of Akka's record and of the registry: in words, with what
fixes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from bootstrap.engine.run_options import RunOptions
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, PullkeyError
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.model.server import same_registry
from bootstrap.plugin.provider import missing_permission
from bootstrap.plugin.recorded_key import SECRETLESS, key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Notice, PreflightFindings, State, Step, StepStatus
from bootstrap.registry import Challenge, code_of, first_word, fix

T = TypeVar("T")
Ask = Callable[[], Awaitable[T]]


async def about_record(
    session: Session,
    options: RunOptions,
    held_now: Ask[HeldCredential | None],
    listed: Ask[Sequence[HeldCredential]],
    *,
    checks: bool,
) -> PreflightFindings:
    """What is to be known of Akka's record that a handoff will write or replace.

    Args:
        session: of the target.
        options: what is asked of the run.
        held_now: asks for Akka's record.
        listed: asks for all records of the project.
        checks: nothing is going to be done, so only problems matter.
    """
    held, name = await held_now(), options.secret_name
    try:
        server = await session.server()
    except PullkeyError:
        return PreflightFindings()  # there is no such registry, which is told already
    found = PreflightFindings([], await _about_others_of(server, options, listed))
    if held is not None:
        replacing = await _about_replacing(session, options, held, name, server)
        found.add(PreflightFindings(replacing.problems) if checks else replacing)
    return found


async def _about_others_of(
    server: str, options: RunOptions, listed: Ask[Sequence[HeldCredential]]
) -> list[Notice]:
    """A second credential for one server: which of them Akka pulls with is not documented."""
    if options.as_planned is not None:
        return []  # told when it was planned
    try:
        found = await listed()
    except PullkeyError:
        return []  # told where the record itself is looked at
    return [
        Notice(
            f"Akka has another credential for {server} already, {one.name} (user {one.username}). "
            "Which of the two it pulls with is not documented; if that one is not needed: pullkey "
            f"offboard {shlex.quote(one.name)}"
        )
        for one in found
        if one.name != options.secret_name and same_registry(one.server, server)
    ]


async def _about_replacing(
    session: Session, options: RunOptions, held: HeldCredential, name: str, server: str
) -> PreflightFindings:
    """What becomes of the record that has the name now."""
    if held.empty:
        return PreflightFindings([], [Notice(f"{SECRETLESS}, {name}: it is registered again.")])
    if not same_registry(held.server, server):
        if not options.replace:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.QUESTION,
                        f"Akka's credential {name} is for another registry, {held.server}",
                        "Pass another --secret-name, or --replace to overwrite it",
                        step="handoff",
                        code=Code.CREDENTIAL_OTHER_REGISTRY,
                    )
                ]
            )
        then = "; the resources that pullkey created for the old one are removed then" if held.link else ""
        return PreflightFindings(
            [],
            [
                Notice(
                    f"Akka's credential {name} for {held.server} will be replaced, because of "
                    f"--replace{then}."
                )
            ],
        )
    if held.link is None:
        whose = f"the credential of {held.username or 'nobody'}"
        return PreflightFindings(
            [],
            [
                Notice(
                    f"Akka's {name} ({whose}) will be replaced once the new key pulls; its cloud "
                    "resources were not created by pullkey and are kept."
                )
            ],
        )
    if (await key_in_record(session, held))[0] is None:
        return PreflightFindings(
            [],
            [
                Notice(
                    f"Akka's {name} (key {held.link.key_id} of {held.link.name}@{held.link.domain}) "
                    "will be replaced once the new key pulls; the resources that pullkey created "
                    "for it are removed then."
                )
            ],
        )
    if options.grace is not None:
        return PreflightFindings()  # what becomes of the old key is a step of its own
    return PreflightFindings(
        [],
        [
            Notice(
                f"Akka's {name} (key {held.link.key_id}) will be replaced once the new key pulls; "
                "its key is kept until the next `pullkey rotate`."
            )
        ],
    )


def permission_problems(
    steps: Sequence[Step],
    sightings: Mapping[str, StepStatus],
    missing: Mapping[str, str] | None,
    who: str,
    role_with: Callable[[str], str],
) -> list[Problem]:
    """A permission is missed only where a step that needs it is still to be done."""
    if missing is None:
        return []
    return [
        missing_permission(permission, missing[permission], step.name, step.title, who, role_with(permission))
        for step in steps
        if sightings[step.name].state is not State.DONE
        for permission in step.permissions
        if permission in missing
    ]


def about_registry(
    answered: Challenge | PullAttempt, sightings: Mapping[str, StepStatus], *, wait: bool
) -> PreflightFindings:
    """What its answer to the first request means for a new credential."""
    if isinstance(answered, Challenge) or sightings["handshake"].state is State.DONE:
        return PreflightFindings()
    if answered.verdict is Verdict.UNREACHABLE:
        # It may be a passing fault: the handshake tries again.
        return PreflightFindings(
            [], [Notice(f"The registry could not be asked how it wants to be spoken to: {answered.detail}")]
        )
    if not wait:
        # Nothing is sent to it, since nothing is tried.
        return PreflightFindings(
            [],
            [
                Notice(
                    f"{first_word(answered)}; the credential is registered without verification, "
                    "because of --no-wait."
                )
            ],
        )
    return PreflightFindings(
        [
            Problem(
                ProblemKind.SETUP,
                first_word(answered),
                fix(answered),
                step="handshake",
                code=code_of(answered),
            )
        ]
    )

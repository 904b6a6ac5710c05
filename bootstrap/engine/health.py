"""The health of a credential: what its cloud shows of it, and what is wrong. `list` shows it, `rotate`
uses it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bootstrap.engine.due import soon
from bootstrap.engine.journal import Journal
from bootstrap.engine.locate import LocatedCredential, looked_at
from bootstrap.engine.unfinished import unfinished
from bootstrap.engine.verification import AGAIN_SECONDS
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model import clock
from bootstrap.model.errors import ExitCode, LeftOver, Problem, ProblemKind, PullkeyError, problem_of
from bootstrap.model.key_facts import KeyFacts
from bootstrap.plugin.errors import ApiError, as_user_error
from bootstrap.plugin.recorded_key import SECRETLESS
from bootstrap.plugin.step import State, StepRole, StepStatus


@dataclass
class CredentialHealth:
    """One Akka credential, joined with what the cloud shows of its key, grant and identity.

    Attributes:
        access: the role or permission that lets it pull, and on what.
        verified_at: when this machine last saw it pull.
        problems: what keeps it from pulling now, or soon will, one short text each.
        unverified: what could not be read, and why.
        notes: what is worth knowing and is neither.
        left_over: what earlier runs have left over; each is in `problems` too.
    """

    located: LocatedCredential
    key: KeyFacts | None = None
    replaced: KeyFacts | None = None
    identity: str = ""
    grant: str = ""
    access: str = ""
    verified_at: dt.datetime | None = None
    problems: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_over: Sequence[LeftOver] = ()
    missing: bool = False
    """Whether a resource that should exist was not shown."""

    @property
    def state(self) -> str:
        """Its state in one word, as `list` shows it."""
        if self.problems:
            return "wrong"
        if not self.located.ours:
            return "not ours"
        if self.unverified:
            return "unseen"
        # A user-supplied password is known from Akka's record only.
        return "brought" if self.located.session is not None and self.located.session.key.supplied else "ok"


class Assessed(Protocol):
    """Anything that can have problems: a credential, or a target of a file."""

    @property
    def problems(self) -> Sequence[str]: ...
    @property
    def unverified(self) -> Sequence[str]: ...
    @property
    def left_over(self) -> Sequence[LeftOver]: ...


def exit_code_of_all(found: Iterable[Assessed], *, check: bool) -> ExitCode:
    """The exit code of a command that only reads: 6 if anything is left over, 5 with `check` if there are
    problems.
    """
    assessed = list(found)
    if any(one.left_over for one in assessed):
        return ExitCode.LEFT_OVER
    return (
        ExitCode.DRIFT if check and any(one.problems or one.unverified for one in assessed) else ExitCode.DONE
    )


async def assess(
    locate: Callable[[], Awaitable[LocatedCredential]],
    verified_pulls: VerifiedPulls,
    journal: Journal,
    *,
    expires_within: dt.timedelta | None,
) -> CredentialHealth:
    """Read a credential and its cloud resources. Changes nothing, and returns errors instead of raising them.

    What is not shown is read a second time, with nothing cached, before it is reported: replicas lag.

    Args:
        locate: finds the cloud resources, with a session that is closed at the end.
        verified_pulls: when its key was last seen to pull.
        journal: of its Akka secret.
        expires_within: a key that expires within this time is a problem. None: within two weeks, or within a
            third of its life if that is shorter.
    """
    found = await _looked_at(await locate(), verified_pulls, journal, expires_within)
    if found.missing:
        await asyncio.sleep(AGAIN_SECONDS)
        if found.located.context is not None:
            found.located.context.shared.invalidate_state()
        found = await _looked_at(await locate(), verified_pulls, journal, expires_within)
    return found


async def _looked_at(
    located: LocatedCredential, verified_pulls: VerifiedPulls, journal: Journal, within: dt.timedelta | None
) -> CredentialHealth:
    found = CredentialHealth(located)
    try:
        found = await _assess(located, verified_pulls, within)
        earlier = await unfinished(journal, located.session)
    except Exception as error:  # noqa: BLE001  - an SDK can raise anything; the others are still read
        found.unverified.append(as_user_error(error).what)
        return found
    finally:
        if located.session is not None:
            await located.session.close()
    found.left_over = earlier.left_over
    found.problems += [str(one) for one in earlier.left_over] or ([str(earlier)] if earlier.what else [])
    return found


async def _assess(
    located: LocatedCredential, verified_pulls: VerifiedPulls, expires_within: dt.timedelta | None
) -> CredentialHealth:
    found, held = CredentialHealth(located), located.held
    if not held.status_is_ok:
        found.problems.append(f"Akka's status of it is {held.status}")
    if held.lagging_regions:
        found.problems.append(f"{held.lagging_regions} shows something else")
    link = held.link
    if link is None:
        found.notes.append(
            SECRETLESS if held.empty else "not created by pullkey, so its cloud resources are not known"
        )
        return found
    found.verified_at = verified_pulls.last(link.key_id)
    session = located.session
    if session is None:
        found.identity = link.name
        found.unverified.append(located.error.what if located.error else "its cloud was not asked")
        return found
    for name, seen in (await looked_at(session)).items():
        if isinstance(seen, StepStatus):
            _note(found, name, seen)
            if name == StepRole.GRANT:
                found.access = next(step.title for step in session.steps if step.name == name).removeprefix(
                    "Grant "
                )
        elif isinstance(seen, PullkeyError):
            found.unverified.append(f"{name}: {seen.what}")
        elif isinstance(seen, ApiError):
            found.unverified.append(f"{name}: {seen.summary}")
        elif isinstance(seen, Exception):
            found.unverified.append(f"{name}: {as_user_error(seen).what}")
        else:
            raise seen
    found.identity = await _identity(located)
    await _about_keys(found, expires_within)
    await _about_what_blocks(found)
    return found


async def _about_what_blocks(found: CredentialHealth) -> None:
    """Add the problems that a preflight finds although all resources exist, such as a disabled account."""
    session = found.located.session
    if session is None:
        return
    try:
        problems = (await session.preflight()).problems
    except PullkeyError as error:
        problems = [problem_of(error)]
    except ApiError as error:
        problems = [Problem(ProblemKind.SETUP, error.summary, code=error.problem_code)]
    # If something could not be read, these problems are mostly symptoms of that.
    where = found.unverified or found.problems
    where += [
        one.what
        for one in problems
        if one.what not in where and not (found.missing and one.step == StepRole.KEY)
    ]


def _note(found: CredentialHealth, name: str, seen: StepStatus) -> None:
    if name == StepRole.GRANT:
        found.grant = {State.DONE: "in place", State.MISSING: "missing", State.UNSEEN: ""}[seen.state]
    if seen.state is State.MISSING:
        found.missing = True
        found.problems.append(seen.detail if name == StepRole.KEY else f"{name}: {seen.detail}")
    elif seen.state is State.UNSEEN:
        found.unverified.append(f"{name}: {seen.detail}")


async def _identity(located: LocatedCredential) -> str:
    if located.session is None:
        return ""
    try:
        return await located.session.identity()
    except PullkeyError:
        return located.held.username


async def _about_keys(found: CredentialHealth, expires_within: dt.timedelta | None) -> None:
    session, link = found.located.session, found.located.held.link
    if session is None or link is None:
        return
    try:
        found.key = await session.key.facts(link.key_id)
        found.replaced = await session.key.facts(link.replaces) if link.replaces else None
    except PullkeyError as error:
        if not any(reason.startswith("key: ") for reason in found.unverified):
            found.unverified.append(f"key: {error.what}")
        return
    why = found.key.why_unusable if found.key is not None else "was deleted, or has expired"
    if why and not (found.missing or found.problems):
        # The look at the key did not ask the cloud: it would have prompted for a login.
        found.missing = found.key is None
        found.problems.append(f"key {link.key_id} {why}")
    if (
        found.key is not None
        and found.key.expires is not None
        and dt.timedelta() < found.key.expires - clock.now() <= soon(found.key, expires_within)
    ):
        found.problems.append(f"key {found.key.key_id} expires on {found.key.expires:%Y-%m-%d %H:%M} UTC")
    if found.replaced is not None:
        how = "disabled" if found.replaced.disabled else "still valid"
        found.notes.append(f"the replaced key {link.replaces} is {how} and not deleted yet")

"""Verifies that a credential pulls: repeats the exchange until the result is certain, and compares it with
an anonymous one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline, Tell, silent
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.registry import messages_answers as messages
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import SECONDS, Clean, unchanged
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.exchange import exchange, takes_password
from bootstrap.registry.first_answer import fetch_challenge
from bootstrap.registry.messages import WAITING

# These may pass by themselves: the cloud's own delay, or a passing fault.
_MAY_PASS = (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT, Verdict.UNREACHABLE)
_PASSING_FAULTS = (Verdict.UNREACHABLE,)
_INVALID_TRIES = 3  # a proxy's page or half an answer may pass; a lasting one is not a registry's
_LEAST_PAUSE = 0.5


@dataclass(frozen=True)
class Patience:
    """How many successful exchanges verify a credential.

    Args:
        at_once: exchanges side by side in a round, each on its own connection; all must succeed.
        rounds_after_refusal: successful rounds in a row that are needed once any exchange was refused: a key
            that is still spreading is refused at random.
        pause: seconds between those rounds.
        spreads: the key was created just now, so that a refusal may pass by itself.
    """

    at_once: int = 3
    rounds_after_refusal: int = 3
    pause: float = 1.0
    spreads: bool = True


# A user-supplied password is valid or it is not; and each try of a wrong one counts towards a lock-out.
FOR_SUPPLIED_PASSWORD = Patience(at_once=1, rounds_after_refusal=1, spreads=False)


async def patient_challenge(
    host: str,
    *,
    token_host: str | None,
    deadline: Deadline,
    trace: Tell,
    tell: Tell,
    clean: Clean = unchanged,
) -> Challenge | PullAttempt:
    """`fetch_challenge`, repeated where that may help: after a rate limit's Retry-After, and a few times
    where something else seems to answer in the registry's place.
    """
    invalid = 0
    while True:
        answered = await fetch_challenge(
            host, token_host=token_host, seconds=deadline.clip(SECONDS), trace=trace, clean=clean
        )
        if isinstance(answered, Challenge):
            return answered
        pause: float | None = None
        if answered.verdict is Verdict.RATE_LIMITED:
            pause = _pause_of(answered, deadline)
        elif answered.verdict is Verdict.INVALID and (invalid := invalid + 1) < _INVALID_TRIES:
            pause = _LEAST_PAUSE
        if pause is None or deadline.passed:
            return answered
        tell(WAITING[answered.verdict].format(detail=answered.detail, seconds=pause))
        await asyncio.sleep(pause)


def _pause_of(attempt: PullAttempt, deadline: Deadline) -> float | None:
    """The seconds that the registry asks to wait; None where it does not say, or past the deadline."""
    if attempt.retry_after is None or attempt.retry_after >= deadline.left:
        return None
    return max(attempt.retry_after, _LEAST_PAUSE)


async def prove(
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    *,
    deadline: Deadline,
    tell: Tell,
    patience: Patience,
    compare: bool = True,
    trace: Tell = silent,
) -> PullAttempt:
    """Verify that the credential pulls: exchange until it is certain that it does, or that it will not.

    With `compare` it is also tried without the credential, which is not needed where the cloud has already
    said that anonymous pulls are off.

    Returns:
        the last attempt: `PULLS`, or what it failed with; the caller decides what that means.
    """
    needed, good_rounds, invalid, pause = 1, 0, 0, 0.5
    reported: set[Verdict] = set()
    while True:
        attempts = await asyncio.gather(
            *(
                exchange(probe, challenge, credential, trace=trace, seconds=deadline.clip(SECONDS))
                for _ in range(patience.at_once)
            )
        )
        bad = [attempt for attempt in attempts if attempt.verdict is not Verdict.PULLS]
        if not bad:
            good_rounds += 1
            if good_rounds < needed:
                await asyncio.sleep(min(patience.pause, deadline.left))
                continue
            good = next((one for one in attempts if not one.proven), attempts[0])
            compared = (
                await _compared_to_anonymous(good, probe, challenge, credential, deadline, trace)
                if compare
                else good
            )
            if compared.verdict is Verdict.PULLS:
                return compared
            # The comparison logs in once more, and may meet a replica that does not know the key yet.
            bad = [compared]
        worst = bad[0]
        may_pass = worst.verdict in (_MAY_PASS if patience.spreads else _PASSING_FAULTS)
        if worst.verdict is Verdict.INVALID:
            invalid += 1
            may_pass = invalid < _INVALID_TRIES
        asked_for = _pause_of(worst, deadline)
        if worst.verdict is Verdict.RATE_LIMITED or worst.retry_after is not None:
            # Sooner than it says, it would answer the same; where it does not say, the time is unknown.
            may_pass = asked_for is not None
        if not may_pass or deadline.passed:
            return (
                worst
                if patience.spreads
                else await _with_refusal_explained(worst, probe, challenge, credential, deadline, trace)
            )
        needed, good_rounds = patience.rounds_after_refusal, 0
        if worst.verdict not in reported:
            reported.add(worst.verdict)
            detail, minutes = worst.detail or "no reason given", deadline.left / 60
            tell(WAITING[worst.verdict].format(detail=detail, minutes=minutes, seconds=asked_for or 0))
        await asyncio.sleep(min(pause if asked_for is None else asked_for, deadline.left))
        pause = min(pause * 1.6, 10.0)


async def try_once(
    probe: Probe, challenge: Challenge, credential: Credential, *, deadline: Deadline, trace: Tell = silent
) -> PullAttempt:
    """One exchange with a credential that is not new, judged as `prove` judges the last one."""
    attempt = await exchange(probe, challenge, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if attempt.verdict is Verdict.PULLS:
        return await _compared_to_anonymous(attempt, probe, challenge, credential, deadline, trace)
    return await _with_refusal_explained(attempt, probe, challenge, credential, deadline, trace)


async def _compared_to_anonymous(
    good: PullAttempt,
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    deadline: Deadline,
    trace: Tell,
) -> PullAttempt:
    """A success as it counts: it verifies nothing where anyone is given the same."""
    if challenge.scheme == "none":
        return good
    anonymous = await exchange(
        probe, challenge, None, trace=trace, seconds=deadline.clip(SECONDS), clean=_without(credential)
    )
    if anonymous.verdict is not Verdict.PULLS:
        return good
    what = f"{probe.host}/{probe.image}" if probe.repository else "a token"
    known, refusal = await _is_known(probe, challenge, credential, deadline, trace)
    if refusal is not None:
        return refusal
    if known:
        return messages.accepted_where_anyone_pulls(probe.host, what)
    return messages.not_verifiable_where_anyone_pulls(probe.host, what)


async def _with_refusal_explained(
    bad: PullAttempt,
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    deadline: Deadline,
    trace: Tell,
) -> PullAttempt:
    """A refusal with its cause, a missing permission or a wrong password: Harbor and GHCR answer the same to
    both.
    """
    if bad.verdict is not Verdict.NO_GRANT or challenge.scheme != "bearer":
        return bad
    known, refusal = await _is_known(probe, challenge, credential, deadline, trace)
    if refusal is not None:
        return replace(refusal, detail=refusal.detail or bad.detail)
    if known:
        return bad
    return replace(bad, fix=messages.wrong_password_or_no_permission(probe.host))


async def _is_known(
    probe: Probe, challenge: Challenge, credential: Credential, deadline: Deadline, trace: Tell
) -> tuple[bool, PullAttempt | None]:
    """Whether the registry knows the credential, whatever it may pull; and its refusal, where it certainly
    does not.

    It logs in as `docker login` does. Where anyone is accepted that way, `/v2/` may still decide by Basic.
    """
    login = Probe(probe.host, token_host=probe.token_host)
    attempt = await exchange(login, challenge, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if attempt.verdict is Verdict.IDENTITY_REFUSED:
        return False, attempt
    if attempt.verdict is Verdict.PULLS:
        anonymous = await exchange(
            login, challenge, None, trace=trace, seconds=deadline.clip(SECONDS), clean=_without(credential)
        )
        if anonymous.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
            return True, None
    takes = await takes_password(probe, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if takes is False:
        return False, messages.password_refused(probe.host)
    return takes is True, None


def _without(credential: Credential) -> Clean:
    secrets = Confidential()
    secrets.add_login(credential.username, credential.password)
    return secrets.clean

"""Whether a credential pulls: exchanges until it is sure, and what anybody would be told without it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline, Tell
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import SECONDS, Clean, silent, unchanged
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.exchange import exchange, fetch_challenge, takes_password
from bootstrap.registry.messages import WAITING

# These may turn good by themselves: the cloud's own delay, or a passing fault.
_MAY_PASS = (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT, Verdict.UNREACHABLE)
_PASSING_FAULTS = (Verdict.UNREACHABLE,)
_INVALID_TRIES = 3  # a proxy's page or half an answer may pass; one that stays is no registry's
_LEAST_PAUSE = 0.5


@dataclass(frozen=True)
class Patience:
    """How many good answers make a proof.

    Args:
        at_once: exchanges side by side in a round, each on its own connection; all must be good.
        rounds_after_refusal: good rounds in a row that are wanted once any exchange was refused: a key that
            is still spreading is refused at random.
        pause: seconds between those rounds.
        spreads: the key was made just now, so that a refusal may pass by itself.
    """

    at_once: int = 3
    rounds_after_refusal: int = 3
    pause: float = 1.0
    spreads: bool = True


# A password that somebody brought is good or it is not; and each try of a wrong one counts towards a
# lock-out.
BROUGHT = Patience(at_once=1, rounds_after_refusal=1, spreads=False)


async def patient_challenge(
    host: str,
    *,
    token_host: str | None,
    deadline: Deadline,
    trace: Tell,
    tell: Tell,
    clean: Clean = unchanged,
) -> Challenge | PullAttempt:
    """As `fetch_challenge`, asked again where that may help: after as long as the registry says that it wants
    to be left alone, and a few times where something else seems to answer in its place.
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
        tell(WAITING[answered.verdict].format(said=answered.detail, seconds=pause))
        await asyncio.sleep(pause)


def _pause_of(attempt: PullAttempt, deadline: Deadline) -> float | None:
    """How long to wait as the registry says, or None where it does not say, or that is too long."""
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
    """Exchange until it is sure that the credential pulls, or that it will not.

    With `compare` it is asked without the credential too; that is not needed where the cloud itself has said
    already that not anybody may pull.

    Returns:
        the last attempt: `PULLS`, or what it failed with; the caller decides what that means.
    """
    wanted, good_rounds, invalid, pause = 1, 0, 0, 0.5
    told: set[Verdict] = set()
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
            if good_rounds < wanted:
                await asyncio.sleep(min(patience.pause, deadline.left))
                continue
            good = next((one for one in attempts if not one.proven), attempts[0])
            compared = (
                await _compared(good, probe, challenge, credential, deadline, trace) if compare else good
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
            # Sooner than it says it would answer alike, and without its word nobody knows when.
            may_pass = asked_for is not None
        if not may_pass or deadline.passed:
            return (
                worst
                if patience.spreads
                else await _told_apart(worst, probe, challenge, credential, deadline, trace)
            )
        wanted, good_rounds = patience.rounds_after_refusal, 0
        if worst.verdict not in told:
            told.add(worst.verdict)
            said = worst.detail or "no reason given"
            tell(WAITING[worst.verdict].format(said=said, minutes=deadline.left / 60, seconds=asked_for or 0))
        await asyncio.sleep(min(pause if asked_for is None else asked_for, deadline.left))
        pause = min(pause * 1.6, 10.0)


async def try_once(
    probe: Probe, challenge: Challenge, credential: Credential, *, deadline: Deadline, trace: Tell = silent
) -> PullAttempt:
    """One exchange with a credential that is not new, judged as `prove` judges the last one."""
    attempt = await exchange(probe, challenge, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if attempt.verdict is Verdict.PULLS:
        return await _compared(attempt, probe, challenge, credential, deadline, trace)
    return await _told_apart(attempt, probe, challenge, credential, deadline, trace)


async def _compared(
    good: PullAttempt,
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    deadline: Deadline,
    trace: Tell,
) -> PullAttempt:
    """What a good answer is worth: nothing, where anybody is given the same."""
    if challenge.scheme == "none":
        return good
    anybody = await exchange(
        probe, challenge, None, trace=trace, seconds=deadline.clip(SECONDS), clean=_without(credential)
    )
    if anybody.verdict is not Verdict.PULLS:
        return good
    what = f"{probe.host}/{probe.image}" if probe.repository else "a token"
    known, refusal = await _is_known(probe, challenge, credential, deadline, trace)
    if refusal is not None:
        return refusal
    if known:
        return PullAttempt(
            Verdict.PULLS, f"is accepted by {probe.host}, where anyone gets {what}", proven=False
        )
    return PullAttempt(
        Verdict.PULLS,
        f"could not be verified: {probe.host} gives {what} without a password too",
        "Name an image with --image that cannot be pulled anonymously.",
        proven=False,
    )


async def _told_apart(
    bad: PullAttempt,
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    deadline: Deadline,
    trace: Tell,
) -> PullAttempt:
    """Whether it is the right to pull that is missing, or the password is wrong: Harbor and GHCR answer
    alike.
    """
    if bad.verdict is not Verdict.NO_GRANT or challenge.scheme != "bearer":
        return bad
    known, refusal = await _is_known(probe, challenge, credential, deadline, trace)
    if refusal is not None:
        return replace(refusal, detail=refusal.detail or bad.detail)
    if known:
        return bad
    return replace(
        bad,
        fix=f"{probe.host} accepts any login, so this may be a wrong password or a missing permission: "
        "check user name and password, and that this user may pull the image.",
    )


async def _is_known(
    probe: Probe, challenge: Challenge, credential: Credential, deadline: Deadline, trace: Tell
) -> tuple[bool, PullAttempt | None]:
    """Whether the registry knows the credential, whatever it may pull; and its refusal, where it surely does
    not.

    It is logged in to, as `docker login` does. Where anybody is let in so, `/v2/` may still tell by Basic.
    """
    login = Probe(probe.host, token_host=probe.token_host)
    attempt = await exchange(login, challenge, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if attempt.verdict is Verdict.IDENTITY_REFUSED:
        return False, attempt
    if attempt.verdict is Verdict.PULLS:
        anybody = await exchange(
            login, challenge, None, trace=trace, seconds=deadline.clip(SECONDS), clean=_without(credential)
        )
        if anybody.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
            return True, None
    takes = await takes_password(probe, credential, trace=trace, seconds=deadline.clip(SECONDS))
    if takes is False:
        return False, PullAttempt(Verdict.IDENTITY_REFUSED, f"{probe.host} refuses user name and password")
    return takes is True, None


def _without(credential: Credential) -> Clean:
    secrets = Confidential()
    secrets.add_login(credential.username, credential.password)
    return secrets.clean

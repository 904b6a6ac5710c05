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


async def verify_pull(
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
    puller = _Puller(probe, challenge, credential, deadline, trace)
    needed, good_rounds, invalid, pause = 1, 0, 0, 0.5
    reported: set[Verdict] = set()
    while True:
        attempts = await asyncio.gather(*(puller.pull() for _ in range(patience.at_once)))
        failed = next((one for one in attempts if one.verdict is not Verdict.PULLS), None)
        if failed is None:
            good_rounds += 1
            if good_rounds < needed:
                await asyncio.sleep(min(patience.pause, deadline.left))
                continue
            good = next((one for one in attempts if not one.pulled), attempts[0])
            compared = await puller.compared_to_anonymous(good) if compare else good
            if compared.verdict is Verdict.PULLS:
                return compared
            # The comparison logs in once more, and may meet a replica that does not know the key yet.
            failed = compared
        invalid += failed.verdict is Verdict.INVALID
        asked_for = _pause_of(failed, deadline)
        if deadline.passed or not _may_pass(failed, patience, invalid, asked_for):
            return failed if patience.spreads else await puller.with_refusal_explained(failed)
        needed, good_rounds = patience.rounds_after_refusal, 0
        if failed.verdict not in reported:
            reported.add(failed.verdict)
            detail, minutes = failed.detail or "no reason given", deadline.left / 60
            tell(WAITING[failed.verdict].format(detail=detail, minutes=minutes, seconds=asked_for or 0))
        await asyncio.sleep(min(pause if asked_for is None else asked_for, deadline.left))
        pause = min(pause * 1.6, 10.0)


def _may_pass(failed: PullAttempt, patience: Patience, invalid: int, asked_for: float | None) -> bool:
    """Whether a failed attempt may succeed when it is repeated.

    Args:
        failed: the attempt.
        patience: whether the key is new.
        invalid: how many answers so far were not a registry's.
        asked_for: the pause that the registry asks for, in seconds.
    """
    if failed.verdict is Verdict.RATE_LIMITED or failed.retry_after is not None:
        # Sooner than it says, it would answer the same; where it does not say, the time is unknown.
        return asked_for is not None
    if failed.verdict is Verdict.INVALID:
        return invalid < _INVALID_TRIES
    return failed.verdict in (_MAY_PASS if patience.spreads else _PASSING_FAULTS)


async def try_once(
    probe: Probe, challenge: Challenge, credential: Credential, *, deadline: Deadline, trace: Tell = silent
) -> PullAttempt:
    """One exchange with a credential that is not new, judged as `verify_pull` judges the last one."""
    puller = _Puller(probe, challenge, credential, deadline, trace)
    attempt = await puller.pull()
    if attempt.verdict is Verdict.PULLS:
        return await puller.compared_to_anonymous(attempt)
    return await puller.with_refusal_explained(attempt)


@dataclass(frozen=True)
class _Puller:
    """The exchanges of one verification: with the credential, and without it."""

    probe: Probe
    challenge: Challenge
    credential: Credential
    deadline: Deadline
    trace: Tell

    async def pull(self) -> PullAttempt:
        return await self._with_credential(self.probe)

    async def compared_to_anonymous(self, good: PullAttempt) -> PullAttempt:
        """A success as it counts: it verifies nothing where anyone is given the same."""
        if self.challenge.scheme == "none":
            # A repository that asked for the credential has taken it.
            refused = not good.pulled and await self._takes_password() is False
            return messages.password_refused(self.probe.host) if refused else good
        if (await self._without_credential(self.probe)).verdict is not Verdict.PULLS:
            return good
        probe = self.probe
        what = f"{probe.host}/{probe.image}" if probe.repository else "a token"
        known, refusal = await self._is_known()
        if refusal is not None:
            return refusal
        if known:
            return messages.accepted_where_anyone_pulls(probe.host, what)
        return messages.not_verifiable_where_anyone_pulls(probe.host, what)

    async def with_refusal_explained(self, bad: PullAttempt) -> PullAttempt:
        """A refusal with its cause, a missing permission or a wrong password: Harbor and GHCR answer the same
        to both.
        """
        if bad.verdict is not Verdict.NO_GRANT or self.challenge.scheme != "bearer":
            return bad
        known, refusal = await self._is_known()
        if refusal is not None:
            return replace(refusal, detail=refusal.detail or bad.detail)
        if known:
            return bad
        return replace(bad, fix=messages.wrong_password_or_no_permission(self.probe.host))

    async def _is_known(self) -> tuple[bool, PullAttempt | None]:
        """Whether the registry knows the credential, whatever it may pull; and its refusal, where it
        certainly does not.

        It logs in as `docker login` does. Where anyone is accepted that way, `/v2/` may still decide by
        Basic.
        """
        login = Probe(self.probe.host, token_host=self.probe.token_host)
        attempt = await self._with_credential(login)
        if attempt.verdict is Verdict.IDENTITY_REFUSED:
            return False, attempt
        if attempt.verdict is Verdict.PULLS:
            anonymous = await self._without_credential(login)
            if anonymous.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
                return True, None
        takes = await self._takes_password()
        if takes is False:
            return False, messages.password_refused(self.probe.host)
        return takes is True, None

    async def _takes_password(self) -> bool | None:
        seconds = self.deadline.clip(SECONDS)
        return await takes_password(self.probe, self.credential, trace=self.trace, seconds=seconds)

    async def _with_credential(self, probe: Probe) -> PullAttempt:
        seconds = self.deadline.clip(SECONDS)
        return await exchange(probe, self.challenge, self.credential, trace=self.trace, seconds=seconds)

    async def _without_credential(self, probe: Probe) -> PullAttempt:
        secrets = Confidential()
        secrets.add_login(self.credential.username, self.credential.password)
        seconds = self.deadline.clip(SECONDS)
        return await exchange(
            probe, self.challenge, None, trace=self.trace, seconds=seconds, clean=secrets.clean
        )

"""The first answer of a registry, before any credential: which login it asks for."""

from __future__ import annotations

from bootstrap.http._fast_import import httpx
from bootstrap.model.deadline import Tell, silent
from bootstrap.model.pull import PullAttempt
from bootstrap.registry import messages_answers as messages
from bootstrap.registry.answers import (
    MOST_REDIRECTS,
    REDIRECTS,
    answer_within,
    passing_failure,
    redirect_target,
)
from bootstrap.registry.challenge import Challenge, TooLong, challenges_in
from bootstrap.registry.client import SECONDS, Answer, Clean, Client, cleaned_line, unchanged
from bootstrap.registry.messages import may_be_the_network
from bootstrap.registry.trust import bare, refusal_of, same_owner


async def fetch_challenge(
    host: str,
    *,
    token_host: str | None = None,
    seconds: float = SECONDS,
    trace: Tell = silent,
    clean: Clean = unchanged,
) -> Challenge | PullAttempt:
    """Ask the registry which login it wants, without sending a credential.

    Args:
        host: the registry's, with its port where it has one.
        token_host: as `Probe.token_host`.
        seconds: how long it may take.
        trace: takes one line per call.
        clean: what the registry says goes through it before it is shown.

    Returns:
        its challenge, or a `PullAttempt` that says why there is none.
    """

    async def ask() -> Challenge | PullAttempt:
        async with Client(host, trace, clean) as client:
            answer = await client.get(f"https://{host}/v2/")
            for _ in range(MOST_REDIRECTS):
                to = redirect_target(answer)
                # Only the registry's owner may say which login the registry wants.
                if to is None or not same_owner(bare(host), to.raw_host.decode("ascii", "replace")):
                    break
                answer = await client.get(to)
            return _login_wanted(answer, host, token_host, clean)

    return await answer_within(seconds, host, clean, ask)


def _login_wanted(answer: Answer, host: str, token_host: str | None, clean: Clean) -> Challenge | PullAttempt:
    if answer.status == 200:
        return messages.web_page_at_the_api(host) if answer.is_page else Challenge("none")
    if answer.status == 401 or (answer.status == 403 and answer.headers.get_list("WWW-Authenticate")):
        return challenge_in(answer, host, token_host, clean)
    if answer.status == 403:
        return _refused_without_challenge(answer, clean)
    if answer.status in REDIRECTS:
        return messages.api_redirects_elsewhere(host)
    return passing_failure(answer, clean) or messages.unexpected_first_status(host, answer.status)


def challenge_in(answer: Answer, host: str, token_host: str | None, clean: Clean) -> Challenge | PullAttempt:
    """What a refusal asks for: a token rather than Basic, and of several token services the one at the
    registry's own host.
    """
    try:
        challenges = challenges_in(answer.headers.get_list("WWW-Authenticate"))
    except TooLong:
        return messages.challenge_too_long(host)
    bearers = [one for one in challenges if one.scheme == "bearer" and (one.realm or len(challenges) == 1)]
    refusals = []
    for one in sorted(bearers, key=lambda one: _host_of(one.realm) != bare(host)):
        refusal = refusal_of(host, one.realm, token_host)
        if refusal is None:
            return one
        refusals.append(refusal)
    if refusals:
        # Basic beside it is no way out: a puller would take the token service.
        return refusals[0].cleaned(clean)
    if any(one.scheme == "basic" for one in challenges):
        return Challenge("basic")
    return messages.no_challenge(host, answer.status)


def _host_of(realm: str) -> str:
    try:
        return httpx.URL(realm).raw_host.decode("ascii", "replace")
    except httpx.InvalidURL:
        return ""


def _refused_without_challenge(answer: Answer, clean: Clean) -> PullAttempt:
    """403 without a challenge: a firewall, where the registry's words say so."""
    error_text = cleaned_line(answer.error_text, clean)
    if may_be_the_network(error_text):
        return messages.network_refused(error_text)
    return messages.forbidden_before_login(answer.host, error_text)

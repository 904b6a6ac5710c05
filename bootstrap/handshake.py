"""The Docker Registry v2 token exchange, done with the credential as a puller would do it.

Source of the protocol: the Distribution project, "Token Authentication Specification" and "OCI Distribution
Specification"; where the clouds differ from it, the provider's `diagnose` knows.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.settings import connect_to
from bootstrap.waiting import Deadline, Tell
from bootstrap.words import one_line

_MANIFESTS = ", ".join([
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])  # fmt: skip
_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_BODY_LIMIT = 1_000_000
# Which other host may be given the credential, because the registry's owner is known to keep its tokens there.
_KNOWN_REALMS = {"registry-1.docker.io": "auth.docker.io", "index.docker.io": "auth.docker.io"}


class Verdict(StrEnum):
    """What one exchange has shown. The clouds answer some of these alike; `Session.diagnose` tells them apart."""

    PULLS = "pulls"
    IDENTITY_REFUSED = "identity refused"  # the key or its identity is wrong, disabled or not yet known
    NO_GRANT = "no grant"  # the identity is known and may not pull this repository, or not yet
    NOT_FOUND = "not found"  # it may pull, and there is no such repository or tag
    NETWORK_REFUSED = "network refused"  # a firewall of the registry
    UNREACHABLE = "unreachable"  # no answer, or one that is no registry's
    UNTRUSTED = "untrusted"  # it asks for the credential to be sent somewhere else


# These may turn good by themselves: the cloud's own delay, or a passing fault.
_MAY_PASS = (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT, Verdict.UNREACHABLE)


@dataclass(frozen=True)
class Probe:
    """What to pull.

    Args:
        host: the registry's host, as the puller names it.
        repository: the repository whose `pull` is asked for; "" if none is known.
        reference: tag or digest; "" to ask for a tag that cannot exist: a registry that answers "not found" rather
            than "denied" has checked the right to pull.
    """

    host: str
    repository: str = ""
    reference: str = ""

    @property
    def proves(self) -> str:
        if self.reference:
            return f"reads the manifest of {self.host}/{self.repository}:{self.reference}"
        if self.repository:
            return f"may pull {self.host}/{self.repository}"
        return f"is accepted by {self.host}; no repository was named to try a pull of"


@dataclass(frozen=True)
class Attempt:
    """How one exchange ended, and what the registry said."""

    verdict: Verdict
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.detail}" if self.detail else str(self.verdict)


@dataclass(frozen=True)
class Challenge:
    """What the registry asks for at `/v2/`: a token from `realm`, Basic authentication, or nothing."""

    scheme: str
    realm: str = ""
    service: str = ""


class _ConnectTo(httpx.AsyncBaseTransport):
    """Reaches a registry at another address, with TLS still verified for its name."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = connect_to(host)
        if address is not None:
            request.headers["Host"] = request.url.netloc.decode()
            request.extensions["sni_hostname"] = host
            request.url = request.url.copy_with(host=address[0], port=address[1])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _silent(_line: str) -> None:
    return


def _hooks(trace: Tell) -> dict[str, list[Any]]:
    """One line per exchange: method, address without its query, status, time. Headers are never looked at."""

    async def sent(request: httpx.Request) -> None:
        request.extensions["pullkey_sent"] = time.monotonic()

    async def answered(response: httpx.Response) -> None:
        request = response.request
        took = (time.monotonic() - request.extensions["pullkey_sent"]) * 1000
        host = request.headers.get("Host", request.url.netloc.decode())
        trace(
            f"registry {request.method} https://{host}{request.url.path} {response.status_code} {took:.0f} ms"
        )

    return {"request": [sent], "response": [answered]}


def _client(timeout: float, host: str, trace: Tell) -> httpx.AsyncClient:
    # Redirects are never followed: one could carry the credential to another host. Without an address of its own the
    # registry is reached as httpx would: proxies and certificates as the environment says.
    transport = _ConnectTo() if connect_to(host) is not None else None
    return httpx.AsyncClient(
        transport=transport, timeout=timeout, follow_redirects=False, event_hooks=_hooks(trace)
    )


async def fetch_challenge(host: str, *, timeout: float = 30.0, trace: Tell = _silent) -> Challenge | Attempt:  # noqa: ASYNC109
    """Ask the registry how it wants to be spoken to; an `Attempt` says why that did not work. Sends no credential."""
    try:
        async with _client(timeout, host, trace) as client:
            response = await client.get(f"https://{host}/v2/")
    except httpx.HTTPError as error:
        return Attempt(Verdict.UNREACHABLE, f"{host} does not answer: {_reason(error)}")
    if response.status_code == 200:
        return Challenge("none")
    if response.status_code == 403:
        return Attempt(Verdict.NETWORK_REFUSED, _said(response))
    header = response.headers.get("WWW-Authenticate", "")
    scheme, _, rest = header.partition(" ")
    if response.status_code != 401 or scheme.lower() not in ("bearer", "basic"):
        return Attempt(
            Verdict.UNREACHABLE, f"{host}/v2/ answers {response.status_code}, not as a registry does"
        )
    if scheme.lower() == "basic":
        return Challenge("basic")
    parameters = dict(_PARAMETER.findall(rest))
    challenge = Challenge("bearer", parameters.get("realm", ""), parameters.get("service", ""))
    if (refusal := _untrusted(host, challenge.realm)) is not None:
        return refusal
    return challenge


def _untrusted(host: str, realm: str) -> Attempt | None:
    """The credential goes only where the registry's owner is sure to be: https, the registry's own host."""
    try:
        url = httpx.URL(realm)
    except httpx.InvalidURL:
        return Attempt(Verdict.UNTRUSTED, f"{host} names a token service that is no URL")
    if url.scheme != "https":
        return Attempt(Verdict.UNTRUSTED, f"{host} wants the credential sent without TLS, to {realm}")
    if url.host not in (host, _KNOWN_REALMS.get(host)):
        return Attempt(Verdict.UNTRUSTED, f"{host} wants the credential sent to another host, {url.host}")
    return None


async def open_to_all(probe: Probe, challenge: Challenge, *, trace: Tell = _silent) -> str:
    """Why anybody may pull, as a sentence, or "" where they may not or it cannot be told.

    Only the registry's own word counts: it asks for no credential, or gives out the manifest of the image that was
    named without one. That an image which does not exist is "not found" proves nothing here.
    """
    if challenge.scheme == "none":
        return f"{probe.host} asks nobody for a credential"
    if challenge.scheme == "bearer" and probe.reference:
        attempt = await exchange(probe, challenge, None, trace=trace)
        if attempt.verdict is Verdict.PULLS:
            return f"{probe.host} gives {probe.repository}:{probe.reference} to anybody"
    return ""


async def exchange(
    probe: Probe, challenge: Challenge, credential: Credential | None, *, trace: Tell = _silent
) -> Attempt:
    """Do the whole exchange once, on a connection of its own, so that several reach several of the cloud's servers.

    Without a credential it is what anybody would be told.
    """
    basic = httpx.BasicAuth(credential.username, credential.password.reveal()) if credential else None
    try:
        async with _client(30.0, probe.host, trace) as client:
            if challenge.scheme in ("none", "basic"):
                return await _pull(client, probe, auth=None if challenge.scheme == "none" else basic)
            scope = f"repository:{probe.repository}:pull" if probe.repository else ""
            query = {"service": challenge.service, **({"scope": scope} if scope else {})}
            response = await client.get(challenge.realm, params=query, auth=basic)
            if (refusal := _refusal(response, where="token")) is not None:
                return refusal
            token = _token(response)
            if token is None:
                return Attempt(Verdict.UNREACHABLE, "the token service's answer holds no token")
            return await _pull(client, probe, headers={"Authorization": f"Bearer {token}"})
    except httpx.HTTPError as error:
        return Attempt(Verdict.UNREACHABLE, f"{probe.host} does not answer: {_reason(error)}")


async def _pull(client: httpx.AsyncClient, probe: Probe, **how: Any) -> Attempt:
    headers = {"Accept": _MANIFESTS, **how.pop("headers", {})}
    if not probe.repository:
        response = await client.get(f"https://{probe.host}/v2/", headers=headers, **how)
        return _refusal(response, where="pull") or Attempt(Verdict.PULLS, probe.proves)
    reference = probe.reference or "pullkey-asks-whether-it-may-pull"
    url = f"https://{probe.host}/v2/{probe.repository}/manifests/{reference}"
    response = await client.get(url, headers=headers, **how)
    if response.status_code == 404:
        if probe.reference:
            return Attempt(Verdict.NOT_FOUND, f"{probe.host} has no {probe.repository}:{probe.reference}")
        return Attempt(Verdict.PULLS, probe.proves)
    return _refusal(response, where="pull") or Attempt(Verdict.PULLS, probe.proves)


def _refusal(response: httpx.Response, *, where: str) -> Attempt | None:
    """Why an answer is no success, or None if it is one. A redirect of a pull is one: the right was checked."""
    status = response.status_code
    if status < 300 or (where == "pull" and status < 400):
        return None
    said = _said(response)
    if status == 403 and ("not allowed access" in said or "firewall" in said.lower()):
        return Attempt(Verdict.NETWORK_REFUSED, said)
    if status in (401, 403):
        # Who is asked for a token and says 401 does not know the caller; whatever comes later is about the repository.
        unknown = status == 401 and where == "token"
        return Attempt(Verdict.IDENTITY_REFUSED if unknown else Verdict.NO_GRANT, said)
    return Attempt(Verdict.UNREACHABLE, f"{response.url.host} answers {status} {said}".rstrip())


def _said(response: httpx.Response) -> str:
    """The registry's own words, short and printable."""
    try:
        body = json.loads(response.content[:_BODY_LIMIT])
        first = body["errors"][0]
        text = f"{first.get('code', '')} {first.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        text = response.reason_phrase
    return one_line(text)


def _token(response: httpx.Response) -> str | None:
    try:
        body = response.json()
        token = body.get("token") or body.get("access_token")
    except (ValueError, AttributeError):
        return None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


@dataclass(frozen=True)
class Patience:
    """How many good answers make a proof.

    Args:
        at_once: exchanges side by side in a round, each on its own connection; all must be good.
        rounds_after_refusal: good rounds in a row that are wanted once any exchange was refused: a key that is still
            spreading is refused at random.
        pause: seconds between those rounds.
    """

    at_once: int = 3
    rounds_after_refusal: int = 3
    pause: float = 1.0


async def prove(
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    *,
    deadline: Deadline,
    tell: Tell,
    patience: Patience,
    trace: Tell = _silent,
) -> Attempt:
    """Exchange until it is sure that the credential pulls, or that it will not.

    Returns:
        the last attempt: `PULLS`, or what it failed with; the caller decides what that means.
    """
    wanted, good_rounds, pause = 1, 0, 0.5
    told: set[Verdict] = set()
    while True:
        attempts = await asyncio.gather(
            *(exchange(probe, challenge, credential, trace=trace) for _ in range(patience.at_once))
        )
        bad = [attempt for attempt in attempts if attempt.verdict is not Verdict.PULLS]
        if not bad:
            good_rounds += 1
            if good_rounds >= wanted:
                return attempts[0]
            await asyncio.sleep(min(patience.pause, deadline.left))
            continue
        worst = bad[0]
        if worst.verdict not in _MAY_PASS:
            return worst
        if deadline.passed:
            return worst
        wanted, good_rounds = patience.rounds_after_refusal, 0
        if worst.verdict not in told:
            told.add(worst.verdict)
            tell(
                _WAITING[worst.verdict].format(
                    said=worst.detail or "no reason given", minutes=deadline.left / 60
                )
            )
        await asyncio.sleep(min(pause, deadline.left))
        pause = min(pause * 1.6, 10.0)


_WAITING = {
    Verdict.IDENTITY_REFUSED: "The registry does not know the new key yet ({said}); a new key takes a minute or two "
    "to spread. Trying for up to {minutes:.0f} min more.",
    Verdict.NO_GRANT: "The registry does not honour the new role yet ({said}); it mostly takes 2 minutes, at times 7 "
    "or more. Trying for up to {minutes:.0f} min more.",
    Verdict.UNREACHABLE: "The registry could not be asked ({said}). Trying for up to {minutes:.0f} min more.",
}


def failure(attempt: Attempt, diagnosis: str) -> StepFailed:
    """What a person is told when the credential does not pull."""
    mend = {
        Verdict.IDENTITY_REFUSED: "Run it again later with a longer --timeout; if it stays so, the cloud may forbid "
        "this kind of key.",
        Verdict.NO_GRANT: "Run it again later with a longer --timeout, and check that the role is on this repository.",
        Verdict.NOT_FOUND: "Name an image that is there with --image, or leave --image out.",
        Verdict.NETWORK_REFUSED: "Akka pulls over the public internet: allow that in the registry's network rules.",
        Verdict.UNREACHABLE: "Check the registry's host name, and whether it is reachable from here.",
        Verdict.UNTRUSTED: "The credential was not sent. Check that this is the registry you mean.",
    }.get(attempt.verdict, "")
    what = f"The new credential does not pull ({attempt})."
    return StepFailed(f"{what} {diagnosis}".rstrip(), mend=mend)

"""The Docker Registry v2 token exchange, done with the credential as a puller would do it.

Source of the protocol: the Distribution project, "Token Authentication Specification" and "OCI Distribution
Specification"; where the clouds differ from it, the provider's `diagnose` knows.

Where the password may go: to the registry itself, and to the token service (the "realm") that the registry names, if
that is https and the same owner's, as far as names tell: the same host, or one of the same registrable domain by the
Public Suffix List (GitLab has its registry at `registry.gitlab.com` and its tokens at `gitlab.com`). An address or a
name of one label has no owner that could be told, so there it is the same host only.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.lean import httpx
from bootstrap.settings import connect_to
from bootstrap.waiting import Deadline, Tell
from bootstrap.words import one_line

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_MANIFESTS = ", ".join([
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])  # fmt: skip
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^",\s]+))')
_BODY_LIMIT = 1_000_000
_SECONDS = 30.0
# Which other host may be given the credential, because the registry's owner is known to keep its tokens there.
_KNOWN_REALMS = {"registry-1.docker.io": "auth.docker.io", "index.docker.io": "auth.docker.io"}
# Under these each name is another customer's, and the Public Suffix List (of 2026-10-23) does not have them.
_SHARED = frozenset({"amazonaws.com", "amazonaws.com.cn", "azurecr.cn", "azurecr.io", "azurecr.us", "gcr.io", "jfrog.io", "on.aws", "pkg.dev"})  # fmt: skip
# What OpenSSL calls a certificate whose authority is not known (`X509_V_ERR_...` in x509_vfy.h).
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})


class Verdict(StrEnum):
    """What one exchange has shown. The clouds answer some of these alike; `Session.diagnose` tells them apart."""

    PULLS = "pulls"
    IDENTITY_REFUSED = "identity refused"  # the key or its identity is wrong, disabled or not yet known
    NO_GRANT = "no grant"  # the identity is known and may not pull this repository, or not yet
    NOT_FOUND = "not found"  # it may pull, and there is no such repository or tag
    NETWORK_REFUSED = "network refused"  # a firewall of the registry
    UNREACHABLE = "unreachable"  # no answer, or one that is no registry's
    UNTRUSTED = "untrusted"  # it asks for the credential to be sent somewhere else
    CERTIFICATE_REFUSED = "certificate refused"  # its TLS certificate does not verify


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
        return f"is accepted by {self.host}; no image was named to try a pull of"


@dataclass(frozen=True)
class Attempt:
    """How one exchange ended, and what the registry said (of `PULLS`: what was proven); what to do, where known."""

    verdict: Verdict
    detail: str = ""
    mend: str = ""

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
        self._inner = httpx.AsyncHTTPTransport(verify=_whom_to_trust())

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
        trace(
            f"registry {request.method} https://{_whom(request)}{request.url.path} "
            f"{response.status_code} {took:.0f} ms"
        )

    return {"request": [sent], "response": [answered]}


def _whom_to_trust() -> ssl.SSLContext:
    """As the environment says. Reading all the authorities takes longer than a handshake, so it is done once."""
    return _trusting(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _trusting(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _client(timeout: float, host: str, trace: Tell) -> httpx.AsyncClient:
    # Redirects are never followed: one could carry the credential to another host. Without an address of its own the
    # registry is reached as httpx would: proxies and certificates as the environment says.
    transport = _ConnectTo() if connect_to(_bare(host)) is not None else None
    return httpx.AsyncClient(
        transport=transport,
        verify=_whom_to_trust(),
        timeout=timeout,
        follow_redirects=False,
        event_hooks=_hooks(trace),
    )


def _bare(host: str) -> str:
    """A host without its port."""
    return host.partition(":")[0]


async def fetch_challenge(
    host: str, *, seconds: float = _SECONDS, trace: Tell = _silent
) -> Challenge | Attempt:
    """Ask the registry how it wants to be spoken to; an `Attempt` says why that did not work. Sends no credential."""
    try:
        async with asyncio.timeout(seconds), _client(_SECONDS, host, trace) as client:
            response = await client.get(f"https://{host}/v2/")
    except httpx.HTTPError as error:
        return _unanswered(error, host)
    except TimeoutError:
        return _too_late(host)
    if response.status_code == 200:
        if _is_page(response):
            return Attempt(Verdict.UNREACHABLE, f"{host}/v2/ is a web page, not a registry")
        return Challenge("none")
    if response.status_code == 403:
        return Attempt(Verdict.NETWORK_REFUSED, _said(response))
    return _challenge_in(response, host)


def _challenge_in(response: httpx.Response, host: str) -> Challenge | Attempt:
    """What a refusal asks for. Of several challenges Bearer goes first, as it says more."""
    challenges = [header.strip().partition(" ") for header in response.headers.get_list("WWW-Authenticate")]
    rest = {scheme.lower(): rest for scheme, _, rest in reversed(challenges)}
    if response.status_code != 401 or not rest.keys() & {"bearer", "basic"}:
        return Attempt(
            Verdict.UNREACHABLE, f"{host}/v2/ answers {response.status_code}, not as a registry does"
        )
    if "bearer" not in rest:
        return Challenge("basic")
    found = reversed(_PARAMETER.findall(rest["bearer"]))
    parameters = {name.lower(): quoted or plain for name, quoted, plain in found}
    challenge = Challenge("bearer", parameters.get("realm", ""), parameters.get("service", ""))
    if (refusal := _untrusted(host, challenge.realm)) is not None:
        return refusal
    return challenge


def _untrusted(host: str, realm: str) -> Attempt | None:
    """The credential goes only where the registry's owner is sure to be: https, and a host of the same owner."""
    try:
        url = httpx.URL(realm)
    except httpx.InvalidURL:
        return Attempt(Verdict.UNTRUSTED, f"{host} names a token service that is no URL")
    if url.scheme != "https":
        return Attempt(
            Verdict.UNTRUSTED, f"{host} wants the credential sent without TLS, to {one_line(realm)}"
        )
    # Not `url.host`, which is written out in Unicode.
    other = url.raw_host.decode("ascii", "replace")
    if not same_owner(_bare(host), other):
        return Attempt(
            Verdict.UNTRUSTED, f"{host} wants the credential sent to another host, {one_line(other)}"
        )
    return None


def same_owner(registry: str, other: str) -> bool:
    """Whether what is told to one host may be told to the other (both without a port).

    >>> same_owner("registry.gitlab.com", "gitlab.com")
    True
    >>> same_owner("alice.github.io", "mallory.github.io")
    False
    >>> same_owner("10.0.0.1", "10.0.0.2")
    False
    """
    if registry == other or _KNOWN_REALMS.get(registry) == other:
        return True
    owner = _owner(registry)
    return owner is not None and owner == _owner(other)


def _owner(host: str) -> str | None:
    """The registrable domain of a name, or None where nobody could be told as its owner."""
    last = host.rpartition(".")[2]
    if "." not in host or last[:1].isdigit():  # no top level domain begins with a digit, every address does
        return None
    owner = _suffixes().privatesuffix(host)
    return None if owner in _SHARED else owner


@functools.cache
def _suffixes() -> PublicSuffixList:
    """The list as it came with the package: nothing is fetched. Read only where two hosts differ."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _is_page(response: httpx.Response) -> bool:
    """Whether it is made for a browser: many a web site answers 200 to whatever it is asked."""
    return str(response.headers.get("Content-Type", "")).lower().startswith("text/html")


async def open_to_all(
    probe: Probe, challenge: Challenge, *, trace: Tell = _silent, seconds: float = _SECONDS
) -> str:
    """Why anybody may pull, as a sentence, or "" where they may not or it cannot be told.

    Only the registry's own word counts: it asks for no credential, or gives out the manifest of the image that was
    named without one. That an image which does not exist is "not found" proves nothing here.
    """
    if challenge.scheme == "none" and not probe.reference:
        return f"{probe.host} asks nobody for a credential"
    if challenge.scheme in ("none", "bearer") and probe.reference:
        attempt = await exchange(probe, challenge, None, trace=trace, seconds=seconds)
        if attempt.verdict is Verdict.PULLS:
            return f"{probe.host} gives {probe.repository}:{probe.reference} to anybody"
    return ""


async def exchange(
    probe: Probe,
    challenge: Challenge,
    credential: Credential | None,
    *,
    trace: Tell = _silent,
    seconds: float = _SECONDS,
) -> Attempt:
    """Do the whole exchange once, on a connection of its own, so that several reach several of the cloud's servers.

    Without a credential it is what anybody would be told. It takes no longer than `seconds`.
    """
    basic = httpx.BasicAuth(credential.username, credential.password.reveal()) if credential else None
    try:
        async with asyncio.timeout(seconds), _client(_SECONDS, probe.host, trace) as client:
            if challenge.scheme == "none":
                response = await _read(client, probe)
                if response.status_code != 401 or basic is None:
                    return _judged(probe, response, unasked=basic is not None, anybody=basic is None)
                # It lets anybody in, and not to everything.
                asked = _challenge_in(response, probe.host)
                if isinstance(asked, Attempt):
                    return asked
                challenge = asked
            if challenge.scheme == "basic":
                return _judged(probe, await _read(client, probe, auth=basic), basic=True)
            scope = f"repository:{probe.repository}:pull" if probe.repository else ""
            query = {name: text for name, text in (("service", challenge.service), ("scope", scope)) if text}
            response = await client.get(httpx.URL(challenge.realm).copy_merge_params(query), auth=basic)
            if response.status_code >= 300:
                # Who says 401 here does not know the caller; with no repository asked for, 403 means the same (GHCR).
                return _refusal(response, whole=response.status_code == 401 or not scope)
            token = _token(response)
            if token is None:
                return Attempt(Verdict.UNREACHABLE, "the token service's answer holds no token")
            response = await _read(client, probe, headers={"Authorization": f"Bearer {token}"})
            return _judged(probe, response, anybody=basic is None)
    except httpx.HTTPError as error:
        return _unanswered(error, probe.host)
    except TimeoutError:
        return _too_late(probe.host)


def _too_late(host: str) -> Attempt:
    return Attempt(Verdict.UNREACHABLE, f"{host} does not answer in time")


async def _read(client: httpx.AsyncClient, probe: Probe, **how: Any) -> httpx.Response:
    """Ask for the manifest, or without a repository for `/v2/`."""
    headers = {"Accept": _MANIFESTS, **how.pop("headers", {})}
    path = "/v2/"
    if probe.repository:
        path += f"{probe.repository}/manifests/{probe.reference or 'pullkey-asks-whether-it-may-pull'}"
    return await client.get(f"https://{probe.host}{path}", headers=headers, **how)


def _judged(
    probe: Probe,
    response: httpx.Response,
    *,
    basic: bool = False,
    unasked: bool = False,
    anybody: bool = False,
) -> Attempt:
    """What the answer to `_read` means.

    Args:
        probe: what was asked for.
        response: the answer.
        basic: the password itself was sent.
        unasked: there is a password, and the registry did not want it.
        anybody: it was asked without a credential.
    """
    status = response.status_code
    if 300 <= status < 400 and (anybody or _leads_nowhere(response)):
        # Without a credential it may well lead to a page to log in.
        return Attempt(Verdict.UNREACHABLE, f"{probe.host} answers with a redirect, not with the manifest")
    if status == 404 and probe.repository:
        if probe.reference:
            return Attempt(Verdict.NOT_FOUND, f"{probe.host} has no {probe.repository}:{probe.reference}")
    # A redirect of a pull is a success: the right was checked. One of `/v2/` leads to some web page.
    elif status >= (400 if probe.repository else 300):
        # A token is given to whom the token service knows, so what comes after it is about the repository.
        return _refusal(response, whole=basic and status == 401)
    elif status < 300 and _is_page(response):
        return Attempt(Verdict.UNREACHABLE, f"{probe.host} answers with a web page, not as a registry does")
    if unasked and not probe.repository:
        return Attempt(Verdict.PULLS, f"was not tried: {probe.host} asks nobody for a credential")
    if unasked:
        return Attempt(Verdict.PULLS, f"{probe.proves}, as anybody does: no credential was asked for")
    return Attempt(Verdict.PULLS, probe.proves)


def _leads_nowhere(response: httpx.Response) -> bool:
    """A redirect to where it came from, or to no place at all."""
    to = response.headers.get("Location", "")
    try:
        return not to or response.request.url.join(to) == response.request.url
    except httpx.InvalidURL:
        return True


def _refusal(response: httpx.Response, *, whole: bool) -> Attempt:
    """Why an answer is no success.

    Args:
        response: the answer.
        whole: it is about the credential as such, not about a repository.
    """
    status = response.status_code
    said = _said(response)
    if status == 403 and ("not allowed access" in said or "firewall" in said.lower()):
        return Attempt(Verdict.NETWORK_REFUSED, said)
    if status in (401, 403):
        return Attempt(Verdict.IDENTITY_REFUSED if whole else Verdict.NO_GRANT, said)
    return Attempt(Verdict.UNREACHABLE, f"{_whom(response.request)} answers {status} {said}".rstrip())


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


def _unanswered(error: httpx.HTTPError, host: str) -> Attempt:
    """Why there is no answer. A certificate that does not verify has a reason of its own, and a mend."""
    if isinstance(error, httpx.RequestError) and error._request is not None:  # noqa: SLF001  - `.request` raises
        host = _whom(error.request)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            mend = _OWN_AUTHORITY if cause.verify_code in _UNKNOWN_AUTHORITY else _NO_CLIENT_WILL
            said = one_line(cause.verify_message)
            return Attempt(
                Verdict.CERTIFICATE_REFUSED, f"The TLS certificate of {host} does not verify: {said}", mend
            )
    return Attempt(Verdict.UNREACHABLE, f"{host} does not answer: {str(error) or type(error).__name__}")


_OWN_AUTHORITY = (
    "If its authority is your own, name that authority's certificate: SSL_CERT_FILE=FILE. Akka, which pulls over the "
    "public internet, must trust it too, and pullkey cannot see whether it does."
)
_NO_CLIENT_WILL = (
    "Have the certificate mended, or name the registry as its certificate does: Akka would refuse it too."
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _whom(request: httpx.Request) -> str:
    """The host that a request is for, by name also where it is reached at another address."""
    return str(request.headers.get("Host") or request.url.netloc.decode("ascii", "replace"))


@dataclass(frozen=True)
class Patience:
    """How many good answers make a proof.

    Args:
        at_once: exchanges side by side in a round, each on its own connection; all must be good.
        rounds_after_refusal: good rounds in a row that are wanted once any exchange was refused: a key that is still
            spreading is refused at random.
        pause: seconds between those rounds.
        spreads: the key was made just now, so that a refusal may pass by itself.
    """

    at_once: int = 3
    rounds_after_refusal: int = 3
    pause: float = 1.0
    spreads: bool = True


# A password that somebody brought is good or it is not; and each try of a wrong one counts towards a lock-out.
BROUGHT = Patience(at_once=1, rounds_after_refusal=1, spreads=False)


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
            *(
                exchange(probe, challenge, credential, trace=trace, seconds=deadline.within(_SECONDS))
                for _ in range(patience.at_once)
            )
        )
        bad = [attempt for attempt in attempts if attempt.verdict is not Verdict.PULLS]
        if not bad:
            good_rounds += 1
            if good_rounds >= wanted:
                return attempts[0]
            await asyncio.sleep(min(patience.pause, deadline.left))
            continue
        worst = bad[0]
        if worst.verdict not in (_MAY_PASS if patience.spreads else (Verdict.UNREACHABLE,)):
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


_BROUGHT_MENDS = {
    Verdict.IDENTITY_REFUSED: "Check user name and password by logging in with them; where logins have a second "
    "factor, a registry takes a token in place of the password.",
    Verdict.NO_GRANT: "Have this user allowed to pull it, and check the name of the image: many a registry answers "
    "alike where there is none.",
}


def failure(attempt: Attempt, diagnosis: str, *, brought: bool = False) -> StepFailed:
    """What a person is told when the credential does not pull.

    Args:
        attempt: how the last exchange ended.
        diagnosis: what else is known, as sentences.
        brought: the person brought the password, so that nothing of it is spreading.
    """
    mends = {
        Verdict.IDENTITY_REFUSED: "Run it again later with a longer --timeout; if it stays so, the cloud may forbid "
        "this kind of key.",
        Verdict.NO_GRANT: "Run it again later with a longer --timeout, and check that the role is on this repository.",
        Verdict.NOT_FOUND: "Name an image that is there with --image, or leave --image out.",
        Verdict.NETWORK_REFUSED: "Akka pulls over the public internet: allow that in the registry's network rules.",
        Verdict.UNREACHABLE: "Check the registry's host name, and whether it is reachable from here.",
        Verdict.UNTRUSTED: "The credential was not sent. Check that this is the registry you mean.",
    }
    mend = attempt.mend or ({**mends, **_BROUGHT_MENDS} if brought else mends).get(attempt.verdict, "")
    what = f"The {'' if brought else 'new '}credential does not pull ({attempt})."
    return StepFailed(f"{what} {diagnosis}".rstrip(), mend=mend)


def first_word(attempt: Attempt) -> str:
    """What the registry's first answer, before any credential, comes to where no pull can be tried."""
    if attempt.verdict in (Verdict.CERTIFICATE_REFUSED, Verdict.UNTRUSTED):
        return attempt.detail
    return f"The registry refuses: {attempt}"

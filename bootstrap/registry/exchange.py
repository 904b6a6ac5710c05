"""One exchange with a registry, done with the credential as a puller would do it.

Source of the protocol: the Distribution project, "Token Authentication Specification" and "OCI Distribution
Specification"; where the clouds differ from it, the provider's `diagnose` knows. Where pullers go beyond it,
containerd (`core/remotes/docker/authorizer.go`) and containers/image (`docker/docker_client.go`) are
followed: a challenge that comes after a token was refused is answered too, once.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import Unreadable
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Tell
from bootstrap.model.metadata_hosts import is_metadata_host
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.model.secret import Secret
from bootstrap.registry.challenge import Challenge, TooLong, challenges_in
from bootstrap.registry.client import (
    MANIFEST_BYTES,
    SECONDS,
    Answer,
    Clean,
    Client,
    cleaned_line,
    silent,
    unchanged,
)
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.messages import may_be_the_network, too_late, unanswered
from bootstrap.registry.trust import bare, refusal_of, same_owner

Found = TypeVar("Found")

_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join(_MANIFEST_TYPES)
_NO_SUCH_TAG = "pullkey-asks-whether-it-may-pull"
_BEARER_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_MOST_REDIRECTS = 4
# Of a list of repositories; Distribution takes 1,000 at most (`catalog.maxentries`).
_PAGE, _MOST_PAGES = 1000, 5
_LONGEST_NAME = 256
_MOST_CHALLENGES = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def fetch_challenge(
    host: str,
    *,
    token_host: str | None = None,
    seconds: float = SECONDS,
    trace: Tell = silent,
    clean: Clean = unchanged,
) -> Challenge | PullAttempt:
    """Ask the registry how it wants to be spoken to; an `PullAttempt` says why that did not work. Sends no
    credential.

    Args:
        host: the registry's, with its port where it has one.
        token_host: as `Probe.token_host`.
        seconds: how long it may take.
        trace: takes one line per call.
        clean: what the registry says goes through it before it is shown.
    """

    async def ask() -> Challenge | PullAttempt:
        async with Client(host, trace, clean) as client:
            answer = await client.get(f"https://{host}/v2/")
            for _ in range(_MOST_REDIRECTS):
                to = _location(answer)
                # Where the registry is asked how it wants to be spoken to, its owner answers, and nobody
                # else.
                if to is None or not same_owner(bare(host), to.raw_host.decode("ascii", "replace")):
                    break
                answer = await client.get(to)
            return _asks_for(answer, host, token_host, clean)

    return await _within(seconds, host, clean, ask)


def _asks_for(answer: Answer, host: str, token_host: str | None, clean: Clean) -> Challenge | PullAttempt:
    if answer.status == 200:
        if answer.is_page:
            return PullAttempt(Verdict.INVALID, f"{host}/v2/ is a web page, not a registry")
        return Challenge("none")
    if answer.status == 401 or (answer.status == 403 and answer.headers.get_list("WWW-Authenticate")):
        return _challenge_in(answer, host, token_host, clean)
    if answer.status == 403:
        return _refused_at_the_door(answer, clean)
    if answer.status in _REDIRECTS:
        return PullAttempt(Verdict.REJECTED, f"{host}/v2/ leads to another place, as no registry's does")
    return _passing(answer, clean) or PullAttempt(
        Verdict.REJECTED, f"{host}/v2/ answers {answer.status}, not as a registry does"
    )


def _challenge_in(answer: Answer, host: str, token_host: str | None, clean: Clean) -> Challenge | PullAttempt:
    """What a refusal asks for: a token before Basic, and of several token services the registry's own
    host.
    """
    try:
        challenges = challenges_in(answer.headers.get_list("WWW-Authenticate"))
    except TooLong:
        return PullAttempt(
            Verdict.REJECTED, f"{host} asks for a credential at greater length than any registry"
        )
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
    return PullAttempt(
        Verdict.REJECTED,
        f"{host} answers {answer.status} without asking for a password or a token, as a registry does",
    )


def _host_of(realm: str) -> str:
    try:
        return httpx.URL(realm).raw_host.decode("ascii", "replace")
    except httpx.InvalidURL:
        return ""


def _location(answer: Answer) -> httpx.URL | None:
    """Where a redirect leads, if it leads on: to another address, with TLS."""
    to = answer.headers.get("Location", "")
    if answer.status not in _REDIRECTS or not to:
        return None
    try:
        url = answer.url.join(to)
        inside = is_metadata_host(url.raw_host.decode("ascii", "replace"))
    except (httpx.InvalidURL, ValueError):
        return None
    return None if url == answer.url or url.scheme != "https" or url.userinfo or inside else url


def _refused_at_the_door(answer: Answer, clean: Clean) -> PullAttempt:
    """403 with nothing asked for: a firewall where the registry says so."""
    said = cleaned_line(answer.said, clean)
    if may_be_the_network(said):
        return PullAttempt(Verdict.NETWORK_REFUSED, said)
    return PullAttempt(Verdict.FORBIDDEN, f"{answer.host} answers 403 {said}".rstrip())


def _passing(answer: Answer, clean: Clean) -> PullAttempt | None:
    """An answer that says nothing about what was asked, but that there is none now."""
    said = cleaned_line(answer.said, clean)
    if answer.status == 429:
        return PullAttempt(
            Verdict.RATE_LIMITED,
            f"{answer.host} answers {answer.status} {said}".rstrip(),
            retry_after=answer.retry_after,
        )
    if answer.status in (408, 425) or answer.status >= 500:
        return PullAttempt(
            Verdict.UNREACHABLE,
            f"{answer.host} answers {answer.status} {said}".rstrip(),
            retry_after=answer.retry_after,
        )
    return None


async def open_to_all(
    probe: Probe,
    challenge: Challenge,
    *,
    trace: Tell = silent,
    seconds: float = SECONDS,
    clean: Clean = unchanged,
) -> tuple[str, bool]:
    """Why anybody may pull, as a sentence, or "" where they may not or it cannot be told; and whether it was
    seen that they may not.

    Only the registry's own word counts: it asks for no credential, or gives out the manifest of the image
    that was named without one. That an image which does not exist is "not found" proves nothing here.
    """
    if challenge.scheme == "none" and not probe.reference:
        return f"{probe.host} asks for no credential", False
    if challenge.scheme in ("none", "bearer") and probe.reference:
        attempt = await exchange(probe, challenge, None, trace=trace, seconds=seconds, clean=clean)
        if attempt.verdict is Verdict.PULLS:
            return f"{probe.host} gives {probe.image} to anyone", False
        return "", attempt.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT)
    return "", False


async def exchange(
    probe: Probe,
    challenge: Challenge,
    credential: Credential | None,
    *,
    trace: Tell = silent,
    seconds: float = SECONDS,
    clean: Clean = unchanged,
) -> PullAttempt:
    """Do the whole exchange once, on a connection of its own, so that several reach several of the cloud's
    servers.

    Without a credential it is what anybody would be told. It takes no longer than `seconds`. What the
    registry says is shown without the credential, and as `clean` leaves it.
    """
    secrets = _Secrets(credential, clean)
    return await _within(
        seconds,
        probe.host,
        secrets.clean,
        lambda: _with_client(probe, secrets, trace, lambda one: one.pull(challenge)),
    )


async def takes_password(
    probe: Probe, credential: Credential, *, trace: Tell = silent, seconds: float = SECONDS
) -> bool | None:
    """Whether `/v2/` takes the credential by Basic; None where it does not say, as it lets anybody in or
    wants a token.

    Harbor does, beside the tokens that it asks for, and refuses a wrong password with a challenge for Basic:
    where its token service gives anybody a token, this alone tells a wrong password from a right one.
    """
    secrets = _Secrets(credential)
    url = f"https://{probe.host}/v2/"
    answers: list[Answer] = []

    async def ask() -> PullAttempt:
        async with Client(probe.host, trace, secrets.clean) as client:
            answers[:] = [await client.get(url), await client.get(url, authorization=secrets.basic)]
        return PullAttempt(Verdict.PULLS)

    await _within(seconds, probe.host, secrets.clean, ask)
    if not answers or answers[0].status != 401:
        return None
    last = answers[1]
    if last.status == 200 and not last.is_page:
        return True
    asked = _challenge_in(last, probe.host, probe.token_host, secrets.clean) if last.status == 401 else None
    return False if asked == Challenge("basic") else None


async def _within(
    seconds: float, host: str, clean: Clean, work: Callable[[], Awaitable[Found]]
) -> Found | PullAttempt:
    """What a registry has answered; an `PullAttempt` says why it has not, within the time."""
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return unanswered(error, host, clean)
    except Unreadable as error:
        return PullAttempt(Verdict.INVALID, f"the answer of {host} cannot be used: {error}")
    except TimeoutError:
        return too_late(host)


async def nearest_image(
    probe: Probe, challenge: Challenge, reader: Credential, *, trace: Tell = silent, seconds: float = SECONDS
) -> str:
    """`Did you mean checkout:1.0?` of an image that is not there, as far as this login may list; "" where it
    may not.

    The tags are listed as OCI's Distribution Specification says; the images beside it by `_catalog`
    (Distribution), or as Google's registries do: `tags/list` of a folder has its images as `child`
    (google/go-containerregistry, `pkg/v1/google/list.go`).
    """
    secrets, found = _Secrets(reader), [""]

    async def look(exchange: _Exchange) -> PullAttempt:
        found[0] = await _nearest(exchange, probe, challenge)
        return PullAttempt(Verdict.PULLS)

    await _within(seconds, probe.host, secrets.clean, lambda: _with_client(probe, secrets, trace, look))
    return found[0]


async def missing_repositories(
    names: Sequence[str],
    probe: Probe,
    challenge: Challenge,
    reader: Credential,
    *,
    trace: Tell = silent,
    seconds: float = SECONDS,
) -> dict[str, str]:
    """Those of some repositories that the registry does not have, each with the nearest that it has, "" where
    it does not say.

    One that this login may not list is not known to be missing.
    """
    secrets, found = _Secrets(reader), dict[str, str]()

    async def look(exchange: _Exchange) -> PullAttempt:
        missing = [name for name in names if await exchange.lacks(challenge, name)]
        there = await _catalog(exchange, challenge) if missing else []
        found.update({name: nearest_or_all(name, there) for name in missing})
        return PullAttempt(Verdict.PULLS)

    await _within(seconds, probe.host, secrets.clean, lambda: _with_client(probe, secrets, trace, look))
    return found


async def _catalog(exchange: _Exchange, challenge: Challenge) -> list[str]:
    """The registry's repositories, where this login may list them: the first pages of very many."""
    found: list[str] = []
    path = f"_catalog?n={_PAGE}"
    for _ in range(_MOST_PAGES):
        names, path = await exchange.page_of_names(challenge, path, "registry:catalog:*", "repositories")
        found += names
        if not path:
            break
    return found


async def _nearest(exchange: _Exchange, probe: Probe, challenge: Challenge) -> str:
    folder, _, name = probe.repository.rpartition("/")

    async def tags_of(repository: str) -> list[str]:
        return _names(
            (
                await exchange.listed(challenge, f"{repository}/tags/list", f"repository:{repository}:pull")
            ).get("tags")
        )

    async def tags(of: str) -> list[str]:
        return await tags_of(f"{folder}/{of}" if folder else of)

    if there := await tags(name):
        return nearest_or_all(f"{name}:{probe.reference}", [f"{name}:{tag}" for tag in there])
    beside: list[str] = []
    every: list[str] = []
    if folder:
        beside = _names(
            (await exchange.listed(challenge, f"{folder}/tags/list", f"repository:{folder}:pull")).get(
                "child"
            )
        )
    if not beside:
        prefix = f"{folder}/" if folder else ""
        every = await _catalog(exchange, challenge)
        beside = [one.removeprefix(prefix) for one in every if one.startswith(prefix)]
    for near in difflib.get_close_matches(name, beside, n=1):
        with_tag = probe.reference in await tags(near)
        return f"Did you mean {near}{f':{probe.reference}' if with_tag else ''}?"
    # The folder may be the one that is mistyped.
    for near in difflib.get_close_matches(probe.repository, every, n=1):
        with_tag = probe.reference in await tags_of(near)
        return f"Did you mean {near}{f':{probe.reference}' if with_tag else ''}?"
    return ""


def _names(listed: object) -> list[str]:
    """The names in a list of a registry's, those that can be shown."""
    return (
        [one for one in listed if isinstance(one, str) and one.isprintable() and len(one) <= _LONGEST_NAME]
        if isinstance(listed, list)
        else []
    )


class _Secrets(Confidential):
    """Those of one exchange, beside those that the caller knows of."""

    def __init__(self, credential: Credential | None, clean: Clean = unchanged) -> None:
        super().__init__()
        self._known = clean
        self.basic = self.add_login(credential.username, credential.password) if credential else ""

    def clean(self, text: str) -> str:
        return super().clean(self._known(text))


class _Exchange:
    def __init__(self, client: Client, probe: Probe, secrets: _Secrets) -> None:
        self._client = client
        self._probe = probe
        self._secrets = secrets
        self._answered: set[Challenge] = set()

    @property
    def _anybody(self) -> bool:
        return not self._secrets.basic

    async def pull(self, challenge: Challenge) -> PullAttempt:
        """Answer a challenge, and the one that may come after it."""
        self._answered.add(challenge)
        if challenge.scheme == "none":
            answer = await self._read("")
        elif challenge.scheme == "basic":
            answer = await self._read(self._secrets.basic)
        else:
            token = await self._token(challenge)
            if isinstance(token, PullAttempt):
                return token
            answer = await self._read(f"Bearer {token}")
        if answer.status == 401 and (challenge.scheme != "basic"):
            another = self._another(answer)
            if another is not None:
                return another if isinstance(another, PullAttempt) else await self.pull(another)
        return self._judged(answer, challenge)

    def _another(self, answer: Answer) -> Challenge | PullAttempt | None:
        """What a refusal asks for beside what was answered already; None for nothing."""
        if self._anybody or not answer.headers.get_list("WWW-Authenticate"):
            return None
        if len(self._answered) >= _MOST_CHALLENGES:
            return None  # a new one after each would have no end
        probe = self._probe
        asked = _challenge_in(answer, probe.host, probe.token_host, self._secrets.clean)
        if isinstance(asked, PullAttempt):
            return asked if asked.verdict is Verdict.UNTRUSTED else None
        # The same realm and service again is a refusal; its scope is what was asked for.
        known = {(one.scheme, one.realm, one.service) for one in self._answered}
        return None if (asked.scheme, asked.realm, asked.service) in known else asked

    async def listed(self, challenge: Challenge, path: str, scope: str) -> Mapping[str, Any]:
        """What a list under `/v2/` holds; nothing where it cannot be read."""
        answer = await self._list(challenge, path, scope)
        body = answer.json() if answer is not None and answer.status == 200 else {}
        return body if isinstance(body, dict) else {}

    async def page_of_names(
        self, challenge: Challenge, path: str, scope: str, key: str
    ) -> tuple[list[str], str]:
        """A page of names, and the path of the next one, "" after the last.

        The registry names it in `Link` (Distribution, "Pagination"); what leads elsewhere is not followed.
        """
        answer = await self._list(challenge, path, scope)
        if answer is None or answer.status != 200:
            return [], ""
        body = answer.json()
        found = re.match(
            r'\s*<(?:https://[^/>]+)?/v2/(_catalog\?[\x21-\x3d\x3f-\x7e]{1,2000})>\s*;\s*rel="?next"?',
            answer.headers.get("Link", ""),
        )
        return _names(body.get(key)) if isinstance(body, dict) else [], found[1] if found else ""

    async def lacks(self, challenge: Challenge, repository: str) -> bool:
        """Whether the registry says that there is no such repository."""
        answer = await self._list(challenge, f"{repository}/tags/list", f"repository:{repository}:pull")
        return answer is not None and answer.status == 404

    async def _list(self, challenge: Challenge, path: str, scope: str) -> Answer | None:
        """The answer to a list under `/v2/`; None where no token is had for it."""
        authorization = self._secrets.basic if challenge.scheme == "basic" else ""
        if challenge.scheme == "bearer":
            token = await self._token(challenge, scope)
            if isinstance(token, PullAttempt):
                return None
            authorization = f"Bearer {token}"
        return await self._client.get(f"https://{self._probe.host}/v2/{path}", authorization=authorization)

    async def _token(self, challenge: Challenge, scope: str | None = None) -> str | PullAttempt:
        """Exchange the credential for a token (Distribution, "Token Authentication Specification")."""
        if scope is None:
            scope = f"repository:{self._probe.repository}:pull" if self._probe.repository else ""
        query = {name: text for name, text in (("service", challenge.service), ("scope", scope)) if text}
        url = httpx.URL(challenge.realm).copy_merge_params(query)
        answer = await self._client.get(url, authorization=self._secrets.basic, accept="application/json")
        if answer.status >= 300:
            return self._no_token(answer, scope=scope)
        try:
            body = answer.json()
        except Unreadable as error:
            return PullAttempt(
                Verdict.INVALID, f"the answer of the token service {answer.host} cannot be used: {error}"
            )
        token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
        if not isinstance(token, str) or not _BEARER_TOKEN.fullmatch(token):
            # It is not shown: it may be a good one with a blank too many.
            return PullAttempt(Verdict.INVALID, "the token service's answer holds no valid token")
        self._secrets.add(Secret(token))
        return token

    def _no_token(self, answer: Answer, *, scope: str) -> PullAttempt:
        if (passing := _passing(answer, self._secrets.clean)) is not None:
            return passing
        said = cleaned_line(answer.said, self._secrets.clean)
        if answer.status == 403 and may_be_the_network(said):
            return PullAttempt(Verdict.NETWORK_REFUSED, said)
        if answer.status in (401, 403):
            # 401 says that the caller is not known; with no repository asked for, 403 means the same (GHCR).
            whole = answer.status == 401 or not scope
            return PullAttempt(Verdict.IDENTITY_REFUSED if whole else Verdict.NO_GRANT, said)
        return PullAttempt(
            Verdict.REJECTED, f"the token service {answer.host} answers {answer.status} {said}".rstrip()
        )

    async def _read(self, authorization: str) -> Answer:
        """Ask for the manifest, or without a repository for `/v2/`; follow where it leads.

        To another place goes no credential: to another host, or out of the registry's API (a page to log in).
        """
        probe = self._probe
        path = "/v2/"
        method = "HEAD" if probe.head and probe.repository else "GET"
        if probe.repository:
            path += f"{probe.repository}/manifests/{probe.reference or _NO_SUCH_TAG}"
        url = httpx.URL(f"https://{probe.host}{path}")

        async def ask(where: httpx.URL, method: str, authorization: str) -> Answer:
            return await self._client.get(
                where, method=method, authorization=authorization, accept=_ACCEPT, limit=MANIFEST_BYTES
            )

        answer = await ask(url, method, authorization)
        if method == "HEAD" and answer.status == 404:
            # What is missing, tag or repository, stands in the body.
            answer = await ask(url, "GET", authorization)
        for _ in range(_MOST_REDIRECTS):
            to = _location(answer)
            if to is None:
                break
            inside = (to.scheme, to.netloc) == (url.scheme, url.netloc) and to.path.startswith("/v2/")
            answer = await ask(to, method, authorization if inside else "")
        return answer

    # -- what an answer means --------------------------------------------------------------------------------

    def _judged(self, answer: Answer, challenge: Challenge) -> PullAttempt:
        probe, clean = self._probe, self._secrets.clean
        if (passing := _passing(answer, clean)) is not None:
            return passing
        if answer.status in _REDIRECTS:
            return PullAttempt(
                Verdict.REJECTED, f"{probe.host} answers with a redirect that leads to no manifest"
            )
        unasked = challenge.scheme == "none" and not self._anybody
        if answer.status == 404 and probe.repository:
            return self._not_found(answer)
        if answer.status >= 300:
            return self._refused(answer, whole=challenge.scheme == "basic" and answer.status == 401)
        if answer.is_page:
            return PullAttempt(
                Verdict.INVALID, f"{probe.host} answers with a web page, not as a registry does"
            )
        if not probe.repository:
            return self._let_in(unasked=unasked)
        if not _is_manifest(answer, head=probe.head):
            return PullAttempt(
                Verdict.INVALID, f"{probe.host} answers {answer.status}, and not with a manifest"
            )
        if not probe.reference:
            return PullAttempt(Verdict.INVALID, f"{probe.host} claims to have an image with a random name")
        seen = f"reads the manifest of {probe.host}/{probe.image}"
        return (
            PullAttempt(Verdict.PULLS, f"{seen}, as anyone can: no credential was asked for", proven=False)
            if unasked
            else PullAttempt(Verdict.PULLS, seen)
        )

    def _let_in(self, *, unasked: bool) -> PullAttempt:
        host = self._probe.host
        if unasked:
            return PullAttempt(Verdict.PULLS, f"was not tried: {host} asks for no credential", proven=False)
        return PullAttempt(
            Verdict.PULLS, f"is accepted by {host}; no image was named to try a pull of", proven=False
        )

    def _not_found(self, answer: Answer) -> PullAttempt:
        probe, code = self._probe, answer.error[0].upper()
        if probe.reference:
            return PullAttempt(Verdict.NOT_FOUND, f"{probe.host} has no {probe.image}")
        if code == "MANIFEST_UNKNOWN":
            return PullAttempt(Verdict.PULLS, f"may pull {probe.host}/{probe.repository}")
        # Registries say so to whoever has been let in, whatever they may pull.
        return PullAttempt(
            Verdict.PULLS,
            f"is accepted by {probe.host}, which has no {probe.repository} to try a pull of",
            proven=False,
        )

    def _refused(self, answer: Answer, *, whole: bool) -> PullAttempt:
        said = cleaned_line(answer.said, self._secrets.clean)
        if answer.status == 403 and may_be_the_network(said):
            return PullAttempt(Verdict.NETWORK_REFUSED, said)
        if answer.status in (401, 403):
            # A token is given to whom the token service knows, so what comes after it is about the
            # repository.
            return PullAttempt(Verdict.IDENTITY_REFUSED if whole else Verdict.NO_GRANT, said)
        return PullAttempt(Verdict.REJECTED, f"{answer.host} answers {answer.status} {said}".rstrip())


def _is_manifest(answer: Answer, *, head: bool) -> bool:
    """Whether a good answer is a manifest: whole (RFC 9110, 15.3: of the good ones 200 alone is), and what
    its type says or every manifest holds (OCI Image Specification). One asked for by HEAD has its type only.
    """
    of_its_type = answer.media_type in _MANIFEST_TYPES
    if answer.status != 200:
        return False
    if head or not answer.whole:
        return of_its_type
    try:
        body = answer.json()
    except Unreadable:
        return False
    return isinstance(body, dict) and (of_its_type or body.get("schemaVersion") in (1, 2))


async def _with_client(
    probe: Probe, secrets: _Secrets, trace: Tell, work: Callable[[_Exchange], Awaitable[PullAttempt]]
) -> PullAttempt:
    async with Client(probe.host, trace, secrets.clean) as client:
        return await work(_Exchange(client, probe, secrets))

"""One exchange with a registry, done with the credential as a puller would do it.

Source of the protocol: the Distribution project, "Token Authentication Specification" and "OCI Distribution
Specification"; where the clouds differ from it, the provider's `diagnose` knows. Where pullers go beyond it,
containerd (`core/remotes/docker/authorizer.go`) and containers/image (`docker/docker_client.go`) are
followed: a challenge that comes after a token was refused is answered too, once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import Unreadable
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Tell, silent
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.model.secret import Secret
from bootstrap.registry import messages_answers as messages
from bootstrap.registry.answers import (
    MOST_REDIRECTS,
    REDIRECTS,
    answer_within,
    passing_failure,
    redirect_target,
)
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import (
    MANIFEST_BYTES,
    SECONDS,
    Answer,
    Clean,
    Client,
    cleaned_line,
    unchanged,
)
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.first_answer import challenge_in
from bootstrap.registry.messages import is_ban, is_of_upstream, may_be_the_network, upstream_refused

_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join(_MANIFEST_TYPES)
_NO_SUCH_TAG = "pullkey-asks-whether-it-may-pull"
_BEARER_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_MOST_CHALLENGES = 4


async def open_to_all(
    probe: Probe,
    challenge: Challenge,
    *,
    trace: Tell = silent,
    seconds: float = SECONDS,
    clean: Clean = unchanged,
) -> tuple[str, bool]:
    """Whether anyone may pull without a credential.

    Only a manifest of the named image that is given out without one shows that. A registry may ask for no
    credential at `/v2/` and for one at each repository (zot with a policy for anyone, project-zot/zot,
    pkg/api/authn.go; Artifactory with anonymous access). "Not found" for an image that does not exist says
    nothing here.

    Returns:
        why anyone may pull, as a sentence, "" where they may not or it is unknown; and whether the registry
        was seen to refuse.
    """
    if challenge.scheme in ("none", "bearer") and probe.reference:
        attempt = await exchange(probe, challenge, None, trace=trace, seconds=seconds, clean=clean)
        if attempt.verdict is Verdict.PULLS:
            return messages.given_to_anyone(probe), False
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

    Without a credential it is what the registry answers to anyone. It takes no longer than `seconds`. The
    registry's words are shown without the credential, and as `clean` leaves them.
    """
    secrets = ExchangeSecrets(credential, clean)
    return await answer_within(
        seconds,
        probe.host,
        secrets.clean,
        lambda: with_client(probe, secrets, trace, lambda one: one.pull(challenge)),
    )


async def takes_password(
    probe: Probe, credential: Credential, *, trace: Tell = silent, seconds: float = SECONDS
) -> bool | None:
    """Whether `/v2/` accepts the credential by Basic; None where that is unknown, because it accepts anyone
    or wants a token. One that accepts anyone may refuse a wrong password even so (zot, Artifactory).

    Harbor accepts Basic beside the tokens that it asks for, and refuses a wrong password with a challenge for
    Basic: where its token service gives anyone a token, only this tells a wrong password from a valid one.
    """
    if credential.token_service:
        return None
    secrets = ExchangeSecrets(credential)
    url = f"https://{probe.host}/v2/"
    answers: list[Answer] = []

    async def ask() -> PullAttempt:
        async with Client(probe.host, trace, secrets.clean) as client:
            answers[:] = [await client.get(url), await client.get(url, authorization=secrets.basic)]
        return PullAttempt(Verdict.PULLS)

    await answer_within(seconds, probe.host, secrets.clean, ask)
    if not answers:
        return None
    first, last = answers
    if first.status == 200 and not first.is_page:
        return False if last.status == 401 else None
    if first.status != 401:
        return None
    if last.status == 200 and not last.is_page:
        return True
    asked = challenge_in(last, probe.host, probe.token_host, secrets.clean) if last.status == 401 else None
    return False if asked == Challenge("basic") else None


class ExchangeSecrets(Confidential):
    """The secrets of one exchange, beside those that the caller's `clean` removes."""

    def __init__(self, credential: Credential | None, clean: Clean = unchanged) -> None:
        super().__init__()
        self._clean_first = clean
        self.basic = self.add_login(credential.username, credential.password) if credential else ""
        self._token_service = credential.token_service if credential else ""

    def may_answer(self, challenge: Challenge) -> bool:
        """Whether the credential may go where a challenge asks for it."""
        if not self._token_service or challenge.scheme == "none":
            return True
        return challenge.scheme == "bearer" and challenge.realm == self._token_service

    def clean(self, text: str) -> str:
        return super().clean(self._clean_first(text))


class Exchange:
    """The requests of one exchange, over one client."""

    def __init__(self, client: Client, probe: Probe, secrets: ExchangeSecrets) -> None:
        self._client = client
        self._probe = probe
        self._secrets = secrets
        self._answered: set[Challenge] = set()
        self._has_token = False

    @property
    def _is_anonymous(self) -> bool:
        return not self._secrets.basic

    async def pull(self, challenge: Challenge) -> PullAttempt:
        """Answer a challenge, and the one that may follow it."""
        self._answered.add(challenge)
        if not self._secrets.may_answer(challenge):
            return messages.not_sent(self._probe.host)
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
        """The challenge of a refusal that was not answered yet; None if there is none."""
        if self._is_anonymous or not answer.headers.get_list("WWW-Authenticate"):
            return None
        if len(self._answered) >= _MOST_CHALLENGES:
            return None  # a new one after each would have no end
        probe = self._probe
        asked = challenge_in(answer, probe.host, probe.token_host, self._secrets.clean)
        if isinstance(asked, PullAttempt):
            return asked if asked.verdict is Verdict.UNTRUSTED else None
        # The same realm and service again is a refusal; its scope is what was asked for.
        answered = {(one.scheme, one.realm, one.service) for one in self._answered}
        return None if (asked.scheme, asked.realm, asked.service) in answered else asked

    async def fetch_list(self, challenge: Challenge, path: str, scope: str) -> Answer | None:
        """The answer to a list under `/v2/`; None where the registry gives no token for it."""
        if not self._secrets.may_answer(challenge):
            return None
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
        answer = await self._get_token(url)
        for _ in range(MOST_REDIRECTS):
            to = redirect_target(answer)
            if to is None or to.netloc != url.netloc:
                break  # as pullers do, the credential goes along to the same host only (Go, net/http)
            answer = await self._get_token(to)
        if answer.status >= 300:
            return self._no_token(answer, scope=scope)
        try:
            body = answer.json()
        except Unreadable as error:
            return messages.unreadable_token_answer(answer.host, error)
        token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
        if not isinstance(token, str) or not _BEARER_TOKEN.fullmatch(token):
            return messages.no_valid_token()
        self._secrets.add(Secret(token))
        self._has_token = True
        return token

    async def _get_token(self, url: httpx.URL) -> Answer:
        return await self._client.get(url, authorization=self._secrets.basic, accept="application/json")

    def _no_token(self, answer: Answer, *, scope: str) -> PullAttempt:
        if (passing := passing_failure(answer, self._secrets.clean)) is not None:
            return passing
        error_text = cleaned_line(answer.error_text, self._secrets.clean)
        if answer.status == 403 and may_be_the_network(error_text):
            return messages.network_refused(error_text)
        if answer.status == 403 and is_ban(error_text):
            return messages.address_banned(answer.host, error_text)
        if answer.status in (401, 403):
            # 401 says that the caller is unknown; with no repository asked for, 403 means the same (GHCR).
            return messages.login_refused(error_text, identity=answer.status == 401 or not scope)
        return messages.unexpected_token_status(answer.host, answer.status, error_text)

    async def _read(self, authorization: str) -> Answer:
        """Ask for the manifest, or without a repository for `/v2/`; follow where it leads.

        The credential is not sent to another host, nor outside of the registry's API (a login page).
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
            # The body says what is missing: the tag or the repository.
            answer = await ask(url, "GET", authorization)
        for _ in range(MOST_REDIRECTS):
            to = redirect_target(answer)
            if to is None:
                break
            inside = (to.scheme, to.netloc) == (url.scheme, url.netloc) and to.path.startswith("/v2/")
            answer = await ask(to, method, authorization if inside else "")
        return answer

    # -- what an answer means --------------------------------------------------------------------------------

    def _judged(self, answer: Answer, challenge: Challenge) -> PullAttempt:
        probe, clean = self._probe, self._secrets.clean
        if (passing := passing_failure(answer, clean)) is not None:
            return self._from_upstream(answer) or passing
        if answer.status in REDIRECTS:
            return messages.manifest_redirects_nowhere(probe.host)
        unasked = challenge.scheme == "none" and not self._is_anonymous
        if answer.status == 404 and probe.repository:
            return self._not_found(answer)
        if answer.status >= 300:
            # Harbor asks for Basic wherever it refuses a token, also one that may not pull this repository
            # (goharbor/harbor, src/server/middleware/v2auth/auth.go, `getChallenge`).
            by_basic = challenge.scheme == "basic" and not self._has_token
            return self._refused(answer, identity=by_basic and answer.status == 401)
        if answer.is_page:
            return messages.web_page_for_a_manifest(probe.host)
        if not probe.repository:
            return messages.not_tried(probe.host) if unasked else messages.accepted_without_image(probe.host)
        if not _is_manifest(answer, head=probe.head):
            return messages.not_a_manifest(probe.host, answer.status)
        if not probe.reference:
            return messages.has_any_image(probe.host)
        return messages.reads_manifest_without_login(probe) if unasked else messages.reads_manifest(probe)

    def _from_upstream(self, answer: Answer) -> PullAttempt | None:
        """What a failure says that is of the registry behind the repository; None for any other, and for one
        that may pass where an image is named.
        """
        probe, error_text = self._probe, cleaned_line(answer.error_text, self._secrets.clean)
        if not probe.repository or not is_of_upstream(error_text):
            return None
        if not probe.reference:
            return messages.accepted_without_image(probe.host)
        return messages.upstream_refuses(probe, error_text) if upstream_refused(error_text) else None

    def _not_found(self, answer: Answer) -> PullAttempt:
        probe, code = self._probe, answer.error[0].upper()
        if probe.reference:
            return messages.image_not_found(probe)
        if code == "MANIFEST_UNKNOWN":
            return messages.may_pull(probe)
        # Registries say so to every known login, whatever it may pull.
        return messages.accepted_without_repository(probe)

    def _refused(self, answer: Answer, *, identity: bool) -> PullAttempt:
        error_text = cleaned_line(answer.error_text, self._secrets.clean)
        if answer.status == 403 and may_be_the_network(error_text):
            return messages.network_refused(error_text)
        if answer.status in (401, 403):
            # The token service gives tokens to logins that it knows, so a refusal after it is about the
            # repository.
            return messages.login_refused(error_text, identity=identity)
        return messages.unexpected_status(answer.host, answer.status, error_text)


def _is_manifest(answer: Answer, *, head: bool) -> bool:
    """Whether a successful answer is a manifest: a whole one (RFC 9110, 15.3: of the 2xx only 200 is), by its
    type or by what every manifest holds (OCI Image Specification). The answer to HEAD has only its type.
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


async def with_client(
    probe: Probe, secrets: ExchangeSecrets, trace: Tell, work: Callable[[Exchange], Awaitable[PullAttempt]]
) -> PullAttempt:
    async with Client(probe.host, trace, secrets.clean) as client:
        return await work(Exchange(client, probe, secrets))

"""The session of a Docker Hub target: its single step, preflight and diagnosis."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem, PullkeyError, Refused, problem_of
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.registry import (
    SECONDS,
    Challenge,
    Confidential,
    fetch_challenge,
    nearest_image,
    try_once,
)
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Notice, PreflightFindings, StepRole, is_pending
from providers.docker_hub import messages, scripts
from providers.docker_hub.connection import ENDPOINT, HUB
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.hub import Hub
from providers.docker_hub.steps import CreatedToken, SuppliedToken
from providers.docker_hub.target import MOST_REPOSITORIES, REGISTRY, SERVER, DockerHubTarget, covered


class DockerHubSession(Session):
    """See `bootstrap.plugin.session.Session`."""

    def __init__(self, target: DockerHubTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.hub = Hub(context, target.user, target.login)
        self.waits_for_spreading = target.minted
        self._created = CreatedToken(self, target, self.hub)
        self._supplied = SuppliedToken(self, target)
        self.key, self.steps = (
            (self._created, [self._created]) if target.minted else (self._supplied, [self._supplied])
        )

    # -- the methods of `bootstrap.plugin.session.Session` ---------------------------------------------------

    async def connect(self) -> str:
        target = self.target
        if not target.minted:
            return f"{target.puller}, with a user-supplied token" if target.puller else "no user yet"
        if not await self.hub.has_login():
            return f"{target.user}, who has not logged in" if target.user else "no user"
        await self.hub.login.bearer(self.hub)
        return f"the Docker Hub user {target.user}"

    def redact(self, text: str) -> str:
        secrets = Confidential()
        for secret in (self._supplied.token, self.credential.password if self.credential else None):
            if secret is not None:
                secrets.add_login(self.target.puller, secret)
        return secrets.clean(text)

    async def host(self) -> str:
        return REGISTRY

    async def server(self) -> str:
        return SERVER

    async def username(self) -> str | None:
        return self.target.puller or None

    async def probe(self) -> Probe:
        if self.target.repository:
            return Probe(REGISTRY, self.target.repository, self.target.reference, head=True)
        repositories: tuple[str, ...] = ()
        if self.target.kind == "oat" and await self.hub.has_login():
            repositories = await self._created.held_repositories()
        one = next((one for one in repositories if "*" not in one), "")
        return Probe(REGISTRY, one, head=True)

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        if not self.target.puller:
            findings.problems.append(messages.puller_not_named())
        if await is_pending(self.steps[0]):
            findings.notices += self._notices()
            findings.problems += await self._problems()
            findings.notices += await self._notices_of_scope()
        return findings

    def _notices(self) -> list[Notice]:
        target = self.target
        if target.organization or not target.user:
            return []
        return [messages.personal_token_is_broad(target.user, created=target.minted)]

    async def _notices_of_scope(self) -> list[Notice]:
        """What Akka can no longer pull with the organisation's token that a file asks for."""
        target = self.target
        if not (target.kind == "oat" and target.repositories and self.context.of_file):
            return []
        if not await self.hub.has_login():
            return []
        try:
            held = await self._created.held_repositories()
        except PullkeyError:
            return []  # reported where the token is looked at
        dropped = [one for one in held if not covered(target.repositories, one)]
        return [messages.repositories_dropped(dropped)] if dropped else []

    async def _problems(self) -> list[Problem]:
        """Problems of the login or of the supplied token that can be seen before any change."""
        if self.target.minted:
            return await self._about_the_login() if await self.hub.has_login() else []
        return await self._about_the_token() if self._supplied.token is not None else []

    async def _about_the_login(self) -> list[Problem]:
        """Check that the login can create tokens, and can itself see what the token is to pull."""
        target = self.target
        try:
            await self.hub.tokens(target.organization)
        except HubApiError as error:
            return [messages.tokens_unreadable(target, error)]
        except PullkeyError as error:
            return [problem_of(error, step=StepRole.KEY)]
        problems = []
        for name in target.repositories:
            try:
                if await self.hub.has_repository(name):
                    continue
            except HubApiError as error:
                if error.status not in {401, 403}:
                    continue  # this error says nothing about the repository; the verification will
            problems.append(messages.repository_not_found(target.user, name, await self._near(name)))
        if target.kind == "oat" and target.repositories:
            try:
                count = len(await self._created.repositories_to_pull())
            except PullkeyError as error:
                return [*problems, problem_of(error, step=StepRole.KEY)]
            if count > MOST_REPOSITORIES:
                problems.append(messages.too_many_repositories(count, MOST_REPOSITORIES))
        return problems or await self._about_the_tag()

    async def _about_the_tag(self) -> list[Problem]:
        """Check the named image's tag through the API, since the password must not be sent to the
        registry.
        """
        target = self.target
        name, tag = target.repository, target.reference
        if not (name and tag) or ":" in tag:  # a digest
            return []

        async def has_it() -> bool | None:
            return await self.hub.has_tag(name, tag) or None

        try:
            if await read_twice(has_it):
                return []
            short = name.rpartition("/")[2]
            near = nearest_or_all(f"{short}:{tag}", [f"{short}:{one}" for one in await self.hub.tags(name)])
        except HubApiError:
            return []  # this error says nothing about the tag; the verification will
        return [messages.image_not_found(name, tag, near)]

    async def _near(self, repository: str, *, token: Secret | None = None) -> str:
        """A hint at similar repositories in the namespace; "" if Docker Hub shows none."""
        namespace, _, name = repository.partition("/")
        try:
            return nearest_or_all(name, await self.hub.repositories(namespace, token=token))
        except (HubApiError, PullkeyError):
            return ""

    async def _about_the_token(self) -> list[Problem]:
        """Check that the registry accepts the user-supplied token: waiting would not change a refusal."""
        if self._supplied.token is None or not self.target.puller:
            return []
        challenge = await fetch_challenge(
            REGISTRY, trace=self.context.trace, seconds=self.context.deadline.clip(SECONDS), clean=self.redact
        )
        if not isinstance(challenge, Challenge):
            return []  # the run itself reports it
        credential = Credential(SERVER, self.target.puller, self._supplied.token, KeyRef("", "", ""))
        attempt = await try_once(
            await self.probe(),
            challenge,
            credential,
            deadline=self.context.deadline,
            trace=self.context.trace,
        )
        if attempt.verdict is Verdict.NOT_FOUND:
            near = await nearest_image(
                await self.probe(),
                challenge,
                credential,
                trace=self.context.trace,
                seconds=self.context.deadline.clip(SECONDS),
            )
            return [messages.image_not_found(self.target.repository, self.target.reference, near)]
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
            return []
        diagnosis = self._diagnose_supplied_token(attempt)
        if attempt.verdict is Verdict.NO_GRANT:
            diagnosis = (
                f"{diagnosis} {await self._near(self.target.repository, token=self._supplied.token)}".rstrip()
            )
        return [messages.supplied_token_refused(attempt, diagnosis)]

    async def prompt_secrets(self) -> None:
        """Prompt for the user-supplied token, or for the login that creates one, and check it before any
        change.

        Raises:
            UsageProblem: it cannot prompt, or the input is invalid.
            Refused: Docker Hub refuses the token or the login, or their permissions are not enough.
        """
        if self.target.minted:
            if await self.hub.has_login():
                return  # already checked
            await self.hub.login.bearer(self.hub)
        else:
            if self._supplied.token is not None:
                return
            await self._supplied.ask()
        if problems := await self._problems():
            raise Refused(problems)

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        if not self.target.minted:
            return self._diagnose_supplied_token(attempt)
        try:
            token = await self.hub.token(self.credential.link.key_id, self.target.organization)
        except (HubApiError, PullkeyError):
            return ""
        if token is None:
            return messages.SHOWN_DELETED
        if not token.active:
            return messages.SHOWN_DEACTIVATED
        if attempt.verdict is Verdict.NO_GRANT:
            probe = await self.probe()
            return messages.token_may_not_pull(self.target.puller, probe.repository)
        return messages.SHOWN_ACTIVE

    def _diagnose_supplied_token(self, attempt: PullAttempt) -> str:
        puller = self.target.puller
        if attempt.verdict is Verdict.NO_GRANT:
            return messages.supplied_token_may_not_pull(puller, self.target.repository)
        return messages.supplied_token_invalid(puller)

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        named = endpoint(ENDPOINT) if os.environ.get(ENDPOINT) else None
        return scripts.variables(self.target, named.url if named else HUB)

    def script_preamble(self) -> str:
        return scripts.preamble(self.target)

    @property
    def script_credential(self) -> Mapping[str, str]:
        return scripts.credential(self.target)

"""One Docker Hub target, open: its one step, and the facts that it shares with the checks before and
after.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem, ProblemKind, PullkeyError, Refused, problem_of
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.model.secret import Secret
from bootstrap.model.settings import endpoint
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Notice, PreflightFindings, State
from bootstrap.registry import (
    SECONDS,
    Challenge,
    Confidential,
    code_of,
    fetch_challenge,
    nearest_image,
    try_once,
)
from providers.docker_hub import scripts
from providers.docker_hub.connection import ENDPOINT, HUB
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.hub import TOKENS_PAGE, Hub
from providers.docker_hub.steps import CreatedToken, SuppliedToken
from providers.docker_hub.target import REGISTRY, SERVER, DockerHubTarget


class DockerHubSession(Session):
    """See `bootstrap.plugin.session.Session`."""

    def __init__(self, target: DockerHubTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.hub = Hub(context, target.user, target.login)
        self.waits_for_spreading = target.minted
        self._minted = CreatedToken(self, target, self.hub)
        self._brought = SuppliedToken(self, target)
        self.key, self.steps = (
            (self._minted, [self._minted]) if target.minted else (self._brought, [self._brought])
        )

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def connect(self) -> str:
        target = self.target
        if not target.minted:
            return f"{target.puller}, with a user-supplied token" if target.puller else "no user yet"
        if not self.hub.may_look:
            return f"{target.user}, who has not logged in" if target.user else "no user"
        await self.hub.login.bearer(self.hub)
        return f"the Docker Hub user {target.user}"

    def redact(self, text: str) -> str:
        secrets = Confidential()
        for secret in (self._brought.token, self.credential.password if self.credential else None):
            if secret is not None:
                secrets.add_login(self.target.puller, secret)
        return secrets.clean(text)

    async def host(self) -> str:
        return REGISTRY

    async def server(self) -> str:
        return SERVER

    async def username(self) -> str | None:
        return self.target.puller or None

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        return {}  # Docker Hub has none by name; what a login may not do is found by looking

    async def probe(self) -> Probe:
        if self.target.repository:
            return Probe(REGISTRY, self.target.repository, self.target.reference, head=True)
        repositories: tuple[str, ...] = ()
        if self.target.kind == "oat" and self.hub.may_look:
            repositories = await self._minted.held_repositories()
        return Probe(REGISTRY, repositories[0] if repositories else "", head=True)

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        if not self.target.puller:
            findings.problems.append(
                Problem(
                    ProblemKind.QUESTION,
                    "The user who pulls is not named",
                    "Name the Docker ID whose token it is: --hub-user NAME",
                    step="key",
                    code=Code.MISSING_VALUE,
                )
            )
        try:
            pending = (await self.steps[0].look()).state is not State.DONE
        except PullkeyError:
            pending = True  # what it was is told where the step is looked at
        if pending:
            findings.notices += self._notices()
            findings.problems += await self._problems()
        return findings

    def _notices(self) -> list[Notice]:
        target = self.target
        if target.organization or not target.user:
            return []
        instead = "A token of an organisation can be (--organization NAME, for its owners)."
        if target.minted:
            return [
                Notice(
                    "A personal access token cannot be limited to a repository: with this one Akka "
                    f"can read all that {target.user} can. {instead}",
                    warning=True,
                )
            ]
        return [
            Notice(
                "A personal access token cannot be limited to a repository: with one, Akka can "
                f"read all that {target.user} can. {instead}",
                warning=True,
            )
        ]

    async def _problems(self) -> list[Problem]:
        """What can be seen to be wrong with what was given, before anything is made."""
        if self.target.minted:
            return await self._about_the_login() if self.hub.may_look else []
        return await self._about_the_token() if self._brought.token is not None else []

    async def _about_the_login(self) -> list[Problem]:
        """Whether this login may make the token, and may itself see what the token is to pull."""
        target = self.target
        whose = f"the tokens of {target.puller}"
        try:
            await self.hub.tokens(target.organization)
        except HubApiError as error:
            return [_may_not(target, error, whose)]
        except PullkeyError as error:
            return [problem_of(error, step="key")]
        problems = []
        for name in target.repositories:
            try:
                if await self.hub.has_repository(name):
                    continue
            except HubApiError as error:
                if error.status not in {401, 403}:
                    continue  # it says nothing about the repository; the handshake will
            problems.append(
                Problem(
                    ProblemKind.SETUP,
                    f"Docker Hub shows {target.user} no repository {name}",
                    f"{await self._near(name)} Check its name, or ask its owner to let this user "
                    "read it".lstrip(),
                    step="key",
                    code=Code.REPOSITORY_NOT_FOUND,
                )
            )
        return problems or await self._about_the_tag()

    async def _about_the_tag(self) -> list[Problem]:
        """Whether the image that was named has its tag, as the API shows it: the registry is not sent the
        password.
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
            return []  # it says nothing about the tag; the handshake will
        return [
            Problem(
                ProblemKind.SETUP,
                f"There is no image docker.io/{name}:{tag}",
                f"{near} Check its name and tag".lstrip(),
                step="handshake",
                code=Code.IMAGE_NOT_FOUND,
            )
        ]

    async def _near(self, repository: str, *, token: Secret | None = None) -> str:
        """The nearest repositories of its namespace, as far as Docker Hub shows them."""
        namespace, _, name = repository.partition("/")
        try:
            return nearest_or_all(name, await self.hub.repositories(namespace, token=token))
        except (HubApiError, PullkeyError):
            return ""

    async def _about_the_token(self) -> list[Problem]:
        """Whether the registry takes the token that was brought: no refusal of that one will pass by
        waiting.
        """
        if self._brought.token is None or not self.target.puller:
            return []
        challenge = await fetch_challenge(
            REGISTRY, trace=self.context.trace, seconds=self.context.deadline.clip(SECONDS), clean=self.redact
        )
        if not isinstance(challenge, Challenge):
            return []  # told by the run itself
        credential = Credential(SERVER, self.target.puller, self._brought.token, KeyRef("", "", ""))
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
            return [
                Problem(
                    ProblemKind.SETUP,
                    f"There is no image docker.io/{self.target.repository}:{self.target.reference}",
                    f"{near} Check its name and tag".lstrip(),
                    step="handshake",
                    code=Code.IMAGE_NOT_FOUND,
                )
            ]
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
            return []
        diagnosis = self._of_a_brought_token(attempt)
        if attempt.verdict is Verdict.NO_GRANT:
            diagnosis = (
                f"{diagnosis} {await self._near(self.target.repository, token=self._brought.token)}".rstrip()
            )
        return [
            Problem(
                ProblemKind.SETUP,
                f"The supplied token does not pull ({attempt}). {diagnosis}",
                f"Make a read-only token at {TOKENS_PAGE} and supply that one",
                step="key",
                code=code_of(attempt),
            )
        ]

    async def prompt_secrets(self) -> None:
        """The token that is brought, or the login that makes one; it is tried at once, before anything is
        changed.

        Raises:
            UsageProblem: there is nobody to ask, or what was given cannot be used.
            Refused: Docker Hub does not take what was given, or not for this.
        """
        if self.target.minted:
            if self.hub.may_look:
                return  # looked at already
            await self.hub.login.bearer(self.hub)
        else:
            if self._brought.token is not None:
                return
            await self._brought.ask()
        if problems := await self._problems():
            raise Refused(problems)

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        if not self.target.minted:
            return self._of_a_brought_token(attempt)
        try:
            token = await self.hub.token(self.credential.link.key_id, self.target.organization)
        except (HubApiError, PullkeyError):
            return ""
        if token is None:
            return "Docker Hub no longer shows the token: it was deleted outside of pullkey."
        if not token.active:
            return "Docker Hub shows the token as deactivated."
        if attempt.verdict is Verdict.NO_GRANT:
            probe = await self.probe()
            return (
                f"Docker Hub shows the token as active, so {self.target.puller} may not pull "
                f"{probe.repository}, or there is no such repository."
            )
        return "Docker Hub shows the token as active, so its registry does not know it yet."

    def _of_a_brought_token(self, attempt: PullAttempt) -> str:
        puller = self.target.puller
        if attempt.verdict is Verdict.NO_GRANT:
            return (
                f"It is a token of {puller}, who may not pull {self.target.repository}; or there is no "
                "such repository, which Docker Hub answers alike."
            )
        return f"It is not a token of {puller}, or it has expired, or was deactivated or deleted."

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        named = endpoint(ENDPOINT) if os.environ.get(ENDPOINT) else None
        return scripts.variables(self.target, named.url if named else HUB)

    def script_preamble(self) -> str:
        return scripts.preamble(self.target)

    @property
    def script_credential(self) -> Mapping[str, str]:
        return scripts.credential(self.target)


def _may_not(target: DockerHubTarget, error: HubApiError, whose: str) -> Problem:
    """Why a login may not make a token, as far as Docker Hub tells it."""
    if error.status == 403:
        owner = f"is not an owner of {target.organization}, or " if target.organization else ""
        return Problem(
            ProblemKind.RIGHT,
            f"Docker Hub does not let this login see {whose} ({error.said}): {target.user} "
            f"{owner}has logged in with a token instead of a password, which cannot create tokens",
            f"Pass the password of {'an owner' if target.organization else target.user}, or supply "
            f"a token created at {TOKENS_PAGE}: --token-stdin",
            step="key",
            code=Code.HUB_TOKEN_LOGIN,
        )
    if error.missing and target.organization:
        return Problem(
            ProblemKind.SETUP,
            f"Docker Hub shows {target.user} no organisation {target.organization} ({error.said})",
            "Check --organization",
            step="key",
            code=Code.ORGANIZATION_NOT_FOUND,
        )
    return Problem(
        ProblemKind.SETUP,
        f"Docker Hub does not show {whose} ({error.said})",
        "Run it again in a while",
        step="key",
        code=error.problem_code,
    )

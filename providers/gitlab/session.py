"""One GitLab target, open: its one step, and the facts that the checks share with it."""

from __future__ import annotations

from collections.abc import Mapping

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem, PullkeyError, Refused
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.registry import (
    SECONDS,
    Challenge,
    Confidential,
    nearest_image,
    try_once,
)
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import PreflightFindings, is_pending
from providers.gitlab import messages, scripts
from providers.gitlab.address import host_of_instance
from providers.gitlab.answers import Namespace
from providers.gitlab.deploy_token import CreatedDeployToken
from providers.gitlab.errors import GitlabApiError
from providers.gitlab.place import Place, instance_of, known_namespace
from providers.gitlab.preflight import notices_of, problems_of
from providers.gitlab.target import GitlabTarget

_ANY_USER = "pullkey"
"""With an access token the registry accepts any user name (gitlabhq/gitlabhq, lib/gitlab/auth.rb)."""


class GitlabSession(Session):
    """See `bootstrap.plugin.session.Session`."""

    def __init__(self, target: GitlabTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.place = Place(target, context)
        self.token_host = target.allowed_host or None
        self._token = CreatedDeployToken(self, target, self.place)
        self.key, self.steps = self._token, [self._token]
        self._looked = False

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def connect(self) -> str:
        gitlab = await self.place.gitlab()
        host = host_of_instance(gitlab.instance)
        if not await self.place.may_look():
            return f"{host}, without a login"
        user, _ = await gitlab.user()
        return f"the user {user} of {host}" if user else f"an access token of {host}"

    def redact(self, text: str) -> str:
        secrets = Confidential()
        for secret in (self.place.secret, self.credential.password if self.credential else None):
            if secret is not None:
                secrets.add_login(_ANY_USER, secret)
        return secrets.clean(text)

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return self.target.server

    async def other_place(self, held: HeldCredential) -> str:
        """`acme/platform/api` and `acme/platform-api` have one name in Akka; the record has the number."""
        own = self.target
        try:
            found = GitlabTarget.held(held, {})
        except PullkeyError:
            return ""
        same = found.kind == own.kind and own.namespace_number in (0, found.number)
        return "" if same else found.label

    async def unconfirmed(self, held: HeldCredential) -> str:
        """The record has the number of the project or group; that of a path is known with a login only."""
        if self.target.namespace_number:
            return ""
        try:
            found = GitlabTarget.held(held, {})
        except PullkeyError:
            return ""
        return messages.number_not_known(self.target, found.number)

    async def identity(self) -> str:
        return self.target.called.removeprefix("the ")

    async def probe(self) -> Probe:
        target = self.target
        if target.repository or target.kind == "group":
            return Probe(target.host, target.repository, target.reference, self.token_host)
        namespace = await known_namespace(self.place)
        path = namespace.path.lower() if namespace is not None else target.path.lower()
        if namespace is not None:
            path = await self._repository_of(namespace) or path
        return Probe(target.host, path, "", self.token_host)

    async def _repository_of(self, namespace: Namespace) -> str:
        """A repository of the project. For an existing one the registry answers "no such tag" if it may be
        pulled.
        """
        gitlab = await self.place.gitlab()
        try:
            found = await gitlab.repositories(namespace.number)
        except (GitlabApiError, PullkeyError):
            return ""
        return min(found, default="")

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        if await is_pending(self._token):
            if await self.place.may_look():
                self._looked = True
                findings.problems += await problems_of(self.place, self.target)
            findings.notices += await notices_of(self.place, self.target)
        return findings

    async def prompt_secrets(self) -> None:
        """Prompt for the access token that creates the deploy token, and check it before any change.

        Raises:
            UsageProblem: there is no terminal, or the text cannot be used.
            Refused: GitLab does not accept it, or not for this.
        """
        if self._looked:
            return
        gitlab = await self.place.gitlab()
        await gitlab.login.ask(self.context)
        problems = await problems_of(self.place, self.target) or await self._about_image()
        if problems:
            raise Refused(problems)

    async def _about_image(self) -> list[Problem]:
        """The problem of a named image that the access token does not find, if any."""
        reader, probe = await self.image_reader(), await self.probe()
        challenge = await self.place.challenge()
        if reader is None or not probe.reference or not isinstance(challenge, Challenge):
            return []
        context, seconds = self.context, self.context.deadline.clip(SECONDS)
        attempt = await try_once(probe, challenge, reader, deadline=context.deadline, trace=context.trace)
        if attempt.verdict is not Verdict.NOT_FOUND:
            return []
        near = await nearest_image(probe, challenge, reader, trace=context.trace, seconds=seconds)
        return [messages.image_not_found(f"{probe.host}/{probe.image}", near)]

    async def image_reader(self) -> Credential | None:
        """The access token reads the images that its user may read. It is sent to the token service only if
        that is the instance's own.
        """
        if not await self.place.may_look():
            return None
        gitlab = await self.place.gitlab()
        challenge = await self.place.challenge()
        if not isinstance(challenge, Challenge) or instance_of(challenge) != gitlab.instance:
            return None
        secret = await gitlab.login.ask(self.context)
        nobodys = KeyRef("", "", "")
        return Credential(self.target.server, _ANY_USER, secret, nobodys, token_service=challenge.realm)

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        try:
            token = await self._token.read(self.credential.link.key_id)
        except (GitlabApiError, PullkeyError):
            return ""
        if token is None:
            return messages.SHOWN_DELETED
        if token.revoked:
            return messages.SHOWN_REVOKED
        if token.expired:
            return messages.SHOWN_EXPIRED
        if attempt.verdict is Verdict.NO_GRANT:
            return messages.token_may_not_pull((await self.probe()).repository, self.target.called)
        return messages.SHOWN_ACTIVE

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        return scripts.variables(self.target)

    def script_preamble(self) -> str:
        return scripts.preamble(self.target)

    @property
    def script_credential(self) -> Mapping[str, str]:
        return scripts.credential(self.target)

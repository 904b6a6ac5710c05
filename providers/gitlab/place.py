"""The GitLab instance of a registry, and the project of an image, each looked up once per command."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.pull import PullAttempt
from bootstrap.model.secret import Secret
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import refused
from bootstrap.plugin.registry import SECONDS, Challenge, fetch_challenge
from providers.gitlab import messages, messages_login
from providers.gitlab.address import SAAS, SAAS_REGISTRY, host_of_instance, instance_named
from providers.gitlab.answers import Namespace
from providers.gitlab.api import Gitlab, Login
from providers.gitlab.errors import GitlabApiError
from providers.gitlab.target import GitlabTarget

_TOKEN_PATH = "/jwt/auth"  # noqa: S105  - a path
_SERVICE = "container_registry"
_LOGIN = "login_stdin"


def instance_of(challenge: Challenge) -> str:
    """The URL of the instance whose token service a registry names; "" if it is not GitLab's.

    >>> instance_of(Challenge("bearer", "https://git.example.com/gitlab/jwt/auth", "container_registry"))
    'https://git.example.com/gitlab'
    """
    if challenge.scheme != "bearer" or challenge.service != _SERVICE:
        return ""
    base, found, rest = challenge.realm.partition(_TOKEN_PATH)
    try:
        return instance_named(base) if found and not rest and base.startswith("https://") else ""
    except UsageProblem:
        return ""  # a registry may name anything, for example a user and password before the host


class Place:
    """The instance of a target, and its project or group there.

    The registry names the instance, which then gets the access token. It is trusted if both have the same
    owner by their names (`bootstrap.registry.trust`), and otherwise only if the user, or Akka's record, names
    the instance too.
    """

    def __init__(self, target: GitlabTarget, context: RunContext) -> None:
        self._target = target
        self._context = context
        self._instance = AsyncOnce(self._find_instance)
        self._namespace = AsyncOnce(self._find_namespace, passing=lambda _: True)
        self._login = Login(host_of_instance(target.gitlab), target.login)
        self._challenge: Challenge | None = None

    async def may_look(self) -> bool:
        """Whether looking needs no prompt: the access token was supplied, or a file names its source."""
        login = self._login
        if login.secret is None and not self._target.login_for:
            login.secret = await self._context.secret_of_file(_LOGIN)
        return login.secret is not None and login.refused is None

    @property
    def secret(self) -> Secret | None:
        """The access token, once it is known."""
        return self._login.secret

    async def instance(self) -> str:
        """The URL of the instance.

        Raises:
            PullkeyError: the registry does not name it, or names one that is not known to be its own.
        """
        return await self._instance()

    async def gitlab(self) -> Gitlab:
        """The calls to it; the first one prompts for the access token, if this run may prompt.

        An access token may be of one project only. So targets share one if a file names the same source for
        them, or none, and what was found with one is not used for another.
        """
        instance = await self.instance()
        shared = self._context.shared.get(
            ("gitlab-login", instance, self._source), lambda: Login(host_of_instance(instance))
        )
        if shared.secret is None:
            shared.secret = self._login.secret
        self._login = shared
        return Gitlab(self._context, instance, shared)

    @property
    def _source(self) -> str:
        return self._context.sources.get(_LOGIN, "")

    async def challenge(self) -> Challenge | PullAttempt:
        """The login that the registry requires, or why that is not known. Read until it is known."""
        if self._challenge is not None:
            return self._challenge
        target, context = self._target, self._context
        answered = await fetch_challenge(
            target.host,
            token_host=target.allowed_host or None,
            seconds=context.deadline.clip(SECONDS),
            trace=context.trace,
        )
        if isinstance(answered, Challenge):
            self._challenge = answered
        return answered

    async def namespace(self) -> Namespace:
        """The project or group.

        Raises:
            PullkeyError: it is not shown, or GitLab cannot be asked.
        """
        return await self._namespace()

    async def _find_instance(self) -> str:
        target = self._target
        if target.login_for:
            raise messages_login.login_for_another(target.allowed_host, target.login_for)
        if target.gitlab or target.host == SAAS_REGISTRY:
            found = target.gitlab or SAAS
        else:
            answered = await self.challenge()
            if isinstance(answered, PullAttempt):
                raise messages_login.instance_untrusted(target.host, answered)
            found = instance_of(answered)
            if not found:
                raise messages_login.not_gitlab(target.host)
            if target.allowed_host not in ("", host_of_instance(found)):
                raise messages_login.instance_changed(
                    target.host, host_of_instance(found), target.allowed_host
                )
        target.seen["url"] = found
        return found

    async def _find_namespace(self) -> Namespace:
        gitlab, target = await self.gitlab(), self._target
        named = target.path or target.number or target.repository
        found = self._context.shared.get(
            ("gitlab-namespace", gitlab.instance, self._source, target.kind, named),
            lambda: AsyncOnce(
                lambda: _namespace_of(target, gitlab),
                passing=lambda _: True,
                deadline=self._context.deadline,
            ),
        )
        namespace = await found()
        target.seen.update(path=namespace.path, number=str(namespace.number))
        return namespace


async def _namespace_of(target: GitlabTarget, gitlab: Gitlab) -> Namespace:
    """The project or group that is named; for an image, the project whose path its name begins with.

    Raises:
        PullkeyError: it is not shown.
    """
    hidden: GitlabApiError | None = None
    for reference in [target.path or target.number] if target.path or target.number else _paths(target):
        try:
            return await gitlab.namespace(target.kind, reference)
        except GitlabApiError as error:
            if error.location and (moved := await _moved(gitlab, error)):
                raise messages.project_moved(str(reference), moved.path) from None
            if not error.hidden:
                raise refused(error, f"show {target.called}") from None
            hidden = error
    raise messages.namespace_hidden(target, gitlab.instance, await _who(gitlab), hidden)


def _paths(target: GitlabTarget) -> Iterator[str]:
    """The possible paths of an image's project: the longest first, with at least two parts
    (app/services/auth/container_registry_authentication_service.rb).
    """
    parts = target.repository.split("/")
    for count in range(len(parts), 1, -1):
        yield "/".join(parts[:count])


async def _moved(gitlab: Gitlab, error: GitlabApiError) -> Namespace | None:
    try:
        return await gitlab.moved_to(error)
    except GitlabApiError:
        return None


async def _who(gitlab: Gitlab) -> str:
    """The access token's user; "" if that is not shown. GitLab answers "not found" to a token that may not
    see a project, and without a token.
    """
    try:
        return (await gitlab.user())[0]
    except GitlabApiError:
        return ""


async def known_namespace(place: Place) -> Namespace | None:
    """The project or group, if it can be read without a prompt; else None."""
    if not await place.may_look():
        return None
    try:
        return await place.namespace()
    except (GitlabApiError, PullkeyError):
        return None

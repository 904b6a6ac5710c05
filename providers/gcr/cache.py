"""Memoised reads of Google that the sessions of one command share; a change invalidates what it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.cache import AsyncOnce, AsyncOnceByKey
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Present, Unknown, confirm_absent
from providers.gcr import messages, messages_keys
from providers.gcr.cloud import GoogleCloud, RepositoryKind
from providers.gcr.errors import GoogleApiError, NoLogin


class Facts:
    """Memoised reads by resource. All callers of one read get the same answer, or the same error."""

    def __init__(self, cloud: GoogleCloud, deadline: Deadline) -> None:
        self._cloud = cloud
        # What a run changes: accounts, keys, policies.
        self._state = AsyncOnceByKey(is_temporary, deadline=deadline)
        # What it only reads: projects, repositories, permissions, constraints.
        self._environment = AsyncOnceByKey(is_temporary, deadline=deadline)

    def invalidate(self) -> None:
        """Forget all answers."""
        self.invalidate_state()
        self._environment.invalidate()

    def invalidate_state(self) -> None:
        """As `bootstrap.plugin.context.Shared.invalidate_state`."""
        self._state.invalidate()

    def forget_account(self, resource: str) -> None:
        """Forget the reads of an account."""
        self._state.invalidate(("account", resource), ("confirmed account", resource))

    def account(self, resource: str) -> AsyncOnce[Any]:
        """The service account, or None if there is none."""
        return self._state.of(("account", resource), lambda: self._account(resource))

    async def _account(self, resource: str) -> Any:
        try:
            return await self._cloud.account(resource)
        except GoogleApiError as error:
            if error.missing:
                return None
            raise

    def confirmed_account(self, resource: str, why: str, deadline: Deadline) -> AsyncOnce[Any]:
        """The service account; None once its absence is confirmed although `why` contradicts it.

        Raises:
            StepFailed: there was no time to confirm it.
        """

        async def look() -> Any:
            seen = await confirm_absent(
                lambda: self._account(resource), contradicted_by=why, deadline=deadline
            )
            if isinstance(seen, Unknown):
                raise messages.account_not_confirmed(resource.rsplit("/", 1)[-1], why)
            return seen.value if isinstance(seen, Present) else None

        return self._state.of(("confirmed account", resource), look)

    def keys(self, resource: str) -> AsyncOnce[Mapping[str, Any]]:
        """The user-managed keys of an account, by id; empty if there is no such account."""
        return self._state.of(("keys", resource), lambda: self._keys(resource))

    async def _keys(self, resource: str) -> Mapping[str, Any]:
        try:
            return await self._cloud.user_keys(resource)
        except GoogleApiError as error:
            if error.missing:
                return {}
            raise

    def certificate(self, resource: str) -> AsyncOnce[bytes]:
        """The certificate of a key, in PEM. It never changes."""

        async def read() -> bytes:
            found: bytes = (await self._cloud.public_key(resource)).public_key_data
            return found

        return self._environment.of(("certificate", resource), read)

    def confirmed_key(
        self, resource: str, read: Callable[[], Awaitable[Any]], deadline: Deadline
    ) -> AsyncOnce[Any]:
        """A key that Akka's record names and that a list does not show; None once its absence is confirmed.

        Raises:
            StepFailed: there was no time to confirm it.
        """

        async def look() -> Any:
            seen = await confirm_absent(read, contradicted_by="Akka's record names it", deadline=deadline)
            if isinstance(seen, Unknown):
                raise messages_keys.recorded_key_not_shown(resource.rsplit("/", 1)[-1])
            return seen.value if isinstance(seen, Present) else None

        return self._state.of(("confirmed key", resource), look)

    def policy(self, resource: str) -> AsyncOnce[Any]:
        """The IAM policy of a project, a repository or an account."""
        return self._state.of(("policy", resource), lambda: self._cloud.policy(resource))

    def repositories(self, project: str, location: str) -> AsyncOnce[dict[str, RepositoryKind]]:
        """The repositories for images, by name."""
        return self._environment.of(
            ("repositories", project, location), lambda: self._cloud.docker_repositories(project, location)
        )

    def project_state(self, project: str) -> AsyncOnce[str]:
        return self._environment.of(("project", project), lambda: self._cloud.project_state(project))

    def held_on_project(self, project: str, permissions: frozenset[str]) -> AsyncOnce[set[str]]:
        """Those of the permissions that the login has on the project."""
        return self._environment.of(
            ("held", project, permissions), lambda: self._cloud.held_on_project(project, permissions)
        )

    def held_on_repository(self, resource: str, permissions: frozenset[str]) -> AsyncOnce[set[str]]:
        return self._environment.of(
            ("held", resource, permissions), lambda: self._cloud.held_on_repository(resource, permissions)
        )

    def repository_kind(self, resource: str) -> AsyncOnce[RepositoryKind]:
        return self._environment.of(("kind", resource), lambda: self._cloud.repository_kind(resource))

    def disabled_services(self, project: str, names: tuple[str, ...]) -> AsyncOnce[list[str]]:
        return self._environment.of(
            ("services", project, names), lambda: self._cloud.disabled_services(project, names)
        )

    def forbids(self, project: str, constraint: str) -> AsyncOnce[bool]:
        return self._environment.of(
            ("constraint", project, constraint), lambda: self._cloud.forbids(project, constraint)
        )

    def allowed_values(self, project: str, constraint: str) -> AsyncOnce[list[str]]:
        return self._environment.of(
            ("values", project, constraint), lambda: self._cloud.allowed_values(project, constraint)
        )


def shared_cloud(context: RunContext, impersonate: str) -> GoogleCloud:
    """The login and the connections that the sessions of a command share; closed with `context.shared`."""
    return context.shared.get(
        ("gcr", impersonate),
        lambda: GoogleCloud(impersonate, context.trace, context.deadline, context.tell),
    )


def shared_facts(context: RunContext, cloud: GoogleCloud) -> Facts:
    return context.shared.get(("gcr-facts", cloud.login.impersonate), lambda: Facts(cloud, context.deadline))


def is_temporary(error: BaseException) -> bool:
    """Whether an error is temporary: callers that wait now get it, later callers ask again."""
    if isinstance(error, NoLogin):
        return error.passing
    return isinstance(error, GoogleApiError) and error.inconclusive

"""What the sessions of one command ask Google, each fact once; whoever changes one makes the next ask
anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from typing import Any

from bootstrap.model.deadline import Deadline
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext, Shared
from bootstrap.plugin.observe import Present, Unknown, confirm_absent
from providers.gcr import messages_keys
from providers.gcr.cloud import GoogleCloud
from providers.gcr.errors import GoogleApiError


class Facts:
    """Facts by the resource they are about. Refusals of Google pass through, the same for all who ask."""

    def __init__(self, cloud: GoogleCloud) -> None:
        self._cloud = cloud
        self._state: dict[Hashable, AsyncOnce[Any]] = {}
        self._circumstances: dict[Hashable, AsyncOnce[Any]] = {}

    def _once(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Any]]) -> AsyncOnce[Any]:
        return self._state.setdefault(key, AsyncOnce(ask, passing))

    def _given(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Any]]) -> AsyncOnce[Any]:
        return self._circumstances.setdefault(key, AsyncOnce(ask, passing))

    def invalidate(self) -> None:
        """Whoever asks from now on asks anew."""
        self.invalidate_state()
        self._circumstances.clear()

    def invalidate_state(self) -> None:
        """As `bootstrap.plugin.context.Shared.invalidate_state`."""
        self._state.clear()

    def account(self, resource: str) -> AsyncOnce[Any]:
        """The service account, or None if there is none."""
        return self._once(("account", resource), lambda: self._account(resource))

    async def _account(self, resource: str) -> Any:
        try:
            return await self._cloud.account(resource)
        except GoogleApiError as error:
            if error.missing:
                return None
            raise

    def confirmed_account(self, resource: str, why: str, deadline: Deadline) -> AsyncOnce[Any]:
        """The service account, or None once its absence is sure, though something speaks against it."""

        async def look() -> Any:
            seen = await confirm_absent(
                lambda: self._account(resource), contradicted_by=why, deadline=deadline
            )
            return seen.value if isinstance(seen, Present) else None

        return self._once(("confirmed account", resource), look)

    def keys(self, resource: str) -> AsyncOnce[Mapping[str, Any]]:
        """The keys of an account that somebody made, by id; none of an account that is not there."""
        return self._once(("keys", resource), lambda: self._keys(resource))

    async def _keys(self, resource: str) -> Mapping[str, Any]:
        try:
            return await self._cloud.user_keys(resource)
        except GoogleApiError as error:
            if error.missing:
                return {}
            raise

    def confirmed_key(
        self, resource: str, read: Callable[[], Awaitable[Any]], deadline: Deadline
    ) -> AsyncOnce[Any]:
        """A key that Akka's record names and that a list has not shown: it is looked for until its absence
        is sure.
        """

        async def look() -> Any:
            seen = await confirm_absent(read, contradicted_by="Akka's record names it", deadline=deadline)
            if isinstance(seen, Unknown):
                raise messages_keys.recorded_key_not_shown(resource.rsplit("/", 1)[-1])
            return seen.value if isinstance(seen, Present) else None

        return self._once(("confirmed key", resource), look)

    def policy(self, resource: str) -> AsyncOnce[Any]:
        """The IAM policy of a project, a repository or an account."""
        return self._once(("policy", resource), lambda: self._cloud.policy(resource))

    def repositories(self, project: str, location: str) -> AsyncOnce[list[str]]:
        """The repositories for images, by name."""
        return self._given(
            ("repositories", project, location), lambda: self._cloud.docker_repositories(project, location)
        )

    def project_state(self, project: str) -> AsyncOnce[str]:
        return self._given(("project", project), lambda: self._cloud.project_state(project))

    def held_on_project(self, project: str, permissions: frozenset[str]) -> AsyncOnce[set[str]]:
        """Those of the permissions that whoever is logged in has there."""
        return self._given(
            ("held", project, permissions), lambda: self._cloud.held_on_project(project, permissions)
        )

    def held_on_repository(self, resource: str, permissions: frozenset[str]) -> AsyncOnce[set[str]]:
        return self._given(
            ("held", resource, permissions), lambda: self._cloud.held_on_repository(resource, permissions)
        )

    def repository_format(self, resource: str) -> AsyncOnce[str]:
        return self._given(("format", resource), lambda: self._cloud.repository_format(resource))

    def disabled_services(self, project: str, names: tuple[str, ...]) -> AsyncOnce[list[str]]:
        return self._given(
            ("services", project, names), lambda: self._cloud.disabled_services(project, names)
        )

    def forbids(self, project: str, constraint: str) -> AsyncOnce[bool]:
        return self._given(
            ("constraint", project, constraint), lambda: self._cloud.forbids(project, constraint)
        )

    def allowed_values(self, project: str, constraint: str) -> AsyncOnce[list[str]]:
        return self._given(
            ("values", project, constraint), lambda: self._cloud.allowed_values(project, constraint)
        )


def shared_cloud(context: RunContext, impersonate: str) -> GoogleCloud:
    """The one login and the connections of a command; closed with `context.shared`."""
    return context.shared.get(
        ("gcr", impersonate), lambda: GoogleCloud(impersonate, context.trace, context.deadline)
    )


def shared_facts(shared: Shared, cloud: GoogleCloud) -> Facts:
    return shared.get(("gcr-facts", cloud.login.impersonate), lambda: Facts(cloud))


def passing(error: BaseException) -> bool:
    """Whether an error says nothing of the fact: of many targets, only those that wait for it now are to
    have it.
    """
    return isinstance(error, GoogleApiError) and (error.busy or error.unanswered)


async def or_nothing(names: Awaitable[list[str]]) -> list[str]:
    """The names, or none where Google refuses to tell them."""
    try:
        return await names
    except GoogleApiError:
        return []

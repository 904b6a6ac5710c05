"""What the steps of a target with `--auth-kind principal` share: the facts that the directory has shown."""

from __future__ import annotations

import asyncio

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.attempt import Attempt
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_sentence, refused
from bootstrap.plugin.retry import read_twice
from providers.acr import messages_application as messages
from providers.acr.arm_objects import Assignment, Registry
from providers.acr.assignments import Assignments
from providers.acr.deleted_items import DeletedApplication
from providers.acr.directory_objects import Application, Principal
from providers.acr.errors import AzureApiError
from providers.acr.registry_session import RegistrySession
from providers.acr.roles import ACR_PULL, REPOSITORY_READER, derived_names, is_derived
from providers.acr.target import AcrTarget, is_guid
from providers.acr.waits import EXPECTED_SECONDS

DISPLAY_MARK = "pullkey "
"""Prefix of the display names of pullkey's secrets; the run's id follows."""


class ApplicationAttempt(Attempt):
    """What is known of this run's creation of the application, or of its restoration."""

    def __init__(self) -> None:
        super().__init__()
        self.restoring: DeletedApplication | None = None
        """The deleted application that the request is to restore; None if it is to create one."""

    @property
    def created_new(self) -> bool:
        """Whether this run created the application, rather than restored it."""
        return self.created and self.restoring is None


class ApplicationFacts(RegistrySession):
    """The application, its service principal and its roles, read once or again, and whether this run created
    them: `attempt` is the identity step's.
    """

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.application = AsyncOnce(self._application)
        self.principal = AsyncOnce(self._principal)
        self.deleted = AsyncOnce(self._deleted)
        self.expected_application = AsyncOnce(self._expected_application)
        self.recorded_is_deleted = AsyncOnce(self._recorded_is_deleted)
        self.deleted_seen: DeletedApplication | None = None
        self.known: Application | None = None
        self.known_principal: Principal | None = None
        self.last_seen: Application | None = None
        self.attempt = ApplicationAttempt()
        self.assignments = Assignments(self.cloud)
        self.role = ACR_PULL
        self.scope = ""

    async def _registry(self) -> Registry:
        found = await super()._registry()
        self.scope = found.id
        self.role = REPOSITORY_READER if found.abac else ACR_PULL
        return found

    async def _application(self) -> Application | None:
        graph, target = self.cloud.graph, self.target
        if target.app_id:
            self.known = await graph.seen_application(app_id=target.app_id)
        else:
            self.known = await graph.seen_application(
                unique_name=target.unique_name, expected=self._is_recorded
            )
        if self.known is not None:
            target.seen["most_secrets"] = str(self.known.most_secrets)
        return self.known

    async def _deleted(self) -> DeletedApplication | None:
        """The application in the directory's deleted items, as far as this login may read them."""
        graph, target = self.cloud.graph, self.target
        try:
            self.deleted_seen = await (
                graph.deleted.application(app_id=target.app_id)
                if target.app_id
                else graph.deleted.application(unique_name=target.unique_name)
            )
        except AzureApiError as error:
            self.context.trace(f"the directory's deleted items cannot be read ({error.summary})")
        return self.deleted_seen

    async def _expected_application(self) -> Application | None:
        """Return the application that Akka's record names; wait for it, since a new one may not be shown yet.

        Raises:
            StepFailed: it may not be read.
        """
        client_id = self.target.client_id
        if not client_id:
            return await read_twice(self.application_now)
        found = await self.application_now()
        if found is not None or await self.recorded_is_deleted():
            return found
        deadline = Deadline(min(EXPECTED_SECONDS, self.context.deadline.left / 2))
        self.context.tell(messages.waiting_for_application(client_id, deadline.left))
        while not deadline.passed:
            await asyncio.sleep(min(2.0, deadline.left))
            if (found := await self.application_now()) is not None:
                return found
        return None

    async def _recorded_is_deleted(self) -> bool:
        """Whether the application that Akka's record names is deleted, as `is_deleted` sees it."""
        return await self.is_deleted(self.target.client_id)

    async def is_deleted(self, app_id: str) -> bool:
        """Whether an application is among the deleted items, which no lagging read can show."""
        try:
            return await self.cloud.graph.deleted.application(app_id=app_id) is not None
        except AzureApiError as error:
            self.context.trace(f"the directory's deleted items cannot be read ({error.summary})")
            return False

    async def is_surely_gone(self) -> bool:
        """Whether an application that is not shown is known to be deleted.

        The record names none; or it is among the deleted items; or one was created under the name that it
        had.
        """
        return not self.target.client_id or self.attempt.created_new or await self.recorded_is_deleted()

    @property
    def not_shown(self) -> str:
        return "Azure shows neither it nor that it was deleted"

    def taken_name_fix(self, deleted: DeletedApplication) -> str:
        purge = self.cloud.graph.purge_command(deleted.object_id)
        return f"Pass another --app-name, or if it is not to be restored: {purge}"

    async def _is_recorded(self) -> bool:
        """Whether Akka's record names an application, so that one must exist."""
        try:
            held = await self.context.held_credential()
        except PullkeyError:
            return False
        return held is not None and held.link is not None and is_guid(held.username)

    async def seen_now(self) -> Application | None:
        graph, target = self.cloud.graph, self.target
        found = await (
            graph.application_by_app_id(target.client_id)
            if target.client_id and not self.attempt.created
            else graph.application_by_unique_name(target.unique_name)
        )
        self.last_seen = found or self.last_seen
        return found

    async def _principal(self) -> Principal | None:
        application = await self.application()
        app_id = application.app_id if application else self.target.client_id
        self.known_principal = await self.cloud.graph.seen_principal(app_id) if app_id else None
        return self.known_principal

    async def grants_on(self, registry: Registry, principal: Principal) -> list[Assignment]:
        """Those of `roles_on` that let it pull, with or without a condition."""
        return [one for one in await self.roles_on(registry, principal) if one.role == self.role]

    async def roles_on(self, registry: Registry, principal: Principal) -> list[Assignment]:
        """The roles that a principal has on the registry.

        A list may lag, or be refused; what pullkey has assigned is then looked for by its name.

        Raises:
            AzureApiError: they cannot be seen.
        """
        refusal = None
        try:
            found = await self.assignments.on_registry(registry, principal.object_id)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            found, refusal = [], error
        if not any(one.role == self.role for one in found):
            known = {one.name for one in found}
            by_name = await asyncio.gather(
                *(
                    self.assignments.get(registry.id, name)
                    for name in derived_names(registry.id, principal.object_id).values()
                    if name not in known
                )
            )
            found += [one for one in by_name if one is not None]
        if refusal is not None and not found:
            raise refusal
        return found

    def is_own(self, application: Application) -> bool:
        """Whether an application is the one of this target: the one that was named, or the one of its
        unique name.
        """
        target = self.target
        if target.app_id:
            return application.app_id.lower() == target.app_id.lower()
        return application.unique_name == target.unique_name

    async def is_own_principal(self, object_id: str) -> bool:
        """Whether a service principal is the one of this target's application, as it is shown now."""
        principal = await self.principal_now()
        return principal is not None and principal.object_id == object_id

    async def application_now(self) -> Application | None:
        """Read the application again.

        Raises:
            StepFailed: it may not be read.
        """
        with as_sentence(f"show the application {self.target.app_label}"):
            return await self.seen_now()

    async def principal_now(self) -> Principal | None:
        """Read the service principal again; raises as `application_now`."""
        application = await self.application_now()
        app_id = application.app_id if application else self.target.client_id
        with as_sentence(f"show the service principal of {self.target.app_label}"):
            return await self.cloud.graph.principal(app_id) if app_id else None

    async def other_roles(self, application: Application) -> list[Assignment]:
        """The roles of the service principal, other than what pullkey has assigned on this registry.

        Other subscriptions than the registry's are skipped if this login may not read them.

        Raises:
            StepFailed: the roles in the registry's own subscription may not be read; of a deleted registry,
                which may have been in any, those in one of them.
        """
        registry = await self.existing_registry()
        with as_sentence(f"show the roles of {self.target.app_label}"):
            principal = await read_twice(lambda: self.cloud.graph.principal(application.app_id))
            if principal is None:
                return []
            self.known_principal = principal
            own = {registry.subscription} if registry is not None else set[str]()
            found = [
                role
                for one in own
                for role in await self.assignments.in_subscription(one, principal.object_id)
            ]
            elsewhere = set(await self.cloud.subscriptions()) - own
        answers = await asyncio.gather(
            *(self.assignments.in_subscription(one, principal.object_id) for one in sorted(elsewhere)),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, AzureApiError):
                raise answer
            if isinstance(answer, AzureApiError) and registry is None:
                raise refused(answer, f"show the roles of {self.target.app_label}")
            found += answer if isinstance(answer, list) else []
        scope = registry.id if registry is not None else f"/registries/{self.target.name}"
        return [one for one in found if not is_derived(one, scope, principal.object_id)]

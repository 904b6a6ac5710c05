"""The preflight in the directory: application, service principal and the policy for client secrets."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from bootstrap.model.errors import PullkeyError, problem_of
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.errors import refused
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.step import PreflightFindings, State, StepRole
from providers.acr import messages_application as messages
from providers.acr import token_claims as claims
from providers.acr.application_facts import ApplicationFacts
from providers.acr.client_secret import Key
from providers.acr.directory_objects import Application, PasswordPolicy
from providers.acr.errors import AzureApiError
from providers.acr.waits import CLOCKS


class ApplicationPreflight:
    """Read-only checks. They share their reads with the steps."""

    def __init__(self, session: ApplicationFacts, key: Key) -> None:
        self._session = session
        self._key = key
        self._namesakes = AsyncOnce(self._read_namesakes)
        self._password_policy = AsyncOnce(self._read_password_policy)

    async def findings(self) -> PreflightFindings:
        findings = PreflightFindings()
        checks = (
            self._start_reads(),
            self._session.about_registry(),
            self._about_application(),
        )
        for found in await asyncio.gather(*checks):
            findings.add(found)
        return findings

    async def _start_reads(self) -> PreflightFindings:
        """Start the reads that a new secret needs, before it is known whether one is needed."""
        with contextlib.suppress(PullkeyError):
            if await self._session.context.held_credential() is None and not self._session.target.app_id:
                self._namesakes.start()
                self._session.deleted.start()
            link, _ = await usable_key(self._session)
            if link is None:
                self._password_policy.start()
        return PreflightFindings()

    async def _about_application(self) -> PreflightFindings:
        target = self._session.target
        try:
            application, principal = await self._session.application(), await self._session.principal()
        except AzureApiError as error:
            if error.unauthenticated or error.inconclusive:
                failed = refused(error, f"show the application {target.app_label}")
                return PreflightFindings([problem_of(failed, step=StepRole.IDENTITY)])
            if target.app_id or not error.forbidden:
                return PreflightFindings([messages.application_not_shown(target.app_label, error)])
            return PreflightFindings()  # another check reports the missing permission
        if application is None and target.app_id:
            if principal is not None:
                which = messages.managed_identity if principal.managed else messages.application_elsewhere
                return PreflightFindings([which(target.app_id)])
            if deleted := await self._session.deleted():
                return PreflightFindings(
                    [messages.application_deleted(target.app_id, deleted, self._session.cloud.graph)]
                )
            return PreflightFindings([messages.application_not_found(target.app_id)])
        deleted = await self._session.deleted() if application is None else None
        if deleted is not None and not deleted.ours:
            return PreflightFindings(
                [messages.unique_name_taken(target, deleted, self._session.taken_name_fix(deleted))]
            )
        # The unique name may be that of another application than the record's, whose place it must not take.
        named = application or deleted
        if target.located and (named is None or named.app_id.lower() != target.located):
            gone = await self._session.recorded_is_deleted()
            return PreflightFindings([messages.recorded_application_not_shown(target.located, deleted=gone)])
        if application is None and (others := await self._namesakes()):
            return PreflightFindings(
                [messages.application_name_taken(target.app_name, [one.app_id for one in others])]
            )
        if application is not None and principal is None and target.app_id:
            return PreflightFindings([messages.service_principal_missing(target.app_id)])
        if application is not None and application.disabled:
            return PreflightFindings(
                [messages.application_disabled(target.app_label, application, self._session.cloud.graph)]
            )
        if principal is not None and principal.enabled and principal.disabled:
            return PreflightFindings(
                [messages.service_principal_disabled_by_microsoft(target.app_label, principal)]
            )
        if principal is not None and not principal.enabled:
            return PreflightFindings(
                [
                    messages.service_principal_disabled(
                        target.app_label, application.app_id if application else ""
                    )
                ]
            )
        found = await self._about_policy(application)
        token = self._session.cloud.graph_claims
        if application is None and claims.is_application(token) and not claims.makes_applications(token):
            found.notices.append(messages.creation_not_listed(claims.GRAPH_RIGHT))
        return found

    async def _read_namesakes(self) -> list[Application]:
        try:
            found = await self._session.cloud.graph.applications_named(self._session.target.app_name)
        except AzureApiError:
            return []
        # One with the mark is pullkey's, which another replica has not shown yet.
        return [one for one in found if one.unique_name != self._session.target.unique_name]

    async def _read_password_policy(self) -> PasswordPolicy:
        return await self._session.cloud.graph.password_policy()

    async def _about_policy(self, application: Application | None) -> PreflightFindings:
        """Check the directory's policy for client secrets before one is created."""
        try:
            if (await self._key.look()).state is State.DONE:
                return PreflightFindings()
            policy = await self._policy_for(application)
        except (AzureApiError, PullkeyError):
            return PreflightFindings()  # few logins may read it; the creation of the secret will show it
        created = application.created if application else None
        if policy.forbids(created):
            return PreflightFindings([messages.secrets_forbidden()])
        longest = policy.limit(created)
        wanted = self._session.lifetime
        if longest is None or wanted <= longest - CLOCKS:
            return PreflightFindings()
        self._session.lifetime = longest - CLOCKS
        return PreflightFindings([], [messages.lifetime_shortened(longest)] if wanted > longest else [])

    async def _policy_for(self, application: Application | None) -> PasswordPolicy:
        """The directory's policy, or the application's own, which may exempt it from that one."""
        policy = await self._password_policy()
        if application is None:
            return policy
        longest = policy.limit(application.created)
        limits = longest is not None and longest < self._session.lifetime + CLOCKS
        if not (limits or policy.forbids(application.created)):
            return policy  # a stricter one of its own will show when the secret is created
        try:
            own = await self._session.cloud.graph.own_password_policy(application.object_id)
        except AzureApiError:
            return replace(policy, forbidden=False)  # it may be exempt
        return policy if own is None else own

    async def _sees_applications(self) -> bool:
        """Whether the directory shows this login applications: without that it can do nothing. The first
        change shows the rest.
        """
        try:
            await self._session.application()
        except AzureApiError as error:
            return not error.forbidden
        return True

    async def may_create_secrets(self) -> bool:
        """Whether this login may create applications and secrets; true if that cannot be read."""
        token = self._session.cloud.graph_claims
        if claims.makes_applications(token) or not token:
            return True
        if claims.is_application(token):
            return await self._sees_applications()
        if self._session.target.app_id:
            return True  # an application's owner may add a secret to it; the call itself will show that
        try:
            if await self._session.cloud.graph.members_create_applications():
                return True
            # After a hand-over an administrator has created it, with this user as its owner.
            return await self._session.application() is not None
        except AzureApiError:
            return True

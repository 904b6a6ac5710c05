"""What of the directory stands in the way of an onboarding: the application, and its policy of secrets."""

from __future__ import annotations

import asyncio
import contextlib

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, PullkeyError, problem_of
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.step import Notice, PreflightFindings, State
from providers.acr import token_claims as claims
from providers.acr.application_facts import ApplicationFacts
from providers.acr.client_secret import NO_SECRETS, Key
from providers.acr.directory_objects import Application, PasswordPolicy
from providers.acr.errors import AzureApiError, refused
from providers.acr.waits import CLOCKS


class ApplicationPreflight:
    """Looks only. What each of its questions needs is shared with the steps."""

    def __init__(self, session: ApplicationFacts, key: Key) -> None:
        self._session = session
        self._key = key
        self._namesakes = AsyncOnce(self._applications_of_that_name)
        self._password_policy = AsyncOnce(self._policy_of_passwords)

    async def findings(self) -> PreflightFindings:
        findings = PreflightFindings()
        checks = (
            self._begin_asking(),
            self._session.about_registry(),
            self._about_application(),
        )
        for found in await asyncio.gather(*checks):
            findings.add(found)
        return findings

    async def _begin_asking(self) -> PreflightFindings:
        """Where a secret will be made, unless something stands in its way, these are asked before it is
        known what does.
        """
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
            if error.unauthenticated or error.busy:
                failed = refused(error, f"show the application {target.app_label}")
                return PreflightFindings([problem_of(failed, step="identity")])
            if target.app_id or not error.forbidden:
                return PreflightFindings(
                    [
                        Problem(
                            ProblemKind.SETUP,
                            f"The directory does not show the application {target.app_label} ({error.said})",
                            "Check --app-id and --tenant",
                            step="identity",
                            code=Code.IDENTITY_NOT_FOUND,
                        )
                    ]
                )
            return PreflightFindings()  # the missing right is told by its name
        if application is None and target.app_id:
            if principal is not None:
                return PreflightFindings(
                    [
                        Problem(
                            ProblemKind.SETUP,
                            f"The application {target.app_id} is of another directory, where alone "
                            "a secret can be added to it",
                            "Log in there, or name an application of this directory with --app-id",
                            step="key",
                            code=Code.IDENTITY_ELSEWHERE,
                        )
                    ]
                )
            if deleted := await self._session.deleted():
                return PreflightFindings(
                    [
                        Problem(
                            ProblemKind.SETUP,
                            f"The application {target.app_id} was deleted{deleted.when}",
                            "Have it restored, and its service principal too: "
                            f"{self._session.cloud.graph.restore_command(deleted.object_id)}",
                            step="identity",
                            code=Code.IDENTITY_DELETED,
                        )
                    ]
                )
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"There is no application {target.app_id} in this directory",
                        "Check --app-id against `az ad app list`; it takes the application (client) id",
                        step="identity",
                        code=Code.IDENTITY_NOT_FOUND,
                    )
                ]
            )
        deleted = await self._session.deleted() if application is None else None
        if deleted is not None and not deleted.ours:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.QUESTION,
                        f"The unique name {target.unique_name} is taken by a deleted application "
                        f"that pullkey has not created: {deleted.display_name} ({deleted.object_id})",
                        self._session.taken_name_fix(deleted),
                        step="identity",
                        code=Code.NAME_IN_DELETED_ITEMS,
                    )
                ]
            )
        if application is None and target.located and (deleted is None or deleted.app_id != target.located):
            gone = await self._session.recorded_is_deleted()
            what = (
                "was deleted, and pullkey has not created it"
                if gone
                else "is not shown, nor that it was deleted"
            )
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"The application {target.located}, which Akka's record names, {what}",
                        "Run it again in a few minutes; or if it was deleted, onboard the registry "
                        "again: pullkey onboard acr",
                        step="identity",
                        code=Code.IDENTITY_NOT_FOUND,
                    )
                ]
            )
        if application is None and (others := await self._namesakes()):
            ids = ", ".join(one.app_id for one in others)
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.QUESTION,
                        f"There is an application {target.app_name} that pullkey did not create: {ids}",
                        "To use it, name it with --app-id; to have pullkey create its own, pass "
                        "another --app-name",
                        step="identity",
                        code=Code.IDENTITY_NAME_TAKEN,
                    )
                ]
            )
        if application is not None and principal is None and target.app_id:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"The application {target.app_id} has no service principal in this directory",
                        f"Create it: az ad sp create --id {target.app_id}",
                        step="identity",
                        code=Code.SERVICE_PRINCIPAL_MISSING,
                    )
                ]
            )
        if application is not None and application.disabled:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"No token is issued to the application {target.app_label}: {application.disabled}",
                        "Find out why; where an administrator did it: az rest --method PATCH --url "
                        f"{self._session.cloud.graph.url}/v1.0/applications/{application.object_id} "
                        f"--body '{{\"isDisabled\": false}}'",
                        step="identity",
                        code=Code.IDENTITY_DISABLED,
                    )
                ]
            )
        if principal is not None and principal.enabled and principal.disabled:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"No token is issued to the service principal of {target.app_label}: "
                        f"{principal.disabled}",
                        "Ask Microsoft's support about it, or pass another --app-name",
                        step="identity",
                        code=Code.IDENTITY_DISABLED,
                    )
                ]
            )
        if principal is not None and not principal.enabled:
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.SETUP,
                        f"The service principal of {target.app_label} is disabled",
                        "Find out why; then: az ad sp update --id "
                        f"{application.app_id if application else ''} --set accountEnabled=true",
                        step="identity",
                        code=Code.IDENTITY_DISABLED,
                    )
                ]
            )
        return await self._about_policy(application)

    async def _applications_of_that_name(self) -> list[Application]:
        try:
            found = await self._session.cloud.graph.applications_named(self._session.target.app_name)
        except AzureApiError:
            return []
        # One that bears the mark is pullkey's: another server has not shown it yet.
        return [one for one in found if one.unique_name != self._session.target.unique_name]

    async def _policy_of_passwords(self) -> PasswordPolicy:
        return await self._session.cloud.graph.password_policy()

    async def _about_policy(self, application: Application | None) -> PreflightFindings:
        """What the directory allows of client secrets is told first, and never tried."""
        try:
            if (await self._key.look()).state is State.DONE:
                return PreflightFindings()
            policy = await self._password_policy()
        except (AzureApiError, PullkeyError):
            return PreflightFindings()  # few may read it; it will show when the secret is made
        created = application.created if application else None
        if policy.forbids(created):
            return PreflightFindings(
                [
                    Problem(
                        ProblemKind.POLICY,
                        "The directory's app management policy forbids client secrets",
                        NO_SECRETS,
                        step="key",
                        code=Code.KEYS_FORBIDDEN,
                    )
                ]
            )
        longest = policy.limit(created)
        if longest is None or self._session.lifetime <= longest:
            return PreflightFindings()
        self._session.lifetime = longest - CLOCKS
        return PreflightFindings(
            [],
            [
                Notice(
                    f"The directory allows client secrets {longest.days} days at most, so this one "
                    "expires after that."
                )
            ],
        )

    async def makes_secrets(self) -> bool:
        """Whether this login may make applications and secrets; yes where nobody can tell."""
        token = self._session.cloud.graph_claims
        known = claims.makes_applications(token)
        if known is not None:
            return known
        if self._session.target.app_id or not token:
            return True  # who owns an application may add a secret to it; the call itself will tell
        try:
            if await self._session.cloud.graph.members_create_applications():
                return True
            # Somebody may have made it and this person its owner: that is what a hand-over asks for.
            return await self._session.application() is not None
        except AzureApiError:
            return True

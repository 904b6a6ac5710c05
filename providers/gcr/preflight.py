"""The preflight of a Google target: read-only checks before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

from bootstrap.model.errors import Problem, PullkeyError
from bootstrap.model.text import did_you_mean
from bootstrap.plugin.recorded_key import key_in_record, usable_key
from bootstrap.plugin.step import PreflightFindings, State
from providers.gcr import messages, policy
from providers.gcr.account_session import AccountSession
from providers.gcr.errors import GoogleApiError
from providers.gcr.key import Key
from providers.gcr.key_limit import key_limit_problem
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.place import repository_of
from providers.gcr.target import KEYS_OF_AN_ACCOUNT, STORAGE_ROLE


class GcrPreflight:
    """The checks, which run concurrently; each reports its problems, and none changes anything."""

    def __init__(self, session: AccountSession, key: Key, key_policy: KeyPolicy) -> None:
        self._session = session
        self._target = session.target
        self._facts = session.facts
        self._key = key
        self._key_policy = key_policy
        # By API: the error of a read that it refused because it is not enabled.
        self._refused: dict[str, GoogleApiError] = {}

    async def findings(self) -> PreflightFindings:
        self._session.account.start()
        self._session.keys.start()
        checks: list[Coroutine[Any, Any, PreflightFindings]] = [
            self._start_policies(),
            self._check_project(),
            self._check_account(),
            self._check_apis(),
        ]
        checks.append(self._check_repository() if self._target.repository else self._check_location())
        findings = PreflightFindings()
        for found in await asyncio.gather(*checks):
            findings.add(found)
        findings.add(await self._check_refusals(findings))
        if self._target.role == STORAGE_ROLE and not self._target.skip_grant:
            findings.notices.append(messages.storage_role_is_broad(STORAGE_ROLE, self._target.project))
        return findings

    async def _start_policies(self) -> PreflightFindings:
        """Start the reads of the key policies, if the run is to create a key, before other checks have
        finished.
        """
        session = self._session
        with contextlib.suppress(PullkeyError):
            link, _ = await usable_key(session)
            if link is None:
                self._key_policy.start()
        return PreflightFindings()

    async def _nearest_project(self, project: str) -> str:
        """`Did you mean acme-shop?`, of the projects that this login sees; "" if it may not list them."""
        try:
            seen = await self._session.cloud.projects_seen()
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; this only improves a hint
            self._session.context.trace(f"the projects cannot be listed ({type(error).__name__})")
            return ""
        return did_you_mean(project, [name for name, _ in seen])

    async def _check_project(self) -> PreflightFindings:
        project = self._target.project
        try:
            state = await self._facts.project_state(project)()
        except GoogleApiError as error:
            if not error.no_such_project:
                return PreflightFindings([messages.project_unreadable(project, error)])
            if self._is_disabled(error) or await self._session.sees_anything():
                return PreflightFindings()
            near = await self._nearest_project(project)
            return PreflightFindings([messages.project_not_found(project, near, error)])
        if state != "ACTIVE":
            return PreflightFindings([messages.project_inactive(project, state)])
        return PreflightFindings()

    async def _check_refusals(self, findings: PreflightFindings) -> PreflightFindings:
        """The problems of APIs whose own refusals show that they are not enabled.

        They are not in the registry's project, or in the one to which Google counts the calls of the login.
        """
        named = " ".join(problem.what for problem in findings.problems)
        target = self._target
        disabled: Sequence[str] | None = None
        with contextlib.suppress(GoogleApiError):
            disabled = await self._session.disabled_services()
        without: list[str] = []
        here: list[str] = []
        elsewhere: dict[str, list[str]] = {}
        for service, error in sorted(self._refused.items()):
            if error.needs_quota_project:
                without.append(service)
            elif service in named:
                continue
            elif disabled is not None and service not in disabled:
                elsewhere.setdefault(error.consumer or "the login's project", []).append(service)
            elif error.consumer in ("", target.project, self._session.cloud.number_of(target.project)):
                here.append(service)
            else:
                elsewhere.setdefault(error.consumer, []).append(service)
        found = PreflightFindings()
        if without:
            found.problems.append(messages.quota_project_missing(target.project, without))
        if here and not (target.enable_apis and "serviceusage.googleapis.com" not in here):
            found.problems.append(messages.apis_disabled(target.project, here))
        found.problems += [messages.login_apis_disabled(*one) for one in elsewhere.items()]
        return found

    def _is_disabled(self, error: GoogleApiError) -> bool:
        """Whether a read was refused because its API is not enabled; notes that API."""
        service = error.disabled_service
        if service:
            self._refused[service] = error
        return bool(service)

    async def _check_apis(self) -> PreflightFindings:
        try:
            disabled = await self._session.disabled_services()
        except GoogleApiError as error:
            self._is_disabled(error)
            return PreflightFindings()  # may not be read; a call of a disabled API says so itself
        if not disabled or self._target.enable_apis:
            return PreflightFindings()
        return PreflightFindings([messages.apis_disabled(self._target.project, disabled)])

    async def _check_repository(self) -> PreflightFindings:
        target = self._target
        try:
            kind = await self._facts.repository_kind(target.repository_resource)()
        except GoogleApiError as error:
            if error.missing:
                missing = await self._missing_repository()
                return PreflightFindings([missing] if missing else [])
            self._is_disabled(error)
            unknown = await self._unknown_location(error)
            return PreflightFindings([unknown] if unknown else [])
        if kind.format != "DOCKER":
            return PreflightFindings([messages.repository_not_for_images(target.repository, kind.format)])
        return PreflightFindings()

    async def _check_location(self) -> PreflightFindings:
        """The location alone, where no repository is named; the list is what a pull is verified by."""
        target = self._target
        try:
            await self._facts.repositories(target.project, target.location)()
        except GoogleApiError as error:
            unknown = await self._unknown_location(error)
            return PreflightFindings([unknown] if unknown else [])
        return PreflightFindings()

    async def _unknown_location(self, error: GoogleApiError) -> Problem | None:
        """The problem of a location that does not exist; None if that is not why a read was refused."""
        target = self._target
        if not error.may_be_location:
            return None
        with contextlib.suppress(GoogleApiError):
            known = await self._session.cloud.locations(target.project)
            if known and target.location not in known:
                return messages.location_not_found(target.location, did_you_mean(target.location, known))
        return None

    async def _missing_repository(self) -> Problem | None:
        """The problem of a missing repository, with the nearest names; None if a list has it."""
        target = self._target
        there: list[str] | None = None
        with contextlib.suppress(GoogleApiError):
            there = [*await self._facts.repositories(target.project, target.location)()]
        if there and target.repository in there:
            return None  # the read that did not show it was of a lagging server
        if repository_of(target.host):
            return messages.repository_not_migrated(target.project, target.host)
        import difflib  # late: only error messages need it

        near = difflib.get_close_matches(target.repository, there or (), n=1, cutoff=0.6)
        return messages.repository_not_found(target.project, target.repository, target.location, there, near)

    async def _check_account(self) -> PreflightFindings:
        target = self._target
        try:
            account = await self._session.account()
        except GoogleApiError as error:
            if not self._is_disabled(error) and target.account_given:
                return PreflightFindings([messages.account_not_shown(target.account, error)])
            return PreflightFindings()
        if account is None:
            if target.account_given:
                return PreflightFindings([messages.account_not_found(target.account)])
            findings = await self._check_deleted_account()
            findings.add(await self._key_policy.findings())
            return findings
        if account.disabled:
            return PreflightFindings([messages.account_disabled(target.account)])
        try:
            status, keys = await self._key.look(), await self._session.keys()
        except GoogleApiError:
            return await self._key_policy.findings()
        if status.state is State.DONE:
            return PreflightFindings()
        # `DeleteReplacedKey` deletes the key that the last rotation replaced before the next is created,
        # which leaves room for one.
        link, _ = await key_in_record(self._session, await self._session.context.held_credential())
        cleared = int(link is not None and link.replaces in keys)
        if len(keys) - cleared >= KEYS_OF_AN_ACCOUNT:
            with contextlib.suppress(PullkeyError):
                cleared += len(await self._key.lost_keys())  # they are deleted before, too
        if (
            len(keys) - cleared >= KEYS_OF_AN_ACCOUNT
            and (full := await key_limit_problem(self._session)) is not None
        ):
            return PreflightFindings([full])
        return await self._key_policy.findings()

    async def _check_deleted_account(self) -> PreflightFindings:
        """Deleted accounts of this name, which can be restored for 30 days; a new one inherits nothing."""
        if self._target.skip_grant:
            return PreflightFindings()
        try:
            gone = policy.deleted_accounts(await self._session.grant_policy(), self._target.account)
        except GoogleApiError:
            return PreflightFindings()
        return PreflightFindings(
            [],
            [messages.account_was_deleted(uid) for uid in gone],
        )

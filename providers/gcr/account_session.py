"""The part of a Google session that its steps share: memoised reads of account, keys and policies."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import Awaitable
from typing import Any

from bootstrap.model import clock
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from providers.gcr import errors, policy
from providers.gcr.cache import shared_cloud, shared_facts
from providers.gcr.errors import GoogleApiError
from providers.gcr.policy_batcher import shared_changes
from providers.gcr.target import GcrTarget

MARK = "Made by pullkey"
_CREATED_AT = re.compile(rf"{MARK}, run [0-9a-f]+, (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.")
_SHOWING = frozenset(
    {
        "artifactregistry.repositories.get",
        "artifactregistry.repositories.getIamPolicy",
        "artifactregistry.repositories.list",
        "iam.serviceAccountKeys.list",
        "iam.serviceAccounts.get",
        "resourcemanager.projects.getIamPolicy",
    }
)
"""Permissions of which one on a project shows that it exists."""
_SERVICES = ("artifactregistry.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com")


def made_by_pullkey(account: Any) -> bool:
    """Whether the description of a service account says that pullkey created it."""
    return MARK in account.description


def is_new(account: Any) -> bool:
    """Whether a run of pullkey created a service account so recently that Google's servers may lag.

    Google shows no creation time of an account, so the description has it. That run may have been killed
    since, or may still run on another machine.
    """
    created = _CREATED_AT.search(account.description)
    if created is None:
        return False
    age = clock.now() - dt.datetime.fromisoformat(created[1])
    # Negative if the clock of the machine that created it is ahead of ours.
    return abs(age.total_seconds()) < errors.NEW_ACCOUNT_SECONDS


class AccountSession(Session):
    """See `bootstrap.plugin.session.Session`; the rest of it is `GcrSession`."""

    def __init__(self, target: GcrTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.cloud = shared_cloud(context, target.impersonate)
        self.facts = shared_facts(context, self.cloud)
        self.changes = shared_changes(context.shared, self.cloud, self.facts)
        # Created by this run or a recent one: some of Google's servers may not know it yet.
        self.account_is_new = False
        self.account = AsyncOnce(self._account)
        self.keys = self.facts.keys(target.account_resource)
        self.account_policy = self.facts.policy(target.account_resource)
        self.disabled_services = self.facts.disabled_services(target.project, _SERVICES)
        self.grant_policy = self.facts.policy(target.grant_resource)

    async def _account(self) -> Any:
        target = self.target
        try:
            found = await self.facts.account(target.account_resource)()
            if found is None and (why := await self._why_account_should_exist()):
                found = await self.facts.confirmed_account(
                    target.account_resource, why, self.context.deadline
                )()
        except GoogleApiError as error:
            if error.forbidden and target.enable_apis and await self._enables("iam.googleapis.com"):
                return None
            raise
        self.account_is_new |= found is not None and is_new(found)
        return found

    async def _enables(self, service: str) -> bool:
        """Whether an API is among those that the run enables; also if that cannot be read."""
        try:
            return service in await self.disabled_services()
        except GoogleApiError:
            return True

    async def _why_account_should_exist(self) -> str:
        """The reason why the account should exist although Google does not show it; "" if there is none."""
        if self.target.account_given:
            return "its e-mail was given"
        with contextlib.suppress(PullkeyError):
            link, _ = await key_in_record(self, await self.context.held_credential())
            if link is not None:
                return "Akka's record names it"
        return ""

    def forget_account(self) -> None:
        """Invalidate what was read of the account, which was created or deleted."""
        self.account.invalidate()
        self.facts.forget_account(self.target.account_resource)
        self.account_policy.invalidate()
        self.keys.invalidate()

    async def sees_anything(self) -> bool:
        """Whether the login may do or see something in the project, which then exists even if it may not be
        read: few roles of Artifact Registry have resourcemanager.projects.get.
        """
        target, facts = self.target, self.facts
        with contextlib.suppress(GoogleApiError):
            if await facts.held_on_project(target.project, _SHOWING)():
                return True
        reads: list[Awaitable[Any]] = [
            facts.repositories(target.project, target.location)(),
            self.grant_policy(),
        ]
        if target.repository:
            reads.append(facts.repository_kind(target.repository_resource)())
        found = await asyncio.gather(*reads, return_exceptions=True)
        return any(not isinstance(one, BaseException) for one in found)

    async def other_roles(self) -> list[str]:
        """The account's roles beside this target's grant, on the project and the location's repositories.

        Raises:
            GoogleApiError: a policy may not be read.
        """
        target = self.target
        names = await self.facts.repositories(target.project, target.location)()
        parent = f"projects/{target.project}/locations/{target.location}/repositories"
        places = {f"projects/{target.project}": f"project {target.project}"} | {
            f"{parent}/{name}": f"repository {name}" for name in names
        }
        for resource in places:
            self.facts.policy(resource).invalidate()
        found = await asyncio.gather(*(self.facts.policy(resource)() for resource in places))
        return [
            f"{role} on {where}"
            for (resource, where), one in zip(places.items(), found, strict=True)
            for role, conditional in policy.roles(one, target.account)
            if conditional or (resource, role) != (target.grant_resource, target.role)
        ]

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return f"https://{self.target.host}"

    async def username(self) -> str:
        return "_json_key"

    async def identity(self) -> str:
        return self.target.account

    def role_with(self, permission: str) -> str:
        return errors.ROLES.get(permission, "")

"""The grant: the role that lets the account pull, in a policy that others write too."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any

from bootstrap.model.errors import StepFailed
from bootstrap.plugin.deletion import NotShownYet
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.retry import Delay, retry_while
from bootstrap.plugin.step import (
    Disposition,
    Done,
    Intent,
    Removal,
    Script,
    State,
    StepRole,
    StepStatus,
    StillThere,
    other_than,
)
from providers.gcr import errors, messages, policy
from providers.gcr.account_session import AccountSession, made_by_pullkey
from providers.gcr.errors import GoogleApiError
from providers.gcr.grant_script import grant_script, removal_command

_AGAIN_SECONDS = 1.0


class Role(StrEnum):
    """Where the account has the role."""

    HERE = "granted"
    ON_PROJECT = "granted on the whole project"


class Grant(Resource[Role]):
    """The role, for our member only. It has no mark: it is this run's if it was seen missing before."""

    name = StepRole.GRANT
    after = (StepRole.IDENTITY,)
    absent = "not granted"
    gone = "it is not there"
    unreadable = "its policy may not be read"

    def __init__(self, session: AccountSession) -> None:
        super().__init__(session)
        self._session = session
        # Shared by all sessions of this command: what one has removed, another does not look for.
        self._taken: set[tuple[str, str, str]] = session.context.shared.get("gcr-taken-roles", set)
        self._shown = False
        """Whether a read has shown the role; a read without it is then of a lagging server."""
        self._seen_missing = False
        self._account: Any = None
        self._deleted: list[tuple[str, str]] = []
        """The roles of deleted accounts with this name, in the policy that was last to be written."""
        self._at: Intent = self.intent()
        """The grant that is being removed: an earlier run may have granted it elsewhere."""
        prefix = (
            "artifactregistry.repositories"
            if session.target.grant_on_repository
            else "resourcemanager.projects"
        )
        self.permissions = (f"{prefix}.getIamPolicy", f"{prefix}.setIamPolicy")
        self.removal_permissions = ("iam.serviceAccounts.get", *self.permissions)
        self.look_permissions = self.permissions[:1]

    @property
    def noun(self) -> str:
        target = self._session.target
        return f"{target.role} of {target.account} on {target.grant_place}"

    @property
    def looked_for(self) -> str:
        return f"the policy of {self._session.target.grant_place}"

    @property
    def title(self) -> str:
        return f"Grant {self._session.target.role} on {self._session.target.grant_place}"

    def warning(self) -> str:
        target = self._session.target
        if not target.narrower:
            return ""
        return messages.grant_is_broad(target.role, target.project, target.narrower)

    async def read(self) -> Role | None:
        target = self._session.target
        self._session.grant_policy.invalidate()
        return Role.HERE if policy.has(await self._policy_now(), target.role, target.account) else None

    async def seen(self) -> Role | None:
        target = self._session.target
        if policy.has(await self._session.grant_policy(), target.role, target.account):
            return Role.HERE
        if (
            target.grant_on_repository
            and await self._may_have_roles()
            and await self._has_it_on_the_project()
        ):
            return Role.ON_PROJECT
        return None

    def judge(self, shown: Role) -> StepStatus:
        return StepStatus(State.DONE, shown)

    def unread(self, error: ApiError) -> StepStatus:
        if error.missing:
            return StepStatus(State.MISSING, "there is no such repository")
        if error.forbidden:
            return super().unread(error)
        raise error  # in Google's own words

    async def _may_have_roles(self) -> bool:
        """Whether the account may exist; one that does not has no roles."""
        try:
            return await self._session.account() is not None
        except GoogleApiError:
            return True

    async def _has_it_on_the_project(self) -> bool:
        """Whether the role is granted on the project: a repository's policy only adds to that one."""
        target = self._session.target
        try:
            found = await self._session.facts.policy(f"projects/{target.project}")()
        except GoogleApiError:
            return False
        return policy.has(found, target.role, target.account)

    def intent(self) -> Intent:
        target = self._session.target
        return {"resource": target.grant_resource, "role": target.role, "account": target.account}

    async def disowns(self, intent: Intent) -> str:
        target = self._session.target
        if other := other_than(intent, account=target.account):
            return other
        mine = (target.grant_resource, f"projects/{target.project}")
        return "" if intent.get("resource") in mine else other_than(intent, resource=target.grant_resource)

    async def do(self) -> Done:
        session, target = self._session, self._session.target

        added = False

        def add(found: Any) -> bool:
            nonlocal added
            self._deleted = policy.deleted_bindings(found, target.account)
            added = not policy.has(found, target.role, target.account)
            if added:
                policy.add(found, target.role, target.account)
            return added

        async def change() -> None:
            nonlocal added
            added = False
            # If only the read failed, the role was not written.
            with self.attempt.sending(lambda error: added and error.unanswered):
                await session.changes.change(target.grant_resource, add, as_seen=True)
            if not added:
                # After a write whose answer was lost, the next read shows the role.
                self.attempt.conclude(ours=self.attempt.unanswered > 0)

        try:
            await retry_while(
                change, why=self._granting_delay, deadline=session.context.deadline, tell=session.context.tell
            )
        except GoogleApiError as error:
            raise self._failure(error) from None
        session.grant_policy.invalidate()
        self._shown = added
        if not self.attempt.created:
            return Done("another run has just granted it", unneeded=True)
        return Done("" if added else "it has the role now", {})

    def _granting_delay(self, error: Exception) -> Delay | None:
        # INVALID_ARGUMENT is also the code of a role that does not exist and of a policy that is too long,
        # which are no delays.
        if (
            isinstance(error, GoogleApiError)
            and error.code == "INVALID_ARGUMENT"
            and error.is_unknown_account(self._session.target.account)
        ):
            return errors.new_account_delay()
        return errors.delay_of(error)

    def _failure(self, error: GoogleApiError) -> StepFailed:
        target = self._session.target
        doing = f"grant {target.role} on {target.grant_resource}"
        if error.is_unknown_account(target.account) and error.code == "INVALID_ARGUMENT":
            return messages.account_unknown_to_policy(target.account, error)
        failure = errors.refused(error, doing, permission=self.permissions[-1])
        if error.code == "INVALID_ARGUMENT" and self._deleted and "deleted member" in error.message:
            commands = [
                removal_command(target.grant_resource, role, member) for role, member in self._deleted
            ]
            failure.fix = messages.deleted_account_in_policy_fix(target.grant_place, commands)
        elif error.code == "INVALID_ARGUMENT":
            failure.fix = messages.invalid_grant_fix(target.role, target.grant_place)
        elif error.code == "ABORTED":
            failure.fix = messages.policy_contended_fix(target.grant_place)
        return failure

    # -- undo and removal ------------------------------------------------------------------------------------

    def is_known_own(self, intent: Intent) -> bool:
        return self._shown and not intent.get("lost")

    async def is_of_run(self, shown: Role, intent: Intent) -> bool:
        """True: a run writes an intent only after it has seen the role missing."""
        return True

    async def undo(self, intent: Intent) -> str:
        self._at = intent
        try:
            return await super().undo(intent)
        except StillThere as left:
            raise StillThere(left.what, await self._removal_command()) from None

    async def remove(self) -> str:
        try:
            return await super().remove()
        except StillThere as left:
            raise StillThere(left.what, await self._removal_command()) from None

    async def delete(self, intent: Intent) -> bool:
        session = self._session
        place = email, role, resource = intent["account"], intent["role"], intent["resource"]
        try:
            taken = await session.changes.change(
                resource, lambda found: policy.remove(found, role, email), certain=self._seen_missing
            )
        except GoogleApiError as error:
            if error.missing:
                if await self._has_repository(resource):
                    raise errors.lagging("it shows the repository and not its policy") from None
                return False
            if self._seen_missing and error.forbidden:
                return False  # a write cannot confirm it, so two reads must do
            raise
        finally:
            session.grant_policy.invalidate()
        if taken:
            self._taken.add(place)
            return True
        # Google took the write by its etag, so the policy is the latest. Another run that has removed the
        # role deletes the account next.
        if self._seen_missing or (self._shown and (place in self._taken or not await self._has_account())):
            return False
        raise GoogleApiError("NOT_FOUND", "its policy does not show the role")

    async def _missed_though_shown(self, error: ApiError) -> None:
        if self._shown:
            raise NotShownYet(error)  # one of the answers is of a lagging server
        await super()._missed_though_shown(error)

    def delay(self, error: Exception) -> Delay | None:
        return errors.delay_of(error)

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return errors.refused(error, doing)

    def deleted_as(self) -> str:
        return f"removed {self._at['role']} on {self._at['resource']} from {self._at['account']}"

    def still_there(self, why: str, *, perhaps: bool = False) -> StillThere:
        del perhaps
        what = f"{self._at['role']} of {self._at['account']} on {self._at['resource']} ({why})"
        return StillThere(what, self.delete_command())

    def delete_command(self) -> str:
        member = policy.member(self._at["account"])
        return removal_command(self._at["resource"], self._at["role"], member)

    async def _has_repository(self, resource: str) -> bool:
        """Whether the repository exists although its policy is "not found": one answer is then of a lagging
        server.
        """
        if "/repositories/" not in resource:
            return False
        try:
            await self._session.cloud.repository_kind(resource)
        except GoogleApiError as error:
            return not error.missing
        return True

    async def _has_account(self) -> bool:
        """Whether the account exists, read again."""
        try:
            await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError as error:
            if error.not_shown and error.is_unknown_account(self._session.target.account):
                return True  # a lagging server's answer for a new account
            if error.missing:
                return False
            raise
        return True

    async def _removal_command(self) -> str:
        """The command that removes the role, also of a deleted account: Google then renames the member."""
        command, email = self.delete_command(), self._at["account"]
        try:
            account = await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError:
            return command
        gone = f"'deleted:serviceAccount:{email}?uid={account.unique_id}'"
        return f"{command} || {command.replace(f'serviceAccount:{email}', gone)}"

    # -- offboarding -----------------------------------------------------------------------------------------

    async def removal(self) -> Removal | None:
        try:
            return await super().removal()
        except _NoRepository:
            return Removal(Disposition.GONE, self.noun, "there is no such repository")

    async def expected(self) -> Role | None:
        session = self._session
        session.grant_policy.invalidate()
        try:
            found, self._account = await asyncio.gather(self._policy_now(), session.account())
            has_it = policy.has(found, session.target.role, session.target.account)
            if not has_it and self._account is not None:
                # The account exists, so the role may too: read again.
                await asyncio.sleep(_AGAIN_SECONDS)
                has_it = await self.read() is not None
        except GoogleApiError as error:
            if error.missing:
                raise _NoRepository from None
            raise
        self._seen_missing = not has_it
        return Role.HERE if has_it else None

    async def contradiction(self) -> str:
        return (
            "it is not shown; its removal is requested" if await self._should_be_there(self._account) else ""
        )

    def to_remove_unseen(self, why: str) -> Removal:
        # The age of a policy that is read is unknown; a write shows it, by its etag.
        return Removal(Disposition.REMOVE, self.noun, why, self.delete_command())

    async def removal_of(self, shown: Role) -> Removal:
        account = self._account
        if self._session.target.account_given or (account is not None and not made_by_pullkey(account)):
            return self.to_keep("this account was created outside of pullkey, as may be the grant")
        self._shown = True
        return self.to_remove()

    async def _should_be_there(self, account: Any) -> bool:
        """Whether the account should have the role here; a read without it may then lag."""
        target = self._session.target
        if account is None or target.account_given or not made_by_pullkey(account):
            return False
        return not (target.grant_on_repository and await self._has_it_on_the_project())

    async def _policy_now(self) -> Any:
        """The policy; a missing repository is read twice, since a role could be left over."""
        try:
            return await self._session.grant_policy()
        except GoogleApiError as error:
            if not error.missing:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
            self._session.grant_policy.invalidate()
            return await self._session.grant_policy()

    def script(self) -> Script:
        return grant_script(on_repository=self._session.target.grant_on_repository)


class _NoRepository(Exception):
    """The repository, and its policy with it, does not exist."""

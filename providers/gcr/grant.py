"""The role that lets the account pull, in a policy that others write too."""

from __future__ import annotations

import asyncio
from typing import Any

from bootstrap.codes import Code
from bootstrap.errors import StepFailed
from bootstrap.plugin.resource import Attempt
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Delay, wait_out
from providers.gcr import errors, policy
from providers.gcr.account_session import AccountSession, made_by_pullkey
from providers.gcr.errors import GoogleApiError

_AGAIN_SECONDS = 1.0
_LOOKS = 2  # how often a thing that nothing speaks for must not be shown, before it is absent


class Grant(Step):
    """The role, for our member only, in a policy that others write too."""

    name = "grant"
    after = ("identity",)

    def __init__(self, session: AccountSession) -> None:
        self._session = session
        self.attempt = Attempt()
        # Of all sessions of this command: what one has taken away is not missed by another.
        self._taken: set[tuple[str, str, str]] = session.context.shared.get("gcr-taken-roles", set)
        self._shown = False
        self._not_shown = False
        prefix = (
            "artifactregistry.repositories"
            if session.target.grant_on_repository
            else "resourcemanager.projects"
        )
        self.permissions = (f"{prefix}.getIamPolicy", f"{prefix}.setIamPolicy")

    @property
    def title(self) -> str:
        return f"Grant {self._session.target.role} on {self._session.target.grant_place}"

    def warning(self) -> str:
        target = self._session.target
        if not target.narrower:
            return ""
        return f"{target.role} on the project {target.project} lets Akka read every repository in it. To grant it on one repository only: pullkey onboard gcr --server {target.narrower}"

    async def look(self) -> Sighting:
        target = self._session.target
        try:
            found = await self._session.grant_policy()
        except GoogleApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, "its policy may not be read")
            if error.missing:
                return Sighting(State.MISSING, "there is no such repository")
            raise
        if policy.has(found, target.role, target.account):
            return Sighting(State.DONE, "granted")
        if not await self._may_have_roles():
            return Sighting(State.MISSING, "not granted")
        if target.grant_on_repository and await self._has_it_on_the_project():
            return Sighting(State.DONE, "granted on the whole project")
        return Sighting(State.MISSING, "not granted")

    async def _may_have_roles(self) -> bool:
        """An account that is not there has none."""
        try:
            return await self._session.account() is not None
        except GoogleApiError:
            return True

    async def _has_it_on_the_project(self) -> bool:
        """A role on the project pulls from each of its repositories: a repository's policy only adds to it."""
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
            added = not policy.has(found, target.role, target.account)
            if added:
                policy.add(found, target.role, target.account)
            return added

        async def change() -> None:
            nonlocal added
            added = False
            # Of a policy that could only be read, no answer says anything of the role.
            with self.attempt.sending(lambda error: added and error.unanswered):
                await session.changes.change(target.grant_resource, add, as_seen=True)
            if not added:
                # A write whose answer was lost reads as "has it" the next time.
                self.attempt.conclude(ours=self.attempt.unanswered > 0)

        try:
            await wait_out(
                change, why=self._delay, deadline=session.context.deadline, tell=session.context.tell
            )
        except GoogleApiError as error:
            raise self._failure(error) from None
        session.grant_policy.forget()
        self._shown = added
        if not self.attempt.created:
            return Done("another run has just granted it", unneeded=True)
        return Done("" if added else "it has the role now", {})

    def _delay(self, error: Exception) -> Delay | None:
        # A role that does not exist, or a policy that is too long, is INVALID_ARGUMENT too, and will not pass.
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
            return StepFailed(f"Google does not know the service account {target.account} yet ({error.said})", fix="It was created a short while ago, or was deleted meanwhile. Run it again in a few minutes.", code=Code.CLOUD_LAG)  # fmt: skip
        failure = errors.refused(error, doing, permission=self.permissions[-1])
        if error.code == "INVALID_ARGUMENT":
            failure.fix = f"Check --role (see `gcloud iam roles describe {target.role}`) and the policy of {target.grant_place}; or grant it yourself, and pass --skip-grant."  # fmt: skip
        elif error.code == "ABORTED":
            failure.fix = f"Others keep changing the policy of {target.grant_place}. {errors.RUN_LATER}"
        return failure

    async def undo(self, intent: Intent) -> str:
        if not (self.attempt.may_exist or intent.get("lost")):
            return ""  # it was never granted
        return await self._remove_role(intent)

    async def _remove_role(self, intent: Intent) -> str:
        session = self._session
        email, role, resource = intent["account"], intent["role"], intent["resource"]
        not_there = 0

        async def change() -> bool:
            nonlocal not_there
            try:
                taken = await session.changes.change(
                    resource, lambda found: policy.remove(found, role, email), certain=self._not_shown
                )
            except GoogleApiError as error:
                if error.missing and await self._has_repository(resource):
                    raise errors.lagging("it shows the repository and not its policy") from None
                raise
            if taken:
                self._taken.add((resource, role, email))
                return True
            not_there += 1
            if resource in session.changes.unanswered and not_there >= _LOOKS:
                return True  # the answer to the removal was lost, and it has been done
            if self._shown and (resource, role, email) not in self._taken and await self._has_account():
                # Whoever else took it away deletes its account next; else one of the answers is of a server that lags.
                raise errors.lagging("it has shown the role, and does not now")
            return taken

        try:
            changed = await wait_out(
                change,
                why=errors.delay_of,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except GoogleApiError as error:
            if error.missing:
                return ""
            if self._not_shown and error.forbidden:
                return ""  # so what was read twice has to do
            raise StillThere(
                f"{role} of {email} on {resource} ({error.said})",
                await self._removal_command(resource, role, email),
            ) from None
        finally:
            session.grant_policy.forget()
        return f"removed {role} on {resource} from {email}" if changed else ""

    async def _has_repository(self, resource: str) -> bool:
        """Whether the repository whose policy is said not to be there is: then one of the answers is of a server that lags."""
        if "/repositories/" not in resource:
            return False
        try:
            await self._session.cloud.repository_format(resource)
        except GoogleApiError as error:
            return not error.missing
        return True

    async def _has_account(self) -> bool:
        """Whether the account is there, asked anew."""
        try:
            await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError as error:
            if error.not_shown and error.is_unknown_account(self._session.target.account):
                return True  # the words of a server that does not know a new account yet
            if error.missing:
                return False
            raise
        return True

    async def _removal_command(self, resource: str, role: str, email: str) -> str:
        """What takes the role away, also when its account has been deleted meanwhile: Google then shows another member."""
        command = _grant_command("remove", resource, role, email)
        try:
            account = await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError:
            return command
        gone = f"'deleted:serviceAccount:{email}?uid={account.unique_id}'"
        return f"{command} || {command.replace(f'serviceAccount:{email}', gone)}"

    async def removal(self) -> Removal:
        session, target = self._session, self._session.target
        what = f"{target.role} of {target.account} on {target.grant_place}"
        command = _grant_command("remove", target.grant_resource, target.role, target.account)
        session.grant_policy.forget()
        try:
            found, account = await asyncio.gather(self._policy_now(), session.account())
            if not policy.has(found, target.role, target.account) and account is not None:
                # An account that is there may have kept it: it is asked for twice.
                await asyncio.sleep(_AGAIN_SECONDS)
                session.grant_policy.forget()
                found = await self._policy_now()
            self._not_shown = not policy.has(found, target.role, target.account)
            if self._not_shown and not await self._should_be_there(account):
                return Removal(Fate.GONE, what, "it is not there")
            if self._not_shown:
                # A policy that is read says nothing of how old it is; one that is written does, by its etag.
                return Removal(Fate.REMOVE, what, "it is not shown; its removal is requested", command)
        except GoogleApiError as error:
            if error.missing:
                return Removal(Fate.GONE, what, "there is no such repository")
            if error.forbidden:
                return Removal(Fate.UNSEEN, what, f"it may not be seen ({error.said})", command)
            raise errors.refused(error, f"show the policy of {target.grant_place}") from None
        if target.account_given or (account is not None and not made_by_pullkey(account)):
            return Removal(
                Fate.KEEP, what, "this account was created outside of pullkey, as may be the grant", command
            )
        self._shown = True
        return Removal(Fate.REMOVE, what, command=command)

    async def _should_be_there(self, account: Any) -> bool:
        """Whether an account that we created must have been given the role here; a read that does not show it may lag."""
        target = self._session.target
        if account is None or target.account_given or not made_by_pullkey(account):
            return False
        return not (target.grant_on_repository and await self._has_it_on_the_project())

    async def _policy_now(self) -> Any:
        """The policy; that there is no such repository is believed the second time, since a role may be left behind."""
        try:
            return await self._session.grant_policy()
        except GoogleApiError as error:
            if not error.missing:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
            self._session.grant_policy.forget()
            return await self._session.grant_policy()

    async def remove(self) -> str:
        return await self._remove_role(self.intent())

    def script(self) -> Script:
        target = self._session.target
        if target.grant_on_repository:
            place = 'artifacts repositories {verb}-iam-policy-binding "$REPOSITORY" --location="$LOCATION" --project="$PROJECT"'
            policy_of = 'artifacts repositories get-iam-policy "$REPOSITORY" --location="$LOCATION" --project="$PROJECT"'
        else:
            place = 'projects {verb}-iam-policy-binding "$PROJECT"'
            policy_of = 'projects get-iam-policy "$PROJECT"'
        rest = '--member="serviceAccount:$EMAIL" --role="$ROLE" --condition=None --format=none'
        return Script(
            do=f"gcloud {place.format(verb='add')} {rest}",
            check=f"gcloud {policy_of} --flatten='bindings[].members' --filter=\"bindings.role=$ROLE AND bindings.members:serviceAccount:$EMAIL\" --format='value(bindings.role)' | grep .",
            undo=f"gcloud {place.format(verb='remove')} {rest}",
            why="Google may need a minute to know a new account, and says until then that it does not exist.",
            repeat=True,
        )


def _grant_command(verb: str, resource: str, role: str, email: str) -> str:
    parts = resource.split("/")
    if "repositories" in parts:
        place = f"artifacts repositories {verb}-iam-policy-binding {parts[5]} --location={parts[3]} --project={parts[1]}"
    else:
        place = f"projects {verb}-iam-policy-binding {parts[1]}"
    return f"gcloud {place} --member=serviceAccount:{email} --role={role} --condition=None"

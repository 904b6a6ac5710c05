"""What is done in Google Cloud, one class a step; the key has a module of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import TYPE_CHECKING, Any, cast

from bootstrap.codes import Code
from bootstrap.errors import OutcomeUnknown, StepFailed
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Attempt, Resource
from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Delay, wait_out
from providers.gcr import errors, policy
from providers.gcr.errors import GoogleApiError

if TYPE_CHECKING:
    from providers.gcr.session import GcrSession

MARK = "Made by pullkey"
_CREATED_AT = re.compile(rf"{MARK}, run [0-9a-f]+, (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.")
# What only the undoing of a run takes.
UNDO_ACCOUNT = "iam.serviceAccounts.delete"
UNDO_KEY = "iam.serviceAccountKeys.delete"
_AGAIN_SECONDS = 1.0
_LOOKS = 2  # how often a thing that nothing speaks for must not be shown, before it is absent


def made_by_pullkey(account: Any) -> bool:
    """Whether a service account was made by pullkey, as its description says."""
    return MARK in account.description


def is_new(account: Any) -> bool:
    """Whether a run of pullkey created a service account so lately that some of Google's servers may not know it yet.

    Google shows no time of an account's creation, so its description has it: that run may have been killed since, or be
    at work on another machine.
    """
    created = _CREATED_AT.search(account.description)
    if created is None:
        return False
    age = clock.now() - dt.datetime.fromisoformat(created[1])
    # The clock of the machine that created it may be ahead of ours, so the age may be below 0.
    return abs(age.total_seconds()) < errors.NEW_ACCOUNT_SECONDS


class EnableApis(Step):
    """Only where `--enable-apis` asked for it."""

    name = "apis"
    permissions = ("serviceusage.services.enable",)

    def __init__(self, session: GcrSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Enable the required Google APIs in {self._session.target.project}"

    async def look(self) -> Sighting:
        disabled = await self._session.disabled_services()
        if disabled:
            return Sighting(State.MISSING, f"not enabled: {', '.join(disabled)}")
        return Sighting(State.DONE, "all enabled")

    async def do(self) -> Done:
        session = self._session
        disabled = await session.disabled_services()
        if not disabled:
            return Done("all are enabled by now", unneeded=True)
        try:
            await wait_out(
                lambda: session.cloud.enable_services(
                    session.target.project, disabled, session.context.deadline.left
                ),
                why=errors.delay_of,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except GoogleApiError as error:
            raise errors.refused(
                error, f"enable {', '.join(disabled)}", permission="serviceusage.services.enable"
            ) from None
        finally:
            # What could not be asked while they were disabled is asked anew.
            session.facts.forget()
        # They stay enabled when a later step fails: something else may have begun to use them.
        return Done(", ".join(disabled))

    def script(self) -> Script:
        return Script(do='gcloud services enable iam.googleapis.com artifactregistry.googleapis.com cloudresourcemanager.googleapis.com --project="$PROJECT"')  # fmt: skip


class Identity(Resource[Any]):
    """The service account: found, or created under a name that is known before."""

    name = "identity"
    after = ("apis",)

    def __init__(self, session: GcrSession) -> None:
        super().__init__(session)
        self._session = session
        self._unique_id = ""
        if not session.target.account_given:
            self.permissions = ("iam.serviceAccounts.get", "iam.serviceAccounts.create")

    @property
    def noun(self) -> str:
        return f"service account {self._session.target.account}"

    @property
    def title(self) -> str:
        return f"{'Use' if self._session.target.account_given else 'Create'} {self.noun}"

    async def read(self) -> Any:
        """The account, asked anew. Of one that a server lags to know, Google says so in words of their own."""
        try:
            return await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError as error:
            if error.never_existed:
                return None
            if self._is_lag(error):
                raise errors.lagging("it does not know the new account yet") from None
            raise

    async def look(self) -> Sighting:
        account = await self._session.account()
        return Sighting(State.MISSING, self.absent) if account is None else self.judge(account)

    def judge(self, shown: Any) -> Sighting:
        if shown.disabled:
            # None of its keys pulls. That it is enabled again is for whoever has disabled it.
            return Sighting(State.MISSING, "it is disabled")
        return Sighting(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"account": self._session.target.account_resource, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, account=self._session.target.account_resource)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        now = clock.now()
        description = (
            f"Pulls images for Akka. {MARK}, run {session.context.run_id}, {now:%Y-%m-%dT%H:%M:%SZ}."
        )

        async def create() -> None:
            try:
                with self.attempt.sending():
                    created = await session.cloud.create_account(
                        target.project, target.account_name, description
                    )
                self._unique_id = created.unique_id
            except GoogleApiError as error:
                if error.code != "ALREADY_EXISTS":
                    raise
                # Created by another program in the meantime, or by a try of ours whose answer was lost.
                self.attempt.exists = True
                found = await session.cloud.account(target.account_resource)
                self.attempt.conclude(ours=session.context.run_id in found.description)
                self._unique_id = found.unique_id

        def why(error: Exception) -> Delay | None:
            if not isinstance(error, GoogleApiError):
                return None
            if self.attempt.exists and self._is_lag(error):
                return errors.new_account_delay()
            return errors.delay_of(error) or (
                Delay(errors.BUSY, errors.BUSY_SECONDS) if error.unanswered else None
            )

        try:
            await wait_out(create, why=why, deadline=session.context.deadline, tell=session.context.tell)
        except GoogleApiError as error:
            if self.attempt.exists and self._is_lag(error):
                raise OutcomeUnknown(f"Google says that the {self.noun} exists, and does not show it ({error.said})", fix="Run it again in a few minutes: it continues with that account.") from None  # fmt: skip
            raise errors.refused(error, f"create the {self.noun}", permission="iam.serviceAccounts.create") from None  # fmt: skip
        # Where another run has created it, it was not there a moment ago.
        session.account_is_new = True
        session.forget_account()
        return (
            Done("", {}) if self.attempt.created else Done("another run has just created it", unneeded=True)
        )

    def _is_lag(self, error: GoogleApiError) -> bool:
        """Whether a read does not show an account that is known to exist: "not found" in whichever words, or a 403."""
        return error.missing or error.is_unknown_account(self._session.target.account)

    async def is_of_run(self, shown: Any, intent: Intent) -> bool:
        self._unique_id = shown.unique_id
        return intent["run_id"] in shown.description

    async def undo(self, intent: Intent) -> str:
        try:
            return await super().undo(intent)
        finally:
            self._session.forget_account()

    async def expected(self) -> Any:
        self._session.forget_account()
        return await self._session.account()

    async def contradiction(self) -> str:
        """Whether the policy names the account as one that is there: Google writes `deleted:` before one that is not."""
        target = self._session.target
        try:
            has_role = policy.has(await self._session.grant_policy(), target.role, target.account)
        except GoogleApiError:
            return ""
        return "it is said not to be there, and yet to have its role" if has_role else ""

    async def removal_of(self, shown: Any) -> Removal:
        session = self._session
        if session.target.account_given or not made_by_pullkey(shown):
            return Removal(Fate.KEEP, self.noun, "it was not created by pullkey")
        self._unique_id = shown.unique_id
        others = await session.other_roles()
        return self.to_keep(f"it has other roles: {', '.join(others)}") if others else self.to_remove()

    async def remove(self) -> str:
        try:
            return await super().remove()
        finally:
            self._session.forget_account()

    async def delete(self, intent: Intent) -> None:
        """By its number, which is of that account only, whichever has its name by now."""
        session, target = self._session, self._session.target
        account = self._unique_id or target.account
        await session.cloud.delete_account(target.account_resource.replace(target.account, account))

    def is_same(self, shown: Any) -> bool:
        return self._unique_id in ("", shown.unique_id)

    def is_deleted(self, error: ApiError) -> bool:
        # A 403 is what Google says of one that is deleted, too.
        return isinstance(error, GoogleApiError) and self._is_lag(error)

    def delay(self, error: Exception) -> Delay | None:
        return errors.delay_of(error)

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return errors.refused(cast("GoogleApiError", error), doing)

    def delete_command(self) -> str:
        target = self._session.target
        return f"gcloud iam service-accounts delete {target.account} --project={target.account_project}"

    def script(self) -> Script:
        if self._session.target.account_given:
            return Script(do='gcloud iam service-accounts describe "$EMAIL"')
        return Script(
            do=(
                'gcloud iam service-accounts describe "$EMAIL" --project="$PROJECT" >/dev/null 2>&1 ||\n'
                '  gcloud iam service-accounts create "$ACCOUNT" --project="$PROJECT" '
                '--display-name="Akka image pulls" --description="Pulls images for Akka."'
            ),
            check='gcloud iam service-accounts describe "$EMAIL" --project="$PROJECT" --format="value(email)"',
            undo='gcloud iam service-accounts delete "$EMAIL" --project="$PROJECT" --quiet',
            typed='gcloud iam service-accounts create "$ACCOUNT" --project="$PROJECT"',
        )


class Grant(Step):
    """The role, for our member only, in a policy that others write too."""

    name = "grant"
    after = ("identity",)

    def __init__(self, session: GcrSession) -> None:
        self._session = session
        self.attempt = Attempt()
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
                session.taken_roles.add((resource, role, email))
                return True
            not_there += 1
            if resource in session.changes.unanswered and not_there >= _LOOKS:
                return True  # the answer to the removal was lost, and it has been done
            if (
                self._shown
                and (resource, role, email) not in session.taken_roles
                and await self._has_account()
            ):
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

"""What is done in Google Cloud, one class a step; the key has a module of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bootstrap.steps import Done, Fate, Intent, Removal, Script, Sighting, State, Step, StillThere
from bootstrap.waiting import wait_out
from providers.gcr import cloud, policy

if TYPE_CHECKING:
    from providers.gcr.session import GcrSession

MARK = "Made by pullkey"
_AGAIN_SECONDS = 1.0


def made_by_pullkey(account: Any) -> bool:
    """Whether a service account was made by pullkey, as its description says."""
    return MARK in account.description


class EnableApis(Step):
    """Only where `--enable-apis` asked for it."""

    name = "apis"
    permissions = ("serviceusage.services.enable",)

    def __init__(self, session: GcrSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Enable the Google APIs that are needed in {self._session.target.project}"

    async def look(self) -> Sighting:
        disabled = await self._session.disabled_services()
        if disabled:
            return Sighting(State.MISSING, f"not enabled: {', '.join(disabled)}")
        return Sighting(State.DONE, "all enabled")

    async def do(self) -> Done:
        from google.api_core import exceptions

        session = self._session
        disabled = await session.disabled_services()
        try:
            await wait_out(
                lambda: session.cloud.enable_services(
                    session.target.project, disabled, session.context.deadline.left
                ),
                why=lambda error: cloud.BUSY if cloud.is_busy(error) else None,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except exceptions.GoogleAPICallError as error:
            raise cloud.refused(error, f"enable {', '.join(disabled)}") from None
        finally:
            session.disabled_services.forget()
        # They stay enabled when a later step fails: something else may have begun to use them.
        return Done(f"enabled {', '.join(disabled)}")

    def script(self) -> Script:
        return Script(do='gcloud services enable iam.googleapis.com artifactregistry.googleapis.com cloudresourcemanager.googleapis.com --project="$PROJECT"')  # fmt: skip


class Identity(Step):
    """The service account: found, or created under a name that is known before."""

    name = "identity"
    after = ("apis",)

    def __init__(self, session: GcrSession) -> None:
        self._session = session
        self._unique_id = ""
        if not session.target.account_given:
            self.permissions = ("iam.serviceAccounts.get", "iam.serviceAccounts.create")

    @property
    def title(self) -> str:
        verb = "Use" if self._session.target.account_given else "Create"
        return f"{verb} service account {self._session.target.account}"

    async def look(self) -> Sighting:
        account = await self._session.account()
        if account is None:
            return Sighting(State.MISSING, "there is none")
        return Sighting(State.DONE, "it is there")

    def intent(self) -> Intent:
        return {"account": self._session.target.account_resource, "run_id": self._session.context.run_id}

    async def do(self) -> Done:
        from google.api_core import exceptions

        session = self._session
        target = session.target
        description = f"Pulls images for Akka. {MARK}, run {session.context.run_id}."

        async def create() -> bool:
            try:
                await session.cloud.create_account(target.project, target.account_name, description)
            except exceptions.AlreadyExists:
                # Made by somebody else in the meantime, or by a try of ours whose answer was lost.
                found = await session.cloud.account(target.account_resource)
                return session.context.run_id in found.description
            return True

        try:
            ours = await wait_out(
                create,
                why=lambda error: cloud.BUSY if cloud.is_busy(error) or cloud.is_unanswered(error) else None,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except exceptions.GoogleAPICallError as error:
            raise cloud.refused(error, f"create the service account {target.account}") from None
        session.account_made = ours
        session.forget_account()
        return Done("created", {}) if ours else Done("somebody else has just made it")

    async def undo(self, intent: Intent) -> str:
        from google.api_core import exceptions

        resource = intent["account"]
        email = resource.rsplit("/", 1)[-1]
        session = self._session
        unanswered = False

        async def delete() -> bool:
            nonlocal unanswered
            try:
                found = await session.cloud.account(resource)
                if intent["run_id"] not in found.description:
                    return False
                await session.cloud.delete_account(resource)
            except exceptions.NotFound:
                if session.account_made and not unanswered:
                    # Not every server of Google's knows it yet; so it must not be taken for gone.
                    raise exceptions.Aborted("it does not know the new account yet") from None  # type: ignore[no-untyped-call]
                return unanswered
            except exceptions.GoogleAPICallError as error:
                unanswered = unanswered or cloud.is_unanswered(error)
                raise
            return True

        try:
            deleted = await wait_out(
                delete,
                why=lambda error: cloud.BUSY if cloud.is_busy(error) else None,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except exceptions.GoogleAPICallError as error:
            raise StillThere(
                f"the service account {email} ({cloud.said(error)})",
                f"gcloud iam service-accounts delete {email} --project={self._session.target.project}",
            ) from None
        finally:
            session.forget_account()
        return f"deleted the service account {email}" if deleted else ""

    async def removal(self) -> Removal:
        from google.api_core import exceptions

        session, email = self._session, self._session.target.account
        what = f"service account {email}"
        session.forget_account()
        try:
            account = await session.account()
            if account is None:
                if await self._has_role():
                    why = "it is said not to be there, and yet to have its role"
                    return Removal(Fate.UNSEEN, what, why, self._delete_command())
                return Removal(Fate.GONE, what, "it is not there")
            if session.target.account_given or not made_by_pullkey(account):
                return Removal(Fate.KEEP, what, "it was not made by pullkey")
            self._unique_id = account.unique_id
            others = await session.other_roles()
        except exceptions.PermissionDenied as error:
            return Removal(Fate.UNSEEN, what, f"what it is for may not be seen ({cloud.said(error)})")
        except exceptions.GoogleAPICallError as error:
            raise cloud.refused(error, f"show what {email} is for") from None
        if others:
            return Removal(
                Fate.KEEP, what, f"it has other roles: {', '.join(others)}", self._delete_command()
            )
        return Removal(Fate.REMOVE, what, command=self._delete_command())

    async def _has_role(self) -> bool:
        """Whether the policy names the account as one that is there: Google writes `deleted:` before one that is not."""
        from google.api_core import exceptions

        target = self._session.target
        try:
            return policy.has(await self._session.grant_policy(), target.role, target.account)
        except exceptions.GoogleAPICallError:
            return False

    async def remove(self) -> str:
        from google.api_core import exceptions

        session, target = self._session, self._session.target
        missed = unanswered = False

        async def delete() -> bool:
            nonlocal missed, unanswered
            seen = False
            try:
                found = await session.cloud.account(target.account_resource)
                seen = True
                if not made_by_pullkey(found):
                    return False  # somebody has made another of that name since
                await session.cloud.delete_account(target.account_resource)
            except exceptions.NotFound:
                if unanswered:
                    raise
                if missed:
                    await self._delete_by_number(shown=seen)
                    return True
                missed = True
                # It was there a moment ago: one answer is not enough to leave it behind.
                raise exceptions.Aborted("it was there a moment ago") from None  # type: ignore[no-untyped-call]
            except exceptions.GoogleAPICallError as error:
                unanswered = unanswered or cloud.is_unanswered(error)
                raise
            return True

        try:
            deleted = await wait_out(
                delete,
                why=lambda error: cloud.BUSY if cloud.is_busy(error) else None,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except exceptions.NotFound:
            return ""
        except exceptions.GoogleAPICallError as error:
            raise StillThere(
                f"the service account {target.account} ({cloud.said(error)})", self._delete_command()
            ) from None
        finally:
            session.forget_account()
        return f"deleted the service account {target.account}" if deleted else ""

    async def _delete_by_number(self, *, shown: bool) -> None:
        """Reads may lag for long; the number is of that account only, whoever has its name by now.

        Raises:
            google.api_core.exceptions.NotFound: it is gone.
            StillThere: so Google says, though it has just shown it.
        """
        from google.api_core import exceptions

        session, target = self._session, self._session.target
        try:
            await session.cloud.delete_account(target.account_resource.replace(target.account, self._unique_id))  # fmt: skip
        except exceptions.NotFound:
            if not shown:
                raise
            raise StillThere(f"the service account {target.account} (Google says that there is none to delete, and shows it)", self._delete_command()) from None  # fmt: skip

    def _delete_command(self) -> str:
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
        self._shown = False
        prefix = (
            "artifactregistry.repositories"
            if session.target.grant_on_repository
            else "resourcemanager.projects"
        )
        self.permissions = (f"{prefix}.getIamPolicy", f"{prefix}.setIamPolicy")

    @property
    def title(self) -> str:
        return f"Grant {self._session.target.role} on {self._session.target.grant_place}"

    async def look(self) -> Sighting:
        from google.api_core import exceptions

        target = self._session.target
        try:
            found = await self._session.grant_policy()
        except exceptions.PermissionDenied:
            return Sighting(State.UNSEEN, "its policy may not be read")
        except exceptions.NotFound:
            return Sighting(State.MISSING, "there is no such repository")
        if policy.has(found, target.role, target.account):
            return Sighting(State.DONE, "it has it")
        if not await self._may_have_roles():
            return Sighting(State.MISSING, "it does not have it")
        if target.grant_on_repository and await self._has_it_on_the_project():
            return Sighting(State.DONE, "it has it on the whole project")
        return Sighting(State.MISSING, "it does not have it")

    async def _may_have_roles(self) -> bool:
        """An account that is not there has none."""
        from google.api_core import exceptions

        try:
            return await self._session.account() is not None
        except exceptions.GoogleAPICallError:
            return True

    async def _has_it_on_the_project(self) -> bool:
        """A role on the project pulls from each of its repositories: a repository's policy only adds to it."""
        from google.api_core import exceptions

        target = self._session.target
        try:
            found = await self._session.facts.policy(f"projects/{target.project}")()
        except exceptions.GoogleAPICallError:
            return False
        return policy.has(found, target.role, target.account)

    def intent(self) -> Intent:
        target = self._session.target
        return {"resource": target.grant_resource, "role": target.role, "account": target.account}

    async def do(self) -> Done:
        from google.api_core import exceptions

        session, target = self._session, self._session.target

        def add(found: Any) -> bool:
            if policy.has(found, target.role, target.account):
                return False
            policy.add(found, target.role, target.account)
            return True

        async def change() -> bool:
            return await session.changes.change(target.grant_resource, add, as_seen=True)

        try:
            changed = await wait_out(
                change, why=self._delay, deadline=session.context.deadline, tell=session.context.tell
            )
        except exceptions.GoogleAPICallError as error:
            raise cloud.refused(error, f"grant {target.role} on {target.grant_resource}") from None
        session.grant_policy.forget()
        self._shown = changed
        # A write whose answer was lost reads as "has it" the next time: its undo is safe either way, since the role
        # was missing when this run began.
        return Done("granted" if changed else "it has it now", {})

    def _delay(self, error: Exception) -> str | None:
        if cloud.status_of(error) == "ABORTED":
            return "Somebody else changed the policy at the same time; reading it again."
        if cloud.is_busy(error):
            return cloud.BUSY
        # Google answers "Service account X does not exist" until the account has spread.
        unknown = cloud.status_of(error) == "INVALID_ARGUMENT" and (
            self._session.account_made or "does not exist" in cloud.said(error)
        )
        return (
            "Google does not know the new account everywhere yet; this takes up to a minute."
            if unknown
            else None
        )

    async def undo(self, intent: Intent) -> str:
        from google.api_core import exceptions

        session = self._session
        email, role, resource = intent["account"], intent["role"], intent["resource"]

        async def change() -> bool:
            try:
                taken = await session.changes.change(
                    resource, lambda found: policy.remove(found, role, email)
                )
            except exceptions.NotFound:
                if await self._has_repository(resource):
                    raise exceptions.Aborted("it shows the repository and not its policy") from None  # type: ignore[no-untyped-call]
                raise
            if taken:
                session.taken_roles.add((resource, role, email))
            elif (
                self._shown
                and (resource, role, email) not in session.taken_roles
                and await self._has_account()
            ):
                # Whoever else took it away deletes its account next; else one of the answers is of a server that lags.
                raise exceptions.Aborted("it has shown the role, and does not now")  # type: ignore[no-untyped-call]
            return taken

        try:
            changed = await wait_out(
                change,
                why=lambda error: cloud.BUSY if cloud.is_busy(error) else None,
                deadline=session.undo_deadline(),
                tell=session.context.tell,
            )
        except exceptions.NotFound:
            return ""
        except exceptions.GoogleAPICallError as error:
            raise StillThere(
                f"{role} of {email} on {resource} ({cloud.said(error)})",
                await self._removal_command(resource, role, email),
            ) from None
        finally:
            session.grant_policy.forget()
        return f"took {role} on {resource} from {email}" if changed else ""

    async def _has_repository(self, resource: str) -> bool:
        """Whether the repository whose policy is said not to be there is: then one of the answers is of a server that lags."""
        from google.api_core import exceptions

        if "/repositories/" not in resource:
            return False
        try:
            await self._session.cloud.repository_format(resource)
        except exceptions.NotFound:
            return False
        except exceptions.GoogleAPICallError:
            return True
        return True

    async def _has_account(self) -> bool:
        """Whether the account is there, asked anew."""
        from google.api_core import exceptions

        try:
            await self._session.cloud.account(self._session.target.account_resource)
        except exceptions.NotFound:
            return False
        return True

    async def _removal_command(self, resource: str, role: str, email: str) -> str:
        """What takes the role away, also when its account has been deleted meanwhile: Google then shows another member."""
        from google.api_core import exceptions

        command = _grant_command("remove", resource, role, email)
        try:
            account = await self._session.cloud.account(self._session.target.account_resource)
        except exceptions.GoogleAPICallError:
            return command
        gone = f"'deleted:serviceAccount:{email}?uid={account.unique_id}'"
        return f"{command} || {command.replace(f'serviceAccount:{email}', gone)}"

    async def removal(self) -> Removal:
        from google.api_core import exceptions

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
            if not policy.has(found, target.role, target.account):
                return Removal(Fate.GONE, what, "it is not there")
        except exceptions.NotFound:
            return Removal(Fate.GONE, what, "there is no such repository")
        except exceptions.PermissionDenied as error:
            return Removal(Fate.UNSEEN, what, f"it may not be seen ({cloud.said(error)})", command)
        except exceptions.GoogleAPICallError as error:
            raise cloud.refused(error, f"show the policy of {target.grant_place}") from None
        if target.account_given or (account is not None and not made_by_pullkey(account)):
            return Removal(
                Fate.KEEP, what, "somebody else made this account, and may have granted it", command
            )
        self._shown = True
        return Removal(Fate.REMOVE, what, command=command)

    async def _policy_now(self) -> Any:
        """The policy; that there is no such repository is believed the second time, since a role may be left behind."""
        from google.api_core import exceptions

        try:
            return await self._session.grant_policy()
        except exceptions.NotFound:
            await asyncio.sleep(_AGAIN_SECONDS)
            self._session.grant_policy.forget()
            return await self._session.grant_policy()

    async def remove(self) -> str:
        return await self.undo(self.intent())

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

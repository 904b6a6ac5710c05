"""The steps that enable Google's APIs and create the service account."""

from __future__ import annotations

from typing import Any

from bootstrap.model import clock
from bootstrap.model.errors import StepFailed
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
    Step,
    StepRole,
    StepStatus,
    other_than,
)
from providers.gcr import errors, messages, policy
from providers.gcr.account_session import MARK, AccountSession, made_by_pullkey
from providers.gcr.errors import GoogleApiError


class EnableApis(Step):
    """Enable the APIs that the run calls; only with `--enable-apis`."""

    name = "apis"
    permissions = ("serviceusage.services.get", "serviceusage.services.enable")
    look_permissions = ("serviceusage.services.get",)

    def __init__(self, session: AccountSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Enable the required Google APIs in {self._session.target.project}"

    async def look(self) -> StepStatus:
        disabled = await self._session.disabled_services()
        if disabled:
            return StepStatus(State.MISSING, f"not enabled: {', '.join(disabled)}")
        return StepStatus(State.DONE, "all enabled")

    async def do(self) -> Done:
        session = self._session
        disabled = await session.disabled_services()
        if not disabled:
            return Done("all are enabled by now", unneeded=True)
        try:
            await retry_while(
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
            # What could not be read while they were disabled is read again.
            session.facts.invalidate()
        # They stay enabled when a later step fails: something else may have begun to use them.
        return Done(", ".join(disabled))

    def script(self) -> Script:
        return Script(
            do="gcloud services enable iam.googleapis.com artifactregistry.googleapis.com "
            'cloudresourcemanager.googleapis.com --project="$PROJECT"'
        )


class Identity(Resource[Any]):
    """The service account: an existing one, or one that is created under a fixed name."""

    name = StepRole.IDENTITY
    after = ("apis",)
    look_permissions = ("iam.serviceAccounts.get",)
    removal_permissions: tuple[str, ...] = ("iam.serviceAccounts.get",)

    def __init__(self, session: AccountSession) -> None:
        super().__init__(session)
        self._session = session
        self._unique_id = ""
        if not session.target.account_given:
            self.permissions = ("iam.serviceAccounts.get", "iam.serviceAccounts.create")
            self.undo_permissions = ("iam.serviceAccounts.delete",)
            # An account is kept if it has other roles, or if someone may act as it.
            self.removal_permissions += (
                "iam.serviceAccounts.delete",
                "artifactregistry.repositories.getIamPolicy",
                "artifactregistry.repositories.list",
                "resourcemanager.projects.getIamPolicy",
            )

    @property
    def noun(self) -> str:
        return f"service account {self._session.target.account}"

    @property
    def title(self) -> str:
        return f"{'Use' if self._session.target.account_given else 'Create'} {self.noun}"

    async def read(self) -> Any:
        """The account, read again; None if it does not exist. An answer that may be lag is an error."""
        try:
            return await self._session.cloud.account(self._session.target.account_resource)
        except GoogleApiError as error:
            if error.never_existed:
                return None
            if self._is_lag(error):
                raise errors.lagging("it does not know the new account yet") from None
            raise

    async def seen(self) -> Any:
        return await self._session.account()

    def unread(self, error: ApiError) -> StepStatus:
        raise error  # with Google's text

    def judge(self, shown: Any) -> StepStatus:
        if shown.disabled:
            # None of its keys pulls. Enabling it again is up to the administrator who disabled it.
            return StepStatus(State.MISSING, "it is disabled")
        return StepStatus(State.DONE, "exists")

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
                # Created by another program meanwhile, or by an attempt of ours whose answer was lost.
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
            await retry_while(create, why=why, deadline=session.context.deadline, tell=session.context.tell)
        except GoogleApiError as error:
            if self.attempt.exists and self._is_lag(error):
                raise messages.account_created_but_not_shown(self.noun, error) from None
            raise messages.account_refused(self.noun, error) from None
        # Also if another run has created it: it did not exist a moment ago.
        session.account_is_new = True
        session.forget_account()
        return (
            Done("", {}) if self.attempt.created else Done("another run has just created it", unneeded=True)
        )

    def _is_lag(self, error: GoogleApiError) -> bool:
        """Whether a read does not show an account that exists: "not found" in any form, or a 403."""
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
        """Whether the policy has the account as a member: Google marks a deleted one with `deleted:`."""
        target = self._session.target
        try:
            has_role = policy.has(await self._session.grant_policy(), target.role, target.account)
        except GoogleApiError:
            return ""
        return "it is said not to be there, and yet to have its role" if has_role else ""

    async def removal_of(self, shown: Any) -> Removal:
        session = self._session
        if session.target.account_given or not made_by_pullkey(shown):
            return Removal(Disposition.KEEP, self.noun, "it was not created by pullkey")
        self._unique_id = shown.unique_id
        others = await session.other_roles()
        return self.to_keep(f"it has other roles: {', '.join(others)}") if others else self.to_remove()

    async def remove(self) -> str:
        try:
            return await super().remove()
        finally:
            self._session.forget_account()

    async def delete(self, intent: Intent) -> None:
        """Delete the account by its unique id, since its name may be another account's by now."""
        session, target = self._session, self._session.target
        account = self._unique_id or target.account
        await session.cloud.delete_account(target.account_resource.replace(target.account, account))

    def is_same(self, shown: Any) -> bool:
        return self._unique_id in ("", shown.unique_id)

    def is_deleted(self, error: ApiError) -> bool:
        # Google answers 403 for a deleted account, too.
        return isinstance(error, GoogleApiError) and self._is_lag(error)

    def delay(self, error: Exception) -> Delay | None:
        return errors.delay_of(error)

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return errors.refused(error, doing)

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
            check='gcloud iam service-accounts describe "$EMAIL" --project="$PROJECT" '
            '--format="value(email)"',
            undo='gcloud iam service-accounts delete "$EMAIL" --project="$PROJECT" --quiet',
            typed='gcloud iam service-accounts create "$ACCOUNT" --project="$PROJECT"',
        )

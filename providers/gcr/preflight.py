"""What stands in the way of a Google target, told before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.common_steps import held_link
from bootstrap.errors import Problem, ProblemKind, PullkeyError
from bootstrap.steps import Findings, Notice, State
from providers.gcr import cloud, policy
from providers.gcr.facts import or_nothing
from providers.gcr.key import Key
from providers.gcr.target import KEYS_OF_AN_ACCOUNT, STORAGE_ROLE, UPLOAD

if TYPE_CHECKING:
    from providers.gcr.session import GcrSession

# "Restrict IAM service account usage": each constraint, and the managed one that takes its place.
_NO_KEYS = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")
_NO_UPLOAD = ("iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload")
_LIFE_LIMIT = "iam.serviceAccountKeyExpiryHours"


class Preflight:
    """The checks, side by side; each tells what it may not see, and none changes anything."""

    def __init__(self, session: GcrSession, key: Key) -> None:
        self._session = session
        self._target = session.target
        self._facts = session.facts
        self._key = key

    async def findings(self) -> Findings:
        self._session.account.begin()
        self._session.keys.begin()
        checks: list[Coroutine[Any, Any, Findings]] = [
            self._begin_policies(),
            self._about_project(),
            self._about_account(),
            self._about_apis(),
        ]
        if self._target.repository:
            checks.append(self._about_repository())
        findings = Findings()
        for found in await asyncio.gather(*checks):
            findings.add(found)
        if self._target.role == STORAGE_ROLE and not self._target.skip_grant:
            findings.notices.append(Notice(f"{STORAGE_ROLE} is broader than a puller needs: it reads every object in every bucket of {self._target.project}; and Artifact Registry, which serves gcr.io now, wants its own role for a pull."))  # fmt: skip
        return findings

    async def _begin_policies(self) -> Findings:
        """Where a key will be made, unless something stands in its way, these are asked before it is known what does."""
        session = self._session
        with contextlib.suppress(PullkeyError):
            link, _ = await held_link(session, session.context)
            if link is None:
                for name in _NO_UPLOAD if self._target.key_source == UPLOAD else _NO_KEYS:
                    self._facts.forbids(self._key_project, name).begin()
        return Findings()

    async def _about_project(self) -> Findings:
        from google.api_core import exceptions

        project = self._target.project
        try:
            state = await self._facts.project_state(project)()
        except (exceptions.NotFound, exceptions.PermissionDenied, exceptions.InvalidArgument) as error:
            if cloud.reason_of(error) == "SERVICE_DISABLED" or await self._holds_anything():
                return Findings()
            return Findings([Problem(ProblemKind.SETUP, f"Google shows no project {project} ({cloud.said(error)})", "Check --gcp-project against `gcloud projects list`; it takes the id, not the name or number")])  # fmt: skip
        except exceptions.GoogleAPICallError as error:
            return Findings([Problem(ProblemKind.SETUP, f"Google could not be asked about project {project}: {cloud.said(error)}", "Run it again in a while")])  # fmt: skip
        if state != "ACTIVE":
            return Findings([Problem(ProblemKind.SETUP, f"Project {project} is not active: {state}", "Restore it, or name another")])  # fmt: skip
        return Findings()

    async def _holds_anything(self) -> bool:
        """A project of which this person may do something exists, even where they may not look at it."""
        from google.api_core import exceptions

        try:
            return bool(
                await self._session.cloud.held_on_project(self._target.project, {"iam.serviceAccounts.get"})
            )
        except exceptions.GoogleAPICallError:
            return False

    async def _about_apis(self) -> Findings:
        from google.api_core import exceptions

        if self._target.enable_apis:
            return Findings()
        try:
            disabled = await self._session.disabled_services()
        except exceptions.GoogleAPICallError:
            return Findings()  # may not be asked; a call of a disabled API says so itself
        if not disabled:
            return Findings()
        return Findings([Problem(ProblemKind.SETUP, f"These APIs are not enabled in {self._target.project}: {', '.join(disabled)}", f"Give --enable-apis, or run: gcloud services enable {' '.join(disabled)} --project={self._target.project}")])  # fmt: skip

    async def _about_repository(self) -> Findings:
        from google.api_core import exceptions

        target = self._target
        try:
            kind = await self._facts.repository_format(target.repository_resource)()
        except exceptions.NotFound:
            there = await or_nothing(self._facts.repositories(target.project, target.location)())
            known = (
                f"There are: {', '.join(there)}"
                if there
                else f"There is none for images in {target.location}"
            )
            return Findings([Problem(ProblemKind.SETUP, f"Project {target.project} has no repository {target.repository} in {target.location}", f"{known}; see `gcloud artifacts repositories list`", step="grant")])  # fmt: skip
        except exceptions.GoogleAPICallError:
            return Findings()
        if kind != "DOCKER":
            return Findings([Problem(ProblemKind.SETUP, f"Repository {target.repository} holds no images: its format is {kind}", "Name one of format DOCKER", step="grant")])  # fmt: skip
        return Findings()

    async def _about_account(self) -> Findings:
        from google.api_core import exceptions

        target = self._target
        try:
            account = await self._session.account()
        except exceptions.GoogleAPICallError as error:
            if target.account_given:
                return Findings([Problem(ProblemKind.SETUP, f"Google shows no service account {target.account} ({cloud.said(error)})", "Check --service-account", step="identity")])  # fmt: skip
            return Findings()
        if account is None:
            if target.account_given:
                return Findings([Problem(ProblemKind.SETUP, f"There is no service account {target.account}", "Check --service-account; a bare name is created, an e-mail must exist", step="identity")])  # fmt: skip
            findings = await self._about_deleted_account()
            findings.add(await self._about_key_policy())
            return findings
        if account.disabled:
            return Findings([Problem(ProblemKind.SETUP, f"The service account {target.account} is disabled", f"Find out why; then: gcloud iam service-accounts enable {target.account}", step="identity")])  # fmt: skip
        try:
            sighting, keys = await self._key.look(), await self._session.keys()
        except exceptions.GoogleAPICallError:
            return await self._about_key_policy()
        if sighting.state is State.DONE:
            return Findings()
        if len(keys) >= KEYS_OF_AN_ACCOUNT:
            oldest = min(keys.values(), key=lambda key: key.valid_after_time)
            key_id = cloud.id_of(oldest)
            return Findings([Problem(ProblemKind.LIMIT, f"{target.account} has {len(keys)} keys, and Google allows {KEYS_OF_AN_ACCOUNT}", f"Delete one that nobody uses; the oldest is {key_id} of {oldest.valid_after_time:%Y-%m-%d}: gcloud iam service-accounts keys delete {key_id} --iam-account={target.account}", step="key")])  # fmt: skip
        return await self._about_key_policy()

    async def _about_deleted_account(self) -> Findings:
        """A deleted account of that name can come back for 30 days; a new one of the same name inherits nothing."""
        from google.api_core import exceptions

        if self._target.skip_grant:
            return Findings()
        try:
            gone = policy.deleted_accounts(await self._session.grant_policy(), self._target.account)
        except exceptions.GoogleAPICallError:
            return Findings()
        return Findings([], [Notice(f"A service account of this name was deleted (unique id {uid}); a new one is made, which inherits nothing of it. To have the old one instead, within 30 days: gcloud iam service-accounts undelete {uid}") for uid in gone])  # fmt: skip

    async def _about_key_policy(self) -> Findings:
        """Organisations made since May 2024 forbid keys by default; told first, and never tried."""
        uploads = self._target.key_source == UPLOAD
        wanted, other = (_NO_UPLOAD, _NO_KEYS) if uploads else (_NO_KEYS, _NO_UPLOAD)
        forbidding, unseen = await self._forbidding(wanted)
        findings = Findings()
        if forbidding:
            findings.problems.append(await self._forbidden(forbidding, other))
        elif unseen:
            findings.notices.append(Notice(f"Whether an organisation policy forbids keys could not be seen ({unseen}); it will show when the key is {'uploaded' if uploads else 'made'}."))  # fmt: skip
        if uploads:
            findings.add(await self._about_life())
        return findings

    async def _forbidden(self, forbidding: Sequence[str], other: Sequence[str]) -> Problem:
        """The problem of a policy, whose mend is the other way of making a key where that is allowed."""
        project, uploads = self._key_project, self._target.key_source == UPLOAD
        also, unseen = await self._forbidding(other)
        mend = "Ask whoever administers organisation policies for an exception for this project; or keep a project for such accounts where keys are allowed, and name one with --service-account EMAIL"
        if not also and not unseen:
            mend = "Leave --key-source out: Google itself may make a key here" if uploads else "Give --key-source upload: the key is made here then, and only its certificate goes to Google, which no policy forbids"  # fmt: skip
        elif not also and not uploads:
            mend = f"Give --key-source upload, which another policy may forbid or not ({unseen}). Else: {mend[0].lower()}{mend[1:]}"  # fmt: skip
        what = "the upload of keys" if uploads else "keys"
        return Problem(ProblemKind.POLICY, f"Organisation policy {' and '.join(forbidding)} forbids {what} of service accounts in {project}", mend, step="key")  # fmt: skip

    async def _forbidding(self, constraints: Sequence[str]) -> tuple[list[str], str]:
        """Those of the constraints that are in force; and why others could not be seen, or ""."""
        from google.api_core import exceptions

        asked = (self._facts.forbids(self._key_project, constraint)() for constraint in constraints)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        unseen = ""
        for answer in answers:
            if isinstance(answer, exceptions.GoogleAPICallError):
                unseen = cloud.status_of(answer)
            elif isinstance(answer, BaseException):
                raise answer
        return [name for name, answer in zip(constraints, answers, strict=True) if answer is True], unseen

    async def _about_life(self) -> Findings:
        """What an end date is worth, and whether a policy wants an earlier one."""
        from google.api_core import exceptions

        life = self._target.life
        findings = Findings([], [Notice("Google shows a certificate's end date as the key's. Whether it refuses the key from then on could not be confirmed, so pullkey does not rely on it: `pullkey rotate` counts a key as due well before its end, and deletes it.")])  # fmt: skip
        try:
            allowed = await self._facts.allowed_values(self._key_project, _LIFE_LIMIT)()
        except exceptions.GoogleAPICallError:
            return findings
        hours = [int(value[:-1]) for value in allowed if value[:-1].isdigit() and value.endswith("h")]
        if hours and life > dt.timedelta(hours=max(hours)):
            findings.problems.append(Problem(ProblemKind.POLICY, f"Organisation policy {_LIFE_LIMIT} lets a key of {self._key_project} last {max(hours)} h, and {life / dt.timedelta(hours=1):.0f} h are asked for", f"Give --expires-in {max(hours)}h", step="key"))  # fmt: skip
        return findings

    @property
    def _key_project(self) -> str:
        """The project whose policies decide about the account's keys."""
        target = self._target
        return target.account_project if target.account_project != "-" else target.project

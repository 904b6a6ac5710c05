"""The session of a Google target: its steps, preflight, diagnosis and scripts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import shlex
from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import PreflightFindings, Step
from providers.gcr import messages, messages_keys, policy
from providers.gcr.account_session import AccountSession
from providers.gcr.auto_key import AutoKey
from providers.gcr.errors import GoogleApiError
from providers.gcr.grant import Grant
from providers.gcr.key import Key
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.preflight import GcrPreflight
from providers.gcr.steps import EnableApis, Identity
from providers.gcr.target import AUTO, CREATE, UPLOAD, GcrTarget
from providers.gcr.uploaded_key import READ_CERTIFICATE, UploadedKey

_KEYS: Mapping[str, type[Key]] = {CREATE: Key, UPLOAD: UploadedKey, AUTO: AutoKey}


def _is_of_account(permission: str) -> bool:
    """Whether an account that exists can be asked for a permission."""
    return permission.startswith("iam.serviceAccount") and permission != "iam.serviceAccounts.create"


class GcrSession(AccountSession):
    """See `bootstrap.plugin.session.Session`."""

    retire_permissions = ("iam.serviceAccountKeys.disable", "iam.serviceAccountKeys.delete")
    restore_permissions = ("iam.serviceAccountKeys.enable",)

    def __init__(self, target: GcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self._key_policy = KeyPolicy(target, self.facts, self._why_not_upload)
        identity = Identity(self)
        self.key: Key = _KEYS[target.key_source](self, identity, self._key_policy)
        steps: list[Step] = [EnableApis(self)] if target.enable_apis else []
        steps.append(identity)
        if not target.skip_grant:
            steps.append(Grant(self))
        self.steps = [*steps, self.key]

    async def other_place(self, held: HeldCredential) -> str:
        """`acme-prod/eu-images` and `acme-prod-eu/images` have one name in Akka."""
        from providers.gcr.locate import locate  # late: few records are of another identity

        own = self.target
        try:
            found = await locate(held, self.context, {"impersonate_service_account": own.impersonate})
        except PullkeyError:
            return ""
        within = found.repository == own.repository or not (found.repository and own.repository)
        return "" if found.project == own.project and within else found.label

    @cached_property
    def _on_project(self) -> set[str]:
        """The permissions that steps, rotation, undo and removal need on the project."""
        every = {*self.retire_permissions}
        for step in self.steps:
            every |= {*step.permissions, *step.undo_permissions, *step.removal_permissions}
        return {name for name in every if not self._is_of_repository(name)}

    def _is_of_repository(self, permission: str) -> bool:
        """Whether the repository itself can be asked for a permission; a list of repositories is its
        project's.
        """
        return (
            bool(self.target.repository)
            and permission.startswith("artifactregistry.")
            and not permission.endswith(".list")
        )

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def connect(self) -> str:
        who: str = await self.cloud.login.connect()
        return who

    async def _why_not_upload(self) -> str:
        """Why this login or machine cannot upload a key that later runs recognise; "" if it can."""
        try:
            import cryptography  # noqa: F401  - older releases of google-auth do not bring it
        except ImportError as error:
            return messages_keys.library_for_upload_missing(error)
        missing = await self.missing_permissions([READ_CERTIFICATE]) or {}
        return messages_keys.permission_for_upload_missing(READ_CERTIFICATE) if missing else ""

    async def prompt_secrets(self) -> None:
        if self.target.key_source == UPLOAD:
            try:
                import cryptography  # noqa: F401  - older releases of google-auth do not bring it
            except ImportError as error:
                raise messages.sdk_missing(error) from None

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        target = self.target
        on_repository = {*filter(self._is_of_repository, permissions)}
        elsewhere = target.account_project != target.project
        on_account = {*filter(_is_of_account, permissions)}
        # One call asks for all that this target can need, so that later callers share its answer.
        on_project = {*permissions, *self._on_project} - on_repository
        if elsewhere:
            on_project = {name for name in on_project if not _is_of_account(name)}
        asked: list[Awaitable[set[str]]] = [
            self.facts.held_on_project(target.project, frozenset(on_project))()
        ]
        if on_repository:
            asked.append(
                self.facts.held_on_repository(target.repository_resource, frozenset(on_repository))()
            )
        try:
            held = set().union(*await asyncio.gather(*asked))
            # On a project that does not exist no one has a permission, which says nothing about this login.
            if not held and await self._shows_no_project():
                return None
            if on_repository - held and await self._has_no_repository():
                held |= on_repository
            still = on_account - held
            if still and (elsewhere or await self.account() is not None):
                # Permissions on an account and its keys may be granted on the account alone.
                held |= await self.cloud.held_on_account(target.account_resource, still)
        except GoogleApiError:
            return None
        places = {
            **dict.fromkeys(on_project, f"project {target.project}"),
            **dict.fromkeys(on_repository, f"repository {target.repository}"),
            **{
                name: f"service account {target.account}"
                for name in on_account
                if elsewhere or name.startswith("iam.serviceAccountKeys.")
            },
        }
        return {name: places[name] for name in permissions if name not in held}

    async def _has_no_repository(self) -> bool:
        try:
            await self.facts.repository_kind(self.target.repository_resource)()
        except GoogleApiError as error:
            return error.missing
        return False

    async def _shows_no_project(self) -> bool:
        try:
            await self.facts.project_state(self.target.project)()
        except GoogleApiError as error:
            return error.no_such_project and not error.disabled_service
        return False

    async def preflight(self) -> PreflightFindings:
        return await GcrPreflight(self, self.key, self._key_policy).findings()

    async def probe(self) -> Probe:
        target = self.target
        if target.image_path:
            return Probe(target.host, f"{target.path}/{target.image_path}", target.reference)
        # A remote or virtual repository would ask another registry for an image that cannot be there, and
        # answer with what that one says.
        if target.repository:
            with contextlib.suppress(GoogleApiError):
                if not (await self.facts.repository_kind(target.repository_resource)()).is_standard:
                    return Probe(target.host)
            return Probe(target.host, f"{target.path}/pullkey-probe")
        with contextlib.suppress(GoogleApiError):
            there = await self.facts.repositories(target.project, target.location)()
            if own := next((name for name, kind in there.items() if kind.is_standard), ""):
                return Probe(target.host, f"{target.path}{own}/pullkey-probe")
        return Probe(target.host)

    async def image_reader(self) -> Credential | None:
        """The login's access token (Artifact Registry, "Configure authentication to Artifact Registry for
        Docker").
        """
        token = await self.cloud.login.access_token()
        if token is None:
            return None
        return Credential(self.target.host, "oauth2accesstoken", token, KeyRef("", "", ""))

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        self.keys.invalidate()
        self.grant_policy.invalidate()
        key_id, role = self.credential.link.key_id, self.target.role
        try:
            keys = await self.cloud.user_keys(self.target.account_resource)
            granted = self.target.skip_grant or policy.has(
                await self.grant_policy(), role, self.target.account
            )
        except GoogleApiError:
            return ""
        if key_id not in keys:
            return messages_keys.key_deleted_meanwhile(key_id)
        if keys[key_id].disabled:
            return messages_keys.key_disabled_meanwhile(key_id)
        if not granted:
            return messages.role_removed_meanwhile(role, self.target.grant_resource)
        if self.target.skip_grant:
            return messages.GRANT_UNKNOWN
        return messages.STILL_SPREADING

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        target = self.target
        named = {
            "PROJECT": target.project,
            "ACCOUNT": target.account_name,
            "EMAIL": target.account,
            "ROLE": target.role,
            "SERVER": f"https://{target.host}",
        }
        if self._key_policy.source == UPLOAD:
            named["DAYS"] = str(math.ceil(self._key_policy.life / dt.timedelta(days=1)))
        if target.grant_on_repository:
            named |= {"LOCATION": target.location, "REPOSITORY": target.repository}
        return {name: shlex.quote(value) for name, value in named.items()}

    @property
    def script_credential(self) -> Mapping[str, str]:
        link = f'"{self.target.account_name}+$KEY_ID@{self.target.account_domain}"'
        return {
            "server": '"$SERVER"',
            "username": "_json_key",
            "email": link,
            "password": '"$(cat "$KEY_FILE")"',
        }

"""One Google target, open: the steps, and the facts that they share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import shlex
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from bootstrap.credential import Credential
from bootstrap.errors import KeyGone, PullkeyError
from bootstrap.link import KeyLink
from bootstrap.once import Once
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.resource import delete_until_gone
from bootstrap.plugin.session_keys import SessionKeys
from bootstrap.provider import KeyFacts, RunContext, Session
from bootstrap.registry import Attempt, Probe, Verdict
from bootstrap.steps import Findings, Step
from bootstrap.waiting import Deadline, wait_out
from providers.gcr import cloud, errors, login, policy
from providers.gcr.changes import shared_changes
from providers.gcr.errors import GoogleApiError
from providers.gcr.facts import or_nothing, shared_cloud, shared_facts
from providers.gcr.key import Key
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.preflight import Preflight
from providers.gcr.steps import (
    UNDO_ACCOUNT,
    UNDO_KEY,
    EnableApis,
    Grant,
    Identity,
    is_new,
    made_by_pullkey,
)
from providers.gcr.target import UPLOAD, GcrTarget

_SERVICES = ("artifactregistry.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com")


class GcrSession(Session):
    """See `bootstrap.provider.Session`."""

    disables_keys = True
    retire_permissions = ("iam.serviceAccountKeys.disable", "iam.serviceAccountKeys.delete")

    def __init__(self, target: GcrTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.cloud = shared_cloud(context, target.impersonate)
        self.facts = shared_facts(context.shared, self.cloud)
        self.changes = shared_changes(context.shared, self.cloud, self.facts)
        # By this run or a recent one: some of Google's servers may not know it yet.
        self.account_is_new = False
        # Keys that sessions of this command have made; none of these has appeared by chance.
        self.made_keys: set[str] = context.shared.get("gcr-made-keys", set)
        self.taken_roles: set[tuple[str, str, str]] = context.shared.get("gcr-taken-roles", set)
        self.account = Once(self._account)
        self.keys = self.facts.keys(target.account_resource)
        self.account_policy = self.facts.policy(target.account_resource)
        self.disabled_services = self.facts.disabled_services(target.project, _SERVICES)
        self.grant_policy = self.facts.policy(target.grant_resource)
        self.key_policy = KeyPolicy(self)
        self.key = SessionKeys(self)
        self._key = Key(self)
        steps: list[Step] = [EnableApis(self)] if target.enable_apis else []
        self._identity = Identity(self)
        steps.append(self._identity)
        if not target.skip_grant:
            steps.append(Grant(self))
        self.steps = [*steps, self._key]

    @property
    def account_created(self) -> bool:
        """Whether this run has created the account."""
        return self._identity.attempt.created

    # -- facts ---------------------------------------------------------------------------------------------------

    async def _account(self) -> Any:
        target = self.target
        try:
            found = await self.facts.account(target.account_resource)()
            if found is None and (why := await self._why_account_is_there()):
                found = await self.facts.confirmed_account(target.account_resource, why, self.context.deadline)()  # fmt: skip
        except GoogleApiError as error:
            if error.forbidden and target.enable_apis:
                return None  # the IAM API may be one of those that are to be enabled
            raise
        self.account_is_new |= found is not None and is_new(found)
        return found

    async def _why_account_is_there(self) -> str:
        """What speaks against an answer that there is no such account."""
        if self.target.account_given:
            return "named by its e-mail"
        with contextlib.suppress(PullkeyError):
            link, _ = await key_in_record(self, await self.context.held_credential())
            if link is not None:
                return "Akka's record names it"
        return ""

    def forget_account(self) -> None:
        """The account was made or removed."""
        self.account.forget()
        self.facts.account(self.target.account_resource).forget()
        self.facts.confirmed_account(self.target.account_resource, "", self.context.deadline).forget()
        self.account_policy.forget()
        self.keys.forget()

    @cached_property
    def _on_project(self) -> set[str]:
        """The permissions that steps, rotation and undoing take, as far as they are not on a repository."""
        of_steps = {name for step in self.steps for name in step.permissions}
        every = of_steps | {
            *self.retire_permissions,
            UNDO_KEY,
            *([] if self.target.account_given else [UNDO_ACCOUNT]),
        }
        return {name for name in every if not name.startswith("artifactregistry.")}

    # -- as `bootstrap.provider.Session` -------------------------------------------------------------------------

    async def connect(self) -> str:
        who: str = await self.cloud.login.connect()
        return who

    async def ask(self) -> None:
        if self.target.key_source == UPLOAD:
            try:
                import cryptography  # noqa: F401  - older releases of google-auth do not bring it
            except ImportError as error:
                raise login.sdk_missing(error) from None

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return f"https://{self.target.host}"

    async def username(self) -> str:
        return "_json_key"

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        target = self.target
        on_repository = {name for name in permissions if name.startswith("artifactregistry.")}
        on_account = {name for name in permissions if name.startswith("iam.serviceAccountKeys.")}
        # All that this target can ever need is asked in one call, which whoever asks next shares.
        on_project = {*permissions, *self._on_project} - on_repository
        elsewhere = target.account_project != target.project
        if elsewhere:
            on_project = {name for name in on_project if not name.startswith("iam.serviceAccountKeys.")}
        asked: list[Awaitable[set[str]]] = [
            self.facts.held_on_project(target.project, frozenset(on_project))()
        ]
        if on_repository:
            asked.append(
                self.facts.held_on_repository(target.repository_resource, frozenset(on_repository))()
            )
        try:
            held = set().union(*await asyncio.gather(*asked))
            # Of what is not there nobody holds any permission, which says nothing of this person.
            if not held and await self._shows_no_project():
                return None
            if on_repository - held and await self._has_no_repository():
                held |= on_repository
            still = on_account - held
            if still and (elsewhere or await self.account() is not None):
                # A right on keys may be held on the account alone.
                held |= await self.cloud.held_on_account(target.account_resource, still)
        except GoogleApiError:
            return None
        places = {
            **dict.fromkeys(on_project, f"project {target.project}"),
            **dict.fromkeys(on_repository, f"repository {target.repository}"),
            **dict.fromkeys(on_account, f"service account {target.account}"),
        }
        return {name: places[name] for name in permissions if name not in held}

    async def _has_no_repository(self) -> bool:
        try:
            await self.facts.repository_format(self.target.repository_resource)()
        except GoogleApiError as error:
            return error.missing
        return False

    async def _shows_no_project(self) -> bool:
        try:
            await self.facts.project_state(self.target.project)()
        except GoogleApiError as error:
            return error.no_such_project and not error.disabled_service
        return False

    async def holds_anything(self) -> bool:
        """A project of which this person may do something exists, even where they may not look at it."""
        project = f"projects/{self.target.project}"
        try:
            return bool(await self.cloud.held_on_project(project.removeprefix("projects/"), {"iam.serviceAccounts.get"}))  # fmt: skip
        except GoogleApiError:
            return False

    async def preflight(self) -> Findings:
        return await Preflight(self, self._key).findings()

    async def probe(self) -> Probe:
        target = self.target
        if target.image_path:
            return Probe(target.host, f"{target.path}/{target.image_path}", target.reference)
        repository = target.repository
        if not repository:
            there = await or_nothing(self.facts.repositories(target.project, target.location)())
            if not there:
                return Probe(target.host)
            return Probe(target.host, f"{target.path}{there[0]}/pullkey-probe")
        return Probe(target.host, f"{target.path}/pullkey-probe")

    async def image_reader(self) -> Credential | None:
        """The login's access token (Artifact Registry, "Configure authentication to Artifact Registry for Docker")."""
        token = await self.cloud.login.access_token()
        if token is None:
            return None
        return Credential(self.target.host, "oauth2accesstoken", token, KeyLink("", "", ""))

    async def diagnose(self, attempt: Attempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        self.keys.forget()
        self.grant_policy.forget()
        key_id, role = self.credential.link.key_id, self.target.role
        try:
            keys = await self.cloud.user_keys(self.target.account_resource)
            granted = self.target.skip_grant or policy.has(
                await self.grant_policy(), role, self.target.account
            )
        except GoogleApiError:
            return ""
        if key_id not in keys:
            return f"Google no longer shows the key {key_id}: it was deleted outside of pullkey."
        if keys[key_id].disabled:
            return f"Google shows the key {key_id} as disabled: a policy may disable new keys."
        if not granted:
            return f"Google no longer shows {role} on {self.target.grant_resource}: it was removed outside of pullkey."
        if self.target.skip_grant:
            return "The key is valid; whether the role was granted is not known here (--skip-grant)."
        return "Google shows key and role in place, so it is still spreading, or a deny policy forbids it."

    def holds(self, link: KeyLink) -> bool:
        # Akka may have cut a long e-mail, the domain being its end.
        return link.name == self.target.account_name and self.target.account_domain.startswith(link.domain)

    async def identity(self) -> str:
        return self.target.account

    # -- the keys of the account ----------------------------------------------------------------------------------

    async def recorded_key(self, key_id: str) -> Any:
        """The key that Akka's record names, or None: a list that does not show it is one of a server that may lag.

        Raises:
            GoogleApiError: the keys cannot be seen.
        """
        found = (await self.keys()).get(key_id)
        if found is not None:
            return found
        resource = self._key_resource(key_id)
        return await self.facts.confirmed_key(
            resource, lambda: self._key_now(key_id), self.context.deadline
        )()

    async def _key_now(self, key_id: str) -> Any:
        """A key as Google shows it now, in the list of its account's or by its id; None if in neither."""
        found = (await self._keys_now(self.target.account_resource)).get(key_id)
        return found or await self._key_by_id(key_id)

    async def _key_by_id(self, key_id: str) -> Any:
        try:
            return await self.cloud.public_key(self._key_resource(key_id))
        except GoogleApiError as error:
            if error.not_shown:
                return None
            raise

    async def keys_counted(self) -> list[KeyFacts]:
        try:
            return [_facts(key_id, key) for key_id, key in (await self.keys()).items()]
        except GoogleApiError as error:
            raise errors.refused(error, f"show the keys of {self.target.account}") from None

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        # An answer from before a change must not stand for what is now.
        self.keys.forget()
        try:
            found = (await self.keys()).get(key_id) or await self._key_by_id(key_id)
        except GoogleApiError as error:
            raise errors.refused(error, f"show the keys of {self.target.account}") from None
        if found is None:
            return None
        return _facts(key_id, found)

    async def delete_key(self, key_id: str) -> bool:
        try:
            return await self.delete_key_at(self._key_resource(key_id), self.context.deadline)
        except GoogleApiError as error:
            raise errors.refused(error, f"delete key {key_id} of {self.target.account}") from None

    async def delete_key_at(self, resource: str, deadline: Deadline) -> bool:
        """Delete a key; False if somebody else has deleted it before.

        Raises:
            GoogleApiError: Google refuses.
        """
        account, _, key_id = resource.partition("/keys/")

        async def still_shown() -> bool:
            return key_id in await self._keys_now(account) or await self._is_shown(resource)

        async def missed(_error: ApiError) -> None:
            # What was created a moment ago is not known to every server of Google's, and must not be taken for gone.
            if key_id in self.made_keys or await still_shown():
                raise errors.lagging(f"it does not know key {key_id} yet")

        try:
            return await delete_until_gone(
                lambda: self.cloud.delete_key(resource),
                missed=missed,
                still_shown=still_shown,
                delay=errors.delay_of,
                deadline=deadline,
                tell=self.context.tell,
            )
        finally:
            self.keys.forget()

    async def _keys_now(self, account: str) -> Mapping[str, Any]:
        try:
            return await self.cloud.user_keys(account)
        except GoogleApiError as error:
            if error.missing:
                return {}
            raise

    async def _is_shown(self, resource: str) -> bool:
        try:
            await self.cloud.public_key(resource)
        except GoogleApiError as error:
            if error.not_shown:
                return False
            raise
        return True

    def delete_key_command(self, key_id: str) -> str:
        return f"gcloud iam service-accounts keys delete {key_id} {cloud.of_account(self.target.account_resource)}"

    async def switch_key(self, key_id: str, *, on: bool) -> None:
        async def switch() -> None:
            try:
                await self.cloud.switch_key(self._key_resource(key_id), on=on)
            except GoogleApiError as error:
                if not error.missing:
                    raise
                if await self._key_now(key_id) is not None:
                    raise errors.lagging(f"it does not know key {key_id} yet") from None
                raise KeyGone(
                    f"Key {key_id} of {self.target.account} was deleted",
                    fix="Create a new one with `pullkey rotate` or `pullkey onboard`.",
                ) from None

        deadline, tell = self.context.deadline, self.context.tell
        try:
            await wait_out(switch, why=errors.delay_of, deadline=deadline, tell=tell)
        except GoogleApiError as error:
            verb = "enable" if on else "disable"
            raise errors.refused(error, f"{verb} key {key_id} of {self.target.account}") from None
        finally:
            self.keys.forget()

    def _key_resource(self, key_id: str) -> str:
        return f"{self.target.account_resource}/keys/{key_id}"

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        """Other keys that somebody made, and whoever may act as the account: a workload may do so without a key."""
        try:
            self.keys.forget()
            keys, found = await asyncio.gather(self.keys(), self.account_policy())
        except GoogleApiError as error:
            if error.missing:
                return []
            raise errors.refused(error, f"show who else uses {self.target.account}") from None
        others = [
            f"key {key_id} of {key.valid_after_time:%Y-%m-%d}"
            for key_id, key in sorted(keys.items(), key=lambda item: item[1].valid_after_time)
            if key_id not in ours
        ]
        return others + [f"{name}, who has {role} on it" for role, name in policy.members(found)]

    async def keys_of_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """A key has no mark, so all those of an account that pullkey has made."""
        if self.target.account_given:
            return []
        if not as_seen:
            self.keys.forget()
        try:
            account, keys = await asyncio.gather(self.account(), self.keys())
        except GoogleApiError as error:
            raise errors.refused(error, f"show the keys of {self.target.account}") from None
        if account is None or not made_by_pullkey(account):
            return []
        return [_facts(key_id, key) for key_id, key in sorted(keys.items())]

    async def other_roles(self) -> list[str]:
        """What the account has beside this target's grant, as far as this project and location go.

        Raises:
            GoogleApiError: it may not be seen.
        """
        target = self.target
        names = await self.facts.repositories(target.project, target.location)()
        parent = f"projects/{target.project}/locations/{target.location}/repositories"
        places = {f"projects/{target.project}": f"project {target.project}"} | {
            f"{parent}/{name}": f"repository {name}" for name in names
        }
        for resource in places:
            self.facts.policy(resource).forget()
        found = await asyncio.gather(*(self.facts.policy(resource)() for resource in places))
        return [
            f"{role} on {where}"
            for (resource, where), one in zip(places.items(), found, strict=True)
            for role, conditional in policy.roles(one, target.account)
            if conditional or (resource, role) != (target.grant_resource, target.role)
        ]

    def role_with(self, permission: str) -> str:
        return errors.ROLES.get(permission, "")

    # -- scripts -------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        target = self.target
        named = {
            "PROJECT": target.project,
            "ACCOUNT": target.account_name,
            "EMAIL": target.account,
            "ROLE": target.role,
            "SERVER": f"https://{target.host}",
        }
        if target.key_source == UPLOAD:
            named["DAYS"] = str(math.ceil(target.life / dt.timedelta(days=1)))
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


def _facts(key_id: str, key: Any) -> KeyFacts:
    return KeyFacts(key_id, key.valid_after_time, cloud.end_of(key), key.disabled)

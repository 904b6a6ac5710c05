"""The JSON key of a Google service account, which Google creates."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bootstrap.model.credential import Credential
from bootstrap.model.errors import KeyLimitReached, LeftOver, PullkeyError, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.step import Intent, Script, State, StepStatus, other_than
from providers.gcr import cloud, errors, messages_keys, policy
from providers.gcr.account_session import AccountSession, made_by_pullkey
from providers.gcr.errors import GoogleApiError
from providers.gcr.key_limit import key_limit_problem
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.mark import Mark, mark_in
from providers.gcr.steps import Identity
from providers.gcr.upload import fingerprint_of

_CHECK = (
    'gcloud iam service-accounts keys list --iam-account="$EMAIL" --managed-by=user '
    '--format="value(name)" | grep "$KEY_ID"'
)
_UNDO = (
    ': "${KEY_ID:?the key to delete; see: gcloud iam service-accounts keys list '
    '--iam-account=$EMAIL}"\ngcloud iam service-accounts keys delete "$KEY_ID" --iam-account="$EMAIL" '
    "--quiet"
)
_TYPED = (
    'gcloud iam service-accounts keys create "$KEY_FILE" --iam-account="$EMAIL"\n'
    'KEY_ID="$(sed -n \'s/.*"private_key_id": *"\\([0-9a-f]*\\)".*/\\1/p\' "$KEY_FILE")"'
)

Created = tuple[Any, Secret]
"""Google's description of a new key, and its key file."""


class Key(KeyResource[Any, Created]):
    """A key has no label: this run's is one that a list from before the creation does not have."""

    marked = False
    can_disable = True
    asks_two_places = True
    finds_lost_keys = True
    undo_pauses = ()
    permissions: tuple[str, ...] = ("iam.serviceAccountKeys.create", "iam.serviceAccountKeys.list")
    look_permissions = ("iam.serviceAccountKeys.list",)
    undo_permissions: tuple[str, ...] = ("iam.serviceAccountKeys.delete",)
    removal_permissions = (
        "iam.serviceAccountKeys.list",
        "iam.serviceAccountKeys.delete",
        "iam.serviceAccounts.getIamPolicy",
    )

    def __init__(self, session: AccountSession, identity: Identity, key_policy: KeyPolicy) -> None:
        super().__init__(session)
        self._session = session
        self._identity = identity
        self._key_policy = key_policy
        self._resource = session.target.account_resource
        # Created by all sessions of this command: none of these is another program's.
        self.created = session.context.shared.get("gcr-made-keys", set)

    @property
    def title(self) -> str:
        return f"Create a JSON key of {self._session.target.account_name}"

    @property
    def whose(self) -> str:  # type: ignore[override]
        return f" of {self._session.target.account}"

    def warning(self) -> str:
        return messages_keys.KEY_DOES_NOT_EXPIRE

    def intent(self) -> Intent:
        return {"account": self._resource, "before": list(self.before or ())}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, account=self._resource)

    def owns(self, link: KeyRef) -> bool:
        # Akka may have cut a long e-mail, at the end of its domain.
        target = self._session.target
        return link.name == target.account_name and target.account_domain.startswith(link.domain)

    def example_ref(self) -> KeyRef:
        # A key's id is a SHA-1 in hex: "Creating and managing service account keys" shows such ids.
        target = self._session.target
        return KeyRef(target.account_name, "0" * 40, target.account_domain)

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> Any:
        """A key as Google shows it now, in the account's list or by its id; None if in neither."""
        self.invalidate()
        found = (await self._session.keys()).get(key_id)
        if found is not None:
            return found
        try:
            return await self._session.cloud.public_key(f"{self._resource}/keys/{key_id}")
        except GoogleApiError as error:
            if error.not_shown:
                return None
            raise

    async def recorded(self, key_id: str) -> Any:
        """A key by the list that the account's targets share; one that the list lacks is read by its id."""
        session = self._session
        found = (await session.keys()).get(key_id)
        if found is not None:
            return found
        named = f"{self._resource}/keys/{key_id}"
        return await session.facts.confirmed_key(named, lambda: self.read(key_id), session.context.deadline)()

    def facts_of(self, shown: Any) -> KeyFacts:
        return KeyFacts(cloud.id_of(shown), shown.valid_after_time, cloud.end_of(shown), shown.disabled)

    async def create(self) -> Created:
        answer = await self._session.cloud.create_key(self._resource)
        # Google's key file in one line: the same JSON, without line breaks that a shell or parser could
        # mishandle.
        return answer, Secret(json.dumps(json.loads(answer.private_key_data), separators=(",", ":")))

    def id_of(self, answer: Created) -> str:
        return cloud.id_of(answer[0])

    async def credential_of(self, answer: Created) -> Credential:
        session, target = self._session, self._session.target
        return Credential(
            server=await session.server(),
            username=await session.username() or "",
            password=answer[1],
            link=KeyRef(target.account_name, self.id_of(answer), target.account_domain),
            expires=cloud.end_of(answer[0]),
        )

    async def send_deletion(self, key_id: str) -> None:
        await self._session.cloud.delete_key(f"{self._resource}/keys/{key_id}")

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        await self._session.cloud.switch_key(f"{self._resource}/keys/{key_id}", on=on)

    def is_marked(self, intent: Intent) -> bool:
        """An uploaded key is marked by its public key, whatever keys others create at the same time."""
        return bool(intent.get("fingerprint"))

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [cloud.id_of(key) for key in await self.uploaded(intent)]

    async def uploaded(self, intent: Intent) -> list[Any]:
        """Those of the keys that appeared whose public half is that of the intent's run."""
        found = []
        for key_id in await self._appeared(intent["before"]):
            try:
                key = await self._session.cloud.public_key(f"{self._resource}/keys/{key_id}")
            except GoogleApiError as error:
                if error.missing:
                    continue
                raise
            if fingerprint_of(key.public_key_data) == intent["fingerprint"]:
                found.append(key)
        return found

    async def ids_now(self) -> Collection[str]:
        return await self._session.cloud.user_keys(self._resource)

    async def ids_seen(self) -> Collection[str]:
        return await self._session.keys()

    @property
    def identity_created(self) -> bool:
        return self._identity.attempt.created

    def invalidate(self) -> None:
        self._session.keys.invalidate()

    # -- keys that runs on any machine have lost -------------------------------------------------------------

    async def of_lost_runs(self, place: str, known: Collection[str]) -> list[Any]:
        return [
            key
            for key_id, key in (await self._listed()).items()
            if cloud.is_uploaded(key)
            and key_id not in known
            and (mark := await self._mark_of(key_id)) is not None
            and mark.is_of_lost_run(place)
        ]

    async def _mark_of(self, key_id: str) -> Mark | None:
        """The mark in an uploaded key's certificate; None without one, or if it cannot be read."""
        try:
            return mark_in(await self._session.facts.certificate(f"{self._resource}/keys/{key_id}")())
        except GoogleApiError as error:
            if error.not_shown:
                return None
            raise self.refusal(error, f"show {self.shown_as(key_id)}") from None

    # -- all keys of the account -----------------------------------------------------------------------------

    async def list_counted(self) -> list[KeyFacts]:
        return [self.facts_of(one) for one in (await self._listed()).values()]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """All keys of an account that pullkey has created, since a key has no mark."""
        if self._session.target.account_given:
            return []
        if not as_seen:
            self.invalidate()
        try:
            account, keys = await asyncio.gather(self._session.account(), self._session.keys())
        except GoogleApiError as error:
            raise self.refusal(error, f"show {self.shown_as('')}") from None
        if account is None or not made_by_pullkey(account):
            return []
        return [self.facts_of(one) for _, one in sorted(keys.items())]

    async def _listed(self) -> Mapping[str, Any]:
        try:
            return await self._session.keys()
        except GoogleApiError as error:
            raise self.refusal(error, f"show {self.shown_as('')}") from None

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        """Other user-managed keys, and the members that may act as the account, which takes no key."""
        session = self._session
        try:
            self.invalidate()
            keys, found = await asyncio.gather(session.keys(), session.account_policy())
        except GoogleApiError as error:
            if error.missing:
                return []
            raise self.refusal(error, f"show who else uses {session.target.account}") from None
        others = [
            f"key {key_id} of {key.valid_after_time:%Y-%m-%d}"
            for key_id, key in sorted(keys.items(), key=lambda item: item[1].valid_after_time)
            if key_id not in ours
        ]
        return others + [f"{name}, who has {role} on it" for role, name in policy.members(found)]

    # -- what errors are -------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return errors.delay_of(error)

    def creation_delay(self, error: Exception) -> Delay | None:
        if not isinstance(error, GoogleApiError) or error.is_key_limit:
            return None
        session = self._session
        unknown = error.code in ("NOT_FOUND", "PERMISSION_DENIED") and (
            error.is_unknown_account(session.target.account) or (session.account_is_new and error.missing)
        )
        # A 403 of an account that is not new is a 403.
        if unknown and (session.account_is_new or error.missing):
            return errors.new_account_delay()
        return errors.delay_of(error)

    def lagging(self, error: ApiError, key_id: str) -> ApiError:
        return errors.lagging(f"it does not know key {key_id} yet")

    def unread(self, error: ApiError) -> StepStatus:
        found = errors.as_google(error)
        if found.forbidden and self._session.target.enable_apis and found.disabled_service:
            return StepStatus(State.MISSING, "the IAM API is to be enabled first")
        raise error  # with Google's text

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return errors.refused(error, doing)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        found = errors.as_google(error)
        if found.is_key_limit:
            with contextlib.suppress(PullkeyError):
                if (problem := await key_limit_problem(self._session, failed=found.summary)) is not None:
                    return KeyLimitReached(problem.what, fix=problem.fix, code=problem.code)
        if constraint := found.constraint:
            problem = await self._key_policy.forbidden([constraint])
            return StepFailed(problem.what, fix=problem.fix, code=problem.code)
        refusal = errors.refused(found, self.creating, permission="iam.serviceAccountKeys.create")
        if (longest := found.longest_key_life) is not None:
            refusal.fix = f"Pass --expires-in {longest // dt.timedelta(hours=1)}h"
        return refusal

    # -- texts -----------------------------------------------------------------------------------------------

    @property
    def creating(self) -> str:
        """The creation, as the text after "to"."""
        return f"create a key of {self._session.target.account}"

    def shown_as(self, key_id: str) -> str:
        return f"the keys of {self._session.target.account}"

    def created_as(self, answer: Created) -> str:
        shown, ends = answer[0], cloud.end_of(answer[0])
        if ends is None:
            return f"key {self.id_of(answer)}"
        # Set by an organisation policy, which the preflight may not have been able to read.
        in_time = messages_keys.rotate_in_time(ends - shown.valid_after_time).rstrip(".")
        return f"key {self.id_of(answer)}, which expires on {ends:%Y-%m-%d %H:%M} UTC. {in_time}"

    def perhaps_as(self, keys: Sequence[str]) -> LeftOver:
        # Another program may have created it at the same time: a key is never deleted on a guess.
        return messages_keys.perhaps_unused_keys(
            self._session.target.account, keys, [*map(self.delete_command, keys)]
        )

    def delete_command(self, key_id: str) -> str:
        what = f"delete {key_id}" if key_id else "list --managed-by=user"
        return f"gcloud iam service-accounts keys {what} {cloud.of_account(self._resource)}"

    def script(self) -> Script:
        return Script(
            do=f'KEY_FILE="$(mktemp)"\ntrap \'rm -f "$KEY_FILE"\' EXIT\n{_TYPED}\necho "The key is $KEY_ID"',
            check=_CHECK,
            undo=_UNDO,
            typed=f"KEY_FILE=keyfile.json\n{_TYPED}",
        )

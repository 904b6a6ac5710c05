"""The key of a Google service account: made by Google, or made here and uploaded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from bootstrap.credential import Credential
from bootstrap.errors import KeyLimitReached, LeftOver, OutcomeUnknown, PullkeyError, StepFailed
from bootstrap.link import KeyLink
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import Attempt
from bootstrap.secret import Secret
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Delay, wait_out
from providers.gcr import cloud, errors, upload
from providers.gcr.errors import GoogleApiError
from providers.gcr.key_limit import key_limit_problem
from providers.gcr.key_policy import rotate_in_time
from providers.gcr.target import UPLOAD
from providers.gcr.upload import KeyPair, fingerprint_of, key_file, make_pair

if TYPE_CHECKING:
    from providers.gcr.session import GcrSession

# When a list is asked for a key whose creation got no answer: lists lag, and a second call makes a second key.
_SETTLE_PAUSES = (2.0, 2.0, 3.0)


class Key(Step):
    """One JSON key. It has no label: which one is ours tells the list of those from before, or its public half."""

    name = "key"
    after = ("identity",)
    permissions: tuple[str, ...] = ("iam.serviceAccountKeys.create", "iam.serviceAccountKeys.list")

    def __init__(self, session: GcrSession) -> None:
        self._session = session
        self._before: list[str] = []
        self._pair: KeyPair | None = None
        self.attempt = Attempt()
        self._listed = False
        self._uploads = session.target.key_source == UPLOAD
        if self._uploads:
            # To upload is to create, for IAM: there is no permission of its own. To look whose a key is, is to get it.
            self.permissions += ("iam.serviceAccountKeys.get",)

    @property
    def title(self) -> str:
        name = self._session.target.account_name
        return f"Upload the certificate of a new key of {name}" if self._uploads else f"Create a JSON key of {name}"  # fmt: skip

    def warning(self) -> str:
        if self._uploads:
            return ""
        return "The key does not expire. For one that does: `--key-source upload --expires-in 90d`. Otherwise replace it regularly: pullkey rotate --all --due"

    async def look(self) -> Sighting:
        session = self._session
        try:
            keys = await session.keys()
        except GoogleApiError as error:
            if error.forbidden and session.target.enable_apis and error.disabled_service:
                return Sighting(State.MISSING, "the IAM API is to be enabled first")
            raise
        self._listed, self._before = True, sorted(keys)
        link, reason = await usable_key(session)
        if link is None:
            return Sighting(State.MISSING, reason)
        # It may be there though the list does not show it, so it has not appeared when a later list does.
        self._before = sorted({*keys, link.key_id})
        key = await session.recorded_key(link.key_id)
        if key is None:
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, was deleted")
        if key.disabled:
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, is disabled")
        if key.valid_before_time and key.valid_before_time <= clock.now():
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds key {link.key_id}, which is valid")

    def intent(self) -> Intent:
        intent = {"account": self._session.target.account_resource, "before": self._before}
        if self._uploads:
            intent["fingerprint"] = self._own_pair().fingerprint
        return intent

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, account=self._session.target.account_resource)

    def _own_pair(self) -> KeyPair:
        if self._pair is None:
            self._pair = make_pair(self._session.target.life)
        return self._pair

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        if not self._listed:
            # The IAM API has only just been enabled: what is there already has not appeared since.
            self._before = sorted(await session.keys())
        try:
            answer, password = await wait_out(
                self._upload if self._uploads else self._create,
                why=self._delay,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except GoogleApiError as error:
            raise await self._failure(error) from None
        finally:
            session.keys.forget()
        key_id = cloud.id_of(answer)
        session.made_keys.add(key_id)
        if self._uploads and self.attempt.unanswered:
            await self._remove_doubles(key_id)
        left_over = await self._lost_keys() if self.attempt.unanswered and not self._uploads else None
        session.credential = Credential(
            server=await session.server(),
            username="_json_key",
            password=password,
            link=KeyLink(target.account_name, key_id, target.account_domain),
            ends=cloud.end_of(answer),
        )
        ends = session.credential.ends
        until = f", which expires on {ends:%Y-%m-%d %H:%M} UTC" if ends else ""
        if ends is not None and not self._uploads:
            # An organisation policy's, which may not have been readable before.
            until += f". {rotate_in_time(ends - answer.valid_after_time)}".rstrip(".")
        return Done(f"key {key_id}{until}", {"key_id": key_id}, left_over)

    async def _failure(self, error: GoogleApiError) -> StepFailed:
        session, target = self._session, self._session.target
        if error.is_key_limit:
            with contextlib.suppress(PullkeyError):
                if (problem := await key_limit_problem(session, failed=error.said)) is not None:
                    return KeyLimitReached(problem.what, fix=problem.fix, code=problem.code)
        if constraint := error.constraint:
            problem = await session.key_policy.forbidden([constraint])
            return StepFailed(problem.what, fix=problem.fix, code=problem.code)
        doing = f"{'take' if self._uploads else 'create'} a key of {target.account}"
        refusal = errors.refused(error, doing, permission="iam.serviceAccountKeys.create")
        if "allowed lifetime" in error.said:
            refusal.fix = "Set a shorter --expires-in."
        return refusal

    async def _lost_keys(self) -> LeftOver | None:
        """What a try whose answer was lost has made after all; of an account of this run it is deleted at once."""
        resource = self._session.target.account_resource
        try:
            lost = await self._appeared(resource, {*self._before, *await self._recorded()})
            if self._session.account_created and len(lost) <= self.attempt.unanswered:
                for key_id in lost:
                    await self._session.delete_key(key_id)
                return None
        except (GoogleApiError, PullkeyError):
            return None  # the next run looks for keys that no record names
        return self._that_appeared(resource, lost) if lost else None

    async def _recorded(self) -> Collection[str]:
        """The keys that Akka's records name by now: one that has appeared may be another run's, and in use."""
        try:
            return (await self._session.context.keys_in_use()).ids
        except PullkeyError:
            return ()

    @staticmethod
    def _that_appeared(resource: str, keys: Collection[str]) -> LeftOver:
        email, of = resource.rsplit("/", 1)[-1], cloud.of_account(resource)
        # Somebody else may have made it in the same moment: a key is never deleted on a guess.
        return LeftOver(
            f"{email} has a key that appeared during the run and that may be unused: {', '.join(keys)}",
            "; ".join(f"gcloud iam service-accounts keys delete {one} {of}" for one in keys),
        )

    async def _create(self) -> tuple[Any, Secret]:
        resource = self._session.target.account_resource
        try:
            with self.attempt.sending():
                answer = await self._session.cloud.create_key(resource)
        except GoogleApiError as error:
            if not error.unanswered:
                raise
            # It may have been made. A second call would make a second key, so look first.
            for pause in _SETTLE_PAUSES:
                await asyncio.sleep(min(pause, self._session.context.deadline.left))
                appeared = await self._appeared(resource, self._before)
                if appeared:
                    raise OutcomeUnknown(
                        f"Google did not answer the creation of a key ({error.code}), and key "
                        f"{', '.join(appeared)} has appeared since; its secret is lost",
                        fix="Run it again.",
                    ) from None
            raise
        # Google's own form of the file, in one line: the same JSON, and nothing in it that a shell or parser trips over.
        return answer, Secret(json.dumps(json.loads(answer.private_key_data), separators=(",", ":")))

    async def _upload(self) -> tuple[Any, Secret]:
        session, pair = self._session, self._own_pair()
        resource = session.target.account_resource
        # First, so that nothing but the answer itself can be missing once the key is there.
        account = await session.cloud.account(resource)
        try:
            with self.attempt.sending(_may_be_uploaded):
                answer = await session.cloud.upload_key(resource, pair.certificate)
        except GoogleApiError as error:
            if not _may_be_uploaded(error):
                raise
            # It may have been taken. We hold its private half, so if it is there, it is as good as answered.
            await asyncio.sleep(_SETTLE_PAUSES[0])
            found = await self._uploaded(resource, self._before, pair.fingerprint)
            if not found:
                raise
            answer = found[0]
            self.attempt.conclude(ours=True)
        return answer, key_file(pair.private, account, cloud.id_of(answer))

    async def _remove_doubles(self, key_id: str) -> None:
        """What was sent twice may be there twice: a list does not show at once what an unanswered call has made."""
        resource = self._session.target.account_resource
        for key in await self._uploaded(resource, self._before, self._own_pair().fingerprint):
            if not key.name.endswith(f"/{key_id}"):
                await self._session.delete_key(cloud.id_of(key))

    async def _appeared(self, resource: str, before: Collection[str]) -> list[str]:
        """The keys that were not there before, and that no other session of this command has made."""
        keys = await self._session.cloud.user_keys(resource)
        return sorted(set(keys) - set(before) - self._session.made_keys)

    async def _uploaded(self, resource: str, before: Collection[str], fingerprint: str) -> list[Any]:
        """Those of the keys that appeared whose public half is ours: that is certain, whoever else made keys meanwhile."""
        found = []
        for key_id in await self._appeared(resource, before):
            try:
                key = await self._session.cloud.public_key(f"{resource}/keys/{key_id}")
            except GoogleApiError as error:
                if error.missing:
                    continue
                raise
            if fingerprint_of(key.public_key_data) == fingerprint:
                found.append(key)
        return found

    def _delay(self, error: Exception) -> Delay | None:
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

    async def undo(self, intent: Intent) -> str:
        key_id = intent.get("key_id")
        if not (self.attempt.may_exist or key_id or intent.get("lost")):
            return ""  # none was made
        resource = intent["account"]
        email = resource.rsplit("/", 1)[-1]
        of = cloud.of_account(resource)
        deadline = self._session.undo_deadline()
        try:
            if key_id:
                deleted = await self._session.delete_key_at(f"{resource}/keys/{key_id}", deadline)
                return f"deleted key {key_id} of {email}" if deleted else ""
            if fingerprint := intent.get("fingerprint"):
                ours = await self._uploaded(resource, intent["before"], fingerprint)
                for key in ours:
                    await self._session.delete_key_at(f"{resource}/keys/{cloud.id_of(key)}", deadline)
                return f"deleted key {', '.join(cloud.id_of(key) for key in ours)} of {email}" if ours else ""  # fmt: skip
            before = {*intent["before"], *self._before, *intent.get("in_use", ()), *await self._recorded()}
            appeared = await self._appeared(resource, before)
            if self._session.account_created and 0 < len(appeared) <= self.attempt.unanswered:
                # Of an account that this run has made: what its unanswered call has made, and nobody else's.
                for one in appeared:
                    await self._session.delete_key_at(f"{resource}/keys/{one}", deadline)
                return f"deleted key {', '.join(appeared)} of {email}"
        except GoogleApiError as error:
            if error.missing:
                return ""
            what = f"key {key_id}" if key_id else "a key that may have been created"
            command = (
                f"gcloud iam service-accounts keys delete {key_id} {of}"
                if key_id
                else f"gcloud iam service-accounts keys list --managed-by=user {of}"
            )
            raise StillThere(f"{what} of {email} ({error.said})", command) from None
        if appeared:
            left = self._that_appeared(resource, appeared)
            raise StillThere(left.what, left.command)
        return ""

    def script(self) -> Script:
        check = 'gcloud iam service-accounts keys list --iam-account="$EMAIL" --managed-by=user --format="value(name)" | grep "$KEY_ID"'
        undo = ': "${KEY_ID:?the key to delete; see: gcloud iam service-accounts keys list --iam-account=$EMAIL}"\ngcloud iam service-accounts keys delete "$KEY_ID" --iam-account="$EMAIL" --quiet'
        if self._uploads:
            return Script(do=upload.SCRIPT, check=check, undo=undo, typed=upload.TYPED)
        return Script(
            do=(
                'KEY_FILE="$(mktemp)"\n'
                "trap 'rm -f \"$KEY_FILE\"' EXIT\n"
                'gcloud iam service-accounts keys create "$KEY_FILE" --iam-account="$EMAIL"\n'
                'KEY_ID="$(sed -n \'s/.*"private_key_id": *"\\([0-9a-f]*\\)".*/\\1/p\' "$KEY_FILE")"\n'
                'echo "The key is $KEY_ID"'
            ),
            check=check,
            undo=undo,
            typed=(
                "KEY_FILE=keyfile.json\n"
                'gcloud iam service-accounts keys create "$KEY_FILE" --iam-account="$EMAIL"\n'
                'KEY_ID="$(sed -n \'s/.*"private_key_id": *"\\([0-9a-f]*\\)".*/\\1/p\' "$KEY_FILE")"'
            ),
        )


def _may_be_uploaded(error: ApiError) -> bool:
    """As `ApiError.unanswered`; a certificate that exists already may be the one that a try of ours has sent."""
    return error.unanswered or error.code == "ALREADY_EXISTS"

"""The key of a Google service account: made by Google, or made here and uploaded."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from bootstrap.common_steps import held_link
from bootstrap.credential import Credential
from bootstrap.errors import OutcomeUnknown, StepFailed
from bootstrap.link import KeyLink
from bootstrap.secret import Secret
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step, StillThere
from bootstrap.waiting import wait_out
from providers.gcr import cloud, upload
from providers.gcr.target import KEYS_OF_AN_ACCOUNT, UPLOAD
from providers.gcr.upload import KeyPair, fingerprint_of, key_file, make_pair

if TYPE_CHECKING:
    from providers.gcr.session import GcrSession

_SETTLE_SECONDS = 2.0


class Key(Step):
    """One JSON key. It has no label: which one is ours tells the list of those from before, or its public half."""

    name = "key"
    after = ("identity",)
    permissions: tuple[str, ...] = ("iam.serviceAccountKeys.create", "iam.serviceAccountKeys.list")

    def __init__(self, session: GcrSession) -> None:
        self._session = session
        self._before: list[str] = []
        self._pair: KeyPair | None = None
        self._sent = 0
        self._unanswered = 0
        self._uploads = session.target.key_source == UPLOAD
        if self._uploads:
            # To upload is to create, for IAM: there is no permission of its own. To look whose a key is, is to get it.
            self.permissions += ("iam.serviceAccountKeys.get",)

    @property
    def title(self) -> str:
        name = self._session.target.account_name
        return f"Make a key of {name} here, and upload its certificate" if self._uploads else f"Make a JSON key of {name}"  # fmt: skip

    async def look(self) -> Sighting:
        session = self._session
        keys = await session.keys()
        self._before = sorted(keys)
        link, reason = await held_link(session, session.context)
        if link is None:
            return Sighting(State.MISSING, reason)
        key = keys.get(link.key_id)
        if key is None:
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, is gone")
        if key.disabled:
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, is disabled")
        if key.valid_before_time and key.valid_before_time <= dt.datetime.now(dt.UTC):
            return Sighting(State.MISSING, f"the key that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds key {link.key_id}, which is good")

    def intent(self) -> Intent:
        intent = {"account": self._session.target.account_resource, "before": self._before}
        if self._uploads:
            intent["fingerprint"] = self._own_pair().fingerprint
        return intent

    def _own_pair(self) -> KeyPair:
        if self._pair is None:
            self._pair = make_pair(self._session.target.life)
        return self._pair

    async def do(self) -> Done:
        from google.api_core import exceptions

        session, target = self._session, self._session.target
        try:
            answer, password = await wait_out(
                self._upload if self._uploads else self._create,
                why=self._delay,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        except exceptions.GoogleAPICallError as error:
            if cloud.is_key_limit(error):
                raise StepFailed(f"{target.account} has {KEYS_OF_AN_ACCOUNT} keys already, Google's limit", mend="Delete one that nobody uses.") from None  # fmt: skip
            refusal = cloud.refused(error, f"{'take' if self._uploads else 'make'} a key of {target.account}")
            if "allowed lifetime" in cloud.said(error):
                refusal.mend = "Give a shorter --expires-in."
            raise refusal from None
        finally:
            session.keys.forget()
        key_id = cloud.id_of(answer)
        session.made_keys.add(key_id)
        if self._sent > 1:
            await self._remove_doubles(key_id)
        session.credential = Credential(
            server=await session.server(),
            username="_json_key",
            password=password,
            link=KeyLink(target.account_name, key_id, target.account_domain),
            ends=cloud.end_of(answer),
        )
        ends = f", which ends on {session.credential.ends:%Y-%m-%d}" if session.credential.ends else ""
        return Done(f"{'uploaded' if self._uploads else 'made'} key {key_id}{ends}", {"key_id": key_id})

    async def _create(self) -> tuple[Any, Secret]:
        from google.api_core import exceptions

        resource = self._session.target.account_resource
        try:
            answer = await self._session.cloud.create_key(resource)
        except exceptions.GoogleAPICallError as error:
            if not cloud.is_unanswered(error):
                raise
            self._unanswered += 1
            # It may have been made. A second call would make a second key, so look first.
            await asyncio.sleep(_SETTLE_SECONDS)
            appeared = await self._appeared(resource, self._before)
            if appeared:
                raise OutcomeUnknown(
                    f"Google did not answer the creation of a key ({cloud.status_of(error)}), and key "
                    f"{', '.join(appeared)} has appeared since; its secret is lost"
                ) from None
            raise
        # Google's own form of the file, in one line: the same JSON, and nothing in it that a shell or parser trips over.
        return answer, Secret(json.dumps(json.loads(answer.private_key_data), separators=(",", ":")))

    async def _upload(self) -> tuple[Any, Secret]:
        from google.api_core import exceptions

        session, pair = self._session, self._own_pair()
        resource = session.target.account_resource
        # First, so that nothing but the answer itself can be missing once the key is there.
        account = await session.cloud.account(resource)
        self._sent += 1
        try:
            answer = await session.cloud.upload_key(resource, pair.certificate)
        except exceptions.GoogleAPICallError as error:
            if not (cloud.is_unanswered(error) or cloud.status_of(error) == "ALREADY_EXISTS"):
                raise
            # It may have been taken. We hold its private half, so if it is there, it is as good as answered.
            await asyncio.sleep(_SETTLE_SECONDS)
            found = await self._uploaded(resource, self._before, pair.fingerprint)
            if not found:
                raise
            answer = found[0]
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
        from google.api_core import exceptions

        found = []
        for key_id in await self._appeared(resource, before):
            with contextlib.suppress(exceptions.NotFound):
                key = await self._session.cloud.public_key(f"{resource}/keys/{key_id}")
                if fingerprint_of(key.public_key_data) == fingerprint:
                    found.append(key)
        return found

    def _delay(self, error: Exception) -> str | None:
        if cloud.is_key_limit(error) or isinstance(error, StepFailed):
            return None
        if cloud.is_busy(error):
            return cloud.BUSY
        if cloud.status_of(error) == "NOT_FOUND" and self._session.account_made:
            return "Google does not know the new account everywhere yet; this takes up to a minute."
        return None

    async def undo(self, intent: Intent) -> str:
        from google.api_core import exceptions

        key_id = intent.get("key_id")
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
            appeared = await self._appeared(resource, {*intent["before"], *intent.get("in_use", ())})
            if self._session.account_made and 0 < len(appeared) <= self._unanswered:
                # Of an account that this run has made: what its unanswered call has made, and nobody else's.
                for one in appeared:
                    await self._session.delete_key_at(f"{resource}/keys/{one}", deadline)
                return f"deleted key {', '.join(appeared)} of {email}"
        except exceptions.NotFound:
            return ""
        except exceptions.GoogleAPICallError as error:
            what = f"key {key_id}" if key_id else "a key that may have been made"
            command = (
                f"gcloud iam service-accounts keys delete {key_id} {of}"
                if key_id
                else f"gcloud iam service-accounts keys list --managed-by=user {of}"
            )
            raise StillThere(f"{what} of {email} ({cloud.said(error)})", command) from None
        if appeared:
            # Somebody else may have made it in the same moment: a key is never deleted on a guess.
            raise StillThere(
                f"{email} has a key that appeared during the run and that nobody may hold: {', '.join(appeared)}",
                "; ".join(f"gcloud iam service-accounts keys delete {one} {of}" for one in appeared),
            )
        return ""

    def script(self) -> Script:
        check = 'gcloud iam service-accounts keys list --iam-account="$EMAIL" --managed-by=user --format="value(name)" | grep "$KEY_ID"'
        undo = ': "${KEY_ID:?the key that is to go; see: gcloud iam service-accounts keys list --iam-account=$EMAIL}"\ngcloud iam service-accounts keys delete "$KEY_ID" --iam-account="$EMAIL" --quiet'
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
            typed='gcloud iam service-accounts keys create keyfile.json --iam-account="$EMAIL"',
        )

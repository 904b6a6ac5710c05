"""`--key-source auto`: an uploaded key if policies and permissions allow it, else one that Google creates.

Any run on any machine recognises an uploaded key that a lost run left, by its certificate (`mark.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.step import Intent, Script, State, StepStatus
from providers.gcr import cloud, messages_keys
from providers.gcr.account_session import AccountSession
from providers.gcr.errors import GoogleApiError
from providers.gcr.key import Created, Key
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.steps import Identity
from providers.gcr.target import UPLOAD
from providers.gcr.uploaded_key import READ_CERTIFICATE, UploadedKey


class AutoKey(UploadedKey):
    """Which of the two it is, is chosen where a key is to be created, so it describes one that Google creates
    until then.
    """

    marked = False
    permissions = Key.permissions
    # Without it, Google creates the key.
    undo_permissions = (*Key.undo_permissions, READ_CERTIFICATE)

    def __init__(self, session: AccountSession, identity: Identity, key_policy: KeyPolicy) -> None:
        super().__init__(session, identity, key_policy)
        self._gave_up = False  # Google has refused the upload, and creates the key
        self._lists_created = False

    @property
    def _chosen(self) -> Key:
        """The methods of the kind of key that is chosen."""
        uploads = self._key_policy.source == UPLOAD
        return cast("Key", super() if uploads else super(UploadedKey, self))

    async def look_now(self) -> StepStatus:
        found = await super().look_now()
        if found.state is not State.DONE:
            await self._key_policy.choose()
            self.marked = self._key_policy.source == UPLOAD
        return found

    async def create(self) -> Created:
        try:
            return await self._chosen.create()
        except GoogleApiError as error:
            why = self._key_policy.why_not_uploaded(error)
            if not why:
                raise
            # Refused by a policy that could not be read, so nothing was created.
            self._key_policy.give_up_upload(why)
            self._gave_up, self.marked = True, False
            self._session.context.tell(messages_keys.upload_refused(why))
            return await self._chosen.create()

    async def undo(self, intent: Intent) -> str:
        """Undo by the certificate; then, unless that has found the key, what Google may have created.

        The intent was written before the source was certain.
        """
        if "fingerprint" not in intent:
            return await super().undo(intent)
        undone = "" if self._gave_up else await super().undo(intent)
        if undone or not (self._gave_up or (intent.get("lost") and not intent.get("key_id"))):
            return undone
        self._lists_created = True
        try:
            return await super().undo(
                {name: value for name, value in intent.items() if name != "fingerprint"}
            )
        finally:
            self._lists_created = False

    async def ids_now(self) -> Collection[str]:
        keys = await self._session.cloud.user_keys(self._resource)
        return [one for one, key in keys.items() if not (self._lists_created and cloud.is_uploaded(key))]

    # -- as the kind that is chosen --------------------------------------------------------------------------

    @property
    def title(self) -> str:
        return self._chosen.title

    def warning(self) -> str:
        return self._chosen.warning()

    def intent(self) -> Intent:
        return self._chosen.intent()

    async def before_creation(self) -> None:
        await self._chosen.before_creation()

    def may_be_created(self, error: ApiError) -> bool:
        return self._chosen.may_be_created(error)

    async def after_lost_answer(self, error: ApiError) -> Created | None:
        return await self._chosen.after_lost_answer(error)

    @property
    def creating(self) -> str:
        return self._chosen.creating

    def created_as(self, answer: Created) -> str:
        return self._chosen.created_as(answer)

    def script(self) -> Script:
        return self._chosen.script()

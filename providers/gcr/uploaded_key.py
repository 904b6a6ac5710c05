"""A key of a Google service account that is created here, and whose certificate is uploaded to Google."""

from __future__ import annotations

import asyncio
from typing import Any

from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_kind import SETTLE_PAUSES
from bootstrap.plugin.step import Intent, Script, StepStatus
from providers.gcr import cloud, upload
from providers.gcr.account_session import AccountSession
from providers.gcr.key import Created, Key
from providers.gcr.key_policy import KeyPolicy
from providers.gcr.mark import Mark
from providers.gcr.steps import Identity
from providers.gcr.upload import KeyPair, key_file, make_pair

READ_CERTIFICATE = "iam.serviceAccountKeys.get"


class UploadedKey(Key):
    """A key that its public key marks, and whose private key no lost answer can lose."""

    marked = True
    keeps_list = True
    # IAM has no permission of its own for an upload: it takes that of a creation ("Method:
    # projects.serviceAccounts.keys.upload"). Reading a certificate takes get.
    permissions = (*Key.permissions, READ_CERTIFICATE)

    def __init__(self, session: AccountSession, identity: Identity, key_policy: KeyPolicy) -> None:
        super().__init__(session, identity, key_policy)
        self._pair: KeyPair | None = None
        self._place = ""
        self._account: Any = None

    @property
    def title(self) -> str:
        return f"Upload the certificate of a new key of {self._session.target.account_name}"

    def warning(self) -> str:
        return ""

    async def look_now(self) -> StepStatus:
        self._place = await self._session.context.place()
        return await super().look_now()

    def _own_pair(self) -> KeyPair:
        if self._pair is None:
            context = self._session.context
            mark = Mark.of_run(self._place, context.run_id, context.deadline.left)
            self._pair = make_pair(self._key_policy.life, mark.serial)
        return self._pair

    def intent(self) -> Intent:
        return {**super().intent(), "fingerprint": self._own_pair().fingerprint}

    async def create(self) -> Created:
        return self._as_created(
            await self._session.cloud.upload_key(self._resource, self._own_pair().certificate)
        )

    async def before_creation(self) -> None:
        # Read before the creation, so that once the key exists nothing but its answer can be missing.
        self._account = await self._session.cloud.account(self._resource)

    def _as_created(self, answer: Any) -> Created:
        return answer, key_file(self._own_pair().private, self._account, cloud.id_of(answer))

    def may_be_created(self, error: ApiError) -> bool:
        """As `ApiError.unanswered`; or ALREADY_EXISTS, which may be of an earlier attempt of ours."""
        return error.unanswered or error.code == "ALREADY_EXISTS"

    async def after_lost_answer(self, error: ApiError) -> Created | None:
        """The created key, if Google shows it: the private key is here, so the answer is not needed."""
        await asyncio.sleep(SETTLE_PAUSES[0])
        found = await self.uploaded(self.intent())
        return self._as_created(found[0]) if found else None

    @property
    def creating(self) -> str:
        return f"take a key of {self._session.target.account}"

    def created_as(self, answer: Created) -> str:
        ends = cloud.end_of(answer[0])
        return f"key {self.id_of(answer)}" + (f", which expires on {ends:%Y-%m-%d %H:%M} UTC" if ends else "")

    def script(self) -> Script:
        return Script(
            do=upload.SCRIPT, check=super().script().check, undo=super().script().undo, typed=upload.TYPED
        )

"""The organisation policies for keys of service accounts: whether keys are allowed, and for how long.

Sources: "Restrict IAM service account usage" (each constraint, and the managed one that replaces it;
`iam.serviceAccountKeyExpiryHours`: "the maximum duration allowed for service account key expiry", of created
and of uploaded keys, in hours); OrgPolicy v2, `PolicySpec.PolicyRule.StringValues` (`is:720h` is the value
`720h`).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import Awaitable, Callable, Sequence

from bootstrap.model.errors import Problem
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.step import PreflightFindings
from providers.gcr import messages_keys
from providers.gcr.cache import Facts
from providers.gcr.errors import GoogleApiError
from providers.gcr.target import AUTO, CREATE, UPLOAD, GcrTarget

_NO_KEYS = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")
_NO_UPLOAD = ("iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload")
_LIFETIME_LIMIT = "iam.serviceAccountKeyExpiryHours"


class KeyPolicy:
    """The policies for the keys of one target's account, each read once, and the source of its next key.

    Args:
        why_not_upload: why a key could not be uploaded whatever the policies are, as the end of a sentence;
            "" if it could. Asked for `auto` only.

    Attributes:
        source: who creates the key: `create` or `upload`; of `auto`, known once `choose` was awaited, and
            `create` before.
        life: of a key that is uploaded.
    """

    def __init__(self, target: GcrTarget, facts: Facts, why_not_upload: Callable[[], Awaitable[str]]) -> None:
        self._target = target
        self._facts = facts
        self._why_not_upload = why_not_upload
        self._chooses = target.key_source == AUTO
        self._why_created = ""
        self.source = CREATE if self._chooses else target.key_source
        self.life = target.life
        self.choose = AsyncOnce(self._choose)
        # The project whose policies apply to the account's keys.
        self._project = target.account_project if target.account_project != "-" else target.project

    @property
    def _uploads(self) -> bool:
        return self.source == UPLOAD

    async def _choose(self) -> None:
        """Choose the source of `auto`: an upload, unless something is known to forbid it.

        A policy that cannot be read may forbid it; then Google refuses the upload and says so
        (`why_not_uploaded`).
        """
        if not self._chooses:
            return
        (forbidding, _), why = await asyncio.gather(self._forbidding(_NO_UPLOAD), self._why_not_upload())
        if forbidding:
            why = messages_keys.policy_forbids_upload(forbidding)
        self._why_created = why
        if not why:
            self.source = UPLOAD
            with contextlib.suppress(GoogleApiError, ValueError):
                self.life = min(self.life, await self._longest_life() or self.life)

    def give_up_upload(self, why: str) -> None:
        """Let Google create the key: a policy does not let it be uploaded."""
        self.source = CREATE
        self._why_created = why

    def why_not_uploaded(self, error: GoogleApiError) -> str:
        """The policy by which Google has refused an upload and would not refuse a key that it creates, as the
        end of a sentence; "" for any other refusal.

        A key that Google creates expires as the policy says. An uploaded one that lasts longer is refused.
        """
        if not (self._chooses and self._uploads):
            return ""
        if error.longest_key_life is not None:
            return messages_keys.policy_limits_upload(_LIFETIME_LIMIT, error.longest_key_life)
        if error.constraint in _NO_UPLOAD:
            return messages_keys.policy_forbids_upload([error.constraint])
        return ""

    @property
    def _wanted(self) -> Sequence[str]:
        return _NO_UPLOAD if self._uploads else _NO_KEYS

    @property
    def _other(self) -> Sequence[str]:
        return _NO_KEYS if self._uploads else _NO_UPLOAD

    def start(self) -> None:
        """Start the reads, so that the answers are there when they are needed."""
        for name in _NO_UPLOAD if self._chooses else self._wanted:
            self._facts.forbids(self._project, name).start()
        self._facts.allowed_values(self._project, _LIFETIME_LIMIT).start()

    async def findings(self) -> PreflightFindings:
        """What the policies forbid. Organisations created since May 2024 forbid keys by default."""
        await self.choose()
        (forbidding, unreadable), (findings, lifetime_unreadable) = await asyncio.gather(
            self._forbidding(self._wanted), self._lifetime_findings()
        )
        if forbidding:
            findings.problems.insert(0, await self.forbidden(forbidding))
            return findings
        effects = [
            what
            for what, why in (
                ("forbids keys", unreadable),
                ("limits how long they last", lifetime_unreadable),
            )
            if why
        ]
        if self._why_created:
            findings.notices.append(messages_keys.created_instead_of_uploaded(self._why_created))
        if effects:
            findings.notices.append(
                messages_keys.key_policies_unreadable(
                    effects, unreadable or lifetime_unreadable, uploads=self._uploads
                )
            )
        return findings

    async def forbidden(self, constraints: Sequence[str]) -> Problem:
        """The problem of a policy; its fix is the other `--key-source` if that is allowed.

        Args:
            constraints: those in force, as a policy or a refusal names them.
        """
        also, unreadable = await self._forbidding(self._other)
        return messages_keys.keys_forbidden(
            constraints,
            self._project,
            uploads=self._uploads,
            other_source_forbidden=bool(also),
            unreadable=unreadable,
        )

    async def _forbidding(self, constraints: Sequence[str]) -> tuple[list[str], str]:
        """The constraints that are in force; and Google's code for why others could not be read, or ""."""
        asked = (self._facts.forbids(self._project, constraint)() for constraint in constraints)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        unreadable = ""
        for answer in answers:
            if isinstance(answer, GoogleApiError):
                unreadable = answer.code
            elif isinstance(answer, BaseException):
                raise answer
        return [name for name, answer in zip(constraints, answers, strict=True) if answer is True], unreadable

    async def _lifetime_findings(self) -> tuple[PreflightFindings, str]:
        """The limit of a key's lifetime; and why it could not be read, or ""."""
        findings = PreflightFindings()
        if self._uploads and not self._chooses:
            findings.notices.append(messages_keys.expiry_not_enforced())
        try:
            longest = await self._longest_life()
        except GoogleApiError as error:
            # `missing`: an organisation without that constraint.
            return findings, "" if error.missing else error.code
        except ValueError as error:
            return findings, str(error)
        if longest is None:
            return findings, ""
        if not self._uploads or self._chooses:
            findings.notices.append(
                messages_keys.key_lifetime_limited(_LIFETIME_LIMIT, self._project, longest)
            )
        elif self.life > longest:
            findings.problems.append(
                messages_keys.key_lifetime_too_long(
                    _LIFETIME_LIMIT, self._project, longest // dt.timedelta(hours=1), self.life
                )
            )
        return findings, ""

    async def _longest_life(self) -> dt.timedelta | None:
        """The longest life that a policy allows a key; None where none limits it.

        Raises:
            GoogleApiError: it cannot be read.
            ValueError: it is no number of hours.
        """
        allowed = await self._facts.allowed_values(self._project, _LIFETIME_LIMIT)()
        return max(map(_hours, allowed), default=None)


def _hours(value: str) -> dt.timedelta:
    """The lifetime that a value such as `2160h` allows; `is:2160h` is the same value."""
    number = value.removeprefix("is:").removesuffix("h")
    if not re.fullmatch(r"[0-9]{1,7}", number):
        raise ValueError(messages_keys.not_a_lifetime(value))
    return dt.timedelta(hours=int(number))

"""What an organisation says about the keys of service accounts: whether there may be any, and how long they
last.

Sources: "Restrict IAM service account usage" (each constraint, and the managed one that takes its place;
`iam.serviceAccountKeyExpiryHours`: "the maximum duration allowed for service account key expiry", of created
and of uploaded keys, in hours).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

from bootstrap.model.errors import Problem
from bootstrap.plugin.step import PreflightFindings
from providers.gcr import messages_keys
from providers.gcr.cache import Facts
from providers.gcr.errors import GoogleApiError
from providers.gcr.target import UPLOAD, GcrTarget

_NO_KEYS = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")
_NO_UPLOAD = ("iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload")
_LIFE_LIMIT = "iam.serviceAccountKeyExpiryHours"


class KeyPolicy:
    """The policies for the keys of one target's account; each is asked once."""

    def __init__(self, target: GcrTarget, facts: Facts) -> None:
        self._target = target
        self._facts = facts
        self._uploads = target.key_source == UPLOAD
        # The project whose policies decide about the account's keys.
        self._project = target.account_project if target.account_project != "-" else target.project

    @property
    def _wanted(self) -> Sequence[str]:
        return _NO_UPLOAD if self._uploads else _NO_KEYS

    @property
    def _other(self) -> Sequence[str]:
        return _NO_KEYS if self._uploads else _NO_UPLOAD

    def begin(self) -> None:
        """Ask, so that the answers are there when they are needed."""
        for name in self._wanted:
            self._facts.forbids(self._project, name).start()
        self._facts.allowed_values(self._project, _LIFE_LIMIT).start()

    async def findings(self) -> PreflightFindings:
        """Organisations made since May 2024 forbid keys by default; reported first, and never tried."""
        (forbidding, unreadable), (life, life_unreadable) = await asyncio.gather(
            self._forbidding(self._wanted), self._about_life()
        )
        if forbidding:
            life.problems.insert(0, await self.forbidden(forbidding))
            return life
        effects = [
            what
            for what, why in (("forbids keys", unreadable), ("limits how long they last", life_unreadable))
            if why
        ]
        if effects:
            life.notices.append(
                messages_keys.key_policies_unreadable(
                    effects, unreadable or life_unreadable, uploads=self._uploads
                )
            )
        return life

    async def forbidden(self, constraints: Sequence[str]) -> Problem:
        """The problem of a policy, whose fix is the other way of making a key where that is allowed.

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
        """Those of the constraints that are in force; and why others could not be seen, or ""."""
        asked = (self._facts.forbids(self._project, constraint)() for constraint in constraints)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        unreadable = ""
        for answer in answers:
            if isinstance(answer, GoogleApiError):
                unreadable = answer.code
            elif isinstance(answer, BaseException):
                raise answer
        return [name for name, answer in zip(constraints, answers, strict=True) if answer is True], unreadable

    async def _about_life(self) -> tuple[PreflightFindings, str]:
        """How long a key may last; and why that could not be seen, or ""."""
        findings = PreflightFindings()
        if self._uploads:
            findings.notices.append(messages_keys.expiry_not_enforced())
        try:
            allowed = await self._facts.allowed_values(self._project, _LIFE_LIMIT)()
        except GoogleApiError as error:
            # An organisation without that constraint, or one that does not show it.
            return findings, "" if error.missing else error.code
        hours = [int(value[:-1]) for value in allowed if value[:-1].isdigit() and value.endswith("h")]
        if not hours:
            return findings, ""
        longest = dt.timedelta(hours=max(hours))
        if not self._uploads:
            findings.notices.append(messages_keys.key_lifetime_limited(_LIFE_LIMIT, self._project, longest))
        elif self._target.life > longest:
            findings.problems.append(
                messages_keys.key_lifetime_too_long(_LIFE_LIMIT, self._project, max(hours), self._target.life)
            )
        return findings, ""

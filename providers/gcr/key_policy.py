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

from bootstrap.model.codes import Code
from bootstrap.model.duration import in_words
from bootstrap.model.errors import Problem, ProblemKind
from bootstrap.plugin.step import Notice, PreflightFindings
from providers.gcr.cache import Facts
from providers.gcr.errors import GoogleApiError
from providers.gcr.target import UPLOAD, GcrTarget

_NO_KEYS = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")
_NO_UPLOAD = ("iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload")
_LIFE_LIMIT = "iam.serviceAccountKeyExpiryHours"
_EXCEPTION = (
    "Ask the administrator of organisation policies for an exception for this project; or use an "
    "account of a project where keys are allowed: --service-account EMAIL"
)


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
        (forbidding, unseen), (life, life_unseen) = await asyncio.gather(
            self._forbidding(self._wanted), self._about_life()
        )
        if forbidding:
            life.problems.insert(0, await self.forbidden(forbidding))
            return life
        hidden = [
            what
            for what, why in (("forbids keys", unseen), ("limits how long they last", life_unseen))
            if why
        ]
        if hidden:
            life.notices.append(
                Notice(
                    f"Whether an organisation policy {' or '.join(hidden)} could not be seen "
                    f"({unseen or life_unseen}); it will show when the key is "
                    f"{'uploaded' if self._uploads else 'made'}."
                )
            )
        return life

    async def forbidden(self, constraints: Sequence[str]) -> Problem:
        """The problem of a policy, whose fix is the other way of making a key where that is allowed.

        Args:
            constraints: those in force, as a policy or a refusal names them.
        """
        also, unseen = await self._forbidding(self._other)
        fix = _EXCEPTION
        if not also and not unseen:
            fix = (
                "Leave --key-source out: Google itself may create a key here"
                if self._uploads
                else "Pass --key-source upload: the key is created on this machine and only its "
                "certificate is sent to Google, which no policy forbids"
            )
        elif not also and not self._uploads:
            fix = (
                f"Pass --key-source upload, which another policy may forbid or not ({unseen}). Else: "
                f"{fix[0].lower()}{fix[1:]}"
            )
        what = "the upload of keys" if self._uploads else "keys"
        return Problem(
            ProblemKind.POLICY,
            f"Organisation policy {' and '.join(constraints)} forbids {what} of service accounts in "
            f"{self._project}",
            fix,
            step="key",
            code=Code.KEYS_FORBIDDEN,
        )

    async def _forbidding(self, constraints: Sequence[str]) -> tuple[list[str], str]:
        """Those of the constraints that are in force; and why others could not be seen, or ""."""
        asked = (self._facts.forbids(self._project, constraint)() for constraint in constraints)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        unseen = ""
        for answer in answers:
            if isinstance(answer, GoogleApiError):
                unseen = answer.code
            elif isinstance(answer, BaseException):
                raise answer
        return [name for name, answer in zip(constraints, answers, strict=True) if answer is True], unseen

    async def _about_life(self) -> tuple[PreflightFindings, str]:
        """How long a key may last; and why that could not be seen, or ""."""
        findings = PreflightFindings()
        if self._uploads:
            findings.notices.append(
                Notice(
                    "Google shows a certificate's end date as the key's. Whether it refuses the "
                    "key from then on could not be confirmed, so pullkey does not rely on it: "
                    "`pullkey rotate` counts a key as due well before its end, and deletes it."
                )
            )
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
            findings.notices.append(
                Notice(
                    f"Organisation policy {_LIFE_LIMIT} lets a key of {self._project} last "
                    f"{in_words(longest)}: without a rotation by then, pulls fail. "
                    f"{rotate_in_time(longest)}"
                )
            )
        elif self._target.life > longest:
            findings.problems.append(
                Problem(
                    ProblemKind.POLICY,
                    f"Organisation policy {_LIFE_LIMIT} lets a key of {self._project} last "
                    f"{max(hours)} h, and {self._target.life / dt.timedelta(hours=1):.0f} h are "
                    "asked for",
                    f"Pass --expires-in {max(hours)}h",
                    step="key",
                    code=Code.KEY_LIFETIME,
                )
            )
        return findings, ""


def rotate_in_time(life: dt.timedelta) -> str:
    """How often `rotate --due` must run for keys of that life: twice in the third of it that is left when
    a key is due.
    """
    return f"Run `pullkey rotate --due` at least every {in_words(life / 6)}."

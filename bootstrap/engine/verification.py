"""Verify the credential that Akka holds for a target: key, grant, record and, with its password, a pull.

Read-only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from bootstrap.engine.journal import Record
from bootstrap.engine.preflight import PreflightResult
from bootstrap.engine.target_operation import TargetOperation
from bootstrap.model.credential import Credential
from bootstrap.model.errors import ExitCode, Refused
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Verdict
from bootstrap.model.secret import Secret
from bootstrap.plugin.recorded_key import username_in_akka
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import State
from bootstrap.registry import try_once

AGAIN_SECONDS = 2.0
"""Seconds between a read that did not show something and the read that is trusted."""


_PULL_PAUSES = (AGAIN_SECONDS, 4.0)
"""Seconds before each further pull. Some servers refuse a new key that others accept already."""


class Verification(TargetOperation):
    """One verification. Its options have `dry_run` set.

    Args:
        password: the credential's password, to verify a pull too; else None.
        reopen: opens another session with the target, to read again what was not shown.
    """

    def __init__(
        self, *values: Any, password: Secret | None, reopen: Callable[[], Session], **named: Any
    ) -> None:
        super().__init__(*values, **named)
        self._password = password
        self._reopen = reopen

    def unfinished(self) -> list[str]:
        return []

    def _lock(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def _lost_run(self) -> None:
        """An earlier run is only reported, with the other results."""

    async def _recover(self, lost: Record) -> None:
        raise AssertionError("a verification changes nothing")

    async def _perform(self, *, recovered: bool) -> None:
        seen = await self._examined()
        self._connected(await self._preflight.connect())
        if self._own_journal.left_behind() is not None:
            await self._note_unfinished()
        statuses = self._noted(seen)
        self._show_steps(statuses, read_only=True)
        if seen.findings.problems:
            self.result.problems = seen.findings.problems
            self.reporter.problems(seen.findings.problems)
        self.result.credential = await self._described()
        good = all(statuses[step.name].state is State.DONE for step in self.steps)
        good = good and not seen.findings.problems and not self.result.unfinished.what
        if self._password is not None:
            good = await self._pulls(self._password) and good
        self.result.result = "verified" if good else "drift"
        self.result.exit_code = ExitCode.DONE if good else ExitCode.DRIFT

    async def _examined(self) -> PreflightResult:
        """Run the preflight; if something is missing, run it again after a pause and return only that result.

        Raises:
            Refused: Akka cannot be read.
        """
        seen = await self._preflight.examine(self.steps, lambda _: None, read_only=True)
        if problems := await self._preflight.akka_problems():
            raise Refused(problems)
        if any(one.state is State.MISSING for one in seen.statuses.values()):
            await asyncio.sleep(AGAIN_SECONDS)
            await self.session.close()
            self.context.shared.invalidate()
            self._begin_with(self._reopen())
            seen = await self._preflight.examine(self.steps, lambda _: None, read_only=True)
        return seen

    async def _pulls(self, password: Secret) -> bool:
        """Whether the credential pulls with this password."""
        probe = await self.session.probe()
        username = await username_in_akka(self.session) or ""
        credential = Credential(await self.session.server(), username, password, KeyRef("", "", ""))
        challenge = await self._preflight.trusted_challenge()
        pauses = _PULL_PAUSES if self.session.waits_for_spreading else ()
        for pause in (*pauses, None):
            attempt = await try_once(
                probe, challenge, credential, deadline=self.context.deadline, trace=self.context.trace
            )
            if pause is None or attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT):
                break
            await asyncio.sleep(pause)
        if attempt.verdict is Verdict.PULLS and attempt.pulled:
            self.result.verified = f"it {attempt.detail}"
        elif attempt.verdict is Verdict.PULLS:
            self.result.not_verified = f"it {attempt.detail}"
        else:
            self._notice(f"The credential on stdin does not pull: {attempt}")
        return attempt.verdict is Verdict.PULLS

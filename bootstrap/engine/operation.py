"""One operation on one target: how every one of them is locked, recovers, ends, and reports what is left
over.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine.journal import Journal, Record
from bootstrap.engine.recovery import Recovery
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result
from bootstrap.engine.run_options import OperationOptions
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Change
from bootstrap.model.errors import Declined, ExitCode, Interrupted, PullkeyError
from bootstrap.model.text import sentence
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.session import Session


class Operation(ABC):
    """An onboarding, a rotation, a verification or an offboarding of one target.

    `execute` does all of it; `interrupt` may be called meanwhile, from the same event loop.

    Args:
        akka: the CLI, for the target's project.
        journal: of the target's Akka secret; its lock is held while anything is changed. None inside an
            operation that has both.
        proofs: when a key was last seen to pull.

    Attributes:
        result: what has become of it so far.
        changing: whether anything may have been changed by now.
    """

    then = ""
    """What follows an interruption, once the calls in progress have ended."""
    refusals: tuple[type[PullkeyError], ...] = (Declined,)
    """The errors that stand for a refusal to begin."""

    def __init__(
        self,
        *,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal | None,
        reporter: Reporter,
        options: OperationOptions,
        proofs: VerifiedPulls | None,
    ) -> None:
        self.context = context
        self.akka = akka
        self.reporter = reporter
        self.result = Result()
        self.changing = False
        self._journal = journal
        self._options = options
        self._proofs = proofs
        self._stop = asyncio.Event()
        self._left_over_reported = False
        if journal is not None:
            akka.lock = lambda: journal.descriptor

    async def execute(self) -> Result:
        """Do it. Errors that can be put into words stand in the result; none is raised."""
        try:
            with self._lock():
                lost = self._lost_run()
                if lost is not None:
                    await (self._note_unfinished() if self._options.dry_run else self._recover(lost))
                await self._perform(recovered=lost is not None)
        except PullkeyError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; the user is owed a sentence
            self._failed(as_user_error(error))
        finally:
            if self.result.left_over:
                self.result.exit_code = ExitCode.LEFT_OVER
            self._report_left_over()
            await self._close()
        return self.result

    def _lock(self) -> AbstractContextManager[None]:
        """Keeps others from changing the same target meanwhile."""
        if self._options.dry_run or self._journal is None:
            return contextlib.nullcontext()
        return self._journal.locked()

    def interrupt(self) -> None:
        """Begin nothing more, and end in order."""
        self._stop.set()

    @abstractmethod
    def unfinished(self) -> list[str]:
        """What was begun and is neither done nor undone, each in one line."""

    @abstractmethod
    async def _perform(self, *, recovered: bool) -> None:
        """Look, ask, and change what is to be changed. `recovered`: an earlier run had not ended.

        Raises:
            PullkeyError: it is refused, or failed.
        """

    @abstractmethod
    async def _remove_replaced(self, held: HeldCredential, *, look_only: bool = False) -> Any:
        """Remove the cloud resources of a record that another one has replaced; as
        `recovery.RemoveReplaced`.
        """

    @abstractmethod
    async def _close(self) -> None:
        """Give back what was opened for this target."""

    def _failed(self, error: PullkeyError) -> None:
        self.result.error = error
        self.result.exit_code = error.exit_code
        self.result.result = (
            "interrupted"
            if isinstance(error, Interrupted)
            else "refused"
            if isinstance(error, self.refusals)
            else "failed"
        )

    # -- an earlier run that did not end ---------------------------------------------------------------------

    def _lost_run(self) -> Record | None:
        """What an earlier run for this secret has begun and not ended.

        Raises:
            PullkeyError: it was for another target.
        """
        lost = self._journal.left_behind() if self._journal is not None else None
        if lost is not None and self._journal is not None:
            self._journal.check_target(lost)
        return lost

    async def _note_unfinished(self) -> None:
        """Report what an earlier run has not ended; the next one that may change something continues with
        it.
        """

    @abstractmethod
    async def _recover(self, lost: Record) -> None:
        """Clear up after a run that did not end.

        Raises:
            PullkeyError: Akka or the cloud cannot be asked, or it is not to be touched.
        """

    async def _clear_up(
        self,
        session: Session,
        journal: Journal,
        lost: Record,
        held: HeldCredential | None,
        *,
        going: str = "",
        ask: bool = True,
    ) -> Recovery:
        """Clear up after a run that did not end, as `Recovery.clear_up` does; what became of it stands in the
        result.

        With `ask`, it is reported and asked for first.

        Raises:
            Declined: the answer was not yes.
            PullkeyError: as `Recovery.clear_up`.
        """
        if ask:
            self._notice(f"{sentence(lost.summary)} Clearing up after it.")
            if not self._options.yes and not self.reporter.confirm("Remove what it created that is unused?"):
                raise Declined
        self.changing = True
        recovery = Recovery(session, self.akka, journal, self.reporter, self._remove_replaced)
        try:
            await recovery.clear_up(lost, held, going=going)
        finally:
            self.result.left_over += recovery.left_over
            self.result.undone += recovery.undone
            for what in recovery.undone:
                self.context.audit(Change("recovery", what, "undone", who=self.result.who))
            for left in recovery.left_over:
                self.context.audit(Change("recovery", left.what, "left over", who=self.result.who))
        return recovery

    # -- reporting -------------------------------------------------------------------------------------------

    def _report_left_over(self) -> None:
        """Once, and before the journal ends: what is in neither would be lost sight of."""
        if not self._left_over_reported:
            self._left_over_reported = bool(self.result.left_over)
            self.reporter.left_over(self.result.left_over)

    def _end_journal(self) -> None:
        self._report_left_over()
        if self._journal is not None:
            self._journal.end()

    def _notice(self, text: str, *, warning: bool = False) -> None:
        self.result.notices.append(text)
        if warning:
            self.result.warnings.append(text)
            self.reporter.warning(text)
        else:
            self.reporter.notice(text)

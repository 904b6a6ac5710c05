"""The base of all operations on a target: lock, recovery, errors, left-overs and end."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine import messages_journal
from bootstrap.engine.journal import Journal, Record
from bootstrap.engine.recovery import Recovery
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result
from bootstrap.engine.run_options import OperationOptions
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import Declined, ExitCode, Interrupted, PullkeyError
from bootstrap.model.text import sentence
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.session import Session


class Operation(ABC):
    """An onboarding, rotation, verification or offboarding of one target.

    `execute` runs it. `interrupt` may be called meanwhile, from the same event loop.

    Args:
        akka: the CLI, for the target's project.
        journal: of the target's Akka secret; locked while anything is changed. None for an operation inside
            another one that holds it.
        verified_pulls: when keys were last seen to pull.

    Attributes:
        result: the result so far.
        changing: whether anything may have been changed by now.
    """

    refusals: tuple[type[PullkeyError], ...] = (Declined,)
    """The errors that count as a refusal to start."""

    def __init__(
        self,
        *,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal | None,
        reporter: Reporter,
        options: OperationOptions,
        verified_pulls: VerifiedPulls | None,
    ) -> None:
        self.context = context
        self.akka = akka
        self.reporter = reporter
        self.result = Result()
        self.changing = False
        self._journal = journal
        self._options = options
        self._verified_pulls = verified_pulls
        self._stop = asyncio.Event()
        self._left_over_reported = False
        if journal is not None:
            akka.lock = lambda: journal.descriptor

    async def execute(self) -> Result:
        """Run the operation. Errors are part of the result; none is raised."""
        try:
            with self._lock():
                lost = self._lost_run()
                if lost is not None:
                    await (self._note_unfinished() if self._options.dry_run else self._recover(lost))
                await self._perform(recovered=lost is not None)
        except PullkeyError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; show a sentence
            self._failed(as_user_error(error))
        finally:
            if self.result.left_over:
                self.result.exit_code = ExitCode.LEFT_OVER
            self._report_left_over()
            await self._close()
        return self.result

    @property
    def then(self) -> str:
        """What is done after an interruption, once the calls in progress have ended."""
        return ""

    def _lock(self) -> AbstractContextManager[None]:
        """The lock that prevents concurrent changes to the target."""
        if self._options.dry_run or self._journal is None:
            return contextlib.nullcontext()
        return self._journal.locked()

    def interrupt(self) -> None:
        """Start nothing more, and end in order."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether it was interrupted. It may have ended as done nevertheless."""
        return self._stop.is_set()

    @abstractmethod
    def unfinished(self) -> list[str]:
        """The steps that were started and neither done nor undone, one line each."""

    @abstractmethod
    async def _perform(self, *, recovered: bool) -> None:
        """Read the state, prompt, and change what is needed. `recovered`: an earlier run was cleaned up
        first.

        Raises:
            PullkeyError: the operation was refused or failed.
        """

    @abstractmethod
    async def _remove_replaced(self, held: HeldCredential, *, look_only: bool = False) -> Result:
        """Remove the cloud resources of a record that another one has replaced
        (`recovery.RemoveReplaced`).
        """

    @abstractmethod
    async def _close(self) -> None:
        """Close what was opened for this target."""

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
        """The record of an earlier run for this secret that did not end; else None.

        Raises:
            PullkeyError: it was for another target.
        """
        lost = self._journal.left_behind() if self._journal is not None else None
        if lost is not None and self._journal is not None:
            self._journal.check_target(lost)
        return lost

    async def _note_unfinished(self) -> None:
        """Report an earlier run that did not end. The next run that changes something cleans up after it."""

    @abstractmethod
    async def _recover(self, lost: Record) -> None:
        """Clean up after a run that did not end.

        Raises:
            PullkeyError: Akka or the cloud cannot be read, or the user declined.
        """

    async def _clear_up(
        self,
        session: Session,
        journal: Journal,
        lost: Record,
        held: HeldCredential | None,
        *,
        secret_name: str,
        removing: str = "",
        ask: bool = True,
    ) -> Recovery:
        """Clean up after a run that did not end (`Recovery.clear_up`), and add the outcome to the result.

        With `ask`, report it and ask for confirmation first.

        Raises:
            Declined: the answer was not yes.
            PullkeyError: see `Recovery.clear_up`.
        """
        if ask:
            self._notice(f"{sentence(lost.summary)} Clearing up after it.")
            if not self._options.yes and not self.reporter.confirm("Remove what it created that is unused?"):
                raise Declined
        self.changing = True
        recovery = Recovery(session, self.akka, secret_name, journal, self.reporter, self._remove_replaced)
        try:
            await recovery.clear_up(lost, held, removing=removing)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            shown = as_user_error(error)
            raise messages_journal.lost_run_not_cleared(journal.path, shown, lost.command) from error
        finally:
            await self.result.note_login(session)
            self.result.left_over += recovery.left_over
            self.result.undone += recovery.undone
            for what in recovery.undone:
                self.context.audit(Change("recovery", what, ChangeOutcome.UNDONE, who=self.result.who))
            for left in recovery.left_over:
                self.context.audit(
                    Change("recovery", left.what, ChangeOutcome.LEFT_OVER, who=self.result.who)
                )
        return recovery

    # -- reporting -------------------------------------------------------------------------------------------

    def _report_left_over(self) -> None:
        """Report left-overs once, before the journal ends and they are no longer on record."""
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

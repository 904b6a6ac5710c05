"""Do the steps of a run, concurrently where their order allows it, and undo all of them if one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from bootstrap.engine import messages
from bootstrap.engine.handoff import HandoffStep
from bootstrap.engine.journal import Entry
from bootstrap.engine.key_contract import check_created, trusted_result
from bootstrap.engine.key_retirement import DeleteReplacedKey, RetireReplacedKey
from bootstrap.engine.pull_check import HandshakeStep
from bootstrap.engine.reporter import Reporter
from bootstrap.engine.result import Result
from bootstrap.engine.run_options import RunOptions
from bootstrap.engine.transaction import Transaction
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import Interrupted, ProviderFault, PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Step, StepRole

_GRACE_SECONDS = 15.0
_OTHERS_SECONDS = 10.0


class StepRunner:
    """Does the steps of one run.

    Args:
        changes: records what is started and done, and undoes it.
        stop: set when the run is interrupted.
        held: reads Akka's record.
        keys_now: lists the identity's keys; read again after `invalidate`.
    """

    def __init__(
        self,
        session: Session,
        context: RunContext,
        reporter: Reporter,
        options: RunOptions,
        result: Result,
        changes: Transaction,
        stop: asyncio.Event,
        *,
        handoff: HandoffStep,
        handshake: HandshakeStep,
        clear: DeleteReplacedKey,
        held: Callable[[], Awaitable[HeldCredential | None]],
        keys_now: AsyncOnce[list[KeyFacts]],
        verified_pulls: VerifiedPulls | None,
    ) -> None:
        self.session = session
        self.context = context
        self.reporter = reporter
        self.options = options
        self.result = result
        self._changes = changes
        self._stop = stop
        self.handoff = handoff
        handoff.others_at_work = self._others_appeared
        self.handshake = handshake
        self.clear = clear
        self._held = held
        self._keys_now = keys_now
        self._verified_pulls = verified_pulls
        self._finished: dict[str, asyncio.Event] = {}

    @property
    def only_retirement_left(self) -> bool:
        """Whether Akka is seen to have the new key in place of another, so that nothing is rolled back."""
        others = [one for name, one in self._finished.items() if name != EngineStep.RETIRE]
        return {EngineStep.RETIRE, EngineStep.HANDOFF} <= self._finished.keys() and all(
            one.is_set() for one in others
        )

    async def do_all(self, pending: Sequence[Step]) -> None:
        """Do the pending steps.

        A run that is interrupted once only the retirement of the replaced key is left ends as done; a key
        that is not retired by then is left over.

        Raises:
            PullkeyError: a step failed, or the run was interrupted. The steps were undone as far as possible.
        """
        finished = self._finished = {step.name: asyncio.Event() for step in pending}
        broken: list[PullkeyError] = []
        halt = asyncio.Event()

        async def take(step: Step) -> None:
            # Deleting old keys may have to make room for the new one.
            for name in (
                *step.after,
                *((EngineStep.LOST, self.clear.name) if step.name == StepRole.KEY else ()),
            ):
                if name in finished:
                    await _first(finished[name].wait(), halt.wait(), self._stop.wait())
            if halt.is_set() or self._stop.is_set():
                return
            try:
                await self._do(step)
                finished[step.name].set()
            except PullkeyError as error:
                broken.append(error)
                halt.set()
            except Exception:
                halt.set()
                raise

        for step in pending:
            if step.name == EngineStep.RETIRE:
                # After the handoff the old key must be retired, even if this run is killed before that.
                self._changes.promise(step)
        tasks = [asyncio.create_task(take(step), name=step.name) for step in pending]
        try:
            await _first(asyncio.wait(tasks), self._stop.wait())
            if self._stop.is_set():
                await self._wind_up(tasks)
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if broken:
                raise broken[0]
            if self._stop.is_set() and not self.only_retirement_left:
                done = all(one.is_set() for one in finished.values())
                if not done or self._changes.unfinished():
                    raise Interrupted("Interrupted")
            for step in pending:
                if not finished[step.name].is_set():
                    self._leave_replaced(step)
        except BaseException as error:
            await asyncio.shield(self._changes.undo())
            if isinstance(error, PullkeyError) or not isinstance(error, Exception):
                raise
            raise as_user_error(error) from error

    async def _wind_up(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Give the calls in progress time to be answered: an aborted call may have created something."""
        for task in tasks:
            if task.get_name() == self.handshake.name:
                task.cancel()
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _leave_replaced(self, step: Step) -> None:
        """Leave the replaced key to the next run, since this one is interrupted before it was retired."""
        delete_command = self.session.key.delete_command
        left = self._changes.leave_replaced(
            lambda key_id: messages.stopped_before_retirement(key_id, delete_command(key_id))
        )
        found = self.result.steps[step.name]
        found.result, found.detail = "skipped", left.what if left is not None else "interrupted"
        self.reporter.skip(step.name, f"{step.title}: interrupted")

    async def _do(self, step: Step) -> None:
        found = self.result.steps[step.name]
        if step is self.handshake and not self.options.wait:
            found.result, found.detail = "skipped", "not verified, because of --no-wait"
            self.reporter.skip(step.name, f"{step.title}: skipped, because of --no-wait")
            return
        self.reporter.begin(step.name, step.title)
        begin = clock.monotonic()
        if self.context.deadline.passed and not isinstance(step, DeleteReplacedKey | RetireReplacedKey):
            found.result, found.detail = "failed", "not begun: --timeout was over"
            self.reporter.fail(step.name, found.detail)
            raise messages.timed_out_before(step.title)
        entry = await self._changes.begin(step) if step.changes else None
        try:
            done = await step.do()
            if step.name == StepRole.KEY:
                await self._check_key(done, entry)
            self.handoff.beside_others |= done.unneeded
            if step is self.handoff:
                await self._settle_race()
                await self._verify_again()
        except PullkeyError as error:
            found.result, found.detail = "failed", error.what
            self.reporter.fail(step.name, error.what)
            if entry is not None:
                self._changes.failed(step, entry, error.what)
            raise
        found.seconds = round(clock.monotonic() - begin, 3)
        found.result, found.detail = "done", done.detail
        if done.left_over is not None:
            self.result.left_over.append(done.left_over)
        if step.name == StepRole.KEY:
            await self._note_replaced()
        if entry is not None:
            await self._changes.done(step, entry, done)
        if step is self.handshake:
            if self.handshake.pulled:
                self.result.verified = done.detail
                self._remember_verified_pull()
            else:
                self.result.not_verified = done.detail
        self.reporter.finish(step.name, done.sentence(step.title), found.seconds)

    async def _check_key(self, done: Done, entry: Entry | None) -> None:
        """Check that later runs will find the new key.

        Raises:
            ProviderFault: they would not, and would create one more each.
        """
        try:
            await check_created(self.session, done, self.options.secret_name)
        except ProviderFault:
            if entry is not None:
                entry.made = {**(entry.made or {}), **trusted_result(done)}  # it is undone by that
            if done.left_over is not None:
                self.result.left_over.append(done.left_over)
            raise

    async def _settle_race(self) -> None:
        """If another run created a key at the same time, wait until one of the two has yielded.

        A run that read Akka's record before this one registered may overwrite it after this one read it back.

        Raises:
            LostRace: another run has registered its key; this run yields.
        """
        if not self.session.key.supplied and await self._own_key_is_unlisted():
            self.handoff.beside_others = True  # another run may have undone the identity
        deadline = Deadline(min(_OTHERS_SECONDS, self.context.deadline.left))
        while not deadline.passed and await self._others_at_work():
            self.handoff.beside_others = True  # it may have removed what this run's key needs, or the key
            await asyncio.sleep(min(1.0, deadline.left))
            if notice := await self.handoff.look_again():
                self.result.notices.append(notice)
                self.reporter.notice(notice)
                return
            self._keys_now.invalidate()

    async def _verify_again(self) -> None:
        """Verify the key again if another run was active: it may have failed and undone the identity or grant
        that this run uses.

        Raises:
            StepFailed: the new key no longer pulls.
        """
        if self.handoff.beside_others and self.options.wait:
            await self.handshake.do()

    async def _others_appeared(self) -> bool:
        """`_others_at_work`, by a list that is read now."""
        self._keys_now.invalidate()
        return await self._others_at_work()

    async def _others_at_work(self) -> bool:
        """Whether the identity shows keys that did not exist when this run began and are not its own."""
        made, before = self.session.credential, self._changes.keys_before
        if before is None or made is None:
            return False
        now = await self._listed_keys()
        return now is not None and bool(now - before - {made.link.key_id, *self.session.key.deleted})

    async def _own_key_is_unlisted(self) -> bool:
        """Whether the identity does not show this run's key, since its list lags or the key is gone."""
        made, now = self.session.credential, await self._listed_keys()
        return made is not None and now is not None and made.link.key_id not in now

    async def _listed_keys(self) -> set[str] | None:
        """The ids of the identity's keys; None if they are not read, or cannot be."""
        if not self.options.report_unrecorded_keys:
            return None
        try:
            return {key.key_id for key in await self._keys_now()}
        except Exception as error:  # noqa: BLE001  - optional: Akka has the key
            self.context.trace(f"other keys of the identity cannot be seen ({type(error).__name__})")
            return None

    def _remember_verified_pull(self) -> None:
        if self._verified_pulls is not None and self.session.credential is not None:
            self._verified_pulls.remember(self.session.credential.link.key_id)

    async def _note_replaced(self) -> None:
        """Name the replaced key in the new credential, so that a later run can delete it."""
        made = self.session.credential
        link, _ = await key_in_record(self.session, await self._held())
        if (
            made is not None
            and link is not None
            and not self.session.key.supplied
            and link.key_id != made.link.key_id
        ):
            self.session.credential = replace(made, link=made.link.replacing(link.key_id))


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of the coroutines has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

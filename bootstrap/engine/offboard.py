"""Remove a credential: Akka's reference, Akka's secret, the key, the grant, the identity.

Only resources that pullkey certainly created are removed; the identity only if nothing else uses it. What was
already deleted counts as done; what is kept is reported with the reason and the command that removes it.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.record_match import is_another
from bootstrap.akka.records import keys_in_use
from bootstrap.engine import messages, messages_removal
from bootstrap.engine.errors import KeyUnseen
from bootstrap.engine.journal import OFFBOARD, Entry, Journal
from bootstrap.engine.journal import Record as LostRun
from bootstrap.engine.locate import LocatedCredential, find
from bootstrap.engine.operation import Operation
from bootstrap.engine.recovery import left_overs_of
from bootstrap.engine.removal_entry import as_intent
from bootstrap.engine.removal_planner import RemovalPlanner
from bootstrap.engine.reporter import Reporter, quiet
from bootstrap.engine.result import RemovalResult, Result
from bootstrap.engine.run_options import OffboardOptions
from bootstrap.engine.unrecorded_keys import unrecorded_keys
from bootstrap.engine.verified_pulls import VerifiedPulls
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.change import Change, ChangeOutcome
from bootstrap.model.errors import Declined, LeftOver, PullkeyError
from bootstrap.model.text import capitalised
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import read_settled
from bootstrap.plugin.step import Disposition, StepRole, StillThere


class Offboarding(Operation):
    """The removal of one credential.

    Args:
        located: Akka's record and its cloud resources.
        akka: the CLI, for the credential's project.
    """

    then = "stopping; what was removed by then stays removed"
    refusals = (Declined, KeyUnseen)

    def __init__(
        self,
        located: LocatedCredential,
        *,
        context: RunContext,
        akka: AkkaCli,
        journal: Journal | None,
        reporter: Reporter,
        options: OffboardOptions,
        verified_pulls: VerifiedPulls | None = None,
    ) -> None:
        super().__init__(
            context=context,
            akka=akka,
            journal=journal,
            reporter=reporter,
            options=options,
            verified_pulls=verified_pulls,
        )
        self.options = options
        self._located = located
        self._held = located.held
        self._removals = RemovalPlanner(
            located, context, akka, options, verified_pulls, self.result, self._notice
        )
        self._entry: Entry | None = None
        if located.context is not None:
            located.context.in_use = AsyncOnce(lambda: keys_in_use(akka))
            located.context.place = lambda: akka.place(located.held.name)

    def unfinished(self) -> list[str]:
        going = [one for one in self.result.removals if one.to_remove and one.result != "removed"]
        return [f"Not removed: {one.removal.what}" for one in going]

    async def _close(self) -> None:
        if self._located.session is not None:
            await self._located.session.close()

    async def _remove_replaced(self, held: HeldCredential, *, look_only: bool = False) -> Result:
        return await remove_replaced(
            held, self.context, self.akka, self.reporter, self._verified_pulls, look_only=look_only
        )

    async def _connect(self) -> None:
        """Note the account that the changes are made as."""
        if self._located.session is not None:
            await self.result.note_login(self._located.session)

    def _record(self, name: str, what: str, outcome: ChangeOutcome, key_id: str = "") -> None:
        self.context.audit(Change(name, what, outcome, key_id, self.result.who))

    async def _perform(self, *, recovered: bool) -> None:
        await self._removals.look()
        self.reporter.project(self.akka.resolved.described)
        self.reporter.removals([item.removal for item in self.result.removals])
        if self.options.dry_run:
            self.result.result = "planned"
            return
        self._refuse_to_lose_a_key()
        going = [item for item in self.result.removals if item.to_remove]
        if not going:
            await self._end()
            return
        if not self.options.yes and not self.reporter.confirm(
            f"Remove {self._held.name} from {self.akka.resolved.label}, with what is marked above?"
        ):
            raise Declined
        await self._connect()
        await self._refuse_changed_record()
        self.changing = True
        self.context.deadline.settle()
        if self._journal is not None:
            self._journal.begin(self.context.run_id, self.options.command)
            self._entry = self._journal.about_to(OFFBOARD, as_intent(self._held))
            self._journal.replace_earlier(self._entry)
        for item in going:
            if self._stop.is_set():
                raise messages.offboarding_interrupted(self.options.command)
            needed = item.name in (StepRole.GRANT, StepRole.IDENTITY) and await self._removals.keys_since()
            if needed:
                self._keep_for_another_run(needed[0])
                break
            if not await self._remove(item):
                # The resources of a credential that Akka still has must not be removed.
                if self.result.changed:
                    for one in going[going.index(item) :]:
                        self.result.left_over.append(LeftOver(one.removal.what, one.removal.command))
                        self._record(one.name, one.removal.what, ChangeOutcome.LEFT_OVER)
                raise messages.cloud_resources_left_alone(item.detail)
        for item in self.result.removals:
            if item.removal.disposition is Disposition.UNSEEN:
                left = LeftOver(f"{item.removal.what} ({item.removal.why})", item.removal.command)
                self.result.left_over.append(left)
                self._record(item.name, left.what, ChangeOutcome.LEFT_OVER)
        self.result.result = "done"
        await self._end()

    def _keep_for_another_run(self, key_id: str) -> None:
        """Keep what is still there of grant and identity, which a key that was created meanwhile needs."""
        for item in self.result.removals:
            if item.to_remove and item.name in (StepRole.GRANT, StepRole.IDENTITY) and not item.result:
                why = messages_removal.key_of_another_run(key_id)
                item.removal = replace(item.removal, disposition=Disposition.KEEP, why=why)
                self._notice(messages.kept_for_another_run(capitalised(item.removal.what), key_id))

    def _lost_run(self) -> LostRun | None:
        """The same as `Operation._lost_run`, but an earlier offboarding of the same record is accepted."""
        if self.options.dry_run or self._journal is None or self._located.session is None:
            return None
        lost = self._journal.left_behind()
        if lost is not None and not self._own_entries(lost):
            # Not checked for the same record: its target may differ once the identity is deleted.
            self._journal.check_target(lost)
        return lost

    def _own_entries(self, lost: LostRun) -> list[Entry]:
        key_id = self._held.link.key_id if self._held.link else ""
        return [one for one in lost.entries if one.step == OFFBOARD and one.known.get("key_id") == key_id]

    async def _recover(self, lost: LostRun) -> None:
        """Undo what another run for this secret has started; an earlier offboarding is continued."""
        if self._located.session is None or self._journal is None:
            raise AssertionError("there is a lost run only with both")
        await self._connect()
        ask = len(self._own_entries(lost)) < len(lost.entries)
        recovery = await self._clear_up(
            self._located.session,
            self._journal,
            lost,
            self._held,
            secret_name=self._held.name,
            removing=self._held.link.key_id if self._held.link else "",
            ask=ask,
        )
        self._removals.held_back = recovery.held_back
        now = recovery.held
        if now is not None and now.link is not None and now.link != self._held.link:
            raise messages_removal.record_is_newer(self._held.name, self.options.command)

    async def _end(self) -> None:
        """Report keys without a record and left-overs, then end the journal."""
        if self._located.session is not None and self._held.link is not None and self._journal is not None:
            link = self._held.link
            reported = " ".join(f"{one.what} {one.command}" for one in self.result.left_over)
            reported += " ".join(item.removal.command for item in self.result.removals)
            for text in await unrecorded_keys(
                self._located.session, self.akka, {*self._removals.keys_of(link)}, reported
            ):
                self._notice(text)
        self._report_left_over()
        if self._entry is not None:
            # Akka no longer has the credential, so the next run continues from this entry.
            self._entry.leave(*self.result.left_over)
        self._end_journal()

    async def _refuse_changed_record(self) -> None:
        """Refuse if Akka's record is another one than when it was read: it is removed by its name, and it may
        have taken minutes to confirm that.

        Raises:
            LostRace: another run has registered it.
        """
        if not self.options.akka_too:
            return

        async def read() -> HeldCredential | None:
            return await self.akka.credential(self._held.name)

        held = self._held
        if is_another(await read(), held) and is_another(await read_settled(read), held):
            raise messages_removal.record_changed_meanwhile(held.name, self.options.command)

    def _refuse_to_lose_a_key(self) -> None:
        """Refuse to remove Akka's record if a key cannot be seen: the record is the only trace of that key.

        Raises:
            KeyUnseen: the key cannot be seen, and so cannot be deleted.
        """
        for item in self.result.removals:
            if item.name == StepRole.KEY and item.removal.disposition is Disposition.UNSEEN:
                raise messages_removal.key_would_be_lost(item.removal)

    # -- changing --------------------------------------------------------------------------------------------

    async def _remove(self, item: RemovalResult) -> bool:
        """Remove one object. Return False if Akka's side could not be removed, so that the rest
        must be kept.
        """
        self.reporter.begin(item.removal.what, f"Remove {item.removal.what}")
        assert item.act is not None  # noqa: S101  - implied by `to_remove`
        try:
            item.detail = await item.act()
        except StillThere as finding:
            self._leave(item, finding.what, finding.command)
            return True
        except PullkeyError as error:
            if item.name in ("reference", "secret"):
                self._record(item.name, error.what, ChangeOutcome.FAILED)
                item.result, item.detail = "failed", error.what
                self.reporter.fail(item.removal.what, error.what)
                return False
            self._leave(item, f"{item.removal.what} ({error.what})", item.removal.command)
            return True
        item.result = "removed"
        self.result.changed = True
        key_id = item.removal.what.removeprefix("key ") if item.name == StepRole.KEY else ""
        self._record(item.name, item.detail or "it was already deleted", ChangeOutcome.REMOVED, key_id)
        self.reporter.finish(
            item.removal.what, capitalised(item.detail or f"{item.removal.what} was already deleted"), 0.0
        )
        return True

    def _leave(self, item: RemovalResult, what: str, command: str) -> None:
        item.result, item.detail = "left over", what
        self._record(item.name, what, ChangeOutcome.LEFT_OVER)
        self.reporter.fail(item.removal.what, what)
        self.result.left_over.append(LeftOver(what, command))


async def remove_overwritten(
    held: HeldCredential,
    context: RunContext,
    akka: AkkaCli,
    journal: Journal,
    reporter: Reporter,
    verified_pulls: VerifiedPulls | None,
) -> tuple[list[LeftOver], list[str]]:
    """Remove what a run has left to its caller (`RunOptions.defer_removal`), by its journal. Return what is
    left over, and what is kept, with the reason.

    Raises:
        PullkeyError: the journal cannot be read, or another run is at work.
    """
    with journal.locked():
        journal.record = journal.left_behind()
        entry = next((one for one in journal.entries if one.step == OFFBOARD and one.held == held), None)
        if entry is None:
            return [], []  # another run has cleaned up after it
        removed = await remove_replaced(held, context, akka, reporter, verified_pulls)
        left = left_overs_of(held, removed)
        entry.leave(*left)
        journal.end()
    kept = [one.removal for one in removed.removals if one.removal.disposition is Disposition.KEEP]
    return left, [f"{capitalised(one.what)} is kept: {one.why}" for one in kept if one.why]


async def remove_replaced(
    held: HeldCredential,
    context: RunContext,
    akka: AkkaCli,
    reporter: Reporter,
    verified_pulls: VerifiedPulls | None,
    *,
    look_only: bool = False,
) -> Result:
    """Remove the cloud resources of a credential whose name in Akka another credential has taken.

    With `look_only`, nothing is removed, and what would be removed is reported as left over.
    """
    located = await find(held, context)
    result = await Offboarding(
        located,
        context=located.context or context,
        akka=akka,
        journal=None,
        reporter=quiet() if look_only else reporter,
        options=OffboardOptions(yes=True, akka_too=False, dry_run=look_only),
        verified_pulls=verified_pulls,
    ).execute()
    if look_only:
        going = [one.removal for one in result.removals if one.to_remove]
        result.left_over += [LeftOver(one.what, one.command) for one in going]
    return result

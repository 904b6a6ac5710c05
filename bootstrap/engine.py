"""One run for one target: look at everything, say what is wrong, do what is missing, undo on failure.

The order is that of `docs/architecture.md`: preflight, identity, grant and key side by side, handshake, handoff.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.akka import AkkaCli
from bootstrap.audit import Change
from bootstrap.common_steps import (
    AkkaHoldsNewKey,
    HandoffStep,
    HandshakeStep,
    held_link,
    recorded_link,
    same_server,
)
from bootstrap.credential import Credential
from bootstrap.errors import (
    ExitCode,
    LeftOver,
    Problem,
    ProblemKind,
    PullkeyError,
    Refused,
    StepFailed,
    UsageProblem,
)
from bootstrap.handshake import (
    Attempt,
    Challenge,
    Patience,
    Verdict,
    exchange,
    failure,
    fetch_challenge,
    first_word,
    open_to_all,
)
from bootstrap.journal import Entry, Journal, Record
from bootstrap.link import KeyLink
from bootstrap.once import Once
from bootstrap.proofs import Proofs
from bootstrap.provider import HeldCredential, RunContext, Session, Target, right
from bootstrap.records import keys_of
from bootstrap.recovery import OFFBOARD, PartWith, Recovery, as_intent, still_behind, strays
from bootstrap.reporter import Reporter
from bootstrap.retirement import RETIRE, ClearStep, RetireStep
from bootstrap.runbook import filled_in
from bootstrap.secret import Secret
from bootstrap.steps import Findings, Notice, Sighting, State, Step, StillThere

_GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class AsPlanned:
    """What a plan has shown: the steps that are to be done, and the e-mail of Akka's record (None: there is none)."""

    steps: frozenset[str]
    email: str | None


@dataclass(frozen=True)
class Wishes:
    """What the person asked for, beyond the target."""

    secret_name: str
    replace: bool = False
    anyway: bool = False
    wait: bool = True
    dry_run: bool = False
    yes: bool = False
    question: str = ""
    command: str = ""
    grace: dt.timedelta | None = None
    """A rotation: how long the key that Akka held is left. None: no rotation."""
    overlap: dt.timedelta = dt.timedelta()
    """A rotation: how long both keys are good once Akka shows the new one everywhere."""
    as_planned: AsPlanned | None = None
    """Nothing else is done than this; less is, where others have done some of it meanwhile."""
    name_strays: bool = True
    """Whether to look for keys that lost runs have left; of many targets it is enough to look once."""


@dataclass
class StepResult:
    """What became of one step."""

    name: str
    title: str
    seen: Sighting
    result: str = field(init=False)
    detail: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.result = "kept" if self.seen.state is State.DONE else "planned"


@dataclass
class Outcome:
    """What became of a run; everything that the person and `--output json` are told."""

    result: str = "unchanged"
    exit_code: ExitCode = ExitCode.DONE
    changed: bool = False
    proven: str = ""
    who: str = ""
    steps: dict[str, StepResult] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    notices: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    left_over: list[LeftOver] = field(default_factory=list)
    error: PullkeyError | None = None
    credential: Mapping[str, str | None] = field(default_factory=dict)


class Interrupted(PullkeyError):
    """The person, or whoever stops processes, wanted it to end."""

    exit_code = ExitCode.INTERRUPTED


class Declined(PullkeyError):
    """The person was asked before the first change, and did not say yes."""

    exit_code = ExitCode.REFUSED


@dataclass
class Run:
    """One onboarding. `execute` does it all; `interrupt` may be called meanwhile, from the same event loop."""

    target: Target
    session: Session
    context: RunContext
    akka: AkkaCli
    journal: Journal
    reporter: Reporter
    wishes: Wishes
    patience: Patience = field(default_factory=Patience)
    proofs: Proofs | None = None
    part_with: PartWith = field(kw_only=True)
    """Removes what stood behind a record of ours that another registry's has replaced."""
    akka_checked: bool = False
    """Whether the command has found before that Akka is there, logged in, and sees the project."""

    def __post_init__(self) -> None:
        self.outcome = Outcome()
        self._held = Once(lambda: self.akka.credential(self.wishes.secret_name))
        self.context.held = self._held
        self.akka.lock = lambda: self.journal.descriptor
        self._akka_problems = Once(self._look_at_akka)
        self._who = Once(self.session.connect)
        self._challenge = Once(self._ask_the_registry)
        self._open_to_all = Once(self._ask_as_anybody)
        self._keys_now = Once(self.session.keys_of_ours)
        self.changing = False
        self.handoff = HandoffStep(
            self.session, self.context, self.akka, self.wishes.secret_name, key_pending=self._key_pending
        )
        self.handshake = HandshakeStep(
            self.session,
            self.context,
            challenge=self._trusted_challenge,
            key_pending=self._key_pending,
            patience=self.patience,
        )
        self.clear = ClearStep(
            self.session, self.context, grace=self.wishes.grace, key_pending=self._key_pending
        )
        self.steps: list[Step] = [self.clear, *self.session.steps, self.handshake, self.handoff]
        if self.wishes.grace is not None:
            self.steps.append(
                RetireStep(
                    self.session,
                    self.context,
                    grace=self.wishes.grace,
                    overlap=self.wishes.overlap,
                    key_pending=self._key_pending,
                )
            )
        self._looks = {step.name: Once(step.look) for step in self.steps}
        self._stop = asyncio.Event()
        self.public = ""
        self._told_left_over = False
        self._keys_before: set[str] | None = None
        self._entries: list[tuple[Step, Entry]] = []
        self._promised: dict[str, Entry] = {}

    # -- the whole of it -----------------------------------------------------------------------------------------

    async def execute(self) -> Outcome:
        """Do it. Errors that a person can be told are told and stand in the outcome; none is raised."""
        lock = contextlib.nullcontext() if self.wishes.dry_run else self.journal.locked()
        return await self._told(self._execute(), lock)

    async def verify(self, password: Secret | None) -> Outcome:
        """Only look: at key, grant and Akka's record; with the password also at a pull. Changes nothing."""
        return await self._told(self._verify(password), contextlib.nullcontext())

    async def _told(self, work: Coroutine[Any, Any, None], lock: AbstractContextManager[None]) -> Outcome:
        try:
            try:
                with lock:
                    await work
            finally:
                work.close()
        except Refused as refusal:
            self.outcome.result, self.outcome.problems = "refused", refusal.problems
            self.outcome.exit_code = refusal.exit_code
            self.reporter.problems(refusal.problems)
        except PullkeyError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything; a person is owed a sentence
            self._failed(self._as_told(error))
        finally:
            self._tell_left_over()
            await self.session.close()
        return self.outcome

    def _tell_left_over(self) -> None:
        """Before the journal ends: what is in neither would be lost sight of."""
        if not self._told_left_over:
            self._told_left_over = bool(self.outcome.left_over)
            self.reporter.left_over(self.outcome.left_over)

    def _end_journal(self) -> None:
        self._tell_left_over()
        self.journal.end()

    def _failed(self, error: PullkeyError) -> None:
        self.outcome.error = error
        self.outcome.exit_code = ExitCode.LEFT_OVER if self.outcome.left_over else error.exit_code
        kinds: dict[type[PullkeyError], str] = {Interrupted: "interrupted", Declined: "refused"}
        self.outcome.result = kinds.get(type(error), "failed")

    def _as_told(self, error: BaseException) -> PullkeyError:
        """An error as a sentence: our own, the cloud's, or one that nobody foresaw."""
        if isinstance(error, PullkeyError):
            return error
        said = self.session.cloud_said(error)
        told = StepFailed(f"The cloud could not be asked: {said}", mend="Run it again in a while.") if said else _unexpected(error)  # fmt: skip
        told.__cause__ = error
        return told

    def interrupt(self) -> None:
        """Begin no further step, wait for the calls that are under way, and undo."""
        self._stop.set()

    def unfinished(self) -> list[str]:
        """The steps that were begun and are not undone."""
        return [f"begun: {step.title}" for step, _ in self._entries]

    async def _execute(self) -> None:
        lost = self.journal.left_behind()
        if lost is not None:
            self.journal.check_target(lost)
            if not self.wishes.dry_run:
                # First: what the lost run has made may itself stand in the way of this one.
                await self._recover(lost)
        sightings = await self._examine()
        self.reporter.planned([(step.name, step.title, sightings[step.name]) for step in self.steps])
        pending = [step for step in self.steps if sightings[step.name].state is not State.DONE]
        if self.public and pending and lost is None and not self.wishes.anyway:
            self.outcome.result = "unneeded"
            return
        if self.wishes.as_planned is not None:
            await self._refuse_unless_planned(self.wishes.as_planned, pending)
        if self.wishes.dry_run:
            self.outcome.result = "planned"
            if lost is not None:
                self._notice(
                    f"Run {lost.run_id} of {lost.begun} did not end; the next run clears up after it first."
                )
            return
        if pending:
            if "key" in {step.name for step in pending}:
                await self.session.ask()
            if not self.wishes.yes and not self.reporter.confirm(self.wishes.question):
                raise Declined("It was not confirmed, so nothing was changed", mend="Answer y, or give --yes")
            await self._change(pending)
        else:
            self._keys_now = Once(lambda: self.session.keys_of_ours(as_seen=True))
        self.outcome.credential = await self._described()
        if self.wishes.name_strays:
            await self._name_strays()
        self._end_journal()
        if self.outcome.left_over:
            self.outcome.exit_code = ExitCode.LEFT_OVER

    async def _refuse_unless_planned(self, planned: AsPlanned, pending: Sequence[Step]) -> None:
        held = await self._held()
        more = [step for step in pending if step.name not in planned.steps]
        if pending and (held.email if held else None) != planned.email:
            what = f"Akka's {self.wishes.secret_name} is another one than when this was planned"
        elif more:
            what = f"This was not planned: {'; '.join(step.title for step in more)}"
        else:
            return
        raise Refused([Problem(ProblemKind.SETUP, what, "Somebody has changed something meanwhile: plan it again")])  # fmt: skip

    async def _change(self, pending: Sequence[Step]) -> None:
        self.changing = True
        with contextlib.suppress(PullkeyError):
            self._keys_before = {key.key_id for key in await self.session.keys_of_ours(as_seen=True)}
            self._keys_before |= keys_of(filter(None, [await self._held()]))
        self.journal.begin(self.context.run_id, self.wishes.command)
        overwritten = await self._overwritten(pending)
        if overwritten is not None:
            self.journal.about_to(OFFBOARD, as_intent(overwritten))
        await self._do_all(pending)
        self.outcome.result, self.outcome.changed = "done", True
        if overwritten is not None:
            await self._part_with(overwritten)

    async def _verify(self, password: Secret | None) -> None:
        sightings = await self._examine(for_change=False)
        self.reporter.planned([(step.name, step.title, sightings[step.name]) for step in self.steps])
        self.outcome.credential = await self._described()
        good = all(sightings[step.name].state is State.DONE for step in self.steps)
        if password is not None:
            probe = await self.session.probe()
            username = await self.session.username() or ""
            credential = Credential(await self.session.server(), username, password, KeyLink("", "", ""))
            attempt = await exchange(
                probe, await self._trusted_challenge(), credential, trace=self.context.trace
            )
            good = good and attempt.verdict is Verdict.PULLS
            if attempt.verdict is Verdict.PULLS:
                self.outcome.proven = f"it {attempt.detail}"
            else:
                self._notice(f"The credential on stdin does not pull: {attempt}")
        self.outcome.result = "verified" if good else "drift"
        self.outcome.exit_code = ExitCode.DONE if good else ExitCode.DRIFT

    # -- looking -------------------------------------------------------------------------------------------------

    async def _examine(self, *, for_change: bool = True) -> dict[str, Sighting]:
        """Everything that can be known before a change, asked side by side; all the problems at once.

        Raises:
            Refused: there are problems.
        """
        # Akka is asked while the cloud's libraries are imported, which takes as long.
        self._akka_problems.begin()
        self._held.begin()
        if self.session.host_known:
            self._challenge.begin()
        who = await self._connect()
        self.outcome.who = who
        self.reporter.connected(self.target.label, who)
        permissions = sorted({name for step in self.steps for name in step.permissions})
        for look in self._looks.values():
            look.begin()
        self._open_to_all.begin()
        findings, missing, problems, answered = await asyncio.gather(
            self.session.preflight(),
            self.session.missing_permissions(permissions),
            self._akka_problems(),
            self._challenge(),
        )
        findings.problems += problems
        sightings: dict[str, Sighting] = {}
        looks = await asyncio.gather(
            *(self._looks[step.name]() for step in self.steps), return_exceptions=True
        )
        for step, seen in zip(self.steps, looks, strict=True):
            if isinstance(seen, Sighting):
                sightings[step.name] = seen
            elif isinstance(seen, Exception):
                told = self._as_told(seen)
                if not findings.problems:
                    # Mostly another symptom of a problem that is told already.
                    findings.problems.append(Problem(ProblemKind.SETUP, told.what, told.mend, step=step.name))
                sightings[step.name] = Sighting(State.UNSEEN, told.what)
            else:
                raise seen
        findings.problems += self._rights(sightings, missing, who)
        if not problems:
            findings.add(await self._about_akkas_record(sightings))
        if sightings["key"].state is not State.DONE:
            await self._about_everybody(findings)
        # Of a registry that is not there, no second word is needed.
        if not (
            findings.problems and isinstance(answered, Attempt) and answered.verdict is Verdict.UNREACHABLE
        ):
            findings.add(_about_the_registry(answered, sightings))
        self.steps = [
            step for step in self.steps if not (step.quiet and sightings[step.name].state is State.DONE)
        ]
        for step in self.steps:
            self.outcome.steps[step.name] = StepResult(step.name, step.title, sightings[step.name])
        for notice in findings.notices:
            self._notice(notice.text)
        if findings.problems and for_change:
            raise Refused(findings.problems)
        for problem in findings.problems:
            self._notice(problem.what)
        return sightings

    async def _look_at_akka(self) -> list[Problem]:
        return [] if self.akka_checked else await self.akka.preflight()

    async def _ask_as_anybody(self) -> str:
        """How it shows that the registry lets anybody pull, or ""; not asked where no key is to be made."""
        with contextlib.suppress(PullkeyError):
            answered = await self._challenge()
            link, _ = await held_link(self.session, self.context)
            if isinstance(answered, Challenge) and (link is None or await self._key_pending()):
                probe = await self.session.probe()
                seconds = self.context.deadline.within(10.0)
                return await open_to_all(probe, answered, trace=self.context.trace, seconds=seconds)
        return ""

    async def _about_everybody(self, findings: Findings) -> None:
        """A registry that lets anybody pull needs no credential, whatever else would stand in the way of making one."""
        public = isinstance(await self._challenge(), Challenge) and (
            findings.public or await self._open_to_all()
        )
        if not public:
            return
        self.public = public
        if self.wishes.anyway:
            findings.notices.append(Notice(f"{public}, so Akka needs no credential; one is made all the same, as --anyway says."))  # fmt: skip
            return
        findings.problems.clear()

    async def _connect(self) -> str:
        try:
            return await self._who()
        except UsageProblem:
            raise
        except PullkeyError as error:
            raise Refused(
                [Problem(ProblemKind.SETUP, error.what, error.mend), *await self._akka_problems()]
            ) from None

    def _rights(
        self, sightings: Mapping[str, Sighting], missing: Mapping[str, str] | None, who: str
    ) -> list[Problem]:
        """A permission is missed only where a step that needs it is still to be done."""
        if missing is None:
            return []
        return [
            right(permission, missing[permission], step.name, step.title, who)
            for step in self.steps
            if sightings[step.name].state is not State.DONE
            for permission in step.permissions
            if permission in missing
        ]

    async def _about_akkas_record(self, sightings: Mapping[str, Sighting]) -> Findings:
        held = await self._held()
        if held is None or sightings["handoff"].state is State.DONE:
            return Findings()
        name = self.wishes.secret_name
        try:
            server = await self.session.server()
        except PullkeyError:
            return Findings()  # there is no such registry, which is told already
        if not same_server(held.server, server):
            if not self.wishes.replace:
                return Findings([Problem(ProblemKind.QUESTION, f"Akka's credential {name} is for another registry, {held.server}", "Give another --secret-name, or --replace to overwrite it", step="handoff")])  # fmt: skip
            then = "; what pullkey made for the old one is removed then" if held.link else ""
            return Findings([], [Notice(f"Akka's credential {name} for {held.server} will be replaced, as --replace says{then}.")])  # fmt: skip
        if held.link is None:
            whose = f"the credential of {held.username or 'nobody'}"
            return Findings([], [Notice(f"Akka's {name} ({whose}) will be replaced once the new key pulls; what stands behind it was not made by pullkey and stays as it is.")])  # fmt: skip
        if (await recorded_link(self.session, held))[0] is None:
            return Findings([], [Notice(f"Akka's {name} (key {held.link.key_id} of {held.link.name}@{held.link.domain}) will be replaced once the new key pulls; what pullkey made for it is removed then.")])  # fmt: skip
        if self.wishes.grace is not None:
            return Findings()  # what becomes of the old key is a step of its own
        return Findings([], [Notice(f"Akka's {name} (key {held.link.key_id}) will be replaced once the new key pulls; its own key stays until the next `pullkey rotate`.")])  # fmt: skip

    async def _key_pending(self) -> bool:
        return (await self._looks["key"]()).state is not State.DONE

    async def _ask_the_registry(self) -> Challenge | Attempt:
        try:
            host = await self.session.host()
        except PullkeyError as error:
            return Attempt(Verdict.UNREACHABLE, error.what)
        context = self.context

        def ask() -> Coroutine[Any, Any, Challenge | Attempt]:
            return fetch_challenge(host, seconds=context.deadline.within(30.0), trace=context.trace)

        # All targets of a host are told the same.
        of_host = context.shared.get(("challenge", host), lambda: Once(ask))
        answered = await of_host()
        if isinstance(answered, Attempt):
            of_host.forget()
        return answered

    async def _trusted_challenge(self) -> Challenge:
        answered = await self._challenge()
        if isinstance(answered, Attempt):
            self._challenge.forget()
            answered = await self._challenge()
        if isinstance(answered, Attempt):
            raise failure(answered, "")
        return answered

    async def _described(self) -> dict[str, str | None]:
        """The credential without its password."""
        made = self.session.credential
        if made is not None:
            ends = made.ends.isoformat(timespec="seconds") if made.ends else None
            return {
                "server": made.server, "username": made.username, "email": made.email,
                "key_id": made.link.key_id, "ends": ends,
            }  # fmt: skip
        link, _ = await held_link(self.session, self.context)
        return {
            "server": await self.session.server(), "username": await self.session.username(),
            "email": str(link) if link else None, "key_id": link.key_id if link else None, "ends": None,
        }  # fmt: skip

    async def _overwritten(self, pending: Sequence[Step]) -> HeldCredential | None:
        """The record of ours, of another registry or identity, that this run's handoff takes the name of."""
        held = await self._held()
        if held is None or held.link is None or self.handoff not in pending:
            return None
        link, _ = await recorded_link(self.session, held)
        return held if link is None else None

    async def _part_with(self, held: HeldCredential) -> None:
        """Akka holds the new one; nothing that goes wrong here is a reason to undo it."""
        parted = await self.part_with(held)
        self.outcome.left_over += still_behind(held, parted)

    # -- doing ---------------------------------------------------------------------------------------------------

    async def _do_all(self, pending: Sequence[Step]) -> None:
        """Do the steps in their order, side by side where there is none; undo all if one fails."""
        finished = {step.name: asyncio.Event() for step in pending}
        broken: list[PullkeyError] = []
        halt = asyncio.Event()

        async def take(step: Step) -> None:
            # A place for the new key may have to be made first.
            for name in (*step.after, *((self.clear.name,) if step.name == "key" else ())):
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
            if step.name == RETIRE:
                # From the handoff on the old key is to go, even if this run does not live to do it.
                self._promised[step.name] = self.journal.about_to(step.name, step.intent())
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
            if self._stop.is_set():
                raise Interrupted("It was interrupted")
        except BaseException as error:
            await asyncio.shield(self._undo_all())
            if isinstance(error, PullkeyError) or not isinstance(error, Exception):
                raise
            raise self._as_told(error) from error

    async def _wind_up(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """A call under way gets the time to answer: one that is cut off leaves nobody knowing what was made."""
        for task in tasks:
            if task.get_name() == self.handshake.name:
                task.cancel()
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _do(self, step: Step) -> None:
        result = self.outcome.steps[step.name]
        if step is self.handshake and not self.wishes.wait:
            result.result, result.detail = "skipped", "not proven, because of --no-wait"
            self.reporter.finish(step.name, result.detail, 0.0)
            return
        self.reporter.begin(step.name, step.title)
        begin = time.monotonic()
        entry = self._promised.get(step.name) or self.journal.about_to(step.name, step.intent())
        self._entries.append((step, entry))
        try:
            done = await step.do()
        except PullkeyError as error:
            result.result, result.detail = "failed", error.what
            self.reporter.fail(step.name, error.what)
            self._record(step, entry, error.what, "failed")
            raise
        result.seconds = round(time.monotonic() - begin, 3)
        result.result, result.detail = "done", done.detail
        if done.left_over is not None:
            self.outcome.left_over.append(done.left_over)
        if step.name == "key":
            await self._note_replaced()
        if done.made is None:
            self._entries.remove((step, entry))
            self.journal.forget(entry)
        else:
            self.journal.has_made(entry, done.made)
        self._record(step, entry, done.detail, "done")
        if step is self.handshake:
            self.outcome.proven = done.detail
            self._remember_proof()
            if self.wishes.name_strays:
                self._keys_now.begin()  # wanted at the end
        self.reporter.finish(step.name, done.detail, result.seconds)

    def _record(self, step: Step, entry: Entry, what: str, outcome: str) -> None:
        if step is not self.handshake:  # which changes nothing
            key_id = entry.known.get("key_id") or ""
            self.context.audit(Change(step.name, what, outcome, str(key_id), self.outcome.who))

    def _remember_proof(self) -> None:
        if self.proofs is not None and self.session.credential is not None:
            self.proofs.remember(self.session.credential.link.key_id)

    async def _note_replaced(self) -> None:
        """The new credential says which key it replaces, for whoever is to delete that one."""
        made = self.session.credential
        link, _ = await recorded_link(self.session, await self._held())
        if (
            made is not None
            and link is not None
            and self.session.deletes_keys
            and link.key_id != made.link.key_id
        ):
            self.session.credential = replace(made, link=made.link.replacing(link.key_id))

    # -- undoing -------------------------------------------------------------------------------------------------

    async def _undo_all(self) -> None:
        """Last in, first out; one that fails stops no other, except where Akka holds the key that would go."""
        rivals: dict[bool, list[str]] = {}
        for step, entry in reversed(self._entries):
            if step in self.session.steps and step.name != "key":
                lost = bool(entry.intent.get("lost"))
                if lost not in rivals:
                    # What a lost run had made was there for others to find before this one began.
                    rivals[lost] = await self._rivals(set() if lost else self._keys_before or set())
                if rivals[lost]:
                    # Another run, on another machine, has found it and goes on with it.
                    self._notice(f"{step.title}: this stays, since key {rivals[lost][0]} needs it, which another run has made meanwhile.")  # fmt: skip
                    self.journal.forget(entry)
                    continue
            if not await self._undo(step, entry):
                break
        if not self.outcome.left_over:
            self.journal.end()

    async def _rivals(self, before: set[str]) -> list[str]:
        """Other keys of the identity than those of `before`; none where they cannot be seen."""
        made = self.session.credential
        own = {made.link.key_id} if made else set()
        try:
            link, _ = await recorded_link(self.session, await self.akka.credential(self.wishes.secret_name))
            found = {link.key_id} if link is not None else set()
            if self._keys_before is not None:
                found |= {key.key_id for key in await self.session.keys_of_ours()}
        except Exception as error:  # noqa: BLE001  - undoing goes on, whatever a cloud answers
            self.context.trace(f"other keys of the identity cannot be seen ({type(error).__name__})")
            return []
        return sorted(found - own - before)

    async def _undo(self, step: Step, entry: Entry) -> bool:
        """Undo one step; False if what came before it must stay."""
        try:
            undone = await step.undo(entry.known)
        except AkkaHoldsNewKey as finding:
            self.outcome.left_over.append(
                LeftOver(f"{finding}; its key, role and identity were kept", self.wishes.command)
            )
            return False
        except StillThere as finding:
            self.outcome.left_over.append(LeftOver(finding.what, finding.command))
            self._record(step, entry, finding.what, "left over")
            return True
        except Exception as error:  # noqa: BLE001  - an SDK can raise anything, and the other steps are still to be undone
            told = self._as_told(error)
            self.outcome.left_over.append(LeftOver(f"step {step.name} could not be undone: {told.what}", self._undo_command(step, entry)))  # fmt: skip
            return step is not self.handoff  # whose key Akka may hold
        if undone:
            self.outcome.undone.append(undone)
            self.reporter.undone(undone)
            self._record(step, entry, undone, "undone")
        if step.name in self.outcome.steps and self.outcome.steps[step.name].result == "done":
            self.outcome.steps[step.name].result = "undone"
        self.journal.forget(entry)
        return True

    def _undo_command(self, step: Step, entry: Entry) -> str:
        """What a person would type to undo a step."""
        if step.name == "key":
            return self.session.delete_key_command(entry.known.get("key_id") or "KEY_ID")
        command = filled_in(_first_line(step.script().undo), self.session.script_variables())
        # What only a whole script knows nobody can type; but the journal stays, and the next run clears up by it.
        return self.wishes.command if not command or "$" in command else command

    async def _recover(self, lost: Record) -> None:
        """Clear up after a run that did not end. Identity and grant stay: this run wants the same ones.

        Raises:
            Refused: Akka or the cloud cannot be asked.
        """
        await self._connect()
        if problems := await self._akka_problems():
            raise Refused(problems)
        self._notice(f"Run {lost.run_id} of {lost.begun} did not end; clearing up after it.")
        if not self.wishes.yes and not self.reporter.confirm("Remove what it has made and nobody uses?"):
            raise Declined("It was not confirmed, so nothing was changed", mend="Answer y, or give --yes")
        self.changing = True
        recovery = Recovery(self.session, self.akka, self.journal, self.reporter, self.part_with)
        try:
            await recovery.clear_up(lost, await self._held())
        finally:
            self.outcome.left_over += recovery.left_over
            self.outcome.undone += recovery.undone
            for what in recovery.undone:
                self.context.audit(Change("recovery", what, "undone", who=self.outcome.who))
        self._entries += recovery.kept

    async def _name_strays(self) -> None:
        """A key that a lost run on another machine has left: only the clouds know of it, and nobody of what use it is."""
        link, _ = await recorded_link(self.session, await self._held())
        made = self.session.credential.link if self.session.credential else None
        known = {key for one in (link, made) if one is not None for key in (one.key_id, one.replaces) if key}
        told = " ".join(f"{one.what} {one.command}" for one in self.outcome.left_over)
        for text in await strays(self.session, self.akka, known, told, keys=self._keys_now):
            self._notice(text)

    def _notice(self, text: str) -> None:
        self.outcome.notices.append(text)
        self.reporter.notice(text)


def all_steps(session: Session, context: RunContext, akka: AkkaCli, secret_name: str) -> list[Step]:
    """All the steps of a target, for readers that do none of them."""

    async def nothing() -> Any:
        raise AssertionError("a reader does no step")

    handshake = HandshakeStep(session, context, challenge=nothing, key_pending=nothing, patience=Patience())
    return [*session.steps, handshake, HandoffStep(session, context, akka, secret_name, key_pending=nothing)]


def _about_the_registry(answered: Challenge | Attempt, sightings: Mapping[str, Sighting]) -> Findings:
    if isinstance(answered, Challenge) or sightings["handshake"].state is State.DONE:
        return Findings()
    if answered.verdict is Verdict.UNREACHABLE:
        # It may be a passing fault: the handshake tries again.
        return Findings(
            [], [Notice(f"The registry could not be asked how it wants to be spoken to: {answered.detail}")]
        )
    reason = failure(answered, "")
    return Findings([Problem(ProblemKind.SETUP, first_word(answered), reason.mend, step="handshake")])


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them is through."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _first_line(script: str) -> str:
    return next((line for line in script.splitlines() if line and not line.startswith("#")), "")


def _unexpected(error: BaseException) -> PullkeyError:
    """An error that nobody foresaw still ends in a sentence; the traceback is for `--verbose`.

    Its text may come from anywhere, so only its kind is told.
    """
    return StepFailed(
        f"Something that pullkey does not expect went wrong ({type(error).__name__})",
        mend="Run it again with --verbose, and report what it shows.",
    )

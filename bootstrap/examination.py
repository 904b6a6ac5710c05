"""Everything that can be known of a target before a change, asked side by side; all the problems at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.akka import AkkaCli
from bootstrap.common_steps import held_link, recorded_link, same_server
from bootstrap.errors import Problem, ProblemKind, PullkeyError, Refused, UsageProblem
from bootstrap.handshake import (
    Attempt,
    Challenge,
    Verdict,
    failure,
    fetch_challenge,
    first_word,
    open_to_all,
)
from bootstrap.once import Once
from bootstrap.outcome import Wishes
from bootstrap.provider import HeldNow, RunContext, Session, right
from bootstrap.steps import Findings, Notice, Sighting, State, Step
from bootstrap.told import as_told


@dataclass(frozen=True)
class Examined:
    """What was seen.

    Attributes:
        sightings: of each step, by its name.
        findings: what must be mended first, and what is good to know.
        public: how it shows that the registry lets anybody pull, or ""; not asked where no key is to be made.
    """

    sightings: Mapping[str, Sighting]
    findings: Findings
    public: str


class Examination:
    """What one run looks at, each thing once; the steps and the run itself ask it too.

    Args:
        held: tells what Akka holds, where it need not be asked.
        akka_checked: whether the command has found before that Akka is there, logged in, and sees the project.

    Attributes:
        held: Akka's record of the credential now, or None.
        akka_problems: what is wrong with Akka's CLI, its login or the project.
    """

    def __init__(
        self,
        session: Session,
        context: RunContext,
        akka: AkkaCli,
        wishes: Wishes,
        *,
        held: HeldNow | None,
        akka_checked: bool,
    ) -> None:
        self._session = session
        self._context = context
        self._akka = akka
        self._wishes = wishes
        self._akka_checked = akka_checked
        self.held = Once(held or (lambda: akka.credential(wishes.secret_name)))
        self.akka_problems = Once(self._look_at_akka)
        self._who = Once(session.connect)
        self._challenge = Once(self._ask_the_registry)
        self._open_to_all = Once(self._ask_as_anybody)
        self._looks: Mapping[str, Once[Sighting]] = {}

    async def connect(self) -> str:
        """Connect to the cloud; as whom.

        Raises:
            UsageProblem: what was typed, or stands in the environment, is of no use.
            Refused: nobody is logged in, or the login is of no use; Akka's problems are told with it.
        """
        try:
            return await self._who()
        except UsageProblem:
            raise
        except PullkeyError as error:
            raise Refused(
                [Problem(ProblemKind.SETUP, error.what, error.mend), *await self.akka_problems()]
            ) from None

    async def examine(self, steps: Sequence[Step], connected: Callable[[str], None]) -> Examined:
        """Look at all the steps, and at what stands in their way.

        Args:
            steps: all that the run may do.
            connected: told at once who it is that looks.

        Raises:
            UsageProblem, Refused: as `connect`.
        """
        # Akka is asked while the cloud's libraries are imported, which takes as long.
        self.akka_problems.begin()
        self.held.begin()
        if self._session.host_known:
            self._challenge.begin()
        who = await self.connect()
        connected(who)
        self._looks = {step.name: Once(step.look) for step in steps}
        for look in self._looks.values():
            look.begin()
        if not self._session.tells_public:
            self._open_to_all.begin()
        findings, missing, problems, answered = await asyncio.gather(
            self._session.preflight(),
            self._session.missing_permissions(sorted({name for step in steps for name in step.permissions})),
            self.akka_problems(),
            self._challenge(),
        )
        findings.problems += problems
        sightings = await self._sightings(steps, findings)
        findings.problems += _rights(steps, sightings, missing, who)
        if not problems:
            findings.add(await self._about_akkas_record(sightings))
        public = await self._about_everybody(findings) if sightings["key"].state is not State.DONE else ""
        # Of a registry that is not there, no second word is needed.
        if not (
            findings.problems and isinstance(answered, Attempt) and answered.verdict is Verdict.UNREACHABLE
        ):
            findings.add(_about_the_registry(answered, sightings))
        return Examined(sightings, findings, public)

    async def key_pending(self) -> bool:
        """Whether a new key is to be made."""
        return (await self._looks["key"]()).state is not State.DONE

    async def trusted_challenge(self) -> Challenge:
        """How the registry wants to be spoken to.

        Raises:
            StepFailed: it cannot be asked, or asks for what no credential should be given to.
        """
        answered = await self._challenge()
        if isinstance(answered, Attempt):
            self._challenge.forget()
            answered = await self._challenge()
        if isinstance(answered, Attempt):
            raise failure(answered, "")
        return answered

    async def _sightings(self, steps: Sequence[Step], findings: Findings) -> dict[str, Sighting]:
        sightings: dict[str, Sighting] = {}
        looks = await asyncio.gather(*(self._looks[step.name]() for step in steps), return_exceptions=True)
        for step, seen in zip(steps, looks, strict=True):
            if isinstance(seen, Sighting):
                sightings[step.name] = seen
            elif isinstance(seen, Exception):
                told = as_told(seen, self._session)
                if not findings.problems:
                    # Mostly another symptom of a problem that is told already.
                    findings.problems.append(Problem(ProblemKind.SETUP, told.what, told.mend, step=step.name))
                sightings[step.name] = Sighting(State.UNSEEN, told.what)
            else:
                raise seen
        return sightings

    # -- Akka ----------------------------------------------------------------------------------------------------

    async def _look_at_akka(self) -> list[Problem]:
        return [] if self._akka_checked else await self._akka.preflight()

    async def _about_akkas_record(self, sightings: Mapping[str, Sighting]) -> Findings:
        held = await self.held()
        if held is None or sightings["handoff"].state is State.DONE:
            return Findings()
        name = self._wishes.secret_name
        try:
            server = await self._session.server()
        except PullkeyError:
            return Findings()  # there is no such registry, which is told already
        if not same_server(held.server, server):
            if not self._wishes.replace:
                return Findings([Problem(ProblemKind.QUESTION, f"Akka's credential {name} is for another registry, {held.server}", "Give another --secret-name, or --replace to overwrite it", step="handoff")])  # fmt: skip
            then = "; what pullkey made for the old one is removed then" if held.link else ""
            return Findings([], [Notice(f"Akka's credential {name} for {held.server} will be replaced, as --replace says{then}.")])  # fmt: skip
        if held.link is None:
            whose = f"the credential of {held.username or 'nobody'}"
            return Findings([], [Notice(f"Akka's {name} ({whose}) will be replaced once the new key pulls; what stands behind it was not made by pullkey and stays as it is.")])  # fmt: skip
        if (await recorded_link(self._session, held))[0] is None:
            return Findings([], [Notice(f"Akka's {name} (key {held.link.key_id} of {held.link.name}@{held.link.domain}) will be replaced once the new key pulls; what pullkey made for it is removed then.")])  # fmt: skip
        if self._wishes.grace is not None:
            return Findings()  # what becomes of the old key is a step of its own
        return Findings([], [Notice(f"Akka's {name} (key {held.link.key_id}) will be replaced once the new key pulls; its own key stays until the next `pullkey rotate`.")])  # fmt: skip

    # -- the registry --------------------------------------------------------------------------------------------

    async def _ask_the_registry(self) -> Challenge | Attempt:
        try:
            host = await self._session.host()
        except PullkeyError as error:
            return Attempt(Verdict.UNREACHABLE, error.what)
        context = self._context

        def ask() -> Coroutine[None, None, Challenge | Attempt]:
            return fetch_challenge(host, seconds=context.deadline.within(30.0), trace=context.trace)

        # All targets of a host are told the same.
        of_host = context.shared.get(("challenge", host), lambda: Once(ask))
        answered = await of_host()
        if isinstance(answered, Attempt):
            of_host.forget()
        return answered

    async def _ask_as_anybody(self) -> str:
        with contextlib.suppress(PullkeyError):
            answered = await self._challenge()
            link, _ = await held_link(self._session, self._context)
            if isinstance(answered, Challenge) and (link is None or await self.key_pending()):
                probe = await self._session.probe()
                seconds = self._context.deadline.within(10.0)
                return await open_to_all(probe, answered, trace=self._context.trace, seconds=seconds)
        return ""

    async def _about_everybody(self, findings: Findings) -> str:
        """A registry that lets anybody pull needs no credential, whatever else would stand in the way of making one."""
        if not isinstance(await self._challenge(), Challenge):
            return ""
        public = findings.public
        if not public and not self._session.tells_public:
            public = await self._open_to_all()
        if not public:
            return ""
        if self._wishes.anyway:
            findings.notices.append(Notice(f"{public}, so Akka needs no credential; one is made all the same, as --anyway says."))  # fmt: skip
        else:
            findings.problems.clear()
        return public


def _rights(
    steps: Sequence[Step], sightings: Mapping[str, Sighting], missing: Mapping[str, str] | None, who: str
) -> list[Problem]:
    """A permission is missed only where a step that needs it is still to be done."""
    if missing is None:
        return []
    return [
        right(permission, missing[permission], step.name, step.title, who)
        for step in steps
        if sightings[step.name].state is not State.DONE
        for permission in step.permissions
        if permission in missing
    ]


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

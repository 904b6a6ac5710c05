"""The preflight: read the state of a target concurrently, and report all problems at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import keys_of
from bootstrap.engine import messages
from bootstrap.engine.image_check import ImageCheck
from bootstrap.engine.key_contract import key_problems
from bootstrap.engine.preflight_findings import (
    about_record,
    about_registry,
    permission_problems,
    undo_notices,
)
from bootstrap.engine.pull_check import why_it_does_not_pull
from bootstrap.engine.run_options import RunOptions
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem, PullkeyError, Refused, StepFailed, UsageProblem, problem_of
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import HeldNow, RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.observe import Absent, Present, confirm_absent
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import EngineStep, Notice, PreflightFindings, State, Step, StepRole, StepStatus
from bootstrap.registry import (
    Challenge,
    failure,
    open_to_all,
    patient_challenge,
    try_once,
)


@dataclass(frozen=True)
class PreflightResult:
    """The result of a preflight.

    Attributes:
        statuses: the status of each step, by name.
        findings: the problems to fix first, and notices.
        project_seen: whether Akka shows the project.
        public: how the registry shows that it allows anonymous pulls; "" if it does not, or if no key is to
            be created, so that it was not checked.
    """

    statuses: Mapping[str, StepStatus]
    findings: PreflightFindings
    public: str
    project_seen: bool


class Preflight:
    """The read-only checks of one run. The steps and the run share the answers.

    Args:
        held: reads Akka's record without a call to Akka, if the command has read it.
        akka_checked: whether the command has already checked the Akka CLI, its login and the project.

    Attributes:
        held: Akka's record of the credential now, or None.
        akka_problems: what is wrong with Akka's CLI, its login or the project.
    """

    def __init__(
        self,
        session: Session,
        context: RunContext,
        akka: AkkaCli,
        options: RunOptions,
        *,
        held: HeldNow | None,
        akka_checked: bool,
    ) -> None:
        self._session = session
        self._context = context
        self._akka = akka
        self._options = options
        self._akka_checked = akka_checked
        self._listed = AsyncOnce(akka.credentials)
        self._read_record = held or self._record_in_list
        self._record: Present[HeldCredential] | Absent | None = None
        self.held = AsyncOnce(self._held_now)
        self.akka_problems = AsyncOnce(self._look_at_akka)
        self._who = AsyncOnce(session.connect)
        self._challenge = AsyncOnce(self._ask_the_registry)
        self._open_to_all = AsyncOnce(self._ask_without_credential)
        self._image = AsyncOnce(self._look_for_image)
        self._looks: Mapping[str, AsyncOnce[StepStatus]] = {}

    async def connect(self) -> str:
        """Log in to the cloud. Return the account's name.

        Raises:
            UsageProblem: an option or a variable of the environment is invalid.
            Refused: the cloud's login is missing or unusable; Akka's problems are reported with it.
        """
        try:
            return await self._who()
        except UsageProblem:
            raise
        except PullkeyError as error:
            raise Refused([problem_of(error), *await self.akka_problems()]) from None

    async def examine(
        self, steps: Sequence[Step], connected: Callable[[str], None], *, read_only: bool = False
    ) -> PreflightResult:
        """Check all steps, and everything that would prevent them.

        Args:
            steps: all steps that the run may do.
            connected: called with the cloud's login as soon as it is known.
            read_only: nothing will be changed, so notices of changes are left out.

        Raises:
            UsageProblem, Refused: as `connect`.
        """
        # Call Akka while the cloud's libraries are imported, which takes as long.
        self.akka_problems.start()
        self.held.start()
        if self._session.host_known:
            self._challenge.start()
        who = await self.connect()
        connected(who)
        seen = await self._examine(steps, who, read_only=read_only)
        if await self._is_listed_wrongly(seen.statuses):
            for fact in (self.held, self._listed, self._open_to_all, self._image):
                fact.invalidate()
            seen = await self._examine(steps, who, read_only=read_only)
        return seen

    async def _examine(self, steps: Sequence[Step], who: str, *, read_only: bool) -> PreflightResult:
        self._looks = {step.name: AsyncOnce(step.look) for step in steps}
        for look in self._looks.values():
            look.start()
        if not self._session.tells_public:
            self._open_to_all.start()
        self._image.start()
        findings, missing, problems, answered = await asyncio.gather(
            self._session.preflight(),
            self._missing_permissions(steps),
            self.akka_problems(),
            self._challenge(),
        )
        if isinstance(answered, Challenge):
            findings.notices += self._session.challenge_notices(answered)
        if not findings.problems:
            # If the registry or its repository is missing, report that instead.
            findings.problems += await self._image()
        findings.problems += problems
        statuses = await self._statuses(steps, findings)
        findings.problems += permission_problems(steps, statuses, missing, who, self._session.role_with)
        if statuses[StepRole.KEY].state is not State.DONE:
            findings.problems += key_problems(self._session)
        if not problems and statuses[EngineStep.HANDOFF].state is not State.DONE:
            findings.add(await self.record_findings(read_only=read_only))
        if not (findings.problems or read_only):
            findings.notices += self._warnings(steps, statuses)
            findings.notices += undo_notices(steps, statuses, missing, self._session.role_with)
        public = await self._public_access(findings) if statuses[StepRole.KEY].state is not State.DONE else ""
        # A registry that does not exist is reported once.
        if not (
            findings.problems
            and isinstance(answered, PullAttempt)
            and answered.verdict is Verdict.UNREACHABLE
        ):
            findings.add(about_registry(answered, statuses, wait=self._options.wait))
        return PreflightResult(statuses, findings, public, not problems)

    async def record_findings(self, *, read_only: bool = False) -> PreflightFindings:
        """The findings on Akka's record, with the login that there is by now (`about_record`)."""
        return await about_record(
            self._session,
            self._options,
            self.held,
            self._listed,
            scope_options=self._akka.scope.options,
            read_only=read_only,
        )

    async def _missing_permissions(self, steps: Sequence[Step]) -> Mapping[str, str] | None:
        if not self._options.ask_permissions:
            return None
        names = {name for step in steps for name in (*step.permissions, *step.undo_permissions)}
        return await self._session.missing_permissions(sorted(names))

    async def key_pending(self) -> bool:
        """Whether a new key is to be created."""
        return (await self._looks[StepRole.KEY]()).state is not State.DONE

    async def trusted_challenge(self) -> Challenge:
        """The registry's authentication challenge.

        Raises:
            StepFailed: the registry cannot be reached, or wants the credential sent to an untrusted host.
        """
        answered = await self._challenge()
        if isinstance(answered, PullAttempt):
            self._challenge.invalidate()
            answered = await self._challenge()
        if isinstance(answered, PullAttempt):
            raise failure(answered, "")
        return answered

    async def unreachable(self) -> list[Problem]:
        """The problem of a registry that does not answer. Checked before a prompt, so that no input is
        wasted; a run without prompts waits instead.
        """
        answered = await self._challenge()
        if not isinstance(answered, PullAttempt) or answered.verdict is not Verdict.UNREACHABLE:
            return []
        return [messages.registry_unreachable(answered)]

    async def refused(self, supplied: Credential) -> list[Problem]:
        """Why a user-supplied credential cannot pull; empty if it can, or if the registry cannot be
        reached.
        """
        probe, challenge = await self._session.probe(), await self.trusted_challenge()
        context = self._context
        attempt = await try_once(probe, challenge, supplied, deadline=context.deadline, trace=context.trace)
        if attempt.verdict in (Verdict.PULLS, Verdict.UNREACHABLE, Verdict.RATE_LIMITED):
            return []
        error = await why_it_does_not_pull(attempt, probe, challenge, supplied, self._session, context)
        return [problem_of(error, step=EngineStep.HANDSHAKE)]

    def _warnings(self, steps: Sequence[Step], statuses: Mapping[str, StepStatus]) -> list[Notice]:
        """Warnings of permissions beyond a puller's needs and of long-lived keys (not for a rotation)."""
        return [
            Notice(text, warning=True)
            for step in steps
            if statuses[step.name].state is not State.DONE
            and not (step.name == StepRole.KEY and self._options.grace is not None)
            and (text := step.warning())
        ]

    async def _statuses(self, steps: Sequence[Step], findings: PreflightFindings) -> dict[str, StepStatus]:
        statuses: dict[str, StepStatus] = {}
        looks = await asyncio.gather(*(self._looks[step.name]() for step in steps), return_exceptions=True)
        for step, seen in zip(steps, looks, strict=True):
            if isinstance(seen, StepStatus):
                statuses[step.name] = seen
            elif isinstance(seen, Exception):
                error = as_user_error(seen)
                if not findings.problems:
                    # With other problems, this is mostly a symptom of them.
                    findings.problems.append(problem_of(error, step=step.name))
                statuses[step.name] = StepStatus(State.UNSEEN, error.what)
            else:
                raise seen
        return statuses

    # -- Akka ------------------------------------------------------------------------------------------------

    async def _is_listed_wrongly(self, statuses: Mapping[str, StepStatus]) -> bool:
        """Whether Akka's first list omitted the record, or its key, and a later one shows it. It is read
        again only if the identity has keys that no record names; not for a plan, which recorded what the
        list showed, nor for a new identity.
        """
        identity = statuses.get(StepRole.IDENTITY)
        if self._options.as_planned is not None or (identity and identity.state is not State.DONE):
            return False
        try:
            if not _omits_key(await self.held()):
                return False
            keys = {key.key_id for key in await self._session.key.list_ours(as_seen=True)}
            if not keys or keys <= keys_of(await self._listed()):
                return False
        except Exception as error:  # noqa: BLE001  - optional; the steps report what is wrong
            self._context.trace(f"the keys of the identity cannot be seen ({type(error).__name__})")
            return False
        akka = self._akka.with_fresh_listings()

        async def whole() -> HeldCredential | None:
            now = await akka.credential(self._options.secret_name)
            return None if _omits_key(now) else now

        seen = await confirm_absent(
            whole,
            contradicted_by="the identity has keys that no record names",
            deadline=self._context.deadline,
        )
        if not isinstance(seen, Present):
            return False
        self._record = seen
        return True

    def use(self, record: HeldCredential | None) -> None:
        """Use this as Akka's record, whose lists may show it truncated, or still show a removed one."""
        self._record = Absent() if record is None else Present(record)
        self.held.invalidate()

    async def _held_now(self) -> HeldCredential | None:
        if self._record is None:
            return await self._read_record()
        return self._record.value if isinstance(self._record, Present) else None

    async def _record_in_list(self) -> HeldCredential | None:
        return next((one for one in await self._listed() if one.name == self._options.secret_name), None)

    async def _look_at_akka(self) -> list[Problem]:
        return [] if self._akka_checked else await self._akka.preflight()

    # -- the registry ----------------------------------------------------------------------------------------

    async def _ask_the_registry(self) -> Challenge | PullAttempt:
        try:
            host = await self._session.host()
        except PullkeyError as error:
            return PullAttempt(Verdict.UNREACHABLE, error.what)
        context = self._context

        token_host = self._session.token_host

        def ask() -> Coroutine[None, None, Challenge | PullAttempt]:
            return patient_challenge(
                host,
                token_host=token_host,
                deadline=context.deadline,
                trace=context.trace,
                tell=context.tell,
                clean=self._session.redact,
            )

        # One answer for all targets of a host.
        of_host = context.shared.get(
            ("challenge", host, token_host), lambda: AsyncOnce(ask, deadline=context.deadline)
        )
        try:
            answered = await of_host()
        except StepFailed as error:
            return PullAttempt(Verdict.UNREACHABLE, error.what)
        if isinstance(answered, PullAttempt):
            of_host.invalidate()
            return answered.cleaned(self._session.redact)
        return answered

    async def compares(self) -> bool:
        """Whether the verification must compare the new credential with an anonymous pull."""
        return not self._session.tells_public and not (await self._open_to_all())[1]

    async def _ask_without_credential(self) -> tuple[str, bool]:
        with contextlib.suppress(PullkeyError):
            answered = await self._challenge()
            link, _ = await usable_key(self._session)
            if isinstance(answered, Challenge) and (link is None or await self.key_pending()):
                probe = await self._session.probe()
                seconds = self._context.deadline.clip(10.0)
                return await open_to_all(
                    probe, answered, trace=self._context.trace, seconds=seconds, clean=self._session.redact
                )
        return "", False

    async def _look_for_image(self) -> list[Problem]:
        try:
            if not self._options.wait or not await self.key_pending():
                return []
            grant = self._looks.get(StepRole.GRANT)
            check = ImageCheck(self._session, self._context, self._challenge, grant)
            return await check.problems()
        except Exception as error:  # noqa: BLE001  - a failure of this check must not prevent the others
            self._context.trace(f"the image cannot be read ({type(error).__name__})")
            return []

    async def _public_access(self, findings: PreflightFindings) -> str:
        """Why anyone may pull, or "". Such a registry needs no credential, so problems are dropped."""
        answered = await self._challenge()
        if not isinstance(answered, Challenge):
            return ""
        public = findings.public
        if not public and not self._session.tells_public:
            public, _ = await self._open_to_all()
        if not public:
            if answered.scheme == "none" and not (
                self._options.anyway or (await self._session.probe()).reference
            ):
                findings.problems.append(messages.asks_for_no_login(await self._session.host()))
            return ""
        if self._options.anyway:
            rotation = self._options.grace is not None
            findings.notices.append(messages.registered_though_public(public, rotation=rotation))
        else:
            findings.problems.clear()
        return public


def _omits_key(held: HeldCredential | None) -> bool:
    """Whether there is no record, or one whose e-mail address, which has the key's id, is blank or cut."""
    return held is None or ("@" not in held.email and not held.empty)

"""The pull check: is the key in Akka's record usable, and does a new credential pull?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import StepFailed
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.retry import read_twice
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Script, State, Step, StepRole, StepStatus
from bootstrap.registry import FOR_SUPPLIED_PASSWORD, Challenge, Patience, failure, nearest_image, verify_pull

_NEAREST_SECONDS = 10.0


async def is_seen_to_work(session: Session, held: HeldCredential | None) -> bool:
    """Whether Akka's record names a key of this target's identity that the cloud shows as usable, in each
    region: one that shows something else may still hold an earlier key.

    Raises:
        PullkeyError: the cloud cannot be read.
    """
    link, _ = await key_in_record(session, held)
    if link is None or held is None or not held.status_is_ok or held.lagging_regions:
        return False
    key_id = link.key_id
    facts = await read_twice(lambda: session.key.facts(key_id))
    return facts is not None and not facts.why_unusable


async def why_it_does_not_pull(
    attempt: PullAttempt,
    probe: Probe,
    challenge: Challenge,
    credential: Credential,
    session: Session,
    context: RunContext,
) -> StepFailed:
    """The error for a failed pull, with the cloud's diagnosis and similar names."""
    diagnosis = await session.diagnose(attempt)
    if attempt.verdict in (Verdict.NOT_FOUND, Verdict.NO_GRANT) and probe.repository:
        # Many registries give the same answer for a missing repository and for a missing permission.
        near = await nearest_image(
            probe, challenge, credential, trace=context.trace, seconds=context.deadline.clip(_NEAREST_SECONDS)
        )
        diagnosis = f"{diagnosis} {near}".strip()
    return failure(attempt, diagnosis, supplied=not session.waits_for_spreading)


class HandshakeStep(Step):
    """Verifies that the new credential pulls, before it is registered with Akka."""

    name = EngineStep.HANDSHAKE
    after = (StepRole.IDENTITY, StepRole.GRANT, StepRole.KEY)
    changes = False

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        challenge: Callable[[], Awaitable[Challenge]],
        key_pending: Callable[[], Awaitable[bool]],
        compares: Callable[[], Awaitable[bool]],
        patience: Patience,
    ) -> None:
        self._session = session
        self._context = context
        self._challenge = challenge
        self._key_pending = key_pending
        self._compares = compares
        self._patience = patience
        self.pulled = False
        """Whether a pull worked, not only the login."""

    @property
    def title(self) -> str:
        return "Verify the key"

    async def look(self) -> StepStatus:
        if await self._key_pending():
            return StepStatus(State.MISSING, "before it is registered")
        return StepStatus(State.DONE, "there is no new key to verify")

    async def do(self) -> Done:
        credential = self._session.credential
        if credential is None:
            raise AssertionError("the handshake comes after the key")
        probe = await self._session.probe()
        attempt = await verify_pull(
            probe,
            await self._challenge(),
            credential,
            deadline=self._context.deadline,
            tell=self._context.tell,
            patience=self._patience if self._session.waits_for_spreading else FOR_SUPPLIED_PASSWORD,
            compare=await self._compares(),
            trace=self._context.trace,
        )
        if attempt.verdict is not Verdict.PULLS:
            raise await why_it_does_not_pull(
                attempt, probe, await self._challenge(), credential, self._session, self._context
            )
        self.pulled = attempt.pulled
        return Done(f"it {attempt.detail}")

    def script(self) -> Script:
        words = self._session.script_credential
        login = f"login --username {words['username']} --password-stdin"
        # If the server is a URL with a path, log in to its host.
        host = words.get("registry", '"${SERVER#https://}"')
        spreads = self._session.waits_for_spreading
        return Script(
            do=(
                "log_in() {\n"
                "  local tool\n"
                "  if command -v skopeo >/dev/null; then tool=skopeo; else tool=docker; fi\n"
                f'  printf %s {words["password"]} | "$tool" {login} {host} &&\n'
                f'    "$tool" logout {host}\n'
                "}\n"
                'if [ "${PULLKEY_RUNBOOK_LOGIN:-yes}" = no ]; then echo "Not tried, as asked."; '
                f"else {'again ' if spreads else ''}log_in; fi"
            ),
            why="A role takes 2 minutes to spread, at times 7 or more." if spreads else "",
            typed=f"printf %s {words['password']} | docker {login} {host}",
        )

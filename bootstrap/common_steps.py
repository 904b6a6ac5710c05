"""The two steps that are the same for every provider: the handshake and the handoff."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable

from bootstrap.akka import AkkaCli
from bootstrap.credential import Credential
from bootstrap.errors import OutcomeUnknown, PullkeyError, StepFailed
from bootstrap.handshake import BROUGHT, Challenge, Patience, Verdict, failure, prove
from bootstrap.link import KeyLink
from bootstrap.provider import HeldCredential, RunContext, Session
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step
from bootstrap.waiting import Deadline

# How long Akka is given to show the same in all its regions; it copies on its own time.
_READ_BACK_SECONDS = 120.0


async def held_link(session: Session, context: RunContext) -> tuple[KeyLink | None, str]:
    """The key that Akka holds for this target, or None and the reason why there is none of use."""
    held = await context.held_credential()
    link, reason = await recorded_link(session, held)
    if held is None or link is None:
        return None, reason
    if held.status.upper() not in ("OK", ""):
        return None, f"Akka's status of it is {held.status}"
    if context.new_key:
        return None, "a new key was asked for"
    return link, reason


async def recorded_link(session: Session, held: HeldCredential | None) -> tuple[KeyLink | None, str]:
    """The key that Akka's record names, if it is one of this target's identity; else None and the reason."""
    if held is None:
        return None, "Akka has no credential of this name"
    if not same_server(held.server, await session.server()):
        return None, f"Akka's credential is for {held.server}"
    if held.link is None:
        return None, "Akka's credential was not made by pullkey, so its key cannot be checked"
    if held.username != await session.username() or not session.holds(held.link):
        of = (
            held.username
            if held.username != await session.username()
            else f"{held.link.name}@{held.link.domain}"
        )
        return None, f"Akka's credential is of another identity, {of}"
    return held.link, f"Akka holds key {held.link.key_id}"


def same_server(one: str, other: str) -> bool:
    """Whether two spellings name one registry: scheme and trailing slash do not count."""

    def bare(server: str) -> str:
        return server.lower().removeprefix("https://").rstrip("/")

    return bare(one) == bare(other)


def _mark(held: HeldCredential | None) -> tuple[str, ...]:
    """What tells a record from the one that another run has put in its place."""
    return (held.server, held.username, held.email) if held is not None else ()


class HandshakeStep(Step):
    """Proves that the new credential pulls, before Akka is told of it."""

    name = "handshake"
    after = ("identity", "grant", "key")
    changes = False

    def __init__(
        self,
        session: Session,
        context: RunContext,
        *,
        challenge: Callable[[], Awaitable[Challenge]],
        key_pending: Callable[[], Awaitable[bool]],
        patience: Patience,
    ) -> None:
        self._session = session
        self._context = context
        self._challenge = challenge
        self._key_pending = key_pending
        self._patience = patience

    @property
    def title(self) -> str:
        return "Prove that the key pulls"

    async def look(self) -> Sighting:
        if await self._key_pending():
            return Sighting(State.MISSING, "a new key is to be proven")
        return Sighting(State.DONE, "no new key to prove")

    async def do(self) -> Done:
        credential = self._session.credential
        if credential is None:
            raise AssertionError("the handshake comes after the key")
        probe = await self._session.probe()
        attempt = await prove(
            probe,
            await self._challenge(),
            credential,
            deadline=self._context.deadline,
            tell=self._context.tell,
            patience=self._patience if self._session.waits_for_spreading else BROUGHT,
            trace=self._context.trace,
        )
        if attempt.verdict is not Verdict.PULLS:
            diagnosis = await self._session.diagnose(attempt)
            raise failure(attempt, diagnosis, brought=not self._session.waits_for_spreading)
        return Done(f"it {attempt.detail}")

    def script(self) -> Script:
        words = self._session.script_credential
        login = f"login --username {words['username']} --password-stdin"
        # Where the server is a URL with a path, what is logged in to is its host.
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
            typed="docker login --username USER --password-stdin SERVER",
        )


class Overtaken(StepFailed):
    """Another run has changed Akka's record meanwhile."""


class AkkaHoldsNewKey(Exception):
    """The registration cannot be taken back, so the key behind it must stay."""


class HandoffStep(Step):
    """Registers the credential with Akka and reads it back."""

    name = "handoff"
    after = ("handshake",)

    def __init__(
        self,
        session: Session,
        context: RunContext,
        akka: AkkaCli,
        secret_name: str,
        *,
        key_pending: Callable[[], Awaitable[bool]],
    ) -> None:
        self._session = session
        self._context = context
        self._akka = akka
        self._secret_name = secret_name
        self._key_pending = key_pending
        self._before: HeldCredential | None = None
        self.keys_before: set[str] = set()
        """The identity's keys before the first change: a record that names one may be an older one."""
        self.registered: Callable[[], object] = lambda: None
        """Called once Akka was told, while it is read back."""
        self._sent = self._refused = False

    @property
    def title(self) -> str:
        return f"Register it in Akka as {self._secret_name}"

    async def look(self) -> Sighting:
        self._before = await self._context.held_credential()
        link, reason = await held_link(self._session, self._context)
        if link is not None and await self._key_pending():
            return Sighting(State.MISSING, "the key that Akka holds is of no use")
        return Sighting(State.DONE if link else State.MISSING, reason)

    def intent(self) -> Intent:
        credential = self._session.credential
        return {
            "secret_name": self._secret_name,
            "key_id": credential.link.key_id if credential else "",
            "replaces": self._before.email if self._before else None,
        }

    async def do(self) -> Done:
        credential = self._session.credential
        if credential is None:
            raise AssertionError("the handoff comes after the key")
        await self._give_way()
        await self._register(credential)
        self.registered()
        patience = Deadline(min(_READ_BACK_SECONDS, max(self._context.deadline.left, 5.0)))
        pause, told = 0.0, False
        while True:
            seen = await self._akka.credential(self._secret_name)
            differs = self._differs(seen)
            if seen is not None and differs is None:
                return Done(f"Akka shows {seen.name} with status {seen.status or 'OK'}", {})
            if patience.passed or (pause > 3 and seen is not None and not seen.behind):
                break
            if await self._is_dead(seen):
                await self._register(credential)
            pause = min(pause + 1, 10.0)
            if seen is not None and seen.behind and not told:
                told = True
                self._context.tell(
                    f"Akka copies it to its other regions ({seen.behind} does not show it yet)."
                )
            await asyncio.sleep(min(pause, patience.left))
        raise self._something_else(seen)

    async def _register(self, credential: Credential) -> None:
        self._sent = True
        try:
            await self._akka.add_credentials(self._secret_name, credential)
        except StepFailed as error:
            self._refused = not isinstance(error, OutcomeUnknown)
            raise

    async def look_again(self) -> None:
        """Whether Akka still has it: another run that had looked before may have registered its own after this one.

        Raises:
            Overtaken: it has.
            StepFailed: Akka shows something else, or cannot be asked.
        """
        seen = await self._akka.credential(self._secret_name)
        if self._differs(seen) is not None:
            raise self._something_else(seen)

    def _something_else(self, seen: HeldCredential | None) -> StepFailed:
        """What it means that Akka shows something else than was registered."""
        made = self._session.credential
        others = (made.email if made else None, self._before.email if self._before else None)
        if seen is not None and seen.link is not None and seen.email not in others and not self._is_older(seen):  # fmt: skip
            return Overtaken(f"Another run has registered key {seen.link.key_id} as {self._secret_name} over this one's, so this one gives way", mend="Akka has that credential; see: pullkey list")  # fmt: skip
        return StepFailed(
            f"Akka took the credential, and shows something else: {self._differs(seen)}",
            mend=f"See: akka docker list-credentials {shlex.join(self._akka.scope.arguments())}".rstrip(),
        )

    async def _give_way(self) -> None:
        """Another run, on another machine, may have been faster: its key is in use, and would be lost sight of.

        Raises:
            Overtaken: Akka's record is another one than when this run began.
        """
        now = await self._akka.credential(self._secret_name)
        if _mark(now) == _mark(self._before):
            return
        if now is None:
            raise Overtaken(f"Akka's {self._secret_name} was removed while this run was under way", mend="Run it again, if it is to be there.")  # fmt: skip
        link, _ = await recorded_link(self._session, now)
        made = self._session.credential
        # Two passwords that were made in one second bear one id: the later one is good, and this run's is proven.
        if await self._is_dead(now) or (link and made and link.key_id == made.link.key_id):
            return  # theirs is of no use to anybody, and this run's key is
        raise Overtaken(f"Another run has registered {f'key {link.key_id}' if link else now.email or now.username} as {self._secret_name} while this one was under way, so this one gives way", mend="Akka has that credential; see: pullkey list")  # fmt: skip

    async def _is_dead(self, seen: HeldCredential | None) -> bool:
        """Whether a record of another run's names a key that is not there any more."""
        link, _ = await recorded_link(self._session, seen)
        made = self._session.credential
        return (
            link is not None
            and (made is None or link.key_id != made.link.key_id)
            and not (seen is not None and self._is_older(seen))
            and self._session.deletes_keys
            and await self._session.key_facts(link.key_id) is None
        )

    def _is_older(self, seen: HeldCredential) -> bool:
        """Whether the record names a key from before this run, as a list that lags does."""
        return seen.link is not None and seen.link.key_id in self.keys_before

    def _differs(self, seen: HeldCredential | None) -> str | None:
        credential = self._session.credential
        if seen is None or credential is None:
            return f"no credential named {self._secret_name}"
        if not same_server(seen.server, credential.server):
            return f"server {seen.server}"
        if (seen.username, seen.email) != (credential.username, credential.email):
            return f"user {seen.username}, e-mail {seen.email}"
        if seen.status.upper() not in ("OK", ""):
            return f"status {seen.status}"
        if seen.behind:
            return f"something else in {seen.behind}"
        return None

    async def undo(self, intent: Intent) -> str:
        """Take the registration back, where that leaves Akka as it was.

        Raises:
            AkkaHoldsNewKey: it replaced another one (whose password nobody has any more), or Akka cannot be asked.
        """
        if not self._sent:
            return ""
        key = f"the new key {intent['key_id']}"
        try:
            seen = await self._akka.credential(intent["secret_name"])
            holds = seen is not None and seen.link is not None and seen.link.key_id == intent["key_id"]
            if intent["replaces"] is not None:
                if holds:
                    raise AkkaHoldsNewKey(f"Akka already holds {key} as {intent['secret_name']}")
                if seen is not None and seen.email == intent["replaces"] and not self._refused:
                    # A list that lags shows what was there before: no sign that Akka did not take the new one.
                    raise AkkaHoldsNewKey(f"Akka may hold {key} as {intent['secret_name']}, though it shows the one before it")  # fmt: skip
                return ""
            if seen is not None and not holds:
                if self._is_older(seen) and not self._refused:
                    raise AkkaHoldsNewKey(f"Akka may hold {key} as {intent['secret_name']}, though it shows an older one")  # fmt: skip
                return ""  # another run's
            # The secret may be there without the project's reference to it.
            await self._akka.remove_credentials(intent["secret_name"])
        except PullkeyError as error:
            raise AkkaHoldsNewKey(f"Akka may hold {key} as {intent['secret_name']} ({error})") from None
        return f"removed {intent['secret_name']} from Akka"

    def script(self) -> Script:
        words = self._session.script_credential
        scope = " ".join(shlex.quote(argument) for argument in self._akka.scope.arguments())
        tail = f" {scope}" if scope else ""
        name = shlex.quote(self._secret_name)
        return Script(
            do=(
                "akka docker add-credentials \\\n"
                f"  --secret-name={name} \\\n"
                f"  --docker-server={words['server']} \\\n"
                f"  --docker-username={words['username']} \\\n"
                f"  --docker-email={words['email']} \\\n"
                f"  --docker-password={words['password']}{tail}"
            ),
            check=f"akka docker list-credentials{tail} | grep -E '^{self._secret_name} +OK '",
            # The published page says `delete-credentials`; the command is `remove-credentials` since CLI 3.0.4.
            undo=f"akka docker remove-credentials {name}{tail}\nakka secrets delete {name}{tail}",
        )

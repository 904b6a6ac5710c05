"""One target of one provider, open: its steps, its keys, and what the engine asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too
from bootstrap.model.credential import Credential
from bootstrap.model.key_facts import KeyFacts as KeyFacts  # noqa: PLC0414  - the same
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.step import PreflightFindings, Step

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.pull import Probe, PullAttempt
from bootstrap.plugin.context import RunContext

_UNDO_STEP_SECONDS = 30.0


class Session(ABC):
    """One target of one provider, open. Making one calls nobody; it is closed with `close`."""

    context: RunContext
    """Of the run that it belongs to."""
    steps: Sequence[Step]
    """Identity, grant and key, in order; handshake and handoff follow, the same for every provider."""
    key: Keys
    """The keys of the identity."""
    credential: Credential | None = None
    """Set by the step that makes a key."""
    retire_permissions: tuple[str, ...] = ()
    """What the person must be allowed, to switch off and delete a key that was replaced."""
    waits_for_spreading: bool = True
    """Whether a refusal may pass by itself because the key is new. A user-supplied password is refused for
    good.
    """
    host_known: bool = True
    """Whether `host` answers before `connect`."""
    tells_public: bool = False
    """Whether `preflight` is sure to say so where anybody may pull, and the registry itself need not be
    asked.
    """
    token_host: str | None = None
    """Another host that the user allows for the registry's token service; None where there is no way to
    say so.
    """

    def redact(self, text: str) -> str:
        """What the registry says, without the secrets that this session has been given."""
        return self.credential.password.redact(text) if self.credential is not None else text

    @abstractmethod
    async def connect(self) -> str:
        """Log in to the cloud; return as whom.

        Raises:
            PullkeyError: there is no login, or the extra is not installed.
        """

    @abstractmethod
    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        """Those of `permissions` that this person does not hold, each with the resource it is needed on.

        None if the cloud does not let this person ask.
        """

    @abstractmethod
    async def preflight(self) -> PreflightFindings:
        """Whatever else stands in the way: wrong names, policies, limits. Changes nothing."""

    async def prompt_secrets(self) -> None:
        """Ask the person (`context.ask_secret`) for what making a key needs; once, when it is sure to be
        made.

        Raises:
            UsageProblem: there is nobody to ask, or what was given cannot be used.
        """

    @abstractmethod
    async def host(self) -> str:
        """The registry's host as a puller names it; the cloud may be asked.

        Raises:
            PullkeyError: there is no such registry.
        """

    @abstractmethod
    async def server(self) -> str:
        """The server as it is handed to Akka."""

    @abstractmethod
    async def username(self) -> str | None:
        """The user name that is handed to Akka, or None while it does not exist yet."""

    @abstractmethod
    async def probe(self) -> Probe:
        """What the handshake is to pull."""

    @property
    def named_repositories(self) -> Sequence[str]:
        """The repositories that were named for a key to be limited to, beside the image's; looked for as
        the image is.
        """
        return ()

    def supplied(self) -> Credential | None:
        """What the user entered (`ask`) as Akka will use it: a credential that can be tried before
        anything is changed; else None.
        """
        return None

    async def image_reader(self) -> Credential | None:
        """This run's own login as a credential of the registry, to look at the named image before anything is
        created.

        None where there is none. It is sent to the registry alone and never handed to Akka.

        Raises:
            PullkeyError: it cannot be had now.
        """
        return None

    @abstractmethod
    async def diagnose(self, attempt: PullAttempt) -> str:
        """What the cloud itself says about a handshake that keeps failing: key, identity and grant looked
        at anew.
        """

    async def identity(self) -> str:
        """Who pulls, as a person names them."""
        return await self.username() or ""

    @abstractmethod
    def script_variables(self) -> Mapping[str, str]:
        """The variables that the steps' scripts use, with their values as bash words (quoted, or
        `$(...)`).
        """

    @property
    @abstractmethod
    def script_credential(self) -> Mapping[str, str]:
        """The bash words for server, username, email and password, as the handoff's script uses them."""

    def script_lookups(self) -> Mapping[str, str]:
        """Bash words that find out what else the typed commands use, by variable: for where no step before
        has set it.
        """
        return {}

    def undo_deadline(self) -> Deadline:
        """By when one step should be undone: it has time of its own, since the run may have failed because
        its time was up.

        Where the clouds hang altogether, all steps together have not much more than one alone. What is
        removed because it was asked for keeps to the run's own time.
        """
        from bootstrap.model.deadline import Deadline

        return Deadline((self.context.undo_deadline or self.context.deadline).clip(_UNDO_STEP_SECONDS))

    def handover_extra(self) -> str:
        """Bash that ends a hand-over, so that this person can go on where it stops; "" if nothing is
        needed.
        """
        return ""

    def role_with(self, permission: str) -> str:
        """A role that has a permission, by the cloud's own name; "" where none is known."""
        del permission
        return ""

    def script_preamble(self) -> str:
        """Bash that must run before the first step."""
        return ""

    async def close(self) -> None:
        """Give back connections."""

"""What a provider is: the only things that the rest of pullkey knows of one kind of registry.

Providers are found through the entry-point group `pullkey.providers`; each entry is an object with the members of
`Provider`. Importing it must import no cloud SDK: that happens when a `Session` first calls the cloud.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bootstrap.credential import Credential
from bootstrap.errors import Problem, ProblemKind
from bootstrap.link import KeyLink
from bootstrap.steps import Findings, Step

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.handshake import Attempt, Probe
    from bootstrap.sandbox.host import Emulator
    from bootstrap.waiting import Deadline, Tell


_UNDO_SECONDS = 60.0


@dataclass(frozen=True)
class Option:
    """One option of `pullkey onboard PROVIDER`, read by every command that takes a target.

    `kind` is how it is read: text, a switch, a duration (`365d`), or one of `choices`.
    """

    name: str
    help: str
    kind: Literal["text", "switch", "duration"] = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None

    @property
    def key(self) -> str:
        """The option's name as it stands in a mapping: `--gcp-project` is `gcp_project`."""
        return self.name.removeprefix("--").replace("-", "_")


class Target(Protocol):
    """One registry to be made pullable. A provider's own target has more."""

    @property
    def label(self) -> str:
        """The registry as a person would name it."""

    @property
    def registry(self) -> str:
        """The host a puller names, before the cloud has been asked."""

    @property
    def secret_name(self) -> str:
        """The name of the Akka secret, derived from the registry."""

    @property
    def identity(self) -> str:
        """What tells this target from any other: two runs with the same must not go at once."""


@dataclass
class RunContext:
    """What a session is given by the run it belongs to."""

    deadline: Deadline
    tell: Tell
    trace: Callable[[str], None]
    new_key: bool = False
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    held: Callable[[], Awaitable[HeldCredential | None]] | None = None

    async def held_credential(self) -> HeldCredential | None:
        """What Akka holds now under the secret name of this target."""
        return None if self.held is None else await self.held()


@dataclass(frozen=True)
class HeldCredential:
    """Akka's record of a credential, all that it shows of one."""

    name: str
    server: str
    username: str
    email: str
    status: str

    @property
    def link(self) -> KeyLink | None:
        return KeyLink.parse(self.email)


class Session(ABC):
    """One target of one provider, open. Making one calls nobody; it is closed with `close`."""

    steps: Sequence[Step]
    """Identity, grant and key, in order; handshake and handoff follow, the same for every provider."""
    credential: Credential | None = None
    """Set by the step that makes a key."""

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
    async def preflight(self) -> Findings:
        """Whatever else stands in the way: wrong names, policies, limits. Changes nothing."""

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

    @abstractmethod
    async def diagnose(self, attempt: Attempt) -> str:
        """What the cloud itself says about a handshake that keeps failing: key, identity and grant looked at anew."""

    @abstractmethod
    def script_variables(self) -> Mapping[str, str]:
        """The variables that the steps' scripts use, with their values as bash words (quoted, or `$(...)`)."""

    @property
    @abstractmethod
    def script_credential(self) -> Mapping[str, str]:
        """The bash words for server, username, email and password, as the handoff's script uses them."""

    def undo_deadline(self) -> Deadline:
        """Undoing has time of its own: the run may have failed because its time was up."""
        from bootstrap.waiting import Deadline

        return Deadline(_UNDO_SECONDS)

    def handover_extra(self) -> str:
        """Bash that ends a hand-over, so that this person can go on where it stops; "" if nothing is needed."""
        return ""

    def cloud_said(self, error: BaseException) -> str:
        """What the cloud says in an error of its SDK, in one line without secrets; "" for any other error."""
        del error
        return ""

    def script_preamble(self) -> str:
        """Bash that must run before the first step."""
        return ""

    async def close(self) -> None:
        """Give back connections."""


class Provider(Protocol):
    """One kind of registry."""

    name: str
    title: str
    summary: str
    examples: Sequence[str]
    options: Sequence[Option]

    def target(self, values: Mapping[str, Any]) -> Target:
        """Check what was typed, without calling anybody.

        Raises:
            UsageProblem: something cannot be used.
        """
        ...

    def open(self, target: Any, context: RunContext) -> Session:
        """Make a session; calls nobody and imports no SDK."""
        ...

    def emulator(self) -> Callable[[], Emulator]:
        """The sandbox's stand-in for this provider's cloud."""
        ...


def right(permission: str, resource: str, step: str, title: str, who: str) -> Problem:
    """The problem of a permission that is missing."""
    return Problem(
        ProblemKind.RIGHT,
        f"{who} lacks the permission {permission} on {resource}, needed to: {title}",
        step=step,
        permission=permission,
    )

"""What a provider is: the only things that the rest of pullkey knows of one kind of registry.

Providers are found through the entry-point group `pullkey.providers`; each entry is an object with the members of
`Provider`. Importing it must import no cloud SDK: that happens when a `Session` first calls the cloud.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from bootstrap.audit import Audit, not_recorded
from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import Problem, ProblemKind, PullkeyError
from bootstrap.link import KeyLink
from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too
from bootstrap.plugin import clock
from bootstrap.plugin.keys import KeyFacts as KeyFacts  # noqa: PLC0414  - the same
from bootstrap.plugin.keys import Keys
from bootstrap.secret import Secret
from bootstrap.steps import Findings, Step

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.registry import Attempt, Probe
    from bootstrap.sandbox.host import Emulator
    from bootstrap.waiting import Deadline, Tell


T = TypeVar("T")
_UNDO_STEP_SECONDS = 30.0


@dataclass(frozen=True)
class KeyLimit:
    """How many keys a cloud allows one identity, however long each lasts.

    Args:
        at_most: that many, those included that are switched off.
        whose: the identity, as a sentence names it.
        another: the options by which a target is given another identity, without dashes.
    """

    at_most: int
    whose: str
    another: str


@dataclass(frozen=True)
class Option:
    """One option of `pullkey onboard PROVIDER`, read by every command that takes a target.

    `kind` is how it is read: text, a switch, a duration (`365d`), or one of `choices`. A `secret` is typed as a switch
    (`--password-stdin`); its value is the `Secret` that was read from stdin, or None. `login` marks what a command that
    takes the name of an Akka secret needs too; there it comes from the variables that every option has.
    """

    name: str
    help: str
    kind: Literal["text", "switch", "duration", "secret"] = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    login: bool = False

    @property
    def key(self) -> str:
        """The option's name as it stands in a mapping: `--gcp-project` is `gcp_project`."""
        return self.name.removeprefix("--").replace("-", "_")

    def variables(self, provider: str = "") -> list[str]:
        """The environment variables that set it: the provider's own, if it is an option of one, before the general one."""
        general = f"PULLKEY_{self.key.upper()}"
        own = f"PULLKEY_{provider.upper().replace('-', '_')}_{self.key.upper()}"
        return [own, general] if provider else [general]


@dataclass(frozen=True)
class Missing:
    """A value that a target needs and that was not given.

    Args:
        option: the option's name, with dashes.
        question: what is asked for at a terminal.
        choices: asks the cloud for the values there are, each with what it is; None where they cannot be listed cheaply.
            It may raise anything: then there are none.
    """

    option: str
    question: str
    choices: Callable[[RunContext], Awaitable[Sequence[tuple[str, str]]]] | None = None


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

    @property
    def who(self) -> str:
        """Who pulls, as far as that is known without asking: targets with the same share an identity."""

    @property
    def group(self) -> str:
        """What holds several targets whose changes are better made by one machine: a Google project, a registry."""

    @property
    def lifetime(self) -> dt.timedelta | None:
        """How long a key that is created for it is to last; None where it does not expire, or none is created."""

    @property
    def key_limit(self) -> KeyLimit | None:
        """How many keys `who` may have; None where the cloud's documents name no number."""


def new_run_id() -> str:
    """What marks all that one run makes for one target."""
    return uuid.uuid4().hex[:12]


class Shared:
    """What the sessions of one command have in common: logins, connections, and facts that were asked for already."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, made now if it is the first time."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    def forget(self) -> None:
        """Whatever was seen so far may have changed; logins and connections stay."""
        for kept in self._kept.values():
            if hasattr(kept, "forget"):
                kept.forget()

    def forget_state(self) -> None:
        """What runs of pullkey change may have changed: identities, grants, keys.

        The circumstances still hold: rights, policies of the organisation, what kind of thing a registry is.
        """
        for kept in self._kept.values():
            if hasattr(kept, "forget_state"):
                kept.forget_state()

    async def close(self) -> None:
        """Close whatever has a `close`."""
        for kept in reversed(self._kept.values()):
            if hasattr(kept, "close"):
                await kept.close()
        self._kept.clear()


@dataclass(frozen=True)
class KeysInUse:
    """The keys that Akka's records name, those they have replaced included.

    Args:
        ids: their ids, over all projects that could be read.
        unseen: the Akka projects that could not be read.
        links: those that Akka holds, with whose they are: an id may be good for one identity only.
    """

    ids: frozenset[str]
    unseen: tuple[str, ...] = ()
    links: frozenset[KeyLink] = frozenset()


async def nobody_to_ask(_what: str) -> Secret | None:
    """For commands that only look: no secret is asked for."""
    return None


@dataclass
class RunContext:
    """What a session is given by the run it belongs to.

    Attributes:
        ask_secret: asks the person for a secret that is needed to go on (or takes it from stdin, where it was given),
            by what it is: "The password of ops at registry.example.com". None where the run changes nothing, and goes on
            without. Raises `UsageProblem` if there is nobody to ask.
        shared: what all sessions of this command have in common.
        audit: takes each change that was made, for whoever keeps a trail of them.
        in_use: tells which keys Akka's records name, of all its projects; None where the command cannot ask Akka.
        sleep: waits for so many seconds; others may have the turn meanwhile.
        undoing: by when all that a failed run made should be undone; None while nothing is undone.
    """

    deadline: Deadline
    tell: Tell
    trace: Callable[[str], None]
    new_key: bool = False
    run_id: str = field(default_factory=new_run_id)
    held: Callable[[], Awaitable[HeldCredential | None]] | None = None
    ask_secret: Callable[[str], Awaitable[Secret | None]] = nobody_to_ask
    shared: Shared = field(default_factory=Shared)
    audit: Audit = not_recorded
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    in_use: Callable[[], Awaitable[KeysInUse]] | None = None
    undoing: Deadline | None = None

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds, in which nothing is called. They are no part of the run's time."""
        begin = clock.monotonic()
        await self.sleep(seconds)
        self.deadline.extend(clock.monotonic() - begin)

    async def held_credential(self) -> HeldCredential | None:
        """What Akka holds now under the secret name of this target."""
        return None if self.held is None else await self.held()

    async def keys_in_use(self) -> KeysInUse:
        """The keys that any record of Akka's names.

        Raises:
            PullkeyError: Akka cannot be asked.
        """
        if self.in_use is None:
            return KeysInUse(frozenset(), ("Akka",))
        return await self.in_use()


HeldNow = Callable[[], Coroutine[Any, Any, HeldCredential | None]]
"""Tells what Akka holds for a target."""


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
    """Whether a refusal may pass by itself, the key being new; a password that was brought is refused for good."""
    host_known: bool = True
    """Whether `host` answers before `connect`."""
    tells_public: bool = False
    """Whether `preflight` is sure to say so where anybody may pull, and the registry itself need not be asked."""
    token_host: str | None = None
    """Another host that the user allows for the registry's token service; None where there is no way to say so."""

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
    async def preflight(self) -> Findings:
        """Whatever else stands in the way: wrong names, policies, limits. Changes nothing."""

    async def ask(self) -> None:
        """Ask the person (`context.ask_secret`) for what making a key needs; once, when it is sure to be made.

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
        """The repositories that were named for a key to be limited to, beside the image's; looked for as the image is."""
        return ()

    def supplied(self) -> Credential | None:
        """What the user entered (`ask`) as Akka will use it: a credential that can be tried before anything is changed; else None."""
        return None

    async def image_reader(self) -> Credential | None:
        """This run's own login as a credential of the registry, to look at the named image before anything is created.

        None where there is none. It is sent to the registry alone and never handed to Akka.

        Raises:
            PullkeyError: it cannot be had now.
        """
        return None

    @abstractmethod
    async def diagnose(self, attempt: Attempt) -> str:
        """What the cloud itself says about a handshake that keeps failing: key, identity and grant looked at anew."""

    async def identity(self) -> str:
        """Who pulls, as a person names them."""
        return await self.username() or ""

    @abstractmethod
    def script_variables(self) -> Mapping[str, str]:
        """The variables that the steps' scripts use, with their values as bash words (quoted, or `$(...)`)."""

    @property
    @abstractmethod
    def script_credential(self) -> Mapping[str, str]:
        """The bash words for server, username, email and password, as the handoff's script uses them."""

    def script_lookups(self) -> Mapping[str, str]:
        """Bash words that find out what else the typed commands use, by variable: for where no step before has set it."""
        return {}

    def undo_deadline(self) -> Deadline:
        """By when one step should be undone: it has time of its own, since the run may have failed because its time was up.

        Where the clouds hang altogether, all steps together have not much more than one alone. What is removed because it
        was asked for keeps to the run's own time.
        """
        from bootstrap.waiting import Deadline

        return Deadline((self.context.undoing or self.context.deadline).within(_UNDO_STEP_SECONDS))

    def handover_extra(self) -> str:
        """Bash that ends a hand-over, so that this person can go on where it stops; "" if nothing is needed."""
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


@dataclass(frozen=True)
class Check:
    """One line of `pullkey doctor`: what was looked at, how it is, and how to fix it.

    Args:
        good: True, False, or None for something to know that is neither.
        code: of the problem that it shows, where that is one that other commands report too.
    """

    what: str
    good: bool | None
    detail: str
    fix: str = ""
    code: Code | None = None


def failed_check(what: str, problem: PullkeyError | Problem) -> Check:
    """A check that has met a problem or an error."""
    return Check(what, False, problem.what, problem.fix, problem.code)


class Provider(Protocol):
    """One kind of registry."""

    name: str
    title: str
    summary: str
    examples: Sequence[str]
    options: Sequence[Option]
    fallback: bool
    """Whether it takes any server that no other provider recognises."""

    def recognises(self, held: HeldCredential) -> bool:
        """Whether Akka's record is of this kind of registry, by its server alone."""
        ...

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> Target:
        """The target that stands behind a credential of ours (`held.link` is there), by its record and by the cloud.

        An identity or application that was not made by pullkey becomes one that was given, which is never removed.

        Args:
            held: Akka's record.
            context: of the run; what is made for the asking goes into `context.shared`.
            login: the values of the options marked `login`.

        Raises:
            PullkeyError: the cloud cannot be asked, or what it shows leaves more than one possibility.
        """
        ...

    def claims(self, host: str) -> bool:
        """Whether the images of a host are this provider's; "" is that of a short name (`acme/app`).

        Args:
            host: in lower case, without port.
        """
        ...

    def options_of_image(self, image: str) -> Mapping[str, str]:
        """The options that name what an image reference names, without dashes in front; the first of them holds it.

        Args:
            image: a reference, or the address of a registry alone, as typed. Its host is one of those that `claims` takes.

        Raises:
            UsageProblem: it cannot be read.
        """
        ...

    def place_of_image(self, image: str) -> str:
        """The beginning of an image's name that all images have which the same credential is for.

        Raises:
            UsageProblem: it cannot be read.
        """
        ...

    def covers(self, target: Any, image: str) -> bool:
        """Whether a target's credential is for an image of a registry at the same host."""
        ...

    def options_of(self, held: HeldCredential, target: Any | None) -> Mapping[str, str | bool]:
        """The options by which a person would name what Akka's record is for: as far as the record itself, and the target
        behind one of ours, tell. Names are without dashes in front; nothing secret is among them.

        Args:
            held: Akka's record, of ours or of anybody's.
            target: what `locate` has found; None for a record that is not ours, or could not be located.
        """
        ...

    def login_at_a_glance(self) -> tuple[str, str] | None:
        """Which login is likely to be used, by files and variables alone: what it is of, and what was found or how to log in.

        None where no login exists beforehand. Calls nobody, imports no SDK, and raises nothing.
        """
        ...

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        """What `pullkey doctor` can see of this provider without a target: libraries, login, clock. Raises nothing."""
        ...

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        """The first value that `target` would refuse for not being there; None if all are. Calls nobody."""
        ...

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


def right(permission: str, resource: str, step: str, title: str, who: str, role: str = "") -> Problem:
    """The problem of a permission that is missing; `role` is one that has it."""
    return Problem(
        ProblemKind.RIGHT,
        f"{who} lacks the permission {permission} on {resource}, needed to: {title}",
        f"{role} has it" if role else "",
        step=step,
        permission=permission,
        code=Code.MISSING_PERMISSION,
    )

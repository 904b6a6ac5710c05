"""What a provider is: the only things that the rest of pullkey knows of one kind of registry.

Providers are found through the entry-point group `pullkey.providers`; each entry is an object with the
members of `Provider`. Importing it must import no cloud SDK: that happens when a `Session` first calls the
cloud.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too
from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind
from bootstrap.model.key_facts import KeyFacts as KeyFacts  # noqa: PLC0414  - the same

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.plugin.emulator import Emulator
from bootstrap.model.key_facts import KeyLimit
from bootstrap.model.option import Option
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.session import Session


@dataclass(frozen=True)
class Missing:
    """A value that a target needs and that was not given.

    Args:
        option: the option's name, with dashes.
        question: what is asked for at a terminal.
        choices: asks the cloud for the values there are, each with what it is; None where they cannot be
            listed cheaply. It may raise anything: then there are none.
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
    def lock_key(self) -> str:
        """What tells this target from any other: two runs with the same must not go at once."""

    @property
    def shared_identity_key(self) -> str:
        """Who pulls, as far as that is known without asking: targets with the same share an identity."""

    @property
    def quota_group(self) -> str:
        """What holds several targets whose changes are better made by one machine: a Google project, a
        registry.
        """

    @property
    def lifetime(self) -> dt.timedelta | None:
        """How long a key that is created for it is to last; None where it does not expire, or none is
        created.
        """

    @property
    def key_limit(self) -> KeyLimit | None:
        """How many keys `who` may have; None where the cloud's documents name no number."""


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
        """The target of a credential of ours (`held.link` is set), from its record and from the cloud.

        An identity or application that pullkey did not create counts as one that the user named, which is
        never removed.

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
        """The options that name what an image reference names, without dashes in front; the first of them
        holds it.

        Args:
            image: a reference, or the address of a registry alone, as typed. Its host is one of those that
                `claims` takes.

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
        """The options by which a person would name what Akka's record is for: as far as the record itself,
        and the target behind one of ours, tell. Names are without dashes in front; nothing secret is among
        them.

        Args:
            held: Akka's record, of ours or of anybody's.
            target: what `locate` has found; None for a record that is not ours, or could not be located.
        """
        ...

    def login_at_a_glance(self) -> tuple[str, str] | None:
        """Which login is likely to be used, by files and variables alone: what it is of, and what was found
        or how to log in.

        None where no login exists beforehand. Calls nobody, imports no SDK, and raises nothing.
        """
        ...

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        """What `pullkey doctor` can see of this provider without a target: libraries, login, clock. Raises
        nothing.
        """
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


def missing_permission(
    permission: str, resource: str, step: str, title: str, who: str, role: str = ""
) -> Problem:
    """The problem of a permission that is missing; `role` is one that has it."""
    return Problem(
        ProblemKind.RIGHT,
        f"{who} lacks the permission {permission} on {resource}, needed to: {title}",
        f"{role} has it" if role else "",
        step=step,
        permission=permission,
        code=Code.MISSING_PERMISSION,
    )

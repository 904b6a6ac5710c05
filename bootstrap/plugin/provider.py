"""The interface of a provider: everything that the rest of pullkey knows about one kind of registry.

Each entry point in the group `pullkey.providers` is an object with the members of `Provider`. Importing it
must not import a cloud SDK; that happens when a `Session` first calls the cloud.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.credential import secret_name as name_of_secret
from bootstrap.model.errors import Problem, ProblemKind
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_facts import KeyLimit
from bootstrap.model.option import Option
from bootstrap.model.server import host_of
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.session import Session

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.plugin.emulator import Emulator
    from bootstrap.plugin.quota import Charge


@dataclass(frozen=True)
class Missing:
    """A required value that was not given.

    Args:
        option: the option's name, with dashes.
        question: the prompt at a terminal.
        choices: lists the possible values in the cloud, each with a description; None if that is expensive.
            If it raises anything, there are no choices.
    """

    option: str
    question: str
    choices: Callable[[RunContext], Awaitable[Sequence[tuple[str, str]]]] | None = None


class Target(Protocol):
    """One registry to make pullable. A provider's own class has more attributes.

    A class that inherits from this one has the defaults of a registry that is one target with one identity:
    only `registry` is left to write.
    """

    @property
    def label(self) -> str:
        """The registry's name for display."""
        return self.registry

    @property
    def registry(self) -> str:
        """The registry's host in image names, as far as known without a call to the cloud."""
        ...

    @property
    def secret_name(self) -> str:
        """The name of the Akka secret, derived from the registry."""
        return name_of_secret(self.registry)

    @property
    def lock_key(self) -> str:
        """Identifies this target: two runs with the same key must not run at the same time."""
        return self.label

    @property
    def shared_identity_key(self) -> str:
        """Identifies who pulls, without a call to the cloud: targets with the same key share an identity."""
        return self.lock_key

    @property
    def quota_group(self) -> str:
        """The cloud container (a Google project, a registry) whose targets one machine should change."""
        return self.registry

    @property
    def lifetime(self) -> dt.timedelta | None:
        """The lifetime of a created key; None if it does not expire, or if no key is created."""
        return None

    @property
    def key_supplied(self) -> bool:
        """Whether the user supplies the password, so that no key is created and no lifetime is set."""
        return False

    @property
    def key_limit(self) -> KeyLimit | None:
        """The limit on keys of the identity; None if the cloud documents none."""
        return None

    @property
    def charges(self) -> Sequence[Charge]:
        """The calls that a run takes of the cloud's documented quotas, from which a plan of many targets says
        how long it takes; none if none is documented.
        """
        return ()


class Provider(Protocol):
    """One kind of registry.

    A class that inherits from this one has the members with a default; without it, it must have all.
    """

    name: str
    """The name of its entry point, and of its commands: `pullkey onboard NAME`."""
    title: str
    """The kind of registry, for display: `Docker Hub`."""
    summary: str
    """The first sentence of its help."""
    examples: Sequence[str] = ()
    """Command lines that its help shows."""
    options: Sequence[Option]
    """Its own; `--image`, `--secret-name` and others are common to all providers."""
    hosts: Sequence[str]
    """The hosts whose images it claims, as `pullkey providers` shows them: `gcr.io`, `*.gcr.io`. None of a
    provider that accepts any server, or claims hosts that are not known beforehand.
    """
    access: Access = Access("The login that this provider asks for.")
    """How the login that runs pullkey gets the permissions of the steps."""
    fallback: bool = False
    """Whether this provider accepts any server that no other provider recognises."""
    login_variables: Sequence[str] = ()
    """The user's environment variables that lead to a real login, project or endpoint of this cloud; one that
    ends in `_` means all that begin with it. The sandbox does not pass them on.
    """

    def recognises(self, held: HeldCredential) -> bool:
        """Whether the server in Akka's record is this kind of registry; by default, one of `hosts`."""
        return self.claims(host_of(held.server).partition(":")[0])

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> Target:
        """Find the target of a credential that pullkey registered (`held.link` is set).

        An identity or application that pullkey did not create is treated as named by the user, and so is
        never removed.

        Args:
            held: Akka's record.
            context: of the run; clients that this needs are kept in `context.shared`.
            login: the values of the options marked `login`, and `image` if it was typed. The other options
                of an onboarding are not known.

        Raises:
            PullkeyError: the cloud cannot be read, or several targets are possible.
        """
        ...

    def claims(self, host: str) -> bool:
        """Whether the images of a host belong to this provider; "" is the host of a short name (`acme/app`).
        By default, if it is one of `hosts`.

        Args:
            host: in lower case, without port.
        """
        return any(fnmatchcase(host, pattern) for pattern in self.hosts)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        """Convert an image reference to options, named without leading dashes. The first option has the
        reference itself.

        Args:
            image: an image reference or a registry's address, as typed. `claims` has accepted its host.

        Raises:
            UsageProblem: it cannot be parsed.
        """
        return {"image": image}

    def place_of_image(self, image: str) -> str:
        """The prefix that the names of all images of the same credential share.

        Raises:
            UsageProblem: the image cannot be parsed.
        """
        return parse_reference(image, where="IMAGE").registry.removesuffix(":443")

    def covers(self, target: Any, image: str) -> bool | None:
        """Whether a target's credential can pull an image from the same host; None if the target does not
        show it, for example one from Akka's record, which does not name the repositories.
        """
        return True

    def options_of(self, held: HeldCredential, target: Any | None) -> Mapping[str, str | bool]:
        """The options that would create this credential, as far as its record and target show them.

        Names have no leading dashes. No value is secret.

        Args:
            held: Akka's record, registered by pullkey or not.
            target: the result of `locate`; None if pullkey did not register it, or it was not located.
        """
        return {}

    def login_at_a_glance(self) -> tuple[str, str] | None:
        """The login that will probably be used, by files and variables alone: its name, and what was found
        or how to log in.

        None if the provider has no login. Makes no call, imports no SDK, raises nothing.
        """
        return None

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        """The checks of `pullkey doctor` that need no target: libraries, login, clock. Raises nothing."""
        return ()

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        """The first required value that is not set; None if all are. Makes no call."""
        return None

    def target(self, values: Mapping[str, Any]) -> Target:
        """Create the target from option values. Makes no call.

        Raises:
            UsageProblem: a value is invalid.
        """
        ...

    def open(self, target: Any, context: RunContext) -> Session:
        """Create a session. Makes no call and imports no SDK."""
        ...

    def preload(self) -> None:
        """Import the libraries that sessions use, for processes that are forked afterwards and share them.

        Starts no thread and opens no connection. A library that is not installed may raise `ImportError`.
        """
        return

    def emulator(self) -> Callable[[], Emulator]:
        """The factory of this provider's emulated cloud."""
        ...


def missing_permission(
    permission: str, resource: str, step: str, title: str, who: str, role: str = ""
) -> Problem:
    """The problem that a permission is missing; `role` is a role that includes it."""
    return Problem(
        ProblemKind.RIGHT,
        f"{who} lacks the permission {permission} on {resource}, needed to: {title}",
        f"{role} has it" if role else "",
        step=step,
        permission=permission,
        code=Code.MISSING_PERMISSION,
    )

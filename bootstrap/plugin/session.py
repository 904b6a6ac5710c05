"""A session with one target: its steps, its keys, and the calls that the engine needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bootstrap.model.credential import Credential
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.step import Notice, PreflightFindings, Step

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.deadline import Deadline
    from bootstrap.model.pull import Probe, PullAttempt
    from bootstrap.registry.challenge import Challenge

_UNDO_STEP_SECONDS = 30.0


class Session(ABC):
    """A session with one target of one provider. Creating it makes no call; `close` ends it."""

    context: RunContext
    """The run that the session belongs to."""
    steps: Sequence[Step]
    """Identity, grant and key, in order. Verification and handoff follow, the same for every provider."""
    key: Keys
    """The keys of the identity."""
    credential: Credential | None = None
    """The credential to register; set by the `do` of the step that creates the key. From the record that Akka
    will show of it, `Keys.key_of` must lead back to its key.
    """
    retire_permissions: tuple[str, ...] = ()
    """The permissions needed to disable and delete a replaced key."""
    restore_permissions: tuple[str, ...] = ()
    """The permissions needed to enable a replaced key again."""
    find_permissions: tuple[str, ...] = ()
    """The permissions that every command needs to find the registry itself."""
    waits_for_spreading: bool = True
    """Whether a refused login may be retried because a new key takes time to become valid. A user-supplied
    password does not.
    """
    host_known: bool = True
    """Whether `host` can be called before `connect`."""
    tells_public: bool = False
    """Whether `preflight` reliably reports anonymous pulls, so that the registry itself need not be asked."""
    token_host: str | None = None
    """The host of the registry's token service, if the user named another one; None if the provider has no
    option for it.
    """

    def redact(self, text: str) -> str:
        """Remove this session's secrets from a text of the registry."""
        return self.credential.password.redact(text) if self.credential is not None else text

    @abstractmethod
    async def connect(self) -> str:
        """Log in to the cloud. Return the account's name.

        Raises:
            PullkeyError: there is no login, or the extra is not installed.
        """

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        """Those of `permissions` that the login lacks, each with the resource on which it is needed.

        None if the login may not query its permissions. By default none is missing, as of a cloud that has
        no permissions to query.
        """
        del permissions
        return {}

    async def preflight(self) -> PreflightFindings:
        """Find other obstacles: wrong names, policies, limits. Read-only; finds nothing by default."""
        return PreflightFindings()

    def challenge_notices(self, challenge: Challenge) -> Sequence[Notice]:
        """What the registry's challenge tells the user, such as that another provider serves it."""
        del challenge
        return ()

    async def prompt_secrets(self) -> None:
        """Prompt (`context.ask_secret`) for the secrets needed to create a key. Called once, when it is
        certain that a key will be created.

        Raises:
            UsageProblem: it cannot prompt, or the input is invalid.
        """

    @abstractmethod
    async def host(self) -> str:
        """The registry's host in image names. May call the cloud.

        Raises:
            PullkeyError: the registry does not exist.
        """

    async def server(self) -> str:
        """The server to register with Akka. By default with scheme and version, as Akka's page names one."""
        return f"https://{await self.host()}/v1/"

    async def other_place(self, held: HeldCredential) -> str:
        """The label of another place of the same registry that a record is for, such as another project; ""
        for this target's own, and where that is not known. Two places may have one name in Akka.

        Args:
            held: Akka's record of another identity, with a `link`.
        """
        del held
        return ""

    async def unconfirmed(self, held: HeldCredential) -> str:
        """What is not known of a record that counts as this target's, such as whether it is for this project,
        because that takes a login, as a sentence; "" where it is known. Then a run that changes nothing does
        not say that everything is in place.

        Args:
            held: Akka's record of this identity, with a `link`.
        """
        del held
        return ""

    async def username(self) -> str | None:
        """The user name of every key of this identity, in this run and in later ones.

        None while it does not exist yet, and if each key has its own (`Keys.is_username`). Do not take it
        from `credential`, which exists only in the run that created the key.
        """
        return None

    @abstractmethod
    async def probe(self) -> Probe:
        """What to pull for the verification."""

    @property
    def named_repositories(self) -> Sequence[str]:
        """The repositories, besides the image's, to which the user limits the key. Preflight checks that they
        exist.
        """
        return ()

    def supplied(self) -> Credential | None:
        """The credential that the user supplied (`prompt_secrets`), which can be verified before any change;
        else None.
        """
        return None

    async def image_reader(self) -> Credential | None:
        """A credential from the user's own login, to check the named image before anything is created.

        None if there is none. It is sent to the registry only and never registered with Akka.

        Raises:
            PullkeyError: it cannot be obtained now.
        """
        return None

    async def diagnose(self, attempt: PullAttempt) -> str:
        """Explain a verification that keeps failing: read key, identity and grant from the cloud again.

        "" if there is nothing to add to the registry's answer.
        """
        del attempt
        return ""

    async def identity(self) -> str:
        """The name, for display, of the identity that pulls."""
        return await self.username() or ""

    def script_variables(self) -> Mapping[str, str]:
        """The variables of the steps' scripts, in the order in which they are set.

        Each value is one bash word, as it is written after `NAME=`: `shlex.quote` of a text, or `"$(...)"`,
        which may use the variables before it. Scripts use them as `"$NAME"`. None is a secret.
        """
        return {}

    @property
    @abstractmethod
    def script_credential(self) -> Mapping[str, str]:
        """The bash words for `server`, `username`, `email` and `password` in the handoff's script.

        They may use `script_variables` and the variables that the steps' scripts set: `'"$PASSWORD"'`.
        """

    def script_lookups(self) -> Mapping[str, str]:
        """Bash words that look up variables of `Script.typed`, unless an earlier step has set them. Quoted
        like those of `script_variables`.
        """
        return {}

    def undo_deadline(self) -> Deadline:
        """The deadline for undoing one step: not the run's own, which may have passed.

        The undo of all steps has one deadline too (`context.undo_deadline`), so that a cloud that hangs does
        not multiply the wait. A removal that the user requested keeps the run's deadline.
        """
        from bootstrap.model.deadline import Deadline

        return Deadline((self.context.undo_deadline or self.context.deadline).clip(_UNDO_STEP_SECONDS))

    def handover_extra(self) -> str:
        """Bash at the end of a hand-over script, so that the user can continue after it; "" if not needed."""
        return ""

    def role_with(self, permission: str) -> str:
        """The cloud's name of a role that includes a permission; "" if unknown."""
        del permission
        return ""

    def script_preamble(self) -> str:
        """Bash to run before the first step."""
        return ""

    async def close(self) -> None:
        """Close the session's connections."""

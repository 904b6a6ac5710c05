"""The keys of one identity, as commands use them: which key Akka's record names, and each key by its id."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef


class Keys(ABC):
    """The keys of the identity of one target. Methods raise `PullkeyError` if the cloud refuses a call."""

    supplied: bool = False
    """Whether the key is a user-supplied password, which pullkey can neither show nor delete."""
    can_disable: bool = False
    """Whether a key can be disabled and enabled."""
    two_at_most: bool = False
    """Whether an identity has at most two keys: while a replaced key is kept, no new one can be created."""

    answered: str = ""
    """The id of the key that this run created, as soon as the cloud has answered that; else ""."""
    deleted: Collection[str] = ()
    """The ids of the keys that this run has deleted; a list that lags may still show them."""

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def key_of(self, record: HeldCredential) -> KeyRef | None:
        """The key that Akka's record names, if it belongs to this identity; else None.

        If Akka does not show the user name, the e-mail field alone decides.
        """
        link = record.link
        if link is None or not self.owns(link):
            return None
        return link if not record.username or await self.is_username(record.username, link) else None

    def owns(self, link: KeyRef) -> bool:
        """Whether a key belongs to this identity, judging by the e-mail field."""
        del link
        return True

    @abstractmethod
    async def is_username(self, username: str, link: KeyRef) -> bool:
        """Whether a key of this identity has that user name.

        Either all keys of the identity have one user name, `Session.username`, in this run and in every later
        one; or, as with robot accounts, each key has its own: then override this to decide by the key's id,
        and let `Session.username` return None.
        """

    def example_ref(self) -> KeyRef | None:
        """A sample reference to a new key, with an id in the cloud's format.

        Before anything is created, it is checked that Akka's record would lead back to it. None where the
        form of an id is not known; then it is checked once the key exists, which is deleted if it fails.
        """
        return None

    # -- one key by its id -----------------------------------------------------------------------------------

    @abstractmethod
    async def facts(self, key_id: str) -> KeyFacts | None:
        """What the cloud shows of a key; None if it was deleted, or has expired and is no longer shown.

        Raises:
            PullkeyError: it cannot be read.
        """

    @abstractmethod
    async def delete(self, key_id: str) -> bool:
        """Delete a key, whichever run created it. Return False if it was already deleted.

        Raises:
            PullkeyError: the cloud refuses.
        """

    @abstractmethod
    def delete_command(self, key_id: str) -> str:
        """The command that deletes a key by hand."""

    async def switch(self, key_id: str, *, on: bool) -> None:
        """Disable or enable a key. Available only if `can_disable`.

        Raises:
            KeyGone: the key was deleted.
            PullkeyError: the cloud refuses.
        """
        raise NotImplementedError

    # -- all of them -----------------------------------------------------------------------------------------

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """The keys that pullkey created, recognised by a mark or because the identity is pullkey's own.

        A key among them that no record of Akka's names may have been left by a failed run.

        Args:
            as_seen: accept what was read before the first change, if it was read.

        Raises:
            PullkeyError: they cannot be read.
        """
        del as_seen
        return []

    async def lost_keys(self) -> list[KeyFacts]:
        """The keys that earlier runs for this target's Akka secret created and lost, on whatever machine.

        Only keys whose mark says so: of that secret (`RunContext.place`), of a run that must have ended by
        now, and named by no record of Akka's. They are deleted.

        Raises:
            PullkeyError: they cannot be read.
        """
        return []

    async def list_counted(self) -> list[KeyFacts] | None:
        """All keys that count against the target's `key_limit`, those of others included, as last read.

        None if unknown, or if the cloud has no limit.

        Raises:
            PullkeyError: they cannot be read.
        """
        return None

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        """Other uses of the identity than the keys `ours`, each in a few words: "key abc of 2026-01-01".

        If there are any, neither grant nor identity is deleted.

        Raises:
            PullkeyError: they cannot be read.
        """
        del ours
        return []

"""The keys of one identity, as commands deal with them: which one Akka's record names, and each by its id."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef


class Keys(ABC):
    """The keys of the identity of one target. Methods that call the cloud raise `PullkeyError` where it
    refuses.
    """

    supplied: bool = False
    """Whether a key is a password that the user supplies, which the cloud cannot be asked to show or to
    delete.
    """
    can_disable: bool = False
    """Whether a key can be disabled, and enabled again."""
    two_at_most: bool = False
    """Whether an identity has two keys at most, so that none can be created beside one that is kept."""

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def key_of(self, record: HeldCredential) -> KeyRef | None:
        """The key that Akka's record names, if it is one of this identity; else None.

        A user name that Akka does not show does not make it another identity's: the e-mail decides then.
        """
        link = record.link
        if link is None or not self.owns(link):
            return None
        return link if not record.username or await self.is_username(record.username, link) else None

    def owns(self, link: KeyRef) -> bool:
        """Whether a key is of this identity, as far as its e-mail tells."""
        del link
        return True

    @abstractmethod
    async def is_username(self, username: str, link: KeyRef) -> bool:
        """Whether a key of this identity is used with that user name. It may be the key's own: of a robot
        account each key has another one.
        """

    # -- one key by its id -----------------------------------------------------------------------------------

    @abstractmethod
    async def facts(self, key_id: str) -> KeyFacts | None:
        """What the cloud shows of a key now; None if it was deleted, or is not shown any more since it has
        expired.

        Raises:
            PullkeyError: it cannot be seen.
        """

    @abstractmethod
    async def delete(self, key_id: str) -> bool:
        """Delete a key, whichever run created it; False if it was already deleted.

        Raises:
            PullkeyError: the cloud refuses.
        """

    @abstractmethod
    def delete_command(self, key_id: str) -> str:
        """The command that deletes it by hand."""

    async def switch(self, key_id: str, *, on: bool) -> None:
        """Disable or enable a key; only where `can_disable`.

        Raises:
            KeyGone: it was deleted.
            PullkeyError: the cloud refuses.
        """
        raise NotImplementedError

    # -- all of them -----------------------------------------------------------------------------------------

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        """The keys that pullkey has created, as far as the cloud tells: by a mark of theirs, or because the
        identity itself is pullkey's. One that no record of Akka's names may be what a lost run has left.

        Args:
            as_seen: whether what the looks before the first change have shown is enough, where they have
                shown it.

        Raises:
            PullkeyError: they cannot be seen.
        """
        del as_seen
        return []

    async def list_counted(self) -> list[KeyFacts] | None:
        """The keys that count under the target's `key_limit`, whatever created them, as last read.

        None where that is not known, or the cloud names no limit.

        Raises:
            PullkeyError: they cannot be seen.
        """
        return None

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        """What else than the keys `ours` needs the identity, each in a few words: "key abc of 2026-01-01".

        While there is anything, neither grant nor identity is deleted.

        Raises:
            PullkeyError: it cannot be seen.
        """
        del ours
        return []

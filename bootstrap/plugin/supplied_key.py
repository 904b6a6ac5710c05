"""A password that the user supplies: the cloud cannot be asked to show or to delete it."""

from __future__ import annotations

from abc import abstractmethod

from bootstrap.errors import PullkeyError
from bootstrap.link import KeyLink, registered_on
from bootstrap.plugin.keys import KeyFacts, Keys
from bootstrap.provider import Session
from bootstrap.steps import Step


class SuppliedKey(Keys, Step):
    """A step that creates nothing: it takes over a password, of which only Akka's record tells."""

    name = "key"
    supplied = True

    def __init__(self, session: Session) -> None:
        self._of = session

    @abstractmethod
    def not_revocable(self) -> PullkeyError:
        """That it cannot be deleted, and where its owner can."""

    async def is_username(self, username: str, link: KeyLink) -> bool:
        del link
        return username == await self._of.username()

    async def facts(self, key_id: str) -> KeyFacts | None:
        return KeyFacts(key_id, created=registered_on(key_id), supplied=True)

    async def delete(self, key_id: str) -> bool:
        del key_id
        raise self.not_revocable()

    async def switch(self, key_id: str, *, on: bool) -> None:
        del key_id, on
        raise self.not_revocable()

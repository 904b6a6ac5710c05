"""A user-supplied password, which pullkey can neither show nor delete."""

from __future__ import annotations

from abc import abstractmethod

from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef, registered_on
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Step, StepRole


class SuppliedKey(Keys, Step):
    """A step that creates nothing: it registers a user-supplied password, known only from Akka's record."""

    name = StepRole.KEY
    supplied = True

    def __init__(self, session: Session) -> None:
        self._of = session

    @abstractmethod
    def not_revocable(self) -> PullkeyError:
        """The error that pullkey cannot delete the password, and where its owner can."""

    async def is_username(self, username: str, link: KeyRef) -> bool:
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

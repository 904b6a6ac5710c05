"""The keys of a session that still has their functions itself; it goes once every provider has a `KeyResource`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bootstrap.link import KeyLink
from bootstrap.plugin.keys import KeyFacts, Keys


class SessionKeys(Keys):
    """Passes on to the session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.supplied = not getattr(session, "deletes_keys", True)
        self.can_disable = getattr(session, "disables_keys", False)
        self.two_at_most = getattr(session, "holds_two_keys", False)

    def owns(self, link: KeyLink) -> bool:
        holds = getattr(self._session, "holds", None)
        return holds is None or bool(holds(link))

    async def is_username(self, username: str, link: KeyLink) -> bool:
        return bool(username == await self._session.username())

    async def facts(self, key_id: str) -> KeyFacts | None:
        found: KeyFacts | None = await self._session.key_facts(key_id)
        return found

    async def delete(self, key_id: str) -> bool:
        return bool(await self._session.delete_key(key_id))

    def delete_command(self, key_id: str) -> str:
        return str(self._session.delete_key_command(key_id))

    async def switch(self, key_id: str, *, on: bool) -> None:
        await self._session.switch_key(key_id, on=on)

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if not hasattr(self._session, "keys_of_ours"):
            return []
        found: list[KeyFacts] = await self._session.keys_of_ours(as_seen=as_seen)
        return found

    async def list_counted(self) -> list[KeyFacts] | None:
        if not hasattr(self._session, "keys_counted"):
            return None
        found: list[KeyFacts] | None = await self._session.keys_counted()
        return found

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        if not hasattr(self._session, "used_by_others"):
            return []
        found: list[str] = await self._session.used_by_others(ours)
        return found

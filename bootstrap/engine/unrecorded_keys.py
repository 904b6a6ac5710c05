"""Keys that pullkey may have created and that no record of Akka's names: reported, never deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import all_records, keys_of_links
from bootstrap.engine import messages
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.plugin.observe import confirm_unlisted
from bootstrap.plugin.session import Session


async def unrecorded_keys(
    session: Session,
    akka: AkkaCli,
    known: set[str],
    reported: str,
    *,
    keys: Callable[[], Awaitable[Sequence[KeyFacts]]] | None = None,
) -> list[str]:
    """The keys that pullkey may have created and that no Akka record names, each with the command that
    deletes it.

    A run that was killed on another machine leaves no journal here. Nothing shows whether such a key is in
    use, so it is reported and never deleted.

    Args:
        session: of the identity.
        akka: for the records of all projects.
        known: the ids of keys that are accounted for.
        reported: the text reported so far; a key that it names is not reported again.
        keys: lists the keys that pullkey has created; `session.key.list_ours` by default.
    """
    try:
        found = [
            key
            for key in await (keys or session.key.list_ours)()
            if key.key_id not in {*known, *session.key.deleted} and key.key_id not in reported
        ]
        found = await keys_without_record(session, akka, found)
        if not found:
            return []
        identity = await whose_keys(session)
    except PullkeyError:
        return []  # optional: the run itself is done
    return [messages.unrecorded_key(key, identity, session.key.delete_command(key.key_id)) for key in found]


async def whose_keys(session: Session) -> str:
    """Whose keys the session's are, for a sentence: the identity, or the registry where each key is its own
    identity.
    """
    return await session.identity() or await session.host()


async def keys_without_record(session: Session, akka: AkkaCli, keys: Iterable[KeyFacts]) -> list[KeyFacts]:
    """The keys that no record of Akka's names, even after the records were read again: lists lag."""
    reader, keys = akka, list(keys)

    async def named() -> set[str]:
        nonlocal reader
        records = [held for _, held in await all_records(reader, lambda _: None)]
        reader = akka.with_fresh_listings()
        return keys_of_identity(session, records)

    found = await confirm_unlisted([key.key_id for key in keys], named, deadline=session.context.deadline)
    return [key for key in keys if key.key_id in found.things]


def keys_of_identity(session: Session, records: Sequence[HeldCredential]) -> set[str]:
    """The ids of this identity's keys in Akka's records: an id may be good for one identity only."""
    return keys_of_links(link for held in records for link in held.links if session.key.owns(link))

"""Find the key of a target that Akka's record names, and say why it cannot be used."""

from __future__ import annotations

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.server import is_matched, same_registry
from bootstrap.plugin.session import Session

SECRETLESS = "Akka's credential has lost its secret"
"""For a record that refers to a deleted secret."""


async def usable_key(session: Session) -> tuple[KeyRef | None, str]:
    """The key that Akka holds for this target; None, with the reason, if it cannot be used."""
    held = await session.context.held_credential()
    link, reason = await key_in_record(session, held)
    if held is None or link is None:
        return None, reason
    if not held.status_is_ok:
        return None, f"Akka's status of it is {held.status}"
    if not is_matched(held.server):
        return None, misspelled(held.server, await session.server())
    if session.context.new_key:
        return None, "a new key was requested"
    return link, reason


async def key_in_record(session: Session, held: HeldCredential | None) -> tuple[KeyRef | None, str]:
    """The key that Akka's record names, if it belongs to this target's identity; else None and the reason."""
    if held is None:
        return None, "Akka has no credential of this name"
    if held.empty:
        return None, SECRETLESS
    if not same_registry(held.server, await session.server()):
        return None, f"Akka's credential is for {held.server}"
    if held.link is None:
        return None, "Akka's credential was not created by pullkey, so its key cannot be checked"
    link = await session.key.key_of(held)
    if link is None:
        named = f"{held.link.name}@{held.link.domain}"
        ours = not held.username or await session.key.is_username(held.username, held.link)
        return None, f"Akka's credential is of another identity, {named if ours else held.username}"
    return link, f"Akka holds key {link.key_id}"


async def username_in_akka(session: Session) -> str | None:
    """The user name in Akka's record of this target's key; without one, the user name of a new key."""
    held = await session.context.held_credential()
    if held is not None and held.username and (await key_in_record(session, held))[0] is not None:
        return held.username
    return await session.username()


def misspelled(server: str, ours: str) -> str:
    """Why a record with this spelling of the server cannot be used."""
    return (
        f"Akka's credential is for {server}, which no image's host matches as it is spelled; it must be "
        f"{ours}"
    )

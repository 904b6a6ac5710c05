"""What is done for a private registry: its password is taken from the person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.common_steps import held_link
from bootstrap.credential import Credential
from bootstrap.steps import Done, Script, Sighting, State, Step

if TYPE_CHECKING:
    from providers.private.session import PrivateSession


class Key(Step):
    """The password, which somebody else made: nothing of it is made here, and nothing undone."""

    name = "key"

    def __init__(self, session: PrivateSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Take the password of {self._session.target.username}"

    async def look(self) -> Sighting:
        session = self._session
        link, reason = await held_link(session, session.context)
        if link is not None:
            return Sighting(State.DONE, f"Akka holds the password handed off in run {link.key_id}")
        return Sighting(State.MISSING, "a password was given" if session.target.password else reason)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        if session.password is None:
            await session.ask()
        if session.password is None:
            raise AssertionError("ask() has it, or raises")
        link = target.link(session.context.run_id)
        session.credential = Credential(target.server, target.username, session.password, link, session.ends)
        until = f", good until {session.ends:%Y-%m-%d}" if session.ends else ""
        return Done(f"known from now on as that of run {link.key_id}{until}")

    def script(self) -> Script:
        return Script(
            do=(
                'IFS= read -rs -p "Password of $USERNAME at $REGISTRY: " PASSWORD || :\n'
                "echo >&2\n"
                ': "${PASSWORD:?No password was given}"\n'
                # What tells Akka's record from any other, as a run's id would.
                "KEY_ID=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')\""
            ),
            typed="read -rs PASSWORD",
            why="It is read without echo, and is kept in this shell only.",
        )

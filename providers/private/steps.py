"""What is done for a private registry: its password is taken from the person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.credential import Credential
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.steps import Done, Script, Sighting, State, Step
from providers.private import google_key

if TYPE_CHECKING:
    from providers.private.session import PrivateSession

# What tells Akka's record from any other, as a run's id would.
_RUN_ID = "KEY_ID=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')-$(date +%s)\""


class Key(Step):
    """The password, which somebody else made: nothing of it is made here, and nothing undone."""

    name = "key"

    def __init__(self, session: PrivateSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Use the password of {self._session.target.username}"

    async def look(self) -> Sighting:
        session = self._session
        link, reason = await usable_key(session)
        if link is not None:
            return Sighting(State.DONE, f"Akka holds the password registered in run {link.key_id}")
        return Sighting(State.MISSING, "a password was supplied" if session.target.password else reason)

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        if session.password is None:
            await session.ask()
        if session.password is None:
            raise AssertionError("ask() has it, or raises")
        link = target.link(session.context.run_id)
        session.credential = Credential(target.server, target.username, session.password, link, session.ends)
        until = f", valid until {session.ends:%Y-%m-%d}" if session.ends else ""
        return Done(f"known from now on as that of run {link.key_id}{until}")

    def script(self) -> Script:
        if self._session.target.username in google_key.USERNAMES:
            return Script(
                do=(
                    # Trailing line ends go, as everywhere.
                    'PASSWORD="$(cat -- "${KEY_FILE:?Name the file with the password of $USERNAME: KEY_FILE=FILE bash SCRIPT}")"\n'
                    ': "${PASSWORD:?The file is empty}"\n' + _RUN_ID
                ),
                typed=f'PASSWORD="$(cat keyfile.json)"\n{_RUN_ID}',
                why="Google's key file has line breaks, so it is read from its file, and is kept in this shell only.",
            )
        return Script(
            do=(
                'IFS= read -rs -p "Password of $USERNAME at $REGISTRY: " PASSWORD || :\n'
                "echo >&2\n"
                ': "${PASSWORD:?No password was supplied}"\n' + _RUN_ID
            ),
            typed=f'printf "Password of %s: " "$USERNAME" >&2; IFS= read -rs PASSWORD; echo >&2\n{_RUN_ID}',
            why="It is read without echo, and is kept in this shell only.",
        )

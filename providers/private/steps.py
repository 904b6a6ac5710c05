"""The step of a private registry: use the password that the user supplies."""

from __future__ import annotations

import datetime as dt

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, Script, State, StepStatus
from bootstrap.plugin.supplied_key import SuppliedKey
from providers.private import google_key, messages
from providers.private.short_lived import expiry_of
from providers.private.target import PrivateTarget

# Identifies the password in Akka's record, in a script as the run's id does in a run.
_RUN_ID = "KEY_ID=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')-$(date +%s)\""


class UserPassword(SuppliedKey):
    """The user-supplied password. pullkey neither creates nor revokes it, so nothing is undone."""

    def __init__(self, session: Session, target: PrivateTarget) -> None:
        super().__init__(session)
        self._target = target
        self.password: Secret | None = None
        self._expires: dt.datetime | None = None

    @property
    def title(self) -> str:
        return f"Use the password of {self._target.username}"

    @property
    def owner(self) -> str:
        """The user and the registry that the password is of."""
        return f"{self._target.username} at {self._target.host}"

    async def ask(self) -> None:
        """Prompt for the password, unless an option supplied it.

        Raises:
            UsageProblem: there is no terminal to prompt on, or the password cannot be used.
        """
        target = self._target
        password = target.password or await self._of.context.ask_secret(f"The password of {self.owner}")
        if password is None:
            raise messages.password_needed(self.owner)
        if target.username in google_key.USERNAMES:
            google_key.check_key_file(target.username, password.reveal())
        else:
            self._expires = expiry_of(password, now=clock.now())
        self.password = password

    async def look(self) -> StepStatus:
        link, reason = await usable_key(self._of)
        if link is not None:
            return StepStatus(State.DONE, f"Akka holds the password registered in run {link.key_id}")
        return StepStatus(State.MISSING, "a password was supplied" if self._target.password else reason)

    async def do(self) -> Done:
        if self.password is None:
            await self.ask()
        if self.password is None:
            raise AssertionError("ask() sets the password, or raises")
        target, link = self._target, self._target.link(self._of.context.run_id)
        self._of.credential = Credential(target.server, target.username, self.password, link, self._expires)
        until = f", valid until {self._expires:%Y-%m-%d}" if self._expires else ""
        return Done(f"known from now on as that of run {link.key_id}{until}")

    def not_revocable(self) -> PullkeyError:
        return messages.password_not_revocable(self.owner, self._target.host)

    def delete_command(self, key_id: str) -> str:
        return (
            f"# At {self._target.host}: revoke the password of {self._target.username} that run "
            f"{key_id} handed off."
        )

    def script(self) -> Script:
        if self._target.username in google_key.USERNAMES:
            return Script(
                do=(
                    # Trailing line breaks are removed, as everywhere.
                    'PASSWORD="$(cat -- "${KEY_FILE:?Name the file with the password of $USERNAME: '
                    'KEY_FILE=FILE bash SCRIPT}")"\n'
                    ': "${PASSWORD:?The file is empty}"\n' + _RUN_ID
                ),
                typed=f'PASSWORD="$(cat keyfile.json)"\n{_RUN_ID}',
                why="Google's key file has line breaks, so it is read from its file, and is kept in "
                "this shell only.",
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

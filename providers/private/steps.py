"""What is done for a private registry: its password is taken from the person."""

from __future__ import annotations

import datetime as dt

from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.secret import Secret
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, Script, State, StepStatus
from bootstrap.plugin.supplied_key import SuppliedKey
from providers.private import google_key
from providers.private.short_lived import end_of
from providers.private.target import PrivateTarget

# What tells Akka's record from any other, as a run's id would.
_RUN_ID = "KEY_ID=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')-$(date +%s)\""


class Key(SuppliedKey):
    """The password, which somebody else made: nothing of it is made here, and nothing undone."""

    def __init__(self, session: Session, target: PrivateTarget) -> None:
        super().__init__(session)
        self._target = target
        self.password: Secret | None = None
        self._ends: dt.datetime | None = None

    @property
    def title(self) -> str:
        return f"Use the password of {self._target.username}"

    @property
    def who(self) -> str:
        """Whose password it is."""
        return f"{self._target.username} at {self._target.host}"

    async def ask(self) -> None:
        """Ask for the password, unless it was given.

        Raises:
            UsageProblem: there is nobody to ask, or what was given cannot be used.
        """
        target = self._target
        password = target.password or await self._of.context.ask_secret(f"The password of {self.who}")
        if password is None:
            raise UsageProblem(
                f"The password of {self.who} is needed",
                fix="Pass it with --password-stdin.",
                code=Code.SECRET_MISSING,
            )
        if target.username in google_key.USERNAMES:
            google_key.check_key_file(target.username, password.reveal())
        else:
            self._ends = end_of(password, now=clock.now())
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
            raise AssertionError("ask() has it, or raises")
        target, link = self._target, self._target.link(self._of.context.run_id)
        self._of.credential = Credential(target.server, target.username, self.password, link, self._ends)
        until = f", valid until {self._ends:%Y-%m-%d}" if self._ends else ""
        return Done(f"known from now on as that of run {link.key_id}{until}")

    def not_revocable(self) -> PullkeyError:
        return PullkeyError(
            f"The password of {self.who} is user-supplied, so pullkey cannot revoke it",
            fix=f"Revoke it at {self._target.host}, where it was created.",
            code=Code.KEY_NOT_REVOCABLE,
        )

    def delete_command(self, key_id: str) -> str:
        return (
            f"# At {self._target.host}: revoke the password of {self._target.username} that run "
            f"{key_id} handed off."
        )

    def script(self) -> Script:
        if self._target.username in google_key.USERNAMES:
            return Script(
                do=(
                    # Trailing line ends go, as everywhere.
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

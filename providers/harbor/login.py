"""The login to one Harbor: a user with a password, or a robot account with its secret."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from providers.harbor import messages_login as messages
from providers.harbor.connection import basic
from providers.harbor.names import ROBOT_PREFIX

_PASSING = (Code.CLOUD_UNAVAILABLE, Code.CLOUD_RATE_LIMITED)
"""Answers that say nothing about the login."""


@dataclass
class Login:
    """One login, prompted for at most once a command, however many sessions need it.

    Attributes:
        login_for: another Harbor that the user named: the login is for that one.
        is_robot: whether it is a robot account's.
        is_admin: whether it is a system administrator's, as far as it is known.
    """

    host: str
    user: str
    secret: Secret | None = None
    is_robot: bool = False
    is_admin: bool = False
    refused: PullkeyError | None = None
    login_for: str = ""
    _tried: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.is_robot = self.user.startswith(ROBOT_PREFIX)

    async def ask(self, context: RunContext) -> Secret:
        """The password, from the user if it was not supplied.

        Raises:
            LoginMissing: this run does not prompt.
            UsageProblem: there is no terminal.
            StepFailed: the login is for another Harbor.
        """
        if self.login_for:
            raise messages.login_for_another(self.host, self.login_for)
        if self.secret is None:
            if not self.user:
                raise messages.login_user_unknown(self.host)
            self.secret = await context.ask_secret(f"The password of {self.user} at {self.host}")
        if self.secret is None:
            raise messages.login_not_supplied(self.host)
        return self.secret

    async def is_supplied(self, context: RunContext) -> bool:
        """Whether the password is known without a prompt: it was supplied, or a file names its source."""
        if self.login_for:
            return False
        if self.secret is None and self.user:
            self.secret = await context.secret_of_file("login_stdin")
        return self.secret is not None

    async def authorization(
        self, context: RunContext, attempt: Callable[[Secret], Awaitable[None]]
    ) -> Secret:
        """The value of the `Authorization` header.

        `attempt` tries it once, before anything else is sent with it: after a wrong password Harbor refuses
        the user for 1.5 seconds (src/core/auth/authenticator.go), and a directory may lock the account.

        Raises:
            LoginMissing, UsageProblem: the same as `ask`.
            StepFailed: the login is refused, and not tried twice; or it is not answered.
        """
        async with self._lock:
            if self.refused is not None:
                raise self.refused
            header = basic(self.user, await self.ask(context))
            if not self._tried:
                try:
                    await attempt(header)
                except PullkeyError as error:
                    if error.code not in _PASSING:
                        self.refused = error
                    raise
                self._tried = True
            return header

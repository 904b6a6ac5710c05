"""Reads secrets: from stdin or typed without echo, and from nowhere else."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages_secrets as messages
from bootstrap.model.errors import UsageProblem
from bootstrap.model.option import Option
from bootstrap.model.secret import Secret
from bootstrap.model.server import host_of, registry_of
from bootstrap.model.text import as_typed
from bootstrap.output.prompt import ask_hidden
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.model.akka_record import HeldCredential

# The longest password in use is a Google key, with 2.4 kB; Linux allows 128 kB in one argument.
_LIMIT = 65_536
_TRIES = 3


# Debugging variables that may be set for other programs, and that would log what passes through this one.
# Google's logs every answer, including the key; gRPC's every byte; OpenSSL's the keys of the connections.
_PRINTS_ALL = ("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", "GRPC_TRACE", "GRPC_VERBOSITY", "SSLKEYLOGFILE")
_PR_SET_DUMPABLE = 4


def keep_to_ourselves() -> None:
    """Protect the process before it holds a key: no core dump, no access by other processes, no logging."""
    for limit in (1, 0):
        # A limit of one byte disables dumps that are piped to a collector too; 0 disables files only.
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
            break
    _undumpable()
    logging.disable(sys.maxsize)
    # Some libraries complain on stderr if there is no handler.
    logging.getLogger().addHandler(logging.NullHandler())
    for name in _PRINTS_ALL:
        os.environ.pop(name, None)


def run_alone(work: Coroutine[Any, Any, int]) -> int:
    """Run the asynchronous part of a command in a protected process."""
    from bootstrap.model import event_loop  # late: a usage error is reported in half the time

    codes: list[int] = []

    async def noted() -> None:
        codes.append(await work)

    keep_to_ourselves()
    try:
        event_loop.run(noted())
    except KeyboardInterrupt:
        # The command may have ended in order all the same, and then reports what was done.
        if not codes:
            raise
    return codes[0]


def _undumpable() -> None:
    """On Linux: prevent other non-root processes of this user from reading memory and environment."""
    import ctypes

    # Other systems do not have this call.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def secrets_from_stdin(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Secret | None]:
    """The values of the options of kind `secret`: stdin for the one that was given, None for the others.

    Raises:
        UsageProblem: more than one was given, or there is nothing on stdin.
    """
    kinds = [option for option in options if option.kind == "secret" and option.key in values]
    given = [option for option in kinds if values[option.key]]
    if len(given) > 1:
        raise messages.two_options_read_stdin(option.name for option in given)
    return {option.key: read_stdin(option.name) if option in given else None for option in kinds}


def read_stdin(option: str) -> Secret:
    """Read one secret from stdin, without the line end that `echo` and editors add; print only its length.

    Raises:
        UsageProblem: there is none, or it is not valid.
    """
    keep_to_ourselves()
    if sys.stdin.isatty():
        raise messages.stdin_is_terminal(option)
    # In bytes, which keeps a key file's line ends.
    given = sys.stdin.buffer.read(_LIMIT + 1)
    if len(given) > _LIMIT:
        # Before it is decoded: the last character may be cut in half.
        raise messages.stdin_too_long(option, _LIMIT)
    try:
        text = given.decode()
    except UnicodeDecodeError:
        raise messages.stdin_not_text(option) from None
    return _validated(text, option)


def check_one_service(given: Secret | None, credentials: Iterable[HeldCredential]) -> None:
    """Check, before anything is sent, that a secret from stdin can be the login of all of the credentials'
    services: each service would receive it.

    Raises:
        UsageProblem: they are of several services that have logins of their own.
    """
    from bootstrap.engine.locate import provider_of

    if given is None:
        return
    services = set()
    for held in credentials:
        with contextlib.suppress(UsageProblem):
            provider = provider_of(held)
            if provider.fallback or held.link is None:
                continue  # pullkey does not log in there for these commands
            if any(option.kind == "secret" for option in provider.options):
                services.add(host_of(registry_of(held.server)))
    if len(services) > 1:
        raise messages.stdin_for_several_services(sorted(services))


def asker(given: Secret | None = None, *, instead: str = "") -> Callable[[str], Awaitable[Secret | None]]:
    """A function that returns the given secret, or prompts for it at the terminal without echo.

    `instead` is the command that reads it from stdin, for the message where there is no terminal.

    The returned function raises `UsageProblem` where there is no terminal.
    """

    async def ask(what: str) -> Secret | None:
        if given is not None:
            return given
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise messages.no_terminal_to_prompt(what, instead)
        return _validated(_prompt(what), what)

    return ask


def _prompt(what: str) -> str:
    """Prompt for a secret; an empty answer is asked for again, a few times."""
    for _ in range(_TRIES):
        text = ask_hidden(what)
        if text.strip():
            return text
        say("  nothing was entered", sys.stderr)
    raise messages.nothing_entered(what)


def _validated(text: str, whose: str) -> Secret:
    secret = as_typed(text)
    if not secret.strip():
        raise messages.no_input(whose)
    if len(secret) > _LIMIT:
        raise messages.secret_too_long(whose, _LIMIT)
    if "\0" in secret:
        raise messages.zero_character(whose)
    if len(secret) == 1 and not secret.isprintable():
        raise messages.one_control_character(whose)
    say(f"({len(secret)} characters received)", sys.stderr)
    return Secret(secret)

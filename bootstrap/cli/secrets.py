"""How a secret comes in: from stdin or typed without echo, and never from anywhere else."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import click

from bootstrap.errors import UsageProblem
from bootstrap.provider import Option
from bootstrap.secret import Secret

# The longest thing that is a password anywhere is a Google key, of 2.4 kB; Linux takes 128 kB in one argument.
_LIMIT = 65_536


# Debugging aids that a person may have set for other programs, and that would print or write down what passes through
# this one. Google's prints every answer, the key among them; gRPC's every byte; OpenSSL's the keys of the connections.
_PRINTS_ALL = ("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", "GRPC_TRACE", "GRPC_VERBOSITY", "SSLKEYLOGFILE")
_PR_SET_DUMPABLE = 4


def keep_to_ourselves() -> None:
    """Before a key is there: no core dump, no reading by other processes, no log of a library's, no debugging aid."""
    for limit in (1, 0):
        # One byte is less than any dump, and the kernel takes it to mean a collector of dumps too; 0 means files only.
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
            break
    _undumpable()
    logging.disable(sys.maxsize)
    # Some ask for a handler, and complain on stderr where there is none.
    logging.getLogger().addHandler(logging.NullHandler())
    for name in _PRINTS_ALL:
        os.environ.pop(name, None)


def run_alone(work: Coroutine[Any, Any, int]) -> int:
    """Run the asynchronous half of a command, with the process kept to itself."""
    import asyncio  # late: an error of usage is told in half the time

    keep_to_ourselves()
    return asyncio.run(work)


def _undumpable() -> None:
    """On Linux: other processes of this user, which are not root's, can read neither memory nor environment."""
    import ctypes

    # Elsewhere there is no such call.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def secrets_from_stdin(options: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Secret | None]:
    """The values of the options of kind `secret`: what is on stdin for the one that was given, None for the others.

    Raises:
        UsageProblem: more than one was given, or there is nothing on stdin.
    """
    kinds = [option for option in options if option.kind == "secret" and option.key in values]
    given = [option for option in kinds if values[option.key]]
    if len(given) > 1:
        raise UsageProblem(
            f"{' and '.join(option.name for option in given)} both read stdin: give one of them"
        )
    return {option.key: read_stdin(option.name) if option in given else None for option in kinds}


def read_stdin(option: str) -> Secret:
    """One secret from stdin, without the line end that `echo` and editors add. Says how long it is, and no more.

    Raises:
        UsageProblem: there is none, or it cannot be one.
    """
    keep_to_ourselves()
    if sys.stdin.isatty():
        raise UsageProblem(f"{option}: stdin is a terminal, where it would show", mend="Give it from a file or a pipe, or leave the option out to be asked without echo.")  # fmt: skip
    try:
        text = sys.stdin.read(_LIMIT + 1)
    except UnicodeDecodeError:
        raise UsageProblem(f"{option}: what is on stdin is no text") from None
    return _checked(text, option)


def asker(given: Secret | None = None) -> Callable[[str], Awaitable[Secret | None]]:
    """What asks for a secret: takes the one that was given, else asks at the terminal, without echo.

    The returned function raises `UsageProblem` where there is no terminal.
    """

    async def ask(what: str) -> Secret | None:
        if given is not None:
            return given
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageProblem(f"{what} is needed, and there is no terminal to ask for it on", mend="Give it on stdin: see the options that end in -stdin.")  # fmt: skip
        # In this thread: a signal must find the terminal's echo switched on again.
        return _checked(click.prompt(what, hide_input=True, err=True, default="", show_default=False), what)

    return ask


def _checked(text: str, whose: str) -> Secret:
    secret = text.rstrip("\r\n")
    if not secret.strip():
        raise UsageProblem(f"{whose}: nothing was given", mend="Give it on stdin, as in: ... < FILE")
    if len(secret) > _LIMIT:
        raise UsageProblem(f"{whose}: it is longer than {_LIMIT} characters, so it is no password")
    if "\0" in secret:
        raise UsageProblem(f"{whose}: it holds a zero character, which no password does")
    if len(secret) == 1 and not secret.isprintable():
        raise UsageProblem(f"{whose}: one control character was received; the paste did not work", mend="Give it on stdin.")  # fmt: skip
    click.echo(f"({len(secret)} characters received)", err=True)
    return Secret(secret)

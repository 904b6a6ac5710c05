"""The errors about secrets that are read from stdin or typed at the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem


def two_options_read_stdin(options: Iterable[str]) -> UsageProblem:
    return UsageProblem(
        f"{' and '.join(options)} both read stdin: pass one of them", code=Code.OPTIONS_CONFLICT
    )


def stdin_for_several_services(services: Iterable[str]) -> UsageProblem:
    return UsageProblem(
        f"--secret-stdin is the login of one service, and these credentials are of several: "
        f"{', '.join(services)}",
        fix="Name the credentials of one of them, or give each its `login` in a file of registries.",
        code=Code.OPTIONS_CONFLICT,
    )


def stdin_is_terminal(option: str) -> UsageProblem:
    return UsageProblem(
        f"{option}: stdin is a terminal, where it would show",
        fix="Pass it from a file or a pipe, or leave the option out to be prompted without echo.",
        code=Code.SECRET_MISSING,
    )


def stdin_too_long(option: str, limit: int) -> UsageProblem:
    """`limit` is in bytes."""
    return UsageProblem(
        f"{option}: what is on stdin is longer than {limit} bytes, so it is not a password",
        code=Code.SECRET_MALFORMED,
    )


def stdin_not_text(option: str) -> UsageProblem:
    return UsageProblem(
        f"{option}: what is on stdin is not UTF-8 text",
        fix="Save it as UTF-8 (UTF-16 is what some editors and shells of Windows write).",
        code=Code.SECRET_MALFORMED,
    )


def no_terminal_to_prompt(what: str, instead: str) -> UsageProblem:
    """`instead` is the command that reads the secret from stdin; "" where none does."""
    return UsageProblem(
        f"{what} is needed, and there is no terminal to prompt on",
        fix=f"Pass it on stdin: {instead}" if instead else "",
        code=Code.SECRET_MISSING,
    )


def nothing_entered(what: str) -> UsageProblem:
    return UsageProblem(f"{what}: nothing was entered", code=Code.SECRET_MISSING)


def no_input(what: str) -> UsageProblem:
    return UsageProblem(f"{what}: no input", fix="Pass it on stdin: ... < FILE", code=Code.SECRET_MISSING)


def secret_too_long(what: str, limit: int) -> UsageProblem:
    """`limit` is in characters."""
    return UsageProblem(
        f"{what}: it is longer than {limit} characters, so it is not a password",
        code=Code.SECRET_MALFORMED,
    )


def zero_character(what: str) -> UsageProblem:
    return UsageProblem(
        f"{what}: it holds a zero character, which no password does", code=Code.SECRET_MALFORMED
    )


def one_control_character(what: str) -> UsageProblem:
    return UsageProblem(
        f"{what}: one control character was received; the paste did not work",
        fix="Pass it on stdin.",
        code=Code.SECRET_MALFORMED,
    )

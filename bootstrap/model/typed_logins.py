"""Refuse logins typed into an option (`ops:secret@host`, `https://secret@host`) without repeating them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

_ENDS_IN_A_DIGEST = re.compile(r"@sha(?:256|384|512):[0-9A-Fa-f]*$")
_INSTEAD = "Pass the name with --username, and the password with --password-stdin or at the prompt."

ADDRESSES = ("image", "registry", "repository", "server", "token_host")
"""The keys of the options, of all providers, whose values are registries or images."""


def refuse_login(text: str, where: str) -> None:
    """Refuse an address or image with a user name or password in it (`ops:secret@registry.example.com`).

    Raises:
        UsageProblem: it has one; the message does not repeat it.
    """
    if "@" in _ENDS_IN_A_DIGEST.sub("", text):
        raise UsageProblem(
            f"{where} holds an @, as a user name or password before a host does, so it is not shown",
            fix=f"Pass the registry or image alone. {_INSTEAD}",
            code=Code.LOGIN_IN_ADDRESS,
        )


_PATH = re.compile(r"(?:file:)?(?:/|~|\.\.?/)")
_MEMBER = "serviceAccount:"  # the prefix of a member in Google's policies
_OPTION = re.compile(r"-f(?!$)|--[a-z][a-z-]*=")


def holds_login(text: str) -> bool:
    """Whether a value has a user name or password before a host; paths and image digests do not count.

    >>> holds_login("ops:secret@host"), holds_login("https://secret@host"), holds_login("ops@example.com")
    (True, True, False)
    """
    if text.startswith("command:"):
        return re.search(r"://[^\s/]*@", text) is not None
    before, at, _ = _ENDS_IN_A_DIGEST.sub("", text).removeprefix(_MEMBER).rpartition("@")
    return bool(at) and ":" in before and not _PATH.match(text)


def refuse_typed_logins(arguments: Sequence[str]) -> None:
    """Check all arguments before they are parsed. Those after `--` belong to another program.

    Raises:
        UsageProblem: an argument contains a login.
    """
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for before, argument in zip(["", *typed], typed, strict=False):
        option = _OPTION.match(argument)
        value = argument[option.end() :] if option else argument
        if holds_login(value):
            named = option[0].removesuffix("=") if option else before
            raise _no_login_here(named if re.fullmatch("-f|--[a-z][a-z-]*", named) else "An argument")


def refuse_login_in(text: str, where: str) -> None:
    """Check one value; `where` names its option.

    Raises:
        UsageProblem: it contains a login.
    """
    if holds_login(text):
        raise _no_login_here(where)


def _no_login_here(where: str) -> UsageProblem:
    return UsageProblem(
        f"{where} holds a user name or password before an @, so it is not shown",
        fix=f"Leave them out. {_INSTEAD} A path that holds both a colon and an @ begins with ./ or /.",
        code=Code.LOGIN_IN_ADDRESS,
    )

"""What Akka's records say of keys, over all the projects that a login sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from bootstrap.akka import AkkaCli
from bootstrap.errors import PullkeyError
from bootstrap.provider import HeldCredential

Record = tuple[str, HeldCredential]
"""A record with the name of its project, "" for the one that is worked on."""


async def all_records(akka: AkkaCli, tell: Callable[[str], None]) -> list[Record]:
    """Every credential that Akka shows, in every project; what could not be seen is told.

    Raises:
        PullkeyError: those of the project itself cannot be seen.
    """
    records = [("", held) for held in await akka.credentials()]
    try:
        current, projects = await asyncio.gather(akka.project_name(), akka.projects())
    except PullkeyError as error:
        tell(f"What other projects of Akka have could not be seen: {error.what}.")
        return records
    others = [one for one in projects if one.project != current]
    answers = await asyncio.gather(
        *(akka.elsewhere(one).credentials() for one in others), return_exceptions=True
    )
    for scope, answer in zip(others, answers, strict=True):
        if isinstance(answer, PullkeyError):
            tell(f"What Akka's project {scope.project} has could not be seen: {answer.what}.")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            records += [(scope.project, held) for held in answer]
    return records


def keys_of(records: Iterable[HeldCredential]) -> set[str]:
    """The ids of the keys that Akka holds, and of those that they replaced."""
    links = [held.link for held in records]
    return {key for link in links if link is not None for key in (link.key_id, link.replaces) if key}

"""Read the credentials of all Akka projects that the login can see, and the keys that they name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from bootstrap.akka.cli import AkkaCli
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import KeysInUse

Record = tuple[str, HeldCredential]
"""The name of the project ("" for the current one), and the record."""


async def all_records(
    akka: AkkaCli, tell: Callable[[str], None], unseen: Callable[[str], None] = lambda _: None
) -> list[Record]:
    """List the credentials of all projects; report the projects that could not be read.

    Args:
        akka: for the current project.
        tell: shows a sentence for each project that could not be read.
        unseen: gets the name of each such project.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    records = [("", held) for held in await akka.credentials()]
    try:
        current, projects = await asyncio.gather(akka.project_name(), akka.projects())
    except PullkeyError as error:
        tell(f"What other projects of Akka have could not be seen: {error.what}.")
        unseen("Akka's other projects")
        return records
    others = [one for one in projects if one.project != current]
    answers = await asyncio.gather(
        *(akka.elsewhere(one).credentials() for one in others), return_exceptions=True
    )
    for scope, answer in zip(others, answers, strict=True):
        if isinstance(answer, PullkeyError):
            tell(f"What Akka's project {scope.project} has could not be seen: {answer.what}.")
            unseen(f"Akka project {scope.project}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            records += [(scope.project, held) for held in answer]
    return records


def keys_of(records: Iterable[HeldCredential]) -> set[str]:
    """The ids of the keys in Akka's records, including those that they replaced."""
    links = [held.link for held in records]
    return {key for link in links if link is not None for key in (link.key_id, link.replaces) if key}


Place = tuple[str, str]
"""The names of an Akka project and of a credential in it."""


async def current_project(akka: AkkaCli) -> str:
    """The name of the current project; "" if Akka does not show it."""
    try:
        return await akka.project_name()
    except PullkeyError:
        return ""


async def places_of_keys(akka: AkkaCli) -> Mapping[KeyRef, frozenset[Place]]:
    """Where Akka holds each key, in all projects that can be read; without the keys that they replaced.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    current, records = await asyncio.gather(current_project(akka), all_records(akka, lambda _: None))
    places: dict[KeyRef, set[Place]] = {}
    for project, held in records:
        if held.link is not None:
            places.setdefault(held.link.replacing(""), set()).add((project or current, held.name))
    return {key: frozenset(found) for key, found in places.items()}


async def keys_in_use(akka: AkkaCli) -> KeysInUse:
    """The keys that Akka's records name, in all projects that can be read.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    unseen: list[str] = []
    records = await all_records(akka, lambda _: None, unseen.append)
    links = frozenset(held.link for _, held in records if held.link is not None)
    return KeysInUse(frozenset(keys_of(held for _, held in records)), tuple(unseen), links)

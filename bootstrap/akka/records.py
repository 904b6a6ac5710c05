"""Read the credentials of all Akka projects that the login can see, and the keys that they name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.record_match import is_same_key
from bootstrap.akka.runner import is_transient
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import KeysInUse

Record = tuple[str, HeldCredential]
"""The name of the project, with its owner if the current one has the same name, and with the region if the
command is about another region of it; "" for the current one. And the record.
"""
Unseen = Callable[[str, PullkeyError], None]
"""Gets the name of a project that could not be read, and why."""
_Read = Callable[[AkkaCli], Coroutine[Any, Any, Sequence[HeldCredential]]]


async def all_records(
    akka: AkkaCli, tell: Callable[[str], None], unseen: Unseen = lambda _name, _error: None
) -> list[Record]:
    """List the credentials of all projects and regions; report the projects that could not be read.

    Args:
        akka: for the current project.
        tell: shows a sentence for each project that could not be read.
        unseen: gets the name of each such project.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    own = await akka.credentials()
    records = [("", held) for held in own]
    regions, projects = await asyncio.gather(
        _of_other_regions(akka, own), _of_other_projects(akka, lambda one: one.credentials())
    )

    def not_seen(name: str, error: PullkeyError) -> None:
        what = f"Akka's project {name} has" if name else "other projects of Akka have"
        tell(f"What {what} could not be seen: {error.what}.")
        unseen(_unread(name), error)

    current = akka.resolved.known_as[1]
    if isinstance(regions, PullkeyError):
        not_seen(_in_region(current, "its other regions"), regions)
    else:
        records += [(_in_region(current, held.region), held) for held in regions]
    for project, answer in projects:
        name = _name_beside(project, akka.resolved)
        if isinstance(answer, PullkeyError):
            not_seen(name, answer)
        else:
            records += [(name, held) for held in answer]
    return records


async def _of_other_regions(
    akka: AkkaCli, own: Sequence[HeldCredential]
) -> Sequence[HeldCredential] | PullkeyError:
    """What the current project has in the regions that the command is not about, or why it cannot be read.

    The CLI's form of a region is not documented: if none is the command's, a row like each of its own is left
    out.
    """
    if not akka.scope.region:
        return []
    try:
        rows = await _in_all_regions(akka).credentials_by_region()
    except PullkeyError as error:
        return error
    others = [row for row in rows if not _is_same_region(row.region, akka.scope.region)]
    if len(others) < len(rows):
        return others
    for held in own:
        same = (
            row for row in others if replace(row, region="", sync="") == replace(held, region="", sync="")
        )
        if (row := next(same, None)) is not None:
            others.remove(row)
    return others


def _in_all_regions(akka: AkkaCli) -> AkkaCli:
    return akka.elsewhere(replace(akka.scope, region="")) if akka.scope.region else akka


def _is_same_region(shown: str, region: str) -> bool:
    """Whether Akka shows this region, as `NAME` or `projects/ID/regions/NAME`."""
    return shown.rpartition("/")[2].casefold() == region.rpartition("/")[2].casefold()


def _in_region(project: str, region: str) -> str:
    """A project in a region, for a sentence after the word project."""
    name = region.rpartition("/")[2] or "another region"
    return f"{project} in {name}".strip()


async def _of_other_projects(
    akka: AkkaCli, read: _Read
) -> list[tuple[AkkaScope, Sequence[HeldCredential] | PullkeyError]]:
    """What each other project has, or why it cannot be read; one entry without a name if they cannot be
    listed.
    """
    try:
        own, projects = await asyncio.gather(akka.shown(), akka.projects())
    except PullkeyError as error:
        return [(AkkaScope(), error)]
    others = [one for one in projects if not _is_same_project(one, own)]
    answers = await asyncio.gather(*(read(akka.elsewhere(one)) for one in others), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, PullkeyError):
            raise answer
    return list(zip(others, answers, strict=True))  # type: ignore[arg-type]  # no other errors are left


def _is_same_project(one: AkkaScope, own: AkkaScope) -> bool:
    """Whether a listed project is the current one. Two owners may have projects of the same name."""
    owner, project = own.known_as
    return one.project == project and (not one.owner or not owner or one.owner == owner)


def _name_beside(one: AkkaScope, own: AkkaScope) -> str:
    """A project's name, with its owner if the current one has the same name; "" for an entry without one."""
    return f"{one.owner}/{one.project}" if one.project and one.project == own.known_as[1] else one.project


def _unread(name: str) -> str:
    """What could not be read, for a sentence; without a name, all other projects."""
    return f"Akka project {name}" if name else "Akka's other projects"


def keys_of(records: Iterable[HeldCredential]) -> set[str]:
    """The ids of the keys in Akka's records, including those that they replaced."""
    return keys_of_links(link for held in records for link in held.links)


def keys_of_links(links: Iterable[KeyRef]) -> set[str]:
    """The ids of the keys, including those that they replaced."""
    return {key for link in links for key in (link.key_id, link.replaces) if key}


# -- who holds a key -----------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Place:
    """Where Akka holds a credential: the project's owner and name, the credential's name, and the region as
    Akka shows it.
    """

    owner: str
    project: str
    name: str
    region: str = ""

    @classmethod
    def of(cls, scope: AkkaScope, held: HeldCredential) -> Place:
        """The place of a credential in a project, by the names that Akka shows."""
        return cls(*scope.known_as, held.name, held.region)

    def is_of(self, scope: AkkaScope, name: str) -> bool:
        """Whether it is the credential of this name in a scope, in its region or else in any."""
        same = (self.owner, self.project, self.name) == (*scope.known_as, name)
        return same and (not scope.region or _is_same_region(self.region, scope.region))

    def label(self, scope: AkkaScope) -> str:
        """The project for a sentence, with the region if it is the project of a scope for another region."""
        own = (self.owner, self.project) == scope.known_as and scope.region
        return _in_region(self.project, self.region) if own else self.project


@dataclass(frozen=True)
class KeyHolders:
    """Where Akka holds each key, in all projects that can be read.

    Args:
        by_id: the references to each key and their places, by the key's id in lower case; also by the id of
            the key that it has replaced.
        unread: the projects that could not be read for a reason that will pass.
    """

    by_id: Mapping[str, Sequence[tuple[KeyRef, Place]]]
    unread: Sequence[str] = field(default=())

    def of(self, link: KeyRef) -> set[Place]:
        """The places of one key."""
        same = self.by_id.get(link.key_id.casefold(), ())
        return {place for one, place in same if is_same_key(one, link)}

    def replaced_by(self, link: KeyRef) -> list[tuple[KeyRef, Place]]:
        """The keys that have replaced one, and their places."""
        same = self.by_id.get(link.key_id.casefold(), ())
        return [(one, place) for one, place in same if is_same_key(replace(one, key_id=one.replaces), link)]


async def key_holders(akka: AkkaCli) -> KeyHolders:
    """Where Akka holds each key.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    current, others = await asyncio.gather(
        _in_all_regions(akka).credentials_by_region(),
        _of_other_projects(akka, lambda one: one.credentials_by_region()),
    )
    by_id: dict[str, list[tuple[KeyRef, Place]]] = {}
    unread = []
    for project, answer in [(await akka.shown(), current), *others]:
        if isinstance(answer, PullkeyError):
            if is_transient(answer):
                unread.append(_unread(project.project))
            continue
        for held in answer:
            for link in held.links:
                for key_id in filter(None, (link.key_id, link.replaces)):
                    by_id.setdefault(key_id.casefold(), []).append((link, Place.of(project, held)))
    return KeyHolders(by_id, unread)


async def keys_in_use(akka: AkkaCli) -> KeysInUse:
    """The keys that Akka's records name, in all projects that can be read.

    Raises:
        PullkeyError: the current project's credentials cannot be read.
    """
    unseen: list[str] = []
    records = await all_records(akka, lambda _: None, lambda name, _: unseen.append(name))
    links = frozenset(link for _, held in records for link in held.links)
    return KeysInUse(frozenset(keys_of(held for _, held in records)), tuple(unseen), links)

"""The permissions that the commands need for a target, from what its steps declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Step, StepRole


class Command(StrEnum):
    """A command for a target, by what it needs."""

    ONBOARD = "onboard"
    ROTATE = "rotate"
    RESTORE = "restore"
    """`rotate --restore`."""
    OFFBOARD = "offboard"
    LIST = "list"
    VERIFY = "verify"


@dataclass(frozen=True)
class Needed:
    """A permission, and the commands that need it."""

    name: str
    commands: tuple[Command, ...]


def access_list(session: Session, commands: Iterable[Command]) -> list[Needed]:
    """The permissions that these commands need, by name. Makes no call."""
    needing: dict[str, list[Command]] = {}
    for command in dict.fromkeys(commands):
        for name in dict.fromkeys(_of_command(session, command)):
            needing.setdefault(name, []).append(command)
    return [Needed(name, tuple(needing[name])) for name in sorted(needing)]


def _of_command(session: Session, command: Command) -> Iterator[str]:
    if command is Command.RESTORE and not session.restore_permissions:
        return  # it disables no key
    yield from session.find_permissions
    for step in session.steps:
        if command is Command.OFFBOARD:
            yield from step.removal_permissions
            continue
        yield from step.look_permissions
        # A rotation finds identity and grant in place.
        if command is Command.ONBOARD or (command is Command.ROTATE and step.name == StepRole.KEY):
            yield from _of_doing(step)
    if command is Command.ROTATE and not session.key.supplied:
        yield from session.retire_permissions
    if command is Command.RESTORE:
        yield from session.restore_permissions


def _of_doing(step: Step) -> Iterator[str]:
    yield from step.permissions
    yield from step.undo_permissions

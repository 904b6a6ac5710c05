"""What the conformance suite needs to know of a provider: how to onboard a registry of its emulator, and what
the emulator holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from bootstrap.plugin.emulator import EmulatorOf

Kind = Literal["identity", "grant", "key", "other"]
"""What an object of a cloud is to pullkey."""


class InventoryItem(str):
    """One object of an emulated cloud, as a line of text: two inventories are compared by their lines.

    Args:
        text: what it is, with all of its state that a change would be noticed by.
        kind: what it is to pullkey; a disabled key is a `key` too.
        known_as: the id by which pullkey names a key; of anything else, what a report of it contains. The
            text, unless given.
        active: whether a key can be used.
        marked: whether a key that the emulator starts with looks as if a run of pullkey had left it, so that
            commands may name it. They name no other one.
        reported: a regular expression that is found in a text which reports the object as left over, with
            what removes it. Unless given: `known_as`, of a key on one line with the command.
    """

    __slots__ = ("active", "kind", "known_as", "marked", "reported")
    kind: Kind
    known_as: str
    active: bool
    marked: bool
    reported: str

    def __new__(
        cls,
        text: str,
        kind: Kind = "other",
        known_as: str = "",
        *,
        active: bool = True,
        marked: bool = False,
        reported: str = "",
    ) -> Self:
        """The text, with what else is known of the object."""
        item = super().__new__(cls, text)
        item.kind, item.known_as, item.active, item.reported = kind, known_as or text, active, reported
        item.marked = marked
        return item


class InspectedEmulator(EmulatorOf[Any], Protocol):
    """An emulator that shows what it holds, for `pytest --pullkey-provider NAME`.

    It may also have `secrets() -> Iterable[str]`: the logins that it accepts, none of which may appear in
    output, logs or files. Without it, they are the tokens in the files that the variables of `start` name.
    """

    def inventory(self) -> Iterable[InventoryItem]:
        """All resources of the kinds that pullkey may create, those of others included."""
        ...


@dataclass(frozen=True)
class ConformanceCase:
    """One way to onboard a registry of the emulator. A provider offers them as `conformance_cases()`.

    Args:
        name: the provider's name, or that and what tells its cases apart: `acr-token`.
        options: what `pullkey onboard PROVIDER` is given beyond what the emulator's environment sets.
        stdin: what the onboarding reads from stdin, where an option such as `--login-stdin` asks for it.
        later_stdin: what `rotate` and `offboard` read from stdin (`--secret-stdin`); None for nothing.
        environment: further variables for the commands that follow the onboarding.
        runbook: what `pullkey runbook PROVIDER` is given for the same; `options` without those that read a
            secret, unless given.
        image: an image that the credential can pull. Unless given, that which the emulator's environment
            names (`PULLKEY_NAME_IMAGE`, `..._SERVER` or `..._REGISTRY`).
        creates_key: whether pullkey creates the key; otherwise the user supplies a password.
        disables_key: whether a replaced key is disabled before it is deleted.
        lost_keys_deleted_after: how long after a run was killed the next one for the same Akka secret, on any
            machine, recognises the key that it left by a mark in the cloud, and deletes it
            (`Keys.lost_keys`). None if another machine can only report such a key.
        provider: set by the suite.
    """

    name: str
    options: tuple[str, ...] = ()
    stdin: str | None = None
    later_stdin: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    runbook: tuple[str, ...] | None = None
    image: str = ""
    creates_key: bool = True
    disables_key: bool = False
    lost_keys_deleted_after: dt.timedelta | None = None
    provider: str = ""

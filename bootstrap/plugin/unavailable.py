"""The stand-in for a provider that cannot be used: its targets in a file and its records in Akka are refused
one by one, with the reason, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import UsageProblem
from bootstrap.model.option import Option
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check, failed_check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Provider, Target
from bootstrap.plugin.session import Session

if TYPE_CHECKING:
    from bootstrap.plugin.emulator import Emulator


@dataclass(frozen=True)
class UnavailableTarget(Target):
    """A target of such a provider, of which nothing but its place in a file is known."""

    place: str

    @property
    def label(self) -> str:
        return self.place

    @property
    def registry(self) -> str:
        return ""

    @property
    def secret_name(self) -> str:
        return ""


class Unavailable(Provider):
    """A provider that claims and recognises nothing; whatever needs it raises `error`."""

    title = summary = ""
    options: Sequence[Option] = ()
    hosts: Sequence[str] = ()
    access = Access("")

    def __init__(self, name: str, error: UsageProblem) -> None:
        self.name = name
        self._what, self._fix, self._code = error.what, error.fix, error.code

    @property
    def error(self) -> UsageProblem:
        """Why it cannot be used."""
        return UsageProblem(self._what, fix=self._fix, code=self._code)

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> Target:
        raise self.error

    def options_of_image(self, image: str) -> Mapping[str, str]:
        raise self.error

    def place_of_image(self, image: str) -> str:
        raise self.error

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        return [failed_check("provider", self.error)]

    def target(self, values: Mapping[str, Any]) -> Target:
        raise self.error

    def open(self, target: Any, context: RunContext) -> Session:
        raise self.error

    def emulator(self) -> Callable[[], Emulator]:
        raise self.error

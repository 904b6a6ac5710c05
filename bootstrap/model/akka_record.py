"""Akka's record of a credential."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.model.key_ref import KeyRef


@dataclass(frozen=True)
class HeldCredential:
    """Akka's record of a credential, all that it shows of one."""

    name: str
    server: str
    username: str
    email: str
    status: str
    lagging_regions: str = ""  # the regions that do not show the same yet
    region: str = ""
    sync: str = ""

    @property
    def link(self) -> KeyRef | None:
        return KeyRef.parse(self.email)

    @property
    def empty(self) -> bool:
        """Whether it is a reference whose secret is gone: Akka then shows a name and a status, and nothing
        else.
        """
        return not (self.server or self.username or self.email)

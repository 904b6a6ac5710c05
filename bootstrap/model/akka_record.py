"""Akka's record of a credential."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.link import KeyLink


@dataclass(frozen=True)
class HeldCredential:
    """Akka's record of a credential, all that it shows of one."""

    name: str
    server: str
    username: str
    email: str
    status: str
    behind: str = ""  # the regions that do not show the same yet
    region: str = ""
    sync: str = ""

    @property
    def link(self) -> KeyLink | None:
        return KeyLink.parse(self.email)

    @property
    def empty(self) -> bool:
        """Whether it is a reference whose secret is gone: Akka then shows a name and a status, and nothing else."""
        return not (self.server or self.username or self.email)

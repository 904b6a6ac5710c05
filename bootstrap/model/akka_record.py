"""A credential as the Akka CLI shows it."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.model.key_ref import KeyRef


@dataclass(frozen=True)
class HeldCredential:
    """Akka's record of a credential: everything that Akka shows of it. The password is never shown."""

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
        """Whether the record refers to a deleted secret: Akka then shows a name and a status only."""
        return not (self.server or self.username or self.email)

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
    other_emails: str = ""  # what other regions show in place of the e-mail, separated by spaces

    @property
    def link(self) -> KeyRef | None:
        return KeyRef.parse(self.email)

    @property
    def links(self) -> list[KeyRef]:
        """The keys of all regions: until each has the same, services use more than one."""
        found = map(KeyRef.parse, (self.email, *self.other_emails.split()))
        return [one for one in found if one is not None]

    @property
    def status_is_ok(self) -> bool:
        """Whether Akka reports nothing wrong with it: the status OK, or none at all."""
        return self.status.upper() in ("OK", "")

    @property
    def empty(self) -> bool:
        """Whether the record refers to a deleted secret: Akka then shows a name and a status only."""
        return not (self.server or self.username or self.email)

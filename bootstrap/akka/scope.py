"""Which Akka project a command is about, as it was typed and as Akka shows it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class AkkaScope:
    """Which Akka project, and how the CLI reaches it; empty means the CLI's own configuration.

    Args:
        current: the name of the CLI's current project, where no project is named and Akka was asked for it.
        current_owner: the project's owner, where none is named and Akka was asked for it.
        shown_owner, shown_project: as Akka shows them, however they were typed; "" where it was not asked.
        user: who is logged in to Akka, where the CLI was asked for it.
    """

    project: str = ""
    owner: str = ""
    region: str = ""
    context: str = ""
    current: str = field(default="", compare=False)
    current_owner: str = field(default="", compare=False)
    user: str = field(default="", compare=False)
    shown_owner: str = field(default="", compare=False)
    shown_project: str = field(default="", compare=False)

    @property
    def project_name(self) -> str:
        return self.project or self.current

    @property
    def owner_name(self) -> str:
        return self.owner or self.current_owner

    @property
    def label(self) -> str:
        """The project as a sentence names it: `Akka project acme/shop`."""
        region = f", region {self.region}" if self.region else ""
        if not self.project_name:
            return f"the Akka CLI's current project{region}"
        return f"Akka project {'/'.join(filter(None, (self.owner_name, self.project_name)))}{region}"

    @property
    def described(self) -> str:
        """The project and the user, as a line of its own: `Akka project acme/shop, as jo@acme.example`."""
        current = " (the Akka CLI's current project)" if self.current and not self.project else ""
        return f"{self.label[:1].upper()}{self.label[1:]}{current}{f', as {self.user}' if self.user else ''}"

    def document(self) -> dict[str, str | None]:
        """The same for programs: in each JSON document and audit line."""
        return {
            "project": self.project_name or None,
            "owner": self.owner_name or None,
            "region": self.region or None,
            "user": self.user or None,
        }

    def place(self, secret_name: str) -> str:
        """Which Akka secret this is, for the journal."""
        where = "/".join(filter(None, (self.owner, self.project or self.current, self.region)))
        return f"Akka's {secret_name} of {where or 'the current project'}"

    def lock_places(self, secret_name: str) -> list[str]:
        """What a run for this secret locks: the last for itself, those before it together with others.

        Project, owner and region as far as they are known, the widest first. So a run that does not know the
        owner, or that is of all regions, excludes each one of the same project; runs for two owners do not
        exclude each other.
        """
        owner, project = self.shown_owner or self.owner, self.shown_project or self.project_name
        known = list(itertools.takewhile(bool, (project, owner, self.region)))
        return [" ".join((secret_name, *known[:count])) for count in range(1, len(known) + 1)]

    def former_place(self, secret_name: str) -> str:
        """Where earlier versions have the journal of a project that is not named."""
        return replace(self, current="").place(secret_name)

    def secret_at(self, place: str) -> str:
        """The Akka secret at a `place` of this scope; "" for a place of another."""
        name = place.removeprefix("Akka's ").partition(" of ")[0]
        return name if self.is_place(place, name) else ""

    def is_place(self, place: str, secret_name: str) -> bool:
        """Whether a journal at `place` is of this secret, be the project and its owner named there or not.

        Who sees two projects of one name must name the owner each time, so one without is the same project.
        """
        ownerless = replace(self, owner="")
        if place in {
            one
            for scope in (self, ownerless)
            for one in (scope.place(secret_name), scope.former_place(secret_name))
        }:
            return True
        begin = f"Akka's {secret_name} of "
        owner, _, rest = place.removeprefix(begin).partition("/")
        return (
            place.startswith(begin)
            and bool(owner)
            and not self.owner
            and begin + rest == self.place(secret_name)
        )

    def arguments(self, *, with_region: bool = True) -> list[str]:
        """The flags of the documented commands; values are joined so that none can be taken for a flag."""
        pairs = [("--project", self.project), ("--owner", self.owner)]
        if with_region:
            pairs.append(("--region", self.region))
        return [f"{flag}={value}" for flag, value in pairs if value]

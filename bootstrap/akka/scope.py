"""The Akka project that a command is about, as typed and as Akka shows it."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass, field, replace

_CONTEXT = ", context "


@dataclass(frozen=True)
class AkkaScope:
    """An Akka project and how the CLI reaches it. An empty field leaves it to the CLI's configuration.

    Args:
        current: the CLI's current project, if no project was typed and it has been read.
        current_owner: the project's owner, if none was typed and it has been read.
        shown_owner, shown_project: the names as Akka shows them; "" if they have not been read.
        user: the user logged in to Akka; "" if not read.
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
    def known_as(self) -> tuple[str, str]:
        """Owner and project as Akka shows them, else as they were typed."""
        return self.shown_owner or self.owner_name, self.shown_project or self.project_name

    @property
    def label(self) -> str:
        """The project, worded for a sentence: `Akka project acme/shop`."""
        region = f", region {self.region}" if self.region else ""
        context = f", context {self.context}" if self.context else ""
        if not self.project_name:
            return f"the Akka CLI's current project{region}{context}"
        named = "/".join(filter(None, (self.owner_name, self.project_name)))
        return f"Akka project {named}{region}{context}"

    @property
    def described(self) -> str:
        """The project and the user, for a line of its own: `Akka project acme/shop, as jo@acme.example`."""
        current = " (the Akka CLI's current project)" if self.current and not self.project else ""
        return f"{self.label[:1].upper()}{self.label[1:]}{current}{f', as {self.user}' if self.user else ''}"

    def document(self) -> dict[str, str | None]:
        """The fields for JSON documents and lines of the audit log; the context only where one is named."""
        return {
            "project": self.project_name or None,
            "owner": self.owner_name or None,
            "region": self.region or None,
            "user": self.user or None,
            **({"context": self.context} if self.context else {}),
        }

    def place(self, secret_name: str) -> str:
        """The identification of an Akka secret in the journal."""
        where = "/".join(filter(None, (self.owner, self.project or self.current, self.region)))
        context = f"{_CONTEXT}{self.context}" if self.context else ""
        return f"Akka's {secret_name} of {where or 'the current project'}{context}"

    def place_everywhere(self, secret_name: str) -> str:
        """The identification of an Akka secret on every machine: by the names that Akka shows; "" without.

        A context that is named is part of it: what one Akka does not show may be in use in another, which
        has a project of the same name.
        """
        if not (self.shown_owner and self.shown_project):
            return ""
        context = f"@{self.context}" if self.context else ""
        named = (f"{self.shown_owner}/{self.shown_project}{context}", self.region, secret_name)
        return " ".join(filter(None, named))

    def lock_places(self, secret_name: str) -> list[str]:
        """The locks of a run for this secret, widest first: the last exclusive, those before it shared.

        They name project, owner and region, as far as known. So a run that does not know the owner, or is for
        all regions, excludes every other run in the project; runs for two owners do not exclude each other,
        and neither do runs in two contexts. One that names no context excludes those that name one, unless it
        alone names owner or region.
        """
        owner, project = self.shown_owner or self.owner, self.shown_project or self.project_name
        known = list(itertools.takewhile(bool, (project, owner, self.region)))
        places = [" ".join((secret_name, *known[:count])) for count in range(1, len(known) + 1)]
        return [*places, *(f"{one}{_CONTEXT}{self.context}" for one in places)] if self.context else places

    def former_place(self, secret_name: str) -> str:
        """The `place` in journals of earlier versions, which did not name the current project."""
        return replace(self, current="").place(secret_name)

    def secret_at(self, place: str) -> str:
        """The Akka secret of a `place` in this scope; "" if the place is in another scope."""
        name = place.removeprefix("Akka's ").partition(" of ")[0]
        return name if self.is_place(place, name) else ""

    def is_place(self, place: str, secret_name: str) -> bool:
        """Whether a journal's `place` is this secret, with or without the names of project and owner.

        A user who can see two projects of the same name must type the owner each time, so a place without an
        owner is the same project. A place without a context may be the same (`Journal.check_target`).
        """
        place, context = _without_context(place)
        if context and self.context and context != self.context:
            return False
        unnamed = replace(self, context="")
        if place in {
            one
            for scope in (unnamed, replace(unnamed, owner=""))
            for one in (scope.place(secret_name), scope.former_place(secret_name))
        }:
            return True
        begin = f"Akka's {secret_name} of "
        owner, _, rest = place.removeprefix(begin).partition("/")
        return (
            place.startswith(begin)
            and bool(owner)
            and not self.owner
            and begin + rest == unnamed.place(secret_name)
        )

    def arguments(self, *, with_region: bool = True) -> list[str]:
        """The flags of the documented commands. Values are joined, so that none is taken for a flag."""
        pairs = [("--project", self.project), ("--owner", self.owner)]
        if with_region:
            pairs.append(("--region", self.region))
        return [f"{flag}={value}" for flag, value in pairs if value]

    def printed_arguments(self) -> list[str]:
        """The flags of a command that is printed: `AkkaRunner` adds the context to those that it runs."""
        return [*self.arguments(), *([f"--context={self.context}"] if self.context else [])]

    @property
    def options(self) -> str:
        """The end of a printed command of pullkey, to be for this project: ` --akka-project shop`;
        "" if nothing was typed.
        """
        named = {name: getattr(self, name) for name in ("project", "owner", "region", "context")}
        words = [word for name, value in named.items() if value for word in (f"--akka-{name}", value)]
        return f" {shlex.join(words)}" if words else ""


def context_of(place: str) -> str:
    """The context that a journal's `place` names; "" if none."""
    return _without_context(place)[1]


def _without_context(place: str) -> tuple[str, str]:
    rest, _, context = place.partition(_CONTEXT)
    return rest, context

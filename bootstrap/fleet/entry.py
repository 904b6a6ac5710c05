"""One target of a file of registries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.fleet.fault import Place
from bootstrap.fleet.secret_sources import Source
from bootstrap.plugin.provider import Provider, Target


@dataclass(frozen=True, eq=False)
class Entry:
    """One target of a file.

    Attributes:
        number: its position in the file, from 1.
        raw: its fields as written, defaults included, as a saved plan stores them.
        values: of its provider's options, as `Provider.target` takes them.
        places: of its fields, and of the defaults that it takes.
    """

    number: int
    place: Place
    provider: Provider
    target: Target
    scope: AkkaScope
    secret_name: str
    raw: Mapping[str, Any]
    values: Mapping[str, Any]
    sources: tuple[Source, ...] = ()
    image: str = ""
    replace: bool = False
    anyway: bool = False
    remove: bool = False
    rotate_after: dt.timedelta | None = None
    keep_old: dt.timedelta = dt.timedelta()
    overlap: dt.timedelta = dt.timedelta()
    places: Mapping[str, Place] = field(default_factory=dict)
    in_full: bool = False
    """Whether its name has owner and context: without them it is another target's too."""

    @property
    def name(self) -> str:
        """Its name for the user, unique in the file: `PROJECT/SECRET`, with the region where it is for one
        region only; in full `CONTEXT:OWNER/PROJECT@REGION/SECRET`, as far as they are named.
        """
        return self._name(in_full=self.in_full)

    def _name(self, *, in_full: bool) -> str:
        scope = self.scope
        region = f"@{scope.region}" if scope.region else ""
        owner = f"{scope.owner}/" if in_full and scope.owner else ""
        context = f"{scope.context}:" if in_full and scope.context else ""
        return f"{context}{owner}{scope.project or '(current)'}{region}/{self.secret_name}"

    @property
    def group(self) -> str:
        """Its quota group, such as a Google project. Its members run on one machine, a few at a time."""
        return self.target.quota_group

    def answers_to(self, name: str) -> bool:
        plain = f"{self.scope.project}/{self.secret_name}"
        return name in (self.name, self.secret_name, plain, self._name(in_full=True))

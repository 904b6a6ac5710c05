"""The documented quotas of a cloud's API, and how many calls a target takes of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALWAYS = "*"
"""In place of a step's name: for every target that changes, whatever its steps."""
REMOVAL = "-"
"""In place of a step's name: for every target that is removed."""


@dataclass(frozen=True)
class Quota:
    """How many calls of one kind a cloud accepts.

    Attributes:
        api: its name, as in "calls to NAME": `Google IAM`.
        limit: as documented, as the end of a sentence: `600 writes a minute for each project`.
        at_once: the calls that are accepted before any has to wait.
        per_second: those that are accepted from then on.
        one_part: whether the calls that it counts are all of one quota group, which `--shard` never splits;
            else all parts draw on it.
        source: the documentation's address.
    """

    api: str
    limit: str
    at_once: int
    per_second: float
    one_part: bool
    source: str


@dataclass(frozen=True)
class Charge:
    """The calls that a target's run takes of a quota.

    Attributes:
        place: whose quota it is: `project acme-shop`.
        each: calls by step, for each target.
        shared: calls by step that targets with the same `shared_by` take once.
    """

    quota: Quota
    place: str
    each: Mapping[str, int] = field(default_factory=dict)
    shared: Mapping[str, int] = field(default_factory=dict)
    shared_by: str = ""

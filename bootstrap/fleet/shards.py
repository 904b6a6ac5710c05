"""Splits a file of registries between several machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bootstrap.fleet import messages
from bootstrap.fleet.registries import Registries

_FORM = re.compile(r"^([0-9]{1,4})/([0-9]{1,4})$", re.ASCII)
INDEX, COUNT = "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"
"""Kubernetes sets the first in each Pod of an Indexed Job, from 0. It does not set the second: the manifest
does.
"""


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1, of `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str, *, where: str = "--shard") -> Shard:
        """Read `I/N`.

        Raises:
            UsageProblem: it does not have that form, or is out of range.
        """
        match = _FORM.match(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise messages.shard_invalid(where, text)
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Shard | None:
        """The part of this Pod of an Indexed Job; None where this is not one.

        Raises:
            UsageProblem: only one of the two variables is set, or they are not valid.
        """
        index, count = environment.get(INDEX, ""), environment.get(COUNT, "")
        if not index:
            return None
        if not count:
            raise messages.shard_count_missing(INDEX, COUNT)
        if not (index.isascii() and index.isdigit() and len(index) < 5):
            raise messages.shard_index_invalid(INDEX, index)
        return cls.parse(f"{int(index) + 1}/{count}", where=f"{INDEX} and {COUNT}")

    def of(self, registries: Registries) -> Registries:
        """The targets of this part: the same on every machine; a quota group is never split.

        The largest groups are assigned first, each to the part with the fewest targets so far.
        """
        sizes = Counter(one.group for one in registries.entries)
        loads = [0] * self.count
        mine = set()
        for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
            part = loads.index(min(loads))
            loads[part] += size
            if part == self.number - 1:
                mine.add(group)
        return replace(registries, entries=tuple(one for one in registries.entries if one.group in mine))

"""One file, several machines: which of its targets are this one's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bootstrap.fleet import messages
from bootstrap.fleet.registries import Registries

_FORM = re.compile(r"^([0-9]{1,4})/([0-9]{1,4})$", re.ASCII)
INDEX, COUNT = "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"
"""Kubernetes tells each Pod of an Indexed Job the first, from 0; the manifest tells the second, which it
does not.
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
            UsageProblem: it is not of that form, or there is no such part.
        """
        match = _FORM.match(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise messages.shard_invalid(where, text)
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Shard | None:
        """The part that an Indexed Job gives this Pod; None where this is none.

        Raises:
            UsageProblem: only one of the two variables is there, or they make no sense.
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
        """This part of a file: the same on every machine that reads the same file, with each group in one
        part whole.

        The largest groups are given out first, each to the part that has the least so far.
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

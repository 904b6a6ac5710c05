"""One file, several machines: which of its targets are this one's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bootstrap.fleet.registries import Registries
from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

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
            raise UsageProblem(
                f"{where}: {text!r} is not a valid part of a file", fix="Write it as I/N, from 1/N to N/N."
            )
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
            raise UsageProblem(
                f"{INDEX} is set and {COUNT} is not, so it is not known which part of the file is "
                "this machine's",
                fix=f"Set {COUNT} to the Job's number of completions, or pass --shard 1/1 for all.",
                code=Code.SETTING,
            )
        if not (index.isascii() and index.isdigit() and len(index) < 5):
            raise UsageProblem(f"{INDEX} is {index[:40]!r}, which is not a number", code=Code.SETTING)
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

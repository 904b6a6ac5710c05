"""Reads a file of registries into targets, or reports all of its mistakes with line and column."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bootstrap.files.input_file import read_file
from bootstrap.fleet import messages, messages_file
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.entry_parser import entry_of
from bootstrap.fleet.fault import Fault, Place
from bootstrap.fleet.fields import own_fields
from bootstrap.fleet.policy import Policy, Subject, violations
from bootstrap.fleet.validation import Group, Shape, shape_of
from bootstrap.fleet.yaml_nodes import NotReadable, decode, read
from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem, fix_fields
from bootstrap.model.text import count_of
from bootstrap.plugin.unavailable import Unavailable

_MOST_SHOWN = 100
_MOST_BYTES = 20_000_000


class InvalidFile(UsageProblem):
    """A file that is not valid, with all of its mistakes.

    Attributes:
        lines: each as `FILE:LINE:COLUMN: what is wrong`, with the fix.
    """

    code = Code.FILE_INVALID

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name = name
        self.faults = tuple(sorted(set(faults), key=lambda one: (one.place, one.what)))
        count = len(self.faults)
        super().__init__(f"{name} has {count_of(count, 'mistake')}", fix="Nothing was changed.")

    @property
    def places(self) -> list[Mapping[str, Any]]:
        """The mistakes for JSON."""
        return [
            {
                "file": self.name,
                "line": one.place.line,
                "column": one.place.column,
                "code": str(one.code),
                "what": one.what,
                **fix_fields(one.fix),
            }
            for one in self.faults
        ]

    @property
    def lines(self) -> list[str]:
        shown = [f"{self.name}:{one}{f'. {one.fix}' if one.fix else ''}" for one in self.faults[:_MOST_SHOWN]]
        rest = len(self.faults) - _MOST_SHOWN
        return [*shown, f"{self.name}: and {rest} more"] if rest > 0 else shown


@dataclass(frozen=True)
class Registries:
    """All the targets of a file."""

    name: str
    entries: tuple[Entry, ...] = field(default_factory=tuple)
    policy_files: tuple[str, ...] = ()
    """The absolute paths of the files that may hold a policy for them."""

    def only(self, names: Iterable[str]) -> Registries:
        """The targets of these names.

        Raises:
            UsageProblem: a name fits no target, or several.
        """
        import difflib

        chosen = []
        for name in names:
            found = [one for one in self.entries if one.name == name] or [
                one for one in self.entries if one.answers_to(name)
            ]
            if not found:
                known = {label for one in self.entries for label in (one.name, one.secret_name)}
                near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
                raise messages.target_unknown(self.name, name, near)
            if len(found) > 1:
                raise messages.target_ambiguous(self.name, name, [one.name for one in found])
            chosen += found
        return replace(self, entries=tuple(sorted(set(chosen), key=lambda one: one.number)))


def load(path: Path, *policies: Policy) -> Registries:
    """Read a file of registries; `-` is stdin. Its targets must observe these policies too.

    Raises:
        UsageProblem: it cannot be opened.
        InvalidFile: it is not valid; the error has all of its mistakes.
    """
    import sys

    name = "stdin" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES) if name == "stdin" else read_file(path, _MOST_BYTES)
    except OSError as error:
        raise messages.registries_unreadable(name, error.strerror) from None
    found = parse(data, name, base=Path() if name == "stdin" else path.parent, policies=policies)
    here = [] if name == "stdin" else [str(path.absolute())]
    others = [str(Path(one.file).absolute()) for one in policies]
    return replace(found, policy_files=(*here, *others))


def parse(data: bytes, name: str, *, base: Path, policies: Sequence[Policy] = ()) -> Registries:
    """Parse the content of a file of registries.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        base: the directory of relative `file:` sources.
        policies: what its targets must observe, beside its own policy.

    Raises:
        InvalidFile: it is not valid.
    """
    try:
        text = decode(data)
    except NotReadable as error:
        raise InvalidFile(name, [error.fault]) from None
    return _parse_text(text, name, base=base, policies=policies)


def _parse_text(text: str, name: str, *, base: Path, policies: Sequence[Policy] = ()) -> Registries:
    """As `parse`, of any length."""
    try:
        root, faults = read(text)
    except NotReadable as error:
        raise InvalidFile(name, [error.fault]) from None
    shape, of_shape = shape_of(root)
    faults += of_shape
    entries = []
    wrong_at = [fault.place for fault in faults]
    for number, group in enumerate(shape.targets, 1):
        if group.provider and not _has_faults(group, shape, number, wrong_at):
            entry = entry_of(shape, group, number, base.absolute(), faults)
            entries += [entry] if entry is not None else []
    faults += _duplicates(entries) + _beyond_key_limit(entries)
    own = Policy.of({name: one.value for name, one in shape.policy.values.items()})
    faults += against(entries, own, *policies)
    if faults:
        raise InvalidFile(name, faults)
    return Registries(name, tuple(_with_names(entries)))


def _with_names(entries: Sequence[Entry]) -> list[Entry]:
    """The targets, those in full whose short name is that of several."""
    short = Counter(one.name for one in entries)
    return [replace(one, in_full=True) if short[one.name] > 1 else one for one in entries]


def against(entries: Sequence[Entry], *policies: Policy) -> list[Fault]:
    """The faults of targets that do not observe a policy; one that is to be removed need not."""
    subjects = [
        Subject(one.place, one.places, one.target, _role_of(one))
        for one in entries
        if not (one.remove or isinstance(one.provider, Unavailable))
    ]
    return [fault for policy in policies for fault in violations(policy, subjects)]


def _role_of(entry: Entry) -> str:
    """The role that a target grants, if its provider has the option `role`; else ""."""
    if "role" not in own_fields(entry.provider.name) or entry.values.get("skip_grant"):
        return ""
    return str(getattr(entry.target, "role", "") or "")


def parse_entries(entries: Iterable[Mapping[str, Any]], name: str) -> Registries:
    """Parse the targets that a saved plan stores. With the defaults, they are longer than their file.

    Raises:
        InvalidFile: they are not valid.
    """
    document = {"version": 1, "targets": list(entries)}
    return _parse_text(json.dumps(document, ensure_ascii=False), name, base=Path())


def _has_faults(group: Group, shape: Shape, number: int, wrong: Sequence[Place]) -> bool:
    """Whether the form of a target has mistakes; its meaning is not checked then."""
    after = shape.targets[number].place if number < len(shape.targets) else Place(10**9, 1)
    defaults = [shape.defaults.place, *(one.place for one in shape.of_providers.values())]
    return any(group.place <= place < after for place in wrong) or any(
        min(defaults) < place < shape.targets[0].place for place in wrong
    )


def _duplicates(entries: Sequence[Entry]) -> list[Fault]:
    """Targets with the same Akka secret: they would overwrite each other in every run."""
    seen: dict[str, Entry] = {}
    faults = []
    for one in entries:
        first = seen.setdefault(one.scope.place(one.secret_name), one)
        if first is not one:
            same = one.target.lock_key == first.target.lock_key
            faults.append(
                messages_file.duplicate_target(one.place, first.place)
                if same
                else messages_file.duplicate_secret(one.place, one.secret_name, first.place)
            )
    return faults


def _beyond_key_limit(entries: Sequence[Entry]) -> list[Fault]:
    """Targets beyond their identity's key limit: each needs its own key, which could never be created."""
    faults = []
    for sharing in of_one_identity(entries):
        limit = sharing[0].target.key_limit
        if limit is not None:
            faults += [
                messages_file.beyond_key_limit(one.place, len(sharing), limit)
                for one in sharing[limit.at_most :]
            ]
    return faults


def of_one_identity(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The targets that are not marked for removal, grouped by identity."""
    sharing: dict[str, list[Entry]] = {}
    for one in entries:
        if not one.remove:
            sharing.setdefault(one.target.shared_identity_key, []).append(one)
    return list(sharing.values())

"""Validates the form of a file of registries: names, types of values, and nothing that looks like a secret.

It accepts what the JSON Schema accepts. `registries` checks the meaning.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

from bootstrap.fleet.fields import (
    A_SECRET,
    DURATION,
    MOST_TARGETS,
    ODD,
    PROVIDER,
    RULES,
    SECRET_NAMES,
    SOURCE,
    SOURCES,
    Field,
    Kind,
    default_fields,
    is_usable,
    own_fields,
    provider_names,
    target_fields,
)
from bootstrap.fleet.schema import VERSION
from bootstrap.fleet.yaml_nodes import Fault, Mapping, Node, Place, Scalar, quoted
from bootstrap.fleet.yaml_nodes import Sequence as ListNode
from bootstrap.model.duration import parse_duration

_LOOKS_LIKE_A_SECRET = re.compile(A_SECRET)
_ODD = re.compile(ODD)
_DURATION = re.compile(DURATION)
_SOURCE = re.compile(SOURCE)
_FOR_TRUE, _FOR_FALSE = frozenset({"yes", "on", "y", "1"}), frozenset({"no", "off", "n", "0"})
_NO_SECRET_HERE = f"This file holds no secrets: name where the secret is, as {SOURCES}"


@dataclass(frozen=True)
class Value:
    """A value, and the place of its name."""

    place: Place
    value: Any


@dataclass
class Group:
    """Values by name: a target, the defaults, or the defaults of one provider."""

    place: Place
    values: dict[str, Value] = field(default_factory=dict)
    provider: str = ""


@dataclass
class Shape:
    """The values of a file that have the right form."""

    defaults: Group
    policy: Group
    of_providers: dict[str, Group]
    targets: list[Group]


def shape_of(root: Node) -> tuple[Shape, list[Fault]]:
    """The values of a document, and all mistakes of its form."""
    reader = _Reader()
    return reader.file(root), reader.faults


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def _wrong(self, place: Place, what: str, fix: str = "") -> None:
        self.faults.append(Fault(place, what, fix))

    def file(self, root: Node) -> Shape:
        shape = Shape(Group(root.place), Group(root.place), {}, [])
        if not isinstance(root, Mapping):
            empty = isinstance(root, Scalar) and root.value is None
            self._wrong(
                root.place,
                "the file is empty"
                if empty
                else f"version and targets are expected, and this is {root.kind}",
                "Begin with `version: 1` and `targets:`; see docs/fleet.md",
            )
            return shape
        known = ("version", "policy", "defaults", "targets")
        for name, (place, node) in root.items.items():
            if name == "version":
                self._version(node)
            elif name == "policy":
                shape.policy = self._section(node, {one.name: one for one in RULES}, "policy")
            elif name == "defaults":
                self._defaults(node, shape)
            elif name == "targets":
                self._targets(node, shape)
            else:
                self._unknown(place, name, known, "the file")
        for name in ("version", "targets"):
            if name not in root.items:
                self._wrong(
                    root.place,
                    f"{name} is missing",
                    "Add the line `version: 1`"
                    if name == "version"
                    else "Add `targets:`, and below it a list of registries",
                )
        return shape

    def _version(self, node: Node) -> None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or value != VERSION:
            self._wrong(
                node.place,
                f"version {VERSION} is expected, and this is {self._shown(node)}",
                "It may be of a newer pullkey"
                if isinstance(value, int) and value > VERSION
                else f"Write `version: {VERSION}`",
            )

    def _defaults(self, node: Node, shape: Shape) -> None:
        shape.defaults = Group(node.place)
        if not isinstance(node, Mapping):
            self._wrong(
                node.place,
                f"defaults are names with values, and this is {node.kind}",
                "Leave `defaults:` out if it is empty",
            )
            return
        fields, providers = default_fields(), provider_names()
        for name, (place, value) in node.items.items():
            if name in providers and is_usable(name):
                shape.of_providers[name] = self._section(value, own_fields(name), f"defaults of {name}")
            elif name in providers:
                continue  # what it may hold is not known, and its targets are refused
            elif name in fields:
                self._take(shape.defaults, fields[name], place, value)
            else:
                owners = [one for one in providers if name in own_fields(one)]
                if owners:
                    self._wrong(
                        place,
                        f"{quoted(name)} is of {' and '.join(owners)} only",
                        f"Put it under `{owners[0]}:` in the defaults",
                    )
                else:
                    self._unknown(place, name, (*fields, *providers), "the defaults")

    def _section(self, node: Node, fields: MappingOf[str, Field], where: str) -> Group:
        group = Group(node.place)
        if not isinstance(node, Mapping):
            self._wrong(node.place, f"the {where} are names with values, and this is {node.kind}")
            return group
        for name, (place, value) in node.items.items():
            if name in fields:
                self._take(group, fields[name], place, value)
            else:
                self._unknown(place, name, tuple(fields), f"the {where}")
        return group

    def _targets(self, node: Node, shape: Shape) -> None:
        if not isinstance(node, ListNode):
            self._wrong(
                node.place,
                f"targets are a list, and this is {node.kind}",
                "Begin each with `- provider: NAME`",
            )
            return
        if not node.items:
            self._wrong(node.place, "targets is an empty list")
        if len(node.items) > MOST_TARGETS:
            self._wrong(
                node.place,
                f"there are {len(node.items)} targets, and {MOST_TARGETS} fit into one file",
                "Split the file",
            )
            return
        shape.targets = [self._target(one) for one in node.items]

    def _target(self, node: Node) -> Group:
        group = Group(node.place)
        if not isinstance(node, Mapping):
            self._wrong(
                node.place,
                f"a target is names with values, and this is {node.kind}",
                "Begin it with `- provider: NAME`",
            )
            return group
        group.provider = self._provider(node)
        fields = target_fields(group.provider) if group.provider else None
        for name, (place, value) in node.items.items():
            if name == PROVIDER:
                continue
            if fields is None:
                self._of_some_provider(place, name)
            elif name in fields:
                self._take(group, fields[name], place, value)
            elif is_usable(group.provider):
                self._unknown(place, name, (PROVIDER, *fields), f"a target of {group.provider}")
        return group

    def _provider(self, node: Mapping) -> str:
        names = provider_names()
        if PROVIDER not in node.items:
            self._wrong(node.place, "provider is missing", f"It is one of {', '.join(names)}")
            return ""
        _, value = node.items[PROVIDER]
        if isinstance(value, Scalar) and value.value in names:
            return str(value.value)
        self._wrong(
            value.place,
            f"provider is one of {', '.join(names)}, and this is {self._shown(value)}",
            self._near(value, names),
        )
        return ""

    def _of_some_provider(self, place: Place, name: str) -> None:
        """Check a field of a target whose provider is unknown: no provider has it."""
        known = {one for provider in provider_names() for one in target_fields(provider)}
        if name not in known:
            self._unknown(place, name, tuple(known), "a target")

    def _unknown(self, place: Place, name: str, known: Sequence[str], where: str) -> None:
        secret = SECRET_NAMES.search(name)
        # `token` is not meant for `token-host`, though it is near.
        near = difflib.get_close_matches(
            name.lower().replace("_", "-"), known, n=1, cutoff=0.8 if secret else 0.6
        )
        if secret and not near:
            self._wrong(
                place,
                f"{quoted(name)} is not a name of {where}, and looks like that of a secret",
                _NO_SECRET_HERE,
            )
            return
        fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}"
        self._wrong(place, f"{quoted(name)} is not a name of {where}", fix)

    # -- values ----------------------------------------------------------------------------------------------

    def _take(self, group: Group, of: Field, place: Place, node: Node) -> None:
        count = len(self.faults)
        value = self._value(of, node)
        if len(self.faults) == count:
            group.values[of.name] = Value(place, value)

    def _value(self, of: Field, node: Node) -> Any:
        if isinstance(node, Scalar) and node.value is None:
            self._wrong(node.place, f"{of.name} has no value", "Set one, or leave the line out")
            return None
        match of.kind:
            case Kind.SWITCH:
                return self._switch(of, node)
            case Kind.CHOICE:
                return self._choice(of, node)
            case Kind.DURATION:
                return self._duration(of, node)
            case Kind.SOURCE:
                return self._source(of, node)
            case Kind.TEXT:
                return self._text(of, node)
            case Kind.TEXTS:
                return self._texts(of, node)

    def _switch(self, of: Field, node: Node) -> bool:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool):
            return value
        word = str(value).lower()
        fix = "Write true" if word in _FOR_TRUE else "Write false" if word in _FOR_FALSE else ""
        self._wrong(node.place, f"{of.name} is true or false, and this is {self._shown(node)}", fix)
        return False

    def _choice(self, of: Field, node: Node) -> str:
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value in of.choices:
            return node.value
        self._wrong(
            node.place,
            f"{of.name} is one of {', '.join(of.choices)}, and this is {self._shown(node)}",
            self._near(node, of.choices),
        )
        return ""

    def _duration(self, of: Field, node: Node) -> dt.timedelta:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and _DURATION.search(value) and not _ODD.search(value):
            return parse_duration(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
            return dt.timedelta()
        number = isinstance(value, int | float) and not isinstance(value, bool)
        self._wrong(
            node.place,
            f"{of.name} is a time like 90d, 12h or 1h30m, and this is {self._shown(node)}",
            f"Write {value}d for days" if number and isinstance(value, int) and 0 < value < 10_000 else "",
        )
        return dt.timedelta()

    def _source(self, of: Field, node: Node) -> str:
        value = node.value if isinstance(node, Scalar) else None
        # The value may be the secret itself, so it is never shown.
        if not isinstance(value, str) or not _SOURCE.search(value):
            self._wrong(node.place, f"{of.name} is not a place for the {of.name} itself", _NO_SECRET_HERE)
            return ""
        return self._text(of, node)

    def _texts(self, of: Field, node: Node) -> list[str]:
        if not isinstance(node, ListNode):
            self._wrong(
                node.place, f"{of.name} is a list, and this is {node.kind}", "Begin each line with `- `"
            )
            return []
        if not node.items:
            self._wrong(node.place, f"{of.name} is an empty list", "Leave the line out to allow all")
        return [self._text(of, one) for one in node.items]

    def _text(self, of: Field, node: Node) -> str:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str):
            number = isinstance(value, bool | int | float)
            self._wrong(
                node.place,
                f"{of.name} is a text, and this is {node.kind}",
                "Put it in quotes"
                if number
                else "Separate several by commas, in one text"
                if isinstance(node, ListNode)
                else "",
            )
            return ""
        if _LOOKS_LIKE_A_SECRET.search(value):
            self._wrong(node.place, f"the value of {of.name} looks like a secret", _NO_SECRET_HERE)
        elif not value:
            self._wrong(node.place, f"{of.name} has no value", "Set one, or leave the line out")
        elif len(value) > of.longest:
            self._wrong(
                node.place, f"{of.name} has {len(value)} characters, and {of.longest} are taken at most"
            )
        elif _ODD.search(value):
            self._wrong(
                node.place,
                f"{of.name} holds a line end or a character that cannot be seen",
                "Type it again, in one line",
            )
        elif value.startswith("-"):
            self._wrong(node.place, f"{of.name} begins with a dash", "Was its value left out?")
        return value

    def _shown(self, node: Node) -> str:
        """A value for a message: itself if it is short and harmless, else its kind."""
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            return node.kind
        text = str(node.value)
        if len(text) > 40 or "@" in text or _LOOKS_LIKE_A_SECRET.search(text):
            return node.kind
        return quoted(text)

    def _near(self, node: Node, words: Iterable[str]) -> str:
        text = str(node.value).lower().replace("_", "-") if isinstance(node, Scalar) else ""
        near = difflib.get_close_matches(text, list(words), n=1, cutoff=0.4)
        return f"Did you mean {near[0]}?" if near else ""

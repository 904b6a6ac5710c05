"""Validates the form of a file of registries: names, types of values, and nothing that looks like a secret.

It accepts what the JSON Schema accepts. `registries` checks the meaning.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.fleet import messages_file as messages
from bootstrap.fleet.fault import Fault, Place, quoted
from bootstrap.fleet.fields import (
    A_SECRET,
    DURATION,
    MOST_TARGETS,
    ODD,
    PROVIDER,
    RULES,
    SECRET_NAMES,
    SOURCE,
    Field,
    Kind,
    default_fields,
    is_usable,
    own_fields,
    provider_names,
    target_fields,
)
from bootstrap.fleet.schema import VERSION
from bootstrap.fleet.yaml_nodes import Mapping, Node, Scalar
from bootstrap.fleet.yaml_nodes import Sequence as ListNode
from bootstrap.model.duration import parse_duration

_LOOKS_LIKE_A_SECRET = re.compile(A_SECRET)
_ODD = re.compile(ODD)
_DURATION = re.compile(DURATION)
_SOURCE = re.compile(SOURCE)
_FOR_TRUE, _FOR_FALSE = frozenset({"yes", "on", "y", "1"}), frozenset({"no", "off", "n", "0"})


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


def shape_of_policy(root: Node) -> tuple[Group, list[Fault]]:
    """The policy of a document that has nothing else, and all mistakes of its form."""
    reader = _Reader()
    return reader.policy_file(root), reader.faults


def policy_in(root: Node) -> tuple[Group, list[Fault]]:
    """The policy of a file of registries, and its mistakes; those of other sections are not looked for."""
    reader = _Reader()
    return reader.policy(root), reader.faults


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def file(self, root: Node) -> Shape:
        shape = Shape(Group(root.place), Group(root.place), {}, [])
        if not isinstance(root, Mapping):
            empty = isinstance(root, Scalar) and root.value is None
            self.faults.append(
                messages.empty_file(root.place)
                if empty
                else messages.not_a_file_of_registries(root.place, root.kind)
            )
            return shape
        known = ("version", "policy", "defaults", "targets")
        for name, (place, node) in root.items.items():
            if name == "version":
                self._version(node)
            elif name == "policy":
                shape.policy = self.policy(root)
            elif name == "defaults":
                self._defaults(node, shape)
            elif name == "targets":
                self._targets(node, shape)
            else:
                self._unknown(place, name, known, "the file")
        if "version" not in root.items:
            self.faults.append(messages.version_missing(root.place))
        if "targets" not in root.items:
            self.faults.append(messages.targets_missing(root.place))
        return shape

    def policy_file(self, root: Node) -> Group:
        if not isinstance(root, Mapping) or "policy" not in root.items:
            self.faults.append(messages.policy_missing(root.place))
        if isinstance(root, Mapping):
            for name, (place, node) in root.items.items():
                if name == "version":
                    self._version(node)
                elif name != "policy":
                    self._unknown(place, name, ("version", "policy"), "the policy's file")
            if "version" not in root.items:
                self.faults.append(messages.version_missing(root.place))
        return self.policy(root)

    def policy(self, root: Node) -> Group:
        if not isinstance(root, Mapping) or "policy" not in root.items:
            return Group(root.place)
        return self._section(root.items["policy"][1], {one.name: one for one in RULES}, "policy")

    def _version(self, node: Node) -> None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or value != VERSION:
            newer = isinstance(value, int) and value > VERSION
            self.faults.append(messages.version_unknown(node.place, self._shown(node), VERSION, newer=newer))

    def _defaults(self, node: Node, shape: Shape) -> None:
        shape.defaults = Group(node.place)
        if not isinstance(node, Mapping):
            self.faults.append(messages.defaults_not_a_mapping(node.place, node.kind))
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
                    self.faults.append(messages.of_other_providers(place, name, owners))
                else:
                    self._unknown(place, name, (*fields, *providers), "the defaults")

    def _section(self, node: Node, fields: MappingOf[str, Field], where: str) -> Group:
        group = Group(node.place)
        if not isinstance(node, Mapping):
            self.faults.append(messages.section_not_a_mapping(node.place, where, node.kind))
            return group
        for name, (place, value) in node.items.items():
            if name in fields:
                self._take(group, fields[name], place, value)
            else:
                self._unknown(place, name, tuple(fields), f"the {where}")
        return group

    def _targets(self, node: Node, shape: Shape) -> None:
        if not isinstance(node, ListNode):
            self.faults.append(messages.targets_not_a_list(node.place, node.kind))
            return
        if not node.items:
            self.faults.append(messages.no_targets(node.place))
        if len(node.items) > MOST_TARGETS:
            self.faults.append(messages.too_many_targets(node.place, len(node.items), MOST_TARGETS))
            return
        shape.targets = [self._target(one) for one in node.items]

    def _target(self, node: Node) -> Group:
        group = Group(node.place)
        if not isinstance(node, Mapping):
            self.faults.append(messages.target_not_a_mapping(node.place, node.kind))
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
            self.faults.append(messages.provider_missing(node.place, names))
            return ""
        _, value = node.items[PROVIDER]
        if isinstance(value, Scalar) and value.value in names:
            return str(value.value)
        self._not_one_of(PROVIDER, names, value)
        return ""

    def _of_some_provider(self, place: Place, name: str) -> None:
        """Check a field of a target whose provider is unknown: no provider has it."""
        known = {one for provider in provider_names() for one in target_fields(provider)}
        if name not in known:
            self._unknown(place, name, sorted(known), "a target")

    def _unknown(self, place: Place, name: str, known: Sequence[str], where: str) -> None:
        secret = SECRET_NAMES.search(name)
        # `token` is not meant for `token-host`, though it is near.
        near = difflib.get_close_matches(
            name.lower().replace("_", "-"), known, n=1, cutoff=0.8 if secret else 0.6
        )
        if secret and not near:
            self.faults.append(messages.name_of_secret(place, name, where))
        else:
            self.faults.append(messages.name_unknown(place, name, where, near, known))

    # -- values ----------------------------------------------------------------------------------------------

    def _take(self, group: Group, of: Field, place: Place, node: Node) -> None:
        count = len(self.faults)
        value = self._value(of, node)
        if len(self.faults) == count:
            group.values[of.name] = Value(place, value)

    def _value(self, of: Field, node: Node) -> Any:
        if isinstance(node, Scalar) and node.value is None:
            self.faults.append(messages.value_missing(node.place, of.name))
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
        meant = "true" if word in _FOR_TRUE else "false" if word in _FOR_FALSE else ""
        self.faults.append(messages.not_a_switch(node.place, of.name, self._shown(node), meant))
        return False

    def _choice(self, of: Field, node: Node) -> str:
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value in of.choices:
            return node.value
        self._not_one_of(of.name, of.choices, node)
        return ""

    def _duration(self, of: Field, node: Node) -> dt.timedelta:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and _DURATION.search(value) and not _ODD.search(value):
            return parse_duration(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
            return dt.timedelta()
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000
        days = f"{value}d" if whole else ""
        self.faults.append(messages.not_a_duration(node.place, of.name, self._shown(node), days))
        return dt.timedelta()

    def _source(self, of: Field, node: Node) -> str:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str) or not _SOURCE.search(value):
            self.faults.append(messages.not_a_source(node.place, of.name))
            return ""
        return self._text(of, node)

    def _texts(self, of: Field, node: Node) -> list[str]:
        if not isinstance(node, ListNode):
            self.faults.append(messages.not_a_list(node.place, of.name, node.kind))
            return []
        if not node.items:
            self.faults.append(messages.empty_list(node.place, of.name))
        return [self._text(of, one) for one in node.items]

    def _text(self, of: Field, node: Node) -> str:
        value = node.value if isinstance(node, Scalar) else None
        place, name = node.place, of.name
        if not isinstance(value, str):
            many = messages.BY_COMMAS if isinstance(node, ListNode) else ""
            fix = messages.IN_QUOTES if isinstance(value, bool | int | float) else many
            self.faults.append(messages.not_a_text(place, name, node.kind, fix))
            return ""
        if _LOOKS_LIKE_A_SECRET.search(value):
            self.faults.append(messages.looks_like_secret(place, name))
        elif not value:
            self.faults.append(messages.value_missing(place, name))
        elif len(value) > of.longest:
            self.faults.append(messages.text_too_long(place, name, len(value), of.longest))
        elif _ODD.search(value):
            self.faults.append(messages.unseen_character(place, name))
        elif value.startswith("-"):
            self.faults.append(messages.begins_with_dash(place, name))
        return value

    def _shown(self, node: Node) -> str:
        """A value for a message: itself if it is short and harmless, else its kind."""
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            return node.kind
        text = str(node.value)
        if len(text) > 40 or "@" in text or _LOOKS_LIKE_A_SECRET.search(text):
            return node.kind
        return quoted(text)

    def _not_one_of(self, name: str, choices: Sequence[str], node: Node) -> None:
        text = str(node.value).lower().replace("_", "-") if isinstance(node, Scalar) else ""
        near = difflib.get_close_matches(text, list(choices), n=1, cutoff=0.4)
        shown = self._shown(node)
        self.faults.append(messages.one_of(node.place, name, choices, shown, near[0] if near else ""))

"""Parses a safe subset of YAML into nodes that keep their line and column.

It reads one document of mappings, lists and scalars by YAML 1.2's core schema, as editors do: `no` is text,
not false. It refuses anchors, aliases, merge keys and tags, so a document cannot expand; and duplicate keys
and deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bootstrap.fleet import messages_yaml as messages
from bootstrap.fleet.fault import Fault, Place

_MOST_BYTES = 5_000_000
_DEEPEST = 12

# Characters that are not allowed in a YAML file (YAML 1.2.2, 5.1).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class NotReadable(Exception):
    """The text cannot be parsed; `fault` says why. Nothing after it was read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class Scalar:
    """A text, number, boolean or null."""

    place: Place
    value: str | int | float | bool | None

    @property
    def kind(self) -> str:
        """Its type for a message; never the content of a text, which may be a secret."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "text" if isinstance(self.value, str) else "a number"


@dataclass(frozen=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple[Node, ...]
    kind = "a list"


@dataclass(frozen=True)
class Mapping:
    """Names with values; each name has its own place."""

    place: Place
    items: dict[str, tuple[Place, Node]]
    kind = "names with values"


Node = Scalar | Sequence | Mapping


def decode(data: bytes) -> str:
    """Decode the bytes of a file.

    Raises:
        NotReadable: it is too long, or not UTF-8.
    """
    if len(data) > _MOST_BYTES:
        raise NotReadable(messages.file_too_long(len(data), _MOST_BYTES))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise NotReadable(messages.utf16())
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        raise NotReadable(messages.not_utf8(_place_in(before))) from None


def _place_in(before: str) -> Place:
    """The place of the character that follows `before`."""
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def read(text: str) -> tuple[Node, list[Fault]]:
    """Parse the one document of a text; also return its duplicate names, which do not prevent parsing.

    Raises:
        NotReadable: it is not YAML, or uses what is not supported here.
    """
    import yaml

    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        raise NotReadable(messages.unprintable(_place_in(text[: odd.start()]), odd[0]))
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        raise NotReadable(_fault_of(error, text)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotReadable(messages.yaml_unreadable(error)) from None


def _fault_of(error: Any, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
    problem = str(error.problem or error.context or "it cannot be read")
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem or "tab" in problem:
        return messages.tab(place)
    return messages.not_yaml(place, problem)


class _Reader:
    """Builds nodes from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._faults: list[Fault] = []

    def _next(self) -> Any:
        return next(self._events)

    def document(self) -> tuple[Node, list[Fault]]:
        import yaml

        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Scalar(Place(1, 1), None), []
        node = self._node(self._next(), 0)
        self._next()  # the document's end
        more = self._next()
        if not isinstance(more, yaml.StreamEndEvent):
            raise NotReadable(messages.second_document(_at(more)))
        return node, self._faults

    def _node(self, event: Any, depth: int) -> Node:
        import yaml

        place = _at(event)
        _refuse_references(event, place)
        if depth > _DEEPEST:
            raise NotReadable(messages.nested_too_deep(place, _DEEPEST))
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(place, _value_of(event))
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(one := self._next(), yaml.SequenceEndEvent):
                items.append(self._node(one, depth + 1))
            return Sequence(place, tuple(items))
        return self._mapping(place, depth)

    def _mapping(self, place: Place, depth: int) -> Mapping:
        import yaml

        found: dict[str, tuple[Place, Node]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            at = _at(event)
            _refuse_references(event, at)
            if not isinstance(event, yaml.ScalarEvent):
                raise NotReadable(messages.name_expected(at))
            key = event.value
            if key == "<<" and event.implicit[0]:
                raise NotReadable(messages.merge_key(at))
            value = self._node(self._next(), depth + 1)
            if key in found:
                self._faults.append(messages.name_twice(at, key, found[key][0]))
            else:
                found[key] = at, value
        return Mapping(place, found)


def _at(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse_references(event: Any, place: Place) -> None:
    import yaml

    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise NotReadable(messages.anchor_or_alias(place))
    if getattr(event, "tag", None):
        raise NotReadable(messages.tagged(place))


def _value_of(event: Any) -> str | int | float | bool | None:
    """The value of a scalar by YAML 1.2's core schema (10.3.2); quoted scalars are text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return (
        float(
            text.replace(".inf", "inf")
            .replace(".Inf", "inf")
            .replace(".INF", "inf")
            .replace(".nan", "nan")
            .replace(".NaN", "nan")
            .replace(".NAN", "nan")
        )
        if _FLOAT.fullmatch(text)
        else text
    )

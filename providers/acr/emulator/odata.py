"""The part of OData's `$filter` that Graph and Resource Manager support.

Comparisons (`eq`, `ne`, `ge`, `gt`, `le`, `lt`, `in`), `and`, `or`, `not`, `startswith`, `endswith`,
`contains`, and `collection/any(x:...)`. Text comparisons ignore case, as in both services.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
Predicate = Callable[[Item], bool]
Function = Callable[[str], Predicate]
"""A service-specific function, such as `assignedTo('ID')`; called with "" if it has no argument."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z?)|(?P<mark>[(),:])|(?P<word>[^\s(),:']+))"
)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "ge": lambda a, b: a is not None and bool(a >= b),
    "gt": lambda a, b: a is not None and bool(a > b),
    "le": lambda a, b: a is not None and bool(a <= b),
    "lt": lambda a, b: a is not None and bool(a < b),
}
_TEXT_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, part: part in text,
}
_DEEPEST = 100
"""The deepest nesting of parentheses and `not`."""
_LONGEST = 500
"""The most tokens of a filter."""
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}


class FilterError(ValueError):
    """A filter cannot be parsed, or names an unknown property."""


@dataclass(frozen=True)
class Filter:
    """A parsed filter. `advanced` is whether Graph requires `ConsistencyLevel: eventual` for it."""

    matches: Predicate
    advanced: bool


def parse(text: str, functions: Mapping[str, Function] | None = None) -> Filter:
    """Parse a `$filter`.

    Raises:
        FilterError: it is invalid.
    """
    parser = _Parser(text, functions or {})
    predicate = parser.whole()
    return Filter(predicate, parser.advanced)


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _value(item: Item, path: str) -> Any:
    value: Any = item
    for name in path.split("/"):
        if not isinstance(value, Mapping) or name not in value:
            raise FilterError(f"Could not find a property named '{name}'.")
        value = value[name]
    return _fold(value)


def _elements(item: Item, path: str) -> Iterable[Any]:
    found = _value(item, path)
    if found is not None and not isinstance(found, list | tuple):
        raise FilterError(f"'{path}' is not a collection.")
    return found or ()


def _compared(compare: Callable[[Any, Any], bool], value: Any, wanted: Any) -> bool:
    try:
        return compare(value, wanted)
    except TypeError:
        raise FilterError("A binary operator with incompatible types was detected.") from None


class _Parser:
    """A recursive descent parser; each method returns the predicate of what it has parsed."""

    def __init__(self, text: str, functions: Mapping[str, Function]) -> None:
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._tokens: list[str] = []
        self._next = 0
        self.advanced = False
        self._depth = 0
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise FilterError(f"Syntax error at position {position} in '{text}'.")
            self._tokens.append(match[0].strip())
            position = match.end()
        if len(self._tokens) > _LONGEST:
            raise FilterError("It has too many parts.")

    def whole(self) -> Predicate:
        predicate = self._either()
        if self._next < len(self._tokens):
            raise FilterError(f"Syntax error near '{self._tokens[self._next]}'.")
        return predicate

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token.lower() != expected):
            raise FilterError(f"Syntax error near '{token}'.")
        self._next += 1
        return token

    def _either(self) -> Predicate:
        left = self._both()
        while self._peek().lower() == "or":
            self._take()
            left = _any_of(left, self._both())
        return left

    def _both(self) -> Predicate:
        left = self._one()
        while self._peek().lower() == "and":
            self._take()
            left = _all_of(left, self._one())
        return left

    def _one(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError("It is nested too deeply.")
        predicate = self._inner()
        self._depth -= 1
        return predicate

    def _inner(self) -> Predicate:
        if self._peek().lower() == "not":
            self._take()
            self.advanced = True
            inner = self._one()
            return lambda item: not inner(item)
        if self._peek() == "(":
            self._take()
            inside = self._either()
            self._take(")")
            return inside
        name = self._take()
        return self._called(name) if self._peek() == "(" else self._comparison(name)

    def _called(self, name: str) -> Predicate:
        self._take("(")
        lowered = name.lower()
        if lowered.endswith("/any"):
            predicate = self._any(name[: -len("/any")])
        elif lowered in _TEXT_FUNCTIONS:
            predicate = self._text_function(lowered)
        elif lowered in self._functions:
            argument = "" if self._peek() == ")" else str(self._literal())
            predicate = self._functions[lowered](argument)
        else:
            raise FilterError(f"An unknown function with name '{name}' was found.")
        self._take(")")
        return predicate

    def _any(self, path: str) -> Predicate:
        variable = self._take()
        self._take(":")
        inner = self._either()
        return lambda item: any(inner({**item, variable: element}) for element in _elements(item, path))

    def _text_function(self, name: str) -> Predicate:
        path = self._take()
        self._take(",")
        part = _fold(self._literal())
        if name != "startswith":
            self.advanced = True
        check = _TEXT_FUNCTIONS[name]
        return lambda item: check(str(_value(item, path) or ""), part)

    def _comparison(self, path: str) -> Predicate:
        operator = self._take().lower()
        if operator == "in":
            self._take("(")
            values = [_fold(self._literal())]
            while self._peek() == ",":
                self._take()
                values.append(_fold(self._literal()))
            self._take(")")
            return lambda item: _value(item, path) in values
        if operator not in _ORDER:
            raise FilterError(f"Syntax error near '{operator}'.")
        if operator == "ne":
            self.advanced = True
        wanted, compare = _fold(self._literal()), _ORDER[operator]
        return lambda item: _compared(compare, _value(item, path), wanted)

    def _literal(self) -> Any:
        token = self._take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in _WORDS:
            return _WORDS[token]
        return int(token) if re.fullmatch(r"[0-9]{1,18}", token) else token


def _any_of(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) or right(item)


def _all_of(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) and right(item)

"""Recorded exchanges with a real cloud, sent to its emulator, and what is different about the answer.

A folder of recordings holds a list of exchanges for each cloud (`google.json`, `azure.json`). Each exchange
is prepared (what the request needs is put into the emulator's state), sent, and compared: status, error code,
keys, forms of values. Values themselves are not compared, since names and times differ by nature.

Every difference that remains has a reason in `reasons/CLOUD.toml`, keyed by patterns and written in our own
words:

    [[reason]]
    call = "GET iam.googleapis.com/v1/projects/*/serviceAccounts/*"
    status = 404                        # the recorded status; any, if left out
    difference = "adds error.errors*"   # as printed
    why = "..."

    [[not_served]]
    call = "GET compute.googleapis.com/*"
    why = "..."

Patterns are shell patterns; in a key's path a list is written `*`.
"""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

REASONS = Path(__file__).parent / "reasons"
Verdict = Literal["same", "differs", "not served"]


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer, with its placeholders filled in."""

    method: str
    url: str
    request_body: Any
    status: int | None
    """None where it was not recorded."""
    response_body: Any
    headers: Mapping[str, str]
    """Of the answer, in lower case."""
    number: int = 0
    """Its place in the file."""
    title: str = ""
    """What the recordings call it. Shortened ones have no URL, and this is all that says what was asked."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def call(self) -> str:
        """What reasons are keyed by: method, host and path; the title where there is no URL."""
        return f"{self.method} {self.host}{self.path}" if self.url else f"{self.method} {self.title}"


@dataclass(frozen=True)
class Answer:
    """What the emulator said. `served` is false where it has no such call at all."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    served: bool = True


class Cloud(Protocol):
    """One emulated cloud, as far as a comparison needs it."""

    name: str

    def prepare(self, exchange: Exchange) -> None:
        """Put into the emulator's state what the request needs to be answered as recorded."""
        ...

    def send(self, exchange: Exchange) -> Answer:
        """Send the request."""
        ...

    def error_code(self, body: Any) -> str:
        """The code of an error in an answer's body; "" where it has none."""
        ...

    def form(self, path: str, value: Any) -> str | None:
        """The form of a value at a key's path; None if nothing can be said of it. `form_of` is the general
        one.
        """
        ...

    def more(self, exchange: Exchange, answer: Answer) -> Iterable[str]:
        """Further differences that only this cloud knows to look for."""
        ...


@dataclass(frozen=True)
class Reason:
    """Why a difference may stay, or a call is not served."""

    call: str
    why: str
    difference: str = "*"
    status: int | None = None

    def explains(self, exchange: Exchange, difference: str) -> bool:
        return (
            fnmatch.fnmatchcase(exchange.call, self.call)
            and self.status in (None, exchange.status)
            and fnmatch.fnmatchcase(difference, self.difference)
        )


@dataclass(frozen=True)
class Reasons:
    """All reasons for one cloud."""

    differences: tuple[Reason, ...]
    not_served: tuple[Reason, ...]

    @classmethod
    def read(cls, cloud: str, folder: Path = REASONS) -> Reasons:
        document = tomllib.loads((folder / f"{cloud}.toml").read_text(encoding="utf-8"))
        return cls(
            tuple(Reason(**one) for one in document.get("reason", ())),
            tuple(Reason(**one) for one in document.get("not_served", ())),
        )


@dataclass
class Outcome:
    """What came of one exchange."""

    exchange: Exchange
    verdict: Verdict
    differences: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    """By difference; for one that is not served by `not served`."""

    @property
    def unexplained(self) -> list[str]:
        asked = self.differences if self.verdict == "differs" else ("not served",)
        return [] if self.verdict == "same" else [one for one in asked if one not in self.reasons]


def read_exchanges(path: Path) -> list[Exchange]:
    """The exchanges of one file; `${name}` is replaced by a value of our own, the same in request and
    answer.
    """
    found = []
    for number, one in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        filled = _filled(one)
        headers = {name.lower(): str(value) for name, value in (filled.get("headers") or {}).items()}
        found.append(
            Exchange(
                filled["method"],
                filled["url"],
                filled.get("request_body"),
                None if filled["status"] is None else int(filled["status"]),
                filled.get("response_body"),
                headers,
                number,
                str(filled.get("call") or filled.get("kind") or ""),
            )
        )
    return found


_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def _filled(value: Any) -> Any:
    match value:
        case str():
            return _PLACEHOLDER.sub(lambda it: _stand_in(it[1]), value)
        case dict():
            return {_filled(name): _filled(one) for name, one in cast("dict[str, Any]", value).items()}
        case list():
            return [_filled(one) for one in value]
        case _:
            return value


def _stand_in(name: str) -> str:
    """A value for a placeholder, of a form that the clouds take."""
    if name.lower().endswith("number"):
        return "712345678901"
    if "key" in name.lower():
        return "0123456789abcdef0123456789abcdef01234567"
    return "recorded-" + re.sub(r"[^a-z]", "", name.lower())[:9]


def compare(cloud: Cloud, exchanges: Iterable[Exchange], reasons: Reasons) -> Iterator[Outcome]:
    """Send them all, one after the other, each to a state of its own."""
    for exchange in exchanges:
        try:
            cloud.prepare(exchange)
            answer = cloud.send(exchange)
        except Exception as error:  # noqa: BLE001  - all others are compared
            # A request of a kind that nobody has foreseen is a difference like any other.
            yield Outcome(exchange, "differs", (f"could not be sent: {error!r}",))
            continue
        if not answer.served:
            outcome = Outcome(exchange, "not served")
            why = next((one.why for one in reasons.not_served if one.explains(exchange, "not served")), None)
            if why is not None:
                outcome.reasons["not served"] = why
            yield outcome
            continue
        found = tuple(dict.fromkeys(differences(cloud, exchange, answer)))
        outcome = Outcome(exchange, "differs" if found else "same", found)
        for one in found:
            why = next((it.why for it in reasons.differences if it.explains(exchange, one)), None)
            if why is not None:
                outcome.reasons[one] = why
        yield outcome


def differences(cloud: Cloud, exchange: Exchange, answer: Answer) -> Iterator[str]:
    """What is different about an answer. Of another status nothing more is said: all else follows from it."""
    if exchange.status not in (None, answer.status):
        yield f"status: {exchange.status} recorded, {answer.status} here"
        return
    code, ours = cloud.error_code(exchange.response_body), cloud.error_code(answer.body)
    if code != ours:
        yield f"code: {code or 'none'} recorded, {ours or 'none'} here"
    there, here = forms(cloud.form, exchange.response_body), forms(cloud.form, answer.body)
    yield from (f"lacks {path}" for path in there if path not in here)
    yield from (f"adds {path}" for path in here if path not in there)
    for path in there.keys() & here.keys():
        known, seen = there[path] - {None}, here[path] - {None}
        if known and seen and not (known <= seen or seen <= known):
            yield f"form of {path}: {_listed(known)} recorded, {_listed(seen)} here"
    yield from cloud.more(exchange, answer)


def _listed(found: Iterable[str | None]) -> str:
    return " or ".join(sorted(str(one) for one in found))


def forms(form: Callable[[str, Any], str | None], value: Any, path: str = "") -> dict[str, set[str | None]]:
    """Each key's path in a JSON value, with the forms of what is there."""
    found: dict[str, set[str | None]] = {}
    match value:
        case dict():
            if path and not value:
                found.setdefault(path, set()).add("object")
            for name, one in cast("dict[str, Any]", value).items():
                for inner, seen in forms(form, one, f"{path}.{name}" if path else name).items():
                    found.setdefault(inner, set()).update(seen)
        case list():
            if not value:
                found.setdefault(path or "*", set()).add("empty list")
            for one in value:
                for inner, seen in forms(form, one, f"{path}.*" if path else "*").items():
                    found.setdefault(inner, set()).update(seen)
        case _:
            # An empty body has no keys.
            if path or value not in (None, ""):
                found.setdefault(path or "the body", set()).add(form(path, value))
    return found


_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?")
_FRACTIONS = ((0, "seconds"), (3, "milliseconds"), (6, "microseconds"), (7, "ticks"), (9, "nanoseconds"))
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TEXT_FORMS = (
    (re.compile(r"\d+"), "digits"),
    (_UUID, "uuid"),
    (re.compile(r"[0-9a-f]{20,}"), "hexadecimal"),
    (re.compile(r"https?://\S+"), "URL"),
    (re.compile(r"[^\s@:]+@[^\s@]+\.[^\s@]+"), "e-mail address"),
)


def form_of(value: Any) -> str:
    """The form of a JSON value: of a text whether it is a date, an id, an address, a constant."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case int() | float():
            return "number"
        case str():
            pass
        case _:
            return type(value).__name__
    if date := _DATE.fullmatch(value):
        digits = len(date[1] or "")
        fraction = next((name for most, name in _FRACTIONS if digits <= most), "more")
        zone = {None: "no zone", "Z": "Z"}.get(date[2], "offset")
        return f"date ({fraction}, {zone})"
    if re.fullmatch(r"[A-Z][A-Z0-9_]+", value):
        return str(value)
    return next((name for pattern, name in _TEXT_FORMS if pattern.fullmatch(value)), "text")


def figures(outcomes: Sequence[Outcome]) -> dict[Verdict, int]:
    counted = Counter(one.verdict for one in outcomes)
    return {verdict: counted[verdict] for verdict in ("same", "differs", "not served")}

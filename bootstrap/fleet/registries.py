"""Reads a file of registries into targets, or reports all of its mistakes with line and column."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.lifetime import check_lifetime
from bootstrap.files.input_file import read_file
from bootstrap.fleet import messages
from bootstrap.fleet.fields import PROVIDER, Field, Kind, own_fields, provider_named, target_fields
from bootstrap.fleet.policy import Policy, Subject, violations
from bootstrap.fleet.secret_sources import Source
from bootstrap.fleet.validation import Group, Shape, Value, shape_of
from bootstrap.fleet.yaml_nodes import Fault, NotReadable, Place, decoded, read
from bootstrap.model.codes import Code
from bootstrap.model.credential import check_secret_name
from bootstrap.model.duration import parse_duration
from bootstrap.model.errors import PullkeyError, UsageProblem, fix_fields
from bootstrap.model.typed_logins import ADDRESSES, refuse_login, refuse_login_in
from bootstrap.plugin.provider import Provider, Target
from bootstrap.plugin.unavailable import Unavailable, UnavailableTarget

_MOST_SHOWN = 100
_MOST_BYTES = 20_000_000
_OPTION = re.compile(r"--([a-z][a-z-]*[a-z])")
_NO_LOGIN_HERE = (
    "A user name has a name of its own in the file, and a password is named by where it is (env:, "
    "file:, command:)"
)
SOURCES = "sources"
"""The key, among the values of a provider's options, of the list of secrets that have a source.

They are read when they are needed.
"""


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
        super().__init__(f"{name} has {count} mistake{'s' * (count != 1)}", fix="Nothing was changed.")

    @property
    def places(self) -> list[Mapping[str, Any]]:
        """The mistakes for JSON."""
        return [
            {"line": one.place.line, "column": one.place.column, "what": one.what, **fix_fields(one.fix)}
            for one in self.faults
        ]

    @property
    def lines(self) -> list[str]:
        shown = [f"{self.name}:{one}{f'. {one.fix}' if one.fix else ''}" for one in self.faults[:_MOST_SHOWN]]
        rest = len(self.faults) - _MOST_SHOWN
        return [*shown, f"{self.name}: and {rest} more"] if rest > 0 else shown


@dataclass(frozen=True, eq=False)
class Entry:
    """One target of a file.

    Attributes:
        number: its position in the file, from 1.
        raw: its fields as written, defaults included, as a saved plan stores them.
        values: of its provider's options, as `Provider.target` takes them.
        places: of its fields, and of the defaults that it takes.
    """

    number: int
    place: Place
    provider: Provider
    target: Target
    scope: AkkaScope
    secret_name: str
    raw: Mapping[str, Any]
    values: Mapping[str, Any]
    sources: tuple[Source, ...] = ()
    image: str = ""
    replace: bool = False
    anyway: bool = False
    remove: bool = False
    rotate_after: dt.timedelta | None = None
    keep_old: dt.timedelta = dt.timedelta()
    overlap: dt.timedelta = dt.timedelta()
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name for the user: `PROJECT/SECRET`, with the region where it is for one region only."""
        region = f"@{self.scope.region}" if self.scope.region else ""
        return f"{self.scope.project or '(current)'}{region}/{self.secret_name}"

    @property
    def group(self) -> str:
        """Its quota group, such as a Google project. Its members run on one machine, a few at a time."""
        return self.target.quota_group

    def answers_to(self, name: str) -> bool:
        return name in (self.name, self.secret_name, f"{self.scope.project}/{self.secret_name}")


@dataclass(frozen=True)
class Registries:
    """All the targets of a file."""

    name: str
    entries: tuple[Entry, ...] = field(default_factory=tuple)

    def only(self, names: Iterable[str]) -> Registries:
        """The targets of these names.

        Raises:
            UsageProblem: a name fits no target, or several.
        """
        import difflib

        chosen = []
        for name in names:
            found = [one for one in self.entries if one.answers_to(name)]
            if not found:
                known = {label for one in self.entries for label in (one.name, one.secret_name)}
                near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
                raise messages.target_unknown(self.name, name, near)
            if len(found) > 1:
                raise messages.target_ambiguous(self.name, name, [one.name for one in found])
            chosen += found
        return replace(self, entries=tuple(sorted(set(chosen), key=lambda one: one.number)))


def load(path: Path) -> Registries:
    """Read a file of registries; `-` is stdin.

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
    return parse(data, name, base=Path() if name == "stdin" else path.parent)


def parse(data: bytes, name: str, *, base: Path) -> Registries:
    """Parse the content of a file of registries.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        base: the directory of relative `file:` sources.

    Raises:
        InvalidFile: it is not valid.
    """
    try:
        root, faults = read(decoded(data))
    except NotReadable as error:
        raise InvalidFile(name, [error.fault]) from None
    shape, of_shape = shape_of(root)
    faults += of_shape
    entries = []
    wrong_at = [fault.place for fault in faults]
    for number, group in enumerate(shape.targets, 1):
        if group.provider and not _has_faults(group, shape, number, wrong_at):
            entry = _entry_of(shape, group, number, base.absolute(), faults)
            entries += [entry] if entry is not None else []
    faults += _duplicates(entries) + _beyond_key_limit(entries) + _against_policy(shape, entries)
    if faults:
        raise InvalidFile(name, faults)
    return Registries(name, tuple(entries))


def _against_policy(shape: Shape, entries: Sequence[Entry]) -> list[Fault]:
    """The faults of targets that do not observe the file's policy; one that is to be removed need not."""
    if not shape.policy.values:
        return []
    policy = Policy.of({name: one.value for name, one in shape.policy.values.items()})
    return violations(
        policy,
        [
            Subject(one.place, one.places, one.target, _role_of(one))
            for one in entries
            if not (one.remove or isinstance(one.provider, Unavailable))
        ],
    )


def _role_of(entry: Entry) -> str:
    """The role that a target grants, if its provider has the option `role`; else ""."""
    if "role" not in own_fields(entry.provider.name) or entry.values.get("skip_grant"):
        return ""
    return str(getattr(entry.target, "role", "") or "")


def parse_entries(entries: Iterable[Mapping[str, Any]], name: str) -> Registries:
    """Parse the targets that a saved plan stores.

    Raises:
        InvalidFile: they are not valid.
    """
    document = {"version": 1, "targets": list(entries)}
    return parse(json.dumps(document, ensure_ascii=False).encode(), name, base=Path())


def _has_faults(group: Group, shape: Shape, number: int, wrong: Sequence[Place]) -> bool:
    """Whether the form of a target has mistakes; its meaning is not checked then."""
    after = shape.targets[number].place if number < len(shape.targets) else Place(10**9, 1)
    defaults = [shape.defaults.place, *(one.place for one in shape.of_providers.values())]
    return any(group.place <= place < after for place in wrong) or any(
        min(defaults) < place < shape.targets[0].place for place in wrong
    )


def _entry_of(shape: Shape, group: Group, number: int, base: Path, faults: list[Fault]) -> Entry | None:
    of_provider = shape.of_providers.get(group.provider)
    read_values: dict[str, Value] = {
        **shape.defaults.values,
        **(of_provider.values if of_provider else {}),
        **group.values,
    }

    def wrong(what: str, fix: str = "", at: str = "") -> None:
        place = read_values[at].place if at in read_values else group.place
        faults.append(Fault(place, what, fix))

    if not all(_without_login(name, one.value, wrong) for name, one in read_values.items()):
        return None
    fields, own = target_fields(group.provider), own_fields(group.provider)
    values = {one.key: _default(one) for one in own.values()}
    values |= {own[name].key: one.value for name, one in read_values.items() if name in own}
    sources = []
    for one in own.values():
        if one.kind is Kind.SOURCE:
            text, values[one.key] = values[one.key], None
            if text:
                try:
                    sources.append(Source.parse(text, one.name, base))
                except UsageProblem as error:
                    wrong(error.what, error.fix, one.name)
                values.setdefault(SOURCES, []).append(one.key)
    values["image"] = _value_of(read_values, "image")
    provider = provider_named(group.provider)
    if isinstance(provider, Unavailable):
        return _unusable(group, number, provider, read_values)
    try:
        target = provider.target(values)
    except PullkeyError as error:
        wrong(*_with_field_names(error, fields, read_values))
        return None
    longest = _value_of(read_values, "max-expires-in")
    try:
        check_lifetime(
            target,
            longest if longest is not None else parse_duration(fields["max-expires-in"].default or "0"),
            given="expires-in" in read_values,
            option="",
        )
    except UsageProblem as error:
        wrong(error.what, error.fix, "expires-in")
    rotate_after, keep_old = _value_of(read_values, "rotate-after"), _value_of(read_values, "keep-old")
    lasts = values.get("expires_in")
    if rotate_after == dt.timedelta():
        wrong(
            "rotate-after is 0, so the key would be replaced in every run",
            "Write it in days: 60d",
            "rotate-after",
        )
    elif rotate_after is not None and lasts is not None and rotate_after >= lasts:
        wrong(
            f"rotate-after ({rotate_after.days}d) is not shorter than expires-in ({lasts.days}d), "
            "so keys would end before they are replaced",
            "Set a shorter rotate-after",
            "rotate-after",
        )
    secret_name = _value_of(read_values, "secret-name") or target.secret_name
    try:
        check_secret_name(secret_name, where="secret-name")
    except UsageProblem as error:
        wrong(error.what, error.fix, "secret-name")
    return Entry(
        number=number,
        place=group.place,
        provider=provider,
        target=target,
        scope=_scope_of(read_values),
        secret_name=secret_name,
        raw=_raw(group.provider, read_values, fields, sources),
        values=values,
        sources=tuple(sources),
        image=values["image"] or "",
        replace=bool(_value_of(read_values, "replace")),
        anyway=bool(_value_of(read_values, "anyway")),
        remove=bool(_value_of(read_values, "remove")),
        rotate_after=rotate_after,
        keep_old=keep_old if keep_old is not None else parse_duration(fields["keep-old"].default or "0"),
        overlap=_value_of(read_values, "overlap")
        if "overlap" in read_values
        else parse_duration(fields["overlap"].default or "0"),
        places={name: one.place for name, one in read_values.items()},
    )


def _scope_of(values: Mapping[str, Value]) -> AkkaScope:
    return AkkaScope(
        *(_value_of(values, f"akka-{part}") or "" for part in ("project", "owner", "region", "context"))
    )


def _unusable(group: Group, number: int, provider: Unavailable, values: Mapping[str, Value]) -> Entry:
    """A target whose provider cannot be used: its plan is that it is blocked."""
    where = f"{provider.name} in line {group.place.line}"
    return Entry(
        number=number,
        place=group.place,
        provider=provider,
        target=UnavailableTarget(where),
        scope=_scope_of(values),
        secret_name=_value_of(values, "secret-name") or where,
        raw={PROVIDER: provider.name},
        values={},
    )


def _without_login(name: str, text: Any, wrong: Callable[[str, str, str], None]) -> bool:
    """Whether a value has no user name or password in it; one that has is reported and not shown."""
    if not isinstance(text, str):
        return True
    address = name.replace("-", "_") in ADDRESSES
    try:
        (refuse_login if address else refuse_login_in)(text, name)
    except UsageProblem as error:
        wrong(
            error.what,
            f"Name the registry or image alone. {_NO_LOGIN_HERE}" if address else _NO_LOGIN_HERE,
            name,
        )
        return False
    return True


def _value_of(values: Mapping[str, Value], name: str) -> Any:
    return values[name].value if name in values else None


def _default(of: Field) -> Any:
    if of.kind is Kind.SWITCH:
        return False
    return parse_duration(of.default) if of.kind is Kind.DURATION and of.default else of.default


def _raw(
    provider: str, values: Mapping[str, Value], fields: Mapping[str, Field], sources: Sequence[Source]
) -> dict[str, Any]:
    """The fields as JSON: durations in seconds or days, sources with their absolute path."""
    raw: dict[str, Any] = {"provider": provider}
    for name, one in values.items():
        if fields[name].kind is Kind.DURATION:
            raw[name] = (
                f"{one.value.total_seconds():.3f}s"
                if one.value.total_seconds() < 90_000
                else _days(one.value)
            )
        elif fields[name].kind is Kind.SOURCE:
            raw[name] = next((str(source) for source in sources if source.field == name), one.value)
        else:
            raw[name] = one.value
    return raw


def _days(span: dt.timedelta) -> str:
    return f"{span.days}d{span.seconds}s"


def _with_field_names(
    error: PullkeyError, fields: Mapping[str, Field], values: Mapping[str, Value]
) -> tuple[str, str, str]:
    """An error about options in terms of the file's fields: what, fix, and the field that it is about."""
    by_option = {f"{name}-stdin" if one.kind is Kind.SOURCE else name: name for name, one in fields.items()}

    def renamed(text: str) -> str:
        return _OPTION.sub(lambda found: by_option.get(found[1], found[0]), text).rstrip(".")

    named = [by_option[option] for option in _OPTION.findall(error.what) if option in by_option]
    at = next((name for name in named if name in values), "")
    return renamed(error.what), renamed(error.fix), at


def _duplicates(entries: Sequence[Entry]) -> list[Fault]:
    """Targets with the same Akka secret: they would overwrite each other in every run."""
    seen: dict[str, Entry] = {}
    faults = []
    for one in entries:
        place = f"{one.scope.context}/{one.scope.place(one.secret_name)}"
        first = seen.setdefault(place, one)
        if first is not one:
            same = one.target.lock_key == first.target.lock_key
            what = (
                "the same target stands"
                if same
                else f"a target with the Akka secret {one.secret_name} stands"
            )
            faults.append(
                Fault(
                    one.place,
                    f"{what} in line {first.place.line} already, for the same Akka project",
                    "Leave one out" if same else "Set another secret-name for one of them",
                )
            )
    return faults


def _beyond_key_limit(entries: Sequence[Entry]) -> list[Fault]:
    """Targets beyond their identity's key limit: each needs its own key, which could never be created."""
    faults = []
    for sharing in of_one_identity(entries):
        limit = sharing[0].target.key_limit
        if limit is not None:
            what = f"{len(sharing)} targets use {limit.whose}, which can have {limit.at_most} keys"
            faults += [
                Fault(one.place, what, f"Give this one another {limit.another}")
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

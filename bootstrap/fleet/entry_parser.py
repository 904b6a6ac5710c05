"""Turns the values of one target of a file into an entry, or reports what is wrong with their meaning."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bootstrap.akka.scope import AkkaScope
from bootstrap.engine.lifetime import check_lifetime
from bootstrap.fleet import messages_file as messages
from bootstrap.fleet.entry import Entry
from bootstrap.fleet.fault import Fault, Place
from bootstrap.fleet.fields import PROVIDER, Field, Kind, own_fields, provider_named, target_fields
from bootstrap.fleet.secret_sources import Source
from bootstrap.fleet.validation import Group, Shape, Value
from bootstrap.model.credential import check_secret_name
from bootstrap.model.duration import parse_duration
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.typed_logins import ADDRESSES, refuse_login, refuse_login_in
from bootstrap.plugin.provider import Target
from bootstrap.plugin.unavailable import Unavailable, UnavailableTarget

_OPTION = re.compile(r"--([a-z][a-z-]*[a-z])")
SOURCES = "sources"
"""The key, among the values of a provider's options, of the list of secrets that have a source.

They are read when they are needed.
"""


def entry_of(shape: Shape, group: Group, number: int, base: Path, faults: list[Fault]) -> Entry | None:
    """Create the target of a group of values, or add what is wrong with them to `faults`.

    Args:
        shape: the whole file.
        group: the values of the target.
        number: its position in the file, from 1.
        base: the directory of relative `file:` sources.
        faults: those of the file so far.
    """
    of_provider = shape.of_providers.get(group.provider)
    read_values: dict[str, Value] = {
        **shape.defaults.values,
        **(of_provider.values if of_provider else {}),
        **group.values,
    }

    def at(name: str) -> Place:
        return read_values[name].place if name in read_values else group.place

    login = next((fault for name, one in read_values.items() if (fault := _login_in(name, one))), None)
    if login is not None:
        faults.append(login)
        return None
    provider = provider_named(group.provider)
    if isinstance(provider, Unavailable):
        return _unusable(group, number, provider, read_values)
    fields = target_fields(group.provider)
    values, sources = _option_values(group.provider, read_values, base, at, faults)
    try:
        target = provider.target(values)
    except PullkeyError as error:
        faults.append(_with_field_names(error, fields, read_values, group.place))
        return None
    secret_name = _value_of(read_values, "secret-name") or target.secret_name
    faults += _faults_of_lifetime(target, read_values, fields, values.get("expires_in"), at)
    try:
        check_secret_name(secret_name, where="secret-name")
    except UsageProblem as error:
        faults.append(messages.of_error(at("secret-name"), error))
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
        rotate_after=_value_of(read_values, "rotate-after"),
        keep_old=_duration_of(read_values, fields, "keep-old"),
        overlap=_duration_of(read_values, fields, "overlap"),
        places={name: one.place for name, one in read_values.items()},
    )


def _option_values(
    provider: str,
    read_values: Mapping[str, Value],
    base: Path,
    at: Callable[[str], Place],
    faults: list[Fault],
) -> tuple[dict[str, Any], list[Source]]:
    """The values of the provider's options, with those that the file does not set, and the secrets' sources.

    A source that is not valid is added to `faults`.
    """
    own = own_fields(provider)
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
                    faults.append(messages.of_error(at(one.name), error))
                values.setdefault(SOURCES, []).append(one.key)
    values["image"] = _value_of(read_values, "image")
    return values, sources


def _faults_of_lifetime(
    target: Target,
    read_values: Mapping[str, Value],
    fields: Mapping[str, Field],
    lasts: dt.timedelta | None,
    at: Callable[[str], Place],
) -> Iterator[Fault]:
    """What is wrong with how long the key lasts, and with when it is to be rotated.

    Args:
        target: whose key it is.
        read_values: those of the file.
        fields: of the target.
        lasts: the provider's `expires-in`; None if it has none.
        at: the place of a field.
    """
    try:
        check_lifetime(
            target,
            _duration_of(read_values, fields, "max-expires-in"),
            given="expires-in" in read_values,
            option="",
        )
    except UsageProblem as error:
        yield messages.of_error(at("expires-in"), error)
    rotate_after = _value_of(read_values, "rotate-after")
    if rotate_after == dt.timedelta():
        yield messages.never_kept(at("rotate-after"))
    elif rotate_after is not None and lasts is not None and rotate_after >= lasts:
        yield messages.expires_before_rotation(at("rotate-after"), rotate_after, lasts)


def _duration_of(read_values: Mapping[str, Value], fields: Mapping[str, Field], name: str) -> dt.timedelta:
    """A duration of the file, or else its field's default."""
    named: dt.timedelta | None = _value_of(read_values, name)
    return named if named is not None else parse_duration(fields[name].default or "0")


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


def _login_in(name: str, one: Value) -> Fault | None:
    """The fault that a value contains a user name or password, which the fault does not show."""
    if not isinstance(one.value, str):
        return None
    address = name.replace("-", "_") in ADDRESSES
    try:
        (refuse_login if address else refuse_login_in)(one.value, name)
    except UsageProblem as error:
        return messages.login_in_value(one.place, error, address=address)
    return None


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
    error: PullkeyError, fields: Mapping[str, Field], values: Mapping[str, Value], place: Place
) -> Fault:
    """The fault of an error about options, in terms of the file's fields.

    It is at the first of those fields that has a value, else at `place`.
    """
    by_option = {f"{name}-stdin" if one.kind is Kind.SOURCE else name: name for name, one in fields.items()}

    def renamed(text: str) -> str:
        return _OPTION.sub(lambda found: by_option.get(found[1], found[0]), text).rstrip(".")

    named = [by_option[option] for option in _OPTION.findall(error.what) if option in by_option]
    at = next((values[name].place for name in named if name in values), place)
    return Fault(at, renamed(error.what), renamed(error.fix), error.code)

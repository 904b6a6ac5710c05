"""The faults of a file of registries, each with its place and code: what is wrong, and the fix.

Those of a text that is not YAML are in `messages_yaml`, those of a file's policy in `messages_policy`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bootstrap.fleet.fault import Fault, Place, quoted
from bootstrap.fleet.fields import SOURCES
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_facts import KeyLimit

_NO_SECRET_HERE = f"This file holds no secrets: name where the secret is, as {SOURCES}"
_NO_LOGIN_HERE = (
    "A user name has a name of its own in the file, and a password is named by where it is (env:, "
    "file:, command:)"
)


# -- the file and its sections -------------------------------------------------------------------------------


def empty_file(place: Place) -> Fault:
    return Fault(place, "the file is empty", _BEGINNING)


_BEGINNING = "Begin with `version: 1` and `targets:`; see docs/fleet.md"


def not_a_file_of_registries(place: Place, kind: str) -> Fault:
    return Fault(place, f"version and targets are expected, and this is {kind}", _BEGINNING)


def version_missing(place: Place) -> Fault:
    return Fault(place, "version is missing", "Add the line `version: 1`")


def policy_missing(place: Place) -> Fault:
    return Fault(place, "policy is missing", "Add `policy:`, and below it what every target must observe")


def targets_missing(place: Place) -> Fault:
    return Fault(place, "targets is missing", "Add `targets:`, and below it a list of registries")


def version_unknown(place: Place, shown: str, known: int, *, newer: bool) -> Fault:
    return Fault(
        place,
        f"version {known} is expected, and this is {shown}",
        "It may be of a newer pullkey" if newer else f"Write `version: {known}`",
    )


def defaults_not_a_mapping(place: Place, kind: str) -> Fault:
    return Fault(
        place,
        f"defaults are names with values, and this is {kind}",
        "Leave `defaults:` out if it is empty",
    )


def section_not_a_mapping(place: Place, where: str, kind: str) -> Fault:
    """`where` names the section: `policy`, `defaults of gcr`."""
    return Fault(place, f"the {where} are names with values, and this is {kind}")


def of_other_providers(place: Place, name: str, owners: Sequence[str]) -> Fault:
    """A default that only the providers `owners` have."""
    return Fault(
        place,
        f"{quoted(name)} is an option of {' and '.join(owners)} only",
        f"Put it under `{owners[0]}:` in the defaults"
        if len(owners) == 1
        else f"Put it under the provider's name in the defaults, such as `{owners[0]}:`",
    )


def name_unknown(place: Place, name: str, where: str, near: Sequence[str], known: Sequence[str]) -> Fault:
    """`near` are the names of `known` that are close to `name`, the closest first."""
    fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}"
    return Fault(place, f"{quoted(name)} is not a valid name in {where}", fix)


def name_of_secret(place: Place, name: str, where: str) -> Fault:
    return Fault(
        place,
        f"{quoted(name)} is not a valid name in {where}, and looks like that of a secret",
        _NO_SECRET_HERE,
    )


# -- targets -------------------------------------------------------------------------------------------------


def targets_not_a_list(place: Place, kind: str) -> Fault:
    return Fault(place, f"targets are a list, and this is {kind}", "Begin each with `- provider: NAME`")


def no_targets(place: Place) -> Fault:
    return Fault(place, "targets is an empty list", "Begin each target with `- provider: NAME`")


def too_many_targets(place: Place, count: int, limit: int) -> Fault:
    return Fault(place, f"the file has {count} targets; the maximum is {limit}", "Split the file")


def target_not_a_mapping(place: Place, kind: str) -> Fault:
    return Fault(
        place, f"a target is names with values, and this is {kind}", "Begin it with `- provider: NAME`"
    )


def provider_missing(place: Place, names: Sequence[str]) -> Fault:
    return Fault(place, "provider is missing", f"It is one of {', '.join(names)}")


def one_of(place: Place, name: str, choices: Sequence[str], shown: str, near: str) -> Fault:
    """`shown` is the value, or its kind; `near` the closest of the choices, or ""."""
    return Fault(
        place,
        f"{name} is {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}, and this is {shown}",
        f"Did you mean {near}?" if near else "",
    )


def duplicate_target(place: Place, first: Place) -> Fault:
    return Fault(
        place,
        f"the same target is in line {first.line} already, for the same Akka project",
        "Leave one out",
    )


def duplicate_secret(place: Place, secret_name: str, first: Place) -> Fault:
    """Two targets have the same Akka secret: they would overwrite each other in every run."""
    return Fault(
        place,
        f"a target with the Akka secret {secret_name} is in line {first.line} already, for the same "
        "Akka project",
        "Set another secret-name for one of them",
    )


def beyond_key_limit(place: Place, targets: int, limit: KeyLimit) -> Fault:
    """`targets` is how many use the identity."""
    return Fault(
        place,
        f"{targets} targets use {limit.whose}, which can have {limit.at_most} keys",
        f"Give this one another {limit.another}",
    )


# -- values --------------------------------------------------------------------------------------------------


def value_missing(place: Place, name: str) -> Fault:
    return Fault(place, f"{name} has no value", "Set one, or leave the line out")


def not_a_switch(place: Place, name: str, shown: str, meant: str) -> Fault:
    """`meant` is `true` or `false` if the value is a word for it, else ""."""
    return Fault(place, f"{name} is true or false, and this is {shown}", f"Write {meant}" if meant else "")


def not_a_duration(place: Place, name: str, shown: str, days: str) -> Fault:
    """`days` is the value in days, as `90d`, if it can be a number of days, else ""."""
    return Fault(
        place,
        f"{name} is a time like 90d, 12h or 1h30m, and this is {shown}",
        f"Write {days} for days" if days else "",
    )


def not_a_source(place: Place, name: str) -> Fault:
    """The value may be the secret itself, so it is never shown."""
    return Fault(place, f"{name} is not a place for the {name} itself", _NO_SECRET_HERE)


def not_a_list(place: Place, name: str, kind: str) -> Fault:
    return Fault(place, f"{name} is a list, and this is {kind}", "Begin each line with `- `")


def empty_list(place: Place, name: str) -> Fault:
    return Fault(place, f"{name} is an empty list", "Leave the line out to allow all")


def not_a_text(place: Place, name: str, kind: str, fix: str) -> Fault:
    """`fix` is one of `IN_QUOTES`, `BY_COMMAS` and ""."""
    return Fault(place, f"{name} is a text, and this is {kind}", fix)


IN_QUOTES = "Put it in quotes"
BY_COMMAS = "Separate several by commas, in one text"


def looks_like_secret(place: Place, name: str) -> Fault:
    return Fault(place, f"the value of {name} looks like a secret", _NO_SECRET_HERE)


def text_too_long(place: Place, name: str, length: int, limit: int) -> Fault:
    return Fault(place, f"{name} is {length} characters long; the maximum is {limit}")


def unseen_character(place: Place, name: str) -> Fault:
    return Fault(
        place,
        f"{name} holds a line end or a character that cannot be seen",
        "Type it again, in one line",
    )


def begins_with_dash(place: Place, name: str) -> Fault:
    return Fault(place, f"{name} begins with a dash", "Was its value left out?")


def of_error(place: Place, error: PullkeyError) -> Fault:
    """The fault of a value that other code refused."""
    return Fault(place, error.what, error.fix, error.code)


def login_in_value(place: Place, error: PullkeyError, *, address: bool) -> Fault:
    """A user name or password is in a value; `address` is whether the value is a registry or image."""
    fix = f"Name the registry or image alone. {_NO_LOGIN_HERE}" if address else _NO_LOGIN_HERE
    return Fault(place, error.what, fix, error.code)


def never_kept(place: Place) -> Fault:
    return Fault(
        place, "rotate-after is 0, so the key would be replaced in every run", "Write it in days: 60d"
    )


def expires_before_rotation(place: Place, rotate_after: dt.timedelta, lifetime: dt.timedelta) -> Fault:
    return Fault(
        place,
        f"rotate-after ({rotate_after.days}d) is not shorter than expires-in ({lifetime.days}d), "
        "so keys would expire before they are replaced",
        "Set a shorter rotate-after",
    )

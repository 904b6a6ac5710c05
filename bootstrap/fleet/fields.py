"""The fields of a file of registries, derived from the options of the providers and the commands.

The parser and the JSON Schema both use them, so the two accept the same names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bootstrap.model.common_options import (
    ANYWAY,
    KEEP_OLD,
    MAX_EXPIRES_IN,
    OVERLAP,
    PROOF_IMAGE,
    REPLACE,
    SCOPE,
    SECRET_NAME,
)
from bootstrap.model.errors import UsageProblem
from bootstrap.model.option import Option
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.provider import Provider
from bootstrap.plugin.unavailable import Unavailable

MOST_TARGETS = 10_000
LONGEST_TEXT = 2_000
LONGEST_LIST = 65_536

DURATION = r"^(?:[0-9]{1,5}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)){1,3}$|^0$"
SOURCE = r"^(?:env:[A-Za-z_][A-Za-z0-9_]*$|file:.|command:.)"
# Characters that move a cursor, end a line or change the direction of text are not valid in a name.
ODD = "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]"  # noqa: E501
# Prefixes by which a secret is recognised: PEM, Google's key file, Docker Hub, GitHub, GitLab, a JSON web
# token, Azure's client secret.
A_SECRET = r'-----BEGIN|"?private_key"?\s*:|dckr_(?:pat|oat)_|gh[pousr]_[A-Za-z0-9]{16}|github_pat_|glpat-|eyJ[A-Za-z0-9_-]{8,}\.|[A-Za-z0-9]{3}8Q~'  # noqa: E501, S105
SECRET_NAMES = re.compile(
    r"passw|token|secret(?!-name)|(?:^|[-_])key$|private[-_]?key|credential|login|auth[-_]?config",
    re.IGNORECASE,
)
SOURCES = "env:NAME, file:PATH or command:PROGRAM ARGUMENTS"


class Kind(StrEnum):
    """How a value is read."""

    TEXT = "text"
    SWITCH = "switch"
    DURATION = "duration"
    CHOICE = "choice"
    SOURCE = "source"  # where a secret comes from
    TEXTS = "texts"  # a list of texts


@dataclass(frozen=True)
class Field:
    """One field of a file.

    Attributes:
        key: its name in the rest of pullkey: `gcp_project`, `password_stdin`.
        longest: the maximum length of a text, in characters.
    """

    name: str
    key: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    longest: int = LONGEST_TEXT


_KINDS = {"text": Kind.TEXT, "switch": Kind.SWITCH, "duration": Kind.DURATION, "secret": Kind.SOURCE}
_SECRET_OPTION = "-stdin"  # noqa: S105  - the end of an option's name


def _field(option: Option) -> Field:
    name, help_text = option.name.removeprefix("--"), option.help
    if option.kind == "secret":
        name = name.removesuffix(_SECRET_OPTION)
        help_text = f"Where the {name} is to be read when it is needed: {SOURCES}. Never the {name} itself."
    kind = Kind.CHOICE if option.choices else _KINDS[option.kind]
    longest = LONGEST_LIST if name == "repository" else LONGEST_TEXT
    default = option.default_in_file or option.default
    return Field(name, option.key, kind, help_text, option.choices, default, longest)


_ROTATE_AFTER = Field(
    "rotate-after",
    "rotate_after",
    Kind.DURATION,
    "The age at which a key is due to be replaced; else where a third of its life is left, or, "
    "where it lasts more than five years or has no expiry, at 90 days.",
)
_MAX_EXPIRES_IN = _field(MAX_EXPIRES_IN)
_REMOVE = Field("remove", "remove", Kind.SWITCH, "Remove it: `apply` offboards it, with its cloud resources.")
# Often the same for many targets, so it is valid under `defaults` too.
POLICY = (*map(_field, (*SCOPE, KEEP_OLD, OVERLAP)), _ROTATE_AFTER, _MAX_EXPIRES_IN)
COMMON = (*map(_field, (SECRET_NAME, PROOF_IMAGE, REPLACE, ANYWAY)), *POLICY, _REMOVE)
PROVIDER = "provider"
# What stands under `policy`; see `policy.Policy`.
RULES = (
    Field(
        "max-lifetime",
        "max_lifetime",
        Kind.DURATION,
        "The longest lifetime of a key that is created; each must have expires-in, or a default of that.",
    ),
    Field(
        "require-expiry", "require_expiry", Kind.SWITCH, "Every key must expire, at a time that can be seen."
    ),
    Field(
        "allowed-roles",
        "allowed_roles",
        Kind.TEXTS,
        "The roles that a target may grant, where its provider has `role`; * matches any text.",
    ),
    Field(
        "allowed-hosts",
        "allowed_hosts",
        Kind.TEXTS,
        "The hosts of the registries; * matches any text.",
    ),
    Field(
        "identity",
        "identity",
        Kind.CHOICE,
        "No two registries may share an identity.",
        choices=("per-registry",),
    ),
)


@functools.cache
def provider_names() -> tuple[str, ...]:
    """The names of the installed providers; looked up once, since each target needs them."""
    return tuple(plugins.names())


@functools.cache
def provider_named(name: str) -> Provider:
    """A provider by its name, looked up once; `Unavailable` if it cannot be used."""
    try:
        return plugins.load(name)
    except UsageProblem as error:
        if name not in plugins.names():
            raise
        return Unavailable(name, error)


def is_usable(provider: str) -> bool:
    """Whether an installed provider can be used; the fields of one that cannot are not known."""
    return not isinstance(provider_named(provider), Unavailable)


@functools.cache
def own_fields(provider: str) -> Mapping[str, Field]:
    """The fields of a provider's own options, by name; none of one that cannot be used."""
    taken = {field.name for field in COMMON} | {PROVIDER}
    fields = [_field(option) for option in provider_named(provider).options]
    return {field.name: field for field in fields if field.name not in taken}


@functools.cache
def target_fields(provider: str) -> Mapping[str, Field]:
    """The fields of a target of this provider, without `provider` itself."""
    return {**own_fields(provider), **{field.name: field for field in COMMON}}


@functools.cache
def default_fields() -> Mapping[str, Field]:
    """The fields under `defaults` for targets of every provider."""
    return {field.name: field for field in POLICY}

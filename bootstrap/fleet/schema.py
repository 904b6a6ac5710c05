"""The JSON Schema of a file of registries, for editors: it accepts what `validation` accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.fleet.fields import (
    A_SECRET,
    DURATION,
    MOST_TARGETS,
    ODD,
    PROVIDER,
    RULES,
    SOURCE,
    SOURCES,
    Field,
    Kind,
    default_fields,
    own_fields,
    target_fields,
)
from bootstrap.model.schema_version import schema_id
from bootstrap.plugin import entry_points as plugins

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1


def registries_schema() -> dict[str, Any]:
    """The schema; names and descriptions are those of the options."""
    providers = [one.name for one in plugins.loaded()]
    return {
        "$schema": _DRAFT,
        "$id": schema_id("registries"),
        "title": "Registries that Akka is to pull from (pullkey)",
        "description": "See `pullkey plan -f FILE`. It holds no secret.",
        "type": "object",
        "properties": {
            "version": {"const": VERSION, "description": "Of this format."},
            "policy": _section(
                {one.name: one for one in RULES},
                "What every target must observe; one that does not is an error.",
            ),
            "defaults": {
                "type": "object",
                "description": "What holds for each target that does not say otherwise.",
                "properties": {
                    **_properties(default_fields()),
                    **{
                        name: _section(own_fields(name), f"For targets of {name} only.") for name in providers
                    },
                },
                "additionalProperties": False,
            },
            "targets": {
                "type": "array",
                "description": "One registry for one Akka project each.",
                "minItems": 1,
                "maxItems": MOST_TARGETS,
                "items": {
                    "type": "object",
                    "properties": {PROVIDER: {"enum": providers, "description": "The kind of registry."}},
                    "required": [PROVIDER],
                    "allOf": [_when(name) for name in providers],
                },
            },
        },
        "required": ["version", "targets"],
        "additionalProperties": False,
    }


def _when(provider: str) -> dict[str, Any]:
    own = _section(target_fields(provider), "")
    own["properties"] = {PROVIDER: {"const": provider}, **own["properties"]}
    return {"if": {"properties": {PROVIDER: {"const": provider}}, "required": [PROVIDER]}, "then": own}


def _section(fields: Mapping[str, Field], about: str) -> dict[str, Any]:
    description = {"description": about} if about else {}
    return {"type": "object", **description, "properties": _properties(fields), "additionalProperties": False}


def _properties(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {name: _property(field) for name, field in fields.items()}


def _property(field: Field) -> dict[str, Any]:
    about: dict[str, Any] = {"description": field.help}
    if field.default is not None:
        about["default"] = field.default
    match field.kind:
        case Kind.SWITCH:
            return {"type": "boolean", **about}
        case Kind.CHOICE:
            return {"enum": list(field.choices), **about}
        case Kind.DURATION:
            return {
                "anyOf": [{"type": "string", "pattern": DURATION, "not": {"pattern": ODD}}, {"const": 0}],
                "examples": ["90d"],
                **about,
            }
        case Kind.SOURCE:
            return {
                **_text(field),
                "pattern": SOURCE,
                "examples": [
                    f"env:{field.name.upper().replace('-', '_')}",
                    f"file:/run/secrets/{field.name}",
                ],
                "errorMessage": f"Name where it is: {SOURCES}",
                **about,
            }
        case Kind.TEXT:
            return {**_text(field), **about}
        case Kind.TEXTS:
            return {"type": "array", "minItems": 1, "items": _text(field), **about}


def _text(field: Field) -> dict[str, Any]:
    refused = {"anyOf": [{"pattern": r"^-"}, {"pattern": ODD}, {"pattern": A_SECRET}]}
    return {"type": "string", "minLength": 1, "maxLength": field.longest, "not": refused}

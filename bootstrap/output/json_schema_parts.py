"""What the JSON Schemas of `--output json` have in common."""

from __future__ import annotations

from typing import Any


def object_of(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with at least these properties; later versions may add more."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": True,
    }


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
OLD_NAME_OF_FIX = {**TEXT_OR_NULL, "deprecated": True, "description": "The same as `fix`."}
TEXTS = list_of(TEXT)
EXIT_CODE = {"enum": [0, 1, 2, 3, 4, 5, 6, 130]}


def akka_with(more: dict[str, Any]) -> dict[str, Any]:
    """An Akka project, with more properties."""
    found = object_of({**_OF_AKKA, **more})
    context = {**TEXT, "description": "The context of the Akka CLI; only where one is named."}
    return {**found, "properties": {**found["properties"], "context": context}}


_OF_AKKA = {
    "project": {
        **TEXT_OR_NULL,
        "description": "The Akka project; the CLI's current one where none is named.",
    },
    "owner": {**TEXT_OR_NULL, "description": "The organization or user that owns the project."},
    "region": TEXT_OR_NULL,
    "user": {**TEXT_OR_NULL, "description": "Who is logged in to Akka."},
}
AKKA = akka_with({})
AKKA_SECRET = akka_with({"secret_name": TEXT})
CODE = {**TEXT, "description": "The stable code of the situation, as `pullkey explain` takes it."}
LEFT_OVER = list_of(object_of({"code": CODE, "what": TEXT, "command": TEXT}))
ERROR_OBJECT = object_of({"code": CODE, "what": TEXT, "fix": TEXT, "mend": OLD_NAME_OF_FIX})
ERROR = {"oneOf": [{"type": "null"}, ERROR_OBJECT]}
MOMENT = {"type": ["string", "null"], "format": "date-time"}
KEY = {
    "oneOf": [
        {"type": "null"},
        object_of({"id": TEXT, "created": MOMENT, "ends": MOMENT, "disabled": {"type": "boolean"}}),
    ]
}
PROBLEMS = list_of(
    object_of(
        {
            "code": CODE,
            "kind": {"enum": ["right", "policy", "limit", "setup", "question"]},
            "what": TEXT,
            "fix": TEXT_OR_NULL,
            "mend": OLD_NAME_OF_FIX,
            "step": TEXT_OR_NULL,
            "permission": TEXT_OR_NULL,
        }
    )
)
FAULTS = list_of(
    object_of(
        {
            "file": {**TEXT, "description": "The file that it is in: of registries, or of a policy."},
            "line": {"type": "integer"},
            "column": {"type": "integer"},
            "code": CODE,
            "what": TEXT,
            "fix": TEXT,
            "mend": OLD_NAME_OF_FIX,
        }
    )
)

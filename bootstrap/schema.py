"""The JSON Schema of what `--output json` prints.

Names are never removed or changed within one `schema_version`; new ones may come.
"""

from __future__ import annotations

from typing import Any


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}


def run_schema() -> dict[str, Any]:
    """The object that `onboard`, `plan` and `verify` print."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One run of pullkey for one target",
        **_object({
            "schema_version": {"const": 1},
            "command": {"enum": ["onboard", "plan", "verify"]},
            "result": {"enum": ["done", "unchanged", "unneeded", "planned", "verified", "drift", "refused", "failed", "interrupted"]},
            "exit_code": {"enum": [0, 1, 2, 3, 5, 6, 130]},
            "changed": {"type": "boolean", "description": "Whether something is different now because of this run."},
            "proven": {**_TEXT_OR_NULL, "description": "What the handshake has shown, or null if there was none."},
            "provider": _TEXT,
            "registry": {**_TEXT, "description": "The registry as a person names it."},
            "as": {**_TEXT_OR_NULL, "description": "Who is logged in to the cloud."},
            "akka": _object({"project": _TEXT_OR_NULL, "owner": _TEXT_OR_NULL, "region": _TEXT_OR_NULL, "secret_name": _TEXT}),
            "credential": {
                "oneOf": [
                    {"type": "null"},
                    _object({"server": _TEXT, "username": _TEXT_OR_NULL, "email": _TEXT_OR_NULL, "key_id": _TEXT_OR_NULL, "ends": _TEXT_OR_NULL}),
                ],
                "description": "What Akka is given, without its password.",
            },
            "steps": _list(_object({
                "name": _TEXT,
                "title": _TEXT,
                "state": {"enum": ["done", "missing", "unseen"], "description": "What was seen before anything was changed."},
                "reason": _TEXT,
                "result": {"enum": ["kept", "planned", "done", "skipped", "failed", "undone"]},
                "detail": _TEXT,
                "seconds": {"type": "number"},
                "command": {**_TEXT, "description": "What a person would type instead."},
            })),
            "problems": _list(_object({
                "kind": {"enum": ["right", "policy", "limit", "setup", "question"]},
                "what": _TEXT,
                "mend": _TEXT_OR_NULL,
                "step": _TEXT_OR_NULL,
                "permission": _TEXT_OR_NULL,
            })),
            "notices": _list(_TEXT),
            "undone": _list(_TEXT),
            "left_over": _list(_object({"what": _TEXT, "command": _TEXT})),
            "error": {"oneOf": [{"type": "null"}, _object({"what": _TEXT, "mend": _TEXT})]},
        }),
    }  # fmt: skip

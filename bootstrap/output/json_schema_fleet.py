"""The JSON Schemas of commands for a file of registries."""

from __future__ import annotations

from typing import Any

from bootstrap.output.json_schema_credentials import credential
from bootstrap.output.json_schema_parts import (
    AKKA_SECRET,
    ERROR,
    EXIT_CODE,
    FAULTS,
    LEFT_OVER,
    PROBLEMS,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    list_of,
    object_of,
)


def pace() -> dict[str, Any]:
    quota = {
        "seconds": {
            "type": "integer",
            "description": "How long the calls that it counts take at least; 0 if none has to wait.",
        },
        "api": TEXT,
        "limit": {**TEXT, "description": "As documented."},
        "place": {**TEXT, "description": "Whose quota it is."},
        "calls": {"type": "integer", "description": "How many the plan takes of it, at least."},
        "source": {**TEXT, "description": "The address of the documentation."},
    }
    about = "The quota that allows the plan the least; null if it changes nothing, or if none is documented."
    return {"description": about, "anyOf": [{"type": "null"}, object_of(quota)]}


def of_a_file(commands: list[str], target: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"enum": commands},
            "file": {**TEXT, "description": "The file of registries, also of a saved plan."},
            "exit_code": EXIT_CODE,
            **more,
            "targets": {**list_of(target), "description": "In the order of the file."},
        }
    )


def planned() -> dict[str, Any]:
    return object_of(
        {
            **_target(),
            "action": {
                "enum": ["create", "replace", "rotate", "repair", "remove", "keep", "postponed", "blocked"]
            },
            "reasons": {**TEXTS, "description": "Why."},
            "drift": {**TEXTS, "description": "What has drifted."},
            "steps": {
                **list_of(object_of({"name": TEXT, "title": TEXT})),
                "description": "What is to be done.",
            },
            "key_id": {
                **TEXT_OR_NULL,
                "description": "The key that Akka holds; of what was done, the one that it holds now.",
            },
            "problems": PROBLEMS,
            "notices": TEXTS,
            "left_over": {
                **LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
        }
    )


def ended() -> dict[str, Any]:
    return object_of(
        {
            **planned()["properties"],
            "result": {
                "enum": [
                    "done",
                    "unchanged",
                    "unneeded",
                    "postponed",
                    "drift",
                    "refused",
                    "failed",
                    "interrupted",
                    "not-begun",
                ]
            },
            "exit_code": EXIT_CODE,
            "changed": {"type": "boolean"},
            "proven": {
                **TEXT_OR_NULL,
                "description": "What the handshake has shown of a pull: a manifest that was read, or a tag "
                "found "
                "missing in a repository that exists; else null.",
            },
            "detail": TEXT_OR_NULL,
            "seconds": {"type": "number"},
            "undone": TEXTS,
            "left_over": LEFT_OVER,
            "error": ERROR,
        }
    )


def listed() -> dict[str, Any]:
    return object_of(
        {
            **_target(),
            "state": {"enum": ["ok", "wrong", "unseen", "brought", "not-ours", "gone"]},
            "wrong": TEXTS,
            "not_seen": TEXTS,
            "left_over": {
                **LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
            "credential": {
                "oneOf": [{"type": "null"}, credential()],
                "description": "What Akka has of it, or null.",
            },
        }
    )


def _target() -> dict[str, Any]:
    return {
        "name": {
            **TEXT,
            "description": "PROJECT/SECRET, by which --only knows it; in full where several have it.",
        },
        "line": {"type": "integer", "description": "Its place in the file."},
        "provider": TEXT,
        "registry": TEXT,
        "akka": AKKA_SECRET,
    }


def validated() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "validate"},
            "exit_code": EXIT_CODE,
            "files": list_of(
                object_of(
                    {
                        "file": TEXT,
                        "valid": {"type": "boolean"},
                        "targets": {
                            "type": ["integer", "null"],
                            "description": "How many it has; null if it is not valid.",
                        },
                        "faults": {**FAULTS, "description": "Its mistakes, in the order of the file."},
                        "error": ERROR,
                    }
                )
            ),
        }
    )


def imported() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "import"},
            "exit_code": EXIT_CODE,
            "file": {**TEXT_OR_NULL, "description": "Where the file of registries was written."},
            "text": {**TEXT, "description": "The file of registries, as it was written."},
            "targets": list_of(
                object_of(
                    {
                        "secret_name": TEXT,
                        "akka_project": TEXT_OR_NULL,
                        "akka_owner": {**TEXT_OR_NULL, "description": "null: the project's name is enough."},
                        "akka_context": {**TEXT_OR_NULL, "description": "The context that was named."},
                        "provider": TEXT,
                        "server": TEXT,
                        "missing": {
                            **TEXTS,
                            "description": "What is to complete by hand, before `apply` can work on it.",
                        },
                        "notes": TEXTS,
                    }
                )
            ),
            "not_seen": {
                **TEXTS,
                "description": "The Akka projects that could not be read, each with the reason.",
            },
        }
    )

"""The JSON Schemas of commands for one target, or for the credentials of a project one after another."""

from __future__ import annotations

from typing import Any

from bootstrap.output.json_schema_parts import (
    AKKA_SECRET,
    CODE,
    ERROR,
    EXIT_CODE,
    LEFT_OVER,
    OLD_NAME_OF_FIX,
    PROBLEMS,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    list_of,
    object_of,
)


def run() -> dict[str, Any]:
    """The object that `onboard`, `plan` and `verify` print, and `rotate` for each credential."""
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"enum": ["onboard", "plan", "verify", "rotate"]},
            "result": {
                "enum": [
                    "done",
                    "unchanged",
                    "unneeded",
                    "planned",
                    "verified",
                    "drift",
                    "refused",
                    "failed",
                    "interrupted",
                ]
            },
            "exit_code": EXIT_CODE,
            "changed": {
                "type": "boolean",
                "description": "Whether something is different now because of this run.",
            },
            "proven": {
                **TEXT_OR_NULL,
                "description": "What the handshake has shown of a pull: a manifest that was read, or a tag "
                "found "
                "missing in a repository that exists; else null.",
            },
            "provider": TEXT,
            "registry": {**TEXT, "description": "The registry as you would name it."},
            "as": {**TEXT_OR_NULL, "description": "Who is logged in to the cloud."},
            "akka": AKKA_SECRET,
            "credential": {
                "oneOf": [
                    {"type": "null"},
                    object_of(
                        {
                            "server": TEXT,
                            "username": TEXT_OR_NULL,
                            "email": TEXT_OR_NULL,
                            "key_id": TEXT_OR_NULL,
                            "ends": TEXT_OR_NULL,
                        }
                    ),
                ],
                "description": "What Akka is given, without its password.",
            },
            "steps": list_of(
                object_of(
                    {
                        "name": TEXT,
                        "title": TEXT,
                        "state": {
                            "enum": ["done", "missing", "unseen"],
                            "description": "What was seen before anything was changed.",
                        },
                        "reason": TEXT,
                        "result": {"enum": ["kept", "planned", "done", "skipped", "failed", "undone"]},
                        "detail": TEXT,
                        "seconds": {"type": "number"},
                        "command": {**TEXT, "description": "The command to type instead."},
                    }
                )
            ),
            "problems": PROBLEMS,
            "notices": TEXTS,
            "warnings": {
                **TEXTS,
                "description": "Those of the notices that say that more is granted, or for longer, than is "
                "needed.",
            },
            "services_without_image": {
                **TEXTS,
                "description": "The services of the Akka project that could not pull before, for want of "
                "what was "
                "registered.",
            },
            "undone": TEXTS,
            "left_over": LEFT_OVER,
            "error": ERROR,
        }
    )


def results(command: str, one: dict[str, Any]) -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": command},
            "exit_code": EXIT_CODE,
            "results": {
                **list_of(one),
                "description": "One a credential, in the order in which they were done.",
            },
            "errors": {
                **list_of(
                    object_of(
                        {
                            "name": TEXT,
                            "exit_code": EXIT_CODE,
                            "code": CODE,
                            "what": TEXT,
                            "fix": TEXT,
                            "mend": OLD_NAME_OF_FIX,
                        }
                    )
                ),
                "description": "The credentials that could not even be begun with.",
            },
            "left_over": {
                **LEFT_OVER,
                "description": "What is there of a name that Akka lists no credential of.",
            },
        }
    )


def offboarding() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "offboard"},
            "result": {"enum": ["done", "unchanged", "planned", "refused", "failed", "interrupted"]},
            "exit_code": EXIT_CODE,
            "changed": {"type": "boolean"},
            "provider": TEXT,
            "registry": TEXT,
            "akka": AKKA_SECRET,
            "things": list_of(
                object_of(
                    {
                        "name": TEXT,
                        "what": TEXT,
                        "fate": {
                            "enum": ["remove", "keep", "gone", "unseen"],
                            "description": "What is to become of it, as seen before anything was changed.",
                        },
                        "why": {**TEXT_OR_NULL, "description": "Why it stays."},
                        "command": {**TEXT_OR_NULL, "description": "What removes it by hand."},
                        "result": {"enum": ["removed", "failed", "left over", None]},
                        "detail": TEXT_OR_NULL,
                    }
                )
            ),
            "notices": TEXTS,
            "left_over": LEFT_OVER,
            "error": ERROR,
        }
    )


def service() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "verify-service"},
            "exit_code": EXIT_CODE,
            "service": object_of({"name": TEXT, "image": TEXT, "status": TEXT_OR_NULL}),
            "pull_failures": list_of(object_of({"reason": TEXT, "message": TEXT_OR_NULL})),
            "problem": TEXT_OR_NULL,
            "problem_code": {
                "oneOf": [{"type": "null"}, CODE],
                "description": "Of the problem, where it is an error.",
            },
            "verification": {
                "oneOf": [{"type": "null"}, run()],
                "description": "The credential for the image; null if Akka has none, or none of pullkey's.",
            },
        }
    )


def survey(error: dict[str, Any]) -> dict[str, Any]:
    """What `onboard --from-project` prints; `error` is the document of a command that ended early."""
    service = object_of({"name": TEXT, "image": TEXT, "pull_failure": TEXT_OR_NULL})
    registry = object_of(
        {
            "registry": {
                **TEXT,
                "description": "The beginning of the names of the images that one credential is for.",
            },
            "provider": TEXT_OR_NULL,
            "credential_state": {
                "enum": ["ok", "external", "unverified", "wrong", "missing", "public", "akka", "unknown"]
            },
            "credential": TEXT_OR_NULL,
            "problems": TEXTS,
            "services": list_of(service),
            "exit_code": {
                "oneOf": [{"type": "null"}, EXIT_CODE],
                "description": "Of its onboarding, where there was one.",
            },
            "onboarding": {
                "oneOf": [{"type": "null"}, run(), error],
                "description": "What `pullkey onboard` prints of it, where there was one.",
            },
        }
    )
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "from-project"},
            "exit_code": EXIT_CODE,
            "registries": list_of(registry),
        }
    )

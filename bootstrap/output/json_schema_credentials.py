"""The JSON Schemas of `pullkey list` and of a credential in it."""

from __future__ import annotations

from typing import Any

from bootstrap.output.json_schema_parts import (
    AKKA,
    ERROR,
    EXIT_CODE,
    KEY,
    LEFT_OVER,
    MOMENT,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    akka_with,
    list_of,
    object_of,
)


def listing() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "list"},
            "exit_code": EXIT_CODE,
            "akka": AKKA,
            "credentials": list_of(object_of({**credential()["properties"], "akka": AKKA})),
            "left_over": {
                **LEFT_OVER,
                "description": "What earlier runs have left over of credentials that Akka does not list any "
                "more.",
            },
            "projects_not_read": {
                **list_of(akka_with({"error": ERROR})),
                "description": "With `--all-projects`: those that do not show their credentials to this "
                "login, "
                "and why.",
            },
        }
    )


def credential() -> dict[str, Any]:
    return object_of(
        {
            "name": {**TEXT, "description": "The name of the Akka secret."},
            "state": {"enum": ["ok", "wrong", "unseen", "brought", "not-ours"]},
            "provider": TEXT,
            "registry": TEXT_OR_NULL,
            "server": TEXT,
            "username": TEXT,
            "email": TEXT,
            "status": TEXT_OR_NULL,
            "regions_behind": {**TEXT_OR_NULL, "description": "The regions that show something else."},
            "identity": TEXT_OR_NULL,
            "grant": {"enum": ["in place", "missing", None]},
            "right": {
                **TEXT_OR_NULL,
                "description": "What the grant is, and on what; null if the key itself carries the "
                "permission, or "
                "nothing is known.",
            },
            "key_id": {**TEXT_OR_NULL, "description": "The key that Akka holds, by its record."},
            "key": {
                **KEY,
                "description": "What the cloud shows of it; null if it was deleted or could not be read.",
            },
            "expiry": {
                "enum": ["date", "never", "unknown"],
                "description": "Whether the key expires: on the date in `key`, never, or unknown, as of a "
                "password that the user supplied.",
            },
            "replaced_key": {**KEY, "description": "The key before it, where that is still there."},
            "due": {**TEXT_OR_NULL, "description": "Why `pullkey rotate --due` would replace it."},
            "due_on": {**MOMENT, "description": "From when on it is due."},
            "last_pulled": {**MOMENT, "description": "When this machine last saw it pull."},
            "wrong": TEXTS,
            "not_seen": TEXTS,
            "notes": TEXTS,
            "left_over": {
                **LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
        }
    )

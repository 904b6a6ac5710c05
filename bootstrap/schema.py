"""The JSON Schemas of what `--output json` prints, by what they describe.

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


_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}


_TEXTS = _list(_TEXT)
_EXIT_CODE = {"enum": [0, 1, 2, 3, 4, 5, 6, 130]}
_AKKA = _object({"project": _TEXT_OR_NULL, "owner": _TEXT_OR_NULL, "region": _TEXT_OR_NULL})
_AKKA_SECRET = _object({**_AKKA["properties"], "secret_name": _TEXT})
_LEFT_OVER = _list(_object({"what": _TEXT, "command": _TEXT}))
_ERROR = {"oneOf": [{"type": "null"}, _object({"what": _TEXT, "mend": _TEXT})]}
_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_KEY = {"oneOf": [{"type": "null"}, _object({"id": _TEXT, "created": _MOMENT, "ends": _MOMENT, "disabled": {"type": "boolean"}})]}  # fmt: skip
_PROBLEMS = _list(_object({
    "kind": {"enum": ["right", "policy", "limit", "setup", "question"]},
    "what": _TEXT,
    "mend": _TEXT_OR_NULL,
    "step": _TEXT_OR_NULL,
    "permission": _TEXT_OR_NULL,
}))  # fmt: skip


def schemas() -> dict[str, dict[str, Any]]:
    """Each schema, by the name that `pullkey schema` takes."""
    return {
        "run": _titled("One run of pullkey for one target", _run()),
        "rotate": _titled("What pullkey rotate has done", _results("rotate", _run())),
        "offboard": _titled("What pullkey offboard has done", _results("offboard", _offboarding())),
        "list": _titled("What pullkey list shows", _listing()),
        "doctor": _titled("What pullkey doctor has seen", _checks()),
        "fleet-plan": _titled("What pullkey plan -f shows", _of_a_file(["plan"], _fleet_planned())),
        "fleet-apply": _titled(
            "What pullkey apply, rotate -f and offboard -f have done",
            _of_a_file(["apply", "rotate", "offboard"], _fleet_ended()),
        ),
        "fleet-list": _titled("What pullkey list -f shows", _of_a_file(["list"], _fleet_listed())),
    }


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DRAFT, "title": title, **schema}


def _results(command: str, one: dict[str, Any]) -> dict[str, Any]:
    return _object({
        "schema_version": {"const": 1},
        "command": {"const": command},
        "exit_code": _EXIT_CODE,
        "results": {**_list(one), "description": "One a credential, in the order in which they were done."},
        "left_over": {**_LEFT_OVER, "description": "What is there of a name that Akka lists no credential of."},
    })  # fmt: skip


def _offboarding() -> dict[str, Any]:
    return _object({
        "schema_version": {"const": 1},
        "command": {"const": "offboard"},
        "result": {"enum": ["done", "unchanged", "planned", "refused", "failed", "interrupted"]},
        "exit_code": _EXIT_CODE,
        "changed": {"type": "boolean"},
        "provider": _TEXT,
        "registry": _TEXT,
        "akka": _AKKA_SECRET,
        "things": _list(_object({
            "name": _TEXT,
            "what": _TEXT,
            "fate": {"enum": ["remove", "keep", "gone", "unseen"], "description": "What is to become of it, as seen before anything was changed."},
            "why": {**_TEXT_OR_NULL, "description": "Why it stays."},
            "command": {**_TEXT_OR_NULL, "description": "What removes it by hand."},
            "result": {"enum": ["removed", "failed", "left over", None]},
            "detail": _TEXT_OR_NULL,
        })),
        "notices": _TEXTS,
        "left_over": _LEFT_OVER,
        "error": _ERROR,
    })  # fmt: skip


def _of_a_file(commands: list[str], target: dict[str, Any]) -> dict[str, Any]:
    return _object({
        "schema_version": {"const": 1},
        "command": {"enum": commands},
        "file": {**_TEXT, "description": "The file of registries, or the saved plan."},
        "exit_code": _EXIT_CODE,
        "targets": {**_list(target), "description": "In the order of the file."},
    })  # fmt: skip


def _fleet_target() -> dict[str, Any]:
    return {
        "name": {**_TEXT, "description": "PROJECT/SECRET, by which --only knows it."},
        "line": {"type": "integer", "description": "Where it stands in the file."},
        "provider": _TEXT,
        "registry": _TEXT,
        "akka": _AKKA_SECRET,
    }


def _fleet_planned() -> dict[str, Any]:
    return _object({
        **_fleet_target(),
        "action": {"enum": ["create", "replace", "rotate", "repair", "remove", "keep", "blocked"]},
        "reasons": {**_TEXTS, "description": "Why."},
        "drift": {**_TEXTS, "description": "What is not as it was left."},
        "steps": {**_list(_object({"name": _TEXT, "title": _TEXT})), "description": "What is to be done."},
        "key_id": {**_TEXT_OR_NULL, "description": "The key that Akka holds; of what was done, the one that it holds now."},
        "problems": _PROBLEMS,
        "notices": _TEXTS,
    })  # fmt: skip


def _fleet_ended() -> dict[str, Any]:
    return _object({
        **_fleet_planned()["properties"],
        "result": {"enum": ["done", "unchanged", "unneeded", "refused", "failed", "interrupted", "not-begun"]},
        "exit_code": _EXIT_CODE,
        "changed": {"type": "boolean"},
        "proven": {**_TEXT_OR_NULL, "description": "What the handshake has shown, or null if there was none."},
        "detail": _TEXT_OR_NULL,
        "seconds": {"type": "number"},
        "undone": _TEXTS,
        "left_over": _LEFT_OVER,
        "error": _ERROR,
    })  # fmt: skip


def _fleet_listed() -> dict[str, Any]:
    return _object({
        **_fleet_target(),
        "state": {"enum": ["ok", "wrong", "unseen", "brought", "not-ours", "gone"]},
        "wrong": _TEXTS,
        "not_seen": _TEXTS,
        "credential": {"oneOf": [{"type": "null"}, _credential()], "description": "What Akka has of it, or null."},
    })  # fmt: skip


def _listing() -> dict[str, Any]:
    return _object({
        "schema_version": {"const": 1},
        "command": {"const": "list"},
        "exit_code": _EXIT_CODE,
        "akka": _AKKA,
        "credentials": _list(_credential()),
    })  # fmt: skip


def _credential() -> dict[str, Any]:
    return _object({
        "name": {**_TEXT, "description": "The name of the Akka secret."},
        "state": {"enum": ["ok", "wrong", "unseen", "brought", "not-ours"]},
        "provider": _TEXT,
        "registry": _TEXT_OR_NULL,
        "server": _TEXT,
        "username": _TEXT,
        "email": _TEXT,
        "status": _TEXT_OR_NULL,
        "regions_behind": {**_TEXT_OR_NULL, "description": "The regions that show something else."},
        "identity": _TEXT_OR_NULL,
        "grant": {"enum": ["in place", "missing", None]},
        "right": {**_TEXT_OR_NULL, "description": "What the grant is, and on what; null where the key itself has the right, or nothing is known."},
        "key_id": {**_TEXT_OR_NULL, "description": "The key that Akka holds, by its record."},
        "key": {**_KEY, "description": "What the cloud shows of it; null if it is gone, or could not be seen."},
        "replaced_key": {**_KEY, "description": "The key before it, where that is still there."},
        "due": {**_TEXT_OR_NULL, "description": "Why `pullkey rotate --due` would replace it."},
        "due_on": {**_MOMENT, "description": "From when on it is due."},
        "last_pulled": {**_MOMENT, "description": "When this machine last saw it pull."},
        "wrong": _TEXTS,
        "not_seen": _TEXTS,
        "notes": _TEXTS,
    })  # fmt: skip


def _checks() -> dict[str, Any]:
    return _object({
        "schema_version": {"const": 1},
        "command": {"const": "doctor"},
        "exit_code": _EXIT_CODE,
        "checks": _list(_object({
            "about": _TEXT,
            "what": _TEXT,
            "good": {"type": ["boolean", "null"], "description": "null: to know, neither good nor bad."},
            "detail": _TEXT,
            "mend": _TEXT_OR_NULL,
        })),
    })  # fmt: skip


def _run() -> dict[str, Any]:
    """The object that `onboard`, `plan` and `verify` print, and `rotate` for each credential."""
    return _object({
        "schema_version": {"const": 1},
        "command": {"enum": ["onboard", "plan", "verify", "rotate"]},
        "result": {"enum": ["done", "unchanged", "unneeded", "planned", "verified", "drift", "refused", "failed", "interrupted"]},
        "exit_code": _EXIT_CODE,
        "changed": {"type": "boolean", "description": "Whether something is different now because of this run."},
        "proven": {**_TEXT_OR_NULL, "description": "What the handshake has shown, or null if there was none."},
        "provider": _TEXT,
        "registry": {**_TEXT, "description": "The registry as a person names it."},
        "as": {**_TEXT_OR_NULL, "description": "Who is logged in to the cloud."},
        "akka": _AKKA_SECRET,
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
        "problems": _PROBLEMS,
        "notices": _TEXTS,
        "undone": _TEXTS,
        "left_over": _LEFT_OVER,
        "error": _ERROR,
    })  # fmt: skip

"""The JSON Schemas of the documents of `--output json`.

Within one `schema_version`, names are never removed or changed; new ones may be added.
"""

from __future__ import annotations

from typing import Any

from bootstrap.model.codes import Who
from bootstrap.model.schema_version import schema_id


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with at least these properties; later versions may add more."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": True,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


_TEXT = {"type": "string"}


_TEXT_OR_NULL = {"type": ["string", "null"]}


_OLD_NAME_OF_FIX = {**_TEXT_OR_NULL, "deprecated": True, "description": "The same as `fix`."}


_TEXTS = _list(_TEXT)


_EXIT_CODE = {"enum": [0, 1, 2, 3, 4, 5, 6, 130]}


_AKKA = _object(
    {
        "project": {
            **_TEXT_OR_NULL,
            "description": "The Akka project; the CLI's current one where none is named.",
        },
        "owner": {**_TEXT_OR_NULL, "description": "The organization or user that owns the project."},
        "region": _TEXT_OR_NULL,
        "user": {**_TEXT_OR_NULL, "description": "Who is logged in to Akka."},
    }
)


_AKKA_SECRET = _object({**_AKKA["properties"], "secret_name": _TEXT})


_CODE = {**_TEXT, "description": "The stable code of the situation, as `pullkey explain` takes it."}


_LEFT_OVER = _list(_object({"code": _CODE, "what": _TEXT, "command": _TEXT}))


_ERROR = {
    "oneOf": [
        {"type": "null"},
        _object({"code": _CODE, "what": _TEXT, "fix": _TEXT, "mend": _OLD_NAME_OF_FIX}),
    ]
}


_MOMENT = {"type": ["string", "null"], "format": "date-time"}


_KEY = {
    "oneOf": [
        {"type": "null"},
        _object({"id": _TEXT, "created": _MOMENT, "ends": _MOMENT, "disabled": {"type": "boolean"}}),
    ]
}


_PROBLEMS = _list(
    _object(
        {
            "code": _CODE,
            "kind": {"enum": ["right", "policy", "limit", "setup", "question"]},
            "what": _TEXT,
            "fix": _TEXT_OR_NULL,
            "mend": _OLD_NAME_OF_FIX,
            "step": _TEXT_OR_NULL,
            "permission": _TEXT_OR_NULL,
        }
    )
)


_FAULTS = _list(
    _object(
        {
            "line": {"type": "integer"},
            "column": {"type": "integer"},
            "code": _CODE,
            "what": _TEXT,
            "fix": _TEXT,
            "mend": _OLD_NAME_OF_FIX,
        }
    )
)


def schemas() -> dict[str, dict[str, Any]]:
    """Each schema, by the name that `pullkey schema` takes."""
    found = {
        "run": _titled("One run of pullkey for one target", _run()),
        "rotate": _titled("What pullkey rotate has done", _results("rotate", _run())),
        "offboard": _titled("What pullkey offboard has done", _results("offboard", _offboarding())),
        "list": _titled("What pullkey list shows", _listing()),
        "service": _titled("What pullkey verify --service has seen", _service()),
        "from-project": _titled("What pullkey onboard --from-project has found and done", _survey()),
        "explain": _titled("What the codes of problems and errors mean", _codes()),
        "doctor": _titled("What pullkey doctor has seen", _checks()),
        "providers": _titled("What pullkey providers shows", _providers()),
        "fleet-plan": _titled(
            "What pullkey plan -f shows", _of_a_file(["plan"], _fleet_planned(), pace=_pace())
        ),
        "fleet-apply": _titled(
            "What pullkey apply, rotate -f and offboard -f have done",
            _of_a_file(["apply", "rotate", "offboard"], _fleet_ended()),
        ),
        "fleet-list": _titled("What pullkey list -f shows", _of_a_file(["list"], _fleet_listed())),
        "audit": _titled("A line of the audit trail that --audit writes", _audit_line()),
        "audit-verify": _titled("What pullkey audit verify has found", _audit_verified()),
        "import": _titled("What pullkey import has written", _imported()),
        "validate": _titled("What pullkey validate has found", _validated()),
        "permissions": _titled("What pullkey permissions lists", _permissions()),
        "error": _titled("A command that ended before it had anything else to print", _ended_early()),
    }
    return {name: {"$id": schema_id(name), **one} for name, one in found.items()}


def _audit_line() -> dict[str, Any]:
    hashed = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    akka = {**_AKKA_SECRET["properties"], "project": {**_TEXT, "description": "The Akka project."}}
    return _object(
        {
            "time": {"type": "string", "format": "date-time"},
            "prev": {
                **hashed,
                "description": "The SHA-256 of the line before it, without its line break; 64 zeros in a "
                "first line.",
            },
            "run_id": {**_TEXT, "description": "The mark that the run leaves in the cloud."},
            "command": _TEXT,
            "as": {
                **_TEXT,
                "description": "Who was logged in to the cloud, or to Akka for what was done there.",
            },
            "provider": _TEXT,
            "registry": _TEXT,
            "akka": _object(akka),
            "step": _TEXT,
            "what": _TEXT,
            "key_id": _TEXT_OR_NULL,
            "outcome": {"enum": ["done", "failed", "undone", "removed", "left over"]},
        }
    )


def _audit_verified() -> dict[str, Any]:
    mismatch = _object({"line": {"type": "integer"}, "what": _TEXT})
    file = _object(
        {
            "file": _TEXT,
            "lines": {"type": "integer", "description": "How many lines fit, from the first one on."},
            "torn_lines": {
                **_list({"type": "integer"}),
                "description": "Those that a run could not finish, as on a full disk.",
            },
            "last_hash": {**_TEXT, "description": "The SHA-256 of the last line that fits."},
            "mismatch": {
                "oneOf": [{"type": "null"}, mismatch],
                "description": "The first line that does not fit. Files after it are not verified.",
            },
        }
    )
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "audit-verify"},
            "exit_code": _EXIT_CODE,
            "files": _list(file),
        }
    )


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DRAFT, "title": title, **schema}


def _results(command: str, one: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": command},
            "exit_code": _EXIT_CODE,
            "results": {
                **_list(one),
                "description": "One a credential, in the order in which they were done.",
            },
            "errors": {
                **_list(
                    _object(
                        {
                            "name": _TEXT,
                            "exit_code": _EXIT_CODE,
                            "what": _TEXT,
                            "fix": _TEXT,
                            "mend": _OLD_NAME_OF_FIX,
                        }
                    )
                ),
                "description": "The credentials that could not even be begun with.",
            },
            "left_over": {
                **_LEFT_OVER,
                "description": "What is there of a name that Akka lists no credential of.",
            },
        }
    )


def _service() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "verify-service"},
            "exit_code": _EXIT_CODE,
            "service": _object({"name": _TEXT, "image": _TEXT, "status": _TEXT_OR_NULL}),
            "pull_failures": _list(_object({"reason": _TEXT, "message": _TEXT_OR_NULL})),
            "problem": _TEXT_OR_NULL,
            "verification": {
                "oneOf": [{"type": "null"}, _run()],
                "description": "The credential for the image; null if Akka has none, or none of pullkey's.",
            },
        }
    )


def _survey() -> dict[str, Any]:
    service = _object({"name": _TEXT, "image": _TEXT, "pull_failure": _TEXT_OR_NULL})
    registry = _object(
        {
            "registry": {
                **_TEXT,
                "description": "The beginning of the names of the images that one credential is for.",
            },
            "provider": _TEXT_OR_NULL,
            "credential_state": {
                "enum": ["ok", "external", "unverified", "wrong", "missing", "public", "akka", "unknown"]
            },
            "credential": _TEXT_OR_NULL,
            "problems": _TEXTS,
            "services": _list(service),
            "exit_code": {
                "oneOf": [{"type": "null"}, _EXIT_CODE],
                "description": "Of its onboarding, where there was one.",
            },
        }
    )
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "from-project"},
            "exit_code": _EXIT_CODE,
            "registries": _list(registry),
        }
    )


def _codes() -> dict[str, Any]:
    one = _object(
        {
            "code": _CODE,
            "area": _TEXT,
            "title": _TEXT,
            "cause": _TEXT,
            "fix": _TEXT,
            "who": {
                **_list({"enum": [str(who) for who in Who]}),
                "description": "Who can do something about it, the first to ask first.",
            },
        }
    )
    return _object({"schema_version": {"const": 1}, "command": {"const": "explain"}, "codes": _list(one)})


def _offboarding() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "offboard"},
            "result": {"enum": ["done", "unchanged", "planned", "refused", "failed", "interrupted"]},
            "exit_code": _EXIT_CODE,
            "changed": {"type": "boolean"},
            "provider": _TEXT,
            "registry": _TEXT,
            "akka": _AKKA_SECRET,
            "things": _list(
                _object(
                    {
                        "name": _TEXT,
                        "what": _TEXT,
                        "fate": {
                            "enum": ["remove", "keep", "gone", "unseen"],
                            "description": "What is to become of it, as seen before anything was changed.",
                        },
                        "why": {**_TEXT_OR_NULL, "description": "Why it stays."},
                        "command": {**_TEXT_OR_NULL, "description": "What removes it by hand."},
                        "result": {"enum": ["removed", "failed", "left over", None]},
                        "detail": _TEXT_OR_NULL,
                    }
                )
            ),
            "notices": _TEXTS,
            "left_over": _LEFT_OVER,
            "error": _ERROR,
        }
    )


def _pace() -> dict[str, Any]:
    pace = {
        "seconds": {
            "type": "integer",
            "description": "How long the calls that it counts take at least; 0 if none has to wait.",
        },
        "api": _TEXT,
        "limit": {**_TEXT, "description": "As documented."},
        "place": {**_TEXT, "description": "Whose quota it is."},
        "calls": {"type": "integer", "description": "How many the plan takes of it, at least."},
        "source": {**_TEXT, "description": "The address of the documentation."},
    }
    about = "The quota that allows the plan the least; null if it changes nothing, or if none is documented."
    return {"description": about, "anyOf": [{"type": "null"}, _object(pace)]}


def _of_a_file(commands: list[str], target: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"enum": commands},
            "file": {**_TEXT, "description": "The file of registries, or the saved plan."},
            "exit_code": _EXIT_CODE,
            **more,
            "targets": {**_list(target), "description": "In the order of the file."},
        }
    )


def _fleet_target() -> dict[str, Any]:
    return {
        "name": {**_TEXT, "description": "PROJECT/SECRET, by which --only knows it."},
        "line": {"type": "integer", "description": "Its place in the file."},
        "provider": _TEXT,
        "registry": _TEXT,
        "akka": _AKKA_SECRET,
    }


def _fleet_planned() -> dict[str, Any]:
    return _object(
        {
            **_fleet_target(),
            "action": {
                "enum": ["create", "replace", "rotate", "repair", "remove", "keep", "postponed", "blocked"]
            },
            "reasons": {**_TEXTS, "description": "Why."},
            "drift": {**_TEXTS, "description": "What has drifted."},
            "steps": {
                **_list(_object({"name": _TEXT, "title": _TEXT})),
                "description": "What is to be done.",
            },
            "key_id": {
                **_TEXT_OR_NULL,
                "description": "The key that Akka holds; of what was done, the one that it holds now.",
            },
            "problems": _PROBLEMS,
            "notices": _TEXTS,
            "left_over": {
                **_LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
        }
    )


def _fleet_ended() -> dict[str, Any]:
    return _object(
        {
            **_fleet_planned()["properties"],
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
            "exit_code": _EXIT_CODE,
            "changed": {"type": "boolean"},
            "proven": {
                **_TEXT_OR_NULL,
                "description": "What the handshake has shown of a pull: a manifest that was read, or a tag "
                "found "
                "missing in a repository that exists; else null.",
            },
            "detail": _TEXT_OR_NULL,
            "seconds": {"type": "number"},
            "undone": _TEXTS,
            "left_over": _LEFT_OVER,
            "error": _ERROR,
        }
    )


def _fleet_listed() -> dict[str, Any]:
    return _object(
        {
            **_fleet_target(),
            "state": {"enum": ["ok", "wrong", "unseen", "brought", "not-ours", "gone"]},
            "wrong": _TEXTS,
            "not_seen": _TEXTS,
            "left_over": {
                **_LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
            "credential": {
                "oneOf": [{"type": "null"}, _credential()],
                "description": "What Akka has of it, or null.",
            },
        }
    )


def _listing() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "list"},
            "exit_code": _EXIT_CODE,
            "akka": _AKKA,
            "credentials": _list(_object({**_credential()["properties"], "akka": _AKKA})),
            "left_over": {
                **_LEFT_OVER,
                "description": "What earlier runs have left over of credentials that Akka does not list any "
                "more.",
            },
            "projects_not_read": {
                **_list(_object({**_AKKA["properties"], "error": _ERROR})),
                "description": "With `--all-projects`: those that do not show their credentials to this "
                "login, "
                "and why.",
            },
        }
    )


def _credential() -> dict[str, Any]:
    return _object(
        {
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
            "right": {
                **_TEXT_OR_NULL,
                "description": "What the grant is, and on what; null if the key itself carries the "
                "permission, or "
                "nothing is known.",
            },
            "key_id": {**_TEXT_OR_NULL, "description": "The key that Akka holds, by its record."},
            "key": {
                **_KEY,
                "description": "What the cloud shows of it; null if it was deleted or could not be read.",
            },
            "expiry": {
                "enum": ["date", "never", "unknown"],
                "description": "Whether the key expires: on the date in `key`, never, or unknown, as of a "
                "password that the user supplied.",
            },
            "replaced_key": {**_KEY, "description": "The key before it, where that is still there."},
            "due": {**_TEXT_OR_NULL, "description": "Why `pullkey rotate --due` would replace it."},
            "due_on": {**_MOMENT, "description": "From when on it is due."},
            "last_pulled": {**_MOMENT, "description": "When this machine last saw it pull."},
            "wrong": _TEXTS,
            "not_seen": _TEXTS,
            "notes": _TEXTS,
            "left_over": {
                **_LEFT_OVER,
                "description": "What earlier runs have left over and was not seen to be deleted.",
            },
        }
    )


def _permissions() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "permissions"},
            "exit_code": _EXIT_CODE,
            "provider": _TEXT,
            "for": {**_TEXTS, "description": "The commands that the list is for."},
            "permissions": _list(
                _object(
                    {
                        "name": _TEXT,
                        "for": {**_TEXTS, "description": "The commands that need it."},
                        "in_role": {"type": "boolean", "description": "Whether a role can hold it."},
                        "role": {**_TEXT_OR_NULL, "description": "A predefined role that has it."},
                        "note": {**_TEXT_OR_NULL, "description": "How to give it, if no role can hold it."},
                    }
                )
            ),
            "login": {**_TEXT, "description": "Which login a run needs."},
        }
    )


def _validated() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "validate"},
            "exit_code": _EXIT_CODE,
            "files": _list(
                _object(
                    {
                        "file": _TEXT,
                        "valid": {"type": "boolean"},
                        "targets": {
                            "type": ["integer", "null"],
                            "description": "How many it has; null if it is not valid.",
                        },
                        "faults": {**_FAULTS, "description": "Its mistakes, in the order of the file."},
                        "error": _ERROR,
                    }
                )
            ),
        }
    )


def _imported() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "import"},
            "exit_code": _EXIT_CODE,
            "file": {**_TEXT_OR_NULL, "description": "Where the file of registries was written."},
            "text": {**_TEXT, "description": "The file of registries, as it was written."},
            "targets": _list(
                _object(
                    {
                        "secret_name": _TEXT,
                        "akka_project": _TEXT_OR_NULL,
                        "provider": _TEXT,
                        "server": _TEXT,
                        "missing": {
                            **_TEXTS,
                            "description": "What is to complete by hand, before `apply` can work on it.",
                        },
                        "notes": _TEXTS,
                    }
                )
            ),
            "not_seen": {
                **_TEXTS,
                "description": "The Akka projects that could not be read, each with the reason.",
            },
        }
    )


def _ended_early() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {**_TEXT_OR_NULL, "description": "The command; null for an unknown one."},
            "result": {"enum": ["usage", "refused", "failed", "interrupted"]},
            "exit_code": _EXIT_CODE,
            "error": _object({"code": _CODE, "what": _TEXT, "fix": _TEXT, "mend": _OLD_NAME_OF_FIX}),
            "problems": _PROBLEMS,
            "faults": {**_FAULTS, "description": "All that is wrong with a file of registries."},
        }
    )


def _checks() -> dict[str, Any]:
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "doctor"},
            "exit_code": _EXIT_CODE,
            "checks": _list(
                _object(
                    {
                        "about": _TEXT,
                        "what": _TEXT,
                        "good": {
                            "type": ["boolean", "null"],
                            "description": "null: for information, neither passed nor failed.",
                        },
                        "detail": _TEXT,
                        "fix": _TEXT_OR_NULL,
                        "mend": _OLD_NAME_OF_FIX,
                        "code": {
                            **_TEXT_OR_NULL,
                            "description": "That of the problem, where other commands report it too.",
                        },
                    }
                )
            ),
        }
    )


def _providers() -> dict[str, Any]:
    one = {
        "name": _TEXT,
        "title": {**_TEXT_OR_NULL, "description": "null: it cannot be loaded."},
        "distribution": _TEXT,
        "version": _TEXT,
        "installed_from": {
            **_TEXT_OR_NULL,
            "description": "The folder or address of the package; null if it is from a package index.",
        },
        "editable": {"type": "boolean", "description": "Whether the installation follows that folder."},
        "location": {**_TEXT, "description": "The folder in which it is installed."},
        "hosts": {**_list(_TEXT), "description": "The hosts that it claims, such as `*.gcr.io`."},
        "fallback": {
            "type": "boolean",
            "description": "Whether it accepts any server that no other provider recognises.",
        },
        "problem": {
            "oneOf": [
                {"type": "null"},
                _object({"code": _CODE, "what": _TEXT, "fix": _TEXT_OR_NULL, "mend": _OLD_NAME_OF_FIX}),
            ],
            "description": "Why it cannot be used, or which other provider claims the same host.",
        },
    }
    return _object(
        {
            "schema_version": {"const": 1},
            "command": {"const": "providers"},
            "exit_code": _EXIT_CODE,
            "providers": _list(_object(one)),
        }
    )


def _run() -> dict[str, Any]:
    """The object that `onboard`, `plan` and `verify` print, and `rotate` for each credential."""
    return _object(
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
            "exit_code": _EXIT_CODE,
            "changed": {
                "type": "boolean",
                "description": "Whether something is different now because of this run.",
            },
            "proven": {
                **_TEXT_OR_NULL,
                "description": "What the handshake has shown of a pull: a manifest that was read, or a tag "
                "found "
                "missing in a repository that exists; else null.",
            },
            "provider": _TEXT,
            "registry": {**_TEXT, "description": "The registry as you would name it."},
            "as": {**_TEXT_OR_NULL, "description": "Who is logged in to the cloud."},
            "akka": _AKKA_SECRET,
            "credential": {
                "oneOf": [
                    {"type": "null"},
                    _object(
                        {
                            "server": _TEXT,
                            "username": _TEXT_OR_NULL,
                            "email": _TEXT_OR_NULL,
                            "key_id": _TEXT_OR_NULL,
                            "ends": _TEXT_OR_NULL,
                        }
                    ),
                ],
                "description": "What Akka is given, without its password.",
            },
            "steps": _list(
                _object(
                    {
                        "name": _TEXT,
                        "title": _TEXT,
                        "state": {
                            "enum": ["done", "missing", "unseen"],
                            "description": "What was seen before anything was changed.",
                        },
                        "reason": _TEXT,
                        "result": {"enum": ["kept", "planned", "done", "skipped", "failed", "undone"]},
                        "detail": _TEXT,
                        "seconds": {"type": "number"},
                        "command": {**_TEXT, "description": "The command to type instead."},
                    }
                )
            ),
            "problems": _PROBLEMS,
            "notices": _TEXTS,
            "warnings": {
                **_TEXTS,
                "description": "Those of the notices that say that more is granted, or for longer, than is "
                "needed.",
            },
            "services_without_image": {
                **_TEXTS,
                "description": "The services of the Akka project that could not pull before, for want of "
                "what was "
                "registered.",
            },
            "undone": _TEXTS,
            "left_over": _LEFT_OVER,
            "error": _ERROR,
        }
    )

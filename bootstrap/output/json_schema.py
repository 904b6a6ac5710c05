"""The JSON Schemas of the documents of `--output json`.

Within one `schema_version`, names are never removed or changed; new ones may be added.
"""

from __future__ import annotations

from typing import Any

from bootstrap.model.change import ChangeOutcome
from bootstrap.model.codes import Who
from bootstrap.model.schema_version import schema_id
from bootstrap.output.json_schema_credentials import listing
from bootstrap.output.json_schema_fleet import ended, imported, listed, of_a_file, pace, planned, validated
from bootstrap.output.json_schema_parts import (
    CODE,
    ERROR_OBJECT,
    EXIT_CODE,
    FAULTS,
    OLD_NAME_OF_FIX,
    PROBLEMS,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    akka_with,
    list_of,
    object_of,
)
from bootstrap.output.json_schema_runs import offboarding, results, run, service, survey

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Each schema, by the name that `pullkey schema` takes."""
    found = {
        "run": _titled("One run of pullkey for one target", run()),
        "rotate": _titled("What pullkey rotate has done", results("rotate", run())),
        "offboard": _titled("What pullkey offboard has done", results("offboard", offboarding())),
        "list": _titled("What pullkey list shows", listing()),
        "service": _titled("What pullkey verify --service has seen", service()),
        "from-project": _titled(
            "What pullkey onboard --from-project has found and done", survey(_ended_early())
        ),
        "explain": _titled("What the codes of problems and errors mean", _codes()),
        "doctor": _titled("What pullkey doctor has seen", _checks()),
        "providers": _titled("What pullkey providers shows", _providers()),
        "fleet-plan": _titled("What pullkey plan -f shows", of_a_file(["plan"], planned(), pace=pace())),
        "fleet-apply": _titled(
            "What pullkey apply, rotate -f and offboard -f have done",
            of_a_file(["apply", "rotate", "offboard"], ended()),
        ),
        "fleet-list": _titled("What pullkey list -f shows", of_a_file(["list"], listed())),
        "audit": _titled("A line of the audit trail that --audit writes", _audit_line()),
        "audit-verify": _titled("What pullkey audit verify has found", _audit_verified()),
        "import": _titled("What pullkey import has written", imported()),
        "validate": _titled("What pullkey validate has found", validated()),
        "permissions": _titled("What pullkey permissions lists", _permissions()),
        "error": _titled("A command that ended before it had anything else to print", _ended_early()),
    }
    return {name: {"$id": schema_id(name), **one} for name, one in found.items()}


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DRAFT, "title": title, **schema}


def _ended_early() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {**TEXT_OR_NULL, "description": "The command; null for an unknown one."},
            "result": {"enum": ["usage", "refused", "failed", "interrupted"]},
            "exit_code": EXIT_CODE,
            "error": ERROR_OBJECT,
            "problems": PROBLEMS,
            "faults": {**FAULTS, "description": "All that is wrong with a file of registries."},
        }
    )


def _permissions() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "permissions"},
            "exit_code": EXIT_CODE,
            "provider": TEXT,
            "for": {**TEXTS, "description": "The commands that the list is for."},
            "permissions": list_of(
                object_of(
                    {
                        "name": TEXT,
                        "for": {**TEXTS, "description": "The commands that need it."},
                        "in_role": {"type": "boolean", "description": "Whether a role can hold it."},
                        "role": {**TEXT_OR_NULL, "description": "A predefined role that has it."},
                        "note": {**TEXT_OR_NULL, "description": "How to give it, if no role can hold it."},
                    }
                )
            ),
            "login": {**TEXT, "description": "Which login a run needs."},
            "condition": {
                **TEXT_OR_NULL,
                "description": "The condition under which the role is to be assigned to the login.",
            },
        }
    )


def _providers() -> dict[str, Any]:
    one = {
        "name": TEXT,
        "title": {**TEXT_OR_NULL, "description": "null: it cannot be loaded."},
        "distribution": TEXT,
        "version": TEXT,
        "installed_from": {
            **TEXT_OR_NULL,
            "description": "The folder or address of the package; null if it is from a package index.",
        },
        "editable": {"type": "boolean", "description": "Whether the installation follows that folder."},
        "location": {**TEXT, "description": "The folder in which it is installed."},
        "hosts": {**list_of(TEXT), "description": "The hosts that it claims, such as `*.gcr.io`."},
        "fallback": {
            "type": "boolean",
            "description": "Whether it accepts any server that no other provider recognises.",
        },
        "problem": {
            "oneOf": [
                {"type": "null"},
                object_of({"code": CODE, "what": TEXT, "fix": TEXT_OR_NULL, "mend": OLD_NAME_OF_FIX}),
            ],
            "description": "Why it cannot be used, or which other provider claims the same host.",
        },
    }
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "providers"},
            "exit_code": EXIT_CODE,
            "providers": list_of(object_of(one)),
        }
    )


def _checks() -> dict[str, Any]:
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "doctor"},
            "exit_code": EXIT_CODE,
            "checks": list_of(
                object_of(
                    {
                        "about": TEXT,
                        "what": TEXT,
                        "good": {
                            "type": ["boolean", "null"],
                            "description": "null: for information, neither passed nor failed.",
                        },
                        "detail": TEXT,
                        "fix": TEXT_OR_NULL,
                        "mend": OLD_NAME_OF_FIX,
                        "code": {
                            **TEXT_OR_NULL,
                            "description": "That of the problem, where other commands report it too.",
                        },
                    }
                )
            ),
        }
    )


def _codes() -> dict[str, Any]:
    one = object_of(
        {
            "code": CODE,
            "area": TEXT,
            "title": TEXT,
            "cause": TEXT,
            "fix": TEXT,
            "who": {
                **list_of({"enum": [str(who) for who in Who]}),
                "description": "Who can do something about it, the first to ask first.",
            },
        }
    )
    return object_of({"schema_version": {"const": 1}, "command": {"const": "explain"}, "codes": list_of(one)})


def _audit_line() -> dict[str, Any]:
    hashed = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    named = {"project": {**TEXT, "description": "The Akka project."}, "secret_name": TEXT}
    return object_of(
        {
            "time": {"type": "string", "format": "date-time"},
            "prev": {
                **hashed,
                "description": "The SHA-256 of the line before it, without its line break; 64 zeros in a "
                "first line.",
            },
            "run_id": {**TEXT, "description": "The mark that the run leaves in the cloud."},
            "command": TEXT,
            "as": {
                **TEXT,
                "description": "Who was logged in to the cloud, or to Akka for what was done there.",
            },
            "provider": TEXT,
            "registry": TEXT,
            "akka": akka_with(named),
            "step": TEXT,
            "what": TEXT,
            "key_id": TEXT_OR_NULL,
            "outcome": {"enum": [*ChangeOutcome]},
        }
    )


def _audit_verified() -> dict[str, Any]:
    mismatch = object_of({"line": {"type": "integer"}, "what": TEXT})
    file = object_of(
        {
            "file": TEXT,
            "lines": {"type": "integer", "description": "How many lines fit, from the first one on."},
            "torn_lines": {
                **list_of({"type": "integer"}),
                "description": "Those that a run could not finish, as on a full disk.",
            },
            "last_hash": {**TEXT, "description": "The SHA-256 of the last line that fits."},
            "mismatch": {
                "oneOf": [{"type": "null"}, mismatch],
                "description": "The first line that does not fit. Files after it are not verified.",
            },
        }
    )
    return object_of(
        {
            "schema_version": {"const": 1},
            "command": {"const": "audit-verify"},
            "exit_code": EXIT_CODE,
            "files": list_of(file),
        }
    )

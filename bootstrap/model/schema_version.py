"""The version of the JSON documents."""

from __future__ import annotations

SCHEMA_VERSION = 1


def schema_id(name: str, version: int = 1) -> str:
    """The `$id` of a schema. Nobody need be asked for it: it names the schema and says nothing of where it
    is.
    """
    return f"urn:pullkey:schema:{name}:{version}"

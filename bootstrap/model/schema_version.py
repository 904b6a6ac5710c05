"""The version of the JSON documents."""

from __future__ import annotations

SCHEMA_VERSION = 1


def schema_id(name: str, version: int = 1) -> str:
    """The `$id` of a schema: a URN, since nothing has to be fetched by it."""
    return f"urn:pullkey:schema:{name}:{version}"

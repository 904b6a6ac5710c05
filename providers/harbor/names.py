"""The names of robot accounts, at Harbor and as pullkey's keys."""

from __future__ import annotations

import re

ROBOT_PREFIX = "robot$"
"""The default prefix of the user names of robot accounts; a server can have another (goharbor/harbor,
src/lib/config/metadata/metadatalist.go, `robot_name_prefix`).
"""
NAME_MARK = "pullkey-"
"""The beginning of the names of pullkey's robot accounts, after prefix and project; the run's id follows."""
_MARKED = re.compile(rf"{NAME_MARK}([0-9a-f]{{12}})$")
_KEY_ID = re.compile(r"^robot-([1-9][0-9]{0,18})-([0-9a-f]{12})$")


def run_id_of(name: str) -> str:
    """The run that created a robot account, by its name; "" where pullkey did not.

    >>> run_id_of("robot$shop+pullkey-0123456789ab"), run_id_of("robot$shop+ci")
    ('0123456789ab', '')
    """
    found = _MARKED.search(name)
    return found[1] if found else ""


def key_id_of(number: int, run_id: str) -> str:
    """The id of a key: Harbor's number, and the run in the account's name. The latter distinguishes it from
    another account with that number (of another Harbor, or after a restored backup).
    """
    return f"robot-{number}-{run_id}"


def parts_of(key_id: str) -> tuple[int, str] | None:
    """The number and the run of a key id; None if it is not a valid one."""
    found = _KEY_ID.match(key_id)
    return (int(found[1]), found[2]) if found else None

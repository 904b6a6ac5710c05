"""How one target ended, as far as the report of a whole command needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TargetEnd:
    """The end of one target. Its fields can be JSON, so that a process can report them to another.

    Attributes:
        number: its position in the file.
        line: where it begins in the file.
        name: its name for the user.
        options: those that name its Akka project, for the end of a command.
        failed: whether it is not in its desired state.
        left_over: whether something of it is left over.
        not_seen: whether it could not be determined if its key is due.
        due_by_you: whether a user-supplied password is due.
        annotation: its line for GitHub Actions; "" if it needs no attention.
        unconfirmed: whether more of it is known with a login only (`Planned.unconfirmed`).
        details: what the summary of a job says of it.
        document: the object for `--output json`; None without that option.
    """

    number: int
    line: int
    name: str
    secret_name: str
    options: str
    result: str
    exit_code: int
    failed: bool
    changed: bool
    left_over: bool
    not_seen: bool
    due_by_you: bool
    annotation: str
    unconfirmed: bool = False
    details: Sequence[str] = ()
    document: Mapping[str, Any] | None = None

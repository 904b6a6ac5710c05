"""Messages of `pullkey doctor`: its checks of this machine, the journal and Akka."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bootstrap.model.errors import LeftOver
from bootstrap.model.text import listed
from bootstrap.plugin.checks import Check

# -- Akka ----------------------------------------------------------------------------------------------------


def akka_cli(version: str | None, path: str | None) -> Check:
    return Check("CLI", True, f"version {version or 'not shown'}, at {path}")


def akka_login(user: str) -> Check:
    return Check("login", True, user or "logged in")


def akka_project(label: str) -> Check:
    return Check("project", True, label)


def akka_credentials(total: int, ours: int) -> Check:
    return Check("credentials", True, f"{total}, {ours} of them created by pullkey")


def not_needed(failed: Check) -> Check:
    """A failed check of a provider that none of Akka's credentials needs."""
    return Check(
        failed.what, None, f"{failed.detail} (no credential of Akka's needs it)", failed.fix, failed.code
    )


# -- this machine --------------------------------------------------------------------------------------------


def pullkey_version(version: str, python: str) -> Check:
    return Check("pullkey", True, f"version {version}, Python {python}")


_ARGUMENTS = "arguments of processes"
_COULD_READ = "could read the password while `akka docker add-credentials` runs"


def _isolate() -> str:
    hide = "" if sys.platform == "darwin" else ", or mount /proc with hidepid=2"
    return f"Run pullkey in a container or on a dedicated machine{hide}"


def arguments_hidden() -> Check:
    return Check(_ARGUMENTS, True, "other users of this host cannot see them (/proc is mounted with hidepid)")


def no_other_users() -> Check:
    return Check(_ARGUMENTS, True, "no other user has a login on this host")


def other_users_active(names: Sequence[str]) -> Check:
    return Check(
        _ARGUMENTS,
        False,
        f"other users of this host ({_few(names)}) have processes here, and {_COULD_READ}",
        _isolate(),
    )


def other_users_may_log_in(names: Sequence[str]) -> Check:
    return Check(
        _ARGUMENTS,
        None,
        f"other users have a login on this host ({_few(names)}); one who is logged in then {_COULD_READ}",
        _isolate(),
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def no_proxy() -> Check:
    return Check("proxy", True, "none is set")


def proxies(variables: Iterable[str], hosts: Iterable[str]) -> Check:
    return Check(
        "proxy", None, f"{', '.join(variables)} set: the clouds are reached through {', '.join(hosts)}"
    )


def certificates_missing(variable: str, path: str) -> Check:
    return Check(
        "certificates",
        False,
        f"{variable} names {path}, which does not exist",
        f"Unset {variable}, or name a file",
    )


def certificates_set(variables: Iterable[str]) -> Check:
    names = list(variables)
    return Check(
        "certificates", None, f"{listed(names)} set{'s' * (len(names) == 1)} the trusted certificates"
    )


# -- the journal ---------------------------------------------------------------------------------------------


def run_active(run_id: str, begun: str, target: str) -> Check:
    return Check("journal", True, f"run {run_id} of {begun}, for {target}, is at work")


def run_unfinished(summary: str, target: str, command: str) -> Check:
    return Check("journal", False, f"{summary}, for {target}", _run_again(command))


def run_left_over(summary: str, target: str, command: str, left: LeftOver) -> Check:
    fix = f"Remove it: `{left.command}`. {_run_again(command)}" if left.command else _run_again(command)
    return Check("journal", False, f"{summary}, for {target}: {left.what}", fix)


def _run_again(command: str) -> str:
    return f"Run it again, which clears up: {command}"


def no_unfinished_run(state: Path) -> Check:
    return Check("journal", True, f"no run was left unfinished on this machine ({state})")

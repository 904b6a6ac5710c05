"""What the preflight looks at, as far as it can be seen without a target, and what else decides whether a run
is safe.

It calls nobody but the clouds and Akka, and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine.journal import Journal
from bootstrap.engine.locate import login_values, provider_of
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.checks import Check, failed_check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Provider

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
_FIRST_PERSON = 1000  # login.defs, UID_MIN: below are the system's own accounts
_NO_SHELLS = ("nologin", "false", "sync")


async def examine(
    providers: Sequence[str], context: RunContext, akka: AkkaCli, state: Path
) -> Mapping[str, list[Check]]:
    """All the checks, by what they are about.

    Args:
        providers: those that were named; else all are looked at, and a login that is missing counts only
            where Akka has a credential of that kind.
        context: for the providers.
        akka: the CLI.
        state: the state directory.
    """
    names = list(providers) or plugins.names()
    loaded = [plugins.load(name) for name in names]
    (about_akka, used), answers = await asyncio.gather(
        _akka(akka), asyncio.gather(*(_provider(provider, context) for provider in loaded))
    )
    found = {"this machine": _machine(state), "Akka": about_akka}
    for provider, checks in zip(loaded, answers, strict=True):
        needed = bool(providers) or provider.name in used
        found[provider.name] = checks if needed else [_no_matter(check) for check in checks]
    return found


async def _provider(provider: Provider, context: RunContext) -> list[Check]:
    try:
        return list(await provider.checkup(context, login_values(provider, None)))
    except PullkeyError as error:
        return [failed_check("settings", error)]


def _no_matter(check: Check) -> Check:
    """Nothing of Akka's needs this provider, so what it lacks is only to be known."""
    if check.good is not False:
        return check
    return Check(
        check.what, None, f"{check.detail} (no credential of Akka's needs it)", check.fix, check.code
    )


# -- Akka ----------------------------------------------------------------------------------------------------


async def _akka(akka: AkkaCli) -> tuple[list[Check], set[str]]:
    """The CLI, its login, the project; and which providers Akka's credentials are of."""
    if shutil.which(akka.program) is None:
        problems = await akka.preflight()
        return [failed_check("CLI", problems[0])], set()
    problems = await akka.preflight()
    number = await akka.version()
    checks = [Check("CLI", True, f"version {number or 'not shown'}, at {shutil.which(akka.program)}")]
    if problems:
        return [*checks, *(failed_check("project", one) for one in problems)], set()
    checks.append(Check("login", True, await akka.login() or "logged in"))
    checks.append(Check("project", True, (await akka.resolve()).label))
    try:
        credentials = await akka.credentials()
    except PullkeyError as error:
        return [*checks, failed_check("credentials", error)], set()
    ours = sum(one.link is not None for one in credentials)
    checks.append(Check("credentials", True, f"{len(credentials)}, {ours} of them created by pullkey"))
    return checks, {provider_of(one).name for one in credentials}


# -- this machine --------------------------------------------------------------------------------------------


def _machine(state: Path) -> list[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        Check("pullkey", True, f"version {version('pullkey')}, Python {python}"),
        _who_could_read_arguments(),
        *_proxies(),
        *_certificates(),
        *_journal(state),
    ]


def _who_could_read_arguments() -> Check:
    """The Akka CLI takes a password as an argument only, which /proc shows to every user of the host
    meanwhile.
    """
    what = "arguments of processes"
    if _hides_processes():
        return Check(what, True, "other users of this host cannot see them (/proc is mounted with hidepid)")
    others = _other_people()
    if not others:
        return Check(what, True, "no other user has a login on this host")
    at_work = sorted(name for number, name in others.items() if number in _at_work())
    shown = at_work or sorted(others.values())
    names = ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
    while_it_runs = "could read the password while `akka docker add-credentials` runs"
    fix = "Run pullkey in a container or on a dedicated machine, or mount /proc with hidepid=2"
    if at_work:
        return Check(
            what, False, f"other users of this host ({names}) have processes here, and {while_it_runs}", fix
        )
    return Check(
        what,
        None,
        f"other users have a login on this host ({names}); one who is logged in then {while_it_runs}",
        fix,
    )


def _hides_processes() -> bool:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    proc = [line for line in mounts if " /proc " in line]
    return any(
        f"hidepid={how}" in line
        for line in proc
        for how in ("1", "2", "4", "noaccess", "invisible", "ptraceable")
    )


def _at_work() -> set[int]:
    """The users that have processes on this host now; none where /proc does not tell."""
    found = set()
    with contextlib.suppress(OSError):
        for one in Path("/proc").iterdir():
            if one.name.isdigit():
                with contextlib.suppress(OSError):
                    found.add(one.stat().st_uid)
    return found - _ourselves()


def _ourselves() -> set[int]:
    """The user that this runs as, and the one who has become that by sudo."""
    behind_sudo = os.environ.get("SUDO_UID", "")
    return {os.getuid(), *([int(behind_sudo)] if behind_sudo.isdecimal() else [])}


def _other_people() -> dict[int, str]:
    """The users with a login shell, by their number."""
    ours = {*_ourselves(), 65534}
    return {
        entry.pw_uid: entry.pw_name
        for entry in pwd.getpwall()
        if entry.pw_uid >= _FIRST_PERSON
        and entry.pw_uid not in ours
        and not entry.pw_shell.endswith(_NO_SHELLS)
    }


def _proxies() -> list[Check]:
    found = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    if not found:
        return [Check("proxy", True, "none is set")]
    # A proxy's URL may hold a password.
    hosts = sorted({urlsplit(url).hostname or "one that is not a URL" for url in found.values()})
    return [
        Check("proxy", None, f"{', '.join(found)} set: the clouds are reached through {', '.join(hosts)}")
    ]


def _certificates() -> list[Check]:
    checks = []
    named = {name: os.environ[name] for name in _CERTIFICATES if os.environ.get(name)}
    for name, path in named.items():
        if not Path(path).exists():
            checks.append(
                Check(
                    "certificates",
                    False,
                    f"{name} names {path}, which does not exist",
                    f"Unset {name}, or name a file",
                )
            )
    if named and not checks:
        checks.append(Check("certificates", None, f"trusted certificates are set by: {', '.join(named)} set"))
    return checks


def _journal(state: Path) -> list[Check]:
    checks = []
    for record in Journal.all_left_behind(state):
        if isinstance(record, PullkeyError):
            checks.append(failed_check("journal", record))
            continue
        if Journal(state, record.place, record.target).at_work:
            checks.append(
                Check(
                    "journal", True, f"run {record.run_id} of {record.begun}, for {record.target}, is at work"
                )
            )
            continue
        again = f"Run it again, which clears up: {record.command}"
        run = f"{record.summary}, for {record.target}"
        checks += [
            Check(
                "journal",
                False,
                f"{run}: {left.what}",
                f"Remove it: `{left.command}`. {again}" if left.command else again,
            )
            for left in record.left_over
        ]
        if not record.left_over:
            checks.append(Check("journal", False, run, again))
    return checks or [Check("journal", True, f"no run was left unfinished on this machine ({state})")]

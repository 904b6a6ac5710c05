"""What the preflight looks at, as far as it can be seen without a target, and what else decides whether a run is safe.

It calls nobody but the clouds and Akka, and changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from bootstrap import plugins
from bootstrap.akka import AkkaCli
from bootstrap.behind import login_values, provider_of
from bootstrap.errors import PullkeyError
from bootstrap.journal import Journal
from bootstrap.provider import Check, Provider, RunContext

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")  # fmt: skip
_FIRST_PERSON = 1000  # login.defs, UID_MIN: below are the system's own accounts
_NO_SHELLS = ("nologin", "false", "sync")


async def examine(
    providers: Sequence[str], context: RunContext, akka: AkkaCli, state: Path
) -> Mapping[str, list[Check]]:
    """All the checks, by what they are about.

    Args:
        providers: those that were named; else all are looked at, and a login that is missing counts only where Akka
            has a credential of that kind.
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
        return [Check("settings", good=False, detail=error.what, mend=error.mend)]


def _no_matter(check: Check) -> Check:
    """Nothing of Akka's needs this provider, so what it lacks is only to be known."""
    if check.good is not False:
        return check
    return Check(check.what, None, f"{check.detail} (no credential of Akka's needs it)", check.mend)


# -- Akka ----------------------------------------------------------------------------------------------------------


async def _akka(akka: AkkaCli) -> tuple[list[Check], set[str]]:
    """The CLI, its login, the project; and which providers Akka's credentials are of."""
    if shutil.which(akka.program) is None:
        problems = await akka.preflight()
        return [Check("CLI", False, problems[0].what, problems[0].mend)], set()
    problems = await akka.preflight()
    number = await akka.version()
    checks = [Check("CLI", True, f"version {number or 'not told'}, at {shutil.which(akka.program)}")]
    if problems:
        return [*checks, *(Check("project", False, one.what, one.mend) for one in problems)], set()
    checks.append(Check("login", True, await akka.login() or "logged in"))
    checks.append(Check("project", True, await akka.project_name() or akka.scope.label))
    try:
        credentials = await akka.credentials()
    except PullkeyError as error:
        return [*checks, Check("credentials", False, error.what, error.mend)], set()
    ours = sum(one.link is not None for one in credentials)
    checks.append(Check("credentials", True, f"{len(credentials)}, {ours} of them made by pullkey"))
    return checks, {provider_of(one).name for one in credentials}


# -- this machine --------------------------------------------------------------------------------------------------


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
    """The Akka CLI takes a password as an argument only, which /proc shows to every user of the host meanwhile."""
    what = "arguments of processes"
    if _hides_processes():
        return Check(what, True, "other users of this host cannot see them (/proc is mounted with hidepid)")
    others = _other_people()
    if not others:
        return Check(what, True, "nobody else has a login on this host")
    names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return Check(
        what,
        False,
        f"other users of this host ({names}) could read the password while `akka docker add-credentials` runs",
        "Run it in a container or on a machine of its own, or mount /proc with hidepid=2",
    )


def _hides_processes() -> bool:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    proc = [line for line in mounts if " /proc " in line]
    return any(f"hidepid={how}" in line for line in proc for how in ("1", "2", "4", "noaccess", "invisible", "ptraceable"))  # fmt: skip


def _other_people() -> list[str]:
    me = os.getuid()
    return sorted(
        entry.pw_name
        for entry in pwd.getpwall()
        if entry.pw_uid >= _FIRST_PERSON
        and entry.pw_uid not in {me, 65534}
        and not entry.pw_shell.endswith(_NO_SHELLS)
    )


def _proxies() -> list[Check]:
    found = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    if not found:
        return [Check("proxy", True, "none is set")]
    # A proxy's URL may hold a password.
    hosts = sorted({urlsplit(url).hostname or "one that is no URL" for url in found.values()})
    return [
        Check("proxy", None, f"{', '.join(found)} set: the clouds are reached through {', '.join(hosts)}")
    ]


def _certificates() -> list[Check]:
    checks = []
    named = {name: os.environ[name] for name in _CERTIFICATES if os.environ.get(name)}
    for name, path in named.items():
        if not Path(path).exists():
            checks.append(Check("certificates", False, f"{name} names {path}, which is not there", f"Unset {name}, or name a file"))  # fmt: skip
    if named and not checks:
        checks.append(
            Check("certificates", None, f"whom to trust is read from elsewhere: {', '.join(named)} set")
        )
    return checks


def _journal(state: Path) -> list[Check]:
    checks = []
    for record in Journal.all_left_behind(state):
        if isinstance(record, PullkeyError):
            checks.append(Check("journal", False, record.what, record.mend))
        else:
            checks.append(Check("journal", False, f"run {record.run_id} of {record.begun} for {record.target} did not end", f"Run it again, which clears up: {record.command}"))  # fmt: skip
    return checks or [Check("journal", True, f"no run was left unfinished on this machine ({state})")]

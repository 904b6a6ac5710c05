"""The checks of `pullkey doctor`: the preflight as far as it needs no target, and the safety of this machine.

Read-only. It calls only the clouds and Akka.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from bootstrap.akka.cli import AkkaCli
from bootstrap.engine import messages_doctor as messages
from bootstrap.engine.journal import Journal
from bootstrap.engine.locate import login_values, provider_of
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.checks import Check, failed_check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.provider import Provider
from bootstrap.plugin.unavailable import Unavailable

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
_PROC = Path("/proc")
_FIRST_USER = 1000  # login.defs, UID_MIN: system accounts are below
_FIRST_USER_MACOS = 501  # as the first account gets: eclecticlight.co, "Ignoring ownership and 501 orphans"
_PS_SECONDS = 5.0
_NO_SHELLS = ("nologin", "false", "sync")


async def examine(
    providers: Sequence[str], context: RunContext, akka: AkkaCli, state: Path
) -> Mapping[str, list[Check]]:
    """Run all checks. Return them by heading.

    Args:
        providers: the providers to check; if empty, all, of which those without a credential in Akka do not
            fail.
        context: for the providers.
        akka: the CLI.
        state: the state directory.
    """
    names = list(providers) or plugins.names()
    loaded = [_usable(name) for name in names]
    (about_akka, used), answers = await asyncio.gather(
        _akka(akka), asyncio.gather(*(_provider(provider, context) for provider in loaded))
    )
    found = {"this machine": _machine(state), "Akka": about_akka}
    for provider, checks in zip(loaded, answers, strict=True):
        needed = bool(providers) or provider.name in used
        found[provider.name] = (
            checks if needed else [messages.not_needed(one) if one.good is False else one for one in checks]
        )
    return found


def _usable(name: str) -> Provider:
    """A provider, or the stand-in for one that cannot be used."""
    try:
        return plugins.load(name)
    except UsageProblem as error:
        return Unavailable(name, error)


async def _provider(provider: Provider, context: RunContext) -> list[Check]:
    try:
        return list(await provider.checkup(context, login_values(provider, None)))
    except PullkeyError as error:
        return [failed_check("settings", error)]
    except Exception as error:  # noqa: BLE001  - a third party's plugin may fail in any way
        return [failed_check("settings", as_user_error(error))]


# -- Akka ----------------------------------------------------------------------------------------------------


async def _akka(akka: AkkaCli) -> tuple[list[Check], set[str]]:
    """Check the CLI, its login and the project. Return also the providers of Akka's credentials."""
    program, problems = shutil.which(akka.program), await akka.preflight()
    if program is None:
        return [failed_check("CLI", problems[0])], set()
    checks = [messages.akka_cli(await akka.version(), program)]
    if problems:
        return [*checks, *(failed_check("project", one) for one in problems)], set()
    checks.append(messages.akka_login(await akka.login()))
    checks.append(messages.akka_project((await akka.resolve()).label))
    try:
        credentials = await akka.credentials()
    except PullkeyError as error:
        return [*checks, failed_check("credentials", error)], set()
    ours = sum(one.link is not None for one in credentials)
    checks.append(messages.akka_credentials(len(credentials), ours))
    return checks, {name for one in credentials for name in _providers_of(one)}


def _providers_of(held: HeldCredential) -> list[str]:
    """The provider of a credential; if none knows it, those that cannot be used, of which it may be."""
    try:
        return [provider_of(held).name]
    except UsageProblem:
        return list(plugins.unusable()) if held.link is not None else []


# -- this machine --------------------------------------------------------------------------------------------


def _machine(state: Path) -> list[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        messages.pullkey_version(version("pullkey"), python),
        _arguments_of_processes(),
        *_proxies(),
        *_certificates(),
        *_journal(state),
    ]


def _arguments_of_processes() -> Check:
    """Check who could read the password: the Akka CLI takes it as an argument only, which /proc shows to
    every user of the host while it runs.
    """
    if _hides_processes():
        return messages.arguments_hidden()
    others = _other_users()
    if not others:
        return messages.no_other_users()
    active = sorted(name for number, name in others.items() if number in _active_users())
    if active:
        return messages.other_users_active(active)
    return messages.other_users_may_log_in(sorted(others.values()))


def _hides_processes() -> bool:
    try:
        mounts = (_PROC / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    proc = [line for line in mounts if " /proc " in line]
    return any(
        f"hidepid={how}" in line
        for line in proc
        for how in ("1", "2", "4", "noaccess", "invisible", "ptraceable")
    )


def _active_users() -> set[int]:
    """The ids of the users that have processes on this host now; none without `/proc` and `ps`."""
    found = set()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if not (_PROC / "self").exists():
            command = ["ps", "-A", "-o", "uid="]
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PS_SECONDS, check=False
            )
            return {int(one) for one in done.stdout.split() if one.isdigit()} - _own_users()
        for one in _PROC.iterdir():
            if one.name.isdigit():
                with contextlib.suppress(OSError):
                    found.add(one.stat().st_uid)
    return found - _own_users()


def _own_users() -> set[int]:
    """The ids of the user that this process runs as, and of the user who called sudo."""
    sudo_user = os.environ.get("SUDO_UID", "")
    return {os.getuid(), *([int(sudo_user)] if sudo_user.isdecimal() else [])}


def _other_users() -> dict[int, str]:
    """The names of the users with a login shell, by id."""
    ours = {*_own_users(), 65534}
    first = _FIRST_USER_MACOS if sys.platform == "darwin" else _FIRST_USER
    return {
        entry.pw_uid: entry.pw_name
        for entry in pwd.getpwall()
        if entry.pw_uid >= first and entry.pw_uid not in ours and not entry.pw_shell.endswith(_NO_SHELLS)
    }


def _proxies() -> list[Check]:
    found = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    if not found:
        return [messages.no_proxy()]
    # Only the host: a proxy's URL may contain a password.
    hosts = sorted({urlsplit(url).hostname or "one that is not a URL" for url in found.values()})
    return [messages.proxies(found, hosts)]


def _certificates() -> list[Check]:
    named = {name: os.environ[name] for name in _CERTIFICATES if os.environ.get(name)}
    checks = [
        messages.certificates_missing(name, path) for name, path in named.items() if not Path(path).exists()
    ]
    return checks or ([messages.certificates_set(named)] if named else [])


def _journal(state: Path) -> list[Check]:
    checks = []
    for record in Journal.all_left_behind(state):
        if isinstance(record, PullkeyError):
            checks.append(failed_check("journal", record))
            continue
        if Journal(state, record.place, record.target).at_work:
            checks.append(messages.run_active(record.run_id, record.begun, record.target))
            continue
        run = (record.summary, record.target, record.command)
        checks += [messages.run_left_over(*run, left) for left in record.left_over]
        if not record.left_over:
            checks.append(messages.run_unfinished(*run))
    return checks or [messages.no_unfinished_run(state)]

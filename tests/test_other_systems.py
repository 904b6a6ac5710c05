"""Windows and macOS, as far as Linux can play them: without what they lack, and with what they answer."""

from __future__ import annotations

import json
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.akka import process_tree
from bootstrap.engine import doctor

# Windows has none of these modules; the standard library itself cannot be loaded as it would be there.
_ON_WINDOWS = """
import sys
for name in ("fcntl", "grp", "pwd", "resource", "termios", "syslog"):
    sys.modules[name] = None
from bootstrap.__main__ import run
import click
sys.platform = "win32"
run()
"""


def on_windows(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _ON_WINDOWS, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("onboard", "gcr", "--sandbox", "--yes"),
        ("onboard", "--help"),
        ("list",),
        ("rotate", "--all"),
        ("doctor",),
        ("validate", "registries.yaml"),
        ("sandbox", "serve"),
        ("schema", "list"),
        ("completion", "bash"),
        ("explain",),
        ("onbord",),
    ],
)
def test_windows_is_one_sentence_that_names_wsl(arguments: tuple[str, ...]) -> None:
    done = on_windows(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    said, fix = done.stderr.splitlines()
    assert "Windows" in said
    assert said.endswith("[PK-UNSUPPORTED-SYSTEM]")
    assert "WSL" in fix


def test_windows_is_one_document_where_json_is_wanted() -> None:
    done = on_windows("list", "--output", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "PK-UNSUPPORTED-SYSTEM"


@pytest.mark.parametrize(("option", "shown"), [("--help", "Usage: pullkey"), ("--version", "pullkey ")])
def test_help_and_version_work_on_windows(option: str, shown: str) -> None:
    done = on_windows(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(shown)


# -- macOS ---------------------------------------------------------------------------------------------------


def _user(name: str, number: int, shell: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "*", number, 20, "", f"/Users/{name}", shell))


@pytest.fixture
def on_macos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Without /proc, with two people and a service; `ps` prints the file that is returned."""
    monkeypatch.setattr(sys, "platform", "darwin")
    for module in (process_tree, doctor):
        monkeypatch.setattr(module, "_PROC", tmp_path / "none")
    people = [
        _user("root", 0, "/bin/sh"),
        _user("_www", 70, "/usr/bin/false"),
        _user("_spotlight", 89, "/bin/zsh"),
        _user("jo", 501, "/bin/zsh"),
        _user("sam", 502, "/bin/zsh"),
        _user("nobody", 4294967294, "/usr/bin/false"),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: people)
    monkeypatch.setattr("os.getuid", lambda: 501)
    printed = tmp_path / "printed"
    program = tmp_path / "bin" / "ps"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '-A -o uid=' ] && cat {printed}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("SUDO_UID", raising=False)
    return printed


def test_on_macos_people_begin_at_501_and_ps_shows_who_is_active(on_macos: Path) -> None:
    on_macos.write_text("    0\n  501\n  502\n   89\n")
    check = doctor._arguments_of_processes()
    assert check.good is False
    assert "(sam)" in check.detail
    assert "hidepid" not in check.fix  # Linux mounts /proc with it


def test_on_macos_one_who_is_not_active_may_log_in(on_macos: Path) -> None:
    on_macos.write_text("0\n501\n")
    check = doctor._arguments_of_processes()
    assert check.good is None
    assert "(sam)" in check.detail


def test_on_macos_one_who_has_it_alone_hears_so(on_macos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwall", lambda: [_user("_spotlight", 89, "/bin/zsh")])
    assert doctor._arguments_of_processes().good is True

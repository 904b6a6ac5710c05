"""The hint for a missing extra is of the copy that runs: where it came from, how, and with which extras."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from bootstrap.plugin import installation

ROOT = Path(__file__).resolve().parent.parent
REQUIRES = [
    "click>=8.2",
    'aiohttp>=3.11; extra == "sandbox"',
    'cryptography>=44; extra == "sandbox"',
    'no-such-library>=1; extra == "gcr"',
    'click>=8; extra == "acr"',
]


class Copy:
    """A distribution that was installed in some way."""

    requires = REQUIRES

    def __init__(self, origin: dict[str, Any] | None, installer: str = "pip") -> None:
        self._files = {"direct_url.json": json.dumps(origin) if origin else None, "INSTALLER": installer}

    @property
    def metadata(self) -> Copy:
        return self

    def get_all(self, _name: str) -> list[str]:
        return ["acr", "all", "gcr", "sandbox"]

    def read_text(self, name: str) -> str | None:
        return self._files[name]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def how(origin: dict[str, Any] | None, installer: str = "pip", marker: str = "") -> str:
        monkeypatch.setattr(
            installation,
            "distribution",
            lambda name: Copy(origin, installer) if name == "pullkey" else distribution(name),
        )
        monkeypatch.setattr(sys, "prefix", str(tmp_path / "pullkey"))
        (tmp_path / "pullkey").mkdir(exist_ok=True)
        if marker:
            (tmp_path / "pullkey" / marker).touch()
        return installation.install_command("gcr")

    return how


def test_a_checkout_is_named_by_its_path_and_keeps_its_extras(installed: Any, tmp_path: Path) -> None:
    command = installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert command == f"{sys.executable} -m pip install --editable '{tmp_path}[acr,gcr,sandbox]'"


@pytest.mark.parametrize(
    ("marker", "begins"),
    [("pipx_metadata.json", "pipx install --force "), ("uv-receipt.toml", "uv tool install --force ")],
)
def test_by_pipx_or_uv_tool(installed: Any, tmp_path: Path, marker: str, begins: str) -> None:
    command = installed({"url": tmp_path.as_uri(), "dir_info": {}}, marker=marker)
    assert command == f"{begins}'{tmp_path}[acr,gcr,sandbox]'"


def test_from_a_repository(installed: Any) -> None:
    origin = {
        "url": "https://jo:secret@git.example.com/tools/pullkey.git",
        "vcs_info": {"vcs": "git", "requested_revision": "v1.2", "commit_id": "abc"},
    }
    command = installed(origin, "uv")
    assert (
        command == f"uv pip install --python {sys.executable} 'pullkey[acr,gcr,sandbox] @ "
        "git+https://git.example.com/tools/pullkey.git@v1.2'"
    )
    assert "secret" not in command


@pytest.mark.parametrize(
    "origin", [None, {"url": "file:///no/such/pullkey-1.0-py3-none-any.whl", "archive_info": {}}]
)
@pytest.mark.parametrize("marker", ["", "pipx_metadata.json", "uv-receipt.toml"])
def test_where_its_source_is_not_known_the_libraries_are_named(
    installed: Any, origin: Any, marker: str
) -> None:
    command = installed(origin, marker=marker)
    assert "'no-such-library>=1'" in command
    words = command.split()
    # Nobody may own that name on an index; `pipx inject` takes it for the environment's.
    assert "pullkey[" not in command
    assert "pullkey" not in words or words[:3] == ["pipx", "inject", "pullkey"]


def test_the_environment_is_found_where_there_is_no_sha256sum(tmp_path: Path) -> None:
    """As on macOS: `shasum` is there, `sha256sum` is not."""
    tools, venv = tmp_path / "tools", tmp_path / "venv"
    tools.mkdir()
    (venv / "bin").mkdir(parents=True)
    for name in ("bash", "cat", "dirname", "env", "shasum", "perl"):
        if (found := shutil.which(name)) is None:
            pytest.skip(f"not installed: {name}")
        (tools / name).symlink_to(found)
    made_from = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    )
    (venv / "made-from").write_text(f"{made_from.hexdigest()}  - {ROOT}")
    done = subprocess.run(
        [str(ROOT / "scripts" / "with-env"), "env"],
        env={"PATH": str(tools), "PULLKEY_VENV": str(venv)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Making the environment" not in done.stderr


def test_a_declared_python_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [str(ROOT / "scripts" / "test-pythons")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    for version in ("3.12", "3.13"):
        assert f"skipped {version}" in done.stderr

"""`pullkey validate`: the mistakes of files of registries, without a login and without a network."""

from __future__ import annotations

import json
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bootstrap.cli.command_table import command_of
from bootstrap.output.json_schema import schemas
from tests.harness.command import SDKS, modules_imported_by, pullkey

ROOT = Path(__file__).resolve().parent.parent
GOOD = """version: 1
targets:
  - {provider: acr, registry: acmeshop}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
"""
BAD = "version: 1\ntargets:\n  - provider: acr\n    registri: 50%, all\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return path


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it opens a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def validate(*arguments: str | Path) -> int:
    """Run the command here."""
    code: int = command_of("validate").main([str(one) for one in arguments], standalone_mode=False)
    return code


def test_a_valid_file_is_said_to_be_valid(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(good) == 0
    assert capsys.readouterr() == (f"{good} is valid: 2 targets.\n", "")


def test_mistakes_are_shown_with_their_places_and_the_other_files_are_checked(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(bad, good) == 2
    out, err = capsys.readouterr()
    place = f"{bad}:4:5: 'registri' is not a valid name in a target of acr. Did you mean registry?"
    assert out.splitlines() == [place, f"{good} is valid: 2 targets."]
    assert err == f"pullkey: {bad} has 1 mistake. [PK-FILE-INVALID]\n"


def test_json_has_the_mistakes_of_each_file(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = bad.with_name("none.yaml")
    assert validate(good, bad, none, "--output", "json") == 2
    document = json.loads(capsys.readouterr().out)
    Draft202012Validator(schemas()["validate"]).validate(document)
    valid, invalid, missing = document["files"]
    assert (valid["valid"], valid["targets"], valid["faults"]) == (True, 2, [])
    assert [(one["line"], one["column"], one["code"]) for one in invalid["faults"]] == [
        (4, 5, "PK-FILE-INVALID")
    ]
    assert missing["error"]["code"] == "PK-FILE-UNREADABLE"
    assert document["exit_code"] == 2


def test_annotations_mark_the_lines(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = bad.with_name("no%ne.yaml")
    assert validate(bad, none, "--output", "github") == 2
    marked, whole = capsys.readouterr().out.splitlines()
    assert marked.startswith(f"::error file={bad},line=4,col=5::'registri' is not a valid name")
    assert "Did you mean registry?" in marked
    assert whole.startswith(f"::error file={str(none).replace('%', '%25')}::")


def test_in_github_actions_text_is_followed_by_annotations(
    bad: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert validate(bad) == 2
    assert f"::error file={bad},line=4,col=5::" in capsys.readouterr().err


def test_it_needs_no_sdk(good: Path) -> None:
    found = modules_imported_by("validate", str(good))
    assert not {name for name in found if name.partition(".")[0] in SDKS}


def test_it_needs_a_file() -> None:
    done = pullkey("validate")
    assert done.returncode == 2
    assert "FILE" in done.stderr


def test_the_hook_runs_the_command_for_files_of_registries(good: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

    def taken(name: str) -> bool:
        return bool(re.search(hook["files"], name)) and not re.search(hook["exclude"], name)

    (workflow,) = (ROOT / "deploy" / "github").iterdir()
    assert taken("registries.yaml")
    assert taken("deploy/registries.yml")
    assert not taken("deploy/other.yaml")
    assert not taken(f"deploy/github/{workflow.name}")
    assert not taken(".github/workflows/registries.yaml")
    program, *arguments = shlex.split(hook["entry"])
    assert program == "pullkey"
    assert pullkey(*arguments, str(good)).returncode == 0

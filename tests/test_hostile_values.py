"""Whatever is typed as a value, no script of pullkey's and no command that it shows runs any of it."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from bootstrap.cli import cli
from bootstrap.model.common_options import PROOF_IMAGE, SCOPE, SECRET_NAME
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin import entry_points as plugins
from bootstrap.testing.harness.world import World

BASES = {
    "gcr": ("gcr", "--server", "europe-west1-docker.pkg.dev/acme-shop/containers"),
    "gcr-upload": (
        "gcr",
        "--server",
        "europe-west1-docker.pkg.dev/acme-shop/containers",
        "--key-source",
        "upload",
    ),
    "acr": ("acr", "--registry", "acmeshop"),
    "acr-given": ("acr", "--registry", "acmeshop", "--app-id", "11111111-2222-3333-4444-555555555555"),
    "acr-token": ("acr", "--registry", "acmeshop", "--auth-kind", "token", "--repository", "checkout,cart"),
    "docker-hub": ("docker-hub", "--repository", "acme/checkout", "--hub-user", "acmebot"),
    "docker-hub-minted": ("docker-hub", "--repository", "acme/checkout", "--hub-user", "acmebot", "--mint"),
    "docker-hub-organization": (
        "docker-hub",
        "--organization",
        "acme",
        "--repository",
        "acme/checkout",
        "--hub-user",
        "acmeowner",
    ),
    "private": ("private", "--server", "https://registry.example.com/v1/", "--username", "ops"),
}
HOSTILE = [
    "'; touch {mark}; '",
    '"; touch {mark}; "',
    "$(touch {mark})",
    "`touch {mark}`",
    "; touch {mark} #",
    "x\ntouch {mark}\n",
    "-x; touch {mark}",
    "x' $(touch {mark}) \"`touch {mark}`",
    "x|touch {mark}&touch {mark}>{mark}",
]
PROGRAMS = ("akka", "az", "curl", "docker", "gcloud", "openssl", "skopeo", "sleep", "pullkey")


@pytest.fixture
def stubs(tmp_path: Path) -> dict[str, str]:
    """An environment in which no program of a cloud does anything, and whose folder shows what was
    executed.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        stub = folder / name
        stub.write_text("#!/bin/sh\ncat >/dev/null 2>&1\necho 11111111\n")
        stub.chmod(0o755)
    (tmp_path / "cwd").mkdir()
    return {
        "PATH": f"{folder}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PULLKEY_RUNBOOK_PAUSE": "0",
    }


@functools.cache
def _shown_by(*arguments: str) -> str | None:
    """What the command prints; None where it refuses what was typed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main(list(arguments), prog_name="pullkey", standalone_mode=False)
        except (PullkeyError, click.ClickException):
            return None
    return out.getvalue()


def _options(provider: str) -> list[str]:
    """Every option that takes a text."""
    own = plugins.load(provider).options
    return [
        option.name
        for option in (*own, *SCOPE, SECRET_NAME, PROOF_IMAGE)
        if option.kind not in ("switch", "secret")
    ]


def _run(script: str, env: dict[str, str], folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["bash", "-s", *arguments],
        input=script,
        env=env,
        cwd=folder / "cwd",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _executed(folder: Path) -> list[str]:
    return [path.name for path in (folder / "cwd").iterdir()] + [path.name for path in folder.glob("mark*")]


@pytest.mark.parametrize("base", BASES)
def test_no_value_of_any_option_is_executed_by_a_runbook(
    base: str, tmp_path: Path, stubs: dict[str, str]
) -> None:
    mark = tmp_path / "mark"
    provider, *given = BASES[base]
    taken: set[str] = set()
    scripts: set[str] = set()
    for option in _options(provider):
        for text in HOSTILE:
            value = text.format(mark=mark)
            for where in (value, f"registry.example.com/{value}", f"name{value}"):
                script = _shown_by("runbook", provider, *given, option, where)
                if script is not None:
                    taken.add(option)
                    scripts.add(script)
    # The plan's way to show them is with the values filled in.
    for script in sorted(scripts):
        _run(script, stubs, tmp_path)
        _run(script, {**stubs, "KEY_ID": "11111111"}, tmp_path, "undo")
        assert _executed(tmp_path) == [], script
    assert "--secret-name" not in taken
    if provider in ("gcr", "acr", "docker-hub", "private"):
        assert "--akka-project" in taken, "what is not refused is quoted, and that is what is looked at here"


@pytest.mark.needs_shellcheck
@pytest.mark.parametrize("base", BASES)
def test_a_runbook_with_odd_values_is_clean_by_shellcheck(base: str, tmp_path: Path) -> None:
    provider, *given = BASES[base]
    odd = 'it\'s $(touch x) "`y`" \\ ; & |'
    more: list[str] = []
    for option in _options(provider):
        if option not in given and _shown_by("runbook", provider, *given, *more, option, odd) is not None:
            more += [option, odd]
    script = _shown_by("runbook", provider, *given, *more)
    assert script is not None
    # SC2016: that nothing is expanded in single quotes is what they are for. SC2089, SC2090: a value with
    # quotes in it is taken for a command line; it is one quoted word wherever it is used.
    done = subprocess.run(
        ["shellcheck", "--exclude=SC2016,SC2089,SC2090", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "--akka-project" in more


def test_no_value_in_a_file_is_executed_by_its_runbooks(tmp_path: Path, stubs: dict[str, str]) -> None:
    mark = tmp_path / "mark"
    for name in (
        "akka-project",
        "akka-owner",
        "akka-context",
        "app-name",
        "subscription",
        "secret-name",
        "image",
    ):
        for text in HOSTILE:
            file = tmp_path / "it's $(touch mark-of-the-file).yaml"
            target = {"provider": "acr", "registry": "acmeshop", name: text.format(mark=mark)}
            file.write_text(json.dumps({"version": 1, "targets": [target]}))
            script = _shown_by.__wrapped__("runbook", "-f", str(file), "--format", "bash")
            if script is None:
                continue
            _run(script, stubs, tmp_path)
            assert _executed(tmp_path) == [], script


def test_a_name_of_a_secret_is_the_same_on_the_command_line_and_in_a_file() -> None:
    for name in ("'; touch x; '", "Upper", "a_b", "a b", "-a", "a-", "a\n", "ä", ".", "a" * 254):
        assert _shown_by("runbook", "acr", "--registry", "acmeshop", "--secret-name", name) is None, name
    for name in ("a", "my-registry.eu", "1", "a" * 253):
        script = _shown_by("runbook", "acr", "--registry", "acmeshop", "--secret-name", name)
        assert script is not None
        assert f"--secret-name={name}" in script


@pytest.mark.parametrize("command", ["onboard", "plan", "verify"])
def test_a_name_that_is_none_changes_nothing(gcr: World, command: str) -> None:
    yes = ("--yes",) if command == "onboard" else ()
    done = gcr.run(command, "gcr", "--secret-name", "'; touch x; '", *yes)
    assert done.code == 2, done.text
    assert "is not a valid name of an Akka secret" in done.err
    assert gcr.changes() == []


def test_a_handover_and_the_command_that_runs_it_quote_what_was_typed(
    gcr: World, tmp_path: Path, stubs: dict[str, str]
) -> None:
    gcr.cloud.state.denied_permissions.add("iam.serviceAccounts.create")
    file = tmp_path / "it's; touch mark #.sh"
    done = gcr.onboard(
        "--handover", str(file), "--image", "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
    )
    assert done.code == 3, done.text
    assert f"bash {shlex.quote(str(file))}" in done.err
    _run(file.read_text(), stubs, tmp_path)
    assert _executed(tmp_path) == []
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "bash", str(file)], check=True, env={**os.environ})

"""Every command in README and docs/ runs, every option that they name exists, and every link leads
somewhere.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.fork_server import fork_server
from tests.harness.demo_provider import installed
from tests.harness.documents import (
    GENERATED,
    PAGES,
    PREAMBLE,
    ROOT,
    Block,
    as_they_stand,
    blocks,
    in_a_sandbox,
    name_of,
)

SECRETS = {
    "hub-password.txt": "sandbox-password",
    "access-token.txt": "glpat-sandbox-maintainer",
    "owner-token.txt": "glpat-sandbox-owner",
    "harbor-password.txt": "Sandbox-password-1",
    "password.txt": "pull-in-the-sandbox",
}
_CODE = re.compile(r"`([^`\n]+)`")


def test_the_readme_begins_with_the_two_commands_and_is_short() -> None:
    lines = [line for block in blocks(ROOT / "README.md") for line in block.commands]
    assert lines[:2] == ["scripts/with-env pullkey onboard gcr --sandbox --yes", "scripts/test"]
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_first_screen_of_the_readme_says_what_it_was_tested_against() -> None:
    top = " ".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:12])
    for said in (
        "not against live accounts",
        "Not a product of Akka",
        "Linux and macOS, and on Windows through WSL",
    ):
        assert said in top


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_run_says_why_and_is_no_command_of_pullkey(page: Path) -> None:
    for block in blocks(page):
        assert "skip" not in block.markers or block.markers["skip"].strip(), block.body
        assert block.kind, f"a block without a language: {block.body}"
        if "skip" in block.markers or block.kind not in {"bash", "yaml", "toml"}:
            assert not re.search(r"^\s*pullkey ", block.body, re.MULTILINE), block.body


@pytest.mark.parametrize("line", as_they_stand())
def test_a_command_runs_as_it_stands(line: str) -> None:
    """In the environment that runs this test, which `scripts/with-env` has created from the lock."""
    here = line.replace("scripts/with-env ", "")
    done = subprocess.run(
        ["bash", "-c", here],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PULLKEY_OVERLAP": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(600)  # a page may have a dozen commands, and the machine others' work
@pytest.mark.parametrize("found", in_a_sandbox().values(), ids=in_a_sandbox())
def test_the_commands_of_a_page_run_one_after_another_in_a_sandbox(
    found: list[Block], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from bootstrap.sandbox.run import exec_in_sandbox

    for file, secret in SECRETS.items():
        (tmp_path / file).write_text(secret)
    programs = tmp_path / "programs"
    programs.mkdir()
    fork_server().program(programs)
    script = [PREAMBLE, f"PATH={shlex.quote(str(programs))}:$PATH", f"cd {shlex.quote(str(tmp_path))}"]
    for number, block in enumerate(found):
        if name := block.markers.get("file"):
            (tmp_path / f"{number}").write_text(_emulated(block.body))
            script.append(f"cp {number} {shlex.quote(name)}")
        if package := block.markers.get("installed"):
            place = installed(ROOT / package, tmp_path)
            script.append(f"export PYTHONPATH={shlex.quote(str(place))}")
        if setup := block.markers.get("setup"):
            script.append(_emulated(setup))
        expected = shlex.quote(" ".join(map(str, block.exits)))
        script += [
            f"run {expected} {shlex.quote(_emulated(line))}"
            for line in block.commands
            if not line.startswith("scripts/")
        ]
    (tmp_path / "script").write_text("\n".join(script))
    code = exec_in_sandbox(["bash", str(tmp_path / "script")], SandboxSettings())
    printed = capfd.readouterr()
    assert code == 0, printed.err
    assert "Traceback" not in printed.err


def _emulated(text: str) -> str:
    for ours, emulated in (
        ("registry.example.com", "registry.sandbox.example"),
        ("git.example.com", "git.sandbox.example"),
        ("harbor.example.com", "harbor.sandbox.example"),
        ("harbor-example-com", "harbor-sandbox-example"),
    ):
        text = text.replace(ours, emulated)
    return text


# -- what is named exists ------------------------------------------------------------------------------------


def _mentions() -> list[tuple[str, str]]:
    """Commands of pullkey within sentences, and the examples of the help texts."""
    found = []
    for page in [*PAGES, *GENERATED.glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks(page) if block.kind == "text" for line in block.body.splitlines()]
        lines += _CODE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found += [(name_of(page), line) for line in lines if line.startswith("pullkey ")]
    return sorted({one for one in found if not re.search(r"…|\[OPTIONS\]|\(an error\)", one[1])})


def test_a_command_that_is_mentioned_has_the_options_that_are_mentioned() -> None:
    from bootstrap.cli import cli

    wrong = []
    for page, line in _mentions():
        words = re.split(r" [|<>] |\s{2,}", line)[0].replace("PROVIDER", "gcr")
        try:
            _parse(cli, shlex.split(re.sub(r" -f$", " -f FILE", words), comments=True)[1:])
        except click.UsageError as error:
            wrong.append(f"{page}: {line}: {error.format_message()}")
    assert not wrong, "\n".join(wrong)


def _parse(command: click.Command, words: list[str]) -> None:
    """As click would, without running anything; a word in capitals stands for a value."""
    context = click.Context(command, info_name="pullkey")
    while isinstance(command, click.Group):
        if (
            (by_name := getattr(command, "BY_NAME", None))
            and words[:1] != [by_name]
            and not {*words[:1]} & {*command.list_commands(context)}
        ):
            words = [by_name, *words]
        if (from_project := getattr(command, "from_project", None)) and words[:1] == [from_project.name]:
            command = from_project
            break
        if not words or words[0].startswith("-") or (words[0].isupper() and not by_name):
            break
        _, child, words = command.resolve_command(context, words)
        assert child is not None
        command, context = child, click.Context(child, info_name=child.name, parent=context)
    command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_and_variable_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = ("bootstrap", "providers", "scripts")
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in {"", ".py"}
    ]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    theirs = {"--docker-password", "--skip-existing"}
    ours = [code for code in _CODE.findall(text) if not re.match(r"\W*(az|gcloud|akka|kubectl) ", code)]
    for option in sorted(set(re.findall(r"--[a-z][a-z-]+", "\n".join(ours))) - theirs):
        assert f'"{option}"' in source or "display-name" in option, option
    for variable in sorted(
        set(re.findall(r"PULLKEY_[A-Z]+(?:_[A-Z]+)+(?:_ENDPOINT|_HOST|_TO|_CLI|_DIR)", text))
    ):
        assert variable in source, variable


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_source_that_a_page_names_exists(page: Path) -> None:
    """A path begins at the top of the repository or in `bootstrap`; NAME or CLOUD is any."""
    for name in re.findall(r"`([a-z_]+/[\w./-]+\.(?:py|toml))`", page.read_text(encoding="utf-8")):
        if not re.search(r"[A-Z]{4}", name):
            assert (ROOT / name).exists() or (ROOT / "bootstrap" / name).exists(), name


def test_what_is_to_be_changed_is_where_the_page_says() -> None:
    text = (ROOT / "docs" / "where-to-change-what.md").read_text(encoding="utf-8")
    found = re.findall(r"\]\(\.\./([^)]+)\): ((?:`[\w.]+`(?:, )?)+)", text)
    assert len(found) > 20
    for file, names in found:
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", names):
            assert re.search(rf"(?:class|def) {name}\b", source), f"{name} in {file}"


def test_the_exit_codes_are_those_of_the_program() -> None:
    from bootstrap.model.errors import ExitCode

    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {
        int(code) for code in ExitCode
    }


def test_the_files_of_registries_that_are_shown_are_whole() -> None:
    import jsonschema
    import yaml

    from bootstrap.fleet.registries import parse
    from bootstrap.fleet.schema import registries_schema

    shown = [
        block for page in PAGES for block in blocks(page) if block.kind == "yaml" and "targets:" in block.body
    ]
    assert shown
    for block in shown:
        assert len(parse(block.body.encode(), block.page, base=ROOT).entries) > 1
        jsonschema.validate(yaml.safe_load(block.body), registries_schema())

"""Every command of the README runs: those for everybody as they stand, those for a cloud against the sandbox."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bootstrap.sandbox.host import SandboxSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[list[str]]:
    """The lines of each block of that kind, without comments."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [[line for line in block.splitlines() if line and not line.startswith("#")] for block in found]


FOR_EVERYBODY = [line for block in blocks("bash") for line in block]
FOR_A_CLOUD = [
    lines
    for block in blocks("text")
    if (lines := [line for line in block if "pullkey " in line and "install" not in line])
]
THE_TESTS = "scripts/test"


def test_the_readme_begins_with_the_two_commands() -> None:
    assert FOR_EVERYBODY[:2] == ["scripts/with-env pullkey onboard gcr --sandbox --yes", THE_TESTS]


@pytest.mark.parametrize("line", [line for line in FOR_EVERYBODY if line != THE_TESTS])
def test_a_command_for_everybody_runs_as_it_stands(line: str) -> None:
    """In the environment that runs this test, which `scripts/with-env` has made from the lock."""
    here = line.replace("scripts/with-env ", "")
    done = subprocess.run(["bash", "-c", here], cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lines", FOR_A_CLOUD, ids=lambda lines: lines[0])
def test_the_commands_for_a_cloud_run_one_after_another_in_the_sandbox(
    lines: list[str], tmp_path: Path
) -> None:
    from bootstrap.sandbox.run import exec_in_sandbox

    script = ["set -e", f"cd {shlex.quote(str(tmp_path))}"]
    for line in lines:
        secret = "pull-in-the-sandbox" if "private" in line else "sandbox-password"
        (tmp_path / "password.txt").write_text(secret)
        command = line.replace("registry.example.com", "registry.sandbox.example")
        if (
            any(f"pullkey {verb}" in line for verb in ("onboard", "apply", "rotate", "offboard"))
            and "--dry-run" not in line
        ):
            words = command.split(" < ")
            command = " < ".join([f"{words[0]} --yes", *words[1:]])
        script.append(command)
    assert exec_in_sandbox(["bash", "-c", "\n".join(script)], SandboxSettings()) == 0


@pytest.mark.parametrize("page", ["README.md", "docs/fleet.md"])
def test_the_files_of_registries_that_are_shown_are_whole(page: str) -> None:
    import jsonschema
    import yaml

    from bootstrap.fleet.registries import parse
    from bootstrap.fleet.schema import registries_schema

    shown = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert shown
    for text in shown:
        assert len(parse(text.encode(), page, base=ROOT).entries) > 1
        jsonschema.validate(yaml.safe_load(text), registries_schema())


def test_every_option_and_variable_that_the_documents_name_exists() -> None:
    texts = README + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    source = "".join(path.read_text(encoding="utf-8") for folder in ("bootstrap", "providers") for path in (ROOT / folder).rglob("*.py"))  # fmt: skip
    source += "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "scripts").iterdir() if path.is_file()
    )
    theirs = {"--docker-password"}
    for option in sorted(
        set(re.findall(r"--[a-z][a-z-]+", "\n".join(re.findall(r"`[^`\n]+`", texts)))) - theirs
    ):
        if "display-name" not in option:
            assert f'"{option}"' in source, option
    for variable in sorted(
        set(re.findall(r"PULLKEY_[A-Z]+(?:_[A-Z]+)+(?:_ENDPOINT|_HOST|_TO|_CLI|_DIR)", texts))
    ):
        assert variable in source, variable


def test_the_exit_codes_are_those_of_the_program() -> None:
    from bootstrap.errors import ExitCode

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert told == {int(code) for code in ExitCode}

"""The action at the root and the workflow in `deploy/github`: their shell steps are run as a runner runs
them, and what they show is what GitHub takes.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.fleet.target_end import TargetEnd
from bootstrap.output import job_summary
from bootstrap.output.fleet_progress import PlainFleetReporter
from bootstrap.output.plain_progress import PlainReporter
from bootstrap.output.terminal import say
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.kill_points import wait_until
from bootstrap.testing.harness.world import World
from tests.harness.google_state import project

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / "deploy" / "github" / "pullkey.yaml"
CONTAINERS = "europe-west1-docker-pkg-dev-acme-shop-containers"
FILE = """version: 1
defaults: {akka-project: shop}
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}
"""
BLOCKED = "  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/no-such}\n"


def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return loaded


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return loaded


def scripts() -> dict[str, dict[str, Any]]:
    """Every step that is a script, of the action and of the workflow."""
    jobs = workflow()["jobs"]
    steps = [*action()["runs"]["steps"], *(step for job in jobs.values() for step in job["steps"])]
    return {step["name"]: step for step in steps if "run" in step}


SECRETS: dict[str, str] = {}
"""Those of the environment, which a test sets."""


class Runner:
    """Runs the steps of the action and of the workflow as actions/runner does: `shell: bash` is `bash
    --noprofile --norc -eo pipefail FILE` (ScriptHandlerHelpers.cs), and the inputs are in the environment.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.summary = folder / "summary.md"
        self.environment = {
            **environment,
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(folder),
        }

    def start(self, name: str, **inputs: str) -> subprocess.Popen[str]:
        step = scripts()[name]
        given = {key: one["default"] for key, one in action()["inputs"].items()} | inputs
        variables = {}
        for variable, value in step["env"].items():
            named = re.fullmatch(r"\$\{\{ (inputs|secrets)\.(\w+) \}\}", value)
            if named is None:
                assert "${{" not in value, value
                variables[variable] = value
            else:
                variables[variable] = given[named[2]] if named[1] == "inputs" else SECRETS[named[2]]
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env={**self.environment, **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, **inputs: str) -> tuple[int, str]:
        with self.start(name, **inputs) as process:
            out, err = process.communicate(timeout=180)
        return process.returncode, out + err

    def pullkey(self, **inputs: str) -> tuple[int, str]:
        return self.run("Run pullkey", **inputs)


@pytest.fixture
def runner(gcr: World, tmp_path: Path) -> Runner:
    (tmp_path / "pullkey" / "bin").mkdir(parents=True)
    program = tmp_path / "pullkey" / "bin" / "pullkey"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bootstrap "$@"\n')
    program.chmod(0o755)
    (tmp_path / "registries.yaml").write_text(FILE)
    return Runner(tmp_path, gcr.environment())


def journals(world: World) -> list[str]:
    folder = Path(world.running.environment["PULLKEY_STATE_DIR"], "journal")
    return [one.name for one in folder.glob("*.json")]


def keys(world: World) -> set[str]:
    """The keys that users have, of all accounts."""
    accounts = project(world).accounts.values()
    return {key for one in accounts for key, value in one.keys.items() if not value.system_managed}


# -- what it shows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::stop-commands::x", ": :stop-commands::x"),
        ("  ::add-mask::shop", "  : :add-mask::shop"),
        ("refused: ##[add-mask]shop", "refused: ## [add-mask]shop"),
        ("what\n::error::it", "what\n: :error::it"),
        ("##VSO[task.setvariable variable=a]b", "## VSO[task.setvariable variable=a]b"),
        ("a::b # [c]", "a::b # [c]"),
    ],
)
def test_a_text_of_others_is_no_command_of_the_workflow(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By actions/runner, src/Runner.Common/ActionCommand.cs: `::` first in a line, or `##[` in it. Azure
    Pipelines reads `##vso[`.
    """

    def printed() -> list[str]:
        out = [io.StringIO() for _ in range(3)]
        say(text, out[0])
        PlainFleetReporter(out[1], name="file", verbose=False).line(text)
        PlainReporter(out[2], verbose=False).interrupted(text)
        return [one.getvalue() for one in out]

    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("TF_BUILD", raising=False)
    assert printed() == [f"{text}\n"] * 3
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert printed() == [f"{shown}\n"] * 3
    monkeypatch.delenv("GITHUB_ACTIONS")
    monkeypatch.setenv("TF_BUILD", "True")  # Azure Pipelines
    assert printed() == [f"{shown}\n"] * 3


def test_a_summary_is_not_longer_than_github_takes() -> None:
    ends = [
        TargetEnd(
            number=number,
            line=number,
            name=f"shop/{number}",
            secret_name="s",
            options="",
            result="failed",
            exit_code=1,
            failed=True,
            changed=False,
            left_over=False,
            not_seen=False,
            due_by_you=False,
            annotation="",
            details=["_" * 900] * 3,
            document=None,
        )
        for number in range(400)
    ]
    lines = job_summary.result_summary("apply", "registries.yaml", ends)
    rows = [line for line in lines if line.startswith("| failed")]
    assert len("\n".join(lines).encode()) < 2**20
    assert 0 < len(rows) < 400
    assert lines[-1] == f"And {400 - len(rows)} more targets: see the log."


def test_plan_marks_lines_and_summarises_for_the_job(gcr: World, runner: Runner) -> None:
    (runner.folder / "registries.yaml").write_text(FILE + BLOCKED)
    code, text = runner.pullkey()
    assert code == 4, text
    (marked,) = [line for line in text.splitlines() if line.startswith("::")]
    assert re.match(r"::error file=/.*/registries\.yaml,line=6,col=\d+::shop/.*no-such", marked), text
    summary = runner.summary.read_text()
    assert summary.startswith("### Plan for registries.yaml\n\n3 targets\\: 2 to create, 1 blocked.\n\n")
    rows = [line for line in summary.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| create", "| create", "| blocked"]
    assert "no-such" in rows[-1]
    assert gcr.changes() == []
    # The fix is beside the line, and a problem is shown once.
    assert re.search(r" \[PK-[A-Z-]+\] \S", marked), marked
    details = rows[-1].split(" | ")[-1].removesuffix(" |").split("<br>")
    assert not [one for one in details[1:] if details[0].startswith(one)], details


def test_apply_and_rotate_summarise_what_they_changed(gcr: World, runner: Runner) -> None:
    code, text = runner.pullkey(command="apply")
    assert code == 0, text
    assert CONTAINERS in gcr.names()
    assert "2 targets\\: 2 done." in runner.summary.read_text()
    runner.summary.unlink()
    code, text = runner.pullkey(command="rotate", arguments="--audit  audit.jsonl\n--at-once 2")
    assert code == 0, text
    assert runner.summary.read_text().startswith("### pullkey rotate of registries.yaml\n")
    gcr.fault("iam.UploadServiceAccountKey=403*forever")
    assert gcr.run("offboard", CONTAINERS, "--akka-project", "shop", "--yes").code == 0
    code, text = runner.pullkey(command="apply")
    assert code not in (0, 2), text
    assert "/registries.yaml,line=4," in text
    assert "| refused |" in runner.summary.read_text() or "| failed |" in runner.summary.read_text()


def test_nothing_of_a_name_becomes_markup() -> None:
    from bootstrap.output.job_summary import _plain

    assert _plain("a|b <img src=x> [x](y) `c`\n@team #1") == (
        r"a\|b &lt;img src=x&gt; \[x\]\(y\) \`c\` \@team \#1"
    )


def test_a_summary_that_cannot_be_written_changes_nothing_else(gcr: World, runner: Runner) -> None:
    runner.environment["GITHUB_STEP_SUMMARY"] = str(runner.folder / "no" / "summary")
    code, text = runner.pullkey()
    assert code == 0, text
    assert "The job summary could not be written: No such file or directory" in text


def test_validate_needs_no_login(runner: Runner) -> None:
    (runner.folder / "registries.yaml").write_text(FILE + "  - {provider: gcr, sever: gcr.io/x}\n")
    code, text = runner.pullkey(command="validate")
    assert code == 2
    assert "/registries.yaml,line=6," in text


def test_the_akka_cli_may_be_a_file_without_its_mode(gcr: World, runner: Runner) -> None:
    program = runner.folder / "akka"
    program.write_text('#!/bin/sh\necho "not the real one" >&2; exit 9\n')
    program.chmod(0o644)
    runner.environment.pop("PULLKEY_AKKA_CLI", None)
    code, text = runner.pullkey(akka="akka")
    assert code == 3, text
    assert "not the real one" in text


def test_the_workflow_s_steps_one_after_another(
    gcr: World, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its second job: the apply of a push, then the report, with the Akka CLI of the artifact."""
    monkeypatch.setitem(SECRETS, "AKKA_TOKEN", gcr.akka.service_token)
    steps = workflow()["jobs"]["pullkey"]["steps"]
    (apply,) = [one["with"] for one in steps if "pullkey@" in one.get("uses", "")]
    (upload,) = [one["with"]["path"].split() for one in steps if "upload-artifact@" in one.get("uses", "")]
    akka = runner.folder / apply["akka"]
    akka.parent.mkdir()
    akka.write_text(f'#!/bin/sh\nexec "{runner.environment.pop("PULLKEY_AKKA_CLI")}" "$@"\n')
    akka.chmod(0o644)  # an artifact does not keep it
    runner.environment["AKKA_TOKEN"] = gcr.akka.service_token
    (audit,) = re.findall(r"'(--audit \S+)'", apply["arguments"])
    code, text = runner.pullkey(command="apply", file=apply["file"], arguments=audit, akka=apply["akka"])
    assert code == 0, text
    code, text = runner.run("Write the report")
    assert code == 0, text
    assert upload == ["audit.jsonl", "report.html"]
    assert all((runner.folder / one).stat().st_size > 0 for one in upload)
    assert CONTAINERS in (runner.folder / "report.html").read_text()


def test_what_the_second_job_installs_is_kept_as_long_as_it_may_wait() -> None:
    """A job waits for a reviewer up to 30 days, and a run may be repeated for as long (GitHub's "Actions
    limits" and "Re-running workflows and jobs").
    """
    (upload,) = [
        one["with"]
        for one in workflow()["jobs"]["install"]["steps"]
        if "upload-artifact@" in one.get("uses", "")
    ]
    assert upload["retention-days"] >= 30
    # A repeated run uploads again, and each attempt keeps its own audit trail.
    assert upload["overwrite"] is True
    (kept,) = [
        one["with"]
        for one in workflow()["jobs"]["pullkey"]["steps"]
        if "upload-artifact@" in one.get("uses", "")
    ]
    assert kept["name"].endswith("${{ github.run_attempt }}")


# -- a job that is cancelled ---------------------------------------------------------------------------------


def test_a_cancelled_job_rolls_back(gcr: World, runner: Runner) -> None:
    """The runner sends SIGINT to the step's first process and to no other (GitHub's "Workflow cancellation
    reference").
    """
    before = keys(gcr)
    gcr.fault("iam.UploadServiceAccountKey=slow=1.5")
    with runner.start("Run pullkey", command="apply") as process:
        wait_until(lambda: gcr.calls("iam.UploadServiceAccountKey") > 0 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert gcr.names() == []
    assert journals(gcr) == []
    assert keys(gcr) == before


def test_what_a_cancelled_job_could_not_roll_back_is_finished_by_the_next(gcr: World, runner: Runner) -> None:
    """After 7.5 s the runner sends SIGTERM, which ends pullkey at once."""
    before = keys(gcr)
    hangs = Fault.parse("iam.DeleteServiceAccountKey=hang")
    gcr.fault("akka.docker.add-credentials=403*forever")
    gcr.running.sandbox.faults.faults.append(hangs)
    with runner.start("Run pullkey", command="apply") as process:
        wait_until(lambda: hangs.taken > 0 or process.poll() is not None)
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert journals(gcr)
    gcr.running.sandbox.faults.faults.clear()
    code, text = runner.pullkey(command="apply")
    assert code == 0, text
    assert journals(gcr) == []
    held = {json.loads(gcr.held(name).password)["private_key_id"] for name in gcr.names()}
    assert len(held) == 2
    assert keys(gcr) - before == held


# -- installing ----------------------------------------------------------------------------------------------


@pytest.mark.full
def test_one_job_downloads_and_another_installs_without_network(tmp_path: Path) -> None:
    runner = Runner(tmp_path, dict(os.environ))
    code, text = runner.run("Install pullkey", command="download", wheels="wheels", extras="")
    assert code == 0, text
    there = {one.name.partition("-")[0] for one in (runner.folder / "wheels").iterdir()}
    assert {"pullkey", "click", "httpx"} <= there
    assert "hatchling" not in there
    runner.environment |= {
        "PIP_INDEX_URL": "https://index.invalid/",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_EXTRA_INDEX_URL": "",
    }
    code, text = runner.run("Install pullkey", wheels="wheels", extras="")
    assert code == 0, text
    done = subprocess.run(
        [runner.folder / "pullkey" / "bin" / "pullkey", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("pullkey ")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"command": "offboard"}, "must be validate, plan, apply, rotate, list or download"),
        ({"command": "plan; touch x"}, "must be validate, plan, apply, rotate, list or download"),
        ({"command": "download"}, "needs the input wheels"),
    ],
)
def test_a_wrong_input_is_one_sentence(runner: Runner, inputs: dict[str, str], says: str) -> None:
    code, text = runner.run("Install pullkey", **inputs)
    assert code == 2
    assert text.startswith("::error::pullkey: ")
    assert says in text
    assert len(text.splitlines()) == 1
    assert not (runner.folder / "x").exists()


# -- the files -----------------------------------------------------------------------------------------------


def test_no_value_becomes_part_of_a_script() -> None:
    assert scripts().keys() == {"Install pullkey", "Run pullkey", "Download the Akka CLI", "Write the report"}
    for name, step in scripts().items():
        assert "${{" not in step["run"], name


def test_each_action_is_named_by_a_commit_and_its_release() -> None:
    used = re.findall(r"uses: (\S+)@(\S+) # (\S+)$", WORKFLOW.read_text(), re.MULTILINE)
    assert len(used) == WORKFLOW.read_text().count("uses: ")
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit, _ in used)
    assert {name for name, commit, _ in used if set(commit) == {"0"}} == {"YOUR-ORGANISATION/pullkey"}
    assert len({(name, commit) for name, commit, _ in used}) == len({name for name, _, _ in used})


def test_only_the_job_that_runs_it_may_ask_for_a_login() -> None:
    jobs = workflow()["jobs"]
    assert workflow()["permissions"] == {}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "install": {"contents": "read"},
        "pullkey": {"contents": "read", "id-token": "write"},
    }
    assert "environment" not in jobs["install"]
    (download,) = [one["with"] for one in jobs["install"]["steps"] if "pullkey@" in one.get("uses", "")]
    (run,) = [one["with"] for one in jobs["pullkey"]["steps"] if "pullkey@" in one.get("uses", "")]
    assert download["command"] == "download"
    assert run["wheels"] == download["wheels"]
    with_token = [one for one in jobs["pullkey"]["steps"] if "AKKA_TOKEN" in one.get("env", {})]
    assert len(with_token) == 2
    assert "env" not in workflow()
    assert not any("env" in job for job in jobs.values())
    # Other workflows of the branch can write the cache, and the journal decides what is deleted.
    assert "cache" not in json.dumps(workflow())


def test_a_login_of_a_registry_has_its_line_where_akka_s_token_has() -> None:
    """In both steps: without it `report` cannot read the keys, and exits with 5."""
    text = WORKFLOW.read_text().replace("# HARBOR_PASSWORD: ", "HARBOR_PASSWORD: ")
    steps = yaml.safe_load(text)["jobs"]["pullkey"]["steps"]
    given = [one["env"] for one in steps if "env" in one]
    assert len(given) == 2
    for one in given:
        assert one["AKKA_TOKEN"] == "${{ secrets.AKKA_TOKEN }}"
        assert one["HARBOR_PASSWORD"] == "${{ secrets.HARBOR_PASSWORD }}"


def blocks_of_the_page() -> str:
    """The commands of docs/github-actions.md, with their continued lines joined."""
    page = (ROOT / "docs" / "github-actions.md").read_text()
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks).replace("\\\n", " ")


def test_the_clouds_trust_an_environment_and_not_the_repository() -> None:
    """A pull request edits the workflow, and its job may ask for a token: what only names the repository
    lets it become the account that writes.
    """
    environments = set(re.findall(r"'(registry-keys[\w-]*)'", workflow()["jobs"]["pullkey"]["environment"]))
    assert environments == {"registry-keys", "registry-keys-plan"}
    commands = blocks_of_the_page()
    members = dict(re.findall(r"add-iam-policy-binding (\S+) .*?--member=\"(\S+)\"", commands))
    assert len(members) == 2
    begin = "principal://iam.googleapis.com/${pool}/subject/${prefix}:environment:"
    assert {one.removeprefix(begin) for one in members.values()} == environments
    assert "--attribute-mapping=google.subject=assertion.sub " in commands
    assert "--attribute-condition=\"assertion.repository_id == '${repository}'\"" in commands
    subjects = re.findall(r'"subject": "\'"\$\{prefix\}:environment:(\S+?)"', commands)
    assert sorted(subjects) == sorted(environments)
    assert "principalSet" not in commands
    # GitHub creates one that is missing, without a restriction.
    for name in environments:
        assert f"--method PUT repos/ORG/REPO/environments/{name}\n" in commands.replace("  ", "\n"), name
    assert "environments/registry-keys/deployment-branch-policies -f name=main" in commands


def test_a_change_is_never_cut_off_and_a_fork_gets_no_login() -> None:
    job = workflow()["jobs"]["pullkey"]
    assert job["concurrency"]["cancel-in-progress"] is False
    # Else a nightly rotation cancels an apply that waits, and what was merged is never applied.
    assert job["concurrency"]["queue"] == "max"
    # One that has waited applies what is on the branch by then, and not its own older commit.
    (checkout,) = [one["with"] for one in job["steps"] if "checkout@" in one.get("uses", "")]
    assert checkout["ref"] == "${{ github.event_name == 'pull_request' && github.sha || github.ref }}"
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]


@pytest.mark.needs_shellcheck
def test_the_scripts_are_clean() -> None:
    for name, step in scripts().items():
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "-"],
            input=step["run"],
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}"


@pytest.mark.needs_zizmor
def test_zizmor_finds_nothing() -> None:
    command = ["zizmor", "--offline", "--no-progress", "--persona", "pedantic"]
    done = subprocess.run(
        [*command, str(WORKFLOW), str(ROOT / "action.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_the_workflow_passes_is_what_the_action_takes() -> None:
    inputs = action()["inputs"].keys()
    assert {"command", "file", "extras"} <= inputs
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            if "pullkey@" in step.get("uses", ""):
                assert step["with"].keys() <= inputs
    assert os.access(ROOT / "scripts" / "lock-for", os.X_OK)

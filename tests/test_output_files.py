"""Files that options name to be written: nothing of anybody's is replaced, and a full disk takes nothing
away.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.files.output_file import OutputFile
from bootstrap.model.errors import UsageProblem
from bootstrap.testing.harness.world import World

FILE = """\
version: 1
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers, akka-project: shop}
"""
PRECIOUS = "precious\n"


@pytest.fixture
def registries(tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(FILE)
    return path


def commands(registries: Path, output: Path) -> dict[str, tuple[str, ...]]:
    """One command for each option that names a file to be written."""
    file = str(output)
    return {
        "--save": ("plan", "-f", str(registries), "--save", file),
        "--html": ("report", "-f", str(registries), "--html", file),
        "--to": ("import", "--to", file),
        "--handover": ("onboard", "gcr", "--yes", "--handover", file),
        "--audit": ("apply", "-f", str(registries), "--yes", "--audit", file),
    }


OPTIONS = ["--save", "--html", "--to", "--handover", "--audit"]


def _a_file(path: Path) -> None:
    path.write_text(PRECIOUS)


def _a_link(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text(PRECIOUS)
    path.symlink_to(victim)


def _a_fifo(path: Path) -> None:
    os.mkfifo(path)


def _a_folder(path: Path) -> None:
    path.mkdir()


def _a_ring(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [_a_file, _a_link, _a_fifo, _a_folder, _a_ring])
def test_what_is_there_already_stays_and_nothing_is_done(
    gcr: World, registries: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    output = tmp_path / "output"
    make(output)
    for option, command in commands(registries, output).items():
        if option == "--handover":
            gcr.cloud.state.denied_permissions.add("iam.serviceAccounts.create")
        done = gcr.run(*command)
        assert done.code == 2, (option, done.text)
        assert f"{option}: " in done.err
        assert str(output) in done.err or str(output.resolve(strict=False)) in done.err
    assert gcr.changes() == []
    assert [one.read_text() for one in (output, tmp_path / "victim") if one.is_file()] in (
        [],
        [PRECIOUS],
        [PRECIOUS] * 2,
    )


def test_the_registries_file_is_no_place_for_its_own_plan(gcr: World, registries: Path) -> None:
    for option in OPTIONS:
        done = gcr.run(*commands(registries, registries)[option])
        assert done.code == 2, done.text
        assert registries.read_text() == FILE


@pytest.mark.parametrize("folder", ["nowhere", "registries.yaml"])
def test_a_folder_that_is_none_is_told_before_anybody_is_asked(
    gcr: World, registries: Path, tmp_path: Path, folder: str
) -> None:
    for option in OPTIONS:
        done = gcr.run(*commands(registries, tmp_path / folder / "output")[option])
        assert done.code == 2, (option, done.text)
        assert f"{option}: " in done.err
    assert gcr.calls("iam.ListServiceAccountKeys") == 0


def test_a_full_disk_takes_nothing_away(tmp_path: Path) -> None:
    """By a limit on the size of a file, which is answered as a full disk is: some of it is written, then
    an error.
    """
    output = tmp_path / "plan"
    output.write_text("plan: old")
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from bootstrap.model.errors import UsageProblem\nfrom bootstrap.files.output_file import "
        "OutputFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, "
        "(4096, 4096))\n"
        "try:\n    OutputFile(Path(sys.argv[1]), '--save', 'a plan', b'plan:').write('plan: ' + "
        "'x' * 100_000)\n"
        "except UsageProblem as error:\n    print(error.what)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(output)], capture_output=True, text=True, check=False
    )
    assert f"--save: {output} cannot be written: File too large" in done.stdout, done.stderr
    assert output.read_text() == "plan: old"
    assert list(tmp_path.iterdir()) == [output]


def test_a_device_that_is_full_is_no_file(gcr: World, registries: Path) -> None:
    for option in OPTIONS:
        done = gcr.run(*commands(registries, Path("/dev/full"))[option])
        assert done.code == 2, (option, done.text)
        assert option in done.err


def test_one_that_pullkey_wrote_is_replaced_and_keeps_what_its_owner_set(tmp_path: Path) -> None:
    path = tmp_path / "page"
    page = OutputFile(path, "--html", "a page", b"<!-- ours", keep_mode=True)
    page.write("<!-- ours 1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    page.write("<!-- ours 2")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("<!-- ours 2", 0o644)
    link = tmp_path / "link"
    link.symlink_to(path)
    OutputFile(link, "--html", "a page", b"<!-- ours").write("<!-- ours 3")
    assert link.is_symlink()
    assert path.read_text() == "<!-- ours 3"


def test_what_has_come_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "plan", "--save", "a plan", b"plan:")
    file.check()
    (tmp_path / "plan").write_text(PRECIOUS)
    with pytest.raises(UsageProblem, match="is not a plan that pullkey wrote"):
        file.write("plan: new")
    assert (tmp_path / "plan").read_text() == PRECIOUS


# -- saved plans ---------------------------------------------------------------------------------------------


def _edited(document: dict[str, Any], *path: Any, value: Any) -> str:
    found: Any = document
    for name in path[:-1]:
        found = found[name]
    found[path[-1]] = value
    return json.dumps(document, indent=1)


def test_a_plan_is_applied_as_it_was_saved_or_not_at_all(
    gcr: World, registries: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "today.plan"
    assert gcr.run("plan", "-f", str(registries), "--save", str(plan)).code == 0
    whole = plan.read_text()
    for path, value in {
        ("targets", 0, "entry", "role"): "roles/owner",
        ("targets", 0, "entry", "service-account"): "other@acme-shop.iam.gserviceaccount.com",
        ("targets", 0, "mark", "action"): "keep",
        ("file",): "other.yaml",
        ("made",): "2020-01-01T00:00:00+00:00",
        ("more",): True,
    }.items():
        plan.write_text(_edited(json.loads(whole), *path, value=value))
        done = gcr.run("apply", str(plan), "--yes")
        assert done.code == 2, (path, done.text)
        assert "was edited or not written completely" in done.err
    document = json.loads(whole)
    for changed in ({**document, "targets": document["targets"] * 2}, {**document, "targets": []}):
        plan.write_text(json.dumps(changed))
        assert gcr.run("apply", str(plan), "--yes").code == 2
    document.pop("sha256")
    plan.write_text(json.dumps(document))
    assert gcr.run("apply", str(plan), "--yes").code == 2
    assert gcr.changes() == []
    # How it is laid out says nothing.
    plan.write_text(json.dumps(json.loads(whole)))
    assert gcr.run("apply", str(plan), "--yes").code == 0


def test_a_plan_is_saved_anew_over_the_one_before(gcr: World, registries: Path, tmp_path: Path) -> None:
    plan = tmp_path / "today.plan"
    for _ in range(2):
        assert gcr.run("plan", "-f", str(registries), "--save", str(plan)).code == 0
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600

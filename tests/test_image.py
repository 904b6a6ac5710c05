"""The image: what is left out of it, and what runs in it. `scripts/check-image` builds and runs it."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World

ROOT = Path(__file__).resolve().parent.parent
TRIM = runpy.run_path(str(ROOT / "scripts" / "trim-sdks"))


def test_the_page_says_what_the_images_may_have() -> None:
    """What was measured, of which `scripts/check-image` permits a tenth more."""
    sizes = runpy.run_path(str(ROOT / "scripts" / "check-image"))["SIZES"]
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    rows = re.findall(r'^\| `(?:""|([a-z ]+))`[^|]*\| +(\d+) \|$', page, re.MULTILINE)
    said = {extras: int(size) for extras, size in rows}
    assert said.keys() == sizes.keys()
    for extras, most in sizes.items():
        assert said[extras] <= most <= 1.15 * said[extras], extras
    assert set(sizes) == {"", "gcr", "acr", "gcr acr"}


def test_the_images_are_run_with_what_the_manifests_mount_and_set() -> None:
    check = runpy.run_path(str(ROOT / "scripts" / "check-image"))
    for job in ("rotate", "apply"):
        volumes = check["volumes_of"](check["pod_of"](job))
        assert volumes.folders == {
            "/etc/pullkey": "registries",
            "/run/secrets/akka": "akka",
            "/var/lib/pullkey": "state",
        }
        assert volumes.read_only == {"/etc/pullkey", "/run/secrets/akka"}
        assert volumes.in_memory == {"/tmp": 64 * 2**20}
        assert (volumes.modes, volumes.written) == ({"akka": 0o440}, {"state"})
        user = check["pod_of"](job)["securityContext"]
        assert {user[one] for one in ("runAsUser", "runAsGroup", "fsGroup")} == {check["USER"]}
    own = {"JOB_COMPLETIONS": "4", "PART": "2"}
    assert check["environment_of"](check["pod_of"]("apply"), own) == {
        "JOB_COMPLETIONS": "4",
        "PART": "2",
        "PULLKEY_STATE_DIR": "/var/lib/pullkey/part-2-of-4",
        "PULLKEY_AKKA_TOKEN_FILE": "/run/secrets/akka/token",
    }
    assert check["SIZES"].keys() == {"", "gcr", "acr", "gcr acr"}


def generated() -> Path:
    spec = importlib.util.find_spec("msgraph")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "generated")


def kept() -> Iterator[Path]:
    gone = set(TRIM["left_out"](generated()))
    for path in generated().iterdir():
        if path not in gone:
            yield from [path] if path.suffix == ".py" else path.rglob("*.py")


def imported(tree: ast.AST, path: Path) -> Iterator[Path]:
    """The modules of msgraph.generated that a module imports at any time, which type checkers' are not."""
    package = path.parent
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.ImportFrom) and tree.level:
        base = package
        for _ in range(tree.level - 1):
            base = base.parent
        yield base.joinpath(*(tree.module or "").split("."))
    for child in ast.iter_child_nodes(tree):
        yield from imported(child, path)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_nothing_that_is_kept_of_msgraph_imports_what_is_left_out() -> None:
    top, gone = generated(), set(TRIM["left_out"](generated()))
    assert len(gone) > 50
    found = set()
    for path in kept():
        # Each property of the client imports its package; pullkey reads those that are kept.
        if path.parent == top and path.name == "base_graph_service_client.py":
            continue
        for module in imported(ast.parse(path.read_text(encoding="utf-8")), path):
            first = next(iter(module.relative_to(top).parts), "") if module.is_relative_to(top) else ""
            if top / first in gone:
                found.add(f"{path.relative_to(top)} imports {module.relative_to(top)}")
    assert found == set()


def test_what_the_provider_reads_of_the_client_is_kept() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "providers" / "acr").glob("*.py"))
    used = set(re.findall(r"\b_?client\.([a-z]\w*)", sources))
    properties = {path.name for path in generated().iterdir() if path.is_dir()}
    named = set(re.findall(r"msgraph\.generated\.(\w+)", sources))
    assert {"applications", "service_principals", "policies"} <= used & properties
    assert (used & properties) | named <= TRIM["KEPT"]
    assert properties >= TRIM["KEPT"]


WITHOUT = """
import sys
KEPT = {kept!r}
class Hook:
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if parts[:2] == ["msgraph", "generated"] and len(parts) > 2 and parts[2] not in KEPT:
            raise ImportError(name + " is left out of the image", name=name)
sys.meta_path.insert(0, Hook())
import runpy
sys.argv[0] = "pullkey"
runpy.run_module("bootstrap", run_name="__main__", alter_sys=True)
"""


def test_a_credential_lives_and_is_removed_without_what_is_left_out(acr: World) -> None:
    top = {path.stem for path in generated().glob("*.py")}
    program = WITHOUT.format(kept=TRIM["KEPT"] | top)
    (name,) = ["acmeshop-azurecr-io"]
    for arguments in (["onboard", "acr"], ["rotate", name], ["offboard", name]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, "--yes"],
            env=acr.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "left out" not in done.stderr
    assert acr.names() == []

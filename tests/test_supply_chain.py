"""What pullkey is made of, and how it is released."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _release() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("release", str(ROOT / "scripts" / "release"))
    spec = importlib.util.spec_from_loader("release", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


release = _release()
PINNED: dict[str, dict[str, Any]] = {
    release.normal(one["name"]): one for one in release.locked(LOCK.read_text())
}


# -- the lock ------------------------------------------------------------------------------------------------


def test_every_line_of_the_lock_is_a_pin_with_hashes() -> None:
    others = [line for line in LOCK.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    assert len(others) == len(PINNED) > 50
    assert all(one["hashes"] for one in PINNED.values())


def test_the_lock_is_in_step_with_the_project() -> None:
    """Every requirement is pinned, to a version that it allows; and nothing is pinned that nobody wants."""
    from packaging.requirements import Requirement

    project = PROJECT["project"]
    extras = [one for of in project["optional-dependencies"].values() for one in of]
    groups = PROJECT["dependency-groups"]
    typed = [*project["dependencies"], *extras, *(one for of in groups.values() for one in of)]
    wanted = [one for one in map(Requirement, typed) if one.name != "pullkey"]
    assert {release.normal(one.name) for one in wanted} - PINNED.keys() == set()
    for one in wanted:
        assert one.specifier.contains(PINNED[release.normal(one.name)]["version"], prereleases=True), one
    parents = release._parents(LOCK.read_text())
    assert all(parents[name] for name in PINNED)
    direct = {
        name for name, of in parents.items() if of & {"pullkey", *(f"pullkey:{group}" for group in groups)}
    }
    assert direct == {release.normal(one.name) for one in wanted}


def test_no_index_is_named_anywhere() -> None:
    """Where packages come from is for whoever installs to say; a second index is how a wrong one gets in."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    paths = [ROOT / name for name in tracked.split("\0") if name] or [LOCK, ROOT / "pyproject.toml"]
    named = re.compile(
        r"(?<!no-emit-)(?:extra-)?index[-_]url\s*[=:]?\s*[\"']?\w+://|https?://[\w.-]*pypi\.[\w./-]+|\[\[tool\.uv\.index\]\]"
    )
    found = [
        str(path)
        for path in paths
        if path.is_file() and path != Path(__file__) and named.search(path.read_text(errors="replace"))
    ]
    assert found == []


def test_the_environment_is_made_with_hashes_only() -> None:
    script = (ROOT / "scripts" / "with-env").read_text()
    installs = [line for line in script.splitlines() if re.search(r"pip\"? install|pip install", line)]
    assert len(installs) == 4
    for line in installs:
        assert "--require-hashes" in line or ("--no-deps" in line and "--no-build-isolation" in line)


def test_the_azure_cli_of_the_tests_is_installed_with_hashes_only() -> None:
    lock = (ROOT / ".ci" / "az.lock").read_text()
    pins = release.locked(lock)
    others = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(others) == len(pins) > 50
    assert all(one["hashes"] for one in pins)
    (wanted,) = [
        line for line in (ROOT / ".ci" / "az.in").read_text().splitlines() if not line.startswith("#")
    ]
    assert wanted in [f"{one['name']}=={one['version']}" for one in pins]
    (install,) = [line for line in (ROOT / ".ci" / "install-az").read_text().splitlines() if "/pip" in line]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


# -- the release ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "release", "--draft", "--into", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_what_is_released_is_named_with_its_hash(dist: Path) -> None:
    """That two builds are the same is checked by the script itself, which keeps nothing otherwise."""
    lines = (line.split("  ") for line in (dist / "SHA256SUMS").read_text().splitlines())
    sums = {name: hashed for hashed, name in lines}
    assert {path.name for path in dist.iterdir()} == {*sums, "SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == expected


def test_the_wheel_holds_the_product_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    release_name = f"pullkey-{PROJECT['project']['version']}"
    manuals = [name for name in names if name.startswith(f"{release_name}.data/data/share/man/man1/pullkey")]
    assert len(manuals) == len(list((ROOT / "docs" / "man").glob("*.1"))) > 10
    others = {name.partition("/")[0] for name in {*names} - {*manuals}}
    assert others == {"bootstrap", "providers", f"{release_name}.dist-info"}
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getnames()
    assert any(name.endswith("/requirements.lock") for name in members)
    assert not [
        name
        for name in (*names, *members)
        if re.search(r"__pycache__|\.pyc$|/\.(?:git|venv|ci)/|\.env$", name)
    ]


def test_the_sbom_lists_what_the_lock_pins(dist: Path) -> None:
    document = json.loads((dist / "sbom.cdx.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    components = {one["name"]: one for one in document["components"]}
    assert {name: one["version"] for name, one in components.items()} == {
        name: one["version"] for name, one in PINNED.items()
    }
    scopes = {name: one["scope"] for name, one in components.items()}
    assert (scopes["httpx"], scopes["msgraph-sdk"], scopes["ruff"]) == ("required", "optional", "excluded")
    for one in components.values():
        assert one["purl"] == one["bom-ref"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert any(fact["name"] == "pullkey:lock:sha256" for fact in one["properties"])
    known = {one["bom-ref"] for one in (*components.values(), document["metadata"]["component"])}
    references = [one["ref"] for one in document["dependencies"]]
    assert len(references) == len(set(references))
    assert set(references) == known
    assert {child for one in document["dependencies"] for child in one["dependsOn"]} <= known


def test_the_provenance_says_from_what_and_that_nobody_signed_it(dist: Path) -> None:
    statement = json.loads((dist / "provenance.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert {Path(name).suffix for name in subjects} == {".whl", ".gz"}
    for name, expected in subjects.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == expected
    source, lock = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"[0-9a-f]{40}", source["digest"]["gitCommit"])
    assert source["digest"]["gitCommit"] == head.strip()
    assert lock["digest"]["sha256"] == hashlib.sha256(LOCK.read_bytes()).hexdigest()
    assert "unsigned" in statement["predicate"]["runDetails"]["builder"]["id"]

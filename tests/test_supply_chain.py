"""What pullkey is made of, and how it is released."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.harness.script_module import script_module

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


release = script_module("release")
for_an_index = script_module("readme_for_an_index.py").for_an_index
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


@pytest.mark.parametrize(("name", "at_least"), [("az", 50), ("zizmor", 1)])
def test_the_programs_of_the_tests_are_installed_with_hashes_only(name: str, at_least: int) -> None:
    lock = (ROOT / ".ci" / f"{name}.lock").read_text()
    pins = release.locked(lock)
    others = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(others) == len(pins) >= at_least
    assert all(one["hashes"] for one in pins)
    (wanted,) = [
        line for line in (ROOT / ".ci" / f"{name}.in").read_text().splitlines() if not line.startswith("#")
    ]
    assert wanted in [f"{one['name']}=={one['version']}" for one in pins]
    script = (ROOT / ".ci" / f"install-{name}").read_text()
    (install,) = [line for line in script.splitlines() if "/pip" in line]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


def test_ci_requires_what_it_installs_and_names_what_it_skips() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (required,) = re.findall(r'^export PULLKEY_TESTS_REQUIRE="(.*)"$', script, re.MULTILINE)
    (noted,) = re.findall(r"^for program in (.*); do$", script, re.MULTILINE)
    needed = set(re.findall(r'"([a-z-]+)"\] if item\.', (ROOT / "tests" / "conftest.py").read_text()))
    assert {"zizmor", "kubectl", "promtool"} <= needed | {"docker-registry"}
    assert needed <= {*required.split(), *noted.split()}
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [one for one in (*required.split(), *noted.split()) if f"`{one}`" not in page] == []


# -- the release ---------------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _released(checkout: Path, into: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "scripts" / "release", *arguments, "--into", into],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which what is released is this checkout as it is, and with more files in it than git has."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("clone") / "pullkey"
    _git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(folder))
    _git(folder, "rm", "--quiet", "-r", ".")
    for name in _git(ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", "As it is")
    for name in ("bootstrap/cli/scratch.py", "providers/gcr/key.json", "docs/man/notes.1", "notes.txt"):
        (folder / name).write_text("untracked = 1\n")
    return folder


@pytest.fixture(scope="module")
def dist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = _released(checkout, folder)
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


def _members(dist: Path) -> dict[str, bytes]:
    """The files of the sdist by their path in the repository."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = [(one.name.partition("/")[2], archive.extractfile(one)) for one in archive if one.isfile()]
        return {name: opened.read() for name, opened in files if opened}


def test_no_file_gets_in_that_git_does_not_track(checkout: Path, dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    tracked = set(_git(checkout, "ls-files").splitlines())
    assert set(_members(dist)) - tracked == {"PKG-INFO"}
    packages = {
        name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(("bootstrap", "providers"))
    }
    assert packages == {name for name in tracked if name.startswith(("bootstrap/", "providers/"))}


def test_a_checkout_with_changes_is_a_draft_or_nothing(checkout: Path, tmp_path: Path) -> None:
    path = checkout / "bootstrap" / "__init__.py"
    before = path.read_text()
    path.write_text("changed = 1\n")
    try:
        refused = _released(checkout, tmp_path / "refused")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--draft" in refused.stderr
        assert not (tmp_path / "refused").exists()
        done = _released(checkout, tmp_path / "draft", "--draft")
    finally:
        path.write_text(before)
    assert done.returncode == 0, done.stderr
    members = _members(tmp_path / "draft")
    assert members["bootstrap/__init__.py"] == b"changed = 1\n"
    assert "notes.txt" not in members
    assert _git(checkout, "stash", "list") == ""
    predicate = json.loads((tmp_path / "draft" / "provenance.json").read_text())["predicate"]
    assert predicate["buildDefinition"]["externalParameters"] == {"draft": True}
    source = predicate["buildDefinition"]["resolvedDependencies"][0]["digest"]
    assert source["gitCommit"] == _git(checkout, "rev-parse", "HEAD")
    assert source["gitTree"] != _git(checkout, "rev-parse", "HEAD^{tree}")


def test_the_readme_on_an_index_has_no_link_into_the_repository(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    name = f"pullkey-{PROJECT['project']['version']}.dist-info/METADATA"
    shown = zipfile.ZipFile(wheel).read(name).decode().partition("\n\n")[2]
    assert shown.startswith("# pullkey")
    assert re.findall(r"\]\((?!https://)[^)]*\)|<!--", shown) == []
    assert "Azure Container Registry (`docs/onboard/acr.md`)" in shown


def test_the_readme_links_to_the_repository_where_it_is_public() -> None:
    text = "![a picture](docs/a.svg) and [a page](docs/b.md#c), [this](#d), [that](https://example.com/e)"
    assert for_an_index(text, "https://git.example.com/x/y/", "v1.0") == (
        "![a picture](https://git.example.com/x/y/raw/v1.0/docs/a.svg) "
        "and [a page](https://git.example.com/x/y/blob/v1.0/docs/b.md#c), [this](#d), [that](https://example.com/e)"
    )


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


def test_the_provenance_says_from_what_and_that_nobody_signed_it(checkout: Path, dist: Path) -> None:
    statement = json.loads((dist / "provenance.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert {Path(name).suffix for name in subjects} == {".whl", ".gz"}
    for name, expected in subjects.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == expected
    source, lock = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {
        "gitCommit": _git(checkout, "rev-parse", "HEAD"),
        "gitTree": _git(checkout, "rev-parse", "HEAD^{tree}"),
    }
    assert statement["predicate"]["buildDefinition"]["externalParameters"] == {"draft": False}
    assert lock["digest"]["sha256"] == hashlib.sha256(LOCK.read_bytes()).hexdigest()
    assert "unsigned" in statement["predicate"]["runDetails"]["builder"]["id"]
    # As it is: of a file that is taken for a predicate cosign makes a statement of its own, without what this
    # one says (cmd/cosign/cli/attest/attest_blob.go).
    (command,) = re.findall(r"cosign attest-blob (.*)", release.__doc__ or "")
    assert command == "--statement dist/provenance.json --bundle dist/provenance.bundle"

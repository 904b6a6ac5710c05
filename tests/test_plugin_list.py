"""`pullkey providers`: what is installed, from where, for which hosts, and what is wrong with it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from bootstrap.cli import cli
from bootstrap.model.errors import begin_warnings
from bootstrap.output.json_schema import schemas
from bootstrap.plugin import entry_points
from bootstrap.plugin.installation import Origin, origin_of
from tests.harness.documents import ROOT
from tests.harness.plugins import RIVAL, imported_from, install


def providers(code: int) -> list[dict[str, Any]]:
    """What the command prints as JSON."""
    done = CliRunner().invoke(cli, ["providers", "--output", "json"], standalone_mode=False)
    assert done.return_value == code, done.output
    document = json.loads(done.output)
    jsonschema.validate(document, schemas()["providers"])
    assert document["exit_code"] == code
    found: list[dict[str, Any]] = document["providers"]
    return found


def test_the_built_in_ones() -> None:
    found = {one["name"]: one for one in providers(0)}

    assert {"acr", "docker-hub", "gcr", "private"} <= {*found}
    assert all(one["problem"] is None for one in found.values())
    assert {(one["distribution"], one["version"]) for one in found.values()} == {
        ("pullkey", version("pullkey"))
    }
    assert found["gcr"]["hosts"] == ["*.pkg.dev", "gcr.io", "*.gcr.io"]
    assert [one["name"] for one in found.values() if one["fallback"]] == ["private"]
    assert (found["acr"]["installed_from"], found["acr"]["editable"]) == (str(ROOT), True)


@pytest.mark.parametrize("name", entry_points.names())
def test_a_provider_claims_the_hosts_that_it_names(name: str) -> None:
    provider = entry_points.load(name)

    assert all(provider.claims(one.replace("*", "example")) for one in provider.hosts)


def test_one_that_cannot_be_used(tmp_path: Path) -> None:
    install(tmp_path, "harp", "import no_such_sdk")
    with imported_from(tmp_path):
        found = {one["name"]: one for one in providers(5)}
        warnings: list[str] = []
        begin_warnings(warnings.append)
        shown = CliRunner().invoke(cli, ["providers"]).output

    assert warnings == [], "it is in the list"
    assert [name for name, one in found.items() if one["problem"] is not None] == ["harp"]
    harp = found["harp"]
    assert (harp["title"], harp["distribution"], harp["version"]) == (None, "acme-harp", "1.0")
    assert (harp["location"], harp["installed_from"]) == (str(tmp_path), None)
    what = (
        "The provider 'harp' of acme-harp 1.0 cannot be loaded: ModuleNotFoundError: No module named "
        "'no_such_sdk'"
    )
    assert (harp["problem"]["what"], harp["problem"]["code"]) == (what, "PK-PROVIDER-BROKEN")
    assert (
        "harp        cannot be used\n"
        f"            acme-harp 1.0, in {tmp_path}\n"
        f"            {what}. Update or uninstall acme-harp; see: pullkey providers\n"
    ) in shown


def test_two_of_one_name_are_both_listed(tmp_path: Path) -> None:
    install(tmp_path, "gcr", f"{RIVAL}provider = Rival()", distribution="rival-gcr")
    with imported_from(tmp_path):
        found = providers(5)

    assert {one["distribution"] for one in found if one["name"] == "gcr"} == {"pullkey", "rival-gcr"}
    assert {one["name"] for one in found if one["problem"] is not None} == {"gcr"}


def test_two_that_claim_one_host(tmp_path: Path) -> None:
    install(tmp_path, "rival", f"{RIVAL}provider = Rival()")
    with imported_from(tmp_path):
        found = providers(5)

    problems = {one["name"]: one["problem"]["what"] for one in found if one["problem"] is not None}
    says = f"2 providers claim *.azurecr.io: acr (pullkey {version('pullkey')}) and rival (acme-rival 1.0)"
    assert problems == {"acr": says, "rival": says}


VCS = '"vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"}'


@pytest.mark.parametrize(
    ("direct_url", "origin"),
    [
        (None, None),
        ("not JSON", None),
        ('{"url": "file:///srv/acme%20harp", "dir_info": {}}', Origin(Path("/srv/acme harp"))),
        (
            '{"url": "file:///srv/harp", "dir_info": {"editable": true}}',
            Origin(Path("/srv/harp"), editable=True),
        ),
        (
            f'{{"url": "https://ops:secret@git.example.com/harp.git", {VCS}, "subdirectory": "plugin"}}',
            Origin(address="git+https://git.example.com/harp.git@v1#subdirectory=plugin"),
        ),
    ],
    ids=["index", "unreadable", "folder", "editable", "git"],
)
def test_where_a_package_was_installed_from(
    tmp_path: Path, direct_url: str | None, origin: Origin | None
) -> None:
    install(tmp_path, "harp", "")
    if direct_url is not None:
        (tmp_path / "acme_harp-1.0.dist-info" / "direct_url.json").write_text(direct_url)
    with imported_from(tmp_path):
        assert origin_of(entry_points.installed()["harp"][0].distribution) == origin

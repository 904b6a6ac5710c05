"""A target that a file names twice, with its Akka project in two spellings: neither is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World

FIRST = "  - {provider: acr, registry: acmeshop, akka-project: shop}\n"


def file_of(path: Path, second: str) -> str:
    path.write_text(f"version: 1\ntargets:\n{FIRST}  - {{provider: acr, {second}}}\n")
    return str(path)


@pytest.mark.parametrize(
    "second",
    [
        "registry: acmeshop.azurecr.io, akka-project: shop, akka-owner: acme",
        "registry: acmeshop",  # the Akka CLI's current project
        "registry: acmeabac, secret-name: acmeshop-azurecr-io",
        "registry: acmeshop, akka-project: shop, akka-owner: acme, remove: true",
    ],
)
def test_both_are_blocked_and_each_names_the_line_of_the_other(
    acr: World, tmp_path: Path, second: str
) -> None:
    file = file_of(tmp_path / "registries.yaml", second)
    done = acr.run("apply", file, "--yes", "--output", "json")
    assert done.code == 3, done.text
    assert acr.names() == []
    for one, other in zip(done.json["targets"], (4, 3), strict=True):
        assert one["action"] == "blocked"
        problem = one["problems"][0]
        assert f"in line {other} of the file has the same Akka secret, acmeshop-azurecr-io" in problem["what"]
        assert problem["code"] == "PK-FILE-INVALID"


def test_one_that_is_selected_alone_is_applied_and_then_neither_is_rotated(
    acr: World, tmp_path: Path
) -> None:
    file = file_of(tmp_path / "registries.yaml", "registry: acmeshop")
    assert acr.run("apply", file, "--yes", "--only", "shop/acmeshop-azurecr-io").code == 0
    held = acr.held("acmeshop-azurecr-io").email
    assert acr.run("rotate", "-f", file, "--yes").code == 3
    assert acr.held("acmeshop-azurecr-io").email == held


def test_one_name_in_two_projects_is_two_secrets(acr: World, tmp_path: Path) -> None:
    file = file_of(tmp_path / "registries.yaml", "registry: acmeshop, akka-project: billing")
    assert acr.run("plan", file, "--check").code == 5

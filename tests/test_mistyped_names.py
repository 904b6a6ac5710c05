"""A mistyped project, registry, repository, image or tag: found before anything changes, with the nearest
that there is.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World

GAR = "europe-west1-docker.pkg.dev/acme-shop"


def _missing(world: World, *command: str, what: str, nearest: str, code: int = 3) -> None:
    done = world.run(*command)
    said = " ".join(done.text.split())
    assert done.code == code, done.text
    assert what in said
    assert f"Did you mean {nearest}" in said
    assert world.changes() == []


class TestAkkaProject:
    @pytest.mark.parametrize(
        "command",
        [
            ("onboard", "gcr", "--yes"),
            ("plan", "gcr"),
            ("verify", "x"),
            ("verify", "gcr"),
            ("list",),
            ("list", "x"),
            ("rotate", "--all", "--yes"),
            ("rotate", "x", "--yes"),
            ("offboard", "x", "--yes"),
            ("doctor", "gcr"),
            ("report", "--html", "report.html"),
        ],
    )
    def test_a_wrong_one_has_one_answer(
        self, gcr: World, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: object
    ) -> None:
        monkeypatch.chdir(str(tmp_path))
        wrong = ("--akka-project", "shp")
        _missing(
            gcr,
            *command,
            *wrong,
            what="There is no Akka project shp that person@acme.example can see",
            nearest="shop",
        )

    def test_also_in_a_file_and_of_an_import(self, gcr: World, tmp_path: object) -> None:
        from pathlib import Path

        file = Path(str(tmp_path)) / "registries.yaml"
        file.write_text(
            "version: 1\ndefaults: {akka-project: shp}\ntargets:\n  - {provider: gcr, server: "
            "gcr.io/acme-shop}\n"
        )
        what = "There is no Akka project shp that person@acme.example can see"
        for command in (["plan"], ["apply", "--yes"], ["rotate", "--due", "--yes"]):
            _missing(gcr, command[0], "-f", str(file), *command[1:], what=what, nearest="shop")
        _missing(gcr, "import", "shp", what=what, nearest="shop")
        _missing(gcr, "import", "shp", "billing", what=what, nearest="shop", code=4)

    def test_a_wrong_owner_too(self, gcr: World) -> None:
        _missing(
            gcr,
            "list",
            "--akka-project",
            "shop",
            "--akka-owner",
            "acm",
            what="There is no Akka project acm/shop",
            nearest="acme/shop",
        )


class TestImages:
    def test_a_tag_of_google(self, gcr: World) -> None:
        _missing(
            gcr,
            "onboard",
            "gcr",
            "--yes",
            "--server",
            f"{GAR}/containers/checkout:1.1",
            what=f"There is no image {GAR}/containers/checkout:1.1",
            nearest="checkout:1.0",
        )

    def test_a_name_of_google(self, gcr: World) -> None:
        _missing(
            gcr,
            "onboard",
            "gcr",
            "--yes",
            "--server",
            f"{GAR}/containers/chekout:1.0",
            what=f"There is no image {GAR}/containers/chekout:1.0",
            nearest="checkout:1.0",
        )

    def test_a_tag_of_azure(self, acr: World) -> None:
        _missing(
            acr,
            "onboard",
            "acr",
            "--yes",
            "--registry",
            "acmeshop.azurecr.io/checkout:1.1",
            what="There is no image acmeshop.azurecr.io/checkout:1.1",
            nearest="checkout:1.0",
        )

    def test_a_name_of_azure(self, acr: World) -> None:
        _missing(
            acr,
            "onboard",
            "acr",
            "--yes",
            "--registry",
            "acmeshop.azurecr.io/chekout:1.0",
            what="There is no image acmeshop.azurecr.io/chekout:1.0",
            nearest="checkout:1.0",
        )


def test_a_registry_and_a_repository(gcr: World, acr: World) -> None:
    _missing(
        gcr,
        "onboard",
        "gcr",
        "--yes",
        "--server",
        f"{GAR}/container",
        what="has no repository container",
        nearest="containers",
    )
    _missing(
        acr,
        "onboard",
        "acr",
        "--yes",
        "--registry",
        "acmeshp",
        what="There is no registry acmeshp",
        nearest="acmeshop",
    )

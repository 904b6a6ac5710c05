"""Akka is given one spelling of a server; a record in one that no image's host matches is repaired."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.testing.harness.world import World

HOST = "registry.sandbox.example"
PASSWORD = "pull-in-the-sandbox"


def respell(world: World, server: str) -> str:
    """The record that there is, as if another tool had written its server so."""
    (name,) = world.names()
    held = replace(world.held(name), server=server)
    world.akka.projects["shop"].put_credential(name, held, world.running.sandbox.now())
    return name


@pytest.mark.parametrize(
    "typed",
    [f"https://{HOST}/v1", f"HTTPS://{HOST}/v1/", f"https://{HOST.upper()}/v1/", f"https://{HOST}:443/v1/"],
)
def test_what_is_typed_is_handed_over_in_the_one_spelling(private: World, typed: str) -> None:
    done = private.onboard("--server", typed, "--password-stdin", stdin=PASSWORD)
    assert done.code == 0, done.text
    (name,) = private.names()
    assert private.held(name).server == f"https://{HOST}/v1/"


@pytest.mark.parametrize("spelled", ["https://{}:443", "HTTPS://{}", "https://{}/v1", "{}:443"])
def test_a_record_that_no_image_matches_is_repaired(gcr: World, spelled: str) -> None:
    assert gcr.onboard().code == 0
    (name,) = gcr.names()
    right = gcr.held(name).server
    wrong = spelled.format(right.removeprefix("https://"))
    respell(gcr, wrong)

    looked = gcr.run("verify", name)
    assert looked.code == 5, looked.text
    assert f"{wrong}, which no image's host matches as it is spelled; it must be {right}" in looked.err
    listed = gcr.run("list", "--output", "json")
    assert any(wrong in reason for reason in listed.json["credentials"][0]["wrong"]), listed.out

    done = gcr.onboard()
    assert done.code == 0, done.text
    assert gcr.held(name).server == right


def test_a_spelling_that_images_match_is_left_alone(gcr: World) -> None:
    assert gcr.onboard().code == 0
    (name,) = gcr.names()
    respell(gcr, gcr.held(name).server.removeprefix("https://"))
    changes = len(gcr.changes())
    assert gcr.run("verify", name).code == 0
    assert gcr.onboard().code == 0
    assert len(gcr.changes()) == changes

"""A key that another credential of Akka's has too, registered by hand: it goes on pulling."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.entry_points import load
from bootstrap.sandbox.akka_projects import DOCKER_TYPE, AkkaCredential, AkkaProject, AkkaSecret, Scope
from bootstrap.testing.harness.credential_life import Life, living
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import REGISTERED, scene
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import World

COMMANDS = [("rotate", "--keep-old", "0"), ("offboard",)]


def works(life: Life, held: AkkaCredential) -> bool:
    return pulls(life.world.running.environment, held, patience=0)


def copied(life: Life, **shown: str) -> AkkaCredential:
    """What Akka holds, registered in another project too."""
    world = life.world
    held = world.held(life.name)
    copy = dataclasses.replace(held, **shown)
    world.akka.projects["billing"].put_credential("copied", copy, world.running.sandbox.now())
    return held


@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token"])
def test_an_offboarding_keeps_the_replaced_key_and_what_it_needs(kind: str) -> None:
    with living(kind) as life:
        life.onboard()
        copy = copied(life)
        assert life.command("rotate", life.name).code == 0
        new = life.link.key_id

        gone = life.command("offboard", life.name)

        assert gone.code == 0, gone.text
        assert works(life, copy), gone.text
        assert "copied of project billing has the same key" in gone.text
        assert not any(new in line for line in life.there())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_project_of_the_same_name_of_another_owner_is_another_project(command: tuple[str, ...]) -> None:
    with living("gcr") as life:
        life.onboard()
        world = life.world
        held = world.held(life.name)
        rival = world.akka.projects["theirs"] = AkkaProject("shop", "rival", ("gcp-us-east1",))
        rival.put_credential(life.name, held, world.running.sandbox.now())

        name, *more = command[0], life.name, *command[1:]
        done = world.run(name, *more, "--yes", "--timeout", "30s", env={"PULLKEY_AKKA_OWNER": "acme"})

        assert done.code == 0, done.text
        assert works(life, held), done.text


def test_a_project_that_is_named_by_its_id_is_the_same_one() -> None:
    with living("gcr") as life:
        life.onboard()
        world = life.world
        project = world.akka.projects["shop"].id

        gone = world.run("offboard", life.name, "--yes", env={"PULLKEY_AKKA_PROJECT": project})

        assert gone.code == 0, gone.text
        assert life.there() == life.before, gone.text


@pytest.mark.parametrize("command", COMMANDS)
def test_an_email_that_akka_has_cut_names_the_same_key(command: tuple[str, ...]) -> None:
    with living("gcr") as life:
        life.onboard()
        held = copied(life, email=life.world.held(life.name).email[:-12])

        done = life.command(command[0], life.name, *command[1:])

        assert done.code == 0, done.text
        assert works(life, held), done.text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_region_of_another_credential_counts(command: tuple[str, ...]) -> None:
    with living("gcr") as life:
        life.onboard()
        world = life.world
        held = world.held(life.name)
        link = KeyRef.parse(held.email)
        assert link is not None
        other = dataclasses.replace(held, email=held.email.replace(link.key_id, "f" * 40))
        billing, now = world.akka.projects["billing"], world.running.sandbox.now()
        for region, one in zip(billing.regions, (other, held), strict=True):
            scope = Scope(region, False, False)
            billing.secrets.write("copied", AkkaSecret(DOCKER_TYPE, vars(one)), scope, now)
            billing.registries.write("copied", None, scope, now)

        done = life.command(command[0], life.name, *command[1:])

        assert done.code == 0, done.text
        assert works(life, held), done.text


def test_a_key_that_a_killed_rotation_replaced_is_kept_once_akka_holds_a_third() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life = victim.life
        assert victim.run().code == 0
        held = copied(life)
        name = victim.name = life.name
        victim.command = "rotate"
        assert victim.killed(REGISTERED)
        shop = life.world.akka.projects["shop"]
        shop.registries.remove(name, None)
        shop.secrets.remove(name, None)

        done = life.onboard()

        assert works(life, held), done.text
        assert "stays valid: copied of Akka project billing has it too" in done.err


def test_a_lost_key_is_not_deleted_while_a_project_cannot_be_read(gcr: World, tmp_path: Path) -> None:
    """Its mark says for which secret it was created, not which other one has it."""
    file = tmp_path / "registries.yaml"
    file.write_text(
        "version: 1\n"
        "defaults: {akka-project: shop, overlap: 0s, keep-old: 0s}\n"
        "targets:\n"
        "  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers, secret-name: s0}\n"
    )
    at_once = {"PULLKEY_OVERLAP": "0"}
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    held = gcr.held("s0")
    gcr.akka.projects["billing"].put_credential("copied", held, gcr.running.sandbox.now())
    for _ in range(2):  # so that the record of `s0` does not name the key
        assert gcr.run("rotate", "s0", "--yes", env=at_once).code == 0
    gcr.running.clock.advance(4 * 3600)
    gcr.akka.unreadable = {"billing"}

    done = gcr.run("rotate", "s0", "--yes", env=at_once)

    assert done.code == 0, done.text
    assert pulls(gcr.running.environment, held, patience=0), done.text


@pytest.mark.parametrize(
    ("provider", "values"),
    [
        ("gcr", {"server": "europe-west1-docker.pkg.dev/acme-shop/containers"}),
        ("harbor", {"registry": "harbor.example.com", "project": "shop", "user": "ops"}),
        ("gitlab", {"project": "8271"}),
    ],
)
def test_an_identity_recognises_its_key_in_an_email_that_akka_has_cut(
    provider: str, values: dict[str, str]
) -> None:
    plugin = load(provider)
    options = {one.key: None for one in plugin.options}
    context = RunContext(Deadline(30), lambda _: None, lambda _: None)
    target: Any = plugin.target({**options, **values})
    if provider == "gitlab":
        target.seen["url"] = "https://gitlab.com"
    keys = plugin.open(target, context).key
    example = keys.example_ref()
    assert example is not None
    assert keys.owns(example)
    assert keys.owns(dataclasses.replace(example, domain=example.domain[:-4]))
    assert not keys.owns(dataclasses.replace(example, domain="elsewhere.example"))


@pytest.mark.parametrize("grace", ["0", "1d"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "not shared"])
def test_a_rotation_leaves_the_old_key_to_the_next_run_where_another_project_cannot_be_read_now(
    grace: str, shared: bool
) -> None:
    with living("gcr") as life:
        life.onboard()
        old = life.link.key_id
        held = copied(life) if shared else life.world.held(life.name)
        life.world.akka.unavailable = {"billing"}

        done = life.command("rotate", life.name, "--keep-old", grace)

        assert done.code == 6, done.text
        assert works(life, held), done.text
        perhaps = "stays valid: perhaps a credential of Akka project billing, which could not be read"
        assert f"left over: key {old}, which {perhaps}" in done.err
        assert old in life.world.run("list").text

        life.world.akka.unavailable = set()
        again = life.command("rotate", life.name, "--due")

        assert again.code == 0, again.text
        assert works(life, held) is shared
        assert (f"{'disabled' if grace == '1d' else 'deleted'} key {old}" in again.err) is not shared


def test_a_key_that_is_valid_for_its_grace_period_anyway_is_not_left_over() -> None:
    with living("acr") as life:
        life.onboard()
        life.world.akka.unavailable = {"billing"}

        done = life.command("rotate", life.name)

        assert done.code == 0, done.text


def test_an_offboarding_is_refused_where_another_project_cannot_be_read_now() -> None:
    with living("gcr") as life:
        life.onboard()
        held = copied(life)
        there = life.there()
        life.world.akka.unavailable = {"billing"}

        refused = life.command("offboard", life.name)

        assert refused.code == 3, refused.text
        assert "Akka project billing could not be read" in refused.err
        assert life.there() == there
        assert works(life, held)


def test_a_key_is_kept_for_the_grace_period_of_each_credential_that_replaced_it() -> None:
    with living("acr") as life:
        life.onboard()
        held = copied(life)
        assert life.command("rotate", life.name).code == 0
        billing = {"PULLKEY_AKKA_PROJECT": "billing"}
        assert life.world.run("rotate", "copied", "--yes", env=billing).code == 0

        again = life.command("rotate", life.name)

        assert again.code == 0, again.text
        assert works(life, held), again.text

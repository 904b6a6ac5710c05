"""Another run, on another machine, at the worst moment. `scripts/kill-suite --race` lets several run, and
waits for it.
"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from bootstrap.model.errors import ExitCode
from bootstrap.model.key_ref import KeyRef
from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.fork_server import ForkServer, fork_server
from bootstrap.testing.harness.inventory import inventory
from bootstrap.testing.harness.world import World
from providers.acr.slot_password import key_id_of
from providers.gcr.emulator.state import Key
from tests.harness.azure_state import APP, ONLY_CHECKOUT, TOKEN, pulls_repository, shop
from tests.harness.azure_state import NAME as TOKEN_NAME
from tests.harness.concurrent_change import MEMBER, create_key, meanwhile, register_key
from tests.harness.concurrent_runs import raced, raced_apart
from tests.harness.google_state import NAME, account, repository_members
from tests.harness.registries_file import THREE_TARGETS, TOOLS


def test_a_role_that_a_key_from_before_needs_by_now_stays(gcr: World) -> None:
    """The other run had made its key when this one looked, found the role that this one has granted, and
    was faster.
    """

    async def made() -> str:
        since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        theirs = gcr.cloud.state.add_account("acme-shop", "akka-docker-reader", created=since)
        theirs.description = "Pulls images for Akka. Made by pullkey, run 0123456789ab."
        return create_key(gcr).id

    key_id = gcr.running.call(made())
    # The first look is at the image, before anything is made; the second is the new key's.
    meanwhile(gcr, "registry.GetManifest#2", lambda: register_key(gcr, key_id))

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert "this run yields" in done.err
    assert MEMBER in repository_members(gcr), done.text
    assert [one.id for one in account(gcr).user_keys()] == [key_id]


def test_who_is_registered_over_after_it_has_read_back_gives_way(gcr: World) -> None:
    """The other run had looked at Akka's record before, and was slow to register."""
    theirs: list[Key] = []
    meanwhile(gcr, "registry.GetManifest#2", lambda: theirs.append(create_key(gcr)))
    # The first look after the registration is the reading back.
    meanwhile(
        gcr,
        "akka.docker.add-credentials",
        lambda: meanwhile(gcr, "akka.docker.list-credentials", lambda: register_key(gcr, theirs[0].id), 0.3),
    )

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert f"Another run has registered key {theirs[0].id}" in done.err
    assert [one.id for one in account(gcr).user_keys()] == [theirs[0].id]
    assert MEMBER in repository_members(gcr)


def test_a_key_that_another_run_made_while_this_one_registered_is_named(gcr: World) -> None:
    theirs: list[Key] = []
    meanwhile(gcr, "akka.docker.add-credentials", lambda: theirs.append(create_key(gcr)))

    done = gcr.onboard()

    assert done.code == 0, done.text
    assert f"keys delete {theirs[0].id}" in done.err


def test_a_record_over_ours_whose_key_is_gone_is_written_over(gcr: World) -> None:
    # Before the reading back.
    meanwhile(
        gcr,
        "akka.docker.add-credentials",
        lambda: meanwhile(gcr, "akka.docker.list-credentials", lambda: register_key(gcr, "0" * 40)),
    )

    done = gcr.onboard("--output", "json")

    assert done.code == 0, done.text
    assert done.json["credential"]["key_id"] in gcr.held(NAME).email
    assert gcr.calls("akka.docker.add-credentials") == 2


@pytest.mark.parametrize("kind", ["principal", "token"])
def test_a_key_of_an_identity_that_stays_for_another_run_goes_by_itself(acr: World, kind: str) -> None:
    """The run that made the identity left its key to go with it, and then left the identity to the other
    run.
    """

    def another() -> None:
        if kind == "token":
            acr.cloud.state.add_password(shop(acr).tokens[TOKEN], "password2")
        else:
            (ours,) = [one for one in acr.cloud.state.applications if one.unique_name == f"pullkey-{APP}"]
            acr.cloud.state.add_secret(ours, display_name="pullkey 0123456789ab")

    # When this run has its own; the first one looks for the image.
    meanwhile(acr, "registry.GetManifest#2", another)
    acr.fault("akka.docker.add-credentials=400*forever")

    failed = acr.onboard(*(ONLY_CHECKOUT if kind == "token" else ()))

    assert failed.code == 1, failed.text
    assert "kept, since another run has created key" in failed.err
    assert "akka docker add-credentials failed" in failed.err
    if kind == "token":
        assert list(shop(acr).tokens[TOKEN].passwords) == ["password2"]
    else:
        (ours,) = [one for one in acr.cloud.state.applications if one.unique_name == f"pullkey-{APP}"]
        assert [one.display_name for one in ours.secrets if one.lifetime.exists] == ["pullkey 0123456789ab"]


@pytest.fixture
def token(acr: World) -> World:
    """A token whose first password Akka has, so that a rotation generates the second one."""
    assert acr.onboard(*ONLY_CHECKOUT).code == 0
    return acr


def generate_at_once(acr: World, slot: str = "password2") -> None:
    """Another run generates the same password, a moment later."""
    moment = shop(acr).tokens[TOKEN].passwords[slot].created + dt.timedelta(milliseconds=5)
    acr.cloud.state.add_password(shop(acr).tokens[TOKEN], slot, created=moment)


def register_password(acr: World, slot: str = "password2", *, before: dt.timedelta = dt.timedelta(0)) -> None:
    """Another run registers the password that is there, or one that was there before that."""
    there = shop(acr).tokens[TOKEN].passwords[slot]
    key_id = key_id_of(slot, there.created - before)
    theirs = AkkaCredential(
        "acmeshop.azurecr.io",
        TOKEN,
        f"{TOKEN}+{key_id}@acmeshop.azurecr.io",
        "overwritten" if before else there.text,
    )
    acr.akka.projects["shop"].put_credential(TOKEN_NAME, theirs, dt.datetime.now(dt.UTC))


def test_a_password_that_another_run_generated_over_this_runs_stays(token: World) -> None:
    """Its slot shows a later one, so this run's is known to be gone: no command to remove it is offered."""
    meanwhile(token, "registry.GetToken", lambda: generate_at_once(token))

    failed = token.run("rotate", TOKEN_NAME, "--yes", "--timeout", "6s")

    assert failed.code == 1, failed.text
    assert "left over" not in failed.err
    assert "password2" in shop(token).tokens[TOKEN].passwords, failed.text


def test_a_password_is_registered_over_the_one_that_it_has_overwritten(token: World) -> None:
    """Another run generated the same slot a moment before, and registered its password, which is dead."""
    moment = dt.timedelta(milliseconds=5)
    meanwhile(token, "registry.GetToken", lambda: register_password(token, before=moment))

    done = token.run("rotate", TOKEN_NAME, "--yes", "--timeout", "20s")

    assert done.code == 0, done.text
    assert pulls_repository(token, "checkout")


def test_a_token_stays_whose_other_password_of_the_same_slot_akka_holds(acr: World) -> None:
    """This run made the token; another one generated its password again, and was registered."""

    def another() -> None:
        generate_at_once(acr, "password1")
        register_password(acr, "password1")

    # The handshake is the first that asks the registry for a token once the password is there.
    meanwhile(acr, "arm.GenerateCredentials", lambda: meanwhile(acr, "registry.GetToken", another))

    failed = acr.onboard(*ONLY_CHECKOUT, "--timeout", "8s")

    assert failed.code == 1, failed.text
    assert pulls_repository(acr, "checkout"), failed.text


def test_two_tokens_of_the_same_second_are_two_keys(acr: World) -> None:
    """Their ids are the same, which was taken for one key that two names of Akka have, and left."""
    ours = inventory(acr.cloud, acr.akka)
    for name in ("first", "second"):
        made = acr.onboard(*ONLY_CHECKOUT, "--app-name", name, "--secret-name", name)
        assert made.code == 0, made.text
    first, second = (
        shop(acr).tokens[f"{name}-checkout"].passwords["password1"] for name in ("first", "second")
    )
    second.created = first.created
    held = acr.held("second")
    key_id = key_id_of("password1", first.created)
    email = f"second-checkout+{key_id}@acmeshop.azurecr.io"
    same = AkkaCredential(held.server, held.username, email, held.password)
    acr.akka.projects["shop"].put_credential("second", same, dt.datetime.now(dt.UTC))

    for name in ("first", "second"):
        gone = acr.run("offboard", name, "--yes")
        assert gone.code == 0, gone.text

    assert inventory(acr.cloud, acr.akka) == ours


# -- and with runs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return fork_server()


@pytest.mark.parametrize("kind", ["gcr", "acr"])
def test_of_eight_machines_at_once_one_credential_stays(server: ForkServer, kind: str) -> None:
    verdict = raced(server, kind, "onboard", machines=8)
    assert verdict.good, f"{verdict}\n{verdict.said}"


@pytest.mark.parametrize("kind", ["gcr", "acr"])
def test_targets_of_one_registry_at_once_lose_no_grant(server: ForkServer, kind: str) -> None:
    verdict = raced_apart(server, kind, "onboard", machines=4)
    assert verdict.good, f"{verdict}\n{verdict.said}"


@pytest.mark.parametrize("command", ["apply", "rotate"])
def test_a_file_on_three_machines_at_once_leaves_one_key_a_target_and_names_the_others(
    gcr: World, command: str
) -> None:
    path = gcr.place / "registries.yaml"
    path.write_text(THREE_TARGETS, encoding="utf-8")
    before = inventory(gcr.cloud, gcr.akka)
    if command != "apply":
        assert gcr.run("apply", "-f", str(path), "--yes").code == 0

    def run(number: int) -> str:
        folder = gcr.place / f"state-{number}"
        folder.mkdir()
        ended = gcr.run(command, "-f", str(path), "--yes", env={"PULLKEY_STATE_DIR": str(folder)})
        assert ended.code in set(ExitCode), ended.text
        return ended.text

    with ThreadPoolExecutor(3) as beside:
        told = "".join(beside.map(run, range(3)))

    targets = (("shop", NAME), ("shop", TOOLS), ("billing", NAME))
    links = [KeyRef.parse(gcr.held(name, project).email) for project, name in targets]
    held = {link.key_id for link in links if link is not None}
    in_grace = {link.replaces for link in links if link is not None and link.replaces}
    live = {
        line.split()[3] for line in inventory(gcr.cloud, gcr.akka) - before if line.startswith("google key ")
    }
    assert len(held) == len(targets)
    assert held <= live
    assert [key_id for key_id in live - held - in_grace if key_id not in told] == [], told

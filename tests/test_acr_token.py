"""`pullkey onboard acr --auth-kind token`: a token of the registry, for people without any right in the
directory.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bootstrap.model.errors import UsageProblem
from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.world import World
from providers.acr import provider
from providers.acr.slot_password import key_id_of
from providers.acr.target import AcrTarget
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, TOKEN, TOKEN_KIND, pulls_repository, shop


def token_picture(world: World) -> Any:
    """All that tokens could change in the registry."""
    return (
        {name: sorted(one.actions) for name, one in shop(world).scope_maps.items()},
        {
            name: (one.scope_map, one.status, {slot: kept.text for slot, kept in one.passwords.items()})
            for name, one in shop(world).tokens.items()
        },
    )


def theirs(world: World, name: str = "theirs", description: str | None = "a partner's") -> Any:
    """Somebody else's token, with a password in each slot."""
    from providers.acr.emulator.state import ScopeMap

    state = world.cloud.state
    state_map = ScopeMap(name, ["repositories/checkout/content/read"], description, state.now())
    shop(world).scope_maps[name] = state_map
    token = state.add_token(shop(world), name, name)
    for slot in ("password1", "password2"):
        state.add_password(token, slot, created=state.now() - dt.timedelta(days=9))
    return token


def directory_calls(world: World) -> list[str]:
    """Whatever of Graph was called, or was asked a token for."""
    return [call.method for call in world.running.sandbox.log.calls if call.api == "graph"]


@pytest.fixture
def two(acr: World) -> World:
    """A registry with a second repository."""
    from bootstrap.sandbox.images import Image

    acr.running.call(acr.running.sandbox.images.put("acmeshop.azurecr.io/cart", "1.0", Image.build("cart\n")))
    return acr


class TestOnboarding:
    def test_it_pulls_the_repositories_that_were_named_and_no_other(self, two: World) -> None:
        two.cloud.state.graph_roles = set()

        done = two.onboard(*ONLY_CHECKOUT)

        assert done.code == 0, done.text
        held = two.held(NAME)
        token = shop(two).tokens[TOKEN]
        assert (held.server, held.username) == ("acmeshop.azurecr.io", TOKEN)
        assert held.password == token.passwords["password1"].text
        assert list(token.passwords) == ["password1"]
        assert shop(two).scope_maps[TOKEN].actions == ["repositories/checkout/content/read"]
        assert (pulls_repository(two, "checkout"), pulls_repository(two, "cart")) == (True, False)
        created = token.passwords["password1"].created
        assert KeyRef.parse(held.email) == KeyRef(
            TOKEN, key_id_of("password1", created), "acmeshop.azurecr.io"
        )
        lifetime = token.passwords["password1"].expiry - created
        assert dt.timedelta(days=364) < lifetime <= dt.timedelta(days=365)

    def test_nobody_asks_the_directory_nor_for_a_login_there(self, acr: World) -> None:
        # Without an address nor a login of its own, any call to it would fail.
        graph = acr.running.environment["PULLKEY_AZURE_GRAPH_ENDPOINT"]
        done = acr.onboard(
            *ONLY_CHECKOUT, "--verbose", env={"PULLKEY_AZURE_GRAPH_ENDPOINT": "https://localhost:1"}
        )
        assert done.code == 0, done.text
        assert directory_calls(acr) == []
        # One token for Resource Manager and one for the registry, where the image is looked at; none for
        # Graph.
        assert acr.calls("entra.GetToken") == 2
        assert graph not in done.err

    def test_several_repositories(self, two: World) -> None:
        done = two.onboard(*TOKEN_KIND, "--repository", "checkout, cart")
        assert done.code == 0, done.text
        assert (pulls_repository(two, "checkout"), pulls_repository(two, "cart")) == (True, True)
        (name,) = shop(two).tokens
        # The order in which they are typed is no matter.
        again = two.onboard(*TOKEN_KIND, "--repository", "cart,checkout", "--output", "json")
        assert again.json["result"] == "unchanged"
        assert list(shop(two).tokens) == [name]

    def test_a_new_key_takes_the_other_slot_and_the_next_one_the_first_again(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        first = acr.held(NAME).password
        assert acr.onboard(*ONLY_CHECKOUT, "--new-key").code == 0
        token = shop(acr).tokens[TOKEN]
        assert token.passwords["password1"].text == first
        second = acr.held(NAME).password
        assert second == token.passwords["password2"].text

        third = acr.onboard(*ONLY_CHECKOUT, "--new-key")

        assert third.code == 0, third.text
        # What Akka held until then was not touched; what that had replaced made room.
        assert token.passwords["password2"].text == second
        assert acr.held(NAME).password == token.passwords["password1"].text != first

    def test_a_slot_that_was_generated_again_is_another_key(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        state, token = acr.cloud.state, shop(acr).tokens[TOKEN]
        state.add_password(token, "password1", created=state.now() + dt.timedelta(seconds=5))
        assert acr.run("verify", "acr", *ONLY_CHECKOUT).code == 5
        theirs_now = token.passwords["password1"].text
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 0, done.text
        assert acr.held(NAME).password == token.passwords["password2"].text
        assert token.passwords["password1"].text == theirs_now

    def test_what_akka_holds_is_not_touched_even_where_it_has_expired(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        held = shop(acr).tokens[TOKEN].passwords["password1"]
        held.expiry = acr.cloud.state.now() - dt.timedelta(days=1)
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 0, done.text
        assert shop(acr).tokens[TOKEN].passwords["password1"] is held
        assert acr.held(NAME).password == shop(acr).tokens[TOKEN].passwords["password2"].text

    def test_an_answer_that_takes_a_poll(self, acr: World) -> None:
        acr.cloud.state.credentials_take_a_poll = True
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 0, done.text
        assert pulls_repository(acr, "checkout")

    def test_a_password_whose_poll_is_refused_is_removed(self, acr: World) -> None:
        assert acr.onboard(*ONLY_CHECKOUT).code == 0
        before = token_picture(acr)
        acr.cloud.state.credentials_take_a_poll = True
        acr.cloud.state.denied_actions.add("Microsoft.ContainerRegistry/locations/operationResults/read")
        failed = acr.onboard(*ONLY_CHECKOUT, "--new-key")
        assert failed.code == 1, failed.text
        assert "Microsoft.ContainerRegistry/locations/operationResults/read granted" in failed.text
        assert token_picture(acr) == before

    @pytest.mark.parametrize(
        ("allowed", "tried"),
        [("team/*,checkout", "checkout"), ("team/*", "team/pullkey-probe"), ("*", "pullkey-probe")],
    )
    def test_a_wildcard_that_a_scope_map_was_given_is_not_asked_for(self, allowed: str, tried: str) -> None:
        found = {"registry": "acmeshop", "auth_kind": "token", "token": TOKEN, "repository": allowed}
        target = AcrTarget.parse(found)
        assert target.repository == tried
        assert provider.covers(target, f"acmeshop.azurecr.io/{tried}:1.0")
        assert provider.covers(target, "acmeshop.azurecr.io/other:1.0") is (allowed == "*")


class TestToldFirst:
    def test_both_passwords_in_use_by_who_knows_whom(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        state, token = acr.cloud.state, shop(acr).tokens[TOKEN]
        state.add_password(token, "password2")
        before = token_picture(acr)
        done = acr.onboard(*ONLY_CHECKOUT, "--new-key")
        assert done.code == 3, done.text
        assert "Both passwords of the token akka-docker-reader-checkout are there" in done.err
        assert re.search(
            rf"az acr token credential delete --name {TOKEN} --registry acmeshop --subscription \S+ --password2",  # noqa: E501
            done.err,
        )
        assert "--password1" not in done.err
        assert token_picture(acr) == before

    def test_an_expired_password_of_whomever_is_no_obstacle(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        state, token = acr.cloud.state, shop(acr).tokens[TOKEN]
        past = state.now() - dt.timedelta(days=2)
        state.add_password(token, "password2", created=past, expiry=past + dt.timedelta(days=1))
        assert acr.onboard(*ONLY_CHECKOUT, "--new-key").code == 0
        assert acr.held(NAME).password == token.passwords["password2"].text

    def test_a_token_of_that_name_that_is_not_ours(self, acr: World) -> None:
        theirs(acr, TOKEN)
        before = token_picture(acr)
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 3, done.text
        assert "that pullkey did not create" in done.err
        assert "--app-name" in done.err
        assert token_picture(acr) == before
        assert acr.onboard(*ONLY_CHECKOUT, "--app-name", "shop").code == 0
        assert acr.held(NAME).username == "shop-checkout"

    def test_missing_rights_by_their_names(self, acr: World) -> None:
        right = "Microsoft.ContainerRegistry/registries/generateCredentials/action"
        acr.cloud.state.denied_actions.add(right)
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 3
        assert f"{right} on registry acmeshop" in done.err
        assert "Graph" not in done.err
        assert acr.changes() == []

    def test_a_registry_in_abac_mode_is_told_of(self, acr: World) -> None:
        done = acr.onboard("--registry", "acmeabac.azurecr.io/checkout:1.0", *TOKEN_KIND)
        assert done.code == 0, done.text
        assert "Microsoft does not say whether tokens pull there" in done.err

    def test_a_policy_that_forbids_tokens(self, acr: World) -> None:
        acr.cloud.state.tokens_forbidden = True
        before = token_picture(acr)
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 1
        assert "A policy forbids tokens" in done.err
        assert token_picture(acr) == before

    def test_a_disabled_token(self, acr: World) -> None:
        acr.onboard(*ONLY_CHECKOUT)
        shop(acr).tokens[TOKEN].status = "disabled"
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 3
        assert "az acr token update" in done.err


@pytest.mark.parametrize(
    "fault",
    [
        "arm.PutScopeMap=403",
        "arm.PutToken=403",
        "arm.GenerateCredentials=403",
        "registry.GetManifest=401*forever",
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(acr: World, fault: str) -> None:
    before = token_picture(acr)
    acr.fault(fault)
    done = acr.onboard(*ONLY_CHECKOUT, "--timeout", "4s", "--output", "json")
    assert done.code == 1, done.text
    assert done.json["left_over"] == []
    assert token_picture(acr) == before


@pytest.mark.parametrize(
    "fault",
    [
        "arm.PutScopeMap=lost",
        "arm.PutToken=lost",
        "arm.GetOperationStatus=503;retry-after=1",
        "arm.GenerateCredentials=lost",
        "arm.GenerateCredentials=malformed",
        "arm.GenerateCredentials=409;code=TokenNotActive",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_password(acr: World, fault: str) -> None:
    acr.fault(fault)
    done = acr.onboard(*ONLY_CHECKOUT)
    assert done.code == 0, done.text
    passwords = shop(acr).tokens[TOKEN].passwords
    assert list(passwords) == ["password1"]
    assert acr.held(NAME).password == passwords["password1"].text


def test_an_undone_password_leaves_the_one_that_akka_holds(acr: World) -> None:
    acr.onboard(*ONLY_CHECKOUT)
    before = token_picture(acr)
    acr.fault("akka.docker.add-credentials=403")
    done = acr.onboard(*ONLY_CHECKOUT, "--new-key")
    assert done.code == 1, done.text
    assert token_picture(acr) == before
    assert pulls_repository(acr, "checkout")


def test_a_password_that_somebody_else_may_use_keeps_the_token(acr: World) -> None:
    acr.onboard(*ONLY_CHECKOUT)
    other = acr.cloud.state.add_password(shop(acr).tokens[TOKEN], "password2")
    gone = acr.run("offboard", NAME, "--yes")
    assert gone.code == 0, gone.text
    assert "password2 of" in gone.err
    assert shop(acr).tokens[TOKEN].passwords == {"password2": other}
    assert TOKEN in shop(acr).scope_maps


def test_a_password_whose_answer_a_killed_run_never_saw_is_removed_by_the_next(acr: World) -> None:
    acr.onboard(*ONLY_CHECKOUT)
    passwords = shop(acr).tokens[TOKEN].passwords
    acr.fault("arm.GenerateCredentials=hang-after")
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "onboard", "acr", "--yes", "--new-key", *ONLY_CHECKOUT],
        env=acr.running.process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while len(passwords) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
        passwords = shop(acr).tokens[TOKEN].passwords
    process.kill()
    process.wait(timeout=10)

    done = acr.onboard(*ONLY_CHECKOUT)

    assert done.code == 0, done.text
    assert list(shop(acr).tokens[TOKEN].passwords) == ["password1"]
    assert pulls_repository(acr, "checkout")


class TestAWidenedScopeMap:
    """The options that name a credential are those that `onboard` takes."""

    @pytest.fixture
    def widened(self, acr: World) -> World:
        assert acr.onboard(*ONLY_CHECKOUT).code == 0
        shop(acr).scope_maps[TOKEN].actions.append("repositories/team/*/content/read")
        return acr

    @staticmethod
    def printed(world: World) -> list[str]:
        """What `verify` prints to repair a credential whose password was removed."""
        shop(world).tokens[TOKEN].passwords.clear()
        found = world.run("verify", NAME)
        assert found.code == 5, found.text
        whole = found.err.replace("\\\n", " ")
        (line,) = [one for one in whole.splitlines() if "pullkey onboard acr" in one]
        return shlex.split(line)[1:]

    def test_verify_prints_a_command_that_is_accepted(self, widened: World) -> None:
        words = self.printed(widened)
        assert words[words.index("--repository") + 1] == "checkout"
        done = widened.run(*words, "--yes", "--timeout", "20s")
        assert done.code == 0, done.text

    def test_verify_leaves_room_for_a_name_where_none_is_whole(self, widened: World) -> None:
        shop(widened).scope_maps[TOKEN].actions.pop(0)
        words = self.printed(widened)
        assert words[words.index("--repository") + 1] == "NAME"

    def test_import_writes_what_a_file_takes(self, widened: World, tmp_path: Path) -> None:
        file = tmp_path / "registries.yaml"
        assert widened.run("import", "shop", "--to", str(file)).code == 0
        assert "    repository: checkout\n" in file.read_text()
        assert widened.run("validate", str(file)).code == 0


# -- the scripts ---------------------------------------------------------------------------------------------


def test_the_runbook_is_bash_and_calls_nobody(acr: World) -> None:
    script = acr.run("runbook", "acr", *TOKEN_KIND, "--repository", "checkout,cart")
    assert script.code == 0, script.text
    subprocess.run(["bash", "-n"], input=script.out, text=True, check=True)
    assert "--repository cart content/read --repository checkout content/read" in script.out
    assert "az ad" not in script.out
    assert acr.running.sandbox.log.calls == []


@pytest.mark.parametrize("of", ["GNU", "BSD"])
@pytest.mark.parametrize("decimals", [".7968877", ".753433", ".5", ""])
def test_the_runbook_names_a_password_as_onboard_does(acr: World, decimals: str, of: str) -> None:
    script = acr.run("runbook", "acr", *ONLY_CHECKOUT).out
    function = re.search(r"^ms_of\(\) \{.*?^\}$", script, re.DOTALL | re.MULTILINE)
    assert function is not None, script
    seconds = dt.datetime(2024, 1, 30, 1, 45, 37, tzinfo=dt.UTC).timestamp()
    # BSD's date has no -d, and takes a time in exactly the given form.
    bsd = f'date() {{ [ "${{5-}}" = 2024-01-30T01:45:37 ] && echo {seconds:.0f}; }}\n' if of == "BSD" else ""

    done = subprocess.run(
        ["bash", "-euc", f'{bsd}{function[0]}\nms_of "$1"', "-", f"2024-01-30T01:45:37{decimals}+00:00"],
        capture_output=True,
        text=True,
        check=True,
    )

    created = dt.datetime.fromisoformat(f"2024-01-30T01:45:37{decimals[:7]}+00:00")
    assert f"password1-{done.stdout.strip()}" == key_id_of("password1", created)


@pytest.mark.needs_cloud_cli("az")
def test_the_runbook_ends_as_onboard_does_and_undoes(acr: World, tmp_path: Path) -> None:
    from tests.harness.command import run_script

    before = token_picture(acr)
    script = tmp_path / "steps.sh"
    script.write_text(acr.run("runbook", "acr", *ONLY_CHECKOUT).out)

    done = run_script(acr, script)
    assert done.code == 0, done.text
    assert pulls_repository(acr, "checkout")

    again = acr.onboard(*ONLY_CHECKOUT, "--output", "json")
    assert again.json["result"] == "unchanged", again.text

    undone = run_script(acr, script, "undo", KEY_ID=again.json["credential"]["key_id"])
    assert undone.code == 0, undone.text
    assert token_picture(acr) == before
    assert acr.names() == []


# -- without a cloud -----------------------------------------------------------------------------------------


def target(repositories: str, **more: Any) -> AcrTarget:
    return AcrTarget.parse({"registry": "acmeshop", "auth_kind": "token", "repository": repositories, **more})


def test_a_tokens_name_is_told_from_any_other_and_fits() -> None:
    sets = [
        "checkout",
        "shop/checkout",
        "shop-checkout",
        "a",
        "checkout,cart",
        "x" * 90,
        "x" * 91,
        "a_b",
        "a.b",
    ]
    names = {target(one).token_name for one in sets} | {target("checkout", app_name="B" * 99).token_name}
    assert len(names) == len(sets) + 1
    for name in names:
        assert 5 <= len(name) <= 50
        assert name.replace("-", "").isalnum()
        link = KeyRef(name, "password1-1767225600000", "acmeshop.azurecr.io", "")
        assert KeyRef.parse(str(link)) == link
        assert KeyRef.parse(str(link.replacing("password2-1767225601000"))) is not None


@pytest.mark.parametrize(
    "values",
    [
        {"auth_kind": "token"},
        {"auth_kind": "token", "repository": "Checkout"},
        {"auth_kind": "token", "repository": "checkout:1.0"},
        {"auth_kind": "token", "repository": "checkout", "app_id": "00000000-1111-2222-3333-444444444444"},
        {"auth_kind": "token", "repository": "checkout", "skip_grant": True},
        {"auth_kind": "token", "repository": "cart", "image": "acmeshop.azurecr.io/checkout:1.0"},
        {"repository": "checkout"},
    ],
)
def test_what_cannot_be_used_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        AcrTarget.parse({"registry": "acmeshop", **values})

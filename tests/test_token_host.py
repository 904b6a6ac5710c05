"""A token service on another domain: refused, unless it is known to be the owner's, or the user names it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from bootstrap.registry.trust import refusal_of, same_owner
from bootstrap.testing.harness.world import World
from tests.harness.odd_registry import (
    FOREIGN,
    HOST,
    IMAGE,
    NAME,
    PASSWORD,
    SISTER,
    basic_of,
    make_odd,
    onboard,
    says,
)


@pytest.fixture
def odd() -> Iterator[World]:
    for world in make_odd():
        world.cloud.realm = f"https://{FOREIGN}/token"
        yield world


def test_it_is_refused_and_the_option_that_allows_it_is_named(odd: World) -> None:
    done = onboard(odd)
    assert done.code == 3, done.text
    assert f"{HOST} wants the credential sent to another host, {FOREIGN}" in done.err
    assert f"--token-host {FOREIGN}" in done.err
    assert odd.cloud.got_password == []


def test_the_host_that_is_named_is_given_the_password_and_no_other(odd: World) -> None:
    done = onboard(odd, "--token-host", FOREIGN, "--output", "json")
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
    assert set(odd.cloud.got_password) == {f"{FOREIGN}/token"}
    other = onboard(odd, "--token-host", "tokens.other.example", "--new-key")
    assert other.code == 3, other.text


@pytest.mark.parametrize(
    "realm",
    [f"http://{FOREIGN}/token", f"https://more.{FOREIGN}/token", f"https://{FOREIGN}@evil.example/token"],
)
def test_it_is_https_and_that_very_host(odd: World, realm: str) -> None:
    odd.cloud.realm = realm
    done = onboard(odd, "--token-host", FOREIGN)
    assert done.code == 3, done.text
    assert odd.cloud.got_password == []


@pytest.mark.parametrize(
    "value",
    [
        f"http://{FOREIGN}",
        f"{FOREIGN}:8443",
        f"{FOREIGN}/token",
        "10.0.0.1",
        "nexus",
        "169.254.169.254",
        "*.example",
        "-x",
        "",
    ],
)
def test_what_is_no_host_is_refused(odd: World, value: str) -> None:
    done = onboard(odd, f"--token-host={value}")
    assert done.code == 2, done.text
    assert odd.cloud.got_password == []


def test_later_commands_know_it_by_akkas_record(odd: World) -> None:
    assert onboard(odd, "--token-host", FOREIGN).code == 0
    assert odd.held(NAME).email.endswith(f"@{FOREIGN}")
    env = {"PULLKEY_PRIVATE_SERVER": "", "PULLKEY_PRIVATE_USERNAME": "", "PULLKEY_PRIVATE_IMAGE": ""}
    verified = odd.run("verify", NAME, "--image", IMAGE, "--credential-stdin", stdin=PASSWORD, env=env)
    assert verified.code == 0, verified.text
    assert "reads the manifest" in verified.text
    odd.cloud.token = lambda request: (
        web.json_response({"token": "of-ops"})
        if basic_of(request) == "ops:a-newer-password"
        else says(401, "UNAUTHORIZED")
    )
    odd.passwords.append("a-newer-password")
    rotated = odd.run(
        "rotate", NAME, "--secret-stdin", "--yes", "--timeout", "20s", stdin="a-newer-password", env=env
    )
    assert rotated.code == 0, rotated.text
    assert odd.held(NAME).password == "a-newer-password"
    assert odd.held(NAME).email.endswith(f".{FOREIGN}") or odd.held(NAME).email.endswith(f"@{FOREIGN}")
    listed = json.loads(odd.run("list", "--output", "json", env=env).out)
    assert NAME in json.dumps(listed)


def test_an_imported_file_names_it(odd: World) -> None:
    assert onboard(odd, "--token-host", FOREIGN).code == 0
    written = odd.run("import")
    assert written.code == 0, written.text
    assert f"token-host: {FOREIGN}" in written.out


def test_with_an_address_of_the_users_it_is_a_variable(odd: World) -> None:
    assert onboard(odd, "--token-host", FOREIGN, "--email", "jo@example.com").code == 0
    arguments = ["verify", NAME, "--image", IMAGE, "--credential-stdin"]
    assert odd.run(*arguments, stdin=PASSWORD).code != 0
    again = odd.run(*arguments, stdin=PASSWORD, env={"PULLKEY_TOKEN_HOST": FOREIGN})
    assert again.code == 0, again.text


def test_in_a_file(odd: World) -> None:
    path = odd.place / "registries.yaml"
    text = (
        f"version: 1\ntargets:\n  - provider: private\n    server: https://{HOST}/v1/\n    username: "
        f"ops\n    image: {IMAGE}\n    token-host: {FOREIGN}\n    password: env:ODD_PASSWORD\n    "
        "akka-project: shop\n"
    )
    path.write_text(text)
    done = odd.run("apply", "-f", str(path), "--yes", env={"ODD_PASSWORD": PASSWORD})
    assert done.code == 0, done.text
    assert set(odd.cloud.got_password) == {f"{FOREIGN}/token"}
    path.write_text(text.replace(FOREIGN, "nexus"))
    wrong = odd.run("plan", "-f", str(path))
    assert wrong.code == 2
    assert "registries.yaml:7:5: token-host" in wrong.err
    path.unlink()


@pytest.mark.parametrize("trouble", ["untrusted", "network", "forbidden"])
def test_no_wait_registers_in_spite_of_it_and_sends_nothing(odd: World, trouble: str) -> None:
    if trouble != "untrusted":
        said = "client with IP '1.2.3.4' is not allowed access" if trouble == "network" else "denied"
        odd.cloud.ping = lambda _: says(403, "DENIED", said)
    assert onboard(odd).code == 3
    done = onboard(odd, "--no-wait")
    assert done.code == 0, done.text
    assert "NOT verified" in done.err
    assert odd.held(NAME).password == PASSWORD
    assert odd.cloud.got_password == []


def test_a_403_at_the_door_is_not_always_the_network(odd: World) -> None:
    odd.cloud.ping = lambda _: says(403, "DENIED", "blocked")
    done = onboard(odd)
    assert done.code == 3, done.text
    assert "403 DENIED blocked" in done.err
    for cause in ("firewall", "proxy", "another kind of server", "--no-wait"):
        assert cause in done.err


def test_a_403_at_the_door_may_ask_for_a_credential(odd: World) -> None:
    odd.cloud.realm = f"https://{SISTER}/token"
    ever = odd.cloud.pinged
    odd.cloud.ping = lambda request: (
        ever(request)
        if "Authorization" in request.headers
        else says(403, "DENIED", WWW_Authenticate=odd.cloud.challenge())
    )
    done = onboard(odd)
    assert done.code == 0, done.text


# -- whose host it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "domain",
    [
        "jfrog.io",
        "azurecr.io",
        "azurecr.cn",
        "azurecr.us",
        "europe.pkg.dev",
        "gcr.io",
        "eu-west-1.amazonaws.com",
        "dkr.ecr.eu-west-1.amazonaws.com",
        "on.aws",
        "cloudsmith.io",
        "packagecloud.io",
        "quay.io",
        "scw.cloud",
        "fr-par.scw.cloud",
        "ocir.io",
        "icr.io",
        "cn-hangzhou.aliyuncs.com",
        "aliyuncs.com",
        "tencentcloudcr.com",
        "myhuaweicloud.com",
        "gra9.container-registry.ovh.net",
        "container-registry.com",
        "gitlab-dedicated.com",
        "eastus.cloudapp.azure.com",
        "nip.io",
        "sslip.io",
        "github.io",
        "herokuapp.com",
        "ngrok.io",
        "run.app",
        "oraclecloud.com",
        "vultrcr.com",
        "volces.com",
        "bcr.baidubce.com",
        "kr.ncr.ntruss.com",
        "openshiftapps.com",
        "visualstudio.com",
        "s3.amazonaws.com",
    ],
)
def test_another_customers_name_on_a_shared_domain(domain: str) -> None:
    refusal = refusal_of(f"alice.{domain}", f"https://mallory.{domain}/token")
    assert refusal is not None
    assert refusal_of(f"alice.{domain}", f"https://alice.{domain}/token") is None


@pytest.mark.parametrize(
    ("registry", "tokens"),
    [
        ("rg.fr-par.scw.cloud", "api.scaleway.com"),
        ("rg.nl-ams.scw.cloud", "api.scaleway.com"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-hangzhou.aliyuncs.com"),
        ("registry.gitlab.com", "gitlab.com"),
        ("registry.digitalocean.com", "api.digitalocean.com"),
        ("registry.connect.redhat.com", "sso.redhat.com"),
        ("registry.acme.gitlab-dedicated.com", "acme.gitlab-dedicated.com"),
    ],
)
def test_known_pairs(registry: str, tokens: str) -> None:
    assert same_owner(registry, tokens)


@pytest.mark.parametrize(
    ("registry", "tokens"),
    [
        ("evil.scw.cloud", "api.scaleway.com"),
        ("rg.fr-par.scw.cloud.evil.example", "api.scaleway.com"),
        ("rg.fr-par.scw.cloud", "api.scaleway.com.evil.example"),
        ("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-beijing.aliyuncs.com"),
        ("registry.cn-hangzhou.aliyuncs.com", "mallory.cn-hangzhou.aliyuncs.com"),
    ],
)
def test_what_only_looks_like_a_known_pair(registry: str, tokens: str) -> None:
    assert not same_owner(registry, tokens)


def test_a_host_of_a_thousand_labels_is_no_host() -> None:
    assert refusal_of(HOST, f"https://{'a.' * 8000}example/token") is not None

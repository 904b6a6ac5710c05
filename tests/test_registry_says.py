"""What a registry or a token service says may hold the password, or the token it gave: it is shown
without.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from aiohttp import web

from bootstrap.testing.harness.world import World
from tests.harness.odd_registry import HOST, IMAGE, PASSWORD, USER, make_odd, onboard, says

SENT = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
def odd() -> Iterator[World]:
    yield from make_odd()


def shown(world: World, *arguments: str) -> str:
    """All that is printed, in text and as JSON, with every call traced."""
    texts = [onboard(world, *arguments, "--verbose").text]
    texts.append(onboard(world, *arguments, "--output", "json").text)
    return "".join(texts)


def hidden(text: str) -> None:
    for form in (PASSWORD, SENT, SENT[4:28], base64.b64encode(PASSWORD.encode()).decode().rstrip("=")):
        assert form not in text
    assert "<hidden>" in text


@pytest.mark.parametrize(
    "form",
    [PASSWORD, SENT, f"Basic {SENT}", quote(PASSWORD), f"{'x' * 290}{PASSWORD}"],
    ids=["plain", "base64", "header", "quoted", "cut"],
)
@pytest.mark.parametrize("where", ["token", "manifest"])
def test_an_errors_words(odd: World, where: str, form: str) -> None:
    setattr(odd.cloud, where, lambda _: says(403, "DENIED", f"no access for {form} here"))
    text = shown(odd)
    assert PASSWORD not in text
    assert SENT not in text
    assert PASSWORD[:12] not in text


def test_the_reason_of_a_status(odd: World) -> None:
    odd.cloud.manifest = lambda _: web.Response(status=403, reason=f"not for {PASSWORD}")
    hidden(shown(odd))


def test_a_rate_limits_words(odd: World) -> None:
    odd.cloud.token = lambda _: says(429, "TOOMANYREQUESTS", f"too often: {SENT}")
    hidden(shown(odd))


@pytest.mark.parametrize("where", ["ping", "manifest"])
def test_the_host_of_a_token_service(odd: World, where: str) -> None:
    realm = f"https://{PASSWORD}.foreign.example/token"
    setattr(odd.cloud, where, lambda _: says(401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="{realm}"'))
    text = shown(odd)
    assert PASSWORD not in text


def test_where_a_redirect_leads(odd: World) -> None:
    def redirect(request: web.Request) -> web.Response:
        if PASSWORD in request.path:
            return says(404, "NAME_UNKNOWN")
        return web.Response(
            status=302, headers={"Location": f"https://{HOST}/v2/{PASSWORD}/manifests/{SENT}"}
        )

    odd.cloud.manifest = redirect
    text = shown(odd)
    assert PASSWORD not in text
    assert SENT not in text


@pytest.mark.parametrize(
    "token", ["a-token-with-a-blank ", "a-token\nwith-a-line-break", "a-t\u00f6ken-of-letters", "", " "]
)
def test_an_access_token_that_cannot_be_sent(odd: World, token: str) -> None:
    odd.cloud.token = lambda _: web.json_response({"token": token})
    begin = time.monotonic()
    done = onboard(odd, "--verbose", "--timeout", "100s")
    assert done.code == 1, done.text
    assert "the token service's answer holds no valid token" in done.err
    assert "a-t" not in done.text
    # It may pass, so it is tried a few times, and not for as long as there is time.
    assert sum("/token" in one for one in odd.cloud.seen) <= 5
    assert time.monotonic() - begin < 30
    assert odd.names() == []


def test_an_access_token_in_an_errors_words(odd: World) -> None:
    odd.cloud.token = lambda _: web.json_response({"token": "the-access-token-of-ops"})
    odd.cloud.manifest = lambda request: says(
        403, "DENIED", f"{request.headers.get('Authorization')} may not"
    )
    text = shown(odd)
    assert "the-access-token" not in text
    assert "may not" in text


TYPED = "typed-into-the-address"  # another one, since it is in the arguments of the test's own processes
ADDRESSES = [
    ("private", "--server", f"https://ops:{TYPED}@{HOST}/v1/"),
    ("private", "--server", f"ops:{TYPED}@{HOST}"),
    ("private", "--server", f"http://ops:{TYPED}@{HOST}"),
    ("private", "--server", f"https://ops:{TYPED}"),
    ("private", "--image", f"ops:{TYPED}@{IMAGE}"),
    ("private", "--image", f"ops:{TYPED}/more@{IMAGE}"),
    ("private", "--token-host", f"ops:{TYPED}@tokens.foreign.example"),
    ("gcr", "--server", f"https://_json_key:{TYPED}@europe-west1-docker.pkg.dev/acme/shop"),
    ("gcr", "--image", f"_json_key:{TYPED}@europe-west1-docker.pkg.dev/acme/shop/checkout:1"),
    ("acr", "--registry", f"https://{USER}:{TYPED}@acme.azurecr.io"),
    ("acr", "--registry", f"{USER}:{TYPED}@acme.azurecr.io/checkout:1.0"),
    ("docker-hub", "--image", f"{USER}:{TYPED}@docker.io/acme/checkout"),
    ("docker-hub", "--repository", f"{USER}:{TYPED}@acme/checkout"),
]


@pytest.mark.parametrize("command", ["onboard", "plan", "verify", "runbook"])
@pytest.mark.parametrize(("provider", "option", "value"), ADDRESSES)
def test_a_login_typed_into_an_address(
    odd: World, command: str, provider: str, option: str, value: str
) -> None:
    yes = ["--yes"] if command == "onboard" else []
    done = odd.run(command, provider, option, value, *yes)
    assert done.code == 2, done.text
    assert TYPED not in done.text
    assert option in done.err
    assert odd.cloud.seen == []


@pytest.mark.parametrize(
    "arguments", [["verify"], ["onboard"], ["onboard", "private"], ["list"], ["rotate"], ["offboard"], []]
)
def test_a_login_typed_where_a_name_belongs(odd: World, arguments: list[str]) -> None:
    for address in (f"https://ops:{TYPED}@{HOST}/v1/", f"ops:{TYPED}@{HOST}"):
        done = odd.run(*arguments, address)
        assert done.code == 2, done.text
        assert TYPED not in done.text


@pytest.mark.parametrize(("provider", "option", "value"), [one for one in ADDRESSES if "@" in one[2]])
def test_a_login_in_a_file(odd: World, provider: str, option: str, value: str) -> None:
    path = odd.place / "registries.yaml"
    path.write_text(
        f"version: 1\ntargets:\n  - provider: {provider}\n    {option.removeprefix('--')}: '{value}'\n"
    )
    done = odd.run("plan", "-f", str(path))
    assert done.code == 2, done.text
    assert TYPED not in done.text
    assert "registries.yaml:4:5" in done.err
    assert "@" in done.err
    path.unlink()


@pytest.mark.parametrize(
    "text",
    [
        f"https://ops:{TYPED}@{HOST}: x\n",
        f"version: 1\n'https://ops:{TYPED}@{HOST}': x\n'https://ops:{TYPED}@{HOST}': x\n",
        f"version: 1\ntargets:\n  - provider: 'ops:{TYPED}@{HOST}'\n",
        f"version: 1\ntargets:\n  - provider: private\n    server: [ops:{TYPED}@{HOST}\n",
    ],
)
def test_a_login_in_a_file_where_no_address_belongs(odd: World, text: str) -> None:
    path = odd.place / "registries.yaml"
    path.write_text(text)
    done = odd.run("plan", "-f", str(path))
    assert done.code == 2, done.text
    assert TYPED not in done.text
    path.unlink()

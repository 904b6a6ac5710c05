"""The emulated Docker Hub beside what Docker documents: paths, fields, status codes, error bodies, headers.

The fields are those of the OpenAPI document (https://docs.docker.com/reference/api/hub/latest/), by schema.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.docker_hub.emulator.seed import CAREFUL, OWNER, PASSWORD, USER
from tests.harness.docker_hub_sandbox import HubClient, create_pat, start_docker_hub

ACCESS_TOKEN = {
    "uuid",
    "client_id",
    "creator_ip",
    "creator_ua",
    "created_at",
    "last_used",
    "generated_by",
    "is_active",
    "token",
    "token_label",
    "scopes",
    "expires_at",
}
ORG_ACCESS_TOKEN = {"id", "label", "created_by", "is_active", "created_at", "expires_at", "last_used_at"}
RESOURCES = [{"type": "TYPE_REPO", "path": "acme/checkout", "scopes": ["scope-image-pull"]}]
ORGS = "/v2/orgs/acme/access-tokens"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with start_docker_hub() as running:
        yield running


@pytest.fixture
def client(running: RunningSandbox) -> Iterator[HubClient]:
    client = HubClient(running)
    yield client
    client.hub.close()
    client.registry.close()


class TestLogin:
    @pytest.mark.parametrize(("user", "secret"), [(USER, "wrong"), ("nobody", PASSWORD), ("", "")])
    def test_a_wrong_one(self, client: HubClient, user: str, secret: str) -> None:
        answer = client.hub.post("/v2/auth/token", json={"identifier": user, "secret": secret})
        assert (answer.status_code, answer.json()["detail"]) == (401, "Incorrect authentication credentials")

    def test_a_second_factor(self, client: HubClient) -> None:
        answer = client.hub.post("/v2/auth/token", json={"identifier": CAREFUL, "secret": PASSWORD})
        assert answer.status_code == 401
        assert answer.json()["login_2fa_token"]

    def test_what_it_is_exchanged_for_is_short_lived(self, client: HubClient) -> None:
        who = client.log_in()
        assert client.hub.get("/v2/access-tokens", headers=who).status_code == 200
        client.running.sandbox.advance(dt.timedelta(minutes=11))
        expired = client.hub.get("/v2/access-tokens", headers=who)
        assert (expired.status_code, expired.json()) == (401, {"errinfo": {}, "message": "unauthorized"})
        assert client.hub.get("/v2/access-tokens").status_code == 401

    def test_with_a_token_it_does_not_reach_tokens(self, client: HubClient) -> None:
        text = create_pat(client, client.log_in()).json()["token"]
        who = client.log_in(USER, text)
        refused = create_pat(client, who)
        assert refused.status_code == 403
        assert refused.json()["message"] == "token issued from personal access token is not allowed"
        assert client.hub.get(ORGS, headers=who).status_code == 403


class TestPersonalTokens:
    def test_the_text_is_shown_once(self, client: HubClient) -> None:
        who = client.log_in()
        made = create_pat(client, who, expires_at="2099-01-01T00:00:00Z")
        assert made.status_code == 400  # further away than a year
        made = create_pat(client, who)
        assert made.status_code == 201
        assert set(made.json()) == ACCESS_TOKEN
        assert made.json()["token"].startswith("dckr_pat_")
        address = f"/v2/access-tokens/{made.json()['uuid']}"
        shown = client.hub.get(address, headers=who).json()
        assert shown == {**made.json(), "token": ""}
        listed = client.hub.get("/v2/access-tokens", headers=who).json()
        assert set(listed) == {"count", "next", "previous", "active_count", "results"}
        assert shown in listed["results"]

    def test_switching_and_deleting(self, client: HubClient) -> None:
        who = client.log_in()
        made = create_pat(client, who).json()
        address = f"/v2/access-tokens/{made['uuid']}"
        assert client.manifest("acme/checkout", (USER, made["token"])) == 200
        off = client.hub.patch(address, headers=who, json={"is_active": False})
        assert (off.status_code, off.json()["is_active"]) == (200, False)
        assert client.manifest("acme/checkout", (USER, made["token"])) == 401
        client.hub.patch(address, headers=who, json={"is_active": True})
        assert client.manifest("acme/checkout", (USER, made["token"])) == 200
        gone = client.hub.delete(address, headers=who)
        assert (gone.status_code, gone.content) == (204, b"")
        assert client.hub.delete(address, headers=who).status_code == 404
        assert client.manifest("acme/checkout", (USER, made["token"])) == 401

    @pytest.mark.parametrize(
        "more",
        [
            {"token_label": ""},
            {"token_label": "x" * 101},
            {"scopes": []},
            {"scopes": ["repo:everything"]},
            {"expires_at": "soon"},
            {"expires_at": "2020-01-01T00:00:00Z"},
        ],
    )
    def test_what_is_not_accepted(self, client: HubClient, more: dict[str, Any]) -> None:
        refused = create_pat(client, client.log_in(), **more)
        assert refused.status_code == 400
        assert set(refused.json()) == {"fields", "text"}

    def test_pages(self, client: HubClient) -> None:
        who = client.log_in()
        first = client.hub.get("/v2/access-tokens", headers=who, params={"page": 1, "page_size": 2}).json()
        assert len(first["results"]) == 2
        assert "page=2" in first["next"]
        assert first["previous"] is None
        count = first["count"]
        last = client.hub.get("/v2/access-tokens", headers=who, params={"page": count, "page_size": 1}).json()
        assert last["next"] is None
        assert len(last["results"]) == 1

    def test_it_ends(self, client: HubClient) -> None:
        who = client.log_in()
        ends = client.running.sandbox.now() + dt.timedelta(hours=1)
        made = create_pat(client, who, expires_at=f"{ends:%Y-%m-%dT%H:%M:%SZ}").json()
        assert client.manifest("acme/checkout", (USER, made["token"])) == 200
        client.running.sandbox.advance(dt.timedelta(hours=2))
        assert client.manifest("acme/checkout", (USER, made["token"])) == 401


class TestTokensOfAnOrganisation:
    def test_only_its_owners_make_them(self, client: HubClient) -> None:
        body = {"label": "shop", "resources": RESOURCES}
        assert client.hub.post(ORGS, headers=client.log_in(), json=body).status_code == 403
        who = client.log_in(OWNER)
        made = client.hub.post(ORGS, headers=who, json=body)
        assert made.status_code == 201
        assert set(made.json()) == ORG_ACCESS_TOKEN | {"token", "resources"}
        address = f"{ORGS}/{made.json()['id']}"
        assert set(client.hub.get(address, headers=who).json()) == ORG_ACCESS_TOKEN | {"resources"}
        listed = client.hub.get(ORGS, headers=who).json()
        assert set(listed) == {"total", "next", "previous", "results"}
        assert set(listed["results"][0]) == ORG_ACCESS_TOKEN

        puller = ("acme", made.json()["token"])
        assert client.manifest("acme/checkout", puller) == 200
        assert client.manifest("acme/cart", puller) == 401
        assert client.manifest("acme/checkout", (OWNER, made.json()["token"])) == 401
        assert client.hub.delete(address, headers=who).status_code == 204
        assert client.hub.get("/v2/orgs/nobody/access-tokens", headers=who).status_code == 404

    @pytest.mark.parametrize(
        "resources",
        [
            [],
            [{**RESOURCES[0], "path": "acme/nothing"}],
            [{**RESOURCES[0], "path": "stranger/notes"}],
            RESOURCES * 51,
        ],
    )
    def test_what_is_not_accepted(self, client: HubClient, resources: Any) -> None:
        refused = client.hub.post(
            ORGS, headers=client.log_in(OWNER), json={"label": "x", "resources": resources}
        )
        assert refused.status_code == 400


class TestRegistry:
    def test_it_asks_for_a_token(self, client: HubClient) -> None:
        asked = client.registry.get("/v2/", headers={"Host": "registry-1.docker.io"})
        assert asked.status_code == 401
        assert (
            asked.headers["WWW-Authenticate"]
            == 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
        )

    @pytest.mark.parametrize(
        ("path", "auth", "status"),
        [
            ("library/hello-world", None, 200),
            ("acme/website", None, 200),
            ("acme/checkout", None, 401),
            ("acme/nothing", None, 401),
            ("acme/checkout", (USER, PASSWORD), 200),
            ("acme/checkout", ("stranger", PASSWORD), 401),
            ("stranger/notes", (USER, PASSWORD), 401),
            ("acme/checkout", (USER, "wrong"), 401),
            ("acme/checkout", (CAREFUL, PASSWORD), 401),
        ],
    )
    def test_who_pulls_what(
        self, client: HubClient, path: str, auth: tuple[str, str] | None, status: int
    ) -> None:
        assert client.manifest(path, auth) == status

    def test_whoever_may_pull_is_told_what_is_not_there(self, client: HubClient) -> None:
        query = {"service": "registry.docker.io", "scope": "repository:acme/checkout:pull"}
        token = client.registry.get("/token", params=query, auth=(USER, PASSWORD)).json()["token"]
        answer = client.registry.get(
            "/v2/acme/checkout/manifests/9.9", headers={"Authorization": f"Bearer {token}"}
        )
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")

    def test_a_password_by_form_too(self, client: HubClient) -> None:
        form = {
            "grant_type": "password",
            "service": "registry.docker.io",
            "username": USER,
            "password": PASSWORD,
            "scope": "repository:acme/checkout:pull",
        }
        assert client.registry.post("/token", data=form).json()["access_token"]


def test_a_private_repository_is_not_there_for_others(client: HubClient) -> None:
    address = "/v2/namespaces/acme/repositories/checkout"
    assert client.hub.get(address).status_code == 404
    assert client.hub.get(address, headers=client.log_in("stranger")).status_code == 404
    assert client.hub.get(address, headers=client.log_in()).json()["is_private"] is True
    assert client.hub.get("/v2/namespaces/acme/repositories/website").json()["is_private"] is False


def test_the_rate_limit(client: HubClient) -> None:
    headers = client.hub.get("/v2/namespaces/library/repositories/hello-world").headers
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= {
        name.title().replace("Ratelimit", "RateLimit") for name in headers
    }
    client.state.requests_left = 0
    refused = client.hub.get("/v2/namespaces/library/repositories/hello-world")
    assert refused.status_code == 429
    assert float(refused.headers["X-Retry-After"]) > time.time() - 1

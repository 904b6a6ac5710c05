"""The emulated GitLab answers as gitlabhq/gitlabhq says: lib/api/deploy_tokens.rb for calls and statuses,
lib/api/helpers.rb and lib/api/api_guard.rb for errors, and app/services/auth/
container_registry_authentication_service.rb for its token service.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.gitlab.emulator import GitlabEmulator
from providers.gitlab.emulator.seed import DEVELOPER_TOKEN, MAINTAINER_TOKEN, OWNER_TOKEN, READ_TOKEN

TOKENS = "projects/acme%2Fshop/deploy_tokens"
# gitlabhq/gitlabhq, doc/api/openapi/openapi_v3.yaml, made from lib/api/entities: the fields of each object,
# and their types.
DEPLOY_TOKEN: Mapping[str, type | tuple[type, ...]] = {
    "id": int,
    "name": str,
    "username": str,
    "expires_at": (str, type(None)),
    "scopes": list,
    "revoked": bool,
    "expired": bool,
}
FIELDS = set(DEPLOY_TOKEN)
REPOSITORY = {
    "id": int,
    "name": str,
    "path": str,
    "project_id": int,
    "location": str,
    "created_at": str,
    "cleanup_policy_started_at": str,
    "tags_count": int,
    "tags": list,
    "delete_api_path": str,
    "size": int,
    "status": str,
}
VERSION = {"version": str, "revision": str}
STATUSES: Mapping[tuple[str, str], set[int]] = {
    ("GET", "version"): {200, 401},
    ("GET", "{kind}/{id}/deploy_tokens"): {200, 401, 403, 404},
    ("POST", "{kind}/{id}/deploy_tokens"): {201, 400, 401, 403, 404},
    ("GET", "{kind}/{id}/deploy_tokens/{token}"): {200, 401, 403, 404},
    ("DELETE", "{kind}/{id}/deploy_tokens/{token}"): {204, 401, 403, 404},
    ("GET", "{kind}/{id}/registry/repositories"): {200, 401, 403, 404},
}
"""The statuses of each operation by that document. It leaves out the 204 of a deletion (`no_content!`) and,
but for the lists, the 403 of a call that is not authorized (lib/api/helpers.rb, `authorize!`).
"""
MOVED = (301, 405)
"""Those of a project that was moved, of any operation (lib/api/helpers.rb)."""


class Client:
    """An HTTP client of the API and of the token service."""

    def __init__(self, running: RunningSandbox) -> None:
        emulator = running.sandbox.emulators["gitlab"]
        assert isinstance(emulator, GitlabEmulator)
        self.state = emulator.state
        self.now = running.sandbox.now
        tls = ssl.create_default_context(cafile=running.environment["SSL_CERT_FILE"])
        self._http = httpx.Client(base_url=f"https://localhost:{emulator.port}", verify=tls)

    def call(self, method: str, path: str, token: str = MAINTAINER_TOKEN, **more: Any) -> httpx.Response:
        headers = {"PRIVATE-TOKEN": token} if token else {}
        answer = self._http.request(method, f"/api/v4/{path}", headers=headers, **more)
        kind, _, rest = path.partition("/")
        parts = rest.split("/")
        place = "/".join(["{kind}", "{id}", *parts[1:2], *("{token}" for _ in parts[2:])]) if rest else kind
        place = "{kind}/{id}/registry/repositories" if parts[1:] == ["registry", "repositories"] else place
        allowed = STATUSES.get((method, place))
        assert allowed is None or answer.status_code in (*allowed, *MOVED), (method, path, answer.status_code)
        return answer

    def create(self, **fields: Any) -> httpx.Response:
        body = {"name": "mine", "scopes": ["read_registry"], **fields}
        return self.call("POST", TOKENS, json={name: value for name, value in body.items() if value})

    def sign_in(self, auth: tuple[str, str] | None, repository: str = "acme/shop/checkout") -> httpx.Response:
        query = {"service": "container_registry", "scope": f"repository:{repository}:pull"}
        return self._http.get("/jwt/auth", params=query, auth=auth)

    def manifest(self, bearer: str, repository: str = "acme/shop/checkout") -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}"}
        return self._http.get(f"/v2/{repository}/manifests/1.0", headers=headers)


@pytest.fixture
def client() -> Iterator[Client]:
    with RunningSandbox({"gitlab": GitlabEmulator}) as running:
        yield Client(running)


def assert_is(shown: Any, fields: Mapping[str, Any]) -> None:
    """It has fields of the description only, of their types."""
    assert isinstance(shown, dict)
    for name, value in shown.items():
        assert name in fields, f"{name} is not a field"
        assert isinstance(value, fields[name]), f"{name} is {value!r}"


@pytest.mark.parametrize("tokens", [TOKENS, "groups/acme/deploy_tokens"])
def test_its_objects_are_those_of_the_description(client: Client, tokens: str) -> None:
    body = {"name": "mine", "scopes": ["read_registry"], "expires_at": "2100-01-01T08:00:00Z"}
    created = client.call("POST", tokens, OWNER_TOKEN, json=body).json()
    assert_is(created, {**DEPLOY_TOKEN, "token": str})
    assert_is(client.call("GET", f"{tokens}/{created['id']}", OWNER_TOKEN).json(), DEPLOY_TOKEN)
    for shown in client.call("GET", tokens, OWNER_TOKEN).json():
        assert_is(shown, DEPLOY_TOKEN)
    repositories = client.call("GET", "projects/acme%2Fshop/registry/repositories").json()
    assert repositories
    for shown in repositories:
        assert_is(shown, REPOSITORY)
    assert_is(client.call("GET", "version").json(), VERSION)
    assert client.call("GET", "version", "").status_code == 401
    assert client.call("DELETE", f"{tokens}/{created['id']}", OWNER_TOKEN).status_code == 204


def test_a_token_is_created_shown_and_deleted(client: Client) -> None:
    made = client.create(expires_at="2100-01-01")
    assert made.status_code == 201
    assert made.json().keys() == FIELDS | {"token"}
    assert made.json()["username"] == f"gitlab+deploy-token-{made.json()['id']}"
    assert made.json()["expires_at"] == "2100-01-01T00:00:00.000Z"

    one = f"{TOKENS}/{made.json()['id']}"
    assert client.call("GET", one).json().keys() == FIELDS
    assert client.call("DELETE", one).status_code == 204
    assert client.call("DELETE", one).json() == {"message": "404 Not found"}
    assert client.call("GET", one).status_code == 404


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"name": "", "scopes": ""}, {"error": "name is missing, scopes is missing"}),
        ({"scopes": ["api"]}, {"error": "scopes does not have a valid value"}),
        (
            {"username": "a b"},
            {"message": "Username can contain only letters, digits, '_', '-', '+', and '.'"},
        ),
    ],
)
def test_a_bad_request_has_one_of_two_forms(
    client: Client, fields: dict[str, Any], body: dict[str, str]
) -> None:
    answer = client.create(**fields)
    assert (answer.status_code, answer.json()) == (400, body)


@pytest.mark.parametrize(
    ("method", "path", "token", "status", "body"),
    [
        ("GET", TOKENS, "", 404, {"message": "404 Project Not Found"}),
        ("GET", "projects/stranger%2Fnotes", MAINTAINER_TOKEN, 404, {"message": "404 Project Not Found"}),
        ("GET", TOKENS, "wrong", 401, {"message": "401 Unauthorized"}),
        ("GET", TOKENS, DEVELOPER_TOKEN, 403, {"message": "403 Forbidden"}),
        ("GET", "projects/acme/shop", MAINTAINER_TOKEN, 404, {"error": "404 Not Found"}),
        ("GET", "groups/acme/deploy_tokens", MAINTAINER_TOKEN, 200, None),
        ("DELETE", "groups/acme/deploy_tokens/1", MAINTAINER_TOKEN, 403, {"message": "403 Forbidden"}),
        ("DELETE", "groups/acme/deploy_tokens/1", OWNER_TOKEN, 404, {"message": "404 Not found"}),
        ("GET", TOKENS, READ_TOKEN, 200, None),
    ],
)
def test_who_is_told_what(
    client: Client, method: str, path: str, token: str, status: int, body: dict[str, str] | None
) -> None:
    answer = client.call(method, path, token)
    assert answer.status_code == status
    assert body is None or answer.json() == body


def test_a_token_that_only_reads_lacks_a_scope(client: Client) -> None:
    answer = client.call("POST", TOKENS, READ_TOKEN, json={"name": "x", "scopes": ["read_registry"]})
    assert answer.status_code == 403
    assert answer.json()["error"] == "insufficient_scope"


def test_a_list_comes_in_pages_with_revoked_ones(client: Client) -> None:
    for _ in range(21):
        client.create()
    client.state.projects["acme/shop"].tokens[0].revoked = True
    first = client.call("GET", TOKENS)
    assert len(first.json()) == 20
    assert (first.headers["x-next-page"], first.headers["x-per-page"]) == ("2", "20")
    last = client.call("GET", TOKENS, params={"page": 2})
    assert last.headers["x-next-page"] == ""
    assert len(first.json()) + len(last.json()) == 24
    active = client.call("GET", TOKENS, params={"active": "true", "per_page": 100})
    assert len(active.json()) == 23


def test_a_project_that_was_moved(client: Client) -> None:
    client.state.moved["acme/old"] = "acme/shop"
    number = client.state.projects["acme/shop"].number
    got = client.call("GET", "projects/acme%2Fold")
    assert (got.status_code, got.headers["Location"].rpartition("/")[2]) == (301, str(number))
    posted = client.call("POST", "projects/acme%2Fold/deploy_tokens", json={})
    assert (posted.status_code, posted.text) == (405, "Non GET methods are not allowed for moved projects")


class TestSignIn:
    """`/jwt/auth`, and what the registry then answers."""

    def test_the_answer_is_a_token_and_nothing_else(self, client: Client) -> None:
        made = client.create().json()
        answer = client.sign_in((made["username"], made["token"]))
        assert (answer.status_code, answer.json().keys()) == (200, {"token"})
        assert client.manifest(answer.json()["token"]).status_code == 200

    def test_another_project_s_image_is_granted_nothing(self, client: Client) -> None:
        made = client.create().json()
        answer = client.sign_in((made["username"], made["token"]), "stranger/notes")
        assert answer.status_code == 200
        refused = client.manifest(answer.json()["token"], "stranger/notes")
        assert refused.status_code == 401
        assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]

    def test_the_user_name_must_match(self, client: Client) -> None:
        made = client.create().json()
        answer = client.sign_in(("somebody", made["token"]))
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")

    def test_nobody_and_a_token_of_another_scope_are_denied(self, client: Client) -> None:
        made = client.create(scopes="read_repository").json()
        for auth in (None, (made["username"], made["token"])):
            answer = client.sign_in(auth)
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")

    def test_a_deleted_token_signs_in_no_more_and_its_bearer_still_pulls(self, client: Client) -> None:
        made = client.create().json()
        auth = (made["username"], made["token"])
        bearer = client.sign_in(auth).json()["token"]
        client.call("DELETE", f"{TOKENS}/{made['id']}")
        assert client.sign_in(auth).status_code == 401
        assert client.manifest(bearer).status_code == 200

    def test_a_token_ends_to_the_second_and_is_shown_as_expired_a_day_later(self, client: Client) -> None:
        made = client.create(expires_at=f"{client.now() - dt.timedelta(seconds=2):%Y-%m-%dT%H:%M:%SZ}").json()
        assert client.sign_in((made["username"], made["token"])).status_code == 401
        assert made["expired"] is False

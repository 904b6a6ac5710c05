"""The emulated Harbor answers as Harbor's source and its API description say."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.harbor.emulator import HarborEmulator
from providers.harbor.emulator.seed import HOST, PASSWORD, pull_from
from providers.harbor.emulator.state import LOCKOUT, HarborState

# goharbor/harbor, api/v2.0/swagger.yaml (2.15): the fields of each object, and their types.
ROBOT: Mapping[str, type | tuple[type, ...]] = {
    "id": int,
    "name": str,
    "description": str,
    "secret": str,
    "level": str,
    "duration": int,
    "editable": bool,
    "disable": bool,
    "expires_at": int,
    "permissions": list,
    "creator_type": str,
    "creator_ref": int,
    "creation_time": str,
    "update_time": str,
}
ROBOT_CREATED = {"id": int, "name": str, "secret": str, "creation_time": str, "expires_at": int}
PERMISSION = {"kind": str, "namespace": str, "access": list}
ACCESS = {"resource": str, "action": str, "effect": str}
PROJECT = {
    "project_id": int,
    "owner_id": int,
    "name": str,
    "registry_id": int,
    "creation_time": str,
    "update_time": str,
    "deleted": bool,
    "owner_name": str,
    "togglable": bool,
    "current_user_role_id": int,
    "current_user_role_ids": list,
    "repo_count": int,
    "metadata": dict,
    "cve_allowlist": dict,
}
INFO = {
    "auth_mode": str,
    "primary_auth_mode": bool,
    "self_registration": bool,
    "banner_message": str,
    "oidc_provider_name": str,
    "harbor_version": str,
    "read_only": bool,
    "external_url": str,
    "registry_url": str,
    "current_time": str,
    "has_ca_root": bool,
    "notification_enable": bool,
    "project_creation_restriction": str,
    "registry_storage_provider_name": str,
    "authproxy_settings": dict,
}
ONLY_FOR_KNOWN = {"harbor_version", "read_only", "external_url", "registry_url", "current_time"}
USER = {
    "user_id": int,
    "username": str,
    "realname": str,
    "email": str,
    "comment": str,
    "sysadmin_flag": bool,
    "admin_role_in_auth": bool,
    "creation_time": str,
    "update_time": str,
    "oidc_user_meta": dict,
}
REPOSITORY = {
    "id": int,
    "project_id": int,
    "name": str,
    "description": str,
    "artifact_count": int,
    "pull_count": int,
    "creation_time": str,
    "update_time": str,
}
TAG = {
    "id": int,
    "repository_id": int,
    "artifact_id": int,
    "name": str,
    "push_time": str,
    "pull_time": str,
    "immutable": bool,
}
ARTIFACT = {
    "id": int,
    "type": str,
    "media_type": str,
    "manifest_media_type": str,
    "artifact_type": str,
    "project_id": int,
    "repository_id": int,
    "repository_name": str,
    "digest": str,
    "size": int,
    "icon": str,
    "push_time": str,
    "pull_time": str,
    "extra_attrs": dict,
    "annotations": dict,
    "references": list,
    "tags": list,
    "addition_links": dict,
    "labels": list,
}
STATUSES = {
    ("GET", "/systeminfo"): {200, 500},
    ("GET", "/users/current"): {200, 401, 412, 500},
    ("GET", "/users/current/permissions"): {200, 401, 500},
    ("GET", "/projects/{name}"): {200, 401, 403, 404, 500},
    ("GET", "/projects/{name}/repositories"): {200, 400, 401, 403, 404, 422, 500},
    ("GET", "/projects/{name}/repositories/{repository}/artifacts"): {200, 400, 401, 403, 404, 422, 500},
    ("GET", "/robots"): {200, 400, 401, 403, 404, 422, 500},
    ("POST", "/robots"): {201, 400, 401, 403, 404, 409, 500},
    ("GET", "/robots/{id}"): {200, 401, 403, 404, 500},
    ("PUT", "/robots/{id}"): {200, 400, 401, 403, 404, 409, 500},
    ("PATCH", "/robots/{id}"): {200, 400, 401, 403, 404, 500},
    ("DELETE", "/robots/{id}"): {200, 400, 401, 403, 404, 500},
}
"""The statuses of each operation by that document; 422 is go-openapi's for a page that is too large, 401 of a
list and 409 of a creation are the handler's.
"""
JO, ADMIN, KIM = ("jo", PASSWORD), ("admin", PASSWORD), ("kim", PASSWORD)
STRANGER = ("stranger", PASSWORD)
BODY = {"name": "akka", "level": "project", "duration": 30, "permissions": pull_from("shop")}


def assert_is(shown: Any, fields: Mapping[str, Any]) -> None:
    """It has fields of the description only, of their types."""
    assert isinstance(shown, dict)
    for name, value in shown.items():
        assert name in fields, f"{name} is not a field"
        assert isinstance(value, fields[name]), f"{name} is {value!r}"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with RunningSandbox({"harbor": HarborEmulator}) as found:
        yield found


class Client:
    """An HTTP client of the API and of the registry; each answer's status must be one of the operation's."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        emulator = running.sandbox.emulators["harbor"]
        assert isinstance(emulator, HarborEmulator)
        self.state: HarborState = emulator.state
        tls = ssl.create_default_context(cafile=running.environment["SSL_CERT_FILE"])
        self.http = httpx.Client(base_url=f"https://localhost:{emulator.port}", verify=tls)

    def call(self, verb: str, path: str, who: tuple[str, str] | None = None, **more: Any) -> httpx.Response:
        answer = self.http.request(verb, f"/api/v2.0{path}", auth=who, **more)
        _, of, *rest = path.split("/")
        names = {"robots": ("{id}",), "projects": ("{name}", "repositories", "{repository}", "artifacts")}
        place = "/".join(["", of, *names[of][: len(rest)]]) if of in names else path
        assert answer.status_code in STATUSES[verb, place], (verb, place, answer.status_code)
        if answer.status_code >= 400:
            (error,) = answer.json()["errors"]
            assert_is(error, {"code": str, "message": str})
        return answer

    def robots(self, **query: Any) -> httpx.Response:
        return self.call("GET", "/robots", JO, params={"q": "Level=project,ProjectID=1", **query})


@pytest.fixture
def client(running: RunningSandbox) -> Iterator[Client]:
    found = Client(running)
    before = dict(found.state.robots)
    yield found
    found.state.robots = before
    found.state.prefix, found.state.read_only, found.state.auth_mode = "robot$", False, "db_auth"
    running.sandbox.advance(LOCKOUT)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


# -- objects -------------------------------------------------------------------------------------------------


def test_its_objects_are_those_of_the_description(client: Client) -> None:
    created = client.call("POST", "/robots", JO, json=BODY)
    assert created.status_code == 201
    assert_is(created.json(), ROBOT_CREATED)
    assert set(created.json()) == set(ROBOT_CREATED)
    number = created.json()["id"]
    assert created.headers["Location"] == f"/api/v2.0/robots/{number}"
    shown = client.call("GET", f"/robots/{number}", JO).json()
    assert_is(shown, ROBOT)
    assert "secret" not in shown
    assert "description" not in shown  # an empty text is left out
    for permission in shown["permissions"]:
        assert_is(permission, PERMISSION)
        for access in permission["access"]:
            assert_is(access, ACCESS)
    assert_is(client.call("GET", "/projects/shop", JO).json(), PROJECT)
    assert_is(client.call("GET", "/users/current", JO).json(), USER)
    known = client.call("GET", "/systeminfo", JO).json()
    anonymous = client.call("GET", "/systeminfo").json()
    assert_is(known, INFO)
    assert known.keys() - anonymous.keys() == ONLY_FOR_KNOWN
    rows = client.call(
        "GET", "/users/current/permissions", JO, params={"scope": "/project/1", "relative": "true"}
    ).json()
    assert {"resource": "robot", "action": "create"} in rows
    for row in rows:
        assert_is(row, {"resource": str, "action": str})
    (repository,) = client.call("GET", "/projects/shop/repositories", JO).json()
    assert_is(repository, REPOSITORY)
    assert repository["name"] == "shop/checkout"
    (artifact,) = client.call("GET", "/projects/shop/repositories/checkout/artifacts", JO).json()
    assert_is(artifact, ARTIFACT)
    for tag in artifact["tags"]:
        assert_is(tag, TAG)


def test_who_may_list_images(client: Client) -> None:
    for path in ("/projects/shop/repositories", "/projects/shop/repositories/checkout/artifacts"):
        assert client.call("GET", path, KIM).status_code == 200
        assert code_of(client.call("GET", path, STRANGER)) == (403, "FORBIDDEN")
        assert code_of(client.call("GET", path)) == (401, "UNAUTHORIZED")
    nowhere = "/projects/nowhere/repositories"
    assert code_of(client.call("GET", nowhere, ADMIN)) == (404, "NOT_FOUND")
    assert code_of(client.call("GET", nowhere, JO)) == (403, "FORBIDDEN")
    assert client.call("GET", "/projects/shop/repositories/no%252Fsuch/artifacts", JO).json() == []


# -- logins --------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_nobody_and_locks_its_name_for_a_moment(client: Client) -> None:
    assert client.call("GET", "/systeminfo", ("jo", "wrong")).status_code == 200
    assert code_of(client.call("GET", "/users/current", JO)) == (401, "UNAUTHORIZED")
    assert client.call("GET", "/users/current", KIM).status_code == 200
    client.running.sandbox.advance(LOCKOUT)
    assert client.call("GET", "/users/current", JO).status_code == 200


def test_a_robot_account_has_no_profile(client: Client) -> None:
    robot = client.state.robots[1]
    login = ("robot$shop+ci", robot.secret)
    assert code_of(client.call("GET", "/users/current", login)) == (412, "PRECONDITION")
    for change in ({"disabled": True}, {"disabled": False, "expires_at": 1}):
        for name, value in change.items():
            setattr(robot, name, value)
        assert client.call("GET", "/users/current", login).status_code == 401
        client.running.sandbox.advance(LOCKOUT)
    robot.expires_at = -1


def test_a_cli_secret_opens_a_few_reads(client: Client) -> None:
    client.state.auth_mode = "oidc_auth"
    assert client.call("GET", "/projects/shop", JO).status_code == 200
    assert client.call("GET", "/users/current", JO).status_code == 401
    assert client.call("GET", "/robots", JO).status_code == 401


def test_a_new_prefix_renames_all_accounts(client: Client) -> None:
    robot = client.state.robots[1]
    client.state.prefix = "bot-"
    assert client.call("GET", "/robots/1", JO).json()["name"] == "bot-shop+ci"
    assert client.call("GET", "/users/current", ("robot$shop+ci", robot.secret)).status_code == 401
    assert client.call("GET", "/users/current", ("bot-shop+ci", robot.secret)).status_code == 412


# -- creation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "name": "Akka"},
        {**BODY, "name": "a+b"},
        {**BODY, "duration": 0},
        {**BODY, "duration": 2**31 - 1},
        {**BODY, "level": "universe"},
        {**BODY, "permissions": []},
        {**BODY, "permissions": [{"kind": "project", "namespace": "shop", "access": []}]},
        {**BODY, "permissions": pull_from("shop") * 2},
        {**BODY, "permissions": pull_from("shop", "repository:fly")},
    ],
)
def test_a_body_is_validated_before_the_login(client: Client, body: dict[str, Any]) -> None:
    assert code_of(client.call("POST", "/robots", None, json=body)) == (400, "BAD_REQUEST")


def test_who_may_create(client: Client) -> None:
    assert code_of(client.call("POST", "/robots", None, json=BODY)) == (401, "UNAUTHORIZED")
    assert code_of(client.call("POST", "/robots", KIM, json=BODY)) == (403, "FORBIDDEN")
    nowhere = {**BODY, "permissions": pull_from("nowhere")}
    assert code_of(client.call("POST", "/robots", JO, json=nowhere)) == (403, "FORBIDDEN")
    assert code_of(client.call("POST", "/robots", ADMIN, json=nowhere)) == (404, "NOT_FOUND")
    system = {**BODY, "level": "system", "permissions": pull_from("shop") + pull_from("press")}
    assert code_of(client.call("POST", "/robots", JO, json=system)) == (403, "FORBIDDEN")
    assert client.call("POST", "/robots", ADMIN, json=system).json()["name"] == "robot$akka"


def test_a_name_exists_once_in_a_project(client: Client) -> None:
    assert client.call("POST", "/robots", JO, json=BODY).json()["name"] == "robot$shop+akka"
    again = client.call("POST", "/robots", JO, json=BODY)
    assert code_of(again) == (409, "CONFLICT")
    assert "robot account 1:shop+akka already exists" in again.text
    press = {**BODY, "permissions": pull_from("press")}
    assert client.call("POST", "/robots", KIM, json=press).status_code == 201


def test_what_a_robot_account_may(client: Client) -> None:
    allowed = ("robot:create", "robot:read", "robot:list", "robot:delete")
    creator = client.state.add_robot("shop+creator", "project", 1, -1, pull_from("shop", *allowed))
    login = ("robot$shop+creator", creator.secret)
    child = client.call("POST", "/robots", login, json=BODY).json()["id"]
    more = {**BODY, "name": "more", "permissions": pull_from("shop", "repository:push")}
    assert code_of(client.call("POST", "/robots", login, json=more)) == (403, "DENIED")
    shown = client.call("GET", f"/robots/{child}", login).json()
    assert code_of(client.call("PUT", f"/robots/{child}", login, json=shown)) == (403, "FORBIDDEN")
    assert code_of(client.call("PATCH", f"/robots/{child}", login, json={})) == (403, "FORBIDDEN")
    assert client.call("DELETE", f"/robots/{child}", login).status_code == 200


def test_read_only_mode(client: Client) -> None:
    client.state.read_only = True
    assert code_of(client.call("POST", "/robots", JO, json=BODY)) == (403, "DENIED")
    assert client.robots().status_code == 200


# -- reading -------------------------------------------------------------------------------------------------


def test_lists_come_in_pages_with_a_total_and_relative_links(client: Client) -> None:
    for number in range(25):
        client.state.add_robot(f"shop+more-{number:02d}", "project", 1, 1, pull_from("shop"))
    first = client.robots()
    assert (len(first.json()), first.headers["X-Total-Count"]) == (10, "27")
    assert first.headers["Link"] == (
        '</api/v2.0/robots?page=2&page_size=10&q=Level=project,ProjectID=1>; rel="next"'
    )
    assert 'rel="prev"' in client.robots(page=2).headers["Link"]
    assert len(client.robots(page_size=100).json()) == 27
    assert client.robots(page=9).json() == []
    assert client.robots(page_size=101).status_code == 422


@pytest.mark.parametrize("query", ["Level=project", "Level=project,ProjectID=shop", "Level=galaxy"])
def test_a_list_takes_a_level_and_a_number(client: Client, query: str) -> None:
    assert client.robots(q=query).status_code == 400


def test_who_may_list(client: Client) -> None:
    assert code_of(client.call("GET", "/robots", None)) == (401, "UNAUTHORIZED")
    assert code_of(client.call("GET", "/robots", JO)) == (403, "FORBIDDEN")  # those of the system
    assert (
        client.robots(q="level=project,ProjectID=1").status_code == 403
    )  # the key is spelled with a capital
    assert client.robots(q="Level=project,ProjectID=2").status_code == 403
    assert [one["name"] for one in client.call("GET", "/robots", ADMIN).json()] == ["robot$backup"]


# -- changing ------------------------------------------------------------------------------------------------


def test_a_change_replaces_all_of_an_account(client: Client) -> None:
    number = client.call("POST", "/robots", JO, json={**BODY, "description": "for Akka"}).json()["id"]
    robot = client.state.robots[number]
    robot.created -= dt.timedelta(days=10)
    expires = robot.expires_at
    shown = client.call("GET", f"/robots/{number}", JO).json()

    assert client.call("PUT", f"/robots/{number}", JO, json={**shown, "disable": True}).content == b""
    assert (robot.disabled, robot.description, robot.expires_at) == (True, "for Akka", expires)

    bare = {name: shown[name] for name in ("name", "level", "permissions")}
    assert client.call("PUT", f"/robots/{number}", JO, json=bare).status_code == 200
    assert (robot.disabled, robot.description, robot.expires_at) == (False, "", expires)

    assert client.call("PUT", f"/robots/{number}", JO, json={**bare, "duration": 5}).status_code == 200
    assert robot.expires_at < client.running.sandbox.now().timestamp()  # five days from its creation

    wrongs: list[dict[str, Any]] = [{"name": "shop+akka"}, {"level": "system"}, {"permissions": []}]
    for wrong in wrongs:
        assert client.call("PUT", f"/robots/{number}", JO, json={**bare, **wrong}).status_code == 400


def test_a_secret_is_replaced_at_once(client: Client) -> None:
    robot = client.state.robots[1]
    old = robot.secret
    given = client.call("PATCH", "/robots/1", JO, json={}).json()["secret"]
    assert robot.secret == given != old
    assert client.call("PATCH", "/robots/1", JO, json={"secret": "short"}).status_code == 400
    assert client.call("PATCH", "/robots/1", JO, json={"secret": "Long-enough-1"}).json() == {}
    assert robot.secret == "Long-enough-1"


def test_a_deletion_is_answered_once(client: Client) -> None:
    assert client.call("DELETE", "/robots/1", KIM).status_code == 403
    assert client.call("DELETE", "/robots/1", JO).status_code == 200
    again = client.call("DELETE", "/robots/1", JO)
    assert code_of(again) == (404, "NOT_FOUND")
    assert "robot 1 not found" in again.text


# -- the registry --------------------------------------------------------------------------------------------


def token(client: Client, who: tuple[str, str] | None, scope: str = "repository:shop/checkout:pull") -> str:
    query = {"service": "harbor-registry", **({"scope": scope} if scope else {})}
    answer = client.http.get("/service/token", params=query, auth=who)
    return answer.json()["token"] if answer.status_code == 200 else str(answer.status_code)


def manifest(client: Client, path: str, bearer: str) -> int:
    headers = {"Authorization": f"Bearer {bearer}"}
    return client.http.get(f"/v2/{path}/manifests/1.0", headers=headers).status_code


def test_the_token_service_gives_a_token_to_anyone_who_names_a_scope(client: Client) -> None:
    robot = client.state.robots[1]
    login = ("robot$shop+ci", robot.secret)
    assert manifest(client, "shop/checkout", token(client, login)) == 200
    assert manifest(client, "shop/checkout", token(client, (login[0], "wrong"))) == 401
    client.running.sandbox.advance(LOCKOUT)
    assert token(client, (login[0], "wrong"), scope="") == "401"
    client.running.sandbox.advance(LOCKOUT)
    assert manifest(client, "library/tools", token(client, None, "repository:library/tools:pull")) == 200


def test_a_token_outlives_its_account(client: Client) -> None:
    bearer = token(client, ("robot$shop+ci", client.state.robots[1].secret))
    del client.state.robots[1]
    assert manifest(client, "shop/checkout", bearer) == 200


def test_basic_is_taken_beside_tokens_and_tells_a_wrong_password(client: Client) -> None:
    login = ("robot$shop+ci", client.state.robots[1].secret)
    assert client.http.get("/v2/", auth=login).status_code == 200
    wrong = client.http.get("/v2/", auth=(login[0], "wrong"))
    assert (wrong.status_code, wrong.headers["WWW-Authenticate"]) == (401, 'Basic realm="harbor"')


def test_what_may_not_be_pulled_and_what_does_not_exist(client: Client) -> None:
    login = ("robot$shop+ci", client.state.robots[1].secret)

    def status(path: str, reference: str) -> int:
        return client.http.get(f"/v2/{path}/manifests/{reference}", auth=login).status_code

    assert status("shop/checkout", "1.0") == 200
    assert status("shop/checkout", "9.9") == 404
    assert status("press/site", "1.0") == 401
    assert status("nowhere/site", "1.0") == 401
    assert status("checkout", "1.0") == 400
    asked = client.http.get("/v2/")
    assert asked.headers["WWW-Authenticate"].endswith('/service/token",service="harbor-registry"')
    assert HOST in client.running.environment["PULLKEY_HARBOR_REGISTRY"]

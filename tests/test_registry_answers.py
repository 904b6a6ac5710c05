"""Each kind of registry of the sandbox answers a puller as `tests/registry_answers/KIND.txt` says.

Such a file holds requests, and indented below one or more requests their answer: status, headers, body.

    at HOST                                     the host that the requests from here on name
    when STATE                                  the state of the registry changes (`Setting.states`)
    fault FAULT                                 a fault of the sandbox's
    GET /v2/ by LOGIN [with FORM] [> NAME]      LOGIN is a name, USER:PASSWORD or a header; NAME keeps a token

After a deliberate change, write the answers again and read the difference:

    scripts/with-env python -m tests.test_registry_answers
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import inspect
import json
import re
import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import bootstrap.sandbox.registry
from bootstrap.plugin.emulator import Emulator
from bootstrap.sandbox.images import Image, digest
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.acr.emulator import AzureEmulator
from providers.acr.emulator.roles import ACR_PULL
from providers.acr.emulator.state import ScopeMap
from providers.docker_hub.emulator import DockerHubEmulator, seed
from providers.docker_hub.emulator.state import Oat, Pat
from providers.gcr.emulator import GoogleEmulator
from providers.gcr.emulator.state import generate_private_key
from providers.private.emulator import PrivateEmulator
from tests.harness.azure_sandbox import claims

ANSWERS = Path(__file__).parent / "registry_answers"
REQUEST = re.compile(r"(GET|HEAD|POST) (\S+) by (.+?)(?: with (\S+))?(?: > (.+))?")
HEADERS = (
    "Docker-Distribution-Api-Version",
    "Docker-Content-Digest",
    "Link",
    "Retry-After",
    "WWW-Authenticate",
)
TOKENS = ("token", "access_token", "refresh_token")
JSON = "application/json; charset=utf-8"
PAST = dt.timedelta(days=30)
PULL = "roles/artifactregistry.reader"


@dataclass
class Setting:
    """What a file of requests needs: where the registry is, who there is, and how its state changes.

    `logins` are user name and password, or a header. `values` stand in requests as `{NAME}`, with those that
    every file has: `{USER}` and `{USER.password}` of a login, the tokens that were kept, `{absent}`, a digest
    that the registry does not know, and `{manifest}` and `{layer}` of the last manifest that was read.
    """

    ports: Callable[[str], int]
    logins: dict[str, tuple[str, str] | str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    states: dict[str, Callable[[], object]] = field(default_factory=dict)


class Replay:
    """Sends the requests of a file and writes it again, with the answers as they are now."""

    def __init__(self, running: RunningSandbox, setting: Setting) -> None:
        self._running = running
        self._setting = setting
        self._host = ""
        trust = ssl.create_default_context(cafile=running.environment["SSL_CERT_FILE"])
        self._http = httpx.Client(verify=trust, trust_env=False)
        self._text: list[str] = []
        self._answer: list[str] = []

    def replay(self, text: str) -> str:
        with self._http:
            for line in text.splitlines():
                if line and not line.startswith(" "):
                    self._line(line)
        return "\n".join([*self._text, *self._answer]).strip() + "\n"

    def _line(self, line: str) -> None:
        answer = self._asked(line)
        if not answer or answer != self._answer:
            self._text += [*self._answer, ""] if self._answer or answer else []
            self._answer = answer
        self._text.append(line)

    def _asked(self, line: str) -> list[str]:
        """Do what a line says; the answer, if it is a request."""
        what, _, rest = line.partition(" ")
        match what:
            case "#":
                pass
            case "at":
                self._host = rest
            case "when":
                self._setting.states[rest]()
            case "fault":
                self._running.sandbox.faults.add(rest)
            case _:
                return self._sent(line)
        return []

    def _sent(self, line: str) -> list[str]:
        match = REQUEST.fullmatch(line)
        assert match, line
        method, path, who, form, kept = match.groups()
        port = self._setting.ports(self._host)
        headers = {"Host": self._host.replace("PORT", str(port))}
        if who != "anonymous":
            headers["Authorization"] = self._authorization(who)
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"https://127.0.0.1:{port}{self._filled(path)}"
        answer = self._http.request(method, url, headers=headers, content=self._filled(form or ""))
        if kept:
            token = next(answer.json()[name] for name in TOKENS if name in answer.json())
            self._setting.logins[kept] = f"Bearer {token}"
            self._setting.values[kept] = token
        if "manifest" in answer.headers.get("Content-Type", "") and answer.content:
            self._setting.values["manifest"] = answer.headers["Docker-Content-Digest"]
            self._setting.values["layer"] = answer.json()["layers"][0]["digest"]
        return [f"    {self._plain(one, port)}" for one in _shown(answer)]

    def _authorization(self, who: str) -> str:
        login = self._setting.logins.get(who, self._filled(who))
        if isinstance(login, str):
            if login.partition(" ")[0] in {"Basic", "Bearer", "Digest"}:
                return login
            name, _, password = login.partition(":")
            login = (name, password)
        return "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def _filled(self, text: str) -> str:
        return re.sub(r"\{([^{}]+)\}", lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        who, _, part = name.partition(".")
        login = self._setting.logins.get(who)
        return login[part == "password"] if isinstance(login, tuple) else self._setting.values[name]

    @staticmethod
    def _plain(text: str, port: int) -> str:
        """An answer without what differs from run to run."""
        text = text.replace(f"127.0.0.1:{port}", "127.0.0.1:PORT")
        text = re.sub(r"(?!0{8})[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", text)


def _shown(answer: httpx.Response) -> list[str]:
    form = answer.headers.get("Content-Type", "")
    return [
        f"{answer.status_code}{'' if form == JSON else f' {form}'}",
        *(f"{name}: {answer.headers[name]}" for name in HEADERS if name in answer.headers),
        _body(answer),
    ]


def _body(answer: httpx.Response) -> str:
    if not answer.content:
        return f"(length {answer.headers.get('Content-Length')})"
    if f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == answer.headers.get("Docker-Content-Digest"):
        return f"({len(answer.content)} bytes of that digest)"
    text = answer.text
    if answer.headers.get("Content-Type") == JSON:
        for issued in (answer.json().get(name) for name in TOKENS):
            text = text.replace(f'"{issued}"', _claimed(issued)) if issued else text
    return text


def _claimed(token: str) -> str:
    """What a token says, if it says anything."""
    if token.count(".") != 2 or token.startswith("ya29."):
        return "TOKEN"
    said = claims(token)
    seconds = said["exp"] - said["iat"]
    return (
        f"TOKEN({seconds} s, "
        f"{json.dumps({name: said[name] for name in said if name not in {'iat', 'nbf', 'exp'}})})"
    )


def artifact_registry(running: RunningSandbox) -> Setting:
    emulator = running.sandbox.emulators["gcr"]
    assert isinstance(emulator, GoogleEmulator)
    state, past = emulator.state, running.sandbox.now() - PAST
    shop = state.projects["acme-shop"]
    containers = shop.repositories["europe-west1", "containers"]

    def account(name: str) -> tuple[str, tuple[str, str]]:
        made = state.add_account("acme-shop", name, created=past)
        private_key = generate_private_key()
        key = state.add_key(made, private_key.public_key(), created=past)
        return made.email, ("_json_key", state.key_file(made, key, private_key).decode())

    (reader, reader_key), (_, stranger_key) = account("reader"), account("stranger")
    containers.policy.grant(PULL, f"serviceAccount:{reader}", since=past)
    shop.policy.grant(PULL, f"serviceAccount:{reader}", since=past)
    access_token = emulator.tokens.issue(reader)[0]
    found = state.account(reader)
    assert found is not None
    return Setting(
        lambda _: emulator.registry_port,
        {"reader": reader_key, "stranger": stranger_key, "access token": f"Bearer {access_token}"},
        {"access token": access_token},
        {
            "anyone may pull": lambda: containers.policy.grant(PULL, "allUsers", since=past),
            "the key is deleted": found.keys.clear,
            "twelve hours pass": lambda: running.sandbox.advance(dt.timedelta(hours=12, minutes=1)),
            "the API is disabled": lambda: shop.services.pop("artifactregistry.googleapis.com"),
        },
    )


def azure(running: RunningSandbox) -> Setting:
    emulator = running.sandbox.emulators["azure"]
    assert isinstance(emulator, AzureEmulator)
    state, past = emulator.state, running.sandbox.now() - PAST
    shop = state.registry("acmeshop")

    def application(name: str) -> tuple[str, str]:
        made = state.add_application(name, created=past)
        principal = state.add_service_principal(made, created=past)
        if name == "reader":
            state.add_assignment(principal.id, ACR_PULL, shop.id, created=past)
        return made.app_id, state.add_secret(made, start=past, created=past).text

    reader, stranger = application("reader"), application("stranger")
    found = state.application_by_app_id(reader[0])
    assert found is not None
    shop.scope_maps["cart"] = ScopeMap("cart", ["repositories/cart/content/read"], None, past)
    scoped = state.add_token(shop, "cart-reader", "cart", created=past)
    password = state.add_password(scoped, "password1", created=past).text
    expired = state.add_password(scoped, "password2", created=past, expiry=past).text

    def of_entra(audience: str) -> str:
        return emulator.tokens.sign({"aud": audience, "appid": reader[0]}, lifetime=60)

    return Setting(
        lambda host: emulator.registry_ports.get(host, emulator.registry_ports["acmeshop.azurecr.io"]),
        {"reader": reader, "stranger": stranger, "cart-reader": ("cart-reader", password)},
        {
            "expired": expired,
            "arm": of_entra("https://management.azure.com"),
            "graph": of_entra("https://graph.microsoft.com"),
        },
        {
            "the token is disabled": lambda: setattr(scoped, "status", "disabled"),
            "tokens of Resource Manager are not accepted": lambda: setattr(shop, "arm_audience", False),
            "anyone may pull": lambda: setattr(shop, "anonymous_pull", True),
            "the secret is deleted": found.secrets.clear,
            "the firewall denies": lambda: setattr(shop, "firewall_denies", True),
            "the firewall allows loopback": lambda: shop.allowed_addresses.append("127.0.0.0/8"),
        },
    )


def docker_hub(running: RunningSandbox) -> Setting:
    emulator = running.sandbox.emulators["docker-hub"]
    assert isinstance(emulator, DockerHubEmulator)
    state, past = emulator.state, running.sandbox.now() - PAST
    reader, public, inactive = (
        Pat("reader", ("repo:read",), past),
        Pat("public", ("repo:public_read",), past),
        Pat("inactive", ("repo:read",), past, active=False),
    )
    state.users[seed.USER].tokens += [reader, public, inactive]
    resources = [{"type": "TYPE_REPO", "path": "acme/checkout", "scopes": ["scope-image-pull"]}]
    organization = Oat("reader", seed.OWNER, resources, past)
    state.organization("acme").tokens.append(organization)
    return Setting(
        lambda _: emulator.registry_port,
        {
            "member": (seed.USER, seed.PASSWORD),
            "stranger": ("stranger", seed.PASSWORD),
            "second factor": (seed.CAREFUL, seed.PASSWORD),
            "personal token": (seed.USER, reader.text),
            "token for public repositories": (seed.USER, public.text),
            "inactive token": (seed.USER, inactive.text),
            "organisation": ("acme", organization.text),
        },
        states={"a repository has no image": lambda: state.repositories.update({"acme/empty": True})},
    )


def private(running: RunningSandbox) -> Setting:
    emulator = running.sandbox.emulators["private"]
    assert isinstance(emulator, PrivateEmulator)
    registry = emulator.registry
    for number in range(2):
        name = f"registry.sandbox.example/shop/part-{number}"
        running.call(running.sandbox.images.put(name, "1.0", Image.build(name)))
    return Setting(
        lambda _: emulator.port,
        {"user": ("ops", "pull-in-the-sandbox"), "stranger": ("press", "read-the-news-here")},
        states={
            "tokens are of another host": lambda: setattr(registry, "realm", "tokens.sandbox.example"),
            "tokens are its own": lambda: setattr(registry, "realm", ""),
            "a page has two repositories": lambda: setattr(registry, "page", 2),
            "users may not list": lambda: setattr(registry, "lists", False),
            "users may list": lambda: setattr(registry, "lists", True),
            "anyone may pull": lambda: setattr(registry, "public", ("shop/",)),
            "users only may pull": lambda: setattr(registry, "public", ()),
            "it takes passwords": lambda: setattr(registry, "mode", "basic"),
            "it is open": lambda: setattr(registry, "mode", "open"),
        },
    )


def plugin(running: RunningSandbox) -> Setting:
    port = running.sandbox.emulators["harbor"].port  # type: ignore[attr-defined]
    return Setting(lambda _: port, {"robot": ("robot$akka", "pull-it")})


def documented_emulator() -> Emulator:
    """The emulator of the example in `bootstrap.sandbox.registry`."""
    page = inspect.getdoc(bootstrap.sandbox.registry) or ""
    code = "\n".join(line[4:] for line in page.splitlines() if not line or line.startswith("    "))
    defined: dict[str, Any] = {}
    exec(code, defined)
    emulator: Emulator = defined["HarborEmulator"]()
    return emulator


KINDS: Mapping[str, tuple[str, Callable[[], Emulator], Callable[[RunningSandbox], Setting]]] = {
    "artifact-registry": ("gcr", GoogleEmulator, artifact_registry),
    "azure": ("azure", AzureEmulator, azure),
    "docker-hub": ("docker-hub", DockerHubEmulator, docker_hub),
    "private": ("private", PrivateEmulator, private),
    "plugin": ("harbor", documented_emulator, plugin),
}


def replayed(kind: str) -> tuple[str, str]:
    """The file of a kind of registry as it is written, and as it would be now."""
    name, factory, setting = KINDS[kind]
    written = (ANSWERS / f"{kind}.txt").read_text(encoding="utf-8")
    with RunningSandbox({name: factory}) as running:
        found = setting(running)
        found.values["absent"] = digest(b"no such blob")
        return written, Replay(running, found).replay(written)


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_answers_as_its_kind_does(kind: str) -> None:
    written, now = replayed(kind)
    assert now == written


@pytest.mark.needs_debian
def test_skopeo_pulls_from_a_registry_as_documented(tmp_path: Path) -> None:
    with RunningSandbox({"harbor": documented_emulator}) as running:
        port = running.sandbox.emulators["harbor"].port  # type: ignore[attr-defined]
        image = f"docker://127.0.0.1:{port}/shop/checkout:1.0"

        def copied(credentials: str) -> int:
            copy = ["skopeo", "copy", "--src-creds", credentials, image, f"dir:{tmp_path}"]
            return subprocess.run(
                copy, env=running.process_environment(), capture_output=True, check=False
            ).returncode

        assert copied("robot$akka:wrong") != 0
        assert copied("robot$akka:pull-it") == 0
        assert (tmp_path / "manifest.json").exists()


if __name__ == "__main__":
    for each in KINDS:
        (ANSWERS / f"{each}.txt").write_text(replayed(each)[1], encoding="utf-8")

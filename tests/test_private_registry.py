"""`pullkey onboard private` against Debian's `docker-registry`: passwords in a file, and tokens of a
service of ours.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bootstrap.sandbox.images import MANIFEST_TYPE, Image, digest
from bootstrap.testing.harness.world import Result, World, make_world

pytestmark = pytest.mark.needs_debian

HOST = "registry.corp.example"
TOKENS = "gitlab.corp.example"
FOREIGN = "tokens.mallory.example"
NAME = "registry-corp-example"
USER, PASSWORD = "puller", "the-password-of-the-puller"
REPOSITORY = "shop/checkout"
IMAGE = f"{HOST}/{REPOSITORY}:1.0"
PUSHED = Image.build("Hello from the corporation\n")


@dataclass
class Registry:
    """A running `docker-registry` of one sandbox."""

    world: World
    port: int
    tokens: TokenService | None = None

    def onboard(
        self, *arguments: str, password: str | None = PASSWORD, host: str = HOST, **env: str
    ) -> Result:
        ports = [f"{HOST}=127.0.0.1:{self.port}"]
        if self.tokens is not None:
            ports += [f"{name}=127.0.0.1:{self.tokens.port}" for name in (TOKENS, FOREIGN)]
        given = ("--password-stdin",) if password is not None else ()
        return self.world.onboard(
            "--server",
            f"https://{host}/v1/",
            "--username",
            USER,
            *given,
            *arguments,
            stdin=password,
            env={"PULLKEY_REGISTRY_CONNECT_TO": ",".join(ports), "PULLKEY_PRIVATE_IMAGE": "", **env},
        )


@dataclass
class TokenService:
    """Signs what `docker-registry` takes: "Token Authentication Implementation" of the Distribution
    project.
    """

    key: rsa.RSAPrivateKey
    certificate: bytes
    port: int = 0
    got_password: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        sent = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if sent:
            self.got_password.append(request.host)
        if sent != f"{USER}:{PASSWORD}":
            return web.json_response(
                {"errors": [{"code": "UNAUTHORIZED", "message": "who is that"}]}, status=401
            )
        access = []
        for scope in request.query.getall("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return web.json_response({"token": self.token(access)})

    def token(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        claims = {
            "iss": "tokens",
            "aud": "registry",
            "sub": USER,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        der = ssl.PEM_cert_to_DER_cert(self.certificate.decode())
        return jwt.encode(claims, self.key, "RS256", headers={"x5c": [base64.b64encode(der).decode()]})


def token_service() -> TokenService:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return TokenService(key, certificate.public_bytes(serialization.Encoding.PEM))


def start(
    world: World, directory: Path, auth: dict[str, Any], log_in: Callable[[], dict[str, str]]
) -> Iterator[int]:
    """A `docker-registry` with TLS by the sandbox's authority, and one image in it."""
    issued = world.running.sandbox.authority.issue([HOST, "127.0.0.1"])
    (directory / "key.pem").touch(mode=0o600)
    (directory / "key.pem").write_bytes(issued.private_key)
    (directory / "cert.pem").write_bytes(issued.certificate)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "images")}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "relativeurls": True,
            "tls": {"certificate": str(directory / "cert.pem"), "key": str(directory / "key.pem")},
        },
        "auth": auth,
    }
    (directory / "config.yml").write_text(json.dumps(settings))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin"},
        )
    try:
        trust = ssl.create_default_context(cafile=world.running.sandbox.authority.bundle)
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, trust_env=False) as client:
            end = time.monotonic() + 20
            while True:
                try:
                    client.get("/v2/")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (directory / "log").read_text()
                    assert time.monotonic() < end
                    time.sleep(0.05)
            push(client, log_in())
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def push(client: httpx.Client, headers: dict[str, str]) -> None:
    """Distribution specification, "Pushing an image"."""
    for blob in (PUSHED.config, PUSHED.layer):
        begun = client.post(f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers).raise_for_status()
        upload = httpx.URL(begun.headers["Location"]).copy_add_param("digest", digest(blob))
        client.put(upload, content=blob, headers=headers).raise_for_status()
    client.put(
        f"/v2/{REPOSITORY}/manifests/1.0",
        content=PUSHED.manifest,
        headers={**headers, "Content-Type": MANIFEST_TYPE},
    ).raise_for_status()


def basic() -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


@pytest.fixture
def world() -> Iterator[World]:
    yield from make_world("private")


@pytest.fixture
def with_file(world: World, tmp_path: Path) -> Iterator[Registry]:
    """Passwords in a file: bcrypt is all that Distribution reads."""
    (tmp_path / "htpasswd").write_bytes(
        f"{USER}:".encode() + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)) + b"\n"
    )
    auth = {"htpasswd": {"realm": "corp", "path": str(tmp_path / "htpasswd")}}
    for port in start(world, tmp_path, auth, basic):
        yield Registry(world, port)


@pytest.fixture
def realm() -> str:
    """Where the registry says that its tokens come from; a test may say another, with `{port}` in it."""
    return f"https://{TOKENS}/token"


@pytest.fixture
def with_tokens(world: World, tmp_path: Path, realm: str) -> Iterator[Registry]:
    """Tokens of a service of our own, on whichever host `realm` names."""
    service = token_service()
    (tmp_path / "root.pem").write_bytes(service.certificate)
    app = web.Application()
    app.router.add_get("/token", service.answer)
    service.port = world.running.call(world.running.sandbox.serve(app, hosts=[TOKENS, FOREIGN]))
    auth = {
        "token": {
            "realm": realm.replace("{port}", str(service.port)),
            "service": "registry",
            "issuer": "tokens",
            "rootcertbundle": str(tmp_path / "root.pem"),
        }
    }
    access = [{"type": "repository", "name": REPOSITORY, "actions": ["pull", "push"]}]
    log_in = lambda: {"Authorization": f"Bearer {service.token(access)}"}  # noqa: E731
    for port in start(world, tmp_path, auth, log_in):
        yield Registry(world, port, service)


def copied(registry: Registry, name: str, into: Path) -> subprocess.CompletedProcess[str]:
    """`skopeo copy` with what Akka holds, from the registry's own port."""
    held, address = registry.world.held(name), f"127.0.0.1:{registry.port}"
    environment = registry.world.running.process_environment()
    login = [
        "skopeo",
        "login",
        "--authfile",
        str(into / "auth.json"),
        "--username",
        held.username,
        "--password-stdin",
        address,
    ]
    subprocess.run(login, env=environment, input=held.password, capture_output=True, text=True, check=False)
    return subprocess.run(
        [
            "skopeo",
            "copy",
            "--src-authfile",
            into / "auth.json",
            f"docker://{address}/{REPOSITORY}:1.0",
            f"dir:{into}/image",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


class TestPasswordsInAFile:
    def test_the_right_password(self, with_file: Registry, tmp_path: Path) -> None:
        done = with_file.onboard("--image", IMAGE, "--output", "json")
        assert done.code == 0, done.text
        assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
        assert with_file.world.held(NAME).password == PASSWORD
        assert copied(with_file, NAME, tmp_path).returncode == 0
        assert (tmp_path / "image" / "manifest.json").read_bytes() == PUSHED.manifest
        again = with_file.onboard("--output", "json", password=None)
        assert again.json["result"] == "unchanged"

    def test_the_right_password_without_an_image(self, with_file: Registry) -> None:
        done = with_file.onboard("--output", "json")
        assert done.code == 0, done.text
        assert done.json["proven"] is None
        assert f"it is accepted by {HOST}; no image was named to try a pull of" in done.err

    @pytest.mark.parametrize("image", [(), ("--image", IMAGE)])
    def test_a_wrong_password_fails_within_seconds(self, with_file: Registry, image: tuple[str, ...]) -> None:
        begin = time.monotonic()
        done = with_file.onboard(*image, "--timeout", "100s", password="the-password-of-another")
        assert time.monotonic() - begin < 20
        assert done.code == 1, done.text
        assert f"{HOST} does not take this password of {USER}" in done.err
        assert with_file.world.names() == []
        assert with_file.world.changes() == []

    def test_an_image_that_is_not_there(self, with_file: Registry) -> None:
        done = with_file.onboard("--image", f"{HOST}/{REPOSITORY}:2.0")
        assert done.code == 1, done.text
        assert f"{HOST} has no {REPOSITORY}:2.0" in done.err
        assert with_file.world.changes() == []

    def test_a_certificate_of_an_unknown_authority(self, with_file: Registry) -> None:
        import certifi

        done = with_file.onboard("--image", IMAGE, SSL_CERT_FILE=certifi.where())
        assert done.code == 3, done.text
        assert f"The TLS certificate of {HOST} does not verify" in done.err

    def test_a_port_and_an_address(self, with_file: Registry) -> None:
        """As it is at 127.0.0.1, without any address of its own."""
        host = f"127.0.0.1:{with_file.port}"
        done = with_file.onboard("--image", f"{host}/{REPOSITORY}:1.0", host=host)
        assert done.code == 0, done.text
        assert with_file.world.held(f"127-0-0-1-{with_file.port}").server == f"https://{host}/v1/"
        assert "your own network only" in done.err


class TestTokens:
    def test_of_another_host_of_the_same_owner(self, with_tokens: Registry) -> None:
        done = with_tokens.onboard("--image", IMAGE, "--output", "json")
        assert done.code == 0, done.text
        assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
        assert with_tokens.tokens is not None
        assert set(with_tokens.tokens.got_password) == {TOKENS}

    def test_without_an_image(self, with_tokens: Registry) -> None:
        done = with_tokens.onboard()
        assert done.code == 0, done.text

    def test_a_wrong_password(self, with_tokens: Registry) -> None:
        done = with_tokens.onboard("--image", IMAGE, password="the-password-of-another")
        assert done.code == 1, done.text
        assert f"{HOST} does not take this password of {USER}" in done.err
        assert with_tokens.world.changes() == []

    def test_an_image_that_is_not_there(self, with_tokens: Registry) -> None:
        done = with_tokens.onboard("--image", f"{HOST}/{REPOSITORY}:2.0")
        assert done.code == 1, done.text
        assert f"{HOST} has no {REPOSITORY}:2.0" in done.err

    @pytest.mark.parametrize("realm", [f"https://{FOREIGN}/token"])
    def test_of_a_foreign_host(self, with_tokens: Registry, realm: str) -> None:
        done = with_tokens.onboard("--image", IMAGE)
        assert done.code == 3, done.text
        assert f"{HOST} wants the credential sent to another host, {FOREIGN}" in done.err
        assert with_tokens.tokens is not None
        assert with_tokens.tokens.got_password == []
        assert with_tokens.world.changes() == []

    @pytest.mark.parametrize("realm", ["https://127.0.0.1:{port}/token"])
    def test_skopeo_copies_with_what_akka_holds(
        self, with_tokens: Registry, realm: str, tmp_path: Path
    ) -> None:
        host = f"127.0.0.1:{with_tokens.port}"
        done = with_tokens.onboard("--image", f"{host}/{REPOSITORY}:1.0", host=host)
        assert done.code == 0, done.text
        copy = copied(with_tokens, f"127-0-0-1-{with_tokens.port}", tmp_path)
        assert copy.returncode == 0, copy.stderr
        assert (tmp_path / "image" / "manifest.json").exists()

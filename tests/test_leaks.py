"""No leak: every way out that a key could take, tried; and that the scan would find one.

The scan itself runs in every test that has a `World` (`bootstrap/testing/harness/leak_scan.py`,
`watch/sitecustomize.py`).
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.sandbox.tls import CertificateAuthority
from bootstrap.testing.harness.credential_life import Life, living
from bootstrap.testing.harness.figures import FIGURES
from bootstrap.testing.harness.leak_scan import holds
from bootstrap.testing.harness.world import World, make_world
from tests.harness.marks import each_kind

MARKED = "marked-Qw7/zX+0pLk-secret-of-a-test"
# Each way that a library or Python itself has to tell more, as somebody may have set it for another program.
AIDS = {
    "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google",
    "GRPC_TRACE": "all",
    "GRPC_VERBOSITY": "debug",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONDEVMODE": "1",
    "AZURE_LOG_LEVEL": "DEBUG",
    "MSAL_LOG_LEVEL": "DEBUG",
    "HTTPX_LOG_LEVEL": "trace",
    "GODEBUG": "http2debug=2",
}


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process does of itself when it starts is a part of this."""
    monkeypatch.setenv("PULLKEY_TESTS_ANEW", "1")


@pytest.fixture(params=each_kind())
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    with living(request.param) as one:
        yield one


@pytest.fixture(params=["gcr", "acr", "private"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from make_world(request.param)


def onboard(world: World, *arguments: str, **how: Any) -> Any:
    if world.provider != "private":
        return world.onboard(*arguments, **how)
    world.passwords.append("pull-in-the-sandbox")
    return world.onboard("--password-stdin", *arguments, stdin="pull-in-the-sandbox", **how)


# -- the scan ------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "JSON": lambda text: json.dumps({"password": text}),
    "repr": repr,
    "URL": lambda text: "?p=" + urllib.parse.quote(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 behind one byte": lambda text: base64.b64encode(b"u" + text.encode()).decode(),
    "base64 behind two": lambda text: base64.b64encode(b"u:" + text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"u:" + text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


class TestTheScan:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("secret", [MARKED, 'a"quoted\\one\nof two lines'])
    def test_it_finds_each_form(self, form: str, secret: str) -> None:
        assert holds(f"before {FORMS[form](secret)} after".encode(), secret)

    @given(
        st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=12, max_size=60), st.data()
    )
    def test_twelve_characters_are_enough(self, secret: str, data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(secret) - 12))
        assert holds(f"\x01{secret[begin : begin + 12]}\x02".encode(), secret)

    def test_less_is_chance(self) -> None:
        assert not holds(MARKED[:11].encode(), MARKED)

    def test_of_a_key_only_the_private_half_counts(self) -> None:
        lines = [f"{number:02}" + "x" * 62 for number in range(26)]
        key = json.dumps(
            {
                "private_key": "\n".join(
                    ["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"]
                ),
                "client_email": "who@example.com",
            }
        )
        assert not holds(b"01xxxx who@example.com", key)
        assert holds(f"...{lines[20][:12]}".encode(), key)
        assert holds(base64.b64encode(key.encode()), key)

    PLANTS: ClassVar = {
        "a file": "open(home + '/note', 'w').write(key)",
        "a file that is gone": "open(home + '/note', 'w').write(key); os.remove(home + '/note')",
        "a file that was renamed and is gone": "open(home + '/note', 'w').write(key); os.rename(home + "
        "'/note', home + '/other'); "
        "os.unlink(home + '/other')",
        "an argument": "subprocess.run(['true', key])",
        "an argument of akka's that is not the one": "subprocess.run(['true', 'docker', 'add-credentials', "
        "'--docker-password=' + key, "
        "'--docker-email=' + key])",
        "an environment": "subprocess.run(['true'], env={'KEY': key})",
        "a variable": "os.environ['KEY'] = key",
        "a library's log": "logging.getLogger('google.cloud').debug('answer %s', key)",
        "locals of a traceback": "1 / 0",
        "the output": "print(key)",
        "another host": "socket.getaddrinfo('192.0.2.7', 443)",
    }

    @pytest.mark.parametrize("plant", PLANTS)
    def test_it_sees_what_is_planted(self, plant: str) -> None:
        for world in _unscanned("private"):
            program = (
                "import logging, os, socket, subprocess\nfrom bootstrap.model.secret import "
                f"Secret\nkey = Secret({MARKED!r}).reveal()\nhome = os.environ['HOME']\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", program + self.PLANTS[plant]],
                env=world.environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            world.said.append(done.stdout)
            found = world.leaks()
            assert found, plant
            assert ("192.0.2.7" in found[0]) == (plant == "another host")

    def test_it_is_silent_where_nothing_is_planted(self) -> None:
        for world in _unscanned("private"):
            program = (
                f"from bootstrap.model.secret import Secret\nsecret = Secret({MARKED!r})\nprint(secret, "
                "repr(secret))"
            )
            subprocess.run([sys.executable, "-c", program], env=world.environment(), check=True)
            assert world.leaks() == []
            assert world.watched.secrets() == {MARKED}


def _unscanned(provider: str) -> Iterator[World]:
    """A world of which the test itself says what must be found; what is planted does not count in the
    figures.
    """
    worlds = make_world(provider)
    world = next(worlds)
    before = dict(vars(FIGURES))
    yield world
    vars(FIGURES).update(before)
    worlds.close()  # type: ignore[attr-defined]


# -- the product ---------------------------------------------------------------------------------------------


def test_objects_frames_and_files_of_a_whole_life(life: Life) -> None:
    """At the moment of each handoff nothing alive shows the key; and no file is written but the journal's."""
    life.world.looks_deep(set())
    done = life.onboard("--verbose", "--output", "json")
    assert done.code == 0, done.text
    took = re.findall(r"akka docker add-credentials exit 0 (\d+) ms", done.err)
    assert len(took) == 1
    FIGURES.timed += 1
    FIGURES.milliseconds += int(took[0])
    rotated = life.command("rotate", life.name, "--verbose")
    assert rotated.code == 0, rotated.text
    assert life.command("offboard", life.name, "--verbose").code == 0

    watched = life.world.watched
    watched.read()
    looks = list(watched.of("looked"))
    assert len(looks) == len(watched.handoffs()) == 2
    for look in looks:
        assert look["hits"] == []
        assert look["objects"] > 50
    state = Path(life.world.running.environment["PULLKEY_STATE_DIR"])
    assert {path for path in watched.written() if not Path(path).is_relative_to(state)} == set()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (state / "journal").iterdir())


def test_only_akka_gets_it_in_one_argument_and_directly(world: World) -> None:
    assert onboard(world).code == 0
    world.watched.read()
    (handoff,) = world.watched.handoffs()
    assert Path(handoff["program"]).name == "akka"  # no shell
    assert sum("--docker-password=" in argument for argument in handoff["argv"]) == 1
    password = world.held(world.names()[0]).password
    assert any(holds(argument.encode(), password) for argument in handoff["argv"])


def test_the_processes_keep_to_themselves(world: World) -> None:
    """No core dump, not even by a collector; and nobody else's debugger."""
    assert onboard(world).code == 0
    assert world.run("list").code == 0
    world.watched.read()
    ends = list(world.watched.of("end"))
    assert len(ends) == 2
    for end in ends:
        assert end["dumpable"] == 0
        assert end["core"] in ([1, 1], [0, 0])


@pytest.mark.parametrize("where", ["handoff"])
def test_the_exception_of_a_failing_subprocess_is_not_shown(world: World, where: str) -> None:
    """It carries the command, and so do the frames that it went through."""
    done = onboard(world, "--verbose", env={"PULLKEY_TESTS_WATCH_RAISE": where})
    assert done.code == 1, done.text
    assert "RuntimeError" in done.err
    assert "which carries [" not in done.err
    assert world.names() == []


def test_a_password_that_no_argument_can_hold() -> None:
    for private in make_world("private"):
        password = "\N{SNOWMAN}" * 60_000
        done = private.onboard("--password-stdin", "--no-wait", stdin=password)
        assert done.code == 2, done.text
        assert "longer than 65536 bytes" in done.err
        assert "\N{SNOWMAN}" not in done.text


def test_no_debugging_aid_shows_it(world: World) -> None:
    keys = world.place / "tmp" / "tls-keys"
    done = onboard(world, "--verbose", env={**AIDS, "SSLKEYLOGFILE": str(keys)})
    assert done.code == 0, done.text
    assert not keys.exists() or keys.read_text() == ""
    world.watched.read()
    assert "google-logging" not in done.text
    assert sum(len(text) for where, text in world.watched.texts() if where == "the libraries' logs") < 100_000


@pytest.mark.parametrize(
    ("provider", "typed"),
    [
        ("gcr", ["--server", "gcr.io/acme-shop/x"]),
        ("acr", ["--registry", "acmeshop"]),
        ("docker-hub", ["--image", "acme/x", "--hub-user", "a", "--mint"]),
        ("private", ["--server", "https://r.example.com/v1/", "--username", "u"]),
    ],
)
@pytest.mark.parametrize("form", ["bash", "markdown"])
def test_a_runbook_leaves_no_key_in_a_shells_history(provider: str, typed: list[str], form: str) -> None:
    """A history has what was typed: so the key may stand there as a variable only, which the shell fills
    in.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", "runbook", provider, *typed, "--format", form],
        capture_output=True,
        text=True,
        check=True,
    )
    given = re.findall(r"--docker-password[ =](\S+)", done.stdout)
    assert given
    assert all(re.match(r'^"\$(\{?[A-Z_]+\}?"$|\(cat$)', one) for one in given), given
    assert "export " not in done.stdout
    assert "set -x" not in done.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_has_seen_the_same(world: World, tmp_path: Path) -> None:
    """Below Python: every program that was started, every connection and every file of every thread and
    child.
    """
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "bootstrap", "onboard", world.provider, "--yes"]
    given = "pull-in-the-sandbox" if world.provider == "private" else None
    tracer = [
        "strace",
        "-f",
        "-qq",
        "-xx",
        "-y",
        "-s",
        "100000",
        "-e",
        "trace=execve,connect,openat",
        "-o",
        str(trace),
    ]
    if subprocess.run([*tracer, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this container does not let strace trace")
    done = subprocess.run(
        [*tracer, *command, *(["--password-stdin"] if given else [])],
        env=world.environment(),
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (password,) = {world.held(name).password for name in world.names()}
    with_key, unrecorded_keys, written = 0, set(), set()
    for line in trace.read_text().splitlines():
        texts = [
            bytes.fromhex(text.replace("\\x", "")) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', line)
        ]
        if " execve(" in line and any(holds(text, password) for text in texts):
            assert b"add-credentials" in texts, texts[:4]
            with_key += " = 0" in line and texts[0].endswith((b"/akka",))
        elif any(holds(text, password) for text in texts):
            pytest.fail(f"{line[:100]} holds a piece of the key")
        if " connect(" in line and "sa_family=AF_INET" in line:
            unrecorded_keys |= {
                text.decode() for text in texts if not text.startswith((b"127.", b"::1", b"::ffff:127."))
            }
        if " openat(" in line and re.search(r"O_WRONLY|O_RDWR", line) and " = -1" not in line:
            folder = re.search(r"openat\([0-9]+<([^>]*)>", line)
            name = texts[0].decode()
            if folder is not None and not name.startswith("/"):
                place = bytes.fromhex(folder[1].replace("\\x", "")).decode()
                name = f"{place}/{name}"
            written |= {name}
    assert with_key == 1  # the fake one is a script, whose interpreters are further ones
    assert unrecorded_keys == set()
    state = world.running.environment["PULLKEY_STATE_DIR"]
    own = (state, "/dev/", str(world.place / "watch"))
    assert {path for path in written if not path.startswith(own) and "__pycache__" not in path} == set()


# -- proxies and certificates --------------------------------------------------------------------------------


class Proxy:
    """A proxy that notes whom it is asked for, and reaches all of them on this machine.

    Args:
        ports: where a host is, that is not at the port it is asked for.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self.asked: set[str] = set()
        self._ports = ports
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        host, _, port = target.rpartition(":")
        assert method == "CONNECT"
        self.asked.add(target)
        server = socket.create_connection(("127.0.0.1", self._ports.get(host, int(port))))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _pump(server, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def _registries(world: World) -> dict[str, int]:
    """Where the sandbox has its registries, by name."""
    pairs = (
        entry.partition("=") for entry in world.running.environment["PULLKEY_REGISTRY_CONNECT_TO"].split(",")
    )
    return {name: int(address.rpartition(":")[2]) for name, _, address in pairs}


REGISTRY = {
    "gcr": "europe-west1-docker.pkg.dev",
    "acr": "acmeshop.azurecr.io",
    "private": "registry.sandbox.example",
}


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    ports = _registries(world)
    one = Proxy({**ports, REGISTRY["gcr"]: ports.get("*.pkg.dev", 0)})
    yield one
    one.close()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_used_for_all_that_leaves(world: World, proxy: Proxy, variable: str) -> None:
    done = onboard(world, env={variable: proxy.url, "PULLKEY_REGISTRY_CONNECT_TO": ""})
    assert done.code == 0, done.text
    assert f"{REGISTRY[world.provider]}:443" in proxy.asked
    environment = world.running.environment
    named = {
        value.removeprefix("https://")
        for name, value in environment.items()
        if name.startswith("PULLKEY_") and name.endswith("_ENDPOINT")
    }
    unused = {"PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT"} & environment.keys()
    assert named - {environment[name].removeprefix("https://") for name in unused} <= proxy.asked


def test_no_proxy_is_honoured(world: World, proxy: Proxy) -> None:
    direct = dict.fromkeys(
        ("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,.sandbox.example,.pkg.dev,.azurecr.io"
    )
    done = onboard(
        world, "--timeout", "5s", env={"HTTPS_PROXY": proxy.url, "PULLKEY_REGISTRY_CONNECT_TO": "", **direct}
    )
    assert done.code in (1, 3), done.text
    assert "does not answer" in done.err
    assert proxy.asked == set()
    world.forgiven.add(REGISTRY[world.provider])


def test_certificates_are_verified_whatever_is_set(world: World) -> None:
    """What switches the check off elsewhere does not here: the sandbox's authority is not known, so all is
    refused.
    """
    settings = {
        "PYTHONHTTPSVERIFY": "0",
        "GIT_SSL_NO_VERIFY": "1",
        "CURL_INSECURE": "1",
        "CURL_CA_BUNDLE": "",
        "REQUESTS_CA_BUNDLE": "",
        "SSL_CERT_FILE": "",
        "SSL_CERT_DIR": "",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "",
        "AZURE_CLI_DISABLE_CONNECTION_VERIFICATION": "1",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION": "true",
    }
    _refused(world, settings)


def test_a_wrong_authority_is_refused(world: World, tmp_path: Path) -> None:
    wrong = str(CertificateAuthority(tmp_path).bundle)
    _refused(
        world,
        {"REQUESTS_CA_BUNDLE": wrong, "SSL_CERT_FILE": wrong, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": wrong},
    )


def _refused(world: World, settings: dict[str, str]) -> None:
    done = onboard(world, "--timeout", "30s", env=settings)
    assert done.code in (1, 3), done.text
    assert "certificate" in done.err.lower(), done.err
    assert world.names() == []
    assert world.changes() == []

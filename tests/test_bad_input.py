"""What cannot be used is refused with one sentence before any cloud or Akka is asked, and echoed without
harm.

The options are read from the commands themselves, so that a new one is tried too. `main` runs in this
process; its clients are not replaced, they must never be made: any connection, any program started and any
file written fails a test.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap.cli import cli, main
from bootstrap.cli.command_table import COMMANDS
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.model.text import one_line
from bootstrap.plugin import entry_points as plugins
from bootstrap.registry.trust import refusal_of as _untrusted
from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.world import World, make_world

# What makes each provider's target whole, so that only the value under test is wrong.
WHOLE = {
    "gcr": ["--server", "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"],
    "acr": ["--registry", "acmeshop.azurecr.io/checkout:1.0"],
    "docker-hub": ["--image", "acme/checkout:1.0", "--hub-user", "acmebot"],
    "gitlab": ["--image", "registry.gitlab.com/acme/shop/checkout:1.0"],
    "harbor": ["--image", "harbor.example.com/shop/checkout:1.0", "--user", "jo"],
    "private": ["--server", "https://registry.example.com/v1/", "--username", "ops"],
}
UNPRINTABLE = {
    "NUL": "a\0b",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "ANSI colour": "a\x1b[31mb",
    "terminal title": "\x1b]0;owned\x07a",
    "C1 control": "a\x9b31mb",
    "bidi override": "a\u202eb",
    "bidi isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "soft hyphen": "a\u00adb",
    "line separator": "a\u2028b",
    "byte order mark": "\ufeffa",
    "lone surrogate": "a\udcffb",
    "no-break space": "a\u00a0b",
    "delete": "a\x7fb",
}
# Where a host, an image or a URL is expected: hosts that look like others, and hosts that are something else
# inside.
HOSTS = (
    "g\u0441r.io",
    "\uff47cr.io",
    "gcr\u3002io",
    "acmeshop.azurecr.\u0456o",
    "http://gcr.io",
    "ftp://gcr.io",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//gcr.io",
    "https:gcr.io",
    "https:///gcr.io",
    "gcr.io@169.254.169.254",
    "user:pw@gcr.io",
    "gcr.io:443@evil.example",
    "https://gcr.io#@evil.example",
    "https://gcr.io?x=1",
    "gcr.io:0",
    "gcr.io:99999",
    "gcr.io:-1",
    "gcr.io:8e1",
    "gcr.io: 443",
    "gcr.io\\@evil.example",
    "gcr.io/../../x",
    "gcr.io/%2e%2e/x",
    "[::1]",
    "[::ffff:169.254.169.254]",
    "::1",
    "[fe80::1%25eth0]",
    "-gcr.io",
    "gcr..io",
    ".gcr.io",
    "a" * 64 + ".io",
    "a." * 130 + "io",
    "*.pkg.dev",
    "gcr.io/$(id)",
    "gcr.io/`id`",
    "gcr.io/x;id",
    "gcr.io/x|id",
    "gcr.io/x y",
    "{gcr.io,evil.example}",
)
# Names and addresses of this machine and of the clouds' own metadata; no cloud's registry, and no public
# one's.
INSIDE = (
    "127.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "localhost",
    "metadata.google.internal",
    "metadata",
    "kubernetes.default.svc",
    "10.0.0.1",
    "192.168.1.1",
    "100.100.100.200",
)
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@dataclass
class Ended:
    """How one run of the command in this process ended."""

    code: int
    out: str
    err: str


class _Watch:
    """Notes what would be a call or a change, by an audit hook that cannot be taken away, only switched."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        # A descriptor was noted when it was opened; Python writes what it compiles through one.
        if not self.on or (event == "open" and isinstance(arguments[0], int)):
            return
        writes = (
            event == "open"
            and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            and "__pycache__" not in str(arguments[0])
        )
        if writes or event in (
            "socket.connect",
            "socket.getaddrinfo",
            "subprocess.Popen",
            "os.system",
            "os.remove",
        ):
            self.seen.append(f"{event} {arguments[:2]}")


WATCH = _Watch()


class _Stream(io.StringIO):
    """What Python would do on a terminal of UTF-8: what cannot be encoded is an error."""

    def write(self, text: str) -> int:
        text.encode()
        return super().write(text)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULLKEY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PULLKEY_AKKA_CLI", "no-such-akka")
    # This process is the test's own: it must stay readable, and its logs on.
    monkeypatch.setattr("bootstrap.cli.secrets.keep_to_ourselves", lambda: None)


def run(*arguments: str, stdin: str = "") -> Ended:
    """`pullkey ARGUMENTS`, in this process."""
    streams = sys.stdin, sys.stdout, sys.stderr, sys.argv
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape"))),
        _Stream(),
        _Stream(),
    )
    sys.argv = ["pullkey", *arguments]
    WATCH.seen.clear()
    WATCH.on = True
    code: Any = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        WATCH.on = False
        out, err = sys.stdout.getvalue(), sys.stderr.getvalue()
        sys.stdin, sys.stdout, sys.stderr, sys.argv = streams
    return Ended(int(code or 0), out, err)


def refused(ended: Ended, codes: tuple[int, ...] = (2,)) -> None:
    assert ended.code in codes, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert "does not know" not in ended.err, ended.err
    assert not _RAW.search(ended.err), ended.err
    assert len(ended.err) < 1500, ended.err
    assert WATCH.seen == []


def _options() -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Every command line, the option of it that takes text, and what kind of text."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group) and name not in ("audit", "sandbox"):
            for provider in plugins.names():
                own = command.get_command(context, provider)
                assert own is not None
                for option in _taking_text(own):
                    yield (name, provider), option, provider
        elif name in ("list", "rotate", "offboard", "doctor", "report"):
            for option in _taking_text(command):
                yield (name,), option, ""

    for name in ("plan", "apply", "list", "rotate", "offboard", "report", "runbook"):
        # Of a file that is not there, so none of these can be let through.
        command = cli.resolve_command(context, [name, "--file=no-such.yaml"])[1]
        assert command is not None
        for option in _taking_text(command):
            if option != "-f":
                yield (name, "--file=no-such.yaml"), option, ""


def _taking_text(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag and parameter.name != "help":
            yield parameter.opts[0]


OPTIONS = list(_options())


def share(kind: str, of: int) -> list[tuple[tuple[str, ...], str, str]]:
    """Every `of`th option, another share for each kind, so that all together try each of them."""
    return OPTIONS[list(UNPRINTABLE).index(kind) % of :: of]


ENOUGH = {
    "rotate": ["NAME", "--yes"],
    "offboard": ["NAME", "--yes"],
    "onboard": ["--yes"],
    "report": ["--html", "no-such/report.html"],
}


def typed(command: tuple[str, ...], option: str, value: str, provider: str) -> list[str]:
    """The command line with this value, and everything else as it should be."""
    whole = [*WHOLE.get(provider, []), *ENOUGH.get(command[0], [])]
    if option in whole:
        at = whole.index(option)
        del whole[at : at + 2]
    # Joined, so that a value which begins with a dash is a value.
    return [*command, *whole, f"{option}={value}"]


def test_the_options_are_found() -> None:
    assert len(OPTIONS) > 100
    assert {provider for _, _, provider in OPTIONS} == {*plugins.names(), ""}
    assert WHOLE.keys() == set(plugins.names())


@pytest.mark.parametrize("kind", UNPRINTABLE)
def test_what_cannot_be_printed_is_refused_by_every_option(kind: str) -> None:
    for command, option, provider in share(kind, 5):
        refused(run(*typed(command, option, UNPRINTABLE[kind], provider)))


def test_what_begins_with_a_dash_is_refused_by_every_option() -> None:
    for command, option, provider in OPTIONS:
        refused(run(*typed(command, option, "--yes", provider)))


@pytest.mark.parametrize("kind", UNPRINTABLE)
def test_variables_are_refused_like_options(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = UNPRINTABLE[kind]
    if "\0" in value:
        pytest.skip("no variable can hold it")
    for command, option, provider in share(kind, len(UNPRINTABLE)):
        name = option.strip("-").replace("-", "_").upper()
        variable = f"PULLKEY_{provider.replace('-', '_').upper()}_{name}" if provider else f"PULLKEY_{name}"
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            whole = typed(command, option, "", provider)[:-1]
            refused(run(*whole))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("provider", WHOLE)
def test_a_host_that_is_none_is_refused(provider: str, host: str) -> None:
    option = "--registry" if provider == "acr" else "--image" if provider == "docker-hub" else "--server"
    if provider == "docker-hub" and re.match(r"^(?:[a-z]+\.?){1,200}(?::[\w.-]+)?$", host):
        pytest.skip("without a slash it is the name of an image there, as for every puller")
    for command in ("onboard", "runbook"):
        refused(run(*typed((command, provider), option, host, provider)))


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("provider", ["gcr", "acr"])
def test_a_host_inside_is_no_registry_of_a_cloud(provider: str, host: str) -> None:
    option = "--registry" if provider == "acr" else "--server"
    for spelled in (host, f"https://{host}/v2/", f"{host}/acme/x:1"):
        if provider == "acr" and spelled.isalnum() and len(spelled) >= 5:
            continue  # five letters and digits are a registry's name, and its host is NAME.azurecr.io
        refused(run(*typed(("onboard", provider), option, spelled, provider)))


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "0",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "metadata.google.internal",
        "100.100.100.200",
    ],
)
def test_a_machines_own_metadata_is_no_private_registry(host: str) -> None:
    """A private registry may be in one's own network, and for tests on this machine: then by its plain
    address.
    """
    for option, spelled in (
        ("--server", f"https://{host}/v1/"),
        ("--server", host),
        ("--image", f"{host}/acme/x:1"),
    ):
        whole = ["--username", "ops", "--yes", f"{option}={spelled}"]
        refused(run("onboard", "private", *whole))


@pytest.mark.parametrize("length", [5_000, 100_000])
def test_what_is_too_long_is_refused_and_not_echoed(length: int) -> None:
    for command, option, provider in OPTIONS:
        if command[0] in ("onboard", "list", "rotate") and option != "--handover":
            ended = run(*typed(command, option, "a" * length, provider))
            refused(ended)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_typed_is_written_down_or_refused(data: st.DataObject) -> None:
    """A runbook calls nobody, so that what can be used may be let through."""
    command, option, provider = data.draw(st.sampled_from([one for one in OPTIONS if one[0][0] == "runbook"]))
    alphabet = st.characters(blacklist_categories=[]) | st.sampled_from("-./:@\\%$`'\"\x1b\u202e")
    value = data.draw(st.text(alphabet, min_size=1, max_size=40))
    ended = run(*typed(command, option, value, provider))
    assert ended.code in (0, 2), ended
    assert "Traceback" not in ended.err
    assert "does not know" not in ended.err
    assert not _RAW.search(ended.err + ended.out), ended
    assert WATCH.seen == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such\x1b[31m"],
        ["onboard", "no\u202esuch"],
        ["doctor", "g\u0441r"],
        ["completion", "\x1b]0;x\x07"],
        ["--no-such\x1b[2J"],
        ["onboard", "gcr", "--no-such\x1b[2J=1"],
        ["onboard", "gcr", "--key-source=\x1b[2J"],
        ["onboard", "gcr", "--timeout=\x1b[2J"],
        ["onboard", "gcr", "extra\x1b[2J"],
        ["list", "a\x1b[2J"],
        ["rotate", "\u202e", "--yes"],
        ["verify", "\x1b[2J"],
        ["sandbox", "exec", "--fault=\x1b[2J", "true"],
        ["sandbox", "\x1b[2J"],
    ],
)
def test_what_is_no_option_is_echoed_without_harm(arguments: list[str]) -> None:
    refused(run(*arguments))


@pytest.mark.parametrize(
    "name",
    [
        "PULLKEY_GOOGLE_IAM_ENDPOINT",
        "PULLKEY_AZURE_GRAPH_ENDPOINT",
        "PULLKEY_AZURE_AUTHORITY_HOST",
        "PULLKEY_DOCKER_HUB_ENDPOINT",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "http://evil.example",
        "http://127.0.0.1.evil.example",
        "http://2130706433",
        "http://0x7f.1",
        "https://u:p@x",
        "https://x/path",
        "https://x?q",
        "https://x#f",
        "ftp://x",
        "x",
        "https://",
        "https://[::1",
        "https://x:99999",
        "\x1b[31m",
        "https://x\u202e",
        "https://a b",
        "http://localhost.",
        "https://x\\@y",
    ],
)
def test_an_address_in_the_environment_that_cannot_be_used(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    for command in (["onboard", "gcr", *WHOLE["gcr"], "--yes"], ["list"], ["doctor"]):
        refused(run(*command))


@pytest.mark.parametrize(
    "value",
    ["x", "=", "a=", "a=b", "a=b:c", "a=b:99999999", "a=b:0", "a=\x1b[2J:1", "a=evil\u202e:1", "a=b:\u0661"],
)
def test_a_way_to_a_registry_that_cannot_be_used(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLKEY_REGISTRY_CONNECT_TO", value)
    refused(run("onboard", "gcr", *WHOLE["gcr"], "--yes"))


@pytest.mark.parametrize("given_", ["", "\n", " \t ", "a\0b", "\x16", "x" * 70_000])
@pytest.mark.parametrize(
    "command",
    [
        ("onboard", "private", *WHOLE["private"], "--yes", "--password-stdin"),
        ("onboard", "docker-hub", *WHOLE["docker-hub"], "--yes", "--token-stdin"),
        ("rotate", "NAME", "--yes", "--secret-stdin"),
        ("verify", "gcr", *WHOLE["gcr"], "--credential-stdin"),
    ],
)
def test_a_password_that_is_none(command: tuple[str, ...], given_: str) -> None:
    refused(run(*command, stdin=given_))


# -- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", ["/", "/dev/full", "/proc/self/nothing", "/etc/passwd/x", "no/such/folder/steps.sh"]
)
def test_a_handover_that_cannot_be_written(file: str) -> None:
    for world in make_world("gcr"):
        world.cloud.state.denied_permissions.add("iam.serviceAccounts.create")
        done = world.onboard("--handover", file)
        assert done.code == 2, done.text
        assert "--handover" in done.err
        assert world.changes() == []


# -- from outside --------------------------------------------------------------------------------------------


@given(
    st.text(st.characters(blacklist_categories=[]) | st.sampled_from("\x1b\x9b\u202e\n\r\0"), max_size=2000)
)
def test_the_words_of_others_are_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 300
    assert line.isprintable()


REALMS = (
    "http://registry.example.com/token",
    "https://evil.example/token",
    "https://registry.example.com.evil.example/t",
    "https://registry.example.com@evil.example/t",
    "https://evil.example#registry.example.com",
    "https://127.0.0.1/t",
    "https://[::1]/t",
    "https://169.254.169.254/t",
    "https://2852039166/t",
    "file:///etc/passwd",
    "https://",
    "",
    "https://com/t",
    "https://registry.ex\u0430mple.com/t",
    "\x1b[31mhttps://registry.example.com",
    "//registry.example.com/t",
    "https:registry.example.com",
    "https://example.com\\@evil.example/",
)


@pytest.mark.parametrize("realm", REALMS)
def test_a_realm_elsewhere_is_not_trusted(realm: str) -> None:
    attempt = _untrusted("registry.example.com", realm)
    assert isinstance(attempt, PullAttempt)
    assert attempt.verdict is Verdict.UNTRUSTED
    assert not _RAW.search(attempt.detail)


EVIL = "\x1b]0;owned\x07\x1b[2J\u202eevil\r\n" + "x" * 5000


def test_what_akka_shows_is_printed_without_harm(private: World) -> None:
    """A record of somebody else's can hold anything that Akka takes."""
    shown = AkkaCredential(f"https://{EVIL}/", EVIL, EVIL, "not-looked-for")
    private.akka.projects["shop"].put_credential("evil", shown, dt.datetime.now(dt.UTC))
    for command in (
        ["list"],
        ["list", "evil"],
        ["verify", "evil"],
        ["offboard", "evil", "--dry-run"],
        ["list", "--output", "json"],
    ):
        done = private.run(*command)
        assert not _RAW.search(done.text.replace("\n", "")), command

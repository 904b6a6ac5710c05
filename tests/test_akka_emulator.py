"""The sandbox's Akka, through its executable, as the CLI reference says."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.akka_cli import COMMANDS, GLOBAL_FLAGS, to_json
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.running_sandbox import RunningSandbox

PASSWORD = "-hush hush,=\"'\n{}"


@dataclass
class Akka:
    running: RunningSandbox
    emulator: AkkaEmulator

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None, **more: str) -> str:
        """Run `akka`; stdout if it is to succeed, stderr if it is to fail."""
        done = subprocess.run(
            ["akka", *arguments],
            env=self.running.process_environment(**more),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert (done.stderr if code == 0 else done.stdout) == ""
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def add(self, *more: str, code: int = 0, **how: Any) -> str:
        server, username = (
            "--docker-server=https://europe-west1-docker.pkg.dev",
            "--docker-username=_json_key",
        )
        return self(
            "docker",
            "add-credentials",
            server,
            username,
            f"--docker-password={PASSWORD}",
            *more,
            code=code,
            **how,
        )

    def names(self, *more: str) -> list[tuple[str, str]]:
        return [(row["name"], row["status"]) for row in self.json("docker", "list-credentials", *more)]


@pytest.fixture
def akka() -> Iterator[Akka]:
    with RunningSandbox({"akka": AkkaEmulator}, SandboxSettings(propagation=5)) as running:
        emulator = running.sandbox.emulators["akka"]
        assert isinstance(emulator, AkkaEmulator)
        yield Akka(running, emulator)


def methods(akka: Akka) -> list[str]:
    return [call.method for call in akka.running.sandbox.log.calls]


# -- the documented life of a credential ---------------------------------------------------------------------


def test_credential_is_added_shown_replaced_and_removed(akka: Akka) -> None:
    assert akka.names() == []
    akka.add("--docker-email", "a@example.com")
    (row,) = akka.json("docker", "list-credentials")
    assert row == {
        "name": "docker-credentials",
        "status": "OK",
        "server": "https://europe-west1-docker.pkg.dev",
        "email": "a@example.com",
        "username": "_json_key",
    }
    held = akka.emulator.credential("shop", "docker-credentials")
    assert held.password == PASSWORD
    akka("docker", "add-credentials", "--docker-server", "https://other", "--docker-password", "new")
    held = akka.emulator.credential("shop", "docker-credentials")
    assert (held.server, held.username, held.email, held.password) == ("https://other", "", "", "new")
    akka("docker", "remove-credentials", "docker-credentials")
    assert akka.names() == []
    # Only the reference is gone.
    assert [row["name"] for row in akka.json("secrets", "list")] == ["docker-credentials"]
    with pytest.raises(KeyError):
        akka.emulator.credential("shop", "docker-credentials")
    akka("secrets", "delete", "docker-credentials")
    assert akka.json("secrets", "list") == []
    assert "code = NotFound" in akka("secrets", "delete", "docker-credentials", code=1)
    assert "code = NotFound" in akka("docker", "remove-credentials", "docker-credentials", code=1)


def test_text_has_the_documented_columns(akka: Akka) -> None:
    header, row = akka("docker", "list-credentials", "--project", "billing").splitlines()
    assert header.split() == ["NAME", "STATUS", "SERVER", "EMAIL", "USERNAME"]
    assert row.split() == [
        "docker-credentials",
        "OK",
        "https://registry.example.com/v2/",
        "ops@example.com",
        "billing-bot",
    ]
    assert akka("secrets", "list", "--project", "billing").split()[:3] == ["NAME", "TYPE", "KEYS"]
    assert re.search(r"^\* +shop ", akka("projects", "list"), re.MULTILINE)
    assert re.search(r"^\* +billing ", akka("projects", "list", AKKA_PROJECT="billing"), re.MULTILINE)


def test_secret_and_reference_are_two_things(akka: Akka) -> None:
    akka.add("--secret-only")
    assert akka.names() == []
    akka("docker", "add-credentials", "--config-only")
    assert akka.names() == [("docker-credentials", "OK")]
    assert akka.emulator.credential("shop", "docker-credentials").password == PASSWORD
    akka("secrets", "delete", "docker-credentials")
    assert akka.names() == [("docker-credentials", "MISSING")]
    akka("secrets", "create", "generic", "docker-credentials", "--literal", "a=b,c=d")
    assert akka.names() == [("docker-credentials", "INVALID")]
    assert "none of the others can be" in akka.add("--secret-only", "--config-only", code=1)


def test_password_goes_nowhere_but_into_the_secret(akka: Akka) -> None:
    akka.add("--secret-name=x")
    shown = akka("docker", "list-credentials", "-o", "json") + akka("secrets", "get", "x", "-o", "json")
    shown += akka("secrets", "list") + repr(akka.emulator.credential("shop", "x"))
    shown += repr(akka.running.sandbox.log.calls) + repr(
        list(akka.emulator.projects["shop"].secrets.seen_from(""))
    )
    assert "hush" not in shown
    add = akka.running.sandbox.log.calls[0]
    assert (add.api, add.method, add.resource, add.changes, add.status) == (
        "akka",
        "docker.add-credentials",
        "shop/x",
        True,
        200,
    )
    assert not any(call.changes for call in akka.running.sandbox.log.calls[1:])


# -- regions -------------------------------------------------------------------------------------------------


def test_global_is_copied_from_the_primary_after_a_while(akka: Akka) -> None:
    def sync() -> list[tuple[str, str]]:
        rows = akka.json("docker", "list-credentials", "--project=billing", "--all-regions")
        return [(row["region"], row["sync"]) for row in rows if row["name"] == "new"]

    akka.add("--project=billing", "--secret-name=new")
    assert sync() == [("gcp-us-east1", "Synced"), ("aws-us-east-2", "NotSynced")]
    akka.running.sandbox.advance(dt.timedelta(seconds=6))
    assert sync() == [("gcp-us-east1", "Synced"), ("aws-us-east-2", "Synced")]
    assert "REGION" in akka("docker", "list-credentials", "--project=billing", "--all-regions")


def test_regional_is_seen_in_its_region_only(akka: Akka) -> None:
    away = ("--project=billing", "--region=aws-us-east-2")
    akka.add(*away, "--secret-name=away")
    assert akka.names("--project=billing") == [("docker-credentials", "OK")]
    assert akka.names(*away) == [("away", "OK"), ("docker-credentials", "OK")]
    assert akka.emulator.credential("billing", "away", "aws-us-east-2").password == PASSWORD
    # The region must be repeated when it is removed.
    assert "NotFound" in akka("docker", "remove-credentials", "away", "--project=billing", code=1)
    akka("docker", "remove-credentials", "away", *away)
    assert akka.names(*away) == [("docker-credentials", "OK")]
    assert "has no region" in akka.add("--region=mars", code=1)


def test_between_global_and_regional_only_by_force(akka: Akka) -> None:
    here = ("--project=billing", "--region=gcp-us-east1")
    assert "--force-regional" in akka.add(*here, code=1)
    akka.add(*here, "--force-regional")
    assert akka.names("--project=billing", "--region=aws-us-east-2") == []
    assert "--force-global" in akka.add("--project=billing", code=1)
    akka.add("--project=billing", "--force-global")
    assert akka.names("--project=billing", "--region=aws-us-east-2") == [("docker-credentials", "OK")]


# -- the command line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("docker delete-credentials x", 'unknown command "delete-credentials" for "akka docker"'),
        ("frob", 'unknown command "frob" for "akka"'),
        ("docker list-credentials extra", 'unknown command "extra" for "akka docker list-credentials"'),
        ("docker list-credentials --frob", "unknown flag: --frob"),
        ("docker add-credentials --docker-password-stdin", "unknown flag: --docker-password-stdin"),
        ("docker add-credentials --all-regions", "unknown flag: --all-regions"),
        ("docker list-credentials --force-global", "unknown flag: --force-global"),
        ("docker list-credentials -v", "unknown shorthand flag: 'v' in -v"),
        ("docker list-credentials --project", "flag needs an argument: --project"),
        ("docker list-credentials --quiet=maybe", 'invalid argument "maybe" for "--quiet" flag'),
        ("docker list-credentials -o yaml", 'invalid output format "yaml"'),
        ("docker list-credentials --timeout 10", 'time: invalid duration "10"'),
        ("docker add-credentials --docker-server x", 'required flag(s) "docker-password" not set'),
        ("docker remove-credentials", "accepts 1 arg(s), received 0"),
        (
            "docker list-credentials --project nope",
            "rpc error: code = NotFound desc = project 'nope' not found",
        ),
        ("docker list-credentials --owner nobody", "code = NotFound"),
        ("docker list-credentials --context nope", "context 'nope' not found"),
        ("config get frob", "not set"),
        ("secrets create generic x --from-file a=/nowhere", "open /nowhere: no such file"),
    ],
)
def test_mistakes_are_refused_as_cobra_does(akka: Akka, arguments: str, error: str) -> None:
    said = akka(*arguments.split(), code=1)
    assert said.startswith("Error: ")
    assert error in said


@pytest.mark.parametrize(
    "arguments",
    [
        "--project billing docker list-credentials",
        "docker --output=json list-credentials --project=billing",
        "-ojson docker list-credentials --project billing --context default --page-mode buffered",
        "docker list-credentials -qojson --project billing --timeout 1m30s --cache-file=/x --config=/y",
        (
            "docker list-credentials --disable-prompt --verbose --use-grpc-web=true -o json-compact "
            "--project billing"
        ),
    ],
)
def test_flags_may_be_written_in_every_documented_way(akka: Akka, arguments: str) -> None:
    if arguments.startswith("--project"):
        # Not a global flag: before the command its value is taken for a command.
        assert 'unknown command "billing"' in akka(*arguments.split(), code=1)
    else:
        assert [row["name"] for row in json.loads(akka(*arguments.split()))] == ["docker-credentials"]


def test_surface_is_that_of_the_reference() -> None:
    docker = {
        path[1]: {flag.name for flag in COMMANDS[path].flags} for path in COMMANDS if path[0] == "docker"
    }
    where = {"project", "owner", "region"}
    force = {"force-global", "force-regional"}
    assert docker == {
        "add-credentials": where
        | force
        | {
            "docker-server",
            "docker-username",
            "docker-email",
            "docker-password",
            "secret-name",
            "config-only",
            "secret-only",
        },
        "list-credentials": where | {"all-regions"},
        "remove-credentials": where | force,
    }
    assert {flag.name for flag in GLOBAL_FLAGS} == {
        "cache-file",
        "config",
        "context",
        "disable-prompt",
        "help",
        "output",
        "page-mode",
        "quiet",
        "timeout",
        "use-grpc-web",
        "verbose",
    }


def test_help_lists_the_flags(akka: Akka) -> None:
    assert "--docker-password string" in akka("docker", "add-credentials", "--help")
    assert "remove-credentials" in akka("docker")
    assert "docker" in akka()


def test_the_small_reads(akka: Akka) -> None:
    for arguments in (["version"], ["--version"], ["-v"]):
        assert akka(*arguments) == "3.0.71\n"
    assert akka("config", "get-project") == "shop\n"
    assert akka("config", "get", "project") == "shop\n"
    assert akka("config", "current-context") == "default\n"
    assert "default" in akka("auth", "current-login")
    billing = akka.json("projects", "get", "billing")
    assert billing["friendly_name"] == "billing"
    assert [region["primary"] for region in billing["regions"]] == [True, False]
    assert akka.json("projects", "get", "--project", billing["name"].removeprefix("projects/")) == billing
    assert akka.json("projects", "regions", "list", "--project=billing") == billing["regions"]
    assert len(akka.json("projects", "list", "--organization=acme")) == 2
    akka("projects", "regions", "set-primary", "aws-us-east-2", "--project=billing")
    assert akka.emulator.projects["billing"].primary == "aws-us-east-2"


def test_project_of_the_environment_is_after_the_flag_and_before_the_configuration(akka: Akka) -> None:
    assert akka.json("projects", "get")["friendly_name"] == "shop"
    assert json.loads(akka("projects", "get", "-ojson", AKKA_PROJECT="billing"))["friendly_name"] == "billing"
    assert (
        json.loads(akka("projects", "get", "shop", "-ojson", AKKA_PROJECT="billing"))["friendly_name"]
        == "shop"
    )


# -- login ---------------------------------------------------------------------------------------------------


def test_nobody_is_logged_in(akka: Akka) -> None:
    akka.emulator.mode = "logged-out"
    assert "not logged in" in akka("auth", "current-login", code=1)
    assert "code = Unauthenticated" in akka.add(code=1)
    # What needs no login works.
    assert akka("version") == "3.0.71\n"
    token = akka.emulator.service_token
    assert akka("docker", "list-credentials", "-o", "json-compact", AKKA_TOKEN=token) == "[]\n"


def test_wrong_token_is_refused_though_the_configuration_has_a_login(akka: Akka) -> None:
    assert "invalid token" in akka("docker", "list-credentials", code=1, AKKA_TOKEN="cst4.wrong")


def test_nobody_else_may_ask_the_emulator(akka: Akka) -> None:
    endpoint = akka.running.sandbox.directory / "akka-cli" / "endpoint"
    assert endpoint.stat().st_mode & 0o777 == 0o600
    port, _ = endpoint.read_text().split()
    url = f"http://127.0.0.1:{port}/call/docker.list-credentials"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(urllib.request.Request(url, b"{}", {"Authorization": "Bearer guess"}))
    assert refused.value.code == 401
    assert methods(akka) == []


# -- another CLI, and one that misbehaves --------------------------------------------------------------------


def test_older_cli(akka: Akka) -> None:
    akka.emulator.mode = "old"
    said = akka.add("--docker-email=a@example.com")
    identity = said.removeprefix("Created docker credentials with id ").strip()
    assert re.fullmatch(r"[0-9a-f-]{36}", identity)
    # Text, although JSON is asked for.
    header, row = akka("docker", "list-credentials", "-o", "json").splitlines()
    assert header.split() == ["ID", "SERVER", "USERNAME", "EMAIL"]
    assert row.split() == [identity, "https://europe-west1-docker.pkg.dev", "_json_key", "a@example.com"]
    assert akka("projects", "list", "-o", "json").split()[0] == "NAME"
    assert 'unknown command "remove-credentials"' in akka("docker", "remove-credentials", identity, code=1)
    assert "unknown flag: --secret-name" in akka.add("--secret-name=x", code=1)
    assert "unknown flag: --version" in akka("--version", code=1)
    assert akka("version") == "3.0.3\n"
    assert akka("docker", "delete-credentials", "x", code=1) == (
        "Error: error deleting docker credentials: rpc error: code = InvalidArgument desc = "
        "Invalid docker credentials name\n"
    )
    assert akka("docker", "delete-credentials", identity) == "Docker credentials deleted.\n"
    assert len(akka("docker", "list-credentials").splitlines()) == 1
    assert "docker.remove-credentials" not in methods(akka)


def test_half_done_leaves_the_secret_without_the_reference(akka: Akka) -> None:
    akka.emulator.mode = "half-done"
    assert "code = PermissionDenied" in akka.add(code=1)
    assert [row["name"] for row in akka.json("secrets", "list")] == ["docker-credentials"]
    assert akka.names() == []
    akka.emulator.mode = "current"
    akka.add()
    assert akka.names() == [("docker-credentials", "OK")]


def test_status_that_is_not_ok(akka: Akka) -> None:
    akka.add()
    akka.emulator.mode = "not-ok"
    assert akka.names() == [("docker-credentials", "INVALID")]


def test_output_that_nobody_documented(akka: Akka) -> None:
    akka.emulator.mode = "babbles"
    assert "Docker credentials" not in akka.add()
    assert akka.emulator.credential("shop", "docker-credentials").password == PASSWORD
    akka.emulator.mode = "notices"
    notice, _, rest = akka("docker", "list-credentials", "-o", "json").partition("\n\n")
    assert "available" in notice
    assert [row["name"] for row in json.loads(rest)] == ["docker-credentials"]


def test_question_that_no_flag_switches_off(akka: Akka) -> None:
    akka.emulator.mode, akka.emulator.mode_applies_to = "asks", "docker.add-*"
    assert "[y/N]: Error: EOF" in akka.add("--disable-prompt", code=1)
    assert "cancelled" in akka.add(stdin="n\n", code=1)
    assert akka.names() == []


def test_one_that_hangs_can_be_killed(akka: Akka) -> None:
    akka.emulator.mode = "hangs"
    child = subprocess.Popen(
        ["akka", "docker", "list-credentials", "--timeout", "50ms"],
        env=akka.running.process_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=5)[1] == ""
    assert child.returncode == -signal.SIGINT
    assert methods(akka) == []


# -- faults of the gate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "code", "done"),
    [
        ("503", "Unavailable", False),
        ("403", "PermissionDenied", False),
        ("429;code=OutOfQuota", "OutOfQuota", False),
        ("reset", "Unavailable", False),
        ("lost", "Unavailable", True),
        ("cut", "Unavailable", True),
        ("malformed", "Internal", True),
        ("empty", "Internal", True),
        ("charset", "Internal", True),
        ("html", "Internal", False),
        ("hang", "DeadlineExceeded", False),
        ("hang-after", "DeadlineExceeded", True),
    ],
)
def test_fault_is_an_rpc_error(akka: Akka, action: str, code: str, done: bool) -> None:
    akka.running.sandbox.faults.add(f"akka.docker.add-credentials={action}")
    begin = time.monotonic()
    said = akka.add("--timeout=300ms", code=1)
    assert f"Error: error adding docker credentials: rpc error: code = {code} desc = " in said
    assert time.monotonic() - begin < 2
    assert bool(akka.names()) is done
    assert "hush" not in said


def test_sandbox_that_is_gone_is_an_rpc_error(akka: Akka) -> None:
    endpoint = akka.running.sandbox.directory / "akka-cli" / "endpoint"
    endpoint.write_text("1\nno-token\n")
    assert "code = Unavailable" in akka("docker", "list-credentials", code=1)


def test_it_starts_quickly_and_needs_no_package(akka: Akka) -> None:
    begin = time.monotonic()
    for _ in range(5):
        akka("version", PYTHONPATH="/nonexistent", PYTHONSTARTUP="/nonexistent")
    assert (time.monotonic() - begin) / 5 < 0.5
    assert os.access(akka.emulator.cli, os.X_OK)


@pytest.mark.parametrize(
    "arguments",
    [
        "version",
        "docker list-credentials -o json --timeout 30s",
        "docker list-credentials -o json-compact",
        "docker add-credentials --docker-server=https://x --docker-password=y",
        "docker remove-credentials docker-credentials --project billing",
        "secrets delete docker-credentials --project billing",
        "projects get",
        "auth current-login",
    ],
)
def test_it_imports_nothing_that_is_slow_to_import(akka: Akka, arguments: str) -> None:
    program = akka.running.sandbox.directory / "akka-cli" / "akka_cli.pyc"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", program, *arguments.split()],
        env=akka.running.process_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "_socket" in imported
    assert not imported & {"collections", "enum", "functools", "json", "re", "signal", "socket", "typing"}


# -- its own JSON --------------------------------------------------------------------------------------------

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_is_written_as_everywhere(value: Any) -> None:
    assert to_json(value, line="\n") == json.dumps(value, indent=2)
    assert to_json(value) == json.dumps(value, separators=(",", ":"))

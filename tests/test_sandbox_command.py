"""`pullkey sandbox exec` and `pullkey sandbox serve`, as a person runs them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootstrap.sandbox.run import interferes, sandbox_environment

# It ends by itself, so that a test which fails leaves nothing running.
WAITING = "n=0; while [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done"
PULLKEY = [sys.executable, "-m", "bootstrap", "sandbox"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sandbox keeps its files, empty before and to be empty after."""
    directory = tmp_path / "a name that needs quotes"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PULLKEY, *arguments],
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def started(*arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A sandbox in a process group of its own, ended with all of the group if the test fails before it
    ends.
    """
    child = subprocess.Popen(
        [*PULLKEY, *arguments],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise


def shell(script: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run("exec", *options, "--", "sh", "-c", script, **more)


# -- exec ----------------------------------------------------------------------------------------------------


def test_status_and_output_are_those_of_the_command(temporary: Path) -> None:
    done = subprocess.run(
        [*PULLKEY, "exec", "--", "sh", "-c", "cat; echo aside >&2; exit 7"],
        input="through stdin\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "through stdin\n", "aside\n")
    assert list(temporary.iterdir()) == []


def test_signal_that_ended_the_command_is_told_as_a_shell_does(temporary: Path) -> None:
    assert shell("kill -KILL $$").returncode == 128 + signal.SIGKILL
    assert list(temporary.iterdir()) == []


def test_command_that_is_not_there_or_cannot_be_run(temporary: Path, tmp_path: Path) -> None:
    missing = run("exec", "--", "no-such-program")
    assert (missing.returncode, missing.stdout) == (127, "")
    assert missing.stderr == "pullkey: 'no-such-program' was not found.\n"
    text = tmp_path / "text"
    text.write_text("not a program")
    refused = run("exec", "--", str(text))
    assert refused.returncode == 126
    assert refused.stderr == f"pullkey: {str(text)!r} cannot be run: Permission denied.\n"
    assert list(temporary.iterdir()) == []


def test_all_the_programs_are_led_to_it_and_nowhere_else(temporary: Path) -> None:
    own = {
        "AKKA_TOKEN": "own",
        "AKKA_CONTEXT": "own",
        "AZURE_CLIENT_SECRET": "own",
        "CLOUDSDK_CORE_PROJECT": "own",
        "GOOGLE_CLOUD_PROJECT": "own",
        "HTTPS_PROXY": "http://own",
        "https_proxy": "http://own",
        "PULLKEY_SERVER": "own",
        "PULLKEY_AKKA_OWNER": "own",
        "KEPT": "kept",
    }
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = run("exec", "--", sys.executable, "-c", code, **own)
    inside = json.loads(done.stdout)
    assert {name: value for name, value in inside.items() if value in ("own", "http://own")} == {}
    assert inside["KEPT"] == "kept"
    assert inside["NO_PROXY"] == inside["no_proxy"] == "127.0.0.1,localhost"
    for name in (
        "PULLKEY_AKKA_CLI",
        "PULLKEY_AKKA_PROJECT",
        "PULLKEY_GOOGLE_IAM_ENDPOINT",
        "PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT",
        "SSL_CERT_FILE",
        "PULLKEY_STATE_DIR",
    ):
        assert name in inside
    first, _, rest = inside["PATH"].partition(os.pathsep)
    assert Path(first).is_relative_to(temporary)
    assert rest.endswith(os.environ["PATH"])


def test_akka_is_the_sandboxs(temporary: Path) -> None:
    done = shell("akka docker list-credentials --project billing -o json", AKKA_TOKEN="own")
    assert [row["name"] for row in json.loads(done.stdout)] == ["docker-credentials"]


def test_each_call_is_a_line_of_the_log(temporary: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    script = "akka version && akka docker add-credentials --docker-server x --docker-password hush"
    assert shell(script, "--log", str(log), "--latency", "20ms").returncode == 0
    version, add = map(json.loads, log.read_text().splitlines())
    assert (version["api"], version["method"], version["changes"]) == ("akka", "version", False)
    assert (add["method"], add["resource"], add["changes"]) == (
        "docker.add-credentials",
        "shop/docker-credentials",
        True,
    )
    assert {"time", "status", "ms"} <= version.keys()
    assert version["ms"] >= 20
    assert "hush" not in log.read_text()


def test_fault_reaches_the_command(temporary: Path) -> None:
    done = shell("akka version; akka version", "--fault", "akka.version=503")
    assert done.stdout == "3.0.71\n"
    assert "code = Unavailable" in done.stderr


@pytest.mark.needs_debian
def test_images_of_a_real_registry(temporary: Path) -> None:
    done = shell("echo fine", "--registry", "docker-registry")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_is_handed_on_and_all_is_cleaned_up(temporary: Path, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo caught; exit 9' {name}; echo ready; {WAITING}"
    with started("exec", "--", "sh", "-c", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.stdout.read() == "caught\n"
        assert child.wait(20) == 9
    assert list(temporary.iterdir()) == []


def test_interrupt_is_left_to_the_command(temporary: Path) -> None:
    script = f"trap 'echo caught; exit 3' INT; echo ready; {WAITING}"
    with started("exec", "--", "sh", "-c", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        # To the process group, as a terminal does it.
        os.killpg(child.pid, signal.SIGINT)
        assert child.stdout.read() == "caught\n"
        assert child.wait(20) == 3
    assert list(temporary.iterdir()) == []


def test_signal_while_it_starts_ends_it(temporary: Path) -> None:
    with started("exec", "--", "sleep", "10") as child:
        limit = time.monotonic() + 20
        while not list(temporary.iterdir()) and time.monotonic() < limit:
            time.sleep(0.002)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--fault", "frob"], "'frob' is not of the form"),
        (["--latency", "soon"], "'soon' is not a valid duration"),
        (["--propagation", "5"], "'5' is not a valid duration"),
        (["--log", "/dev/null/log"], "/dev/null/log cannot be written"),
        (["--registry", "other"], "'other' is not one of"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_starts(
    temporary: Path, options: list[str], sentence: str
) -> None:
    done = run("exec", *options, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert list(temporary.iterdir()) == []


def test_extra_that_is_missing_is_named_with_what_installs_it(temporary: Path) -> None:
    hide = "import sys; sys.modules['aiohttp'] = None; from bootstrap.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hide, "sandbox", "exec", "--", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "aiohttp" in done.stderr
    assert "pip install" in done.stderr
    assert "[acr,gcr,metrics,sandbox,testing]" in done.stderr  # those that are there are kept
    assert "Traceback" not in done.stderr


def test_help_shows_examples_first_and_needs_no_extra() -> None:
    hide = "import sys; sys.modules['aiohttp'] = None; from bootstrap.cli import main; main()"
    for arguments in (["--help"], ["exec", "--help"], ["serve", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", hide, "sandbox", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert 0 < done.stdout.index("Examples:") < done.stdout.index("Options:")


# -- serve ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_until_told_to_stop(temporary: Path, number: signal.Signals) -> None:
    with started("serve", AKKA_TOKEN="own") as child:
        assert child.stdout is not None
        lines = []
        while not (line := child.stdout.readline()).startswith("#"):
            assert line
            lines.append(line)
        assert all(shlex.split(line)[0] in ("export", "unset") for line in lines)
        script = "".join(lines) + "akka projects get"
        answer = subprocess.run(
            ["sh", "-c", script],
            env={**os.environ, "AKKA_TOKEN": "own"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "shop" in answer.stdout
        assert "unset AKKA_TOKEN\n" in lines
        child.send_signal(number)
        assert child.wait(20) == 0
        assert child.stdout.read() == ""
    assert list(temporary.iterdir()) == []


# -- the environment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "AKKA_TOKEN",
        "AZURE_TENANT_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUDSDK_CONFIG",
        "http_proxy",
        "PULLKEY_SANDBOX",
    ],
)
def test_own_variable_interferes(name: str) -> None:
    assert interferes(name)
    assert name not in sandbox_environment({name: "own"}, {})


@pytest.mark.parametrize("name", ["HOME", "PATH", "AKKA_DISABLE_PROMPTS", "PULLKEY_OUTPUT", "LANG"])
def test_own_variable_stays(name: str) -> None:
    assert sandbox_environment({name: "own"}, {})[name] == "own"
    assert sandbox_environment({name: "own"}, {name: "sandbox"})[name] == "sandbox"

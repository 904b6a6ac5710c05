"""How the command starts: quickly, without any cloud's SDK, with help that shows examples, with errors in
a sentence.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.command import SDKS, modules_imported_by, pullkey


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("onboard", "--help"),
        ("onboard", "gcr", "--help"),
        ("onboard", "acr", "--help"),
        ("completion", "bash"),
        ("runbook", "gcr", "--server", "gcr.io/acme-shop/x"),
        ("list", "--help"),
        ("rotate", "--help"),
        ("offboard", "--help"),
        ("report", "--help"),
        ("doctor", "--help"),
        ("schema", "list"),
    ],
)
def test_no_sdk_is_imported_to_tell_about_itself(arguments: tuple[str, ...]) -> None:
    imported = modules_imported_by(*arguments)
    # `google` is a namespace that other distributions' .pth files may set up; what counts is what is in it.
    heavy = {name for name in imported if name.partition(".")[0] in SDKS and name != "google"}
    if arguments[0] == "runbook":
        heavy = {name for name in heavy if name.partition(".")[0] in ("google", "azure", "msgraph", "grpc")}
    assert not heavy


def test_onboarding_google_never_imports_azure(tmp_path: Path) -> None:
    imported = modules_imported_by(
        "onboard", "gcr", "--yes", "--server", "gcr.io/acme-shop/x", "--timeout", "1s"
    )
    assert not {name for name in imported if name.startswith(("azure", "msgraph"))}


def test_help_imports_little_beyond_click() -> None:
    """What it takes in milliseconds is measured by scripts/benchmark.py; this counts what it takes them
    for.
    """
    done = subprocess.run(
        [sys.executable, "-c", "import sys, click; print(len(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(modules_imported_by("--help")) - int(done.stdout) <= 27


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("onboard",),
        ("onboard", "gcr"),
        ("onboard", "acr"),
        ("plan", "acr"),
        ("verify",),
        ("runbook",),
        ("sandbox",),
        ("sandbox", "exec"),
        ("sandbox", "serve"),
        ("schema",),
        ("completion",),
        ("list",),
        ("rotate",),
        ("offboard",),
        ("doctor",),
        ("verify", "NAME"),
        ("onboard", "docker-hub"),
        ("onboard", "private"),
        ("report",),
        ("report", "-f", "x.yaml"),
        ("runbook", "-f", "x.yaml"),
    ],
)
def test_help_shows_examples_and_fits_80_columns(command: tuple[str, ...]) -> None:
    done = pullkey(*command, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert done.stdout.index("Example") < done.stdout.index("Options")
    too_long = [line for line in done.stdout.splitlines() if len(line) > 80 and "pullkey " not in line]
    assert too_long == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("onbord",), "There is no command 'onbord'"),
        (
            ("onboard", "ecr"),
            "There is no provider 'ecr'; there are: acr, docker-hub, gcr, gitlab, harbor, private",
        ),
        (("onboard", "gcr", "--yes"), "No registry is named"),
        (("onboard", "gcr", "--yes", "--sever", "gcr.io"), "--server"),
        (("onboard", "gcr", "--yes", "--server", "gcr.io", "--timeout", "soon"), "'soon'"),
        (("onboard", "gcr", "--yes", "--server", "gcr.io", "--output", "xml"), "xml"),
        (("onboard", "gcr", "--yes", "--server", "gcr.io", "--akka-project", "--yes"), "--akka-project"),
        (
            ("onboard", "gcr", "--yes", "--server", "gcr.io", "--akka-project", "a\x1b[31mb"),
            "cannot be printed",
        ),
        (("onboard", "acr", "--yes"), "--registry"),
        (("report",), "No page is named"),
        (("report", "-f", "no-such.yaml"), "No page is named"),
        (("onboard", "acr", "--yes", "--registry", "x"), "--registry"),
        (("sandbox", "exec", "--fault", "nonsense", "--", "true"), "nonsense"),
        (("sandbox", "exec", "--latency", "fast", "--", "true"), "fast"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    done = pullkey(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PULLKEY_REGISTRY_CONNECT_TO", "nonsense"),
        ("PULLKEY_GOOGLE_IAM_ENDPOINT", "http://iam.example.com"),
        ("PULLKEY_GOOGLE_ORGPOLICY_ENDPOINT", "iam.example.com"),
        ("PULLKEY_AZURE_AUTHORITY_HOST", "http://login.example.com"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    tmp_path: Path, variable: str, value: str
) -> None:
    done = pullkey(
        "onboard",
        "gcr",
        "--yes",
        "--server",
        "gcr.io/acme-shop/x",
        **{variable: value, "PULLKEY_STATE_DIR": str(tmp_path)},
    )
    assert done.returncode == 2
    assert variable in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("provider", "module", "typed"),
    [("gcr", "google", ("--server", "gcr.io/acme-shop/x")), ("acr", "azure", ("--registry", "acmeshop"))],
)
def test_a_missing_extra_is_one_sentence_with_the_commands_that_install_it(
    tmp_path: Path, provider: str, module: str, typed: tuple[str, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {module!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        f"sys.modules.pop({module!r}, None)\n"
    )
    akka = tmp_path / "akka"
    akka.write_text("#!/bin/sh\necho '[]'\n")
    akka.chmod(0o755)

    done = pullkey(
        "onboard",
        provider,
        "--yes",
        *typed,
        PYTHONPATH=str(tmp_path),
        PULLKEY_AKKA_CLI=str(akka),
        PULLKEY_STATE_DIR=str(tmp_path / "state"),
    )

    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert " install " in done.stderr
    assert "[acr,gcr,metrics,sandbox,testing]" in done.stderr  # the extras of this copy are kept
    assert '"pullkey[' not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("onboard", "gcr", "--sandbox", "--yes"),
        ("plan", "acr", "--sandbox", "--registry", "acmeshop"),
        ("sandbox", "exec", "--", "true"),
        ("sandbox", "serve"),
    ],
)
@pytest.mark.parametrize("library", ["aiohttp", "cryptography"])
def test_a_sandbox_without_its_extra_is_one_sentence_that_names_it(
    tmp_path: Path, arguments: tuple[str, ...], library: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{library!r}] = None\n")
    done = pullkey(*arguments, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    said, fix = done.stderr.splitlines()
    assert "needs pullkey's extra 'sandbox', which is not installed" in said
    assert "install" in fix


def test_completion_knows_commands_and_options() -> None:
    done = pullkey(_PULLKEY_COMPLETE="bash_complete", COMP_WORDS="pullkey onboard gcr --ser", COMP_CWORD="3")
    assert "--server" in done.stdout
    assert pullkey("completion", "zsh").stdout.startswith("#compdef pullkey")


def test_google_alone_installs_nothing_of_azure() -> None:
    from importlib.metadata import requires

    needed = [
        line
        for line in requires("pullkey") or []
        if "extra ==" not in line or 'extra == "gcr"' in line.replace("'", '"')
    ]
    assert any(line.startswith("google-cloud-iam") for line in needed)
    assert not [line for line in needed if line.startswith(("azure", "msgraph"))]


def test_the_lock_has_a_hash_for_everything_and_names_no_host() -> None:
    lines = (Path(__file__).resolve().parent.parent / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or "--index-url" in line.partition("#")[0]]
    pinned = [
        number for number, line in enumerate(lines) if "==" in line and not line.lstrip().startswith("#")
    ]
    assert pinned
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)

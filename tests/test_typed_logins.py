"""No option, name of a file of registries or variable that holds a login is shown, and none gets as far as
a cloud.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml

from bootstrap import cli
from bootstrap.cli import command_table
from bootstrap.fleet import fields as declared
from bootstrap.model.errors import Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.plugin import entry_points as plugins

PIECES = ("s3cret", "Pa55")
TYPED = [
    "ops:s3cretPa55@host.example",
    "https://ops:s3cretPa55@host.example/x",
    "https://s3cretPa55@host.example",
    "ops:s3cret'Pa55@host.example",
    'ops:s3cret"Pa55@host.example',
    "ops:s3cret Pa55@host.example",
    "ops:s3cret@Pa55@host.example",
    "ops:s3cret:Pa55@host.example",
    "https://ops:s3cretPa55@host.example/?to=https://other.example",
]


def options() -> Iterator[tuple[str, ...]]:
    """Each option of each command that takes a value."""
    names = plugins.names()
    for name, (module, function, _) in command_table.COMMANDS.items():
        command = getattr(import_module(module), function)
        yield from _of(command, (name,), names)
    for name in command_table.OF_A_FILE:
        yield from _of(command_table.file_command(name), (name, "--file=none.yaml"), names)


def _of(command: click.Command, path: tuple[str, ...], providers: list[str]) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                if (one := command.get_command(context, name)) is not None:
                    yield from _of(one, (*path, name), providers)
        return
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag and not parameter.count:
            yield (*path, parameter.opts[0])


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULLKEY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PULLKEY_AKKA_CLI", "/none/akka")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["pullkey", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out + err

    return run


FILES = ("--file", "-f", "--save", "--audit", "--handover", "--html", "--to", "--log", "--out")


@pytest.mark.parametrize("typed", TYPED)
def test_no_option_shows_it(told: Callable[..., tuple[int, str]], typed: str) -> None:
    """Each form in its share of the options."""
    for path in list(options())[TYPED.index(typed) :: len(TYPED)]:
        _is_refused_unseen(told, path, typed)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("typed", TYPED)
def test_no_option_shows_any_of_them(told: Callable[..., tuple[int, str]], typed: str) -> None:
    for path in options():
        _is_refused_unseen(told, path, typed)


def _is_refused_unseen(told: Callable[..., tuple[int, str]], path: tuple[str, ...], typed: str) -> None:
    *before, option = path
    code, text = told(
        *before,
        f"{option}={typed}" if option.startswith("--") else f"{option}{typed}",
        *_needed(before, option),
    )
    assert not [piece for piece in PIECES if piece in text], (path, text)
    assert code == 2, (path, text)


def _needed(before: list[str], option: str) -> list[str]:
    """What is asked for before anything of a file is looked at."""
    return ["-f", "none.yaml"] if before == ["apply"] and option not in ("-f", "--file") else []


@pytest.mark.parametrize("provider", plugins.names())
def test_no_name_in_a_file_shows_it(
    told: Callable[..., tuple[int, str]], provider: str, tmp_path: Path
) -> None:
    fields = [one.name for one in declared.target_fields(provider).values()]
    for typed in TYPED:
        for name in [*fields, "provider", "unknown"]:
            target = {"provider": provider, name: typed}
            (tmp_path / "r.yaml").write_text(yaml.safe_dump({"version": 1, "targets": [target]}))
            code, text = told("plan", "-f", "r.yaml")
            assert not [piece for piece in PIECES if piece in text], (name, typed, text)
            assert code == 2, (name, typed, text)
    documents: tuple[dict[str, object], ...] = (
        dict.fromkeys(TYPED, 1),
        {"version": TYPED[0]},
        {"version": 1, "targets": TYPED[0]},
    )
    for document in documents:
        (tmp_path / "r.yaml").write_text(yaml.safe_dump(document))
        _, text = told("plan", "-f", "r.yaml")
        assert not [piece for piece in PIECES if piece in text], text


@pytest.mark.parametrize("typed", TYPED)
def test_no_name_or_command_shows_it(told: Callable[..., tuple[int, str]], typed: str) -> None:
    for arguments in (
        (typed,),
        ("onboard", typed),
        ("onboard", "acr", typed),
        ("verify", typed),
        ("list", typed),
        ("rotate", typed),
        ("offboard", typed),
        ("apply", typed),
        ("report", typed),
        ("schema", typed),
        ("completion", typed),
        ("sandbox", typed),
        ("doctor", typed),
        ("onboard", "acr", f"--{typed}"),
        ("import", typed),
    ):
        code, text = told(*arguments)
        assert not [piece for piece in PIECES if piece in text], (arguments, text)
        assert code == 2, (arguments, text)


def test_no_error_and_no_problem_shows_one() -> None:
    typed = TYPED[0]
    for error in (
        UsageProblem(f"{typed!r} is none"),
        StepFailed(f"no {typed}", fix=f"See {typed}"),
        Problem(ProblemKind.SETUP, f"no {typed!r}", f"See {typed}"),
    ):
        assert not [piece for piece in PIECES if piece in error.what + error.fix]


@pytest.mark.parametrize(
    "text",
    [
        "gcloud … --member=serviceAccount:puller@acme.iam.gserviceaccount.com --role=x",
        "--server: https://host:5000/x has no @",
        "puller@acme.iam.gserviceaccount.com",
        "shop:1@sha256:12",
        "us-docker.pkg.dev/acme/x@sha256:ab",
        "deleted:serviceAccount:p@acme.iam.gserviceaccount.com?uid=1",
        "https://id.example/u?mail=ops@example.com",
        "az login --scope https://vault.azure.net/.default, as ops@example.com",
    ],
)
def test_what_is_no_login_stays(text: str) -> None:
    problem = Problem(ProblemKind.SETUP, text, text)
    assert (problem.what, problem.fix) == (text, text)
    assert StepFailed(text, fix=text).fix == text


@pytest.mark.parametrize("provider", plugins.names())
def test_no_variable_shows_it(
    told: Callable[..., tuple[int, str]], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = import_module("bootstrap.cli.target").onboard
    with click.Context(command) as context:
        parameters = command.get_command(context, provider).params
    for typed in TYPED:
        for one in parameters:
            for variable in [one.envvar] if isinstance(one.envvar, str) else one.envvar or ():
                with monkeypatch.context() as patch:
                    patch.setenv(variable, typed)
                    code, text = told("onboard", provider, "--yes")
                assert not [piece for piece in PIECES if piece in text], (variable, typed, text)
                assert code == 2, (variable, typed, text)


def test_a_path_may_hold_both(told: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "10:00@host").mkdir()
    (tmp_path / "10:00@host" / "r.yaml").write_text("version: 1\n")
    _, text = told("plan", "-f", "./10:00@host/r.yaml")
    assert "targets is missing" in text

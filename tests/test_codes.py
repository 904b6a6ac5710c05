"""Each problem and error has one stable code, which `pullkey explain` and the documentation explain."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bootstrap.cli import cli
from bootstrap.cli.click_errors import as_pullkey_error
from bootstrap.model.codes import Code, Who, explanations
from bootstrap.model.errors import Problem, ProblemKind, PullkeyError
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.registry.messages import code_of
from bootstrap.testing.harness.world import World, make_world
from tests.harness.documents import ROOT
from tests.harness.frozen_codes import FROZEN

SOURCES = sorted([*(ROOT / "bootstrap").rglob("*.py"), *(ROOT / "providers").rglob("*.py")])
# Of these the class says no more than that something went wrong: where one is raised, the code is chosen.
UNSPECIFIC = {"PullkeyError", "StepFailed", "Problem"}


def test_codes_are_unique_and_say_what_they_are_about() -> None:
    names = [str(code) for code in Code]
    assert len(names) == len(set(names)) == len(Code.__members__)
    assert all(re.fullmatch(r"PK(-[A-Z]+)+", name) for name in names)
    titles = [one.title for one in explanations().values()]
    assert len(titles) == len(set(titles))


def test_no_code_is_removed_or_gets_another_meaning() -> None:
    found = {str(code): one.title for code, one in explanations().items()}
    assert {name: found.get(name) for name in FROZEN} == FROZEN
    assert set(found) == set(FROZEN), "add the new codes to tests/harness/frozen_codes.py"


@pytest.mark.parametrize("code", Code)
def test_each_code_is_explained(code: Code) -> None:
    one = explanations()[code]
    done = CliRunner().invoke(cli, ["explain", str(code)])
    assert done.exit_code == 0
    assert done.output.startswith(f"{code}: {one.title}\n")
    said = " ".join(done.output.split())
    for text in (one.cause, one.fix, one.who_text):
        assert text
        assert " ".join(text.split()) in said
    assert max(map(len, done.output.splitlines())) <= 80
    assert all(isinstance(who, Who) for who in one.who)


def test_each_code_is_used() -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "codes.py")
    used = set(re.findall(r"\bCode\.(\w+)", texts))
    assert not [code for code in Code if code.name not in used]


def test_each_kind_of_error_has_a_code() -> None:
    """Of each class one that is its own, or its parent's where it is the same situation."""
    for path in SOURCES:
        if "emulator" not in path.parts and path.name != "__main__.py":
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    ours = [one for one in _below(PullkeyError) if one.__module__.startswith(("bootstrap.", "providers."))]
    assert len(ours) > 15
    assert all(isinstance(one.code, Code) for one in ours)
    assert all(Problem(kind, "x").code in Code for kind in ProblemKind)
    assert all(
        code_of(PullAttempt(verdict, "x")) in Code for verdict in Verdict if verdict is not Verdict.PULLS
    )


def _below(kind: type[PullkeyError]) -> Iterator[type[PullkeyError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_an_error_of_an_unspecific_class_names_its_code() -> None:
    """No sentence without a thought about which situation it is."""
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in UNSPECIFIC
        and not any(keyword.arg == "code" for keyword in call.keywords)
    ]
    assert not missing


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.NoSuchOption("--al"), Code.UNKNOWN_OPTION),
        (click.MissingParameter("x"), Code.MISSING_VALUE),
        (click.BadParameter("x"), Code.BAD_VALUE),
        (click.UsageError("x"), Code.USAGE),
    ],
)
def test_what_click_refuses_has_a_code(error: click.ClickException, code: Code) -> None:
    assert as_pullkey_error(error).code is code


# -- pullkey explain -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["pk-key-limit", "KEY_LIMIT", "[PK-KEY-LIMIT]", "key-limit"])
def test_a_code_may_be_typed_as_it_is_met(typed: str) -> None:
    assert CliRunner().invoke(cli, ["explain", typed]).output.startswith("PK-KEY-LIMIT: ")


def test_without_a_code_all_are_listed_within_80_columns() -> None:
    lines = CliRunner().invoke(cli, ["explain"]).output.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [
        str(one) for one in explanations()
    ]
    assert max(map(len, lines)) <= 80


def test_completion_offers_codes() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(cli, {}, "pullkey", "_PULLKEY_COMPLETE")
    assert {"PK-IMAGE-NOT-FOUND"} == {one.value for one in complete.get_completions(["explain"], "pk-imag")}


# -- where they stand ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gcr() -> Iterator[World]:
    yield from make_world("gcr")


def test_an_unknown_code_is_a_usage_error_that_names_the_nearest(gcr: World) -> None:
    done = gcr.run("explain", "PK-IMAGE-NOTFOUND")
    assert done.code == 2
    assert "[PK-UNKNOWN-CODE]" in done.err
    assert "Did you mean PK-IMAGE-NOT-FOUND" in done.err


def test_a_problem_ends_with_its_code_and_json_has_it_too(gcr: World) -> None:
    image = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:chekout"
    text = gcr.run("onboard", image, "--yes")
    assert text.code == 3
    (line,) = [line for line in text.err.splitlines() if "There is no image" in line]
    assert line.endswith("[PK-IMAGE-NOT-FOUND]")
    assert text.err.count("pullkey explain PK-IMAGE-NOT-FOUND") == 1
    (problem,) = gcr.run("onboard", image, "--yes", "--output", "json").json["problems"]
    assert problem["code"] == "PK-IMAGE-NOT-FOUND"


def test_an_error_ends_its_first_line_with_its_code(gcr: World) -> None:
    for arguments, code in (
        (("onbord",), "PK-UNKNOWN-COMMAND"),
        (("list", "--al"), "PK-UNKNOWN-OPTION"),
        (("onboard", "gcr", "--server", "no-host", "--yes"), "PK-BAD-VALUE"),
        (("rotate", "--yes"), "PK-MISSING-VALUE"),
        (("rotate", "nobody", "--yes"), "PK-CREDENTIAL-NOT-FOUND"),
        (("plan", "-f", "nowhere.yaml"), "PK-FILE-UNREADABLE"),
        (("apply", "-f", str(ROOT / "pyproject.toml"), "--yes"), "PK-FILE-INVALID"),
    ):
        done = gcr.run(*arguments)
        assert done.code == 2, arguments
        (line,) = [line for line in done.err.splitlines() if line.startswith("pullkey: ")]
        assert line.endswith(f"[{code}]"), (arguments, done.err)


def test_a_check_of_doctor_has_the_code_of_the_problem_that_it_shows(gcr: World) -> None:
    text = gcr.run("doctor", "gcr", "--akka-project", "no-such")
    assert re.search(r"^  BAD .*\[PK-AKKA-PROJECT-NOT-FOUND\]$", text.out, re.MULTILINE), text.text
    checks = gcr.run("doctor", "gcr", "--akka-project", "no-such", "--output", "json").json["checks"]
    assert "PK-AKKA-PROJECT-NOT-FOUND" in [check["code"] for check in checks if check["good"] is False]


def test_the_codes_in_the_documents_exist() -> None:
    known = {str(code) for code in Code}
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    named = {name for page in pages for name in re.findall(r"\bPK(?:-[A-Z]+)+\b", page.read_text("utf-8"))}
    assert known <= named
    assert not named - known


def test_the_texts_have_no_code_that_the_registry_lacks() -> None:
    areas = tomllib.loads((ROOT / "bootstrap" / "model" / "codes.toml").read_text(encoding="utf-8"))
    named = [name for area in areas.values() for name in area if name != "about"]
    assert sorted(named) == sorted(str(code) for code in Code)
    assert Path(ROOT / "bootstrap" / "model" / "codes.toml").read_text(encoding="utf-8").isascii()

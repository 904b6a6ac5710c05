"""The conformance suite fails a provider that has a mistake, with the sentence that says which."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootstrap.model.errors import ExitCode, first_line
from bootstrap.plugin.errors import as_user_error
from bootstrap.testing.conformance import suite
from bootstrap.testing.conformance.bench import Bench
from bootstrap.testing.harness.fault_cases import selection
from bootstrap.testing.harness.figures import FIGURES
from bootstrap.testing.harness.fork_server import CHANGE, Ended
from bootstrap.testing.harness.stage import _about_the_end
from bootstrap.testing.harness.world import logins_of
from tests.harness import broken_provider, plugins

CASE = "docker-hub-user"
Test = Callable[[Bench], None]


@pytest.fixture
def bench() -> Iterator[Bench]:
    # A leak that is made on purpose is no figure.
    before = dict(vars(FIGURES))
    one = Bench()
    yield one
    one.close()
    vars(FIGURES).update(before)


MISTAKES: dict[str, tuple[Callable[[], None], Test, str]] = {
    "planning creates": (
        broken_provider.creates_while_it_looks,
        lambda bench: suite.TestReading().test_before_the_onboarding(bench, CASE),
        r"only read, but sent calls that change something(?s:.*)hub\.",
    ),
    "its key is never found": (
        broken_provider.never_finds_its_key,
        lambda bench: suite.TestLife().test_onboarding_again_changes_nothing(bench, CASE),
        "Onboarding the same registry again changes something",
    ),
    "an id is a number": (
        broken_provider.has_numbers_for_ids,
        lambda bench: suite.TestLife().test_onboarding_leads_from_akkas_record_back_to_the_key(bench, CASE),
        r"Onboarding the registry of the case fails(?s:.*)PK-PROVIDER-CONTRACT",
    ),
    "another user name": (
        broken_provider.says_that_it_pulls_as_somebody_else,
        lambda bench: suite.TestLife().test_onboarding_leads_from_akkas_record_back_to_the_key(bench, CASE),
        "Onboarding the registry of the case fails|do not pull the sandbox's image",
    ),
    "a replaced key stays": (
        broken_provider.deletes_nothing,
        lambda bench: suite.TestLife().test_rotation(bench, CASE, "name", Path()),
        "does not delete the key that it replaced|rotate` .name. fails",
    ),
    "a failed run is not undone": (
        broken_provider.undoes_nothing,
        lambda bench: suite.TestRollback().test_a_refused_registration(bench, CASE),
        r"After a run that was rolled back(?s:.*)new: hub token",
    ),
    "others' keys are deleted": (
        broken_provider.deletes_keys_of_others,
        lambda bench: suite.TestLife().test_rotation(bench, CASE, "name", Path()),
        "something that pullkey did not create is changed or deleted",
    ),
    "keys of other runs are deleted": (
        broken_provider.takes_each_key_of_pullkeys_for_one_of_the_run,
        lambda bench: suite.TestBeside().test_another_credential_keeps_its_key(bench, CASE),
        "the second credential no longer pulls: `of_run`",
    ),
    "keys of others are listed as its own": (
        broken_provider.lists_the_keys_of_others_as_its_own,
        lambda bench: suite.TestLife().test_onboarding_again_changes_nothing(bench, CASE),
        "names a key that is not pullkey's",
    ),
    "it locates by what was typed": (
        broken_provider.locates_by_the_options_of_the_onboarding,
        lambda bench: suite.TestLife().test_akkas_record_alone_leads_to_the_key(bench, CASE),
        "Without the options of the onboarding",
    ),
    "the key is in a file": (
        broken_provider.notes_the_key,
        lambda bench: suite.TestLife().test_offboarding_leaves_all_as_it_was(bench, CASE),
        r"A piece of a secret was found outside of Akka(?s:.*)acme\.log",
    ),
    "a script is not bash": (
        broken_provider.has_a_script_that_is_no_bash,
        lambda bench: suite.TestScripts().test_the_runbook_has_each_step_and_passes_shellcheck(bench, CASE),
        "shellcheck objects",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(bench: Bench, mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, test, sentence = MISTAKES[mistake]
    monkeypatch.setenv(CHANGE, f"{change.__module__}:{change.__name__}")
    with pytest.raises(pytest.fail.Exception, match=sentence):
        test(bench)


@pytest.mark.parametrize("where", ["error", "left over"])
def test_an_exception_of_an_installed_provider_is_found(tmp_path: Path, where: str) -> None:
    """It is worded otherwise than pullkey's own; within a left-over it has no code."""
    plugins.install(tmp_path, "harp", "def read(answer):\n    return answer['id']\n")
    with plugins.imported_from(tmp_path):
        try:
            importlib.import_module("harp_plugin").read([])
        except TypeError as error:
            shown = as_user_error(error)
    undone = {"left_over": [{"what": f"step key could not be undone: {shown.what}", "command": ""}]}
    ended = (
        Ended(ExitCode.FAILED, "{}", f"pullkey: {first_line(shown)}", 1.0)
        if where == "error"
        else Ended(ExitCode.LEFT_OVER, json.dumps(undone), "1 thing is left over", 1.0)
    )

    assert "an unexpected error" in [*_about_the_end(5.0, ended)]


def test_each_answer_to_a_provider_is_tried_in_other_forms_whatever_else_it_calls() -> None:
    """The other faults rotate, so a provider passes some of them by luck."""
    calls = {"hub.List#1": False, "hub.Create#1": True, "hub.GetToken#1": False, "akka.version#1": False}
    tried = {
        (one.call, one.fault)
        for command in ("onboard", "offboard")
        for one in selection(CASE, command, calls, set(), bodies=True)
    }

    wanted = {"empty", "types", "malformed", "lost"}
    for call in ("hub.List#1", "hub.Create#1"):
        assert wanted <= {fault for on, fault in tried if on == call}
    few = selection(CASE, "onboard", calls, set())
    assert len(few) == 5


def test_a_login_in_a_file_is_looked_for_as_a_key_is(tmp_path: Path) -> None:
    """Though the emulator does not declare it; a certificate is no secret."""
    (tmp_path / "token").write_text("acme-3f9c71d204b8\n")
    (tmp_path / "bundle.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    named = {
        "ACME_TOKEN_FILE": f"{tmp_path}/token",
        "SSL_CERT_FILE": f"{tmp_path}/bundle.pem",
        "HOME": "/root",
    }
    assert logins_of(object(), named, tmp_path) == ["acme-3f9c71d204b8"]

    declared = SimpleNamespace(secrets=lambda: ("another-login",))
    assert logins_of(declared, named, tmp_path) == ["another-login"]


SOURCE = """
import httpx

import bootstrap.engine.run
from bootstrap.model.errors import Problem, ProblemKind
from bootstrap.model.option import Option
from providers.private import PrivateProvider


class Harp(PrivateProvider):
    name, title, hosts = "harp", "Harp", ()
    options = (Option("--server", ""), Option("--password", "The password.", kind="secret"))

    def complain(self):
        return Problem(ProblemKind.SETUP, "It is wrong")


provider = Harp()
"""


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        (
            suite.TestSource().test_importing_it_imports_nothing_heavy,
            "`pullkey --help` then waits(?s:.*)httpx",
        ),
        (
            suite.TestSource().test_it_imports_only_what_is_for_providers,
            r"bootstrap\.plugin and bootstrap\.model only(?s:.*):4 imports bootstrap\.engine",
        ),
        (suite.TestSource().test_each_error_has_a_code, r"has no code(?s:.*):15 Problem"),
        (suite.TestSource().test_each_option_has_help, "These options have no help(?s:.*)--server"),
    ],
)
def test_a_mistake_in_the_source_is_found(tmp_path: Path, test: Callable[[str], None], sentence: str) -> None:
    plugins.install(tmp_path, "harp", SOURCE)
    with plugins.imported_from(tmp_path), pytest.raises(pytest.fail.Exception, match=sentence):
        test("harp")


def test_each_module_of_the_package_is_read_whichever_the_entry_point_names(tmp_path: Path) -> None:
    plugins.install(tmp_path, "harp", None, entry="acme_strings.plugin:provider")
    (tmp_path / "acme_strings").mkdir()
    for module, text in {"__init__": "", "plugin": SOURCE, "client": "import bootstrap.fleet\n"}.items():
        (tmp_path / "acme_strings" / f"{module}.py").write_text(text)
    with (
        plugins.imported_from(tmp_path),
        pytest.raises(pytest.fail.Exception, match=r"client\.py:1 imports bootstrap\.fleet"),
    ):
        suite.TestSource().test_it_imports_only_what_is_for_providers("harp")


def test_a_plugin_is_tested_where_it_is_installed(tmp_path: Path) -> None:
    """As its author does it: pytest in a folder of their own."""
    plugins.install(tmp_path, "harp", SOURCE)
    (tmp_path / "mine").mkdir()

    def pytest_of(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "bootstrap.testing.plugin", "-q", *arguments],
            cwd=tmp_path / "mine",
            env=plugins.environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    done = pytest_of("--pullkey-provider", "harp", "-k", "TestSource")
    assert done.returncode == 4
    assert "Harp has no method conformance_cases" in done.stderr + done.stdout
    assert pytest_of("--pullkey-provider", "nowhere").returncode == 4
    # Without the option it does nothing.
    assert "no tests ran" in pytest_of().stdout

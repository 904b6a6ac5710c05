"""The fixtures of all tests, which tests run where, and the figures that they report. What tests share
else is in `harness`.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.harness", "bootstrap.testing.harness")
# Some machines have this set; the clouds' SDKs, compiled anew in each process, would take most of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from bootstrap.testing.harness.figures import COUNTS, FIGURES, count
from bootstrap.testing.harness.fork_server import close_fork_server, restore_signals
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from bootstrap.testing.harness.world import World, make_world
from providers.docker_hub.emulator.seed import PASSWORD
from providers.gitlab.emulator.seed import ACCESS_TOKENS
from providers.harbor.emulator.seed import PASSWORD as HARBOR_PASSWORD
from tests.harness.rsa_key_pool import use_a_pool
from tests.harness.virtual_time import Play, virtual_time

if TYPE_CHECKING:  # each imports a cloud's SDKs
    from tests.harness.azure_sandbox import Azure
    from tests.harness.google_sandbox import Google

restore_signals()  # the tests send them
# How long an example takes depends on what runs beside it.
hypothesis.settings.register_profile("pullkey", deadline=None)
hypothesis.settings.load_profile("pullkey")


@pytest.fixture
def gcr() -> Iterator[World]:
    yield from make_world("gcr")


@pytest.fixture
def acr() -> Iterator[World]:
    yield from make_world("acr")


@pytest.fixture
def hub() -> Iterator[World]:
    for world in make_world("docker-hub"):
        # What is typed must not be seen either.
        world.passwords.append(PASSWORD)
        yield world


@pytest.fixture
def gitlab() -> Iterator[World]:
    for world in make_world("gitlab"):
        world.passwords += ACCESS_TOKENS
        yield world


@pytest.fixture
def harbor() -> Iterator[World]:
    for world in make_world("harbor"):
        world.passwords.append(HARBOR_PASSWORD)
        yield world


@pytest.fixture
def private() -> Iterator[World]:
    yield from make_world("private")


@pytest.fixture(scope="module")
def google_emulator() -> Iterator[RunningSandbox]:
    """One for all tests of a module that do not set it up differently."""
    from tests.harness.google_sandbox import start_google

    with start_google() as running:
        yield running


@pytest.fixture
def google(google_emulator: RunningSandbox) -> Iterator[Google]:
    from tests.harness.google_sandbox import Google

    found = Google(google_emulator)
    yield found
    found.state.denied_permissions.clear()
    found.state.projects["acme-shop"].constraints.clear()
    found.running.sandbox.faults.faults.clear()


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    from tests.harness.azure_sandbox import running_azure

    yield from running_azure(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _keys_from_a_pool() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_a_pool(patch)
        yield


@pytest.fixture(autouse=True)
def _own_settings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person at this machine has set must not decide a test."""
    for name in os.environ:
        if name.startswith(("PULLKEY_", "AKKA_", "AZURE_", "GOOGLE_", "CLOUDSDK_")) and "TEST" not in name:
            monkeypatch.delenv(name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_shellcheck: needs shellcheck")
    config.addinivalue_line("markers", "needs_promtool: needs promtool, of Prometheus")
    config.addinivalue_line("markers", "needs_zizmor: needs zizmor, which checks workflows of GitHub")
    config.addinivalue_line("markers", "needs_kubectl: needs kubectl, of which only its kustomize is used")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests whose programs are not installed; those of PULLKEY_TESTS_REQUIRE fail without them
    instead.
    """
    required = os.environ.get("PULLKEY_TESTS_REQUIRE", "").split()
    for item in items:
        programs = [name for marker in item.iter_markers("needs_cloud_cli") for name in marker.args]
        programs += ["docker-registry", "skopeo"] if item.get_closest_marker("needs_debian") else []
        programs += ["shellcheck"] if item.get_closest_marker("needs_shellcheck") else []
        programs += ["zizmor"] if item.get_closest_marker("needs_zizmor") else []
        programs += ["kubectl"] if item.get_closest_marker("needs_kubectl") else []
        programs += ["promtool"] if item.get_closest_marker("needs_promtool") else []
        missing = [name for name in programs if name not in required and shutil.which(name) is None]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Seven thousand tests and what they import stay; each search for rings would go through them."""
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture
def play() -> Iterator[Play]:
    """Runs coroutines on a clock on which minutes pass in no time."""
    with virtual_time() as run:
        yield run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the tests with programs that are not ours, so that it is told how many were run."""
    report = yield
    if report.when == "call" or report.skipped:
        for marker, programs in {
            "needs_debian": "docker-registry or skopeo",
            "needs_cloud_cli": "gcloud or az",
        }.items():
            if item.get_closest_marker(marker):
                count("real things", {f"tests with {programs} {report.outcome}": 1})
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under xdist the workers' figures go to the one that tells them."""
    close_fork_server()
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["leak_figures"], output["counts"] = vars(FIGURES), dict(COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    FIGURES.add(output.get("leak_figures", {}))
    COUNTS.update(output.get("counts", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES.processes:
        terminalreporter.write_line(f"leak scan: {FIGURES}")
    for what, number in COUNTS.items():
        terminalreporter.write_line(f"{what}: {number}")
    path = os.environ.get("PULLKEY_TESTS_FIGURES")
    if path and (FIGURES.processes or COUNTS):
        figures = {"leaks": vars(FIGURES), "counts": dict(COUNTS)}
        Path(path).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

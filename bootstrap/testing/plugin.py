"""The pytest plugin of the conformance suite for providers: `pytest -p bootstrap.testing.plugin`.

It is not registered as a pytest entry point: pytest would load it in each environment that has pullkey, and
rewrite the assertions of all of pullkey's modules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bootstrap.testing.conformance.bench import Bench

pytest.register_assert_rewrite("bootstrap.testing.conformance", "bootstrap.testing.harness")
SUITE = Path(__file__).with_name("conformance") / "suite.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pullkey", "conformance of pullkey providers")
    group.addoption(
        "--pullkey-provider",
        action="append",
        default=[],
        metavar="NAME",
        help="run pullkey's conformance suite on this installed provider (repeatable)",
    )
    group.addoption(
        "--pullkey-case",
        action="append",
        default=[],
        metavar="CASE",
        help="only this case of the provider (repeatable)",
    )
    group.addoption(
        "--pullkey-full",
        action="store_true",
        help="every fault on every call, and every point at which a command can be killed; takes hours",
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--pullkey-provider`, run the suite, and otherwise only what is named on the command line."""
    providers = config.getoption("--pullkey-provider")
    if not providers:
        return
    from bootstrap.sandbox.run import interferes
    from bootstrap.testing.conformance.bench import chosen_cases

    # The author's settings for their own registries must not affect a test, nor be used by one.
    for name in [one for one in os.environ if interferes(one) and not one.startswith("PULLKEY_TESTS_")]:
        del os.environ[name]
    chosen_cases(providers, config.getoption("--pullkey-case"))  # an error ends pytest before collection
    named = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    config.args = [*named, str(SUITE)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by provider, or by its cases; a class may name its own as `CASES`."""
    own = getattr(metafunc.cls, "CASES", None)
    if "conformance_provider" in metafunc.fixturenames:
        from bootstrap.testing.conformance.bench import providers_of

        names = providers_of(own) if own is not None else metafunc.config.getoption("--pullkey-provider")
        metafunc.parametrize("conformance_provider", names, scope="module")
    if "conformance_case" in metafunc.fixturenames:
        from bootstrap.testing.conformance.bench import chosen_cases

        options = metafunc.config.option
        names = own if own is not None else chosen_cases(options.pullkey_provider, options.pullkey_case)
        metafunc.parametrize("conformance_case", names, scope="module")


@pytest.fixture(scope="module")
def conformance_bench() -> Iterator[Bench]:
    """The worlds of the cases, each reset before a test."""
    from bootstrap.testing.conformance.bench import Bench

    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture(scope="session", autouse=True)
def _fork_server_ends() -> Iterator[None]:
    yield
    # Only if a test has used it.
    import sys

    harness: Any = sys.modules.get("bootstrap.testing.harness.fork_server")
    if harness is not None:
        harness.close_fork_server()

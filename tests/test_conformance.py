"""pullkey's own providers pass the conformance suite, as any other provider has to.

`test_every_call`, `test_kill`, `test_leaks` and `test_life_real` have the rest of it for those providers that
are not named here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.testing.conformance import suite
from bootstrap.testing.harness.credential_life import KINDS
from tests.harness import plugins
from tests.harness.demo_provider import DEMO, installed
from tests.harness.marks import each_kind

CASES = each_kind()


class TestSource(suite.TestSource):
    CASES = tuple(KINDS)


class TestReading(suite.TestReading):
    CASES = CASES


class TestLife(suite.TestLife):
    CASES = CASES


class TestBeside(suite.TestBeside):
    CASES = ("docker-hub-user", "gitlab", "harbor")


class TestScripts(suite.TestScripts):
    CASES = CASES


class TestRollback(suite.TestRollback):
    CASES = CASES


@pytest.mark.timeout(1200)
class TestKill(suite.TestKill):
    CASES = ("gitlab", "harbor", "private")


def test_the_provider_of_the_tutorial_passes_where_it_is_installed(tmp_path: Path) -> None:
    """As its author does it: pytest in a folder of their own."""
    (tmp_path / "mine").mkdir()
    chosen = ("--pullkey-provider", "acme", "-k", "not TestKill and not TestFaults and not TestLag")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "bootstrap.testing.plugin", "-q", *chosen],
        cwd=tmp_path / "mine",
        # What they have set for projects of their own decides nothing.
        env={
            **os.environ,
            "PULLKEY_AKKA_REGION": "theirs",
            **plugins.environment(installed(DEMO, tmp_path)),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout

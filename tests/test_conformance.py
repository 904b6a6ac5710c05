"""pullkey's own providers pass the conformance suite, as any other provider has to."""

from __future__ import annotations

from bootstrap.testing.conformance import suite
from bootstrap.testing.harness.credential_life import KINDS

CASES = list(KINDS)


class TestSource(suite.TestSource):
    CASES = CASES


class TestReading(suite.TestReading):
    CASES = CASES


class TestLife(suite.TestLife):
    CASES = CASES


class TestScripts(suite.TestScripts):
    CASES = CASES

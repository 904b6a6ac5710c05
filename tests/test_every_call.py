"""Calls of every command fail in some ways, once or forever; `scripts/fault-suite` has all the ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.fault_cases import FAULTS, Case, selection
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.rehearsals import Workers
from bootstrap.testing.harness.stage import COMMANDS
from tests.harness.marks import full_case

SHARES = 3
"""Each run tries one share of the selection, scripts/test-full the others."""
AT_ONCE = 6
"""Cases side by side: most of them wait most of the time."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(fork_server(), AT_ONCE) as one:
        yield one


# Those of a provider share what is known of its calls, so each provider is one test.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("share", [0, full_case(1), full_case(2)])
@pytest.mark.parametrize("provider", dict.fromkeys(kind.provider for kind in KINDS.values()))
def test_a_call_that_fails_harms_nobody_and_leaves_nothing(
    workers: Workers, provider: str, share: int
) -> None:
    cases = _cases(workers, provider)
    # A registry to which a password was brought has few calls.
    assert {case.fault for case in cases} == set(FAULTS) or provider == "private"
    outcomes = [one for future in [*map(workers.run_case, cases[share::SHARES])] if (one := future.result())]
    assert [
        f"{one.case}: exit code {one.code}, {one.seconds} s: {one.wrong}" for one in outcomes if one.wrong
    ] == []
    # A call that a run did not come to: on a busy machine its time may have been over before.
    assert [one for one in outcomes if not one.hit and one.code != 0 and one.seconds < one.case.timeout] == []


def test_an_upload_that_was_chosen_and_fails_harms_nobody_and_leaves_nothing(workers: Workers) -> None:
    """`--key-source auto` decides on the source and may give it up; its other calls are those of both."""
    cases = [
        Case("gcr-auto", command, "iam.UploadServiceAccountKey#1", fault, forever)
        for command, fault, forever in (
            ("onboard", "lost", False),
            ("onboard", "403", True),
            ("rotate", "hang-after", False),
            ("rotate", "409", False),
        )
    ]
    outcomes = [future.result() for future in [*map(workers.run_case, cases)]]
    assert all(one is not None and one.hit for one in outcomes)
    assert [f"{one.case}: {one.wrong}" for one in outcomes if one is not None and one.wrong] == []


@pytest.mark.parametrize(
    "case",
    [
        # None at first and then the record from before, which was taken for another run's; the key that Akka
        # held went.
        Case("acr", "rotate", "akka.docker.list-credentials#2", "stale", forever=True),
        Case("acr-token", "onboard", "entra.GetToken#1", "types", forever=False),
        Case("docker-hub-user", "offboard", "hub.GetAccessToken#1", "404", forever=True),
        Case("acr-token", "rotate", "akka.docker.add-credentials#1", "hang", forever=True),
        Case("acr-token", "rotate", "arm.GetToken#3", "404", forever=True),
        Case("private", "offboard", "akka.docker.list-credentials#1", "stale", forever=False),
        # Akka's list lagged for good, and nothing was said of the secret.
        Case("acr-token", "offboard", "akka.docker.list-credentials#1", "stale", forever=True),
        # It passed for gone, or for another directory's, and stayed with its secret.
        Case("acr", "offboard", "graph.GetApplication#1", "404", forever=True),
        Case("acr", "offboard", "graph.GetApplication#2", "404", forever=True),
        Case("acr-token", "offboard", "arm.GetToken#1", "404", forever=True),
        # It was made over, and then taken away with the password that Akka held.
        Case("acr-token", "rotate", "arm.GetToken#2", "404", forever=True),
        Case("acr-token", "rotate", "arm.GetScopeMap#2", "404", forever=True),
        # Its role passed for gone, and stayed.
        Case("acr", "offboard", "graph.GetServicePrincipal#1", "404", forever=True),
        Case("acr", "offboard", "graph.GetServicePrincipal#2", "404", forever=False),
        # Azure said that there was no role to delete, and showed it: an error ended the offboarding before
        # the application, which was then left with nothing that named it.
        Case("acr", "offboard", "arm.DeleteRoleAssignment#1", "404", forever=True),
        # The list still had the token that was just deleted, and its scope map stayed for it.
        Case("acr-token", "offboard", "arm.ListTokens#1", "stale", forever=True),
        # The read after a password was generated was refused, which passed for a refused creation.
        Case("acr-token", "onboard", "arm.GetToken#6", "403", forever=False),
        # It passed for somebody else's account, which stays, exit code 0.
        Case("gcr", "offboard", "iam.GetServiceAccount#1", "403", forever=False),
    ],
    ids=str,
)
def test_what_the_suite_has_found_does_not_come_back(workers: Workers, case: Case) -> None:
    outcome = workers.run_case(case).result()
    assert outcome is not None
    assert outcome.hit
    assert outcome.wrong == [], outcome.said


def _cases(workers: Workers, provider: str) -> list[Case]:
    # The calls to Akka that only read are made to fail for the first provider.
    akkas = next(iter(KINDS.values())).provider
    known = (
        set()
        if provider == akkas
        else {f"any {command} {method}" for command in COMMANDS for method in _READS_OF_AKKA}
    )
    calls = {
        (kind, command): workers.calls_of(kind, command)
        for kind in KINDS
        if KINDS[kind].provider == provider
        for command in COMMANDS
    }
    return [
        case
        for kind, command in calls
        for case in selection(kind, command, calls[kind, command].result(), known)
    ]


_READS_OF_AKKA = (
    "akka.version",
    "akka.auth.current-login",
    "akka.projects.get",
    "akka.projects.list",
    "akka.docker.list-credentials",
)

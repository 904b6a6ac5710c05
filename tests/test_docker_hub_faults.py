"""Docker Hub fails, limits the rate, or loses an answer; a run is killed: one token is left, or what is
left is listed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from providers.docker_hub.emulator.seed import PASSWORD
from tests.harness.docker_hub_state import (
    LOGIN,
    NAME,
    ORGANIZATION,
    ORGANIZATION_NAME,
    add_external_pat,
    cloud_picture,
    onboard,
    our_oats,
    our_pats,
    pats,
)


@pytest.mark.parametrize(
    "fault",
    [
        "hub.CreateAuthToken=503",
        "hub.CreateAuthToken=429;retry-after=1",
        "hub.ListAccessTokens=503;retry-after=1",
        "hub.ListAccessTokens=malformed",
        "hub.CreateAccessToken=lost",
        "hub.CreateAccessToken=malformed",
        "hub.CreateAccessToken=cut",
        "hub.CreateAccessToken=reset",
        "hub.CreateAccessToken=503",
        "hub.CreateAccessToken=429;retry-after=1",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_token(hub: World, fault: str) -> None:
    hub.fault(fault)
    done = onboard(hub, *LOGIN)
    assert done.code == 0, done.text
    (pat,) = our_pats(hub)
    assert hub.held(NAME).password == pat.text
    assert len(pats(hub)) == 4


def test_a_lost_answer_is_looked_for_by_its_label_before_the_next_is_sent(hub: World) -> None:
    hub.fault("hub.CreateAccessToken=lost")
    assert onboard(hub, *LOGIN).code == 0
    sent = [call.method for call in hub.running.sandbox.log.calls if call.api == "hub"]
    lost, made = [at for at, method in enumerate(sent) if method == "CreateAccessToken"]
    assert "ListAccessTokens" in sent[lost:made]
    assert "DeleteAccessToken" in sent[lost:made]


def test_an_organisations_lost_answer_leaves_one_token(hub: World) -> None:
    hub.fault("hub.CreateOrgAccessToken=lost")
    assert onboard(hub, *ORGANIZATION).code == 0
    (oat,) = our_oats(hub)
    assert hub.held(ORGANIZATION_NAME).password == oat.text


@pytest.mark.parametrize(
    "fault",
    [
        "hub.CreateAccessToken=403",
        "hub.CreateAccessToken=400",
        "hub.CreateAccessToken=503*forever",
        "hub.CreateAccessToken=malformed*forever",
        "registry.GetToken=401*forever",
        "registry.GetManifest=401*forever",
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(hub: World, fault: str) -> None:
    before = cloud_picture(hub)
    hub.fault(fault)
    done = onboard(hub, *LOGIN, "--timeout", "4s", "--output", "json")
    assert done.code == 1, done.text
    assert cloud_picture(hub) == before
    assert hub.names() == []
    assert done.json["error"]["what"]
    assert done.json["left_over"] == []


@pytest.mark.parametrize(
    "fault",
    ["hub.CreateAuthToken=malformed*forever", "hub.ListAccessTokens=500*forever", "hub.*=reset*forever"],
)
def test_a_docker_hub_that_is_not_to_be_spoken_to_is_told(hub: World, fault: str) -> None:
    hub.fault(fault)
    done = onboard(hub, *LOGIN, "--timeout", "3s")
    assert done.code == 3, done.text
    assert "Docker Hub d" in done.err  # did not, does not
    assert hub.changes() == []


def test_docker_hubs_own_rate_limit_is_waited_out(hub: World) -> None:
    hub.cloud.state.requests_left = 0
    hub.cloud.state.limited_for = 3.0
    done = onboard(hub, *LOGIN, "--verbose")
    assert done.code == 0, done.text
    # It is left alone for as long as it asks, and not tried in between.
    assert done.err.count("hub POST /v2/auth/token 429") == 1


def test_what_cannot_be_undone_is_told_with_where_to_delete_it(hub: World) -> None:
    hub.fault("hub.DeleteAccessToken=403*forever")
    hub.fault("akka.docker.add-credentials=403")
    done = onboard(hub, *LOGIN, "--output", "json")
    assert done.code == 6, done.text
    (left,) = done.json["left_over"]
    (pat,) = our_pats(hub)
    assert pat.label in left["what"]
    assert "https://app.docker.com/settings/personal-access-tokens" in left["command"]


def test_a_deletion_whose_answer_is_lost_leaves_nothing_over(hub: World) -> None:
    before = cloud_picture(hub)
    hub.fault("hub.DeleteAccessToken=lost")
    hub.fault("akka.docker.add-credentials=403")
    done = onboard(hub, *LOGIN, "--output", "json")
    assert done.code == 1, done.text
    assert cloud_picture(hub) == before
    assert done.json["left_over"] == []


@pytest.fixture
def orphan(hub: World) -> Any:
    """The token of a run that was killed before it saw the answer."""
    hub.fault("hub.CreateAccessToken=hang-after")
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "onboard", "docker-hub", "--yes", *LOGIN],
        env=hub.running.process_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(PASSWORD.encode())
    process.stdin.close()
    end = time.monotonic() + 30
    while not our_pats(hub):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    return our_pats(hub)[0]


def test_the_token_of_a_killed_run_is_removed_by_the_next(hub: World, orphan: Any) -> None:
    done = onboard(hub, *LOGIN)
    assert done.code == 0, done.text
    (only,) = our_pats(hub)
    assert only.uuid != orphan.uuid
    assert hub.held(NAME).password == only.text


def test_whoever_has_no_login_is_told_of_it(hub: World, orphan: Any) -> None:
    told = onboard(hub, "--token-stdin", "--output", "json", given=add_external_pat(hub).text)
    assert told.code == 6, told.text
    assert orphan.label in told.json["left_over"][0]["what"]
    assert our_pats(hub) == [orphan]

"""Harbor fails, limits the rate, or loses an answer; a run is killed: one robot account is left, or what is
left is listed.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point
from bootstrap.testing.harness.kill_verdict import tried
from bootstrap.testing.harness.world import World
from providers.harbor.emulator.seed import pull_from
from tests.harness.harbor_state import NAME, later, onboard, our_robots, shown, state_of


@pytest.mark.parametrize(
    "fault",
    [
        "harbor.GetCurrentUser=503",
        "harbor.GetSystemInfo=429;retry-after=1",
        "harbor.ListRobots=503;retry-after=1",
        "harbor.ListRobots=malformed",
        "harbor.CreateRobot=lost",
        "harbor.CreateRobot=malformed",
        "harbor.CreateRobot=cut",
        "harbor.CreateRobot=types",
        "harbor.CreateRobot=500",
        "harbor.CreateRobot=429;retry-after=1",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_account(harbor: World, fault: str) -> None:
    harbor.fault(fault)
    done = onboard(harbor)
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    assert harbor.held(NAME).password == robot.secret


def test_a_lost_answer_is_looked_for_by_its_name_before_the_next_is_sent(harbor: World) -> None:
    harbor.fault("harbor.CreateRobot=lost")
    assert onboard(harbor).code == 0
    sent = [call.method for call in harbor.running.sandbox.log.calls if call.api == "harbor"]
    lost, created = [at for at, method in enumerate(sent) if method == "CreateRobot"]
    assert "ListRobots" in sent[lost:created]
    assert "DeleteRobot" in sent[lost:created]


def test_a_request_that_is_carried_out_late_leaves_one_account(harbor: World) -> None:
    """The looks for it find nothing yet, and the next request is refused, since the name exists by then."""
    harbor.fault("harbor.CreateRobot=lost")
    harbor.fault("harbor.ListRobots#4=stale*2")
    done = onboard(harbor)
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    assert harbor.held(NAME).password == robot.secret
    assert "did not answer" in done.err


@pytest.mark.parametrize(
    "fault",
    [
        "harbor.CreateRobot=403",
        "harbor.CreateRobot=400",
        "harbor.CreateRobot=500*forever",
        "harbor.CreateRobot=malformed*forever",
        "registry.GetToken=401*forever",
        "registry.GetManifest=401*forever",
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(harbor: World, fault: str) -> None:
    before = shown(harbor)
    harbor.fault(fault)
    done = onboard(harbor, "--timeout", "4s", "--output", "json")
    assert done.code == 1, done.text
    assert shown(harbor) == before
    assert harbor.names() == []
    assert done.json["left_over"] == []


@pytest.mark.parametrize(
    "fault",
    ["harbor.GetCurrentUser=malformed*forever", "harbor.ListRobots=500*forever", "harbor.*=reset*forever"],
)
def test_a_harbor_that_does_not_answer_is_reported_before_any_change(harbor: World, fault: str) -> None:
    harbor.fault(fault)
    done = onboard(harbor, "--timeout", "3s")
    assert done.code == 3, done.text
    assert "harbor.sandbox.example d" in done.err  # does not, did not
    assert harbor.changes() == []


def test_what_cannot_be_undone_is_listed_with_the_command_that_deletes_it(harbor: World) -> None:
    harbor.fault("harbor.DeleteRobot=403*forever")
    harbor.fault("akka.docker.add-credentials=403")
    done = onboard(harbor, "--output", "json")
    assert done.code == 6, done.text
    (left,) = done.json["left_over"]
    (robot,) = our_robots(harbor)
    assert f"robot-{robot.number}-" in left["what"]
    assert left["command"].endswith(
        f"--user jo --request DELETE https://harbor.sandbox.example/api/v2.0/robots/{robot.number}"
    )


def test_a_deletion_whose_answer_is_lost_leaves_nothing_over(harbor: World) -> None:
    before = shown(harbor)
    harbor.fault("harbor.DeleteRobot=lost")
    harbor.fault("akka.docker.add-credentials=403")
    done = onboard(harbor, "--output", "json")
    assert done.code == 1, done.text
    assert shown(harbor) == before
    assert done.json["left_over"] == []


def test_a_number_that_is_another_accounts_by_now_is_left_alone(harbor: World) -> None:
    """As after a restored backup: Akka's record names a number that somebody else's account has."""
    onboard(harbor)
    (robot,) = our_robots(harbor)
    state = state_of(harbor)
    del state.robots[robot.number]
    other = state.add_robot("shop+others", "project", 1, -1, pull_from("shop"))
    other.number = robot.number
    state.robots = {one.number: one for one in state.robots.values()}
    gone = later(harbor, "offboard", NAME)
    assert gone.code == 0, gone.text
    assert state.robots[robot.number] is other


def test_a_key_that_a_run_on_another_machine_has_left_is_listed_and_not_deleted() -> None:
    point = Point("akka.docker.add-credentials", 1, "before")
    verdict = tried(fork_server(), "harbor", "onboard", point, machine="another")
    assert verdict.good, verdict
    assert any("harbor robot" in line for line in verdict.named)

"""A saved plan is applied as saved, or refused: what can no longer be seen is not done, and a Pod of an
Indexed Job does no other Pod's part.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from bootstrap.fleet import yaml_nodes
from bootstrap.fleet.registries import parse_entries
from bootstrap.testing.harness.world import World
from tests.harness.docker_hub_state import our_pats
from tests.harness.registries_file import TWO_TARGETS

FILE = """version: 1
targets:
  - {provider: docker-hub, hub-user: acmebot, login: 'env:HUB', rotate-after: 60d}
"""
LOGIN = {"HUB": "sandbox-password"}


@pytest.fixture
def rotation(hub: World, tmp_path: Path) -> str:
    """A plan that replaces a token of 70 days, whose age only a login shows."""
    file, plan = tmp_path / "registries.yaml", tmp_path / "today.plan"
    file.write_text(FILE)
    assert hub.run("apply", "-f", str(file), "--yes", env=LOGIN).code == 0
    for token in our_pats(hub):
        token.created -= dt.timedelta(days=70)
    done = hub.run("plan", "-f", str(file), "--save", str(plan), env=LOGIN)
    assert "1 to rotate" in done.out, done.text
    return str(plan)


def test_a_rotation_whose_key_cannot_be_seen_any_more_does_not_count_as_done(
    hub: World, rotation: str
) -> None:
    before = hub.changes()
    done = hub.run("apply", rotation, "--yes")
    assert done.code == 3, done.text
    assert "rotate was planned, and now it is keep: not seen: " in done.err
    assert hub.changes() == before


def test_a_rotation_that_is_done_already_does(hub: World, rotation: str) -> None:
    assert hub.run("apply", rotation, "--yes", env=LOGIN).code == 0
    before = hub.changes()
    assert hub.run("apply", rotation, "--yes", env=LOGIN).code == 0
    assert hub.changes() == before


PLAIN = """version: 1
{policy}targets:
  - provider: gcr
    server: europe-west1-docker.pkg.dev/acme-shop/containers
    expires-in: 80d
"""


@pytest.mark.parametrize("where", ["in the file", "beside it", "now only", "elsewhere"])
def test_a_policy_that_was_tightened_meanwhile_refuses_a_saved_plan(
    gcr: World, tmp_path: Path, where: str
) -> None:
    file, policy, plan = (str(tmp_path / name) for name in ("registries.yaml", "policy.yaml", "today.plan"))
    rule = "policy: {max-lifetime: 90d}\n"
    Path(file).write_text(PLAIN.format(policy=rule))
    Path(policy).write_text(f"version: 1\n{rule}")
    beside = ("--policy", policy)
    assert gcr.run("plan", "-f", file, "--save", plan, *(beside if where == "beside it" else ())).code == 0
    tighter = rule.replace("90d", "60d")
    if where == "in the file":
        Path(file).write_text(PLAIN.format(policy=tighter))
    else:
        Path(policy).write_text(f"version: 1\n{tighter}")
    if where == "elsewhere":  # a plan of another machine, whose files are not here
        Path(file).unlink()
        Path(policy).unlink()
    done = gcr.run("apply", plan, "--yes", *(beside if where == "now only" else ()))
    if where == "elsewhere":
        assert done.code == 0, done.text
        return
    assert done.code == 3, done.text
    assert "its key is valid for 80 days, and the policy's max-lifetime is 60 days" in done.err
    assert "does not observe the policy any more, so nothing was changed" in done.err
    assert gcr.changes() == []


def pod(index: int) -> dict[str, str]:
    return {"JOB_COMPLETION_INDEX": str(index), "JOB_COMPLETIONS": "2"}


@pytest.mark.parametrize(
    ("planned_in", "is_of"), [({}, "a plan of a whole file"), (pod(1), "a plan of part 2/2")]
)
def test_a_pod_of_an_indexed_job_refuses_a_plan_that_is_not_of_its_part(
    gcr: World, tmp_path: Path, planned_in: dict[str, str], is_of: str
) -> None:
    file, plan = tmp_path / "registries.yaml", str(tmp_path / "today.plan")
    file.write_text(TWO_TARGETS)
    gcr.run("plan", "-f", str(file), "--save", plan, env=planned_in)
    done = gcr.run("apply", plan, "--yes", env=pod(0))
    assert done.code == 2, done.text
    assert (
        f"{is_of}, and PULLKEY_SHARD or JOB_COMPLETION_INDEX says that this machine does part 1/2" in done.err
    )
    assert gcr.changes() == []


@pytest.mark.parametrize("here", [pod(0), {"PULLKEY_SHARD": "1/2", "PULLKEY_PROCESSES": "2"}])
def test_a_machine_applies_the_plan_of_its_part(gcr: World, tmp_path: Path, here: dict[str, str]) -> None:
    """As a variable says. What is shown is about the file, not about the plan."""
    file, plan = tmp_path / "registries.yaml", str(tmp_path / "today.plan")
    file.write_text(TWO_TARGETS)
    planned = gcr.run("plan", "-f", str(file), "--save", plan, "--output", "json", env=here)
    assert planned.code == 0, planned.text
    done = gcr.run("apply", plan, "--yes", "--output", "json", env=here)
    assert done.code == 0, done.text
    assert len(gcr.names()) == 2
    assert done.json["file"] == str(file)
    lines = [[one["line"] for one in ran.json["targets"]] for ran in (planned, done)]
    assert lines[0] == lines[1] != [1, 1]


def test_a_plan_may_be_longer_than_the_file_that_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the defaults with each target."""
    monkeypatch.setattr(yaml_nodes, "_MOST_BYTES", 200)
    target = {"provider": "gcr", "server": "gcr.io/acme-shop", "image": f"gcr.io/acme-shop/{'a' * 200}:1"}
    assert len(parse_entries([target], "today.plan").entries) == 1

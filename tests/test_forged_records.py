"""A journal that somebody else wrote deletes nothing but what is this target's own, and nothing that Akka
uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.engine import journal as journals
from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, Victim, scene
from bootstrap.testing.harness.world import World
from providers.acr.slot_password import key_id_of

Forged = Callable[[Victim], dict[str, Any]]


def forge(path: Path, **changed: Any) -> None:
    """The record of a key as somebody who can write the file would have it, with a checksum that is right."""
    record = json.loads(path.read_bytes())
    record.pop("sha256")
    entry = next(one for one in record["entries"] if one["step"] == "key")
    entry["intent"] |= {name: value for name, value in changed.items() if name != "key_id"}
    entry["made"] = {**(entry["made"] or {}), "key_id": changed["key_id"]}
    path.write_text(json.dumps({**record, "sha256": journals._digest(record)}))


def key_of(world: World, name: str) -> str:
    link = KeyRef.parse(world.held(name).email)
    assert link is not None
    return link.key_id


def another_token(victim: Victim) -> dict[str, Any]:
    state = victim.life.world.cloud.state
    registry = next(one for one in state.registries if one.name == "acmeshop")
    token = state.add_token(registry, "deployer", "_repositories_pull")
    made = state.add_password(token, "password1")
    return {
        "token": "deployer",
        "slot": "password1",
        "key_id": key_id_of("password1", made.created),
        "before": "",
        "in_use": [],
    }


def another_users_token(victim: Victim) -> dict[str, Any]:
    return {"user": "somebody", "organization": "", "key_id": "5f0c6a52-0f6a-4f7e-9d3d-0d2f9a0c1b11"}


def other_password(victim: Victim) -> dict[str, Any]:
    key_id = key_of(victim.life.world, "other")
    return {"slot": key_id.partition("-")[0], "key_id": key_id, "before": "", "in_use": []}


def other_access_token(victim: Victim) -> dict[str, Any]:
    world = victim.life.world
    key_id = key_of(world, "other")
    state = world.cloud.state
    tokens = [one for owner in (*state.users.values(), *state.organizations.values()) for one in owner.tokens]
    label = next(
        one.label for one in tokens if key_id in (str(getattr(one, "id", "")), str(getattr(one, "uuid", "")))
    )
    return {"label": label, "key_id": key_id}


FORGED = {
    "acr-token": ("arm.GenerateCredentials", another_token, other_password),
    "docker-hub-organization": ("hub.CreateOrgAccessToken", another_users_token, other_access_token),
}
"""By kind: the call after which a run is killed, and what its record then names: what is of another
identity, and a key that another record names.
"""


def forged_record(victim: Victim, made: str, theirs: Forged) -> None:
    """A run was killed after a call, and its record names something else since."""
    assert victim.killed(Point(made, 1, "after"))
    state = Path(victim.life.world.running.environment["PULLKEY_STATE_DIR"])
    (path,) = state.rglob("journal/*.json")
    forge(path, **theirs(victim))


@pytest.mark.parametrize("kind", FORGED)
def test_of_another_identity_nothing_is_undone(kind: str) -> None:
    made, theirs, _ = FORGED[kind]
    with scene(fork_server(), kind, "onboard") as victim:
        forged_record(victim, made, theirs)
        there = victim.life.there()
        done = victim.run()
        assert done.code == 3, done.text
        assert "names what is not this target's" in done.err
        assert victim.life.there() == there


@pytest.mark.parametrize("kind", FORGED)
def test_a_key_that_another_record_names_is_never_removed(kind: str) -> None:
    made, _, theirs = FORGED[kind]
    with scene(fork_server(), kind, "onboard") as victim:
        other = victim.life.onboard("--secret-name", "other")
        assert other.code == 0, other.text
        there = victim.life.there()
        forged_record(victim, made, theirs)
        victim.run()
        assert there <= victim.life.there()

"""Whether others use a key or an identity: one list that does not show it is not enough to name or remove
it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from bootstrap.sandbox.akka_projects import AkkaProject
from bootstrap.testing.harness.credential_life import living, new_keys, secret_name
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import scene
from tests.harness.concurrent_change import meanwhile

LISTS = "akka.docker.list-credentials"
ACCOUNT = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"


def test_a_key_of_another_record_is_not_named_for_deletion_after_one_list_without_it() -> None:
    with living("gcr") as life:
        assert life.onboard().code == 0
        (first,) = new_keys(life)
        name = secret_name(life)
        akka = life.world.akka
        shows = akka._listed
        for number in range(1, 5):
            asked = itertools.count(1)

            def passes_over(project: AkkaProject, number: int = number, asked: Iterator[int] = asked) -> Any:
                passed_over = name if next(asked) == number else ""
                return [one for one in shows(project) if one.name != passed_over]

            def begin(passes_over: Any = passes_over) -> None:
                akka._listed = passes_over  # type: ignore[method-assign]

            # The lists after the registration, in turn.
            meanwhile(life.world, "akka.docker.add-credentials", begin)
            done = life.onboard("--secret-name", f"second-{number}")
            akka._listed = shows  # type: ignore[method-assign]
            assert done.code == 0, done.text
            assert f"keys delete {first}" not in done.text, number


def test_an_identity_stays_where_nobody_shows_whether_another_run_uses_it() -> None:
    with scene(fork_server(), "gcr", "onboard") as victim:
        life, world = victim.life, victim.life.world

        def silence() -> None:
            world.fault(f"{LISTS}=400*forever")
            world.fault("iam.ListServiceAccountKeys=403*forever")

        meanwhile(world, "iam.CreateServiceAccountKey", silence)
        world.fault("iam.CreateServiceAccountKey=403*forever")
        failed = victim.run()
        assert failed.code == 6, failed.text
        assert f"gcloud iam service-accounts delete {ACCOUNT}" in failed.err
        assert ACCOUNT in world.cloud.state.projects["acme-shop"].accounts

        world.running.sandbox.faults.faults.clear()
        done = victim.run()
        assert done.code == 0, done.text
        assert life.command("offboard", life.name).code == 0
        assert life.there() == life.before

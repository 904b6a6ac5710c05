"""An offboarding whose reads do not show the key: it is deleted by its id, since nothing names it
afterwards.
"""

from __future__ import annotations

from bootstrap.testing.harness.credential_life import living, new_keys

NEVER_SHOWN = ("iam.ListServiceAccountKeys=stale*forever", "iam.GetServiceAccountKey=404*forever")


def test_a_key_that_no_read_shows_is_deleted_by_its_id() -> None:
    with living("gcr") as life:
        assert life.onboard().code == 0
        (key,) = new_keys(life)
        for fault in NEVER_SHOWN:
            life.world.fault(fault)
        gone = life.command("offboard", life.name, "--keep-identity")
        life.world.running.sandbox.faults.faults.clear()
        assert gone.code == 0, gone.text
        assert new_keys(life) == set(), gone.text
        assert key in gone.err

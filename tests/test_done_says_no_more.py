"""A summary says what was done and seen, and no more."""

from __future__ import annotations

from bootstrap.sandbox.akka_platform import OWNER
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME
from tests.harness.private_registry import NAME as PRIVATE
from tests.harness.private_registry import onboard_with_password

WHERE = f"Akka project {OWNER}/shop"


def test_a_role_that_was_granted_again_is_no_registration(gcr: World) -> None:
    gcr.onboard()
    for project in gcr.cloud.state.projects.values():
        for repository in project.repositories.values():
            repository.policy = type(repository.policy)()
    done = gcr.onboard()
    assert done.code == 0, done.text
    assert "Granted roles/artifactregistry.reader" in done.err
    assert f", for {NAME} in {WHERE}." in done.err
    assert "Registered" not in done.err


def test_of_a_user_supplied_password_nothing_is_said_to_be_valid(private: World) -> None:
    onboard_with_password(private)
    verified = private.run("verify", PRIVATE)
    assert "is valid" not in verified.err
    assert f"{PRIVATE} is registered in {WHERE}" in verified.err
    assert "The password itself was not checked" in verified.err
    again = private.onboard()
    assert "The password itself was not checked" in again.err


def test_of_a_key_in_the_cloud_it_is_said(gcr: World) -> None:
    gcr.onboard()
    assert (
        f"{NAME} in {WHERE} is valid: key, grant and Akka's record are in place."
        in gcr.run("verify", NAME).err
    )


def test_what_is_removed_and_what_is_kept(gcr: World) -> None:
    gcr.onboard()
    kept = gcr.run("offboard", NAME, "--yes", "--keep-secret", "--keep-identity")
    assert f"Removed {NAME} from {WHERE}." in kept.err
    deleted, stays = (
        next(line for line in kept.err.splitlines() if line.startswith(f"  {word}: "))
        for word in ("Deleted", "Kept")
    )
    assert "key " in deleted
    assert "service account" not in deleted
    assert f"Akka's secret {NAME}" in stays
    assert "service account" in stays


def test_a_doctor_counts_what_it_could_not_judge(gcr: World) -> None:
    done = gcr.run("doctor", "gcr", env={"PULLKEY_STATE_DIR": str(gcr.place / "home" / "state")})
    assert done.out.splitlines()[-1].startswith("No problems found in ")
    assert "for information only" in done.out.splitlines()[-1]

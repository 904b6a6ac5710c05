"""A Google account has ten keys at most: in a file whose targets share one, a rotation does what fits, and
says what does not.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.world import Result, World
from tests.harness.google_state import account
from tests.harness.registries_file import file_of

SERVER = "europe-west1-docker.pkg.dev/acme-shop/containers"
LIMIT = 10


def sharing(path: Path, count: int, *, of: str = "", each: dict[int, str] | None = None) -> str:
    """Targets of one account and one repository.

    Args:
        path: of the file.
        count: how many targets.
        of: the defaults.
        each: what single targets have besides.
    """
    targets = [
        f"  - {{provider: gcr, server: {SERVER}, secret-name: s{number}{(each or {}).get(number, '')}}}"
        for number in range(count)
    ]
    path.write_text(
        "\n".join(
            ["version: 1", f"defaults: {{akka-project: shop, overlap: 0s{of}}}", "targets:", *targets, ""]
        )
    )
    return str(path)


def results(done: Result) -> dict[str, str]:
    return {one["name"].removeprefix("shop/"): one["result"] for one in done.json["targets"]}


def held_keys(gcr: World, count: int) -> list[str]:
    """The ids of the keys that Akka's records name."""
    links = [KeyRef.parse(gcr.held(f"s{number}").email) for number in range(count)]
    return [link.key_id for link in links if link is not None]


def check_pulls(gcr: World, count: int) -> None:
    """Every key that Akka holds is there and switched on, and Google's limit is kept."""
    keys = {key.id: key for key in account(gcr).user_keys()}
    assert len(keys) <= LIMIT
    held = held_keys(gcr, count)
    assert len(set(held)) == count
    assert not [key for key in held if keys[key].disabled]


def names_no_held_key(gcr: World, done: Result, count: int) -> bool:
    held = held_keys(gcr, count)
    offered = " ".join(line for line in done.text.splitlines() if "keys delete" in line)
    return not [key for key in held if key in offered]


def test_an_application_for_personal_accounts_has_two_secrets(acr: World, tmp_path: Path) -> None:
    state = acr.cloud.state
    audience = {"signInAudience": "AzureADandPersonalMicrosoftAccount"}
    used = state.add_application("portal", owner_id=state.operator.object_id, properties=audience)
    state.add_service_principal(used)
    state.add_secret(used, display_name="another team's")
    file = tmp_path / "registries.yaml"
    target = f"registry: acmeshop; app-id: {used.app_id}; secret-name: "
    file.write_text(file_of(f"{target}first", f"{target}second", provider="acr"))

    plan = acr.run("plan", "-f", str(file), "--output", "json")

    actions = {one["name"]: one["action"] for one in plan.json["targets"]}
    assert actions == {"shop/first": "create", "shop/second": "blocked"}, plan.text
    assert f"the application {used.app_id} has 1 keys, and can have 2 keys" in plan.out
    assert "app: per-registry" in plan.out


def test_a_rotation_does_what_fits_and_postpones_the_rest(gcr: World, tmp_path: Path) -> None:
    file = sharing(
        tmp_path / "registries.yaml",
        7,
        each=dict.fromkeys((2, 4, 6), ", key-source: upload, expires-in: 20d"),
    )
    assert gcr.run("apply", "-f", file, "--yes").code == 0

    done = gcr.run("rotate", "-f", file, "--yes", "--output", "json")

    assert done.code == 0, done.text
    # Those whose keys expire first.
    assert results(done) == {
        f"s{number}": "done" if number in (2, 4, 6) else "postponed" for number in range(7)
    }
    late = done.json["targets"][0]
    assert (late["action"], late["exit_code"], late["changed"], late["error"]) == (
        "postponed",
        0,
        False,
        None,
    )
    assert "can have 10 keys" in late["detail"]
    assert re.search(r"Postponed: shop/s0, shop/s1, shop/s3, shop/s5\.", done.err), done.err
    assert "nothing was changed" not in done.err.splitlines()[-1]
    check_pulls(gcr, 7)

    again = gcr.run("rotate", "-f", file, "--yes", "--only", "s0")

    assert again.code == 0, again.text
    assert "1 postponed" in again.err
    assert names_no_held_key(gcr, again, 7)
    check_pulls(gcr, 7)


def test_without_a_grace_each_rotation_frees_a_place_for_the_next(gcr: World, tmp_path: Path) -> None:
    file = sharing(tmp_path / "registries.yaml", 9, of=", keep-old: 0s")
    assert gcr.run("apply", "-f", file, "--yes").code == 0

    done = gcr.run("rotate", "-f", file, "--yes", "--output", "json")

    assert done.code == 0, done.text
    assert set(results(done).values()) == {"done"}
    check_pulls(gcr, 9)
    assert len(account(gcr).user_keys()) == 9


def test_where_no_place_will_ever_be_free_it_is_a_problem(gcr: World, tmp_path: Path) -> None:
    file = sharing(tmp_path / "registries.yaml", 10, of=", keep-old: 0s")
    assert gcr.run("apply", "-f", file, "--yes").code == 0

    done = gcr.run("rotate", "-f", file, "--yes", "--output", "json")

    assert done.code == 3, done.text
    assert set(results(done).values()) == {"refused"}
    assert "service-account" in done.json["targets"][0]["error"]["fix"]
    assert names_no_held_key(gcr, done, 10)
    check_pulls(gcr, 10)


def test_new_targets_without_a_place_are_blocked_in_the_plan(gcr: World, tmp_path: Path) -> None:
    first = sharing(tmp_path / "first.yaml", 4)
    assert gcr.run("apply", "-f", first, "--yes").code == 0
    assert gcr.run("rotate", "-f", first, "--yes").code == 0
    file = sharing(tmp_path / "registries.yaml", 5)
    # Eight keys are there, four of them replaced ones, and another one is somebody's.
    assert gcr.run("onboard", "gcr", "--server", SERVER, "--secret-name", "other", "--yes").code == 0
    file = sharing(tmp_path / "registries.yaml", 6)

    plan = gcr.run("plan", "-f", file, "--output", "json")

    assert plan.code == 4, plan.text
    assert [one["action"] for one in plan.json["targets"]] == ["keep"] * 4 + ["create", "blocked"]
    (problem,) = plan.json["targets"][5]["problems"]
    assert (problem["kind"], problem["step"]) == ("limit", "key")
    assert "can have 10 keys" in problem["what"]

    done = gcr.run("apply", "-f", file, "--yes", "--output", "json")

    assert done.code == 4, done.text
    assert results(done) == {
        **{f"s{number}": "unchanged" for number in range(4)},
        "s4": "done",
        "s5": "refused",
    }
    assert gcr.calls("iam.UploadServiceAccountKey") == 4 + 4 + 1
    assert gcr.calls("iam.CreateServiceAccountKey") == 1
    check_pulls(gcr, 5)


def test_a_place_that_the_same_run_frees_counts(gcr: World, tmp_path: Path) -> None:
    file = sharing(tmp_path / "registries.yaml", 6, of=", keep-old: 1s")
    assert gcr.run("apply", "-f", file, "--yes").code == 0
    first = gcr.run("rotate", "-f", file, "--yes", "--output", "json")
    assert sorted(results(first).values()) == ["done"] * 4 + ["postponed"] * 2, first.text
    late = {name for name, result in results(first).items() if result == "postponed"}

    # The grace of the four is over: their replaced keys go first, and those that waited come before them.
    done = gcr.run("rotate", "-f", file, "--yes", "--output", "json")

    assert done.code == 0, done.text
    assert {name for name, result in results(done).items() if result == "done"} > late
    check_pulls(gcr, 6)


@pytest.mark.parametrize("command", ["rotate", "file"])
def test_the_key_that_goes_before_the_next_is_made_needs_no_place(
    gcr: World, tmp_path: Path, command: str
) -> None:
    file = sharing(tmp_path / "registries.yaml", 5)
    assert gcr.run("apply", "-f", file, "--yes").code == 0
    assert gcr.run("rotate", "-f", file, "--yes").code == 0
    assert len(account(gcr).user_keys()) == LIMIT

    named = ("-f", file, "--only", "s3") if command == "file" else ("s3", "--akka-project", "shop")
    done = gcr.run("rotate", *named, "--yes", "--overlap", "0s")

    assert done.code == 0, done.text
    assert len(account(gcr).user_keys()) == LIMIT
    check_pulls(gcr, 5)

"""A file of registries against the sandbox: what is planned is done, once, and what fails stops nothing
else.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.credential_life import living
from bootstrap.testing.harness.world import World
from tests.harness.registries_file import CONTAINERS, THREE_TARGETS, TOOLS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(THREE_TARGETS)
    return path


def planned(world: World, file: Path, *more: str) -> dict[str, Any]:
    done = world.run("plan", "-f", str(file), "--output", "json", *more)
    document: dict[str, Any] = done.json
    Draft202012Validator(schemas()["fleet-plan"]).validate(document)
    assert document["exit_code"] == done.code
    return {one["name"]: one for one in document["targets"]}


def applied(world: World, file: Path, *more: str, code: int = 0) -> dict[str, Any]:
    done = world.run("apply", "-f", str(file), "--yes", "--timeout", "20s", "--output", "json", *more)
    assert done.code == code, done.err
    Draft202012Validator(schemas()["fleet-apply"]).validate(done.json)
    return {one["name"]: one for one in done.json["targets"]}


def actions(plan: dict[str, Any]) -> list[str]:
    return [one["action"] for one in plan.values()]


def test_what_is_planned_is_applied_and_a_second_run_changes_nothing(gcr: World, file: Path) -> None:
    plan = planned(gcr, file)
    assert actions(plan) == ["create", "create", "create"]
    assert gcr.changes() == []
    done = applied(gcr, file)
    assert [one["result"] for one in done.values()] == ["done", "done", "done"]
    assert all(one["proven"] for one in done.values())
    # One account for all three, made once.
    assert gcr.calls("iam.CreateServiceAccount") == 1
    assert len({one["key_id"] for one in done.values()}) == 3
    assert gcr.held(CONTAINERS).password != gcr.held(CONTAINERS, "billing").password
    before = len(gcr.changes())
    assert actions(planned(gcr, file, "--check")) == ["keep", "keep", "keep"]
    assert [one["result"] for one in applied(gcr, file).values()] == ["unchanged"] * 3
    assert len(gcr.changes()) == before


def test_a_person_reads_what_is_to_be_done_and_why(gcr: World, file: Path) -> None:
    done = gcr.run("plan", "-f", str(file))
    assert done.out.splitlines()[:2] == [
        "Akka project acme/shop, as person@acme.example",
        "Akka project acme/billing, as person@acme.example",
    ]
    assert done.out.splitlines()[2:5] == [
        f"+ create   shop/{CONTAINERS}  (europe-west1-docker.pkg.dev/acme-shop/containers)",
        f"           Akka has no credential named {CONTAINERS}",
        "           - Create service account akka-docker-reader@acme-shop.iam.gserviceaccount.com",
    ]
    assert done.out.splitlines()[-1] == "3 targets: 3 to create."
    assert "No changes were made." in done.err


def test_drift_is_told_with_its_reason_and_fixed(gcr: World, file: Path) -> None:
    key = applied(gcr, file)[f"shop/{TOOLS}"]["key_id"]
    shop = gcr.cloud.state.projects["acme-shop"]
    granted = shop.repositories["europe-west1", "containers"].policy
    policy = granted.read(3)
    policy.bindings[0].members.remove("serviceAccount:akka-docker-reader@acme-shop.iam.gserviceaccount.com")
    granted.write(policy, audit_configs=False, now=gcr.running.sandbox.now())
    email = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    del gcr.cloud.state.account(email).keys[key]
    plan = planned(gcr, file)
    assert actions(plan) == ["repair", "repair", "repair"]
    assert plan[f"shop/{CONTAINERS}"]["drift"] == ["grant: not granted"]
    assert plan[f"shop/{TOOLS}"]["drift"] == [f"the key that Akka holds, {key}, was deleted"]
    assert gcr.run("plan", "-f", str(file), "--check").code == 5
    applied(gcr, file)
    assert actions(planned(gcr, file)) == ["keep", "keep", "keep"]
    assert json.loads(gcr.held(TOOLS).password)["private_key_id"] != key


def test_one_that_fails_stops_no_other_and_a_further_run_does_only_what_is_left(
    gcr: World, file: Path
) -> None:
    file.write_text(
        THREE_TARGETS + "  - provider: gcr\n    server: europe-west1-docker.pkg.dev/acme-shop/no-such\n"
    )
    gcr.fault("akka.docker.add-credentials#2=403*1")
    done = applied(gcr, file, code=4)
    results = sorted(one["result"] for one in done.values())
    assert results == ["done", "done", "failed", "refused"]
    (failed,) = [one for one in done.values() if one["result"] == "failed"]
    assert failed["undone"]
    assert (
        "no repository no-such" in done["shop/europe-west1-docker-pkg-dev-acme-shop-no-such"]["error"]["what"]
    )
    keys = gcr.changes().count("iam.UploadServiceAccountKey")
    again = applied(gcr, file, code=4)
    assert sorted(one["result"] for one in again.values()) == ["done", "refused", "unchanged", "unchanged"]
    assert gcr.changes().count("iam.UploadServiceAccountKey") == keys + 1


def test_the_first_of_an_identity_goes_alone_and_if_it_fails_the_next_makes_it_anew(
    gcr: World, file: Path
) -> None:
    gcr.running.sandbox.gate.latency = 0.05
    gcr.fault("iam.UploadServiceAccountKey=403*1")
    done = applied(gcr, file, code=4)
    first, *others = done.values()
    assert first["result"] == "failed"
    assert (
        "deleted the service account akka-docker-reader@acme-shop.iam.gserviceaccount.com" in first["undone"]
    )
    assert [one["result"] for one in others] == ["done", "done"]
    assert gcr.calls("iam.CreateServiceAccount") == 2
    assert sorted(actions(planned(gcr, file))) == ["create", "keep", "keep"]


def test_a_saved_plan_is_done_as_it_stands(gcr: World, file: Path, tmp_path: Path) -> None:
    saved = tmp_path / "today.plan"
    assert gcr.run("plan", "-f", str(file), "--save", str(saved)).code == 0
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    file.unlink()  # it is the plan that counts
    done = gcr.run("apply", str(saved), "--yes")
    assert done.code == 0, done.err
    assert gcr.names() == sorted([CONTAINERS, TOOLS])
    assert gcr.run("apply", str(saved), "--yes").code == 0, "nothing is left of it"


def test_a_saved_plan_is_refused_whole_where_the_world_has_moved_on(
    gcr: World, file: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "today.plan"
    gcr.run("apply", "-f", str(file), "--yes", "--only", f"shop/{TOOLS}")
    gcr.run("plan", "-f", str(file), "--save", str(saved))
    gcr.run("offboard", TOOLS, "--akka-project", "shop", "--yes")
    before = len(gcr.changes())
    done = gcr.run("apply", str(saved), "--yes")
    assert done.code == 3
    assert f"shop/{TOOLS}: keep was planned, and now it is create" in done.err
    assert "nothing was changed" in done.err
    assert len(gcr.changes()) == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"pullkey_plan": 1}',
        '{"pullkey_plan": 1, "targets": [{"entry": {"provider": "gcr"}, "mark": {}}]}',
        "x" * 100,
        "[" * 100_000,
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(gcr: World, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.plan"
    path.write_text(text)
    done = gcr.run("apply", str(path), "--yes")
    assert done.code == 2, done.text
    assert str(path) in done.err


def test_only_what_is_due_is_rotated(acr: World, tmp_path: Path) -> None:
    import datetime as dt

    file = tmp_path / "registries.yaml"
    file.write_text("""version: 1
targets:
  - {provider: acr, registry: acmeshop, akka-project: shop, expires-in: 90d, rotate-after: 60d}
  - {provider: acr, registry: acmeabac, akka-project: shop, expires-in: 90d, rotate-after: 80d}
""")
    first = applied(acr, file)
    for application in acr.cloud.state.applications:
        for one in application.secrets:
            one.start -= dt.timedelta(days=70)
            one.end -= dt.timedelta(days=70)
    plan = planned(acr, file)
    assert [one["action"] for one in plan.values()] == ["rotate", "keep"]
    assert "is 70 days old" in plan["shop/acmeshop-azurecr-io"]["reasons"][0]
    done = acr.run("rotate", "-f", str(file), "--due", "--yes", "--output", "json")
    assert done.code == 0, done.err
    by_name = {one["name"]: one for one in done.json["targets"]}
    assert by_name["shop/acmeshop-azurecr-io"]["key_id"] != first["shop/acmeshop-azurecr-io"]["key_id"]
    assert by_name["shop/acmeabac-azurecr-io"]["result"] == "unchanged"


def test_what_is_named_is_taken_out_of_use_and_the_rest_stays(gcr: World, file: Path) -> None:
    applied(gcr, file)
    done = gcr.run(
        "offboard", "-f", str(file), "--only", f"billing/{CONTAINERS}", TOOLS, "--yes", "--output", "json"
    )
    assert done.code == 0, done.err
    assert [one["result"] for one in done.json["targets"]] == ["done", "done"]
    assert gcr.names() == [CONTAINERS]
    assert CONTAINERS not in gcr.names("billing")
    assert actions(planned(gcr, file)) == ["keep", "create", "create"]
    last = ("offboard", "-f", str(file), "--only", f"shop/{CONTAINERS}", "--dry-run", "--output", "json")
    assert [one["name"].split()[0] for one in gcr.run(*last).json["targets"][0]["steps"]][-1] == "identity"
    (kept,) = gcr.run(*last, "--keep-identity", "--keep-secret").json["targets"]
    assert [one["name"].split()[0] for one in kept["steps"]] == ["reference", "key", "grant"]
    assert [one.split(" is kept: ")[1][:13] for one in kept["notices"]] == ["--keep-secret", "--keep-identi"]
    assert gcr.run("offboard", "-f", str(file), "--all", "--yes").code == 0
    assert not [one for one in gcr.cloud.state.projects["acme-shop"].accounts if "akka" in one]


def test_what_the_file_says_is_to_go_goes(gcr: World, file: Path) -> None:
    applied(gcr, file)
    file.write_text(THREE_TARGETS + "    remove: true\n")
    assert actions(planned(gcr, file)) == ["keep", "keep", "remove"]
    assert applied(gcr, file)[f"billing/{CONTAINERS}"]["result"] == "done"
    assert actions(planned(gcr, file)) == ["keep", "keep", "keep"]
    assert CONTAINERS not in gcr.names("billing")


def test_a_listing_tells_how_each_target_stands(gcr: World, file: Path) -> None:
    gcr.run("apply", "-f", str(file), "--yes", "--only", TOOLS)
    done = gcr.run("list", "-f", str(file), "--output", "json")
    Draft202012Validator(schemas()["fleet-list"]).validate(done.json)
    states = {one["name"]: one["state"] for one in done.json["targets"]}
    assert states == {f"shop/{CONTAINERS}": "wrong", f"shop/{TOOLS}": "ok", f"billing/{CONTAINERS}": "wrong"}
    assert gcr.run("list", "-f", str(file), "--check").code == 5
    assert gcr.run("list", "-f", str(file), "--check", "--only", TOOLS).code == 0


def test_a_password_comes_from_where_the_file_says_when_it_is_needed_and_no_sooner(
    private: World, tmp_path: Path
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text("""version: 1
targets:
  - {provider: private, server: registry.sandbox.example, username: ops, akka-project: shop, password: 'file:password.txt'}
""")  # noqa: E501
    blocked = planned(private, file)["shop/registry-sandbox-example"]
    assert (blocked["action"], blocked["problems"][0]["code"]) == ("blocked", "PK-SECRET-SOURCE")
    (tmp_path / "password.txt").write_text("not yet the password\n")
    assert planned(private, file)["shop/registry-sandbox-example"]["action"] == "create"
    (tmp_path / "password.txt").write_text("pull-in-the-sandbox\n")
    applied(private, file)
    assert private.held("registry-sandbox-example").password == "pull-in-the-sandbox"
    (tmp_path / "password.txt").unlink()
    assert applied(private, file)["shop/registry-sandbox-example"]["result"] == "unchanged"


@pytest.mark.parametrize(
    ("source", "env"),
    [("env:OPS_PASSWORD", {"OPS_PASSWORD": "pull-in-the-sandbox"}), ("command:cat password.txt", {})],
)
def test_a_password_comes_from_a_variable_or_a_program(
    private: World, tmp_path: Path, source: str, env: dict[str, str]
) -> None:
    private.extra |= env
    (tmp_path / "password.txt").write_text("pull-in-the-sandbox\n")
    source = source.replace("password.txt", str(tmp_path / "password.txt"))
    file = tmp_path / "registries.yaml"
    file.write_text(
        json.dumps(
            {
                "version": 1,
                "targets": [
                    {
                        "provider": "private",
                        "server": "registry.sandbox.example",
                        "username": "ops",
                        "akka-project": "shop",
                        "password": source,
                    }
                ],
            }
        )
    )
    applied(private, file)
    assert private.held("registry-sandbox-example").password == "pull-in-the-sandbox"


def test_each_change_is_a_line_of_the_audit_trail_and_none_holds_a_secret(
    gcr: World, file: Path, tmp_path: Path
) -> None:
    trail = tmp_path / "changes.jsonl"
    done = applied(gcr, file, "--only", TOOLS, "--audit", str(trail))
    assert stat.S_IMODE(trail.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in trail.read_text().splitlines()]
    assert [(one["step"], one["outcome"]) for one in lines] == [
        ("identity", "done"),
        ("grant", "done"),
        ("key", "done"),
        ("handoff", "done"),
    ]
    assert {one["run_id"] for one in lines} == {lines[0]["run_id"]}
    assert {one["as"] for one in lines[:3]} == {"operator@acme-admin.iam.gserviceaccount.com"}
    assert lines[3]["as"] == "person@acme.example"
    assert lines[2]["key_id"] == lines[3]["key_id"] == done[f"shop/{TOOLS}"]["key_id"]
    assert all(one["akka"]["secret_name"] == TOOLS for one in lines)
    private_key = json.loads(gcr.held(TOOLS).password)["private_key"]
    assert private_key.splitlines()[1] not in trail.read_text()
    gcr.run("offboard", "-f", str(file), "--only", TOOLS, "--yes", "--audit", str(trail))
    gone = [json.loads(line) for line in trail.read_text().splitlines()][len(lines) :]
    assert [one["step"] for one in gone] == ["reference", "secret", "key", "grant", "identity"]
    assert {one["outcome"] for one in gone} == {"removed"}


def test_an_audit_trail_that_cannot_be_written_stops_all_before_the_first_change(
    gcr: World, file: Path, tmp_path: Path
) -> None:
    done = gcr.run("apply", "-f", str(file), "--yes", "--audit", str(tmp_path / "no" / "such"))
    assert done.code == 2
    assert gcr.changes() == []


def test_parts_of_a_file_are_disjoint_whole_and_the_same_everywhere() -> None:
    from bootstrap.fleet.registries import parse
    from bootstrap.fleet.shards import Shard

    text = "version: 1\ntargets:\n" + "".join(
        f"  - {{provider: gcr, server: europe-west1-docker.pkg.dev/project-{n % 7}/r{n}, "
        f"akka-project: shop}}\n  - {{provider: acr, registry: acmeshop{n}}}\n"
        for n in range(40)
    )
    whole = parse(text.encode(), "x", base=Path())
    parts = [Shard(number, 4).of(whole).entries for number in range(1, 5)]
    assert sorted(one.number for part in parts for one in part) == [one.number for one in whole.entries]
    groups = [{one.group for one in part} for part in parts]
    assert all(not one & other for one in groups for other in groups if one is not other)
    assert max(map(len, parts)) - min(map(len, parts)) <= 6
    assert [one.number for one in Shard(2, 4).of(parse(text.encode(), "x", base=Path())).entries] == [
        one.number for one in parts[1]
    ]


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (["--shard", "0/2"], {}, "is not a valid part of a file"),
        (["--shard", "3/2"], {}, "is not a valid part of a file"),
        ([], {"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETIONS is not"),
        ([], {"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "2"}, "is not a valid part of a file"),
        (["--only", "shop/nobody"], {}, "has no target 'shop/nobody'"),
        (["--only", CONTAINERS], {}, "is the name of 2 targets"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    gcr: World, file: Path, arguments: list[str], env: dict[str, str], told: str
) -> None:
    done = gcr.run("plan", "-f", str(file), *arguments, env=env)
    assert done.code == 2, done.text
    assert told in done.err


def test_a_pod_of_an_indexed_job_does_its_part(gcr: World, file: Path) -> None:
    file.write_text(THREE_TARGETS + "  - {provider: acr, registry: acmeshop}\n")
    done = gcr.run(
        "plan", "-f", str(file), "--output", "json", env={"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "2"}
    )
    assert [one["provider"] for one in done.json["targets"]] == ["gcr"] * 3


def test_mistakes_of_a_file_are_told_with_their_places_and_nothing_is_called(
    gcr: World, tmp_path: Path
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text("version: 1\ntargets:\n  - provider: gcrr\n  - provider: acr\n    registri: x\n")
    done = gcr.run("apply", "-f", str(file), "--yes", env={"GITHUB_ACTIONS": "true"})
    assert done.code == 2
    assert f"{file}:3:15: provider is one of" in done.err
    assert (
        f"{file}:5:5: 'registri' is not a valid name in a target of acr. Did you mean registry?" in done.err
    )
    assert f"::error file={file},line=5,col=5::" in done.err
    assert gcr.running.sandbox.log.calls == []


def test_without_a_terminal_a_change_needs_yes(gcr: World, file: Path) -> None:
    done = gcr.run("apply", "-f", str(file))
    assert done.code == 2
    assert "--yes" in done.err


def test_a_log_has_one_line_for_each_target_as_it_ends(gcr: World, file: Path) -> None:
    done = gcr.run("apply", "-f", str(file), "--yes")
    lines = [line for line in done.err.splitlines() if line.startswith("[")]
    assert [line.partition("]")[0] for line in lines] == ["[1/3", "[2/3", "[3/3"]
    assert all("create done, key " in line for line in lines)
    assert done.err.splitlines()[-1] == "3 targets: 3 done."


def test_accounts_of_one_project_get_their_role_in_writings_that_they_share(
    gcr: World, tmp_path: Path
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(
        "version: 1\ntargets:\n"
        + "".join(
            f"  - {{provider: gcr, server: europe-west1-docker.pkg.dev, gcp-project: acme-shop, "
            f"service-account: puller-{n}, secret-name: s{n}, akka-project: shop}}\n"
            for n in range(6)
        )
    )
    gcr.running.sandbox.gate.latency = 0.1
    done = applied(gcr, file, "--at-once-per-project", "6")
    assert {one["result"] for one in done.values()} == {"done"}
    readers = gcr.cloud.state.projects["acme-shop"].policy.members("roles/artifactregistry.reader")
    assert len(readers) == 6
    refused = [
        call for call in gcr.running.sandbox.log.calls if call.method == "SetIamPolicy" and call.status >= 400
    ]
    assert refused == [], "nobody has written against another"
    assert sum(call.endswith("SetIamPolicy") for call in gcr.changes()) < 6


def test_one_registry_at_a_time_leaves_the_same_trail(gcr: World, tmp_path: Path) -> None:
    trail = str(tmp_path / "changes.jsonl")
    gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/tools", "--audit", trail)
    gcr.run("rotate", TOOLS, "--yes", "--overlap", "0", "--audit", trail)
    gcr.run("rotate", TOOLS, "--restore", "--yes", "--audit", trail)
    gcr.run("offboard", TOOLS, "--yes", "--audit", trail)
    lines = [json.loads(line) for line in Path(trail).read_text().splitlines()]
    steps = [one["step"] for one in lines]
    # The role is granted beside the key: either may be done first.
    assert sorted(steps[1:3]) == ["grant", "key"]
    assert ["identity", "grant", "key", *steps[3:]] == [
        "identity",
        "grant",
        "key",
        "handoff",
        "key",
        "handoff",
        "retire",
        "restore",
        "reference",
        "secret",
        "key",
        "key",
        "grant",
        "identity",
    ]
    first, second = lines[3]["key_id"], lines[4]["key_id"]
    assert [lines[at]["key_id"] for at in (5, 6, 7)] == [second, first, first]
    assert {lines[10]["key_id"], lines[11]["key_id"]} == {first, second}
    assert all(one["as"] for one in lines)


def test_whoever_is_interrupted_ends_what_is_at_work_in_order_and_begins_nothing_more(
    gcr: World, file: Path
) -> None:
    gcr.running.sandbox.gate.latency = 0.1
    command = [sys.executable, "-m", "bootstrap", "apply", "-f", str(file), "--yes"]
    child = subprocess.Popen(
        command, env=gcr.environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if line.startswith("[1/3]"):
            child.send_signal(signal.SIGTERM)
            break
    said += child.stderr.read()
    assert child.wait() == 130, said
    gcr.said.append(said)
    gcr._remember_passwords()
    assert "Interrupted: waiting for the calls in progress" in said
    email = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    held = {name for project in ("shop", "billing") for name in gcr.names(project)} - {"docker-credentials"}
    assert 1 <= len(held) <= 2
    gcr.running.sandbox.gate.latency = 0
    assert applied(gcr, file)
    assert actions(planned(gcr, file)) == ["keep", "keep", "keep"]
    made = {key for key, one in gcr.cloud.state.account(email).keys.items() if not one.system_managed}
    held_now = {
        json.loads(gcr.held(name, project).password)["private_key_id"]
        for name, project in ((CONTAINERS, "shop"), (TOOLS, "shop"), (CONTAINERS, "billing"))
    }
    assert made == held_now, "no key is left that nobody holds"


def test_in_a_terminal_a_table_shows_who_is_at_work_and_the_end_is_plain(gcr: World, file: Path) -> None:
    gcr.running.sandbox.gate.latency = 0.05
    main, other = pty.openpty()
    command = [sys.executable, "-m", "bootstrap", "apply", "-f", str(file), "--yes"]
    env = {**gcr.environment(), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "NO_COLOR": ""}
    child = subprocess.Popen(command, env=env, stderr=other, stdin=subprocess.DEVNULL)
    os.close(other)
    said = b""
    while True:
        try:
            piece = os.read(main, 65_536)
        except OSError:  # what a terminal says whose other side has gone
            break
        if not piece:
            break
        said += piece
    os.close(main)
    assert child.wait() == 0
    text = said.decode()
    gcr.said.append(text)
    gcr._remember_passwords()
    assert "Working on 0 of 3" in text
    assert "Verifying the key" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert plain.rstrip().endswith("3 targets: 3 done.")
    assert "\x1b[?25h" in text, "the cursor is shown again"


def test_what_a_lost_run_has_made_and_others_use_meanwhile_is_not_undone_by_the_next(gcr: World) -> None:
    """The service account of a run that was killed was found by another target, whose pulls must go on."""
    server = "europe-west1-docker.pkg.dev/acme-shop"
    killed = subprocess.run(
        [
            sys.executable,
            "-m",
            "bootstrap.testing.harness.journal_crash",
            "onboard",
            "gcr",
            "--server",
            f"{server}/containers",
            "--yes",
        ],
        env={**gcr.environment(), "PULLKEY_TEST_DIES": "after 4"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert gcr.onboard("--server", f"{server}/tools").code == 0
    gcr.fault("akka.docker.add-credentials=403*1")
    failed = gcr.onboard("--server", f"{server}/containers")
    assert failed.code == 1, failed.err
    assert "deleted the service account" not in failed.err
    assert gcr.run("verify", TOOLS).code == 0


def test_one_application_serves_many_registries_or_each_has_its_own(acr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    two = (
        "targets:\n  - {provider: acr, registry: acmeshop, akka-project: shop}\n  - {provider: acr, "
        "registry: acmeabac, akka-project: shop}\n"
    )
    file.write_text(f"version: 1\n{two}")
    applied(acr, file)
    names = {acr.held(name).username for name in ("acmeshop-azurecr-io", "acmeabac-azurecr-io")}
    assert len(names) == 1
    assert acr.run("offboard", "-f", str(file), "--all", "--yes").code == 0
    file.write_text(f"version: 1\ndefaults:\n  acr:\n    app: per-registry\n{two}")
    applied(acr, file)
    names = {acr.held(name).username for name in ("acmeshop-azurecr-io", "acmeabac-azurecr-io")}
    assert len(names) == 2
    assert {"akka-docker-reader-acmeshop", "akka-docker-reader-acmeabac"} <= {
        one.display_name for one in acr.cloud.state.applications
    }
    assert actions(planned(acr, file)) == ["keep", "keep"]


def test_what_changes_while_a_person_is_asked_is_seen_and_nothing_unplanned_is_done(
    gcr: World, file: Path
) -> None:
    file.write_text(
        THREE_TARGETS.partition("  - provider: gcr\n    server: europe-west1-docker.pkg.dev/acme-shop/tools")[
            0
        ]
    )
    key = applied(gcr, file)[f"shop/{CONTAINERS}"]["key_id"]
    email = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    del gcr.cloud.state.account(email).keys[key]
    main, other = pty.openpty()
    command = [sys.executable, "-m", "bootstrap", "apply", "-f", str(file)]
    child = subprocess.Popen(command, env=gcr.environment(), stdin=other, stderr=other)
    os.close(other)
    said = b""
    while b"Apply this to 1 target" not in said:
        said += os.read(main, 65_536)
    policy = gcr.cloud.state.projects["acme-shop"].repositories["europe-west1", "containers"].policy
    now = policy.read(3)
    now.bindings[0].members.remove(f"serviceAccount:{email}")
    policy.write(now, audit_configs=False, now=gcr.running.sandbox.now())
    before = len(gcr.changes())
    os.write(main, b"y\n")
    with contextlib.suppress(OSError):
        while piece := os.read(main, 65_536):
            said += piece
    os.close(main)
    assert child.wait() == 3, said.decode()
    assert "This was not planned: Grant roles/artifactregistry.reader" in said.decode()
    assert len(gcr.changes()) == before


def test_a_plan_says_where_there_is_no_room_to_rotate_all_at_once(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    server = "europe-west1-docker.pkg.dev/acme-shop/containers"
    lines = [
        f"  - {{provider: gcr, server: {server}, akka-project: shop, secret-name: s{n}}}\n" for n in range(6)
    ]
    file.write_text("version: 1\ntargets:\n" + "".join(lines[:5]))
    assert "cannot all be rotated at once" not in gcr.run("plan", "-f", str(file)).text
    file.write_text("version: 1\ntargets:\n" + "".join(lines))
    told = " ".join(gcr.run("plan", "-f", str(file)).text.split())
    assert (
        "6 targets use the service account akka-docker-reader@acme-shop.iam.gserviceaccount.com, "
        "which can have 10 keys: they cannot all be rotated at once" in told
    )


def test_an_account_from_which_all_targets_are_moved_is_removed_with_its_roles(tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    with living("gcr") as life:
        for account in ("akka-docker-reader", "puller-two"):
            more = f"defaults:\n  gcr:\n    service-account: {account}\n"
            file.write_text(THREE_TARGETS.replace("defaults:\n", more))
            done = life.world.run("apply", "-f", str(file), "--yes")
            assert done.code == 0, done.text
        left = [str(one) for one in life.there() - life.before]
        assert not [one for one in left if "akka-docker-reader" in one]

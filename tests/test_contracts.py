"""What programs rely on: exit codes, JSON on every exit, schemas that stay open, and one name for one
thing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bootstrap.engine import doctor
from bootstrap.fleet.schema import registries_schema
from bootstrap.output.json_schema import schemas
from bootstrap.sandbox.faults import Fault
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import scene, wait_until
from bootstrap.testing.harness.world import Result, World, make_world
from tests.harness.google_state import NAME

JSON = ("--output", "json")


def registries(tmp_path: Path, *targets: str) -> Path:
    file = tmp_path / "registries.yaml"
    file.write_text("version: 1\ntargets:\n" + "".join(f"  - {one}\n" for one in targets))
    return file


def error_of(done: Result, code: int) -> dict[str, Any]:
    """The one document that was printed, which is that of an error."""
    assert done.code == code, done.text
    document: dict[str, Any] = json.loads(done.out)
    Draft202012Validator(schemas()["error"]).validate(document)
    assert document["exit_code"] == code
    assert document["error"]["what"]
    assert document["error"]["mend"] == document["error"]["fix"]  # its older name
    assert document["error"]["what"].rstrip(".") in " ".join(done.err.split())
    return document


class TestExitCodes:
    def test_a_plan_that_is_checked_with_a_blocked_target(self, gcr: World, tmp_path: Path) -> None:
        file = registries(tmp_path, "{provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/nowhere}")
        assert gcr.run("plan", "-f", str(file)).code == 3
        assert gcr.run("plan", "-f", str(file), "--check").code == 5
        file = registries(
            tmp_path,
            "{provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/nowhere}",
            "{provider: gcr, server: gcr.io/acme-shop}",
        )
        assert gcr.run("plan", "-f", str(file)).code == 4
        assert gcr.run("plan", "-f", str(file), "--check").code == 5

    def test_a_name_that_akka_does_not_have(self, gcr: World) -> None:
        gcr.onboard()
        before = gcr.changes()
        typo = f"{NAME}s"
        for command in (
            ["offboard", typo, "--yes"],
            ["rotate", typo, "--yes"],
            ["verify", typo],
            ["list", typo],
        ):
            done = gcr.run(*command)
            assert done.code == 2, command
            assert f"Did you mean {NAME}?" in done.err
            assert error_of(gcr.run(*command, *JSON), 2)["command"] == command[0]
        assert gcr.changes() == before

    def test_a_login_shell_alone_is_no_fault_of_a_machine(
        self, gcr: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor, "_hides_processes", lambda: False)
        monkeypatch.setattr(doctor, "_other_users", lambda: {1001: "jo"})
        monkeypatch.setattr(doctor, "_active_users", set)
        check = doctor._arguments_of_processes()
        assert check.good is None
        assert "jo" in check.detail
        monkeypatch.setattr(doctor, "_active_users", lambda: {1001})
        assert doctor._arguments_of_processes().good is False
        assert os.getuid() not in doctor._active_users()

    def test_who_runs_it_by_sudo_is_no_other_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_UID", "1001")
        assert {1001, os.getuid()} == doctor._own_users()
        assert 1001 not in doctor._other_users()


class TestJsonOnEveryExit:
    @pytest.mark.parametrize(
        "command",
        [
            ("onboard", "gcr", "--yes", "--no-such-option"),
            ("onboard", "gcr", "--yes", "--expires-in", "soon"),
            ("onboard", "gcr", "--yes", "--server", "not a host"),
            ("onboard", "grc", "--yes"),
            ("plan", "-f", "/no/such/file.yaml"),
            ("apply",),
            ("rotate",),
            ("rotate", "--all"),
            ("offboard",),
            ("doctor", "ecr"),
            ("lst",),
            ("import", "shop", "--all-projects"),
        ],
    )
    def test_of_usage(self, gcr: World, command: tuple[str, ...]) -> None:
        error_of(gcr.run(*command, *JSON), 2)
        error_of(gcr.run(*command, env={"PULLKEY_OUTPUT": "json"}), 2)

    def test_however_it_is_asked_for(self, gcr: World) -> None:
        error_of(gcr.run("permissions", "gcr", "--for", "nosuch", "--format", "json"), 2)
        assert error_of(gcr.run("--no-color", "rotate", *JSON), 2)["command"] == "rotate"

    def test_of_a_file_that_cannot_be_used(self, gcr: World, tmp_path: Path) -> None:
        file = registries(tmp_path, "{provider: gcr, sever: gcr.io/acme-shop}")
        document = error_of(gcr.run("plan", "-f", str(file), *JSON), 2)
        assert [(one["line"], one["column"]) for one in document["faults"]] == [(3, 21)]

    @pytest.mark.parametrize(
        "command", [("list",), ("rotate", "--all", "--yes"), ("verify", "x"), ("import",)]
    )
    def test_of_a_refusal(self, gcr: World, command: tuple[str, ...]) -> None:
        gcr.akka.mode = "logged-out"
        document = error_of(gcr.run(*command, *JSON), 3)
        assert "not logged in" in document["problems"][0]["what"]

    def test_a_run_has_one_document_only(self, gcr: World) -> None:
        gcr.cloud.state.denied_permissions.add("iam.serviceAccounts.create")
        done = gcr.onboard(*JSON)
        assert done.code == 3
        assert json.loads(done.out)["result"] == "refused"

    def test_what_failed_of_several_is_in_it(self, gcr: World) -> None:
        gcr.onboard()
        name = "orphan"
        link = gcr.held(NAME).email.replace("acme-shop", "acme-gone")

        subprocess.run(
            [
                gcr.akka.cli,
                "docker",
                "add-credentials",
                f"--secret-name={name}",
                "--docker-server=https://europe-west1-docker.pkg.dev",
                "--docker-username=_json_key",
                f"--docker-email={link}",
                "--docker-password=x",
                "--project=shop",
            ],
            env=gcr.running.process_environment(),
            check=True,
            capture_output=True,
        )
        done = gcr.run("rotate", "--all", "--yes", *JSON, env={"PULLKEY_OVERLAP": "0"})
        [error] = done.json["errors"]
        assert (error["name"], error["code"][:3]) == (name, "PK-")
        assert done.json["exit_code"] == done.code

    def test_what_was_done_before_a_signal_is_in_it(self) -> None:
        """The second credential is still being located."""
        with scene(fork_server(), "gcr", "rotate") as victim:
            life, faults = victim.life, victim.life.world.running.sandbox.faults.faults
            second = life.onboard("--secret-name", "z", "--service-account", "akka-second-reader")
            assert second.code == 0, second.text
            victim.command, victim.name = "rotate --output json", "--all"
            with victim.held_at("iam.DisableServiceAccountKey#1=slow=1.5") as (_, ending):
                faults.append(slow := Fault.parse("iam.*=slow=4*forever"))
                wait_until(lambda: bool(slow.taken))
                victim.signal(signal.SIGTERM)
                ended = ending.result()
            faults.clear()
            assert ended.code == ended.json["exit_code"] == 130, ended.text
            assert [one["result"] for one in ended.json["results"]] == ["done"]
            assert [one["name"] for one in ended.json["errors"]] == ["z"]
            assert "1 of 2 credentials were done before the interruption." in ended.err

    def test_what_was_removed_before_akka_answered_no_more_is_in_it(self) -> None:
        with scene(fork_server(), "gcr", "offboard") as victim:
            victim.command, victim.name = "offboard --output json", "--all"
            with victim.held_at("iam.DeleteServiceAccount#1=slow=1.5") as (_, ending):
                refused = Fault.parse("akka.docker.list-credentials=403*forever")
                victim.life.world.running.sandbox.faults.faults.append(refused)
                ended = ending.result()
            assert refused.taken
            assert ended.code == ended.json["exit_code"] == 0, ended.text
            assert [one["result"] for one in ended.json["results"]] == ["done"]

    def test_a_registration_that_is_done_when_a_signal_arrives_is_in_it(self) -> None:
        """Only the services that could not pull are still looked for."""
        with scene(fork_server(), "gcr", "onboard") as victim:
            victim.command, victim.name = "onboard --output json", "gcr"
            calls = victim.life.world.running.sandbox.log.calls

            def read_back() -> bool:
                methods = [one.method for one in calls]
                return "docker.list-credentials" in methods[methods.index("docker.add-credentials") :]

            with victim.held_at("akka.services.*#1=slow=15") as (_, ending):
                wait_until(lambda: "docker.add-credentials" in [one.method for one in calls])
                wait_until(read_back)
                time.sleep(1)
                victim.signal(signal.SIGTERM)
                ended = ending.result()
            assert ended.code == ended.json["exit_code"] == 0, ended.text
            assert ended.json["result"] == "done"
            assert ended.json["credential"]["key_id"]


class TestSchemas:
    @pytest.mark.parametrize("name", [*schemas(), "registries"])
    def test_each_has_an_id_with_its_version(self, name: str) -> None:
        schema = registries_schema() if name == "registries" else schemas()[name]
        assert schema["$id"] == f"urn:pullkey:schema:{name}:1"
        Draft202012Validator.check_schema(schema)

    @pytest.mark.parametrize("name", schemas())
    def test_what_is_printed_may_have_new_keys(self, name: str) -> None:
        def objects(schema: Any) -> Iterator[Any]:
            if isinstance(schema, dict):
                if schema.get("type") == "object":
                    yield schema
                for one in schema.values():
                    yield from objects(one)
            elif isinstance(schema, list):
                for one in schema:
                    yield from objects(one)

        assert all(one.get("additionalProperties", True) is True for one in objects(schemas()[name]))


class TestImport:
    def test_it_says_what_is_still_missing(self, private: World) -> None:
        from tests.harness.private_registry import PASSWORD, onboard_with_password

        assert onboard_with_password(private, password=PASSWORD).code == 0
        done = private.run("import", *JSON)
        Draft202012Validator(schemas()["import"]).validate(done.json)
        (target,) = done.json["targets"]
        assert target["missing"] == ["password: where it is read from"]
        assert "password" in done.json["text"]
        said = private.run("import").err
        assert "1 credential" in said
        assert "1 needs a source" in said

    def test_nothing_is_missing_of_what_pullkey_can_renew(self, gcr: World, tmp_path: Path) -> None:
        gcr.onboard()
        to = tmp_path / "registries.yaml"
        done = gcr.run("import", "--to", str(to), *JSON)
        assert done.json["file"] == str(to)
        assert done.json["targets"][0]["missing"] == []
        assert gcr.run("plan", "-f", str(to), "--check").code == 0


class TestSources:
    TARGET = "{{provider: private, server: 'https://registry.sandbox.example/v1/', username: ops{}}}"

    @pytest.mark.parametrize(
        "source",
        [
            "",
            ", password: 'env:NOT_SET'",
            ", password: 'file:/no/such/file'",
            ", password: 'command:no-such-program'",
        ],
    )
    def test_a_plan_says_that_a_source_is_missing(self, private: World, tmp_path: Path, source: str) -> None:
        file = registries(tmp_path, self.TARGET.format(source))
        done = private.run("plan", "-f", str(file))
        assert done.code == 3, done.text
        assert "blocked" in done.out
        assert "password" in done.out
        assert "replace" not in done.out

    def test_a_source_that_is_there_is_no_problem(self, private: World, tmp_path: Path) -> None:
        file = registries(tmp_path, self.TARGET.format(", password: 'env:IS_SET'"))
        done = private.run("plan", "-f", str(file), env={"IS_SET": "secret"})
        assert done.code == 0, done.text
        assert "create" in done.out


def test_texts_are_of_their_own_command(gcr: World) -> None:
    offboard = " ".join(gcr.run("offboard", "--help").out.split())
    assert "what a new key needs" not in offboard
    assert "verify the pull" not in offboard


def test_doctor_has_one_name_for_one_check() -> None:
    names: dict[str, set[str]] = {}
    for provider in ("gcr", "acr", "docker-hub"):
        for world in make_world(provider):
            done = world.run("doctor", provider, *JSON)
            for one in done.json["checks"]:
                if one["about"] == provider:
                    names.setdefault(one["what"].lower(), set()).add(one["what"])
    assert {"clock", "login"} <= names.keys()
    assert all(len(spellings) == 1 for spellings in names.values()), names

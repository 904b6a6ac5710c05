"""The tests. Each fails with a sentence that says what is wrong with the provider.

    TestSource        what the source shows
    TestReading       commands that only read change nothing
    TestLife          onboarding, rotation and offboarding
    TestBeside        another credential for the same registry
    TestSecrets       no secret leaves
    TestScripts       the commands that a user can run by hand
    TestRollback      what fails is undone
    TestKill          a command that is killed is completed or cleaned up after by the next
    TestFaults        each call fails
    TestLag           reads that show a change late

`conformance_case` names a case of the provider, `conformance_bench` has its sandbox.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bootstrap.model.common_options import PROOF_IMAGE
from bootstrap.model.key_ref import KeyRef
from bootstrap.output.json_schema import schemas
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.conformance import ConformanceCase
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.conformance import source
from bootstrap.testing.conformance.bench import Bench, Trial, fail, require
from bootstrap.testing.harness.credential_life import KINDS, Life
from bootstrap.testing.harness.fault_cases import all_cases, selection
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import is_named
from bootstrap.testing.harness.kill_points import COMMANDS, JOURNAL, REGISTERED, Point, machines_of, points_of
from bootstrap.testing.harness.kill_verdict import forget, judge
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.rehearsals import Workers
from bootstrap.testing.harness.stage import is_unexpected
from bootstrap.testing.harness.world import Result, make_world

REFUSED = "akka.docker.add-credentials=403*forever"
"""A fault in the last step, so that everything has to be undone."""
_VARIABLE = "PULLKEY_CONFORMANCE_SECRET"
"""The source of a secret in the file of registries."""
_AT_ONCE = 6
_BESIDE = "beside"
"""The name of a second credential."""


def _document(done: Result, schema: str) -> Any:
    """Parse the JSON that a command has printed, and validate it against its schema."""
    try:
        document = json.loads(done.out)
        jsonschema.validate(document, schemas()[schema])
    except (ValueError, jsonschema.ValidationError) as error:
        fail(f"The JSON that pullkey prints is not valid by the schema {schema!r}.", str(error)[:500], done)
    return document


def _require_unchanged(trial: Trial, before: set[Any], after: str) -> None:
    now = trial.there()
    require(
        now == before,
        f"After {after} the cloud or Akka does not hold what it held before.",
        *(f"new: {one}" for one in sorted(now - before)),
        *(f"lost: {one}" for one in sorted(before - now)),
    )


class TestSource:
    """What the source shows, without running it."""

    def test_importing_it_imports_nothing_heavy(self, conformance_provider: str) -> None:
        early = source.imported_early(conformance_provider)
        require(
            not early,
            "Importing the provider imports packages that `pullkey --help` then waits for: import them in "
            "the "
            "functions that use them.",
            early,
        )

    def test_it_imports_only_what_is_for_providers(self, conformance_provider: str) -> None:
        found = list(source.foreign_imports(conformance_provider))
        require(
            not found,
            "A provider imports bootstrap.plugin and bootstrap.model only, and its emulator "
            "bootstrap.sandbox "
            "too: everything else may change without notice.",
            found,
        )

    def test_each_error_has_a_code(self, conformance_provider: str) -> None:
        found = list(source.errors_without_code(conformance_provider))
        require(
            not found,
            "A problem or an error has no code: name the one of bootstrap.model.codes that fits "
            "(`code=Code....`), so that `pullkey explain` and the JSON say what it is.",
            found,
        )

    def test_each_option_has_help(self, conformance_provider: str) -> None:
        provider = plugins.load(conformance_provider)
        silent = [option.name for option in provider.options if not option.help.strip()]
        require(not silent, "These options have no help.", silent)
        short = [name for name in ("title", "summary") if not getattr(provider, name, "").strip()]
        require(not short, "The provider says nothing of itself in these members.", short)
        odd = [one.name for one in provider.options if not re.fullmatch(r"--[a-z][a-z0-9-]*", one.name)]
        require(not odd, "The name of an option has two dashes, lower-case letters, digits and dashes.", odd)
        secret = [
            one.name for one in provider.options if one.kind == "secret" and not one.name.endswith("-stdin")
        ]
        require(
            not secret,
            "A secret is read from stdin, so its option ends with -stdin; on the command line other users "
            "would see it.",
            secret,
        )


class TestReading:
    """Commands that only read change nothing."""

    def test_before_the_onboarding(self, conformance_bench: Bench, conformance_case: str) -> None:
        with conformance_bench.untouched(conformance_case) as trial:
            case = trial.case
            planned = trial.life.world.run(
                "plan", case.provider, *case.options, "--output", "json", stdin=case.stdin
            )
            require(
                planned.code == 0, "`pullkey plan` fails although nothing is wrong in the sandbox.", planned
            )
            steps = _document(planned, "run")
            require(steps["steps"], "`pullkey plan` shows no step of a registry that is new.", planned)
            checked = trial.run("doctor", case.provider, "--output", "json")
            _document(checked, "doctor")
            require(checked.code in (0, 3, 5), "`pullkey doctor` fails.", checked)
            self._require_read_only(trial, [], "`plan` and `doctor`")

    def test_after_the_onboarding(self, conformance_bench: Bench, conformance_case: str) -> None:
        with conformance_bench.onboarded(conformance_case) as trial:
            case, before, name = trial.case, trial.changes(), trial.life.name
            listed = trial.run("list", "--output", "json")
            require(listed.code in (0, 5), "`pullkey list` fails for a credential of the provider.", listed)
            _document(listed, "list")
            password = trial.life.world.held(name).password
            verified = trial.run("verify", name, "--credential-stdin", stdin=password)
            require(
                verified.code == 0, "`pullkey verify NAME` does not accept the key that Akka holds.", verified
            )
            wrong = trial.run("verify", name, "--credential-stdin", stdin="not-the-password")
            require(wrong.code == 5, "`pullkey verify NAME` does not report a password that is wrong.", wrong)
            options = _without_supplied_secret(trial)
            trial.life.world.run("plan", case.provider, *options, stdin=case.stdin)
            for command in ("rotate", "offboard"):
                shown = trial.life.world.run(command, name, "--dry-run", env=dict(case.environment))
                require(shown.code in (0, 3), f"`pullkey {command} --dry-run` fails.", shown)
            trial.run("doctor", case.provider)
            self._require_read_only(trial, before, "`list`, `verify`, `plan`, `doctor` and `--dry-run`")

    @staticmethod
    def _require_read_only(trial: Trial, before: list[str], commands: str) -> None:
        sent = trial.changes()[len(before) :]
        require(
            not sent,
            f"{commands} only read, but sent calls that change something: a change belongs into a step's "
            f"`do`, "
            "`undo` or `remove`; `look` and `preflight` must not make one. (A call that only reads "
            "although it "
            "is a POST is a route with `changes=False` in the emulator.)",
            sent,
        )


def _without_supplied_secret(trial: Trial) -> list[str]:
    """The case's options. A user-supplied password is left out, since it cannot be compared with Akka's."""
    options = trial.case.options
    return [one for one in options if trial.case.creates_key or not one.endswith("-stdin")]


class TestLife:
    """Onboarding, rotation and offboarding."""

    def test_the_sandbox_has_something_of_others(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        if not KINDS[conformance_case].creates_key:
            pytest.skip("the provider creates no key")
        with conformance_bench.untouched(conformance_case) as trial:
            require(
                any(item.kind == "key" for item in trial.life.before),
                "The emulator begins without a key of another user, so the suite could not see it deleted: "
                "let `start` create one.",
                trial.life.before,
            )

    def test_onboarding_leads_from_akkas_record_back_to_the_key(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        with conformance_bench.onboarded(conformance_case) as trial:
            self._require_usable(trial, "the onboarding")
            lost = trial.life.before - trial.there()
            require(not lost, "The onboarding changed what it did not create.", lost)

    def _require_usable(self, trial: Trial, after: str) -> KeyRef:
        """Require that Akka holds one existing key, which its record names, and which pulls."""
        life = trial.life
        held = life.world.held(life.name)
        ref = KeyRef.parse(held.email)
        if ref is None:
            fail(
                "Akka's record does not lead back to the key: the id of a key must have 6 to 64 letters, "
                "digits "
                "and dashes. Where the cloud's own id is shorter, such as 17, `id_of` returns one that says "
                "more, such as robot-17.",
                f"e-mail in Akka's record: {held.email}",
            )
        keys = trial.new_keys()
        if trial.case.creates_key:
            require(
                ref.key_id in keys,
                f"After {after} Akka's record names a key that the emulator's inventory does not have: the "
                f"id "
                "that `id_of` returns, the id in `facts_of` and `known_as` of the InventoryItem are the "
                "same.",
                f"key in Akka's record: {ref.key_id}",
                *(f"key in the inventory: {one}" for one in keys),
            )
            require(
                keys[ref.key_id].active, f"After {after} Akka holds a key that is disabled.", keys.values()
            )
        listed = life.listed()
        require(
            listed.get("key_id") == ref.key_id and listed.get("state") in ("ok", "unseen", "brought"),
            f"After {after} `pullkey list` does not find the key that Akka's record names: see `locate`, "
            "`facts_of` and `is_username`.",
            json.dumps(listed, indent=1),
        )
        require(
            pulls(life.world.running.environment, held, trial.case.image),
            f"After {after} the user name and password that Akka holds do not pull the sandbox's image.",
            f"server: {held.server}",
            f"user name: {held.username}",
        )
        return ref

    def test_akkas_record_alone_leads_to_the_key(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        """A user who lists or offboards names a credential, and none of the options of its onboarding."""
        with conformance_bench.onboarded(conformance_case) as trial:
            options = (*plugins.load(trial.case.provider).options, PROOF_IMAGE)
            unset = dict.fromkeys(
                (name for one in options if not one.login for name in one.variables(trial.case.provider)), ""
            )
            shown = [
                (one.get("key_id"), one.get("state"))
                for listed in (
                    trial.run("list", "--output", "json", env=env)
                    for env in (None, {**unset, **trial.case.environment})
                )
                for one in _document(listed, "list")["credentials"]
            ]
            require(
                len(shown) == 2 and shown[0] == shown[1],
                "Without the options of the onboarding, `pullkey list` does not find the same as with them: "
                "`locate` decides by Akka's record (server, user name, e-mail) and by what the cloud shows; "
                "its `login` has the options marked `login` only.",
                *shown,
            )

    def test_onboarding_again_changes_nothing(self, conformance_bench: Bench, conformance_case: str) -> None:
        with conformance_bench.onboarded(conformance_case) as trial:
            before, sent = trial.there(), len(trial.changes())
            options = _without_supplied_secret(trial)
            again = trial.life.world.onboard(
                *options,
                "--output",
                "json",
                stdin=trial.case.stdin if trial.case.creates_key else None,
                env=dict(trial.case.environment),
            )
            require(again.code == 0, "Onboarding the same registry again fails.", again)
            more = trial.changes()[sent:]
            count("idempotence", {"second runs": 1, "calls of them that change something": len(more)})
            require(
                not more and json.loads(again.out).get("result") == "unchanged",
                "Onboarding the same registry again changes something: a step's `look` does not find what "
                "its "
                "`do` has created.",
                more,
                again,
            )
            _require_unchanged(trial, before, "a second onboarding")

    @pytest.mark.parametrize("how", ["name", "all", "file"])
    def test_rotation(
        self, conformance_bench: Bench, conformance_case: str, how: str, tmp_path: Path
    ) -> None:
        if how == "all" and KINDS[conformance_case].later_stdin is not None:
            pytest.skip("a secret from stdin is of one credential, so it cannot be given with --all")
        with conformance_bench.onboarded(conformance_case) as trial:
            life, first = trial.life, trial.life.link.key_id
            match how:
                case "name":
                    done = life.command("rotate", life.name, "--keep-old", "0", "--output", "json")
                case "all":
                    done = life.command("rotate", "--all", "--keep-old", "0")
                case _:
                    done = self._rotate_file(trial, tmp_path)
            require(done.code == 0, f"`pullkey rotate` ({how}) fails.", done)
            if how == "name":
                _document(done, "rotate")
            ref = self._require_usable(trial, f"a rotation ({how})")
            require(ref.key_id != first, f"After a rotation ({how}) Akka still holds the first key.", done)
            if trial.case.creates_key:
                left = set(trial.new_keys()) - {ref.key_id}
                require(
                    not left,
                    "`pullkey rotate --keep-old 0` does not delete the key that it replaced.",
                    left,
                    done,
                )
            self._require_others(trial, "a rotation")

    def _rotate_file(self, trial: Trial, tmp_path: Path) -> Result:
        file = tmp_path / "registries.yaml"
        file.write_text(_registries(trial), encoding="utf-8")
        # With a file, the secret is prompted for when a new key needs it, also where `--secret-stdin` is read
        # otherwise.
        secret = {_VARIABLE: trial.case.stdin} if trial.case.stdin else {}
        return trial.life.world.run(
            "rotate",
            "-f",
            str(file),
            "--yes",
            "--timeout",
            "60s",
            env={"PULLKEY_OVERLAP": "0", **trial.case.environment, **secret},
        )

    def test_a_replaced_key_has_its_grace(self, conformance_bench: Bench, conformance_case: str) -> None:
        if not KINDS[conformance_case].creates_key:
            pytest.skip("the provider creates no key")
        with conformance_bench.onboarded(conformance_case) as trial:
            life, first = trial.life, trial.life.link.key_id
            done = life.command("rotate", life.name)
            require(done.code == 0, "`pullkey rotate NAME` fails.", done)
            self._require_usable(trial, "a rotation")
            require(life.link.replaces == first, "Akka's record does not name the replaced key.", life.link)
            old = trial.new_keys().get(first)
            if old is None:
                fail("A replaced key is deleted at once, although it has a grace period.", trial.new_keys())
            require(
                old.active != trial.case.disables_key,
                "The case says that a replaced key is disabled (`disables_key`), and it is not."
                if trial.case.disables_key
                else "A replaced key is disabled, and the case does not say so (`disables_key`).",
                old,
                done,
            )
            life.world.running.clock.advance(2)
            late = life.command("rotate", life.name, "--due", "--keep-old", "1s")
            require(late.code == 0, "`pullkey rotate --due` fails after the grace period.", late)
            require(
                first not in trial.new_keys(), "A replaced key is not deleted after its grace period.", late
            )

    def test_offboarding_leaves_all_as_it_was(self, conformance_bench: Bench, conformance_case: str) -> None:
        with conformance_bench.onboarded(conformance_case) as trial:
            name = trial.life.name
            rotated = trial.life.command("rotate", name)  # so that a replaced key is to be deleted too
            require(rotated.code == 0, "`pullkey rotate NAME` fails.", rotated)
            done = trial.life.command("offboard", name, "--output", "json")
            require(done.code == 0, "`pullkey offboard NAME` fails.", done)
            _document(done, "offboard")
            _require_unchanged(trial, trial.life.before, "onboarding, rotation and offboarding")
            again = trial.life.command("offboard", name)
            require(
                again.code == 2, "Offboarding a name that Akka does not have is not a usage error.", again
            )

    @staticmethod
    def _require_others(trial: Trial, after: str) -> None:
        lost = trial.life.before - trial.there()
        require(not lost, f"After {after} something that pullkey did not create is changed or deleted.", lost)


class TestBeside:
    """Another credential for the same registry is left alone."""

    def test_another_credential_keeps_its_key(self, conformance_bench: Bench, conformance_case: str) -> None:
        if not KINDS[conformance_case].creates_key:
            pytest.skip("the provider creates no key")
        with conformance_bench.onboarded(conformance_case) as trial:
            life, name, sent = trial.life, trial.life.name, len(trial.changes())
            second = life.onboard("--secret-name", _BESIDE)
            require(second.code == 0, "Onboarding the same registry under a second name fails.", second)
            self._require_kept(trial, "its own onboarding", second)
            for call in dict.fromkeys(trial.changes()[sent:]):
                if call.startswith("akka."):
                    continue
                trial.fault(f"{call}=lost")
                done = life.command("rotate", name, "--keep-old", "0")
                trial.clear_faults()
                self._require_kept(
                    trial, f"a rotation of the first in which the answer to {call} was lost", done
                )
            self._require_kept(trial, "the first was offboarded", life.command("offboard", name))

    def test_a_key_that_no_record_names_is_kept(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        """Nothing shows whether it is in use, so what it needs is kept, too."""
        if not KINDS[conformance_case].creates_key:
            pytest.skip("the provider creates no key")
        with conformance_bench.onboarded(conformance_case) as trial:
            life, name = trial.life, trial.life.name
            second = life.onboard("--secret-name", _BESIDE)
            require(second.code == 0, "Onboarding the same registry under a second name fails.", second)
            ref = KeyRef.parse(life.world.held(_BESIDE).email)
            key_id = ref.key_id if ref is not None else ""
            life.world.forget(_BESIDE)
            # A key of the last minutes may be of a run that is at work, and is kept as such.
            life.world.running.clock.advance(3600)
            done = life.command("offboard", name)
            kept = trial.new_keys().get(key_id)
            require(
                kept is not None and kept.active,
                "An offboarding deletes a key of its identity that it does not know: `used_by_others` names "
                "the keys that are not this credential's, so that the identity is kept for them.",
                f"key: {key_id}",
                *(f"key in the inventory: {one}" for one in trial.new_keys().values()),
                done,
            )

    @staticmethod
    def _require_kept(trial: Trial, after: str, done: Result) -> None:
        held = trial.life.world.held(_BESIDE)
        ref = KeyRef.parse(held.email)
        key = trial.new_keys().get(ref.key_id) if ref is not None else None
        require(
            key is not None
            and key.active
            and pulls(trial.life.world.running.environment, held, trial.case.image),
            f"After {after} the second credential no longer pulls: `of_run` finds the keys of one run only, "
            "`used_by_others` names the keys of the identity that are not this credential's, and what they "
            "need is kept.",
            f"e-mail in Akka's record: {held.email}",
            *(f"key in the inventory: {one}" for one in trial.new_keys().values()),
            done,
        )


def _registries(trial: Trial) -> str:
    """A file of registries with the case as its target."""
    case, environment = trial.case, trial.life.world.running.environment
    given = dict(_given(case.options))
    lines = [f"provider: {case.provider}", "akka-project: shop", "keep-old: 0"]
    for option in (*plugins.load(case.provider).options, PROOF_IMAGE):
        values = [given.get(option.name), *map(environment.get, option.variables(case.provider))]
        value = next((one for one in values if one is not None), None)
        if value is None or option.kind == "switch":
            lines += [f"{option.name.removeprefix('--')}: true"] if option.name in given else []
        elif option.kind == "secret":
            lines.append(f"{option.name.removeprefix('--').removesuffix('-stdin')}: env:{_VARIABLE}")
        else:
            lines.append(f"{option.name.removeprefix('--')}: {json.dumps(value)}")
    target = "\n    ".join(lines)
    return f"version: 1\ntargets:\n  - {target}\n"


def _given(options: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The options and their values; a flag has none."""
    for number, one in enumerate(options):
        if one.startswith("--"):
            name, equals, value = one.partition("=")
            after = options[number + 1 : number + 2]
            yield name, value if equals else next((text for text in after if not text.startswith("--")), "")


class TestSecrets:
    """No secret leaves."""

    def test_objects_logs_and_files_hold_no_key(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        # Each test is scanned for leaks when it ends; this one logs everything, and inspects objects.
        with conformance_bench.untouched(conformance_case) as trial:
            world, case = trial.life.world, trial.case
            world.passwords += [one for one in {case.stdin, case.later_stdin} if one]
            world.looks_deep({source.package_of(case.provider).partition(".")[0]})
            done = [
                trial.onboard("--verbose"),
                trial.life.command("rotate", trial.life.name, "--verbose"),
                trial.life.command("offboard", trial.life.name, "--verbose"),
            ]
            for one in done:
                require(one.code == 0, "A command fails with --verbose.", one)
            world.watched.read()
            hits = [hit for look in world.watched.of("looked") for hit in look["hits"]]
            require(
                not hits,
                "While Akka is given the key, the repr, the attributes or the locals of something show "
                "it, or a login: keep each in a Secret, and reveal it only where it is sent.",
                hits,
            )


class TestScripts:
    """The commands that a user can run by hand."""

    def test_the_runbook_has_each_step_and_passes_shellcheck(
        self, conformance_bench: Bench, conformance_case: str
    ) -> None:
        with conformance_bench.untouched(conformance_case) as trial:
            case = trial.case
            written = trial.run("runbook", case.provider, *_options_of_runbook(case))
            require(written.code == 0, "`pullkey runbook` fails.", written)
            plan = trial.life.world.run(
                "plan", case.provider, *case.options, "--output", "json", stdin=case.stdin
            )
            empty = [step["name"] for step in json.loads(plan.out)["steps"] if not step["command"].strip()]
            require(not empty, "These steps have no script that does them by hand.", empty)
        if shutil.which("shellcheck") is None:
            pytest.skip("shellcheck is not installed")
        # SC2016: single quotes expand nothing, on purpose. SC2089, SC2090: a value with quotes is one word.
        checked = subprocess.run(
            ["shellcheck", "--exclude=SC2016,SC2089,SC2090", "-"],
            input=written.out,
            capture_output=True,
            text=True,
            check=False,
        )
        require(checked.returncode == 0, "shellcheck objects to the steps' scripts.", checked.stdout)


def _options_of_runbook(case: ConformanceCase) -> Sequence[str]:
    """The options without secrets, for which a runbook prompts."""
    if case.runbook is not None:
        return case.runbook
    return [one for one in case.options if not one.endswith("-stdin")]


class TestRollback:
    """What fails is undone."""

    def test_a_refused_registration(self, conformance_bench: Bench, conformance_case: str) -> None:
        with conformance_bench.untouched(conformance_case) as trial:
            trial.fault(REFUSED)
            failed = trial.onboard()
            require(failed.code == 1, "A run that Akka refuses does not end with exit code 1.", failed)
            _require_unchanged(trial, trial.life.before, "a run that was rolled back")

    def test_each_refused_change(self, conformance_bench: Bench, conformance_case: str) -> None:
        """Whatever the cloud refuses, what was created before is undone."""
        with conformance_bench.untouched(conformance_case) as trial:
            trial.onboard()
            log = trial.life.world.running.sandbox.log.calls
            calls = dict.fromkeys(
                f"{one.api}.{one.method}" for one in log if one.changes and one.api != "akka"
            )
        for call in calls:
            with conformance_bench.untouched(conformance_case) as trial:
                trial.fault(f"{call}=403*forever")
                failed = trial.onboard()
                require(
                    failed.code not in (0, 2) and not is_unexpected(failed.text),
                    f"Where {call} is refused, the run does not say what failed: a client raises ApiError, "
                    "and `refusal` words it.",
                    failed,
                )
                left = [one for one in trial.there() - trial.life.before if not is_named(one, failed.text)]
                require(
                    not left,
                    f"Where {call} is refused, something is left over and not reported: `undo` does not "
                    f"remove "
                    "what `do` has created.",
                    left,
                    failed,
                )
                lost = trial.life.before - trial.there()
                require(not lost, f"Where {call} is refused, something of others is lost.", lost)


class TestKill:
    """A command that is killed is completed, or cleaned up after, by the next."""

    @pytest.mark.parametrize("command", COMMANDS)
    def test_before_and_after_each_change(
        self,
        conformance_bench: Bench,
        conformance_case: str,
        command: str,
        request: pytest.FixtureRequest,
    ) -> None:
        full = request.config.getoption("--pullkey-full")
        begin = conformance_bench.untouched if command == "onboard" else conformance_bench.onboarded
        with begin(conformance_case) as trial:
            every = points_of(trial.victim(command))
        wrong: list[str] = []
        created = self._created(every)
        for point in every if full else [one for one in every if one.where != JOURNAL]:
            for machine in machines_of(conformance_case) if full or point == created else ["same"]:
                with begin(conformance_case) as trial:
                    wrong += self._tried(trial, command, point, machine)
        require(
            not wrong,
            f"`pullkey {command}` was killed, and the next run did not leave one key that works, or did not "
            "report each other: an object is found again by the mark of its run (`of_run`, `is_of_run`) "
            "or by "
            "what was there before (`ids_now`).",
            *wrong,
        )

    @staticmethod
    def _created(every: Sequence[Point]) -> Point | None:
        """The point at which there is a key that no record names: the last before it is registered."""
        before = itertools.takewhile(lambda one: one.where != REGISTERED.where, every)
        ours = [
            one
            for one in before
            if one.when == "after" and one.where != JOURNAL and not one.where.startswith("akka.")
        ]
        return ours[-1] if ours else None

    @staticmethod
    def _tried(trial: Trial, command: str, point: Point, machine: str) -> list[str]:
        victim = trial.victim(command)
        reached = victim.killed(point)
        if machine != "same":
            forget(victim)
        verdict = judge(victim, [point], machine, trial.life.before, reached=reached)
        return [] if verdict.good else [str(verdict), *verdict.said.strip().splitlines()[-12:]]


class TestFaults:
    """Each call fails, once and forever: by default a selection, with `--pullkey-full` every fault."""

    @pytest.mark.timeout(0)
    def test_nothing_is_left_over_unreported(
        self, conformance_case: str, request: pytest.FixtureRequest
    ) -> None:
        full = request.config.getoption("--pullkey-full")
        known = {f"any {command} {method}" for command in _COMMANDS for method in _READS_OF_AKKA}
        # How the built-in ones read their answers is tested by itself.
        bodies = not plugins.installed()[KINDS[conformance_case].provider][0].built_in
        with Workers(fork_server(), _AT_ONCE) as workers:
            calls = {command: workers.calls_of(conformance_case, command) for command in _COMMANDS}
            cases = [
                case
                for command, found in calls.items()
                for case in (
                    all_cases(conformance_case, command, found.result())
                    if full
                    else selection(conformance_case, command, found.result(), known, bodies=bodies)
                )
            ]
            outcomes = [one for future in [*map(workers.run_case, cases)] if (one := future.result())]
        wrong = [
            f"{one.case}: exit code {one.code}, {one.seconds} s: {one.wrong}" for one in outcomes if one.wrong
        ]
        require(
            not wrong,
            "A call failed, and the run left something over that it does not report, lost something, or did "
            "not end as it should. Each line is a case for `scripts/fault-suite --case`.",
            *wrong,
        )


_COMMANDS = ("onboard", "rotate", "offboard")
_READS_OF_AKKA = (
    "akka.version",
    "akka.auth.current-login",
    "akka.projects.get",
    "akka.projects.list",
    "akka.docker.list-credentials",
)
"""The same for every provider, and tested with pullkey's own."""


class TestLag:
    """Reads that show a change late."""

    def test_a_whole_life_where_replicas_lag(self, conformance_case: str) -> None:
        kind = KINDS[conformance_case]
        for world in make_world(kind.provider, SandboxSettings(consistency="real")):
            life = Life(world, kind)
            life.before = life.there()
            for done in self._live(life):
                require(
                    done.code == 0,
                    "A command fails where the cloud's reads lag: absence is believed only after a second "
                    "look "
                    "(`confirm_absent`), and an error that a delay causes is a Delay (`retry_while`).",
                    done,
                )
            _require_unchanged(Trial(life), life.before, "a life where reads lag")
            asked = world.running.sandbox.replicas.asked
        if not asked:
            pytest.skip("the emulator's reads ask `Sandbox.shows` of no change, so none lags")

    @staticmethod
    def _live(life: Life) -> Iterator[Result]:
        yield life.onboard("--timeout", "60s")
        yield life.command("rotate", life.name, "--keep-old", "0")
        yield life.command("offboard", life.name)

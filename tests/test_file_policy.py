"""The `policy` of a file of registries: a target that does not observe it is a mistake at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from bootstrap.cli.command_table import command_of
from bootstrap.fleet.registries import InvalidFile, Registries, parse, parse_entries
from bootstrap.fleet.schema import registries_schema

UPLOADED = """  - provider: gcr
    server: europe-west1-docker.pkg.dev/acme-shop/containers
    key-source: upload
    expires-in: 60d
"""
AZURE = """  - provider: acr
    registry: acmeshop
    expires-in: 90d
"""
PRIVATE = """  - provider: private
    server: https://registry.example.com
    username: ops
    password: env:PASSWORD
"""


def document(policy: str, targets: str) -> str:
    return f"version: 1\npolicy:\n{policy}targets:\n{targets}"


def understood(policy: str, targets: str) -> Registries:
    return parse(document(policy, targets).encode(), "registries.yaml", base=Path("/tmp"))


def taken(policy: str, targets: str) -> bool:
    return bool(understood(policy, targets).entries)


def faults(policy: str, targets: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        understood(policy, targets)
    return caught.value.lines


def test_targets_that_observe_it_are_taken() -> None:
    policy = """  max-lifetime: 90d
  require-expiry: true
  allowed-roles: [roles/artifactregistry.reader]
  allowed-hosts: ["*.AZURECR.io", europe-west1-docker.pkg.dev]
  identity: per-registry
"""
    assert len(understood(policy, UPLOADED + AZURE).entries) == 2


def test_a_key_that_lasts_too_long_is_marked_at_its_lifetime() -> None:
    assert faults("  max-lifetime: 60d\n", UPLOADED + AZURE) == [
        (
            "registries.yaml:11:5: its key is valid for 90 days, and the policy's max-lifetime is 60 days. "
            "Set a shorter expires-in"
        )
    ]


def test_a_lifetime_of_the_defaults_is_marked_there_once() -> None:
    text = (
        "version: 1\npolicy: {max-lifetime: 60d}\ndefaults:\n  acr:\n    expires-in: 120d\ntargets:\n"
        "  - {provider: acr, registry: acmeshop}\n  - {provider: acr, registry: acmevault}\n"
    )
    with pytest.raises(InvalidFile) as caught:
        parse(text.encode(), "registries.yaml", base=Path("/tmp"))
    (line,) = caught.value.lines
    assert line.startswith("registries.yaml:5:5: its key is valid for 120 days")


def test_the_lifetime_that_a_provider_sets_by_itself_counts() -> None:
    (line,) = faults("  max-lifetime: 90d\n", "  - {provider: acr, registry: acmeshop}\n")
    assert line.startswith("registries.yaml:5:5: its key is valid for 365 days")


def test_a_key_that_does_not_expire_is_marked_where_that_is_required() -> None:
    created = "  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}\n"
    lines = faults("  require-expiry: true\n", created + PRIVATE + AZURE)
    assert [line.partition(": its")[0] for line in lines] == ["registries.yaml:5:5", "registries.yaml:6:5"]
    assert len(understood("  require-expiry: false\n", created + PRIVATE).entries) == 2


CREATED = "  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}\n"


def test_a_key_that_pullkey_sets_no_expiry_for_lasts_too_long() -> None:
    """By default Google creates it, without expiry, or it is uploaded and lasts ten years."""
    assert faults("  max-lifetime: 90d\n", CREATED + PRIVATE) == [
        (
            "registries.yaml:5:5: no expires-in is set for its key, which outlives the policy's "
            "max-lifetime, 90 days. Set expires-in: 90d, or less"
        )
    ]


def test_one_whose_source_is_named_is_marked_there() -> None:
    for source in ("auto", "create"):
        (line,) = faults("  max-lifetime: 36h\n", CREATED.replace("}", f", key-source: {source}}}"))
        assert line.startswith("registries.yaml:5:79: no expires-in is set"), line
        assert line.endswith("Set expires-in: 1d12h, or less")
    assert taken("  max-lifetime: 90d\n", CREATED.replace("}", ", expires-in: 90d}"))
    assert taken("  max-lifetime: 90d\n", CREATED.replace("}", ", remove: true}"))


def test_a_password_of_the_user_has_no_lifetime_that_pullkey_could_set() -> None:
    hub = "  - {provider: docker-hub, hub-user: acmebot, repository: acme/checkout, token: 'env:TOKEN'}\n"
    assert taken("  max-lifetime: 1d\n", PRIVATE + hub)
    assert len(faults("  require-expiry: true\n", PRIVATE + hub)) == 2


def test_a_role_that_is_not_allowed_is_marked() -> None:
    wide = UPLOADED + "    role: projects/acme-shop/roles/puller\n    allow-custom-role: true\n"
    assert faults("  allowed-roles: [roles/artifactregistry.*, roles/storage.objectViewer]\n", wide) == [
        (
            "registries.yaml:9:5: the policy's allowed-roles do not include projects/acme-shop/roles/puller. "
            "There are: roles/artifactregistry.*, roles/storage.objectViewer"
        )
    ]
    assert taken("  allowed-roles: [roles/artifactregistry.*]\n", UPLOADED + AZURE)
    assert taken("  allowed-roles: [none]\n", UPLOADED + "    skip-grant: true\n")


def test_a_host_that_is_not_allowed_is_marked_at_its_address() -> None:
    assert faults('  allowed-hosts: ["*.pkg.dev", gcr.io]\n', UPLOADED + AZURE) == [
        (
            "registries.yaml:10:5: the policy's allowed-hosts do not include acmeshop.azurecr.io. There are: "
            "*.pkg.dev, gcr.io"
        )
    ]


def test_an_identity_of_two_registries_is_marked_at_the_second() -> None:
    policy = "  identity: per-registry\n"
    (line,) = faults(policy, AZURE + "  - {provider: acr, registry: acmevault}\n")
    assert line.startswith("registries.yaml:8:5: it has the same identity as acmeshop")
    assert " in line 5, and the policy has identity: per-registry" in line
    twice = AZURE + AZURE + "    akka-project: billing\n"
    assert len(understood(policy, twice).entries) == 2
    assert taken(
        policy, AZURE + "    app: per-registry\n  - {provider: acr, registry: b00ks, app: per-registry}\n"
    )


def test_a_target_that_is_to_be_removed_need_not_observe_it() -> None:
    assert taken("  max-lifetime: 1d\n  allowed-hosts: [gcr.io]\n", AZURE + "    remove: true\n")


def test_a_plan_is_applied_as_it_was_saved() -> None:
    found = understood("  max-lifetime: 90d\n", AZURE)
    assert len(parse_entries([one.raw for one in found.entries], "today.plan").entries) == 1


# -- in a file of its own ------------------------------------------------------------------------------------


def validate(*arguments: str) -> int:
    return int(command_of("validate").main([*arguments], standalone_mode=False))


@pytest.fixture
def registries(tmp_path: Path) -> Path:
    path = tmp_path / "registries.yaml"
    path.write_text(document("  max-lifetime: 400d\n", AZURE))
    return path


def test_a_policy_of_its_own_file_holds_beside_that_of_the_registries(
    registries: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = registries.with_name("policy.yaml")
    policy.write_text("version: 1\npolicy: {max-lifetime: 60d}\n")
    told = (
        f"{registries}:7:5: its key is valid for 90 days, and the policy's max-lifetime is 60 days ({policy})"
    )
    assert validate(str(registries)) == 0
    assert validate(str(registries), "--policy", str(policy)) == 2
    assert told in capsys.readouterr().out
    monkeypatch.setenv("PULLKEY_POLICY", str(policy))
    assert validate(str(registries), "--output", "github") == 2
    assert f"file={registries},line=7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1\n", "1:1: policy is missing"),
        ("policy: {max-lifetime: 60d}\n", "1:1: version is missing"),
        ("version: 1\npolicy: {max-livetime: 60d}\n", "2:10: "),
        ("version: 1\npolicy: {}\ntargets: []\n", "3:1: "),
        ("", "1:1: policy is missing"),
        ("- 1\n", "1:1: policy is missing"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_at_its_line(
    registries: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = registries.with_name("policy.yaml")
    policy.write_text(text)
    assert validate(str(registries), "--policy", str(policy)) == 2
    assert f"{policy}:{told}" in capsys.readouterr().out


def test_the_mistakes_of_a_policy_have_an_entry_of_their_own(
    registries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = registries.with_name("policy.yaml")
    policy.write_text("version: 1\n\npolicy: {max-livetime: 60d}\n")
    given = (str(registries), str(registries), "--policy", str(policy), "--output", "json")
    assert validate(*given) == 2
    of_policy, *others = json.loads(capsys.readouterr().out)["files"]
    assert (of_policy["file"], of_policy["valid"]) == (str(policy), False)
    assert [(one["file"], one["line"]) for one in of_policy["faults"]] == [(str(policy), 3)]
    assert [(one["file"], one["valid"]) for one in others] == [(str(registries), True)] * 2


def test_a_policy_that_is_not_there_is_no_reason_to_do_without(
    registries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate(str(registries), "--policy", str(registries.with_name("none.yaml"))) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "policy",
    [
        "  max-lifetime: 90\n",
        "  max-lifetime: soon\n",
        "  require-expiry: 'yes'\n",
        "  allowed-roles: roles/owner\n",
        "  allowed-roles: []\n",
        "  allowed-hosts: [1]\n",
        '  allowed-hosts: [""]\n',
        "  identity: shared\n",
        "  max-livetime: 90d\n",
        "  - 90d\n",
        "  expires-in: 90d\n",
    ],
)
def test_what_is_no_policy_is_refused_by_the_schema_too(policy: str) -> None:
    assert faults(policy, AZURE)
    assert not Draft202012Validator(registries_schema()).is_valid(
        yaml.safe_load(document(policy, AZURE)) | {}
    )


def test_the_schema_takes_what_is_taken() -> None:
    policy = "  max-lifetime: 90d\n  require-expiry: true\n  allowed-roles: [a]\n  allowed-hosts: ['*']\n"
    policy += "  identity: per-registry\n"
    Draft202012Validator(registries_schema()).validate(yaml.safe_load(document(policy, AZURE)))


def test_validate_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "registries.yaml"
    path.write_text(document("  max-lifetime: 60d\n", AZURE))
    assert command_of("validate").main([str(path)], standalone_mode=False) == 2
    assert f"{path}:7:5: its key is valid for 90 days" in capsys.readouterr().out

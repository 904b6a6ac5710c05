"""What the Akka CLI prints, documented or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.akka import project
from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.output import Unreadable, parse_credentials
from bootstrap.akka.records import all_records
from bootstrap.akka.refusals import ChangeRefused
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret

HELD = HeldCredential(
    "docker-credentials", "https://us-docker.pkg.dev", "_json_key", "user@example.com", "OK"
)

# As the guide shows it: the row is not aligned with its header.
GUIDE = """\
NAME                STATUS  SERVER                                  EMAIL             USERNAME
docker-credentials  OK      https://us-docker.pkg.dev     user@example.com  _json_key
"""


@pytest.mark.parametrize(
    "text",
    [
        GUIDE,
        json.dumps([vars(HELD)]),
        json.dumps({"items": [vars(HELD)]}),
        json.dumps({"credentials": [{key.upper(): value for key, value in vars(HELD).items()}]}),
        json.dumps(
            [{**vars(HELD), "name": "projects/1/dockercredentials/docker-credentials", "more": {"a": 1}}]
        ),
        json.dumps({"next_page_token": None, "credentials": [vars(HELD)]}),
        json.dumps({"warnings": [], "rows": [vars(HELD)]}),
        json.dumps({"regions": [{"name": "eu"}], "credentials": [vars(HELD)]}),
        "A new version of the Akka CLI is available\n\n" + json.dumps([vars(HELD)], indent=2),
        "A new version of the Akka CLI is available\n\n" + GUIDE,
    ],
)
def test_every_form_that_is_known_is_read(text: str) -> None:
    assert parse_credentials(text) == [HELD]


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "{}",
        '{"items": null}',
        '{"items": [], "total": 0}',
        "No credentials found.",
        "NAME STATUS SERVER",
    ],
)
def test_nothing_is_an_empty_list(text: str) -> None:
    assert parse_credentials(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        '"text"',
        "5",
        '[1, "x", null]',
        "[{]",
        "<html>",
        '{"items": {"0": []}}',
        '[{"server": "x"}]',
        '{"level": "warn", "error": null}',
        '{"eu": [{"name": "a"}], "us": [{"name": "b"}]}',
        '{"credentials": [], "errors": ["permission denied"]}',
        "No valid login found",
        "No context selected. Run: akka auth login",
        "Error: not logged in",
        "~~ (c) nobody documented this",
    ],
)
def test_what_cannot_be_read_is_not_taken_for_nothing(text: str) -> None:
    """Else a credential that Akka has would be overwritten, or removed, as one that is not there."""
    with pytest.raises(Unreadable):
        parse_credentials(text)


@pytest.mark.parametrize(("as_text", "held"), [("", []), (GUIDE, [HELD])])
def test_silence_as_json_is_believed_only_where_the_text_form_is_silent_too(
    tmp_path: Path, as_text: str, held: list[HeldCredential]
) -> None:
    (tmp_path / "text").write_text(as_text)
    program = tmp_path / "akka"
    program.write_text(f'#!/bin/sh\ncase "$*" in *json*) ;; *) cat {tmp_path}/text ;; esac\n')
    program.chmod(0o755)
    akka = AkkaCli(AkkaScope(), Deadline(10), lambda _: None, str(program))

    assert asyncio.run(akka.credentials()) == held


def _akka(tmp_path: Path, script: str) -> AkkaCli:
    """A CLI that is a shell script; `$*` are its arguments."""
    program = tmp_path / "akka"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return AkkaCli(AkkaScope(), Deadline(10), lambda _: None, str(program))


def test_an_error_beside_silence_is_not_an_empty_list(tmp_path: Path) -> None:
    akka = _akka(tmp_path, "echo 'Your login has expired' >&2")
    with pytest.raises(StepFailed, match="Your login has expired"):
        asyncio.run(akka.credentials())


def test_colours_are_not_part_of_what_is_printed(tmp_path: Path) -> None:
    coloured = GUIDE.replace("NAME  ", "\033[1mNAME\033[0m  ").replace("OK", "\033[32mOK\033[0m")
    (tmp_path / "text").write_text(coloured)
    akka = _akka(tmp_path, f'case "$*" in *json*) exit 1 ;; *) cat {tmp_path}/text ;; esac')
    assert asyncio.run(akka.credentials()) == [HELD]


def test_the_project_is_found_behind_a_notice(tmp_path: Path) -> None:
    """Else it would count as another project, whose credentials need this one's keys."""
    one = '{"friendly_name": "shop", "owner": {"friendly_name": "acme"}}'
    akka = _akka(
        tmp_path,
        f"echo 'A new version is available'; case \"$*\" in *'projects get'*) echo '{one}' ;; "
        f"*'projects list'*) echo '[{one}]' ;; *) echo '[{json.dumps(vars(HELD))}]' ;; esac",
    )
    assert asyncio.run(all_records(akka, pytest.fail)) == [("", HELD)]


@pytest.mark.parametrize("listed", ["NAME  ID", "", '{"organisations": {}}', "Error: not logged in"])
def test_projects_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path, listed: str) -> None:
    """Else a key that another project has too would be deleted with this one's."""
    akka = _akka(
        tmp_path,
        f"case \"$*\" in *'projects list'*) echo '{listed}' ;; *) echo '[{json.dumps(vars(HELD))}]' ;; esac",
    )
    said: list[str] = []
    assert asyncio.run(all_records(akka, said.append)) == [("", HELD)]
    assert "other projects of Akka have could not be seen: akka projects list" in said[0]


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_an_error_with_exit_code_0_is_no_removal(tmp_path: Path, stream: str) -> None:
    """Else the key would be deleted with which Akka still pulls."""
    akka = _akka(
        tmp_path,
        f"case \"$*\" in *list-cred*) echo '[{json.dumps(vars(HELD))}]' ;; "
        f"*) echo 'Error: rpc error: code = InvalidArgument desc = invalid name'{stream} ;; esac",
    )
    with pytest.raises(StepFailed, match="remove-credentials failed: Error: rpc error"):
        asyncio.run(akka.remove_reference(HELD.name))


def test_a_secret_that_may_still_be_there_is_not_reported_as_deleted(tmp_path: Path) -> None:
    akka = _akka(tmp_path, "echo 'Error: project not found' >&2; exit 1")
    with pytest.raises(StepFailed, match="akka secrets list failed"):
        asyncio.run(akka.remove_secret(HELD.name))


def test_a_network_that_is_down_is_not_an_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a login without a network reads that its project, or its service, does not exist."""
    monkeypatch.setattr("bootstrap.akka.runner._PAUSES", ())
    akka = _akka(
        tmp_path,
        'case "$*" in version*) echo 3.0.71 ;; *login*) echo ops@acme.example ;; '
        "*) echo 'Error: rpc error: code = Unavailable desc = transport: Error while dialing: dial tcp: "
        "lookup api.akka.example on 127.0.0.53:53: no such host' >&2; exit 1 ;; esac",
    )
    (problem,) = asyncio.run(akka.preflight())
    assert problem.code is Code.AKKA_FAILED
    assert problem.what.startswith("Akka cannot show ")
    with pytest.raises(StepFailed, match="no such host"):
        asyncio.run(akka.service("cart"))


def test_an_error_is_found_behind_a_long_notice(tmp_path: Path) -> None:
    notice = "This version of the CLI is no longer supported. " * 20
    akka = _akka(
        tmp_path,
        f"echo '{notice}' >&2; echo 'Error: rpc error: code = PermissionDenied desc = {'x' * 500} may not "
        "change the registry' >&2; exit 1",
    )
    credential = Credential("https://x", "user", Secret("hunter2hunter2"), KeyRef("name", "abc123", "x"))
    with pytest.raises(StepFailed, match="add-credentials failed: Error: rpc error") as raised:
        asyncio.run(akka.add_credentials(HELD.name, credential))
    # The configuration is written after the secret, so something was written.
    assert not isinstance(raised.value, ChangeRefused)


def test_a_notice_may_look_like_json() -> None:
    text = f"[99.0.0] is available {{really}}\n{json.dumps([vars(HELD)])}\nSee you."
    assert parse_credentials(text) == [HELD]
    assert parse_credentials(f"[99.0.0] is available\n{GUIDE}") == [HELD]


def test_blank_columns_do_not_shift_the_others() -> None:
    text = (
        "NAME STATUS SERVER EMAIL USERNAME\na  OK  https://x  \nb  OK  y.azurecr.io  user\nc  OK  z  u@v.w\n"
    )
    assert parse_credentials(text) == [
        HeldCredential("a", "https://x", "", "", "OK"),
        HeldCredential("b", "y.azurecr.io", "user", "", "OK"),
        HeldCredential("c", "z", "", "u@v.w", "OK"),
    ]


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "server", "status", "items", "x"]), inner)
    ),
)


@given(JSON)
def test_any_json_is_read_or_passed_over(document: Any) -> None:
    with contextlib.suppress(Unreadable):
        assert all(held.name for held in parse_credentials(json.dumps(document)))


@given(st.text())
def test_any_text_is_read_or_passed_over(text: str) -> None:
    with contextlib.suppress(Unreadable):
        parse_credentials(text)


@pytest.mark.parametrize("flood", ["\n", "null\n", "[\n", "1", "a", "1.", " \n", "\t", "@"])
def test_a_flood_is_read_in_time_that_grows_with_its_length_alone(flood: str) -> None:
    text = (flood * 1_000_000)[:1_000_000]
    begin = time.process_time()
    with contextlib.suppress(StepFailed):
        parse_credentials(text)
    project._VERSION.search(text)
    project._EMAIL.search(text)
    assert time.process_time() - begin < 5

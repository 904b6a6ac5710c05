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
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed

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
        "A new version of the Akka CLI is available\n\n" + json.dumps([vars(HELD)], indent=2),
        "A new version of the Akka CLI is available\n\n" + GUIDE,
    ],
)
def test_every_form_that_is_known_is_read(text: str) -> None:
    assert parse_credentials(text) == [HELD]


@pytest.mark.parametrize(
    "text", ["null", "[]", "{}", '{"items": null}', "No credentials found.", "NAME STATUS SERVER"]
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

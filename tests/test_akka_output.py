"""What the Akka CLI prints, documented or not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.akka import Unreadable, parse_credentials
from bootstrap.common_steps import same_server
from bootstrap.provider import HeldCredential

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


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"items": null}', "No credentials found.", "NAME STATUS SERVER"])  # fmt: skip
def test_nothing_is_an_empty_list(text: str) -> None:
    assert parse_credentials(text) == []


@pytest.mark.parametrize("text", ['"text"', "5", '[1, "x", null]', "[{]", "<html>", '{"items": {"0": []}}', '[{"server": "x"}]', "~~ (c) nobody documented this"])  # fmt: skip
def test_what_cannot_be_read_is_not_taken_for_nothing(text: str) -> None:
    """Else a credential that Akka has would be overwritten, or removed, as one that is not there."""
    with pytest.raises(Unreadable):
        parse_credentials(text)


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


def test_a_server_is_one_however_it_is_spelled() -> None:
    assert same_server("https://gcr.io", "gcr.io/")
    assert not same_server("https://gcr.io", "https://eu.gcr.io")

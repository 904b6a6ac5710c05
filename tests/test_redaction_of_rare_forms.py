"""Forms of a secret that no program writes by chance."""

from __future__ import annotations

import base64

import pytest

from bootstrap.model.secret import Secret

PASSWORD = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    "shown",
    [
        base64.b32encode(PASSWORD.encode()).decode(),
        base64.b32encode(f"ops:{PASSWORD}".encode()).decode().lower(),
        PASSWORD[::-1],
        PASSWORD.encode("utf-16-le").decode("latin-1"),
        PASSWORD.encode("utf-16-be").decode("latin-1"),
        "   ".join(PASSWORD),
    ],
)
def test_it_is_hidden(shown: str) -> None:
    assert "<hidden>" in Secret(PASSWORD).redact(f"x {shown} y")


def test_a_short_one_hides_nothing_that_is_not_it() -> None:
    assert Secret("tset").redact("a test of words") == "a test of words"

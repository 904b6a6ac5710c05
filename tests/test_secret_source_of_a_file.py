"""A target whose secret cannot be read is blocked; the fix names the field of the file, and its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.testing.harness.world import World

_BEGIN = """version: 1
targets:
  - provider: docker-hub
    hub-user: acmebot
    mint: true
    repository: acme/checkout
"""


@pytest.mark.parametrize(
    ("source", "what", "fix"),
    [
        (
            "    login: env:NOT_SET_HERE\n",
            "login: env:NOT_SET_HERE is not set, or empty",
            "in line 7: login: env:NAME",
        ),
        ("", "The file names no source of the token or login", "in line 3, as token or login: env:NAME"),
    ],
)
def test_the_fix_names_the_field_and_its_line(
    hub: World, tmp_path: Path, source: str, what: str, fix: str
) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(_BEGIN + source)
    plan = hub.run("plan", str(file), "--output", "json")
    problem = plan.json["targets"][0]["problems"][0]
    assert problem["what"] == what
    assert fix in problem["fix"]

"""What the commands print, as text and as JSON, and what they end with, is what `tests/command_output/`
holds, to the letter.

PULLKEY_TESTS_WRITE=1 scripts/with-env pytest tests/test_command_output.py     writes it anew; read the
difference
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from bootstrap.testing.harness.world import make_world
from tests.harness.command_sessions import SESSIONS, played

FOLDER = Path(__file__).parent / "command_output"


@pytest.mark.parametrize("name", SESSIONS)
def test_it_prints_what_it_printed(name: str, tmp_path: Path) -> None:
    session = SESSIONS[name]
    for world in make_world(session.provider):
        found = played(session, world, tmp_path)
    file = FOLDER / f"{name}.txt"
    if os.environ.get("PULLKEY_TESTS_WRITE"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    recorded = file.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        recorded.splitlines(), found.splitlines(), "recorded", "now", lineterm=""
    )
    assert found == recorded, "\n".join(difference)

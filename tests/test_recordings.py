"""The emulators answer as the real clouds did, where recordings of those are beside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recorded.comparison import Answer, Exchange, Reason, Reasons, compare, read_exchanges

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "compare-with-recordings"
BESIDE = [parent / "shared" / "recordings" for parent in (ROOT.parent, ROOT.parent.parent)]
# Read before the tests take a person's own settings away.
FOLDER = Path(os.environ.get("PULLKEY_RECORDINGS") or next((it for it in BESIDE if it.is_dir()), BESIDE[0]))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("cloud", ["google", "azure"])
def test_each_difference_from_the_recordings_has_a_reason(cloud: str, tmp_path: Path) -> None:
    if not (FOLDER / f"{cloud}.json").is_file():
        pytest.skip(f"there are no recordings in {FOLDER} (PULLKEY_RECORDINGS names another folder)")
    figures = tmp_path / "figures.json"
    done = run(str(FOLDER), "--cloud", cloud, "--json", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    counted = json.loads(figures.read_text())[cloud]
    assert counted["without a reason"] == 0
    assert counted["same"] > counted["differs"] + counted["not served"]


def test_a_folder_without_recordings_is_a_sentence(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no recordings" in done.stderr
    assert "Traceback" not in done.stderr


class Fixed:
    """A cloud that always answers the same."""

    name = "fixed"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def prepare(self, exchange: Exchange) -> None: ...

    def send(self, exchange: Exchange) -> Answer:
        return self._answer

    def error_code(self, body: Any) -> str:
        return str(body.get("code", "")) if isinstance(body, dict) else ""

    def form(self, path: str, value: Any) -> str | None:
        return type(value).__name__ if path != "free" else None

    def more(self, exchange: Exchange, answer: Answer) -> list[str]:
        return []


def recorded(body: Any, status: int = 200) -> Exchange:
    return Exchange("GET", "https://cloud.example/v1/things/1?alt=json", None, status, body, {})


@pytest.mark.parametrize(
    ("there", "here", "found"),
    [
        ({"a": "x", "b": [{"c": 1}]}, {"a": "y", "b": [{"c": 2}, {"c": 3}]}, []),
        ({"a": 1}, {"a": "1"}, ["form of a: int recorded, str here"]),
        ({"free": 1}, {"free": "1"}, []),
        ({"b": [{"c": 1}]}, {"b": [{"d": 1}]}, ["lacks b.*.c", "adds b.*.d"]),
        ({"code": "GONE"}, {"code": "LOST"}, ["code: GONE recorded, LOST here"]),
    ],
)
def test_keys_codes_and_forms_are_compared_and_values_are_not(
    there: Any, here: Any, found: list[str]
) -> None:
    cloud = Fixed(Answer(200, here))
    (outcome,) = compare(cloud, [recorded(there)], Reasons((), ()))
    assert list(outcome.differences) == found
    assert outcome.unexplained == found


def test_another_status_is_all_that_is_said_and_a_reason_may_explain_it() -> None:
    why = Reason("GET cloud.example/v1/things/*", "because", difference="status*", status=404)
    for known, left in ((why, []), (Reason("POST *", "another call"), ["status: 404 recorded, 200 here"])):
        (outcome,) = compare(Fixed(Answer(200, {})), [recorded({"a": 1}, 404)], Reasons((known,), ()))
        assert (outcome.verdict, outcome.unexplained) == ("differs", left)


def test_what_is_not_served_needs_a_reason_of_its_own() -> None:
    nothing = Fixed(Answer(404, None, served=False))
    (outcome,) = compare(nothing, [recorded({})], Reasons((Reason("*", "of a difference"),), ()))
    assert (outcome.verdict, outcome.unexplained) == ("not served", ["not served"])
    (outcome,) = compare(
        nothing, [recorded({})], Reasons((), (Reason("GET cloud.example/*", "never called"),))
    )
    assert outcome.unexplained == []


def test_placeholders_are_filled_alike_in_request_and_answer(tmp_path: Path) -> None:
    path = tmp_path / "google.json"
    url = "https://cloud.example/${projectId}"
    path.write_text(
        json.dumps([{"method": "GET", "url": url, "status": 200, "response_body": {"id": "${projectId}"}}])
    )
    (one,) = read_exchanges(path)
    assert "$" not in one.url
    assert one.url.endswith(one.response_body["id"])


def test_a_request_that_nobody_foresaw_is_a_difference_and_ends_nothing() -> None:
    class Broken(Fixed):
        def prepare(self, exchange: Exchange) -> None:
            raise IndexError("no such part")

    outcomes = list(compare(Broken(Answer(200, {})), [recorded({}), recorded({})], Reasons((), ())))
    assert [one.verdict for one in outcomes] == ["differs", "differs"]
    assert all("could not be sent: IndexError" in one.unexplained[0] for one in outcomes)

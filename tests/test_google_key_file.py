"""Google's key file as the password of `_json_key`, as it is and in base64, from wherever it comes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiohttp import web

from bootstrap.testing.harness.world import World
from tests.harness.google_state import KEY_FILE
from tests.harness.odd_registry import HOST, IMAGE, NAME, basic_of, make_odd, onboard

LINES = base64.encodebytes(KEY_FILE.encode()).decode()
FORMS = {
    "json": ("_json_key", KEY_FILE),
    "crlf": ("_json_key", KEY_FILE.replace("\n", "\r\n")),
    "base64": ("_json_key_base64", LINES.replace("\n", "")),
    "base64-lines": ("_json_key_base64", LINES.rstrip("\n")),
}


@pytest.fixture
def odd() -> Iterator[World]:
    for world in make_odd():
        world.cloud.token = lambda request: web.json_response(
            {"token": "of-ops" if (basic_of(request) or "").startswith("_json_key") else "of-anybody"}
        )
        yield world


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"], ids=["none", "lf", "crlf", "two"])
def test_on_stdin(odd: World, form: str, end: str) -> None:
    username, password = FORMS[form]
    odd.passwords += [password]
    done = onboard(odd, "--username", username, "--output", "json", password=password + end)
    assert done.code == 0, done.text
    assert done.json["proven"] == f"it reads the manifest of {IMAGE}"
    held = odd.held(NAME)
    assert (held.username, held.password) == (username, password)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["env", "file", "command"])
def test_from_a_source_of_a_file(
    odd: World, form: str, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    username, password = FORMS[form]
    odd.passwords += [password]
    key = tmp_path_factory.mktemp("key") / "keyfile.json"
    key.write_text(f"\ufeff{password}\n", newline="")
    source = {"env": "env:THE_KEY", "file": f"file:{key}", "command": f"command:cat {key}"}[kind]
    path = odd.place / "registries.yaml"
    path.write_text(
        f"version: 1\ntargets:\n  - provider: private\n    server: https://{HOST}/v1/\n    "
        f"username: {username}\n    image: {IMAGE}\n    password: '{source}'\n    akka-project: "
        "shop\n"
    )
    done = odd.run(
        "apply", "-f", str(path), "--yes", env={"THE_KEY": f"\ufeff{password}\n"} if kind == "env" else {}
    )
    assert done.code == 0, done.text
    assert odd.held(NAME).password == password
    path.unlink()


CUT = json.loads(KEY_FILE)


@pytest.mark.parametrize(
    ("username", "password", "said"),
    [
        ("_json_key", "hunter2-and-more", "it is not JSON"),
        ("_json_key", KEY_FILE[:-20], "it is not JSON"),
        ("_json_key", json.dumps([CUT]), "JSON of another kind"),
        ("_json_key", json.dumps({**CUT, "type": "authorized_user"}), '"type"'),
        (
            "_json_key",
            json.dumps({name: CUT[name] for name in CUT if name != "private_key"}),
            "no private_key",
        ),
        ("_json_key", json.dumps({**CUT, "client_email": 5}), "no client_email"),
        ("_json_key", LINES, "_json_key_base64"),
        ("_json_key", "[" * 70, "nested"),
        ("_json_key_base64", KEY_FILE, "plain key file"),
        ("_json_key_base64", "hunter2-and-more", "is not base64"),
        ("_json_key_base64", base64.b64encode(b"hunter2").decode(), "it is not JSON"),
        ("_json_key_base64", base64.b64encode(KEY_FILE[:-20].encode()).decode(), "it is not JSON"),
    ],
    ids=range(12),
)
def test_what_is_no_key_file_is_refused_and_not_shown(
    odd: World, username: str, password: str, said: str
) -> None:
    done = onboard(odd, "--username", username, password=password)
    assert done.code == 2, done.text
    assert said in done.err
    assert "PRIVATE KEY" not in done.text
    assert password[:30] not in done.text
    assert odd.cloud.got_password == []
    assert odd.names() == []


def test_a_byte_order_mark_is_no_part_of_a_password(odd: World) -> None:
    from tests.harness.odd_registry import PASSWORD

    odd.cloud.token = odd.cloud.tokened
    done = onboard(odd, password=f"\ufeff{PASSWORD}\r\n")
    assert done.code == 0, done.text
    assert odd.held(NAME).password == PASSWORD


def test_the_runbook_reads_the_file(odd: World) -> None:
    script = odd.run("runbook", "private", "--username", "_json_key")
    assert script.code == 0, script.text
    subprocess.run(["bash", "-n"], input=script.out, text=True, check=True)
    assert "KEY_FILE" in script.out
    assert "read -rs" not in script.out
    assert sys.executable not in script.out

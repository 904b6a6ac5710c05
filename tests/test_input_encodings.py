"""Files as editors and shells of Windows write them: a byte order mark, CRLF, UTF-16."""

from __future__ import annotations

import asyncio
import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.fleet.registries import load
from bootstrap.fleet.secret_sources import Source
from bootstrap.testing.harness.world import World

FILE = """\
version: 1
targets:
  - provider: gcr
    server: europe-west1-docker.pkg.dev/acme-shop/containers
    akka-project: shop
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_mark_and_line_ends_change_nothing_about_a_file(tmp_path: Path, mark: bytes, line_end: str) -> None:
    path = tmp_path / "registries.yaml"
    path.write_bytes(mark + FILE.replace("\n", line_end).encode())
    (entry,) = load(path).entries
    assert entry.name == "shop/europe-west1-docker-pkg-dev-acme-shop-containers"
    assert entry.place.line == 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_one_sentence(gcr: World, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "registries.yaml"
    path.write_bytes(FILE.encode(encoding))
    done = gcr.run("plan", "-f", str(path))
    assert done.code == 2
    assert f"{path}:1:" in done.err
    assert len(done.err.splitlines()) <= 4, done.err


def test_a_saved_plan_with_a_mark_is_the_same_plan(gcr: World, tmp_path: Path) -> None:
    path, plan = tmp_path / "registries.yaml", tmp_path / "today.plan"
    path.write_text(FILE)
    assert gcr.run("plan", "-f", str(path), "--save", str(plan)).code == 0
    plan.write_bytes(codecs.BOM_UTF8 + plan.read_bytes().replace(b"\n", b"\r\n"))
    assert gcr.run("apply", str(plan), "--yes").code == 0


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_password_is_what_was_typed(tmp_path: Path, mark: bytes, end: bytes) -> None:
    """From stdin and from a file, which `sources` reads."""

    path = tmp_path / "password.txt"
    path.write_bytes(mark + b"hunter2 hunter2" + end)
    secret = asyncio.run(Source.parse(f"file:{path}", "password", tmp_path).read())
    assert secret.reveal() == "hunter2 hunter2"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_password_in_another_encoding_is_refused(gcr: World, tmp_path: Path, encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", "verify", "gcr", "--credential-stdin"],
        env=gcr.environment(),
        input="hunter2 hunter2".encode(encoding),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    told = done.stderr.decode()
    assert "--credential-stdin" in told
    assert "hunter2" not in told
    assert len(told.splitlines()) <= 2, json.dumps(told)

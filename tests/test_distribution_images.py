"""The image store that is a real Distribution registry."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bootstrap.model.errors import UsageProblem
from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.sandbox.images import MANIFEST_TYPE, BuiltInImages, Image, ImageStore, digest

NAME = "europe-west1-docker.pkg.dev/acme/containers/checkout"
IMAGE = Image.build("hello")


def with_store(store: ImageStore, body: Callable[[ImageStore], Awaitable[None]]) -> None:
    async def run() -> None:
        await store.start()
        try:
            await body(store)
        finally:
            await store.stop()

    asyncio.run(run())


stores = pytest.mark.parametrize(
    "store", [BuiltInImages, pytest.param(DistributionImages, marks=pytest.mark.needs_debian)]
)


@stores
def test_what_was_put_can_be_pulled(store: Callable[[], ImageStore]) -> None:
    async def body(images: ImageStore) -> None:
        await images.put(NAME, "1.0", IMAGE)
        await images.put(NAME, "1.1", IMAGE)
        for reference in ("1.0", digest(IMAGE.manifest)):
            manifest = await images.manifest(NAME, reference, head=False)
            assert (manifest.status, manifest.body) == (200, IMAGE.manifest)
            assert manifest.headers["Docker-Content-Digest"] == digest(IMAGE.manifest)
            assert manifest.headers["Content-Type"] == MANIFEST_TYPE
        head = await images.manifest(NAME, "1.0", head=True)
        assert (head.status, head.body) == (200, None)
        assert head.headers["Content-Length"] == str(len(IMAGE.manifest))
        for blob in (IMAGE.config, IMAGE.layer):
            assert (await images.blob(NAME, digest(blob), head=False)).body == blob
            assert (await images.blob(NAME, digest(blob), head=True)).headers["Content-Length"] == str(
                len(blob)
            )
        assert await images.tags(NAME) == ["1.0", "1.1"]

    with_store(store(), body)


@stores
def test_what_is_not_there_is_told_as_the_specification_says(store: Callable[[], ImageStore]) -> None:
    async def body(images: ImageStore) -> None:
        assert await images.tags(NAME) is None
        await images.put(NAME, "1.0", IMAGE)
        manifest = await images.manifest(NAME, "2.0", head=False)
        blob = await images.blob(NAME, digest(b"something else"), head=False)
        for answer, code in ((manifest, "MANIFEST_UNKNOWN"), (blob, "BLOB_UNKNOWN")):
            assert answer.status == 404
            assert isinstance(answer.body, bytes)
            assert json.loads(answer.body)["errors"][0]["code"] == code

    with_store(store(), body)


@pytest.mark.needs_debian
def test_host_with_a_port_is_a_name_too() -> None:
    async def body(images: ImageStore) -> None:
        await images.put("127.0.0.1:5000/checkout", "1.0", IMAGE)
        assert await images.tags("127.0.0.1:5000/checkout") == ["1.0"]

    with_store(DistributionImages(), body)


@pytest.mark.needs_debian
def test_nobody_else_reaches_it_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # A person's own settings of a registry must not become those of this one.
    monkeypatch.setenv("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", str(tmp_path / "elsewhere"))
    pids = []

    async def body(images: ImageStore) -> None:
        assert isinstance(images, DistributionImages)
        assert images._process is not None
        pids.append(images._process.pid)
        await images.put(NAME, "1.0", IMAGE)
        assert _modes(tmp_path) == [0o700]
        assert not _listens_on_a_port(images._process.pid)

    with_store(DistributionImages(), body)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def _modes(directory: Path) -> list[int]:
    return [entry.stat().st_mode & 0o777 for entry in directory.iterdir()]


def _listens_on_a_port(pid: int) -> bool:
    opened = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {name[len("socket:[") : -1] for name in opened if name.startswith("socket:[")}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    return any(line.split()[9] in sockets for table in tables for line in table if line.split()[3] == "0A")


@pytest.mark.needs_debian
def test_temporary_directory_may_have_a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    async def body(images: ImageStore) -> None:
        await images.put(NAME, "1.0", IMAGE)
        assert await images.tags(NAME) == ["1.0"]

    with_store(DistributionImages(), body)


def test_missing_program_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageProblem, match="docker-registry is not installed") as raised:
        asyncio.run(DistributionImages().start())
    assert "apt install docker-registry" in raised.value.fix


def test_program_that_does_not_start_is_told_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "docker-registry"
    program.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UsageProblem, match="did not start: no space left"):
        asyncio.run(DistributionImages().start())
    assert [path.name for path in tmp_path.iterdir()] == ["docker-registry"]

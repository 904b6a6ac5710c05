"""A store of images in a real Distribution registry: Debian's `docker-registry`.

It runs without authentication on a socket in a private directory, so that no other user of this machine can
reach it, and it needs no port. The emulators decide before who may pull what.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import aiohttp
from aiohttp import web

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem
from bootstrap.sandbox.images import MANIFEST_TYPE, Image, digest

_PROGRAM = "docker-registry"
_SOCKET = "registry.sock"
_START_SECONDS = 20.0
_KEPT_HEADERS = ("Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version")


class DistributionImages:
    """An `ImageStore` in its own `docker-registry` process."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._opened: int | None = None

    async def start(self) -> None:
        """Start the registry and wait until it answers.

        Raises:
            UsageProblem: it is not installed, or does not start.
        """
        program = shutil.which(_PROGRAM)
        if program is None:
            raise UsageProblem(
                f"{_PROGRAM} is not installed",
                fix=f"Install it (on Debian: apt install {_PROGRAM}), or use the built-in registry",
                code=Code.SANDBOX,
            )
        self._directory = Path(tempfile.mkdtemp(prefix="pullkey-registry-"))
        try:
            await self._launch(program, self._directory)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the process and delete its images."""
        if self._http is not None:
            await self._http.close()
            self._http = None
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
            self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    async def put(self, name: str, tag: str, image: Image) -> None:
        """Push an image by the registry's API (Distribution specification, "Pushing an image")."""
        for blob in (image.config, image.layer):
            async with self._client.post(f"/v2/{_path(name)}/blobs/uploads/") as begun:
                begun.raise_for_status()
                location = begun.headers["Location"]
            joint = "&" if "?" in location else "?"
            async with self._client.put(f"{location}{joint}digest={digest(blob)}", data=blob) as stored:
                stored.raise_for_status()
        async with self._client.put(
            f"/v2/{_path(name)}/manifests/{tag}", data=image.manifest, headers={"Content-Type": MANIFEST_TYPE}
        ) as stored:
            stored.raise_for_status()

    async def manifest(self, name: str, reference: str, *, head: bool) -> web.Response:
        """GET or HEAD of a manifest, as the registry answers it."""
        return await self._read(f"/v2/{_path(name)}/manifests/{reference}", head=head)

    async def blob(self, name: str, blob_digest: str, *, head: bool) -> web.Response:
        """GET or HEAD of a blob, as the registry answers it."""
        return await self._read(f"/v2/{_path(name)}/blobs/{blob_digest}", head=head)

    async def tags(self, name: str) -> list[str] | None:
        """The tags of a repository; None if the registry does not have it."""
        async with self._client.get(f"/v2/{_path(name)}/tags/list") as answer:
            if answer.status == 404:
                return None
            answer.raise_for_status()
            listed = await answer.json()
        return sorted(listed["tags"] or [])

    async def below(self, folder: str) -> list[str]:
        """The names of the repositories below a folder, from the registry's catalog."""
        async with self._client.get("/v2/_catalog?n=1000") as answer:
            answer.raise_for_status()
            listed = await answer.json()
        start = f"{_path(folder)}/"
        return sorted(one.removeprefix(start) for one in listed["repositories"] if one.startswith(start))

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("The registry is not running.")
        return self._http

    async def _read(self, path: str, *, head: bool) -> web.Response:
        method = "HEAD" if head else "GET"
        async with self._client.request(method, path, headers={"Accept": MANIFEST_TYPE}) as answer:
            headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
            if head:
                headers["Content-Length"] = answer.headers.get("Content-Length", "0")
                return web.Response(status=answer.status, headers=headers)
            return web.Response(status=answer.status, headers=headers, body=await answer.read())

    async def _launch(self, program: str, directory: Path) -> None:
        settings = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "images")}},
            # Relative URLs: there is no host that an upload's address could name.
            "http": {"net": "unix", "addr": _SOCKET, "relativeurls": True},
        }
        config = directory / "config.yml"
        config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        with (directory / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program,
                "serve",
                str(config),
                cwd=directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Variables REGISTRY_... would override the settings.
                env={"PATH": str(Path(program).parent)},
                # A Ctrl-C in the terminal is meant for the command that uses the sandbox.
                start_new_session=True,
            )
        # A socket's path is limited to 107 characters, which a long TMPDIR exceeds: the registry names it
        # relative to its working directory, and the client by a descriptor of that directory.
        self._opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        connector = aiohttp.UnixConnector(_by_descriptor(self._opened, directory))
        self._http = aiohttp.ClientSession("http://registry", connector=connector, trust_env=False)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._answers():
                    if self._process.returncode is not None:
                        break
                    await asyncio.sleep(0.02)
                else:
                    return
        except TimeoutError:
            pass
        said = (directory / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise UsageProblem(
            f"{_PROGRAM} did not start: {said[-1] if said else 'it said nothing'}", code=Code.SANDBOX
        )

    async def _answers(self) -> bool:
        try:
            async with self._client.get("/v2/") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def _by_descriptor(opened: int, directory: Path) -> str:
    """The socket's path; without `/proc`, as on macOS, TMPDIR has to be short."""
    folder = Path(f"/proc/self/fd/{opened}")
    return str((folder if folder.exists() else directory) / _SOCKET)


def _path(name: str) -> str:
    """The store's name of a repository; the colon before a host's port is not allowed in it."""
    return name.replace(":", "__")

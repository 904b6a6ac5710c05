"""The images of the sandbox's registries, and the store that serves them from memory.

The sandbox's registry (`bootstrap.sandbox.registry`) decides who may pull what. Permitted requests go to an
`ImageStore`, which serves blobs and manifests by the Distribution specification.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from bootstrap.sandbox.registry.answers import API_VERSION, registry_error

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


@dataclass(frozen=True)
class Image:
    """An image: manifest, configuration and one layer, with the same bytes on every machine."""

    manifest: bytes
    config: bytes
    layer: bytes

    @classmethod
    def build(cls, greeting: str) -> Image:
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            text = greeting.encode()
            entry = tarfile.TarInfo("hello.txt")
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text))
        layer = gzip.compress(tar.getvalue(), mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/hello.txt"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]},
            },
            sort_keys=True,
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {"mediaType": CONFIG_TYPE, "size": len(config), "digest": digest(config)},
                "layers": [{"mediaType": LAYER_TYPE, "size": len(layer), "digest": digest(layer)}],
            },
            sort_keys=True,
        ).encode()
        return cls(manifest, config, layer)


class ImageStore(Protocol):
    """A store of images. `name` is a repository's path in the store: `HOST/PATH`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def put(self, name: str, tag: str, image: Image) -> None:
        """Store `image` as `name:tag`."""
        ...

    async def manifest(self, name: str, reference: str, *, head: bool) -> web.Response:
        """Answer GET or HEAD of a manifest by tag or digest; 404 in the specification's form if not found."""
        ...

    async def blob(self, name: str, blob_digest: str, *, head: bool) -> web.Response:
        """Answer GET or HEAD of a blob; 404 in the specification's form if not found."""
        ...

    async def tags(self, name: str) -> list[str] | None:
        """The tags of a repository; None if it does not exist."""
        ...

    async def below(self, folder: str) -> list[str]:
        """The names of the repositories below `HOST/PATH/`, without that prefix."""
        ...


class BuiltInImages:
    """A read-only store in memory."""

    def __init__(self) -> None:
        self._images: dict[str, dict[str, Image]] = {}

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def put(self, name: str, tag: str, image: Image) -> None:
        self._images.setdefault(name, {})[tag] = image

    async def tags(self, name: str) -> list[str] | None:
        return sorted(self._images[name]) if name in self._images else None

    async def below(self, folder: str) -> list[str]:
        return sorted(one.removeprefix(f"{folder}/") for one in self._images if one.startswith(f"{folder}/"))

    async def manifest(self, name: str, reference: str, *, head: bool) -> web.Response:
        if name not in self._images:
            return registry_error(404, "NAME_UNKNOWN", "repository name not known to registry")
        for tag, image in self._images[name].items():
            if reference in (tag, digest(image.manifest)):
                return _bytes(image.manifest, MANIFEST_TYPE, head=head)
        return registry_error(404, "MANIFEST_UNKNOWN", "manifest unknown")

    async def blob(self, name: str, blob_digest: str, *, head: bool) -> web.Response:
        for image in self._images.get(name, {}).values():
            for blob in (image.config, image.layer):
                if digest(blob) == blob_digest:
                    return _bytes(blob, "application/octet-stream", head=head)
        return registry_error(404, "BLOB_UNKNOWN", "blob unknown to registry")


def _bytes(body: bytes, content_type: str, *, head: bool) -> web.Response:
    headers = {"Content-Type": content_type, "Docker-Content-Digest": digest(body), **API_VERSION}
    if head:
        return web.Response(headers={**headers, "Content-Length": str(len(body))})
    return web.Response(body=body, headers=headers)

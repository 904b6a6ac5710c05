"""Pulls as one of Akka's nodes would, with the credential that Akka holds. It shares no code with the
product.
"""

from __future__ import annotations

import base64
import fnmatch
import http.client
import json
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.sandbox.akka_projects import AkkaCredential

_IMAGE = re.compile(r"PULLKEY_[A-Z0-9_]+_(IMAGE|SERVER|REGISTRY)")
"""The variables in which emulators name their image."""
_DOCKER_HUB = {"index.docker.io": "registry-1.docker.io", "docker.io": "registry-1.docker.io"}
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_SECONDS = 10.0


def pulls(
    sandbox: Mapping[str, str], credential: AkkaCredential, image: str = "", *, patience: float = 30.0
) -> bool:
    """Whether the credential reads the manifest of the sandbox's image from its server.

    Args:
        sandbox: the environment of the sandbox.
        credential: what Akka holds.
        image: the image; by default the one that the environment names.
        patience: for how many seconds a refusal is attributed to a key that is still propagating.
    """
    puller = _Puller(sandbox, credential, image or _image_of(sandbox))
    end = time.monotonic() + patience
    while not puller.reads_manifest():
        if time.monotonic() > end:
            return False
        time.sleep(0.25)
    return True


def _image_of(sandbox: Mapping[str, str]) -> str:
    """The image that an emulator's environment names; `IMAGE` takes precedence."""
    found = {match[1]: value for name, value in sandbox.items() if (match := _IMAGE.fullmatch(name))}
    return next(value for name in ("IMAGE", "SERVER", "REGISTRY") if (value := found.get(name)))


@dataclass
class _Answer:
    status: int
    challenge: str
    body: bytes


class _Puller:
    def __init__(self, sandbox: Mapping[str, str], credential: AkkaCredential, image: str) -> None:
        host, _, rest = image.partition("/")
        path, _, self._tag = (rest if "." in host else image).partition(":")
        self._path = path
        server = credential.server.partition("://")[2] or credential.server
        name = server.partition("/")[0]
        self._host = _DOCKER_HUB.get(name, name)
        account = f"{credential.username}:{credential.password}"
        self._basic = f"Basic {base64.b64encode(account.encode()).decode()}"
        self._tls = ssl.create_default_context(cafile=sandbox["SSL_CERT_FILE"])
        pairs = (pair.partition("=") for pair in sandbox["PULLKEY_REGISTRY_CONNECT_TO"].split(","))
        self._addresses = {pattern: address for pattern, _, address in pairs}

    def reads_manifest(self) -> bool:
        """One exchange of the Distribution project's token specification."""
        manifest = f"https://{self._host}/v2/{self._path}/manifests/{self._tag}"
        answer = self._get(manifest, "")
        if answer.status == 401:
            answer = self._get(manifest, self._authorization(answer.challenge))
        return answer.status == 200

    def _authorization(self, challenge: str) -> str:
        """The `Authorization` that the registry requires: the password, or a token obtained with it."""
        if not challenge.lower().startswith("bearer "):
            return self._basic
        asked = dict(_PARAMETER.findall(challenge))
        query = {"service": asked.get("service", ""), "scope": f"repository:{self._path}:pull"}
        answer = self._get(f"{asked['realm']}?{urllib.parse.urlencode(query)}", self._basic)
        if answer.status != 200:
            return ""
        given = json.loads(answer.body)
        return f"Bearer {given.get('token') or given['access_token']}"

    def _get(self, url: str, authorization: str) -> _Answer:
        to = urllib.parse.urlsplit(url)
        host = to.hostname or ""
        known = [one for pattern, one in self._addresses.items() if fnmatch.fnmatch(host, pattern)]
        if not known:
            return _Answer(0, "", b"")  # the server does not answer
        address, _, port = known[0].partition(":")
        connection = http.client.HTTPSConnection(host, context=self._tls)
        try:
            plain = socket.create_connection((address, int(port)), _SECONDS)
            connection.sock = self._tls.wrap_socket(plain, server_hostname=host)
            headers = {"Accept": "*/*"} | ({"Authorization": authorization} if authorization else {})
            connection.request("GET", f"{to.path}?{to.query}" if to.query else to.path, headers=headers)
            response = connection.getresponse()
            return _Answer(response.status, response.headers.get("WWW-Authenticate", ""), response.read())
        finally:
            connection.close()

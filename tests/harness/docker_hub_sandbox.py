"""A running emulated Docker Hub, with an HTTP client of its API and of its registry."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.docker_hub.emulator import DockerHubEmulator
from providers.docker_hub.emulator.seed import PASSWORD, USER


def start_docker_hub() -> RunningSandbox:
    return RunningSandbox({"docker-hub": DockerHubEmulator})


class HubClient:
    """An HTTP client of the API and of the registry."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        emulator = running.sandbox.emulators["docker-hub"]
        assert isinstance(emulator, DockerHubEmulator)
        self.state = emulator.state
        tls = ssl.create_default_context(cafile=running.environment["SSL_CERT_FILE"])
        self.hub = httpx.Client(base_url=running.environment["PULLKEY_DOCKER_HUB_ENDPOINT"], verify=tls)
        self.registry = httpx.Client(base_url=f"https://localhost:{emulator.registry_port}", verify=tls)

    def log_in(self, user: str = USER, secret: str = PASSWORD) -> dict[str, str]:
        answer = self.hub.post("/v2/auth/token", json={"identifier": user, "secret": secret})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def manifest(self, path: str, auth: tuple[str, str] | None) -> int:
        query = {"service": "registry.docker.io", "scope": f"repository:{path}:pull"}
        issued = self.registry.get("/token", params=query, auth=auth)
        if issued.status_code != 200:
            return issued.status_code
        bearer = {"Authorization": f"Bearer {issued.json()['token']}"}
        return self.registry.get(f"/v2/{path}/manifests/1.0", headers=bearer).status_code


def create_pat(client: HubClient, who: dict[str, str], **more: Any) -> httpx.Response:
    return client.hub.post(
        "/v2/access-tokens", headers=who, json={"token_label": "mine", "scopes": ["repo:read"], **more}
    )

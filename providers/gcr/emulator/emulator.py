"""Start the servers, and return the environment that points clients at them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

from aiohttp import web

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.host import Sandbox
from bootstrap.sandbox.registry.server import RegistryServer
from providers.gcr.emulator import inventory
from providers.gcr.emulator.access import Access
from providers.gcr.emulator.artifact_registry import ArtifactRegistryApi
from providers.gcr.emulator.grpc_server import GrpcServer
from providers.gcr.emulator.iam import IamApi
from providers.gcr.emulator.oauth import OAuthServer, Tokens
from providers.gcr.emulator.org_policy import OrgPolicyApi
from providers.gcr.emulator.registry import CERTIFICATE_HOSTS, ArtifactRegistryPolicy
from providers.gcr.emulator.resource_manager import ResourceManagerApi
from providers.gcr.emulator.rest import RestServer
from providers.gcr.emulator.seed import IMAGE, PROJECT, seed
from providers.gcr.emulator.service_usage import ServiceUsageApi
from providers.gcr.emulator.state import GoogleState


class GoogleEmulator:
    """Google Cloud, for a `Sandbox`.

    Attributes:
        state: the cloud's state; tests read and change it.
        tokens: issues and recognises access tokens.
        grpc_port, rest_port, https_port, registry_port: its ports (`https_port`: OAuth and IAM Credentials).
    """

    name = "google"
    state: GoogleState
    tokens: Tokens
    grpc_port: int
    rest_port: int
    https_port: int
    registry_port: int
    _grpc: GrpcServer | None = None

    async def start(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Start serving. Return the environment that points clients here."""
        self.state = state = GoogleState(now=sandbox.now, replicas=sandbox.replicas)
        self.tokens = tokens = Tokens(state)
        sandbox.gate.recognise(tokens.login_of)
        access = Access(state)
        apis = [
            IamApi(state, access).api(),
            ResourceManagerApi(state, access).api(),
            ArtifactRegistryApi(state, access).api(),
            ServiceUsageApi(state, access).api(),
            OrgPolicyApi(state, access).api(),
        ]
        self._grpc = GrpcServer(apis, tokens, sandbox.gate)
        self.grpc_port = await self._grpc.start(sandbox.authority.issue(["localhost", "127.0.0.1"]))

        oauth = OAuthServer(state, access, tokens)
        https_app = web.Application()
        oauth.add_token_endpoint(sandbox.gate, https_app)
        oauth.add_iam_credentials(sandbox.gate, https_app)
        self.https_port = await sandbox.serve(https_app)
        state.token_uri = f"https://localhost:{self.https_port}/token"

        rest_app = web.Application()
        RestServer(apis, tokens, sandbox.gate, rest_app)
        oauth.add_iam_credentials(sandbox.gate, rest_app)
        self.rest_port = await sandbox.serve(rest_app, tls=False)

        policy = ArtifactRegistryPolicy(state, access, tokens)
        registry = RegistryServer(policy, sandbox.images, sandbox.gate)
        self.registry_port = await sandbox.serve(registry.app, hosts=CERTIFICATE_HOSTS)

        key_file = await seed(state, sandbox.images)
        return {
            **self._for_the_product(_private_file(sandbox.directory / "google-operator.json", key_file)),
            **self._for_gcloud(sandbox.directory),
        }

    def inventory(self) -> Iterable[InventoryItem]:
        """All that is in it."""
        return inventory.inventory(self.state)

    async def stop(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop()

    def _for_the_product(self, key_file: Path) -> dict[str, str]:
        apis = ("IAM", "RESOURCEMANAGER", "ARTIFACTREGISTRY", "SERVICEUSAGE", "ORGPOLICY")
        registry = f"127.0.0.1:{self.registry_port}"
        return {
            **{f"PULLKEY_GOOGLE_{api}_ENDPOINT": f"https://localhost:{self.grpc_port}" for api in apis},
            "PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT": f"https://localhost:{self.https_port}",
            "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PULLKEY_REGISTRY_CONNECT_TO": ",".join(
                f"{host}={registry}" for host in ("gcr.io", "*.gcr.io", "*.pkg.dev")
            ),
            "PULLKEY_GCR_GCP_PROJECT": PROJECT,
            "PULLKEY_GCR_SERVER": IMAGE,
        }

    def _for_gcloud(self, directory: Path) -> dict[str, str]:
        """The settings with which an unchanged `gcloud` uses this sandbox only."""
        configuration = directory / "gcloud"
        configuration.mkdir(mode=0o700)
        # A file cannot be refreshed by gcloud, so this token lasts as long as a sandbox may.
        token, _ = self.tokens.issue(self.state.operator, dt.timedelta(days=30))
        token_file = _private_file(directory / "gcloud-access-token", token.encode())
        apis = (
            "ARTIFACTREGISTRY",
            "CLOUDRESOURCEMANAGER",
            "IAM",
            "IAMCREDENTIALS",
            "ORGPOLICY",
            "SERVICEUSAGE",
        )
        return {
            **{
                f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"http://127.0.0.1:{self.rest_port}/"
                for api in apis
            },
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token_file),
            "CLOUDSDK_CONFIG": str(configuration),
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "true",
        }


def _private_file(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read, from its first byte on."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path

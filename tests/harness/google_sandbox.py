"""A running emulated Google, with what tests ask of it: through the SDKs, or as it is sent.

gRPC reads its trusted roots once per process, so SDK clients are given them as channel credentials, which
works for several sandboxes.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import grpc
from google.api_core import exceptions
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request
from google.cloud import artifactregistry_v1, iam_admin_v1, resourcemanager_v3
from google.iam.v1 import iam_policy_pb2, options_pb2
from google.oauth2 import service_account

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.gcr.emulator import GoogleEmulator
from providers.gcr.emulator.state import GoogleState, ServiceAccount

SHOP = "projects/acme-shop"
CONTAINERS = f"{SHOP}/locations/europe-west1/repositories/containers"
READER = "roles/artifactregistry.reader"
# google-auth has no types for these.
KeyCredentials: Any = service_account.Credentials
untyped_plugin: Any = AuthMetadataPlugin


class Google:
    """One running emulator, and clients of it."""

    def __init__(self, running: RunningSandbox) -> None:
        emulator = running.sandbox.emulators["google"]
        assert isinstance(emulator, GoogleEmulator)
        self.running = running
        self.emulator = emulator
        self.roots = running.sandbox.authority.bundle.read_bytes()
        self.operator_file = running.environment["GOOGLE_APPLICATION_CREDENTIALS"]

    @property
    def state(self) -> GoogleState:
        return self.emulator.state

    def client(self, kind: Any, credentials: Any = None) -> Any:
        """An SDK client whose channel is TLS with the sandbox's root and the operator's own key."""
        host = kind.DEFAULT_ENDPOINT
        used = credentials or KeyCredentials.from_service_account_file(
            self.operator_file
        ).with_always_use_jwt_access(True)
        plugin = untyped_plugin(used, Request(), default_host=host)
        channel = grpc.secure_channel(
            f"localhost:{self.emulator.grpc_port}",
            grpc.composite_channel_credentials(
                grpc.ssl_channel_credentials(root_certificates=self.roots),
                grpc.metadata_call_credentials(plugin),
            ),
        )
        return kind(transport=kind.get_transport_class("grpc")(channel=channel))

    @property
    def iam(self) -> Any:
        return self.client(iam_admin_v1.IAMClient)

    @property
    def projects(self) -> Any:
        return self.client(resourcemanager_v3.ProjectsClient)

    @property
    def registries(self) -> Any:
        return self.client(artifactregistry_v1.ArtifactRegistryClient)

    def reader(self, account_id: str) -> tuple[ServiceAccount, str]:
        """An account that may pull from `containers`, and its JSON key."""
        account = self.state.add_account(
            "acme-shop", account_id, created=dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        )
        self.state.projects["acme-shop"].repositories["europe-west1", "containers"].policy.grant(
            READER, account.member, since=account.created
        )
        key = self.iam.create_service_account_key(name=account.name)
        return account, key.private_key_data.decode()

    def fetch(self, url: str, *, user: str = "", password: str = "", bearer: str = "", **headers: str) -> Any:
        """GET from the registry as the host in `url`; its status, headers and body."""
        request = urllib.request.Request(url, headers=headers)
        host = request.host
        request.host = f"localhost:{self.emulator.registry_port}"
        request.add_unredirected_header("Host", headers.get("Host", host))
        if user:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        if bearer:
            request.add_header("Authorization", f"Bearer {bearer}")
        context = ssl.create_default_context(cadata=self.roots.decode())
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as response:
                return response.status, response.headers, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read())

    def token(self, key: str, scope: str, host: str = "europe-west1-docker.pkg.dev") -> Any:
        url = f"https://{host}/v2/token?service={host}&scope={scope}"
        return self.fetch(url, user="_json_key", password=key)


def start_google(**settings: Any) -> RunningSandbox:
    return RunningSandbox({"google": GoogleEmulator}, SandboxSettings(**settings))


DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
IMAGE = "acme-shop/containers/checkout"


def error_info(error: exceptions.GoogleAPICallError) -> tuple[str, str, dict[str, str]]:
    return error.reason, error.domain, dict(error.metadata)


def project_members(google: Google, role: str) -> set[str]:
    policy = google.projects.get_iam_policy(
        request={"resource": SHOP, "options": {"requested_policy_version": 3}}
    )
    return {member for binding in policy.bindings if binding.role == role for member in binding.members}


def read_policy(google: Google, version: int = 3) -> Any:
    options = options_pb2.GetPolicyOptions(requested_policy_version=version)
    request = iam_policy_pb2.GetIamPolicyRequest(resource=SHOP, options=options)
    return google.projects.get_iam_policy(request=request)


def write_policy(google: Google, policy: Any) -> Any:
    return google.projects.set_iam_policy(
        request=iam_policy_pb2.SetIamPolicyRequest(resource=SHOP, policy=policy)
    )


def call_rest(
    google: Google,
    verb: str,
    path: str,
    body: Any = None,
    *,
    token: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    used = token or google.emulator.tokens.issue(google.state.operator)[0]
    request = urllib.request.Request(
        f"http://127.0.0.1:{google.emulator.rest_port}{path}",
        method=verb,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {used}"} if headers is None else headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())

"""Import Google's SDKs faster: block one unused transport, defer modules that few runs use.

This module changes `sys.modules`, so it has to be imported before anything of Google's.
`google.api_core.operations_v1` imports its asynchronous REST transport, and aiohttp with it (a tenth of a
second), if that is installed, and works without it if its import fails. Importing a module that is None in
`sys.modules` fails.

All calls of this provider are gRPC; each client registers a REST transport too, by its class. Long-running
operations, of which few runs begin one, have clients in several modules. Only logins with a service account's
key need signatures and certificates. The packages of the clients import all of their types, and one of them
the clients of seven services, of which one is called. requests imports a detection of character sets, for
answers that do not say theirs. protobuf's implementation in Python is used only where no faster one is
installed.
"""

import sys

from bootstrap.model.deferred_import import defer, defer_classes

sys.modules.setdefault("google.api_core.operations_v1.transports.rest_asyncio", None)  # type: ignore[arg-type]
defer(
    "cryptography.x509",
    "google.auth.crypt",
    "google.auth.iam",
    "google.auth.jwt",
    "google.oauth2.challenges",
    "google.protobuf.internal.python_message",
)
defer("charset_normalizer", sources={"__version__": "charset_normalizer.version"})
defer(
    "google.api_core.operations_v1",
    sources={
        "OperationsAsyncClient": "google.api_core.operations_v1.operations_async_client",
        "OperationsClient": "google.api_core.operations_v1.operations_client",
    },
)
for _package, _service in (
    ("artifactregistry_v1", "artifact_registry"),
    ("iam_admin_v1", "iam"),
    ("orgpolicy_v2", "org_policy"),
    ("resourcemanager_v3", "projects"),
    ("service_usage_v1", "service_usage"),
):
    _package = f"google.cloud.{_package}"
    _service = f"{_package}.services.{_service}"
    defer(_package, f"{_package}.types")
    defer_classes(f"{_service}.transports.rest")

import google.auth  # noqa: E402

__all__ = ["google"]

"""Import Google's SDKs faster: block one unused transport, defer modules that few runs use.

This module changes `sys.modules`. `google.api_core.operations_v1` imports its asynchronous REST transport,
and aiohttp with it (a tenth of a second), if that is installed, and works without it if its import fails. All
calls of this provider are gRPC. Importing a module that is None in `sys.modules` fails.

Only logins with a service account's key need signatures and certificates. `google.cloud.resourcemanager_v3`
imports the clients of seven services; one of them is called. protobuf's implementation in Python is used only
where no faster one is installed.
"""

import sys

from bootstrap.model.deferred_import import defer

sys.modules.setdefault("google.api_core.operations_v1.transports.rest_asyncio", None)  # type: ignore[arg-type]
defer(
    "cryptography.x509",
    "google.auth.crypt",
    "google.auth.iam",
    "google.auth.jwt",
    "google.cloud.resourcemanager_v3",
    "google.cloud.resourcemanager_v3.types",
    "google.oauth2.challenges",
    "google.protobuf.internal.python_message",
)

import google.auth  # noqa: E402

__all__ = ["google"]

"""Google's SDKs, without what is never used, and without running what is seldom used before it is.

`google.api_core.operations_v1` imports its asynchronous REST transport, and aiohttp with it (a tenth of a
second), wherever that happens to be installed, and goes without where its import fails. All calls here are
gRPC. A module that is None in `sys.modules` is one that fails.

Signatures and certificates are for the keys of service accounts, which few log in with.
`google.cloud.resourcemanager_v3` imports the clients of seven services, one of which is called. protobuf is
written in Python only where no faster one is installed.
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

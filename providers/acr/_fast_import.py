"""Defer what Azure's SDKs import and no run of this provider uses.

This module changes `sys.modules`, so it has to be imported before anything of Azure's.

- Certificates are for logins with one.
- The package of Authorization imports all versions of its API.
- msal's managed identities import requests, and Graph's telemetry imports urllib3. Of azure.identity's
  credentials, only the synchronous ones use msal's managed identities. Our client of Graph has no telemetry.
- Our client of Graph reads no page with a `PageIterator`, and uploads nothing.
"""

from bootstrap.model.deferred_import import defer, defer_classes

defer(
    "azure.mgmt.authorization",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
)
defer_classes(
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "msal.managed_identity",
    "msgraph_core.middleware.telemetry",
    "msgraph_core.models",
    "msgraph_core.tasks",
)

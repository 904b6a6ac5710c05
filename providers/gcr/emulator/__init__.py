"""The emulator of Google Cloud for `pullkey`, `gcloud` and pullers.

One state (`state.py`) and one module per API; `grpc_server.py` and `rest.py` serve the same methods. The
registry is in `registry.py`, the initial state in `seed.py`.
"""

from bootstrap.model.deferred_import import defer

# These packages import the clients first, which takes most of a sandbox's start; only some of their messages
# are needed.
for _name in (
    "artifactregistry_v1",
    "iam_admin_v1",
    "orgpolicy_v2",
    "resourcemanager_v3",
    "service_usage_v1",
):
    defer(f"google.cloud.{_name}", f"google.cloud.{_name}.types")

from providers.gcr.emulator.emulator import GoogleEmulator  # noqa: E402

__all__ = ["GoogleEmulator"]

"""Google Cloud as `pullkey`, `gcloud` and a puller see it, on loopback.

One state (`state.py`) and one module of behaviour per API; `grpc_server.py` and `rest.py` are two ways to the
same methods. `registry.py` is what pulls; `seed.py` what is there at first.
"""

from bootstrap.model.deferred_import import defer

# Only some of the messages in them are needed; they import the clients first, which takes most of a sandbox's
# start.
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

"""Google Cloud as `pullkey`, `gcloud` and a puller see it, on loopback.

One state (`state.py`) and one module of behaviour per API; `grpc_server.py` and `rest.py` are two ways to the same
methods. `registry.py` is what pulls; `seed.py` what is there at first.
"""

from providers.gcr.emulator.emulator import GoogleEmulator

__all__ = ["GoogleEmulator"]

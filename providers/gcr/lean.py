"""Google's SDKs, without a way of calling that is never used.

`google.api_core.operations_v1` imports its asynchronous REST transport, and aiohttp with it (a tenth of a second), wherever
that happens to be installed, and goes without where its import fails. All calls here are gRPC. A module that is None in
`sys.modules` is one that fails.
"""

import sys

sys.modules.setdefault("google.api_core.operations_v1.transports.rest_asyncio", None)  # type: ignore[arg-type]

import google.auth  # noqa: E402

__all__ = ["google"]

"""httpx, without its own command line, and without looking on each call for what is not there.

`httpx/__init__.py` imports its command line (with rich, pygments and click) wherever these happen to be
installed, for a tenth of a second, and goes without it where its import fails. httpcore asks on each call for
sniffio, to learn whether it runs under asyncio, as it always does here, and takes it for granted where there
is none; but an import that fails is tried anew each time, in every folder of the path. A module that is None
in `sys.modules` is one that fails at once.

httpcore imports HTTP/2 wherever it is installed. Only Microsoft Graph's client speaks it, once the server has
agreed.
"""

import sys

from bootstrap.model.deferred_import import defer

for _name in ("httpx._main", "sniffio"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
defer("h2.connection", "h2.events", "h2.exceptions", "h2.settings")

import httpx  # noqa: E402

__all__ = ["httpx"]

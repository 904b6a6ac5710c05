"""Import httpx without its command line, and without repeated imports of sniffio.

This changes `sys.modules`: a module that is None there fails to import at once.

- `httpx/__init__.py` imports its command line (with rich, pygments and click) if these are installed, which
  takes 0.1 s, and works without it.
- httpcore imports sniffio at each call to find out whether it runs under asyncio, which it always does here.
  Without sniffio it assumes so, but searches every folder of the path each time.
- httpcore imports HTTP/2 if it is installed. Only Microsoft Graph's client uses it, once negotiated, so it is
  deferred. So is idna, for hosts that are not ASCII.
"""

import sys

from bootstrap.model.deferred_import import defer

for _name in ("httpx._main", "sniffio"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
defer("h2.connection", "h2.events", "h2.exceptions", "h2.settings", "idna")

import httpx  # noqa: E402

__all__ = ["httpx"]

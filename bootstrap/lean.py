"""httpx, without its own command line.

`httpx/__init__.py` imports that program (with rich, pygments and click) wherever these happen to be installed, for a
tenth of a second, and goes without it where its import fails. A module that is None in `sys.modules` is one that fails.
"""

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402

__all__ = ["httpx"]

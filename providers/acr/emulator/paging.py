"""The tokens in links to the next page of a list. They are opaque to clients."""

from __future__ import annotations

import base64
import binascii
import re


def token_of(start: int) -> str:
    """The token of the page that starts at an index."""
    return base64.urlsafe_b64encode(f"page from {start:09d}".encode()).decode()


def start_of(token: str) -> int | None:
    """The index at which a token's page starts; 0 without a token, None for an invalid one."""
    if not token:
        return 0
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    found = re.fullmatch(r"page from ([0-9]{9})", text)
    return int(found[1]) if found else None

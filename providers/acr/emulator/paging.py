"""The tokens in the links to a list's next page. To a client they are opaque."""

from __future__ import annotations

import base64
import binascii
import re


def token_of(start: int) -> str:
    """The token of the page that begins with the item of that number."""
    return base64.urlsafe_b64encode(f"page from {start:09d}".encode()).decode()


def start_of(token: str) -> int | None:
    """Where the page of a token begins; 0 without one, and None for a token that was not given out."""
    if not token:
        return 0
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    found = re.fullmatch(r"page from ([0-9]{9})", text)
    return int(found[1]) if found else None

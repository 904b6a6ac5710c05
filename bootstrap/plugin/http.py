"""HTTP for providers whose SDK needs a client of its own, or that read JSON from outside."""

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import Unreadable, parse_json
from bootstrap.http.client import new_client

__all__ = ["Unreadable", "httpx", "new_client", "parse_json"]

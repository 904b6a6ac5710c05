"""A puller's handshake with a registry, for providers that call a registry themselves."""

from bootstrap.registry import (
    SECONDS,
    Challenge,
    Confidential,
    code_of,
    exchange,
    fetch_challenge,
    nearest_image,
    try_once,
)
from bootstrap.registry.client import Client

__all__ = [
    "SECONDS",
    "Challenge",
    "Client",
    "Confidential",
    "code_of",
    "exchange",
    "fetch_challenge",
    "nearest_image",
    "try_once",
]

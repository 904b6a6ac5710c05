"""The protocol of a provider's emulator for the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Emulator(Protocol):
    """An emulated cloud. `Provider.emulator` returns its factory."""

    name: str

    async def start(self, sandbox: Any) -> Mapping[str, str]:
        """Start serving. Return the environment variables that point the clients at the emulator.

        Args:
            sandbox: a `bootstrap.sandbox.host.Sandbox`.
        """
        ...

    async def stop(self) -> None:
        """Stop whatever `start` started itself. The sandbox stops what runs through `Sandbox.serve`."""
        ...

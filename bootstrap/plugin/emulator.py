"""What the sandbox needs of a provider's emulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Emulator(Protocol):
    """One cloud. A provider offers a factory of it as `Provider.emulator`."""

    name: str

    async def start(self, sandbox: Any) -> Mapping[str, str]:
        """Start serving; return the environment variables that lead the clients here.

        Args:
            sandbox: a `bootstrap.sandbox.host.Sandbox`.
        """
        ...

    async def stop(self) -> None:
        """Stop what `start` started beyond `Sandbox.serve`."""
        ...

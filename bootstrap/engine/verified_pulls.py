"""When a key was last seen to pull, on this machine: for `pullkey list`, and never relied upon.

The clouds do not tell it, and Akka does not either. One small file a key, named by the key's id, without a
secret.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from pathlib import Path

from bootstrap.files.private_directory import PrivateDirectory, UnsafePlace
from bootstrap.model import clock

_NAME = re.compile(r"^[A-Za-z0-9-]{6,64}$")


class VerifiedPulls:
    """The notes in one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = PrivateDirectory(directory, "proven")

    def remember(self, key_id: str) -> None:
        """It pulled just now. A directory that cannot be written is no reason to fail."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError, UnsafePlace):
                self._directory.write(key_id, clock.now().isoformat(timespec="seconds").encode())

    def last(self, key_id: str) -> dt.datetime | None:
        """When it was last seen to pull, or None if nobody knows here."""
        if not _NAME.match(key_id):
            return None
        try:
            found = dt.datetime.fromisoformat((self._directory.read(key_id) or b"").decode().strip())
        except (OSError, UnsafePlace, ValueError):
            return None
        return found if found.tzinfo else None

    def invalidate(self, key_id: str) -> None:
        """The key is gone."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError, UnsafePlace):
                self._directory.remove(key_id)

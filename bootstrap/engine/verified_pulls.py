"""Remember when a key was last verified on this machine, for `pullkey list` only.

Neither the clouds nor Akka show it. One small file per key, named by the key's id, without a secret.
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
    """The times of verified pulls, in one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = PrivateDirectory(directory, "proven")

    def remember(self, key_id: str) -> None:
        """Record a pull that was verified just now. A write error is ignored."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError, UnsafePlace):
                self._directory.write(key_id, clock.now().isoformat(timespec="seconds").encode())

    def last(self, key_id: str) -> dt.datetime | None:
        """When a key's pull was last verified on this machine; None if never."""
        if not _NAME.match(key_id):
            return None
        try:
            found = dt.datetime.fromisoformat((self._directory.read(key_id) or b"").decode().strip())
        except (OSError, UnsafePlace, ValueError):
            return None
        return found if found.tzinfo else None

    def invalidate(self, key_id: str) -> None:
        """Forget a deleted key."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError, UnsafePlace):
                self._directory.remove(key_id)

"""When a key was last seen to pull, on this machine: for `pullkey list`, and never relied upon.

The clouds do not tell it, and Akka does not either. One small file a key, named by the key's id, without a secret.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from pathlib import Path

_NAME = re.compile(r"^[A-Za-z0-9-]{6,64}$")


class Proofs:
    """The notes in one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "proven"

    def remember(self, key_id: str) -> None:
        """It pulled just now. A directory that cannot be written is no reason to fail."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError):
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                (self._directory / key_id).write_text(now, encoding="utf-8")

    def last(self, key_id: str) -> dt.datetime | None:
        """When it was last seen to pull, or None if nobody knows here."""
        if not _NAME.match(key_id):
            return None
        try:
            return dt.datetime.fromisoformat((self._directory / key_id).read_text(encoding="utf-8").strip())
        except (OSError, ValueError):
            return None

    def forget(self, key_id: str) -> None:
        """The key is gone."""
        if _NAME.match(key_id):
            with contextlib.suppress(OSError):
                (self._directory / key_id).unlink()

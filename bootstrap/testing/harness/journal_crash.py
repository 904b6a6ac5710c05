"""Runs `pullkey` so that it kills itself right before or after a write of its journal.

The moment between an answer and the journal cannot be hit from outside, and the product has no hook for it.
`PULLKEY_TEST_DIES` names the write: `before 3`. Without it, writes are only counted.
"""

from __future__ import annotations

import os
import signal
import sys

from bootstrap.cli import main as product
from bootstrap.engine.journal import Journal

COUNTED = "journal writings: "


def main() -> None:
    """Run the product."""
    when, _, number = os.environ.pop("PULLKEY_TEST_DIES", "never 0").partition(" ")
    count = 0

    def dying(name: str) -> None:
        real = getattr(Journal, name)

        def write(self: Journal) -> None:
            nonlocal count
            count += 1
            if (when, count) == ("before", int(number)):
                os.kill(os.getpid(), signal.SIGKILL)
            real(self)
            if (when, count) == ("after", int(number)):
                os.kill(os.getpid(), signal.SIGKILL)

        setattr(Journal, name, write)

    dying("_write")
    dying("end")
    try:
        product()
    finally:
        sys.stderr.write(f"{COUNTED}{count}\n")


if __name__ == "__main__":
    main()

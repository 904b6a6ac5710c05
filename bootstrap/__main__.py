"""The process around the command line: `pullkey`, and `python -m bootstrap`."""

from __future__ import annotations

from bootstrap.model import early_signals

early_signals.install()  # before all other imports: see there

# ruff: noqa: E402
import atexit
import gc
import os
import sys
from typing import NoReturn

from bootstrap.cli import main

GC_THRESHOLD = 200_000
"""So many new objects before they are searched for rings. An onboarding makes 150,000, nearly all of them
the SDKs', which stay.
"""


def run() -> NoReturn:
    """Run the command line and end the process with one of `bootstrap.model.errors.ExitCode`.

    It ends without taking a thousand modules apart, which takes as long as a call or two of a cloud and
    has no use.
    """
    gc.set_threshold(GC_THRESHOLD)
    early_signals.interrupt_from_here()
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()  # noqa: SLF001  - what is registered is done; there is no other way to call it
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    run()

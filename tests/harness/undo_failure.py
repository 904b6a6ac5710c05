"""`pullkey`, in which the undoing of one step fails as nobody foresaw: an SDK can raise anything.

`PULLKEY_TEST_BREAKS` says which: `providers.gcr.grant.Grant`.
"""

from __future__ import annotations

import importlib
import os

from bootstrap.cli import main as product
from bootstrap.plugin.step import Intent, Step

SAID = "of which nothing may be shown, since it may hold anything"


def main() -> None:
    """Run the product."""
    module, _, name = os.environ.pop("PULLKEY_TEST_BREAKS").rpartition(".")
    step: type[Step] = getattr(importlib.import_module(module), name)

    async def undo(self: Step, intent: Intent) -> str:
        raise LookupError(SAID)

    setattr(step, "undo", undo)  # noqa: B010  - mypy would take it for a mistake
    product()

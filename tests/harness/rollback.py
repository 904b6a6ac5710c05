"""A run that undoes everything, since Akka refuses the credential; and whether it reports all that is
left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.inventory import is_named
from bootstrap.testing.harness.kill_points import Victim, scene
from tests.harness.concurrent_change import during


def assert_all_named(victim: Victim, text: str, since: set[InventoryItem]) -> None:
    assert [line for line in victim.life.there() - since if not _is_named(line, text)] == [], text


def _is_named(line: InventoryItem, text: str) -> bool:
    words = line.split()
    if "deleted:serviceAccount:" in line:
        return f"--member='{words[4]}'" in text
    if line.startswith("azure secret "):
        return is_named(line, text) or "az ad app delete" in text  # it goes with its application
    if line.startswith("azure password "):
        return is_named(line, text) or f"az acr token delete --name {words[2]}" in text
    return is_named(line, text)


def clear_faults(victim: Victim) -> None:
    victim.life.world.running.sandbox.faults.faults.clear()


REFUSED = "akka.docker.add-credentials=403*forever"
"""The last step fails, so that there is everything to undo."""


@functools.cache
def undo_calls(kind: str) -> list[str]:
    """The calls to the cloud of a run that undoes all that it made, as it is shown by one whose undoing
    goes well.
    """
    with scene(fork_server(), kind, "onboard") as victim:
        victim.life.world.fault(REFUSED)
        assert victim.run().code == 1
        calls = list(victim.life.world.running.sandbox.log.calls)
        begin = next(number for number, call in enumerate(calls) if call.method == "docker.add-credentials")
        seen: dict[str, int] = {}
        found = []
        for number, call in enumerate(calls):
            name = f"{call.api}.{call.method}"
            seen[name] = seen.get(name, 0) + 1
            if number > begin and call.changes and call.api != "akka":
                found.append(f"{name}#{seen[name]}")
        return found


SECOND = "second"


def fail_while(victim: Victim, happens: Callable[[], object]) -> str:
    """The run fails at its last step, and meanwhile that happens; what it said."""
    with during(victim, "akka.docker.add-credentials", happens, status=403):
        failed = victim.run()
    assert failed.code == 1, failed.text
    return failed.text

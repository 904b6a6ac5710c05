"""What was ignored when pullkey was started stays so: `nohup`, and the background jobs of a shell."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from bootstrap.testing.harness.kill_points import wait_until
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME


def _started(world: World, ignored: signal.Signals) -> subprocess.Popen[str]:
    program = (
        f"import os, signal, sys; signal.signal({int(ignored)}, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'bootstrap', *sys.argv[1:]])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, "onboard", "gcr", "--yes", "--timeout", "60s"],
        env=world.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_is_ignored_ends_nothing(gcr: World, number: signal.Signals) -> None:
    gcr.fault("iam.CreateServiceAccountKey=slow=2")
    process = _started(gcr, number)
    wait_until(lambda: gcr.calls("iam.CreateServiceAccountKey") > 0 or process.poll() is not None)
    process.send_signal(number)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "Interrupted" not in err
    assert gcr.names() == [NAME]


def test_another_signal_still_ends_it_in_order(gcr: World) -> None:
    gcr.fault("iam.CreateServiceAccountKey=slow=2")
    process = _started(gcr, signal.SIGHUP)
    wait_until(lambda: gcr.calls("iam.CreateServiceAccountKey") > 0 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert gcr.names() == []

"""Once --timeout is over no step is begun: what comes then is undoing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.engine.step_runner import StepRunner
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.plugin.step import StepRole


class Step:
    """One that makes something, and says that it was begun."""

    name = StepRole.KEY
    title = "Add a key"
    changes = True

    def __init__(self) -> None:
        self.begun = False

    async def do(self) -> Any:
        self.begun = True
        raise StepFailed("begun")


@pytest.mark.parametrize(("seconds", "begun"), [(0.0, False), (60.0, True)])
def test_a_step_is_begun_only_while_there_is_time(seconds: float, begun: bool) -> None:
    step = Step()

    async def begin(_: Step) -> object:
        return object()

    def quiet(*_: Any) -> None:
        return

    runner: Any = SimpleNamespace(
        result=SimpleNamespace(steps={"key": SimpleNamespace(result="", detail="", seconds=0.0)}),
        options=SimpleNamespace(wait=True),
        handshake=None,
        handoff=None,
        reporter=SimpleNamespace(begin=quiet, fail=quiet, finish=quiet),
        context=SimpleNamespace(deadline=Deadline(seconds)),
        _changes=SimpleNamespace(begin=begin, failed=quiet),
    )
    with pytest.raises(StepFailed) as failed:
        asyncio.run(StepRunner._do(runner, step))  # type: ignore[arg-type]
    assert step.begun is begun
    assert ("--timeout was over" in failed.value.what) is not begun

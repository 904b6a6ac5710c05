"""What a run reports as it goes on. `bootstrap.output.progress` decides how it looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from bootstrap.model.errors import Interrupted, LeftOver, Problem
from bootstrap.plugin.step import Removal, StepStatus

T = TypeVar("T")


class Reporter(Protocol):
    """Takes the events of one run, in order."""

    def connected(self, label: str, who: str) -> None:
        """The preflight has begun, for this target and as this person."""

    def project(self, described: str) -> None:
        """Which Akka project it is, and who is logged in to Akka."""

    def planned(self, rows: Sequence[tuple[str, str, StepStatus]]) -> None:
        """The steps: name, title, and what was seen of each."""

    def removals(self, removals: Sequence[Removal]) -> None:
        """What offboarding will do with each thing."""

    def notice(self, text: str) -> None:
        """Something to know."""

    def warning(self, text: str) -> None:
        """Something to think of before the first change."""

    def problems(self, problems: Sequence[Problem]) -> None:
        """What must be fixed first."""

    def begin(self, name: str, title: str) -> None:
        """A step has begun."""

    def waiting(self, text: str) -> None:
        """What is waited for, and why."""

    def finish(self, name: str, text: str, seconds: float) -> None:
        """A step is done; what was done, in a sentence without its full stop."""

    def skip(self, name: str, text: str) -> None:
        """A step is not done, as asked."""

    def tick(self) -> None:
        """A second or so has passed while something is done."""

    def fail(self, name: str, text: str) -> None:
        """A step has failed."""

    def undone(self, text: str) -> None:
        """Something this run (or a lost one) had made is gone."""

    def left_over(self, items: Sequence[LeftOver]) -> None:
        """What could not be undone."""

    def trace(self, text: str) -> None:
        """One call of an API, for `--verbose`."""

    def interrupted(self, text: str) -> None:
        """A signal came; what happens now."""

    def show_plan(self) -> None:
        """A question comes: what it is about is to be seen above it."""

    def confirm(self, question: str) -> bool:
        """Ask before the first change.

        Raises:
            Interrupted: a signal has ended the question.
        """

    def close(self) -> None:
        """Nothing more comes."""


class _Quiet:
    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_values, **_named: None


def quiet() -> Reporter:
    """A reporter that says nothing."""
    return cast("Reporter", _Quiet())


class _Harmless:
    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._reporter, name)

        @wraps(method)
        def call(*values: Any, **named: Any) -> Any:
            try:
                return method(*values, **named)
            except Interrupted:
                raise  # the answer to a question
            except Exception:  # noqa: BLE001  - there may be no place left to say so
                return False

        return call


def harmless(reporter: T) -> T:
    """The same reporter, of which no method raises but for an interrupted question: a run and its undoing go
    on, whatever becomes of what they report.

    A question that could not be asked was not answered with yes.
    """
    return cast("T", _Harmless(reporter))

"""The interface by which a run reports its progress. `bootstrap.output.progress` displays it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from bootstrap.model.deadline import Tell, silent
from bootstrap.model.errors import Interrupted, LeftOver, Problem
from bootstrap.plugin.step import Removal, StepStatus

T = TypeVar("T")


class Reporter(Protocol):
    """Receives the events of one run, in order."""

    def connected(self, label: str, who: str) -> None:
        """The run has logged in to the cloud of target `label` as `who`."""

    def project(self, described: str) -> None:
        """The Akka project and the user logged in to Akka are known."""

    def planned(self, rows: Sequence[tuple[str, str, StepStatus]]) -> None:
        """The steps are known: name, title and status of each."""

    def removals(self, removals: Sequence[Removal]) -> None:
        """The plan of an offboarding is known."""

    def notice(self, text: str) -> None:
        """Show information."""

    def warning(self, text: str) -> None:
        """Show a warning before the first change."""

    def problems(self, problems: Sequence[Problem]) -> None:
        """Show the problems to fix first."""

    def begin(self, name: str, title: str) -> None:
        """A step has started."""

    def waiting(self, text: str) -> None:
        """The run waits, for the reason in `text`."""

    def finish(self, name: str, text: str, seconds: float) -> None:
        """A step is done; `text` says what was done, without full stop."""

    def skip(self, name: str, text: str) -> None:
        """A step was skipped because of an option."""

    def tick(self) -> None:
        """About a second has passed during a step."""

    def fail(self, name: str, text: str) -> None:
        """A step has failed."""

    def undone(self, text: str) -> None:
        """An object that this run or a lost one had created was removed."""

    def left_over(self, items: Sequence[LeftOver]) -> None:
        """Show what could not be undone."""

    @property
    def trace(self) -> Tell:
        """Shows one API call, for `--verbose`; else it is `silent`."""

    def interrupted(self, text: str) -> None:
        """A signal has arrived; `text` says what happens now."""

    def show_plan(self) -> None:
        """Make sure that the plan is visible above the prompt that follows."""

    def confirm(self, question: str) -> bool:
        """Ask for confirmation before the first change.

        Raises:
            Interrupted: a signal has ended the prompt.
        """

    def close(self) -> None:
        """The run has ended."""


class _Quiet:
    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_values, **_named: None


def quiet() -> Reporter:
    """A reporter that shows nothing."""
    return cast("Reporter", _Quiet())


class _Harmless:
    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._reporter, name)
        if method is silent:
            return method

        @wraps(method)
        def call(*values: Any, **named: Any) -> Any:
            try:
                return method(*values, **named)
            except Interrupted:
                raise  # a prompt was interrupted
            except Exception:  # noqa: BLE001  - there may be no output left to report it
                return False

        return call


def harmless(reporter: T) -> T:
    """Wrap a reporter so that no method raises except for an interrupted prompt: a run and its undo continue
    even if the output fails.

    A prompt that could not be shown counts as declined.
    """
    return cast("T", _Harmless(reporter))

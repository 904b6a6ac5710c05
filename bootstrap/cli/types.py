"""Types of option values for click."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import click

from bootstrap.model.duration import parse_duration


class FilePath(click.Path):
    """A path, which is not empty: `Path("")` is the current folder."""

    def __init__(self, path_type: type[str | Path] = Path) -> None:
        super().__init__(path_type=path_type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("no file is named", param, ctx)
        return super().convert(value, param, ctx)


class DurationType(click.ParamType[dt.timedelta]):
    """Converts `10m` or `365d` into a `datetime.timedelta`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        if isinstance(value, dt.timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

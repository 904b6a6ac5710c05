"""Types of option values for click."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from bootstrap.model.duration import parse_duration


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

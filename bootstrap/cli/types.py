"""Kinds of option values that click does not have."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from bootstrap.model.duration import parse_duration


class DurationType(click.ParamType[dt.timedelta]):
    """`10m`, `365d`; a `datetime.timedelta` for the command."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        if isinstance(value, dt.timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

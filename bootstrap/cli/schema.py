"""`pullkey schema`."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of what `--output json` prints.

    \b
    Example:
      pullkey schema > pullkey-run.schema.json
    """
    from bootstrap.schema import run_schema

    click.echo(json.dumps(run_schema(), indent=2))

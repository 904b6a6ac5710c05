"""`pullkey schema`."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument(
    "what", required=False, default="run", type=click.Choice(["run", "rotate", "offboard", "list", "doctor"])
)
def schema(what: str) -> None:
    """Print the JSON Schema of what --output json prints: of a run (onboard, plan, verify) unless another is named.

    \b
    Examples:
      pullkey schema > pullkey-run.schema.json
      pullkey schema list
    """
    from bootstrap.schema import schemas

    click.echo(json.dumps(schemas()[what], indent=2))

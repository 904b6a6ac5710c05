"""`pullkey schema`."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument(
    "what",
    required=False,
    default="run",
    type=click.Choice(
        [
            "run",
            "rotate",
            "offboard",
            "list",
            "doctor",
            "fleet-plan",
            "fleet-apply",
            "fleet-list",
            "registries",
        ]
    ),
)
def schema(what: str) -> None:
    """Print the JSON Schema of what --output json prints: of a run (onboard, plan, verify) unless another is named.

    `registries` is that of a file of registries, for editors.

    \b
    Examples:
      pullkey schema > pullkey-run.schema.json
      pullkey schema list
      pullkey schema registries > registries.schema.json
    """
    if what == "registries":
        from bootstrap.fleet.schema import registries_schema

        click.echo(json.dumps(registries_schema(), indent=2))
        return
    from bootstrap.schema import schemas

    click.echo(json.dumps(schemas()[what], indent=2))

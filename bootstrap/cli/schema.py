"""`pullkey schema`."""

from __future__ import annotations

import json
import sys

import click

from bootstrap.output.terminal import put


@click.command()
@click.argument(
    "what",
    required=False,
    default="run",
    metavar="[DOCUMENT]",
    type=click.Choice(
        [
            "run",
            "rotate",
            "offboard",
            "list",
            "service",
            "from-project",
            "explain",
            "doctor",
            "providers",
            "fleet-plan",
            "fleet-apply",
            "fleet-list",
            "audit",
            "audit-verify",
            "import",
            "validate",
            "permissions",
            "error",
            "registries",
        ]
    ),
)
def schema(what: str) -> None:
    """Print the JSON Schema of what --output json prints: of a run (onboard, plan, verify) unless another is
    named.

    Each has an `$id` with its version. Later versions may add keys to what is printed, and remove none.

    DOCUMENT is run, rotate, offboard, list, service, from-project, explain, doctor, providers, fleet-plan,
    fleet-apply, fleet-list, audit, audit-verify, import, validate, permissions, error or registries.
    `registries` is that of a file of registries, for editors; `audit` that of a line that --audit writes.

    \b
    Examples:
      pullkey schema > pullkey-run.schema.json
      pullkey schema list
      pullkey schema registries > registries.schema.json
    """
    if what == "registries":
        from bootstrap.fleet.schema import registries_schema

        put(json.dumps(registries_schema(), indent=2), sys.stdout)
        return
    from bootstrap.output.json_schema import schemas

    put(json.dumps(schemas()[what], indent=2), sys.stdout)

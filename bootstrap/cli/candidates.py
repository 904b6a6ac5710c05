"""Shell completion of names of credentials, projects, services and registries, read with the Akka CLI.

The shell waits for the answer and shows all output as candidates. So the CLI has a short timeout, and an
error gives no candidates.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from bootstrap.cli import quick_akka

_SECONDS = 2.0
Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def credentials(ctx: click.Context, _parameter: click.Parameter | None, incomplete: str) -> list[str]:
    """The names of the project's registry credentials."""
    return _beginning_with(incomplete, lambda: [held.name for held in _credentials_of(ctx)])


def registries(ctx: click.Context, _parameter: click.Parameter | None, incomplete: str) -> list[str]:
    """The images that the project's services run, and the hosts of its credentials."""

    def found() -> list[str]:
        from bootstrap.akka.services import is_akka_registry, parse_services
        from bootstrap.model.server import host_of
        from bootstrap.plugin.routing import host_of_image

        services = parse_services(_ask(ctx, "services", "list", "-o", "json"))
        images = [
            one.image for one in services if one.image and not is_akka_registry(host_of_image(one.image))
        ]
        return [*images, *(host_of(held.server) for held in _credentials_of(ctx) if held.server)]

    return _beginning_with(incomplete, found)


def projects(_ctx: click.Context, _parameter: click.Parameter | None, incomplete: str) -> list[str]:
    """The Akka projects that the login sees."""

    def found() -> list[str]:
        from bootstrap.akka.output import parse_projects

        answer = quick_akka.ask(["projects", "list", "-o", "json"], seconds=_SECONDS)
        return [one.project for one in parse_projects(answer or "")]

    return _beginning_with(incomplete, found)


def services(ctx: click.Context, _parameter: click.Parameter | None, incomplete: str) -> list[str]:
    """The project's services."""

    def found() -> list[str]:
        from bootstrap.akka.services import parse_services

        return [one.name for one in parse_services(_ask(ctx, "services", "list", "-o", "json"))]

    return _beginning_with(incomplete, found)


def _credentials_of(ctx: click.Context) -> list[Any]:
    from bootstrap.akka.output import parse_credentials

    answer = _ask(ctx, "docker", "list-credentials", "-o", "json")
    return list(parse_credentials(answer)) if answer else []


def _ask(ctx: click.Context, *arguments: str) -> str:
    """The CLI's output for the project in the command line so far."""
    flags = [
        f"--{flag}={value}"
        for flag, key in (("project", "akka_project"), ("owner", "akka_owner"), ("context", "akka_context"))
        if (value := ctx.params.get(key) or os.environ.get(f"PULLKEY_{key.upper()}"))
    ]
    return quick_akka.ask([*arguments, *flags], seconds=_SECONDS) or ""


def _beginning_with(incomplete: str, found: Callable[[], Iterable[str]]) -> list[str]:
    try:
        names = list(found())
    except Exception:  # noqa: BLE001  - the shell would show an error as a candidate
        return []
    return sorted({name for name in names if name.startswith(incomplete) and _needs_no_quotes(name)})


def _needs_no_quotes(name: str) -> bool:
    """Whether a name is printable and needs no quotes in a shell."""
    return (
        bool(name)
        and name.isascii()
        and name.isprintable()
        and not set(name) & set(" '\"\\$`;&|<>()*?![]{}~#")
    )

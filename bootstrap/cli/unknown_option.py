"""Suggests what was meant by an option or argument that a command does not have."""

from __future__ import annotations

import re
import shlex
import sys

import click

from bootstrap.cli.command_table import COMMANDS, OF_A_FILE, command_of, file_command
from bootstrap.cli.image import given_value, names_an_image
from bootstrap.model.text import nearest_names
from bootstrap.plugin import entry_points as plugins

_EXTRA = re.compile(r"Got unexpected extra argument \((.*)\)")
# Options whose field in a file of registries has a different name.
_FIELDS = {"--older-than": "rotate-after"}


def help_of(context: click.Context) -> str:
    """The command that prints the help with the valid options."""
    of_file = " -f FILE" if _takes_file(context.command) else ""
    return f"{context.command_path}{of_file} --help"


def meant_by(name: str, context: click.Context) -> str:
    """Which command has the option, or the nearest option of this one; "" if there is none."""
    elsewhere = (
        _in_place_of_provider(name, context) or _field_of_file(name, context) or _elsewhere(name, context)
    )
    if elsewhere:
        return elsewhere
    known = {one.removeprefix("--"): one for one in _options(context.command)}
    near = nearest_names(name.lstrip("-"), known)
    return f"Did you mean {known[near[0]]}?" if near else ""


def image_instead(message: str, context: click.Context) -> str:
    """The command for an image that was given besides a provider; "" if it is not an image."""
    found = _EXTRA.search(message)
    if found is None or not names_an_image(found[1]) or not _is_of_provider(context):
        return ""
    return _with_image(found[1], context)


def _options(command: click.Command | None) -> set[str]:
    if command is None:
        return set()
    return {name for one in command.params for name in one.opts if name.startswith("--")} | {"--help"}


def _takes_file(command: click.Command) -> bool:
    return "--file" in _options(command)


def _verb(context: click.Context) -> str:
    return [*context.command_path.split(" "), ""][1]


def _is_of_provider(context: click.Context) -> bool:
    return (
        context.parent is not None
        and _verb(context) in ("onboard", "plan", "verify", "runbook")
        and not _takes_file(context.command)
    )


def _with_image(image: str, context: click.Context) -> str:
    return f"An image takes the place of the provider: pullkey {_verb(context)} {shlex.quote(image)}"


def _in_place_of_provider(name: str, context: click.Context) -> str:
    """The command for an image that was given as a provider's option, but without a provider."""
    value = given_value(name, sys.argv[1:])
    if context.command.name != "--from-project" or value is None or not names_an_image(value):
        return ""
    return _with_image(value, context) if _providers_with(name, context) else ""


def _field_of_file(name: str, context: click.Context) -> str:
    if not _takes_file(context.command):
        return ""
    from bootstrap.fleet.fields import target_fields

    fields = {field for provider in plugins.loaded() for field in target_fields(provider.name)}
    field = _FIELDS.get(name, name.removeprefix("--"))
    return f"In a file of registries it is {field}." if field in fields else ""


def _elsewhere(name: str, context: click.Context) -> str:
    """The commands that have it: other providers', or the form of this one with a file or without."""
    verb = _verb(context)
    if _is_of_provider(context) and (providers := _providers_with(name, context)):
        homes = [f"`pullkey {verb} {one}`" for one in providers]
        return f"It is an option of {' and '.join(homes)}."
    if verb not in OF_A_FILE:
        return ""
    if _takes_file(context.command):
        of_one = name in _options(command_of(verb)) or _providers_with(name, context)
        return f"It is an option of `pullkey {verb}` for one credential, without a file." if of_one else ""
    return f"It is an option of `pullkey {verb} -f FILE`." if name in _options(file_command(verb)) else ""


def _providers_with(name: str, context: click.Context) -> list[str]:
    """The providers whose form of this command has the option."""
    from bootstrap.cli.provider_group import ProviderGroup

    verb = _verb(context)
    group = command_of(verb) if verb in COMMANDS else None
    if not isinstance(group, ProviderGroup):
        return []
    return [one for one in group.list_commands(context) if name in _options(group.get_command(context, one))]

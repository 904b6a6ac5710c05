"""`pullkey permissions`: what the login that runs pullkey needs, from what the steps declare."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli import messages_permissions as messages
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import clean, click_option
from bootstrap.cli.provider_group import ProviderGroup
from bootstrap.model.common_options import PROOF_IMAGE
from bootstrap.model.errors import ExitCode
from bootstrap.model.option import Option
from bootstrap.output.terminal import put, say, say_command
from bootstrap.plugin.access import GrantPlaces, RoleKind
from bootstrap.plugin.provider import Provider

if TYPE_CHECKING:
    from bootstrap.engine.access_list import Command

_COMMANDS = "onboard,rotate,restore,offboard,list,verify"
_FOR = Option(
    "--for",
    "The commands that the login is to run, separated by commas; restore is rotate --restore.",
    default=_COMMANDS,
    metavar="COMMANDS",
)
_FORMATS = {
    "gcloud": (RoleKind.GOOGLE,),
    "az": (RoleKind.AZURE,),
    "terraform": (RoleKind.GOOGLE, RoleKind.AZURE),
}
_FORMAT = Option(
    "--format",
    "Text to read, a role for `gcloud iam roles create --file` or `az role definition create`, Terraform, or "
    "one JSON object.",
    choices=("text", *_FORMATS, "json"),
    default="text",
)
_EXAMPLES = {
    RoleKind.GOOGLE: (
        "--for rotate,list --format gcloud > role.yaml",
        "--key-source upload --format terraform",
    ),
    RoleKind.AZURE: ("--auth-kind token", "--for rotate --format az > role.json"),
    RoleKind.NONE: ("--format json",),
}


def _build(provider: Provider) -> click.Command:
    own = [one for one in provider.options if one.kind != "secret" and not one.login]
    examples = "\n".join(
        f"  pullkey permissions {provider.name}{f' {rest}' if rest else ''}"
        for rest in ("", *_EXAMPLES[provider.access.roles])
    )
    about = (
        "List the permissions that the login needs to run these commands. Makes no calls.\n\nOptions of the "
        "provider change the list where they change the steps; those that name a registry may be left out."
    )
    return click.Command(
        provider.name,
        callback=partial(_run, provider),
        params=[click_option(one, provider.name) for one in (*own, PROOF_IMAGE, _FOR, _FORMAT)],
        help=f"{about}\n\n\b\nExamples:\n{examples}",
        short_help=provider.title,
    )


def _run(provider: Provider, **typed: Any) -> int:
    from bootstrap.engine.access_list import access_list
    from bootstrap.model.deadline import Deadline
    from bootstrap.output import permission_formats as formats
    from bootstrap.plugin.context import RunContext

    values = {key: clean(key, value) for key, value in typed.items()}
    commands, form = _commands(values["for"]), values["format"]
    access = provider.access
    if form in _FORMATS and access.roles not in _FORMATS[form]:
        fitting = [name for name, kinds in _FORMATS.items() if access.roles in kinds]
        raise messages.no_such_role(form, provider.name, access.login, fitting)
    if access.roles is RoleKind.NONE:
        if form == "json":
            print_document(formats.as_document(provider.name, commands, [], access, None))
        else:
            say(access.login, sys.stdout)
        return ExitCode.DONE
    named = provider.missing(values) is None
    target = provider.target(values if named else access.completed(values))
    session = provider.open(target, RunContext(Deadline(0), lambda _: None, lambda _: None))
    needed = access_list(session, commands)
    commands = [command for command in commands if any(command in one.commands for one in needed)]
    if not commands:
        raise messages.nothing_to_grant(values["for"], provider.name)
    scope = access.scope_of(target) if named else ""
    places = access.places_of(target) if named else GrantPlaces()
    if form == "json":
        print_document(formats.as_document(provider.name, commands, needed, access, session.role_with))
    elif form == "text":
        for line in formats.as_lines(needed, access, target.label if named else "", provider.name):
            say(line, sys.stdout, further=4)
    else:
        put(formats.as_role(form, needed, commands, access, scope, places), sys.stdout)
        for line in formats.apart_lines(needed, access):
            say(line, sys.stderr)
        if formats.condition_for(needed, access):
            say(access.login, sys.stderr)
        for sentence, lines in formats.assignment_lines(form, needed, commands, access, scope, places):
            say(sentence, sys.stderr)
            for line in lines:
                say_command(line, sys.stderr)
    return ExitCode.DONE


def _commands(text: str) -> list[Command]:
    """The commands that `--for` names.

    Raises:
        UsageProblem: one of them is not such a command.
    """
    from bootstrap.engine.access_list import Command

    words = [one.strip() for one in text.split(",")]
    if unknown := [one for one in words if one not in list(Command)]:
        raise messages.unknown_command(unknown[0], list(Command))
    return [one for one in Command if one in words]


permissions = ProviderGroup(
    "permissions",
    build=_build,
    help="List the permissions that the login that runs pullkey needs, and no more.\n\nThe list is made from "
    "the steps of the commands; the preflight asks for the same ones. It can be printed as the definition "
    "of a role.\n\n\b\nExamples:\n  pullkey permissions gcr\n  pullkey permissions gcr --for rotate,list "
    "--format gcloud > role.yaml\n  pullkey permissions acr --auth-kind token --format terraform\n  pullkey "
    "permissions acr --format az > role.json",
    subcommand_metavar="PROVIDER|IMAGE [OPTIONS]",
)

"""`pullkey verify NAME` or IMAGE: verify a credential that Akka holds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages_credentials as messages
from bootstrap.cli.heartbeat import explaining_slow_reads
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import command_as_typed
from bootstrap.cli.project_command import ProjectCommand, open_project, require_managed
from bootstrap.cli.secrets import read_stdin

if TYPE_CHECKING:
    from bootstrap.engine.locate import LocatedCredential
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.image_reference import ImageReference
    from bootstrap.model.secret import Secret
    from bootstrap.plugin.provider import Target


async def verify_named(values: Mapping[str, Any]) -> int:
    """`pullkey verify NAME`, or by an image."""
    from bootstrap.engine.locate import credential_named, is_for

    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    async with open_project(values) as command:
        if values["name"]:
            credentials = await command.akka.credentials_with([values["name"]])
            held = credential_named(credentials, values["name"], command.scope.label)
        else:
            host = image_reference(values["image"]).registry
            credentials = await command.akka.credentials_with_any(lambda one: is_for(one, host))
            held = await credential_for_image(credentials, values["image"], command)
        code, document = await verify_held(command, held, values["image"], password)
        if values["output"] == "json":
            print_document(document)
    return code


async def verify_held(
    command: ProjectCommand, held: HeldCredential, image: str | None, password: Secret | None
) -> tuple[int, Mapping[str, Any]]:
    """Verify one credential, and show how that ended; the exit code, and the JSON object.

    Raises:
        PullkeyError: it was not created by pullkey, or what it is of cannot be found.
    """
    from bootstrap.engine.locate import find
    from bootstrap.engine.run_options import RunOptions
    from bootstrap.output.json_documents import run_document
    from bootstrap.output.summary import print_summary

    located = await find(held, command.context, image=image)
    known = require_managed(located, command.scope, "verify")
    verification = command.assembly.verification(
        command.open_target(known),
        RunOptions(secret_name=held.name, dry_run=True, command=command_as_typed()),
        password=password,
        reopen=lambda: located.provider.open(known.target, known.context),
        akka_checked=True,
    )
    with explaining_slow_reads():
        outcome = await verification.execute()
    command.reporter.close()
    document = run_document(verification, command="verify", provider=located.provider.name)
    repair = _repair(located, known.target, command, image)
    print_summary(
        outcome, run=verification, show_commands=False, handover=None, verbose=command.verbose, repair=repair
    )
    return outcome.exit_code, document


def image_reference(image: str) -> ImageReference:
    """An image as a puller reads it: a name without a host is on Docker Hub."""
    from bootstrap.model.image_reference import parse_reference
    from bootstrap.plugin.routing import host_of_image

    return parse_reference(image if host_of_image(image) else f"docker.io/{image}", where="--image")


def _repair(located: LocatedCredential, target: Target, command: ProjectCommand, image: str | None) -> str:
    """The command that creates again what is missing of a credential of ours."""
    held = located.held
    options: dict[str, str | bool | None] = {**located.provider.options_of(held, target), "image": image}
    options["secret-name"] = held.name if held.name != target.secret_name else None
    words = ["pullkey", "onboard", located.provider.name]
    for name, value in options.items():
        if value:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words) + command.akka.scope.options


async def credential_for_image(
    credentials: Sequence[HeldCredential], image: str, command: ProjectCommand
) -> HeldCredential:
    """The credential that pulls an image: that of its registry, or if there are several, of its repository.

    Raises:
        UsageProblem: there is none, or several are possible.
    """
    from bootstrap.engine.locate import find, is_for
    from bootstrap.plugin.entry_points import covers

    named = image_reference(image)
    same = [one for one in credentials if is_for(one, named.registry)]
    if not same:
        raise messages.no_credential_for_registry(named.registry, command.scope, image)
    if len(same) > 1:
        found = [await find(one, command.context) for one in same]
        labels = {one.held.name: one.target.label for one in found if one.target is not None}
        fitting = [one for one in same if f"{named}".startswith(f"{labels.get(one.name, ' ')}/")]
        answers = {
            one.held.name: covers(one.provider, one.target, image) for one in found if one.target is not None
        }
        covering = [one for one in same if answers.get(one.name)]
        perhaps = [one for one in same if one.name in answers and answers[one.name] is None]
        same = fitting or covering or perhaps or same
    if len(same) > 1:
        names = ", ".join(sorted(one.name for one in same))
        raise messages.several_credentials(str(named), names, command.scope)
    return same[0]

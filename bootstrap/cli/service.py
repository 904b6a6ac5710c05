"""`pullkey verify --service NAME`: why a service cannot pull, by Akka's state and the credential's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.akka.services import PullFailure, Service, is_akka_registry
from bootstrap.cli import messages_credentials as messages
from bootstrap.cli.json_output import print_document
from bootstrap.cli.project_command import open_project
from bootstrap.cli.secrets import read_stdin
from bootstrap.cli.verify_held import credential_for_image, verify_held
from bootstrap.engine.waiting_services import registry_host
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError, UsageProblem, first_line
from bootstrap.model.text import sentence
from bootstrap.output.terminal import say
from bootstrap.plugin.routing import host_of_image

if TYPE_CHECKING:
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.cli.project_command import ProjectCommand
    from bootstrap.model.akka_record import HeldCredential
    from bootstrap.model.secret import Secret


async def verify_service(values: Mapping[str, Any]) -> int:
    """Report why a service can or cannot pull its image; change nothing.

    Raises:
        UsageProblem: the project has no such service.
    """
    from bootstrap.engine.locate import is_for
    from bootstrap.output.json_documents import service_document

    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    async with open_project(values) as command:
        service, failures = await _service(command.akka, values["service"], command.scope.label)
        _show(service, failures)
        code = ExitCode.DRIFT if failures else ExitCode.DONE
        problem, reason, document = _without_credential(service), None, None
        if not problem:
            host = registry_host(service.image)
            credentials = await command.akka.credentials_with_any(lambda one: is_for(one, host))
            if any(is_for(one, host) for one in credentials):
                found, problem, reason, document = await _verify_credential(
                    command, service, credentials, password, pull_failed=bool(failures)
                )
                code = code or found
            else:
                code, problem = (
                    ExitCode.DRIFT,
                    messages.service_has_no_credential(host, service.image, command.scope),
                )
        if problem:
            say(sentence(problem), sys.stderr)
        if values["output"] == "json":
            print_document(service_document(service, failures, problem, reason, document, code))
    return code


async def _verify_credential(
    command: ProjectCommand,
    service: Service,
    credentials: Sequence[HeldCredential],
    password: Secret | None,
    *,
    pull_failed: bool,
) -> tuple[ExitCode, str, Code | None, Mapping[str, Any] | None]:
    """Verify the credential that pulls a service's image.

    Returns:
        the exit code, what is wrong or to be done ("" for nothing), the code of the error that it is, if it
        is one, and the JSON document of the verification, if there was one.
    """
    try:
        held = await credential_for_image(credentials, service.image, command)
        say(f"  credential: {held.name}", sys.stderr)
        verified, document = await verify_held(command, held, service.image, password)
    except PullkeyError as error:
        code = ExitCode.DRIFT if isinstance(error, UsageProblem) else error.exit_code
        if error.code is Code.CREDENTIAL_NOT_MANAGED:
            code = ExitCode.DONE  # nothing is known to be wrong with it
        return code, f"{first_line(error)} {error.fix}".rstrip(), error.code, None
    # A failed pull is what `verify` cannot see: it judges the credential.
    if pull_failed and not verified:
        text = messages.credential_valid_but_pull_failed(service.name, command.scope)
        return ExitCode.DONE, text, None, document
    return ExitCode(verified), "", None, document


async def _service(akka: AkkaCli, name: str, where: str) -> tuple[Service, Sequence[PullFailure]]:
    """A service with its image, which is read from the project's descriptor if its description lacks it.

    Raises:
        StepFailed: Akka does not show the image.
        UsageProblem: there is no service of this name.
    """
    service, failures = await akka.service(name)
    if service is not None and service.image:
        return service, failures
    known = {one.name: one for one in await akka.exported_services()}
    if name not in known:
        if service is not None:
            raise messages.service_image_not_shown(name)
        raise messages.service_not_found(name, where, sorted(known))
    return Service(name, known[name].image, service.status if service is not None else ""), failures


def _show(service: Service, failures: Sequence[PullFailure]) -> None:
    say(f"Service {service.name}{f': {service.status}' if service.status else ''}", sys.stderr)
    say(f"  image: {service.image}", sys.stderr)
    for failure in failures:
        say(f"  Akka cannot pull it: {failure}", sys.stderr)
    if not failures:
        say("  Akka shows no failed pull.", sys.stderr)


def _without_credential(service: Service) -> str:
    """Why the image needs no credential, or ""."""
    host = host_of_image(service.image)
    return f"{host} is Akka's own registry, which needs no credential" if is_akka_registry(host) else ""

"""`pullkey verify --service NAME`: what Akka says of a service's pull, joined with what the clouds say of
the credential.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.akka.services import PullFailure, Service, is_akka_registry
from bootstrap.cli.json_output import print_document
from bootstrap.cli.project_command import opened
from bootstrap.cli.secrets import read_stdin
from bootstrap.cli.verify_held import credential_for_image, verify_held
from bootstrap.engine.service_survey import registry_host
from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError, StepFailed, UsageProblem, first_line
from bootstrap.model.text import did_you_mean, sentence
from bootstrap.output.terminal import say
from bootstrap.plugin.routing import host_of_image

if TYPE_CHECKING:
    from bootstrap.akka.cli import AkkaCli


async def verify_service(values: Mapping[str, Any]) -> int:
    """Say why a service does or does not get its image; change nothing.

    Raises:
        UsageProblem: the project has no such service.
    """
    from bootstrap.engine.locate import is_for
    from bootstrap.output.json_documents import service_document

    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    async with opened(values) as command:
        service, failures = await _service(command.akka, values["service"], command.scope.label)
        _show(service, failures)
        problem, document = _without_credential(service), None
        code = ExitCode.DRIFT if failures else ExitCode.DONE
        if not problem:
            host = registry_host(service.image)
            credentials = await command.akka.credentials_with_any(lambda one: is_for(one, host))
            if not any(is_for(one, host) for one in credentials):
                code = ExitCode.DRIFT
                problem = (
                    f"Akka has no credential for {host}. `pullkey onboard {shlex.quote(service.image)}` "
                    "registers one"
                )
            else:
                try:
                    held = await credential_for_image(credentials, service.image, command)
                    say(f"  credential: {held.name}", sys.stderr)
                    # A failed pull is what `verify` cannot see: it judges the credential.
                    verified, document = await verify_held(command, held, service.image, password)
                    code = code or ExitCode(verified)
                    if failures and not verified:
                        problem = (
                            "The credential is valid now. If the failure is older than the credential, "
                            f"`akka services restart {shlex.quote(service.name)}` pulls again"
                        )
                except UsageProblem as error:
                    problem = f"{first_line(error)} {error.fix}".rstrip()
                    code = ExitCode.DRIFT
                except PullkeyError as error:
                    problem = f"{first_line(error)} {error.fix}".rstrip()
        if problem:
            say(sentence(problem), sys.stderr)
        if values["output"] == "json":
            print_document(service_document(service, failures, problem, document, code))
    return code


async def _service(akka: AkkaCli, name: str, where: str) -> tuple[Service, Sequence[PullFailure]]:
    """The service, with its image: from the project's descriptor, where its own description does not name it.

    Raises:
        StepFailed: Akka does not show it.
        UsageProblem: there is none of the name.
    """
    service, failures = await akka.service(name)
    if service is not None and service.image:
        return service, failures
    known = {one.name: one for one in await akka.exported_services()}
    if name not in known:
        if service is not None:
            raise StepFailed(f"Akka does not show the image of the service {name}", code=Code.AKKA_FAILED)
        names = sorted(known)
        nearest = did_you_mean(name, names) or (
            f"There are: {', '.join(names[:8])}." if names else "It runs no services."
        )
        raise UsageProblem(
            f"There is no service {name!r} in {where}", fix=nearest, code=Code.AKKA_SERVICE_NOT_FOUND
        )
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

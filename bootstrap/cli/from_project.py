"""`pullkey onboard --from-project`: the registries that an Akka project's services pull from, and those
that need a credential.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli import messages
from bootstrap.cli.audit import one_sink
from bootstrap.cli.choices import choose_some, has_terminal
from bootstrap.cli.click_errors import as_pullkey_error
from bootstrap.cli.image import options_from_image
from bootstrap.cli.json_output import document_of_error, print_document
from bootstrap.cli.listing import assess_all
from bootstrap.cli.options import inner_command
from bootstrap.cli.project_command import open_project
from bootstrap.cli.secrets import run_alone
from bootstrap.model.errors import (
    ExitCode,
    Interrupted,
    PullkeyError,
    advice,
    exit_code_of_many,
    first_line,
)
from bootstrap.output.terminal import say, say_command

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope
    from bootstrap.engine.service_survey import RegistryInUse
    from bootstrap.plugin.provider import Provider

_End = tuple[int, Mapping[str, Any] | None]
"""The exit code of an onboarding, and its JSON document: of its run, or of the error that prevented one."""

_WORDS = {
    "ok": "valid",
    "external": "external",
    "unverified": "unverified",
    "wrong": "invalid",
    "missing": "missing",
    "public": "public",
    "akka": "Akka's own",
    "unknown": "unknown",
}
_NOTES = {
    "external": "created outside pullkey: whether it pulls is not known",
    "public": "anyone may pull; no credential is needed",
    "akka": "no credential is needed",
    "unknown": "this image reference could not be read",
}


def onboard_from_project(
    values: Mapping[str, Any], arguments: Sequence[str], build: Callable[[Provider], click.Command]
) -> int:
    """Show what the project pulls from; onboard what needs it, each as `pullkey onboard IMAGE` does.

    Args:
        values: the options.
        arguments: the options as typed, for the command of each provider.
        build: creates that command.

    Raises:
        UsageProblem: there is no terminal, and neither --yes nor --dry-run was given.
    """
    found: list[RegistryInUse] = []

    async def look() -> int:
        from bootstrap.engine.service_survey import survey

        async with open_project(values) as command:
            credentials = await command.akka.credentials()

            async def assess(chosen: Sequence[Any]) -> Sequence[Any]:
                return await assess_all(command, chosen, None)

            found.extend(await survey(command.akka, credentials, assess, command.reporter.trace))
            _show(found, command.scope)
        return ExitCode.DONE

    if not (values["yes"] or values["dry_run"] or has_terminal()):
        raise messages.no_terminal_to_choose_registries()
    with one_sink(values):
        run_alone(look())
        return _onboard_found(found, values, arguments, build)


def _onboard_found(
    found: Sequence[RegistryInUse],
    values: Mapping[str, Any],
    arguments: Sequence[str],
    build: Callable[[Provider], click.Command],
) -> int:
    """Onboard those that need it, of a terminal's user only the chosen ones; return the exit code."""
    as_json = values["output"] == "json"
    needed = [one for one in found if one.to_onboard and one.provider is not None]
    if not needed:
        say("Nothing to onboard.", sys.stderr)
        if as_json:
            _print(found, {}, ExitCode.DONE)
        return ExitCode.DONE
    chosen = needed
    if not (values["yes"] or values["dry_run"]):
        places = choose_some("Which to onboard?", [(one.place, _services(one)) for one in needed])
        chosen = [one for one in needed if one.place in places]
    ended = _onboard_all(chosen, arguments, build)
    codes = [code for code, _ in ended]
    if len(chosen) > 1:
        _total(chosen, codes)
    if chosen and not (values["yes"] or values["dry_run"]):
        say("To do the same without the first question:", sys.stderr)
        for one in chosen:
            say_command(shlex.join(["pullkey", *_command(one, arguments)]), sys.stderr)
    not_begun = [ExitCode.INTERRUPTED] * (len(chosen) - len(codes))
    code = exit_code_of_many([*map(ExitCode, codes), *not_begun])
    if as_json:
        _print(found, {one.place: end for one, end in zip(chosen, ended, strict=False)}, code)
    return code


def _print(found: Sequence[RegistryInUse], ended: Mapping[str, _End], code: ExitCode) -> None:
    """The one JSON object on stdout."""
    from bootstrap.output.json_documents import survey_document

    print_document(survey_document(found, ended, code))


def _show(found: Sequence[RegistryInUse], scope: AkkaScope) -> None:
    project = "/".join(filter(None, (scope.owner, scope.project or scope.current))) or scope.label
    services = {name for one in found for name in one.services}
    if not services:
        say(f"Akka project {project} runs no services.", sys.stderr)
        return
    say(
        f"Akka project {project}: {_count(len(services), 'service')}, {_count(len(found), 'registry')}",
        sys.stderr,
    )
    width = max(len(word) for word in _WORDS.values())
    for one in found:
        say(f"  {_WORDS[one.need]:{width}}  {one.place}", sys.stderr)
        lines = [f"services: {_services(one)}", _NOTES.get(one.need, ""), *map(str, one.problems)]
        if one.credential:
            lines.insert(1, f"credential: {one.credential}")
        for line in filter(None, lines):
            say(f"  {'':{width}}  {line}", sys.stderr)
        for name, failure in sorted(one.failures.items()):
            say(f"  {'':{width}}  {name} cannot pull: {failure.reason}", sys.stderr)


def _count(number: int, what: str) -> str:
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else many}"


def _services(one: RegistryInUse) -> str:
    names = one.services
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _onboard_all(
    chosen: Sequence[RegistryInUse], arguments: Sequence[str], build: Callable[[Provider], click.Command]
) -> list[_End]:
    """Onboard one after another; the ends of those that were begun. An interruption ends it."""
    ended: list[_End] = []
    for one in chosen:
        ended.append(_onboard(one, arguments, build))
        if inner_command.interrupted:
            break
    return ended


def _onboard(
    one: RegistryInUse, arguments: Sequence[str], build: Callable[[Provider], click.Command]
) -> _End:
    """Run one onboarding as if it had been typed; its errors are shown and do not stop the others."""
    provider, image = one.provider, next(iter(one.images))
    assert provider is not None  # noqa: S101  - those without are not offered
    say(f"\n{one.place} ({provider.title})", sys.stderr)
    inner_command.arguments, inner_command.interrupted = _command(one, arguments), False
    inner_command.document = None
    try:
        options = [
            *options_from_image(provider, image, arguments),
            *_command(one, arguments)[2:],
            "--output=text",
        ]
        code: int = build(provider).main(
            options, prog_name=f"pullkey onboard {provider.name}", standalone_mode=False
        )
    except click.Abort:  # a signal while no operation was at work
        error: PullkeyError = Interrupted("Interrupted")
    except (PullkeyError, click.ClickException) as raised:
        error = as_pullkey_error(raised)
    else:
        if code == ExitCode.USAGE:
            _show_command(one, arguments)
        return code, inner_command.document
    finally:
        inner_command.arguments = ()
    say(f"pullkey: {first_line(error)}", sys.stderr)
    if fix := advice(error):
        say(f"  {fix}", sys.stderr)
    inner_command.interrupted = isinstance(error, Interrupted)
    if not inner_command.interrupted:
        _show_command(one, arguments)
    return error.exit_code, document_of_error("onboard", error, what=error.what, fix=error.fix)


def _show_command(one: RegistryInUse, arguments: Sequence[str]) -> None:
    """Show how to onboard a registry that needs something which only the user knows."""
    say("  To onboard it by itself:", sys.stderr)
    say_command(shlex.join(["pullkey", *_command(one, arguments)]), sys.stderr, indent="    ")


def _command(one: RegistryInUse, arguments: Sequence[str]) -> list[str]:
    """The arguments of `pullkey` that onboard one registry by itself."""
    # An existing credential is replaced, whatever its name.
    name = [f"--secret-name={one.credential}"] if one.need == "wrong" else []
    return ["onboard", next(iter(one.images)), *arguments, *name]


def _total(chosen: Sequence[RegistryInUse], codes: Sequence[int]) -> None:
    """Say how many were done, and which were not, or not even begun."""
    failed = [one.place for one, code in zip(chosen, codes, strict=False) if code]
    not_begun = [one.place for one in chosen[len(codes) :]]
    done = len(codes) - len(failed)
    missed = f" Not done: {', '.join(failed)}." if failed else ""
    missed += f" Not begun: {', '.join(not_begun)}." if not_begun else ""
    say(f"\n{done} of {len(chosen)} registries done.{missed}", sys.stderr)

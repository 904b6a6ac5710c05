"""The commands for one target: `onboard`, `plan`, `verify` and `runbook`, each for every provider.

A provider declares its options once; each command builds its subcommand from them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from bootstrap.cli import messages
from bootstrap.cli.choices import check_can_ask, has_terminal
from bootstrap.cli.colour import with_no_color
from bootstrap.cli.image import (
    ARGUMENTS,
    FILLED,
    as_typed,
    names_an_image,
)
from bootstrap.cli.options import (
    CREDENTIAL_STDIN,
    IMAGE,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    YES,
    clean,
    click_option,
    offers,
    prompted_options,
    scope_of,
    with_options,
)
from bootstrap.cli.provider_group import ProviderGroup, VerifyGroup
from bootstrap.cli.secrets import read_stdin, run_alone, secrets_from_stdin
from bootstrap.model.common_options import (
    ANYWAY,
    AUDIT,
    MAX_EXPIRES_IN,
    PROOF_IMAGE,
    REPLACE,
    SCOPE,
    SECRET_NAME,
)
from bootstrap.model.errors import ExitCode, UsageProblem
from bootstrap.model.option import Option
from bootstrap.output.terminal import put, say
from bootstrap.plugin.provider import Provider

_TARGET = (
    PROOF_IMAGE,
    *SCOPE,
    SECRET_NAME,
)
_RUN = (
    REPLACE,
    ANYWAY,
    Option("--new-key", "Create a new key even if the one that Akka holds is valid.", kind="switch"),
    MAX_EXPIRES_IN,
    TIMEOUT,
    Option("--no-wait", "Register the credential without verifying it first.", kind="switch"),
    Option(
        "--handover",
        "Where permissions are missing, write the steps that need them to this script, for an administrator.",
        metavar="FILE",
    ),
    OUTPUT,
    VERBOSE,
)
_ONBOARD = (
    Option("--dry-run", "Preview the changes, as `pullkey plan` does.", kind="switch"),
    AUDIT,
    YES,
)
_VERIFY = (CREDENTIAL_STDIN, TIMEOUT, OUTPUT, VERBOSE)
# The defaults of options that only commands with changes have.
_UNASKED = {
    "replace": False,
    "anyway": False,
    "new_key": False,
    "no_wait": False,
    "dry_run": False,
    "yes": False,
    "handover": None,
}
_SERVICE = Option(
    "--service",
    "A service of the Akka project: what Akka says of its pull, and of the credential for its image.",
    metavar="NAME",
)
_SANDBOX = Option(
    "--sandbox", "Run against local emulators of the clouds; no account is needed.", kind="switch"
)


def _command(
    provider: Provider, verb: str, options: tuple[Option, ...], run: Callable[..., int], about: str
) -> click.Command:
    # A command that only reads, or writes a script, needs no secret for a new key.
    takes_secrets = verb in ("onboard", "plan")
    examples = "\n".join(
        "  " + line.replace("pullkey onboard", f"pullkey {verb}", 1)
        for line in provider.examples
        if takes_secrets or "-stdin" not in line
    )
    if verb != "onboard":
        examples = examples.replace(" --yes", "")
    own = [option for option in provider.options if takes_secrets or option.kind != "secret"]
    return click.Command(
        provider.name,
        callback=partial(_invoke, run, provider),
        params=[click_option(option, provider.name) for option in (*own, *options)],
        help=f"{about}\n\n\b\nExamples:\n{examples}",
        short_help=provider.title,
    )


def _invoke(run: Callable[..., int], provider: Provider, **values: Any) -> int:
    if values.get("sandbox"):
        return _in_sandbox()  # whose child reads stdin
    filled = click.get_current_context().meta.get(FILLED, ())
    try:
        cleaned = {key: clean(key, value) for key, value in values.items()}
        secrets = secrets_from_stdin(provider.options, cleaned)
        return run(provider, _completed(provider, cleaned) | secrets)
    except UsageProblem as problem:
        if not filled:
            raise
        raise as_typed(problem, filled) from None
    finally:
        if prompted_options:
            from bootstrap.cli.missing import show_command

            show_command()


def _completed(provider: Provider, values: dict[str, Any]) -> dict[str, Any]:
    """The values, completed by prompts for what the provider requires, if there is a terminal."""
    prompted_options.clear()
    if not has_terminal() or provider.missing(values) is None:
        return values
    from bootstrap.cli.missing import ask_missing

    return ask_missing(provider, values)


# -- onboard and plan ----------------------------------------------------------------------------------------


def _build_onboard(provider: Provider) -> click.Command:
    return _command(provider, "onboard", (*_TARGET, *_RUN, *_ONBOARD, _SANDBOX), _onboard, provider.summary)


def _build_plan(provider: Provider) -> click.Command:
    about = "Show what `pullkey onboard` would do and what already is; change nothing."
    return _command(provider, "plan", (*_TARGET, *_RUN, _SANDBOX), _plan, about)


def _from_project(verb: str, build: Callable[[Provider], click.Command]) -> click.Command:
    """`pullkey onboard` and `plan` without a provider."""
    switch = Option(
        "--from-project",
        "The registries that the services of the Akka project pull from; those without a working "
        "credential are onboarded.",
        kind="switch",
    )
    asked = (
        switch,
        *SCOPE,
        ANYWAY,
        TIMEOUT,
        Option("--no-wait", "Register the credential without verifying it first.", kind="switch"),
        OUTPUT,
        VERBOSE,
    )
    options = (*asked, *(_ONBOARD if verb == "onboard" else ()), _SANDBOX)

    def run(**values: Any) -> int:
        if values["sandbox"]:
            return _in_sandbox()
        if not (values["from_project"] or has_terminal()):
            raise messages.no_image_and_no_provider(verb)
        from bootstrap.cli.from_project import onboard_from_project

        cleaned = {key: clean(key, value) for key, value in values.items()}
        if verb == "plan":
            cleaned |= {"dry_run": True, "yes": False}
        return onboard_from_project(cleaned, click.get_current_context().meta.get(ARGUMENTS, ()), build)

    return click.Command(
        "--from-project",
        callback=run,
        params=[click_option(option) for option in options],
        help=f"Show which private registries the services of the Akka project pull from, and {verb} "
        f"those for which Akka has no credential that works.\n\nEach is done as `pullkey {verb} "
        f"IMAGE` does. In a terminal you choose.\n\n\b\nExamples:\n  pullkey {verb} "
        f"--from-project\n  pullkey {verb} --from-project --akka-project "
        f"shop{' --yes' if verb == 'onboard' else ''}",
    )


def _plan(provider: Provider, values: dict[str, Any]) -> int:
    return _onboard(provider, {**values, "dry_run": True, "yes": False})


def _onboard(provider: Provider, values: dict[str, Any]) -> int:
    if not (values["yes"] or values["dry_run"]):
        check_can_ask(stdin_taken=any(values[one.key] for one in provider.options if one.kind == "secret"))
    from bootstrap.cli.target_run import run_target

    return run_alone(run_target(provider, values))


def _in_sandbox() -> int:
    """Run the same command again as a child of a sandbox."""
    from bootstrap.cli.sandbox import runner

    run = runner()
    say("Sandbox: emulated clouds and Akka on this machine; no account is used.", sys.stderr)
    arguments = [argument for argument in sys.argv[1:] if argument != "--sandbox"]
    settings = run.SandboxSettings(consistency=run.consistency_of(os.environ))
    code: int = run.exec_in_sandbox([sys.executable, "-m", "bootstrap", *arguments], settings)
    say("Sandbox: all of this was emulated and is deleted now. No account was used.", sys.stderr)
    return code


# -- verify --------------------------------------------------------------------------------------------------


def _build_verify(provider: Provider) -> click.Command:
    about = "Verify the credential that Akka holds for this target; change nothing."
    return _command(provider, "verify", (*_TARGET, *_VERIFY), _verify, about)


def _verify(provider: Provider, values: dict[str, Any]) -> int:
    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    from bootstrap.cli.target_run import run_target

    return run_alone(run_target(provider, {**_UNASKED, **values}, verify=True, password=password))


@click.command("NAME")
@click.argument("name", required=False, metavar="[NAME|IMAGE]", shell_complete=offers("credentials"))
@with_options(_SERVICE, IMAGE, *_VERIFY, *SCOPE)
def verify_by_name(**values: Any) -> int:
    """Verify a credential that Akka holds, named by its secret or by an image; change nothing.

    \b
    Examples:
      pullkey verify europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey verify acmeshop.azurecr.io/checkout:1.0
      pullkey verify --service checkout
    """
    from bootstrap.cli.verify_held import verify_named

    values = {key: clean(key, value) for key, value in values.items()}
    if values["name"] and names_an_image(values["name"]):
        if values["image"] not in (None, values["name"]):
            raise messages.two_images("--image", values["image"], values["name"])
        values |= {"name": None, "image": values["name"]}
    if values["service"]:
        if values["name"] or values["image"]:
            raise messages.service_and_other_name()
        from bootstrap.cli.service import verify_service

        return run_alone(verify_service(values))
    if not values["name"] and not values["image"]:
        raise messages.nothing_to_verify()
    return run_alone(verify_named(values))


with_no_color(verify_by_name)


# -- runbook -------------------------------------------------------------------------------------------------


def _build_runbook(provider: Provider) -> click.Command:
    form = Option(
        "--format", "A script to run, or a page to read.", choices=("bash", "markdown"), default="bash"
    )
    about = "Write the steps of this target as the documented commands, to run by hand. Makes no calls."
    return _command(provider, "runbook", (*_TARGET, form), _runbook, about)


def _runbook(provider: Provider, values: dict[str, Any]) -> int:
    from bootstrap.akka.cli import AkkaCli
    from bootstrap.cli.target_run import secret_name_of
    from bootstrap.engine.run import all_steps
    from bootstrap.model.deadline import Deadline
    from bootstrap.output.runbook import as_bash, as_markdown
    from bootstrap.plugin.context import RunContext

    target = provider.target(values)
    deadline = Deadline(0)
    context = RunContext(deadline, lambda _: None, lambda _: None)
    session = provider.open(target, context)
    akka = AkkaCli(scope_of(values), deadline, context.trace)
    steps = all_steps(session, context, akka, secret_name_of(values, target))
    render = as_bash if values["format"] == "bash" else as_markdown
    put(render(session, steps, label=target.label).removesuffix("\n"), sys.stdout)
    return ExitCode.DONE


_HELP = {
    "onboard": "Let an Akka project pull from a private registry, in one run.\n\nIt takes an image, whose "
    "host selects the provider, the name of a provider, or --from-project for the registries that "
    "the project's services pull from. The options of that provider follow: see pullkey onboard "
    "PROVIDER --help.\n\n\b\nExamples:\n  pullkey onboard "
    "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey onboard "
    "acmeshop.azurecr.io/checkout:1.0 --expires-in 90d\n  pullkey onboard acr --registry acmeshop "
    "--akka-project shop\n  pullkey onboard --from-project\n  pullkey onboard gcr --sandbox --yes",
    "plan": "Show what `pullkey onboard` would do and what already is; change nothing.\n\nIt takes an "
    "image, whose host selects the provider, the name of a provider, or a file of "
    "registries.\n\n\b\nExamples:\n  pullkey plan "
    "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey plan gcr --server "
    "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey plan acr --registry "
    "acmeshop --output json\n  pullkey plan registries.yaml             (see: pullkey plan -f FILE "
    "--help)",
    "verify": "Verify the credential that Akka holds for a target; change nothing.\n\nName it by its target, "
    "its Akka secret, an image, or a service of the project. Akka never shows a password; without "
    "--credential-stdin only the records of the cloud and of Akka are checked.\n\n\b\nExamples:\n  "
    "pullkey verify acmeshop-azurecr-io\n  pullkey verify acmeshop.azurecr.io/checkout:1.0\n  "
    "pullkey verify --service checkout\n  pullkey verify gcr --server "
    "europe-west1-docker.pkg.dev/acme-shop/containers\n  pullkey verify acr --registry "
    "acmeshop.azurecr.io/checkout:1.0 --credential-stdin < secret.txt",
    "runbook": "Write the steps of a target as the documented commands, to run by hand.\n\n\b\nExamples:\n  "
    "pullkey runbook europe-west1-docker.pkg.dev/acme-shop/containers > onboard.sh\n  pullkey "
    "runbook gcr --server europe-west1-docker.pkg.dev/acme-shop/containers > onboard.sh\n  pullkey "
    "runbook acr --registry acmeshop --format markdown\n  pullkey runbook -f registries.yaml       "
    "(see: pullkey runbook -f FILE --help)",
}

_WORDS = "PROVIDER|IMAGE [OPTIONS]"
onboard = ProviderGroup("onboard", build=_build_onboard, help=_HELP["onboard"], subcommand_metavar=_WORDS)
onboard.from_project = _from_project("onboard", _build_onboard)
plan = ProviderGroup("plan", build=_build_plan, help=_HELP["plan"], subcommand_metavar=_WORDS)
plan.from_project = _from_project("plan", _build_plan)
verify = VerifyGroup(
    "verify", build=_build_verify, help=_HELP["verify"], subcommand_metavar="NAME|IMAGE|PROVIDER [OPTIONS]"
)
verify.by_name = verify_by_name
runbook = ProviderGroup("runbook", build=_build_runbook, help=_HELP["runbook"], subcommand_metavar=_WORDS)

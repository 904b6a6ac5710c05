"""The commands that take one target: `onboard`, `plan` and `runbook`, each with every provider.

A provider's options are declared once, by the provider; each command builds its subcommand from them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootstrap import plugins
from bootstrap.cli.audit import audited
from bootstrap.cli.options import (
    CREDENTIAL_STDIN,
    IMAGE,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    YES,
    clean,
    click_option,
    retyped,
    scope_of,
    with_options,
)
from bootstrap.cli.secrets import asker, read_stdin, run_alone, secrets_from_stdin
from bootstrap.errors import ExitCode, UsageProblem
from bootstrap.options import ANYWAY, AUDIT, PROOF_IMAGE, REPLACE, SCOPE, SECRET_NAME
from bootstrap.provider import Option, Provider

if TYPE_CHECKING:
    from bootstrap.engine import Run
    from bootstrap.outcome import Outcome
    from bootstrap.secret import Secret

_TARGET = (
    PROOF_IMAGE,
    *SCOPE,
    SECRET_NAME,
)
_RUN = (
    REPLACE,
    ANYWAY,
    Option("--new-key", "Make a new key even where the one that Akka holds is good.", kind="switch"),
    TIMEOUT,
    Option("--no-wait", "Hand off without proof that it pulls.", kind="switch"),
    Option("--handover", "Where rights are missing, write the steps for whoever has them to this file.", metavar="FILE"),
    OUTPUT,
    VERBOSE,
)  # fmt: skip
_ONBOARD = (
    Option("--dry-run", "Show what would be done, as `pullkey plan` does.", kind="switch"),
    AUDIT,
    YES,
)
_VERIFY = (CREDENTIAL_STDIN, TIMEOUT, OUTPUT, VERBOSE)
# What only a run that may change something is asked.
_UNASKED = {
    "replace": False,
    "anyway": False,
    "new_key": False,
    "no_wait": False,
    "dry_run": False,
    "yes": False,
    "handover": None,
}
_SANDBOX = Option(
    "--sandbox", "Run against made-up clouds on this machine; no account is needed.", kind="switch"
)


class ProviderGroup(click.Group):
    """One subcommand a provider, built when it is asked for."""

    def __init__(self, *args: Any, build: Callable[[Provider], click.Command], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._build = build

    def list_commands(self, ctx: click.Context) -> list[str]:
        return plugins.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._build(plugins.load(cmd_name)) if cmd_name in plugins.names() else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in plugins.names():
            raise click.UsageError(
                f"There is no provider {args[0]!r}; there are: {', '.join(plugins.names())}", ctx
            )
        return super().resolve_command(ctx, args)


class VerifyGroup(ProviderGroup):
    """Besides one subcommand a provider: the name of an Akka secret, or `--image`, in place of a provider."""

    BY_NAME = "NAME"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*plugins.names(), *ctx.help_option_names):
            args = [self.BY_NAME, *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return verify_by_name if cmd_name == self.BY_NAME else super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] == self.BY_NAME:
            return self.BY_NAME, verify_by_name, args[1:]
        return super().resolve_command(ctx, args)


def _command(
    provider: Provider, verb: str, options: tuple[Option, ...], run: Callable[..., int], about: str
) -> click.Command:
    examples = "\n".join(
        "  " + line.replace("pullkey onboard", f"pullkey {verb}", 1) for line in provider.examples
    )
    if verb != "onboard":
        examples = examples.replace(" --yes", "")
    # Who only looks, or writes a script, takes no secret for a new key.
    takes_secrets = verb in ("onboard", "plan")
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
    cleaned = {key: clean(key, value) for key, value in values.items()}
    return run(provider, cleaned | secrets_from_stdin(provider.options, cleaned))


# -- onboard and plan ----------------------------------------------------------------------------------------------


def _build_onboard(provider: Provider) -> click.Command:
    return _command(provider, "onboard", (*_TARGET, *_RUN, *_ONBOARD, _SANDBOX), _onboard, provider.summary)


def _build_plan(provider: Provider) -> click.Command:
    about = "Show what `pullkey onboard` would do and what already is; change nothing."
    return _command(provider, "plan", (*_TARGET, *_RUN, _SANDBOX), _plan, about)


def _plan(provider: Provider, values: dict[str, Any]) -> int:
    return _onboard(provider, {**values, "dry_run": True, "yes": False})


def _onboard(provider: Provider, values: dict[str, Any]) -> int:
    if not (values["yes"] or values["dry_run"]) and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageProblem("There is no terminal to ask on before the first change", mend="Give --yes, or --dry-run to look only")  # fmt: skip
    return run_alone(_run(provider, values))


def _in_sandbox() -> int:
    """The unchanged product, run once more as a child of a sandbox."""
    from bootstrap.cli.sandbox import runner

    run = runner()
    arguments = [argument for argument in sys.argv[1:] if argument != "--sandbox"]
    code: int = run.exec_in_sandbox([sys.executable, "-m", "bootstrap", *arguments], run.SandboxSettings())
    return code


async def _run(
    provider: Provider, values: Mapping[str, Any], *, verify: bool = False, password: Secret | None = None
) -> int:
    from bootstrap.akka import AkkaCli
    from bootstrap.audit import about
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.display import make_reporter
    from bootstrap.documents import as_text, run_document
    from bootstrap.engine import Run
    from bootstrap.journal import Journal
    from bootstrap.offboarding import part_with
    from bootstrap.outcome import Wishes
    from bootstrap.proofs import Proofs
    from bootstrap.provider import RunContext
    from bootstrap.report import tell_end
    from bootstrap.settings import check_addresses, state_directory
    from bootstrap.waiting import Deadline

    target = provider.target(values)
    check_addresses(target.registry)
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace, new_key=values["new_key"])
    if not (verify or values["dry_run"]):
        context.ask_secret = asker()
    scope = scope_of(values)
    name = values["secret_name"] or target.secret_name
    wishes = Wishes(
        secret_name=name,
        replace=values["replace"],
        anyway=values["anyway"],
        wait=not values["no_wait"],
        dry_run=values["dry_run"],
        yes=values["yes"],
        question=f"Make {target.label} pullable for Akka?",
        command=retyped(),
    )
    akka = AkkaCli(scope, deadline, reporter.trace)
    proofs = Proofs(state_directory())
    run = Run(
        target,
        provider.open(target, context),
        context,
        akka,
        Journal(state_directory(), scope.place(name), target.identity),
        reporter,
        wishes,
        proofs=proofs,
        part_with=lambda held: part_with(held, context, akka, reporter, proofs),
    )
    try:
        async with audited(values, akka) as trail:
            if trail is not None:
                context.audit = trail.of(context.run_id, about(provider.name, target.label, scope, name))
            with ends_in_order(run, reporter, wishes.command):
                outcome = await (run.verify(password) if verify else run.execute())
    finally:
        reporter.close()
        await context.shared.close()
    handover = _hand_over(run, outcome, values)
    if values["output"] == "json":
        click.echo(as_text(run_document(run, command="verify" if verify else "plan" if wishes.dry_run else "onboard", provider=provider.name, scope=scope)))  # fmt: skip
    tell_end(outcome, run=run, show_commands=wishes.dry_run, handover=handover, verbose=values["verbose"])
    return outcome.exit_code


def _hand_over(run: Run, outcome: Outcome, values: Mapping[str, Any]) -> Path | None:
    """Where rights are missing: the steps that need them, as a script for whoever has them."""
    from bootstrap.errors import ProblemKind
    from bootstrap.runbook import as_bash

    lacking = {problem.step for problem in outcome.problems if problem.kind is ProblemKind.RIGHT}
    if not lacking or not values["handover"]:
        return None
    # What a step needs first goes with it; the key is for whoever registers it.
    by_name = {step.name: step for step in run.session.steps}
    wanted = lacking - {"key"}
    while more := {name for step in wanted for name in by_name[step].after if name in by_name} - wanted:
        wanted |= more
    pending = {name for name, result in outcome.steps.items() if result.result != "kept"}
    steps = [step for step in run.session.steps if step.name in wanted & pending]
    if not steps:
        return None
    then = f"Now whoever asked for this runs again: {run.wishes.command}"
    path = Path(values["handover"])
    try:
        script = as_bash(
            run.session, steps, label=run.target.label, then=then, extra=run.session.handover_extra()
        )
        path.write_text(script, encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"--handover: {path} cannot be written: {error.strerror}") from None
    return path


# -- verify --------------------------------------------------------------------------------------------------------


def _build_verify(provider: Provider) -> click.Command:
    about = "Say what is proven of the credential that Akka holds for this target; change nothing."
    return _command(provider, "verify", (*_TARGET, *_VERIFY), _verify, about)


def _verify(provider: Provider, values: dict[str, Any]) -> int:
    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    return run_alone(_run(provider, {**_UNASKED, **values}, verify=True, password=password))


@click.command("NAME")
@click.argument("name", required=False)
@with_options(IMAGE, *_VERIFY, *SCOPE)
def verify_by_name(**values: Any) -> int:
    """Say what is proven of a credential of Akka's, named by its secret or by an image; change nothing.

    \b
    Examples:
      pullkey verify europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey verify --image acmeshop.azurecr.io/checkout:1.0
    """
    from bootstrap.cli.credentials import verify_named

    values = {key: clean(key, value) for key, value in values.items()}
    if not values["name"] and not values["image"]:
        raise UsageProblem(
            "Name a credential of Akka's, or an image with --image", mend="See `pullkey list`."
        )
    return run_alone(verify_named(values))


# -- runbook -------------------------------------------------------------------------------------------------------


def _build_runbook(provider: Provider) -> click.Command:
    form = Option(
        "--format", "A script to run, or a page to read.", choices=("bash", "markdown"), default="bash"
    )
    about = "Write the steps of this target as the documented commands, for a person to run. Calls nobody."
    return _command(provider, "runbook", (*_TARGET, form), _runbook, about)


def _runbook(provider: Provider, values: dict[str, Any]) -> int:
    from bootstrap.akka import AkkaCli
    from bootstrap.engine import all_steps
    from bootstrap.provider import RunContext
    from bootstrap.runbook import as_bash, as_markdown
    from bootstrap.waiting import Deadline

    target = provider.target(values)
    deadline = Deadline(0)
    context = RunContext(deadline, lambda _: None, lambda _: None)
    session = provider.open(target, context)
    akka = AkkaCli(scope_of(values), deadline, context.trace)
    steps = all_steps(session, context, akka, values["secret_name"] or target.secret_name)
    render = as_bash if values["format"] == "bash" else as_markdown
    click.echo(render(session, steps, label=target.label), nl=False)
    return ExitCode.DONE


_HELP = {
    "onboard": "Make a registry pullable for an Akka project, in one run.\n\n\b\nExamples:\n  pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey onboard acr --registry acmeshop --akka-project shop\n  pullkey onboard gcr --sandbox --yes",
    "plan": "Show what `pullkey onboard` would do and what already is; change nothing.\n\n\b\nExamples:\n  pullkey plan gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey plan acr --registry acmeshop --output json\n  pullkey plan -f registries.yaml          (see: pullkey plan -f FILE --help)",
    "verify": "Say what is proven of the credential that Akka holds for a target; change nothing.\n\nIt is named by its target, by the name of its Akka secret, or by an image. Akka never shows a password, so without it only the clouds' and Akka's own records are looked at.\n\n\b\nExamples:\n  pullkey verify acmeshop-azurecr-io\n  pullkey verify --image acmeshop.azurecr.io/checkout:1.0\n  pullkey verify gcr --server europe-west1-docker.pkg.dev/acme-shop/containers\n  pullkey verify acr --registry acmeshop.azurecr.io/checkout:1.0 --credential-stdin < secret.txt",
    "runbook": "Write the steps of a target as the documented commands, for a person to run.\n\n\b\nExamples:\n  pullkey runbook gcr --server europe-west1-docker.pkg.dev/acme-shop/containers > onboard.sh\n  pullkey runbook acr --registry acmeshop --format markdown\n  pullkey runbook -f registries.yaml       (see: pullkey runbook -f FILE --help)",
}  # fmt: skip

onboard = ProviderGroup("onboard", build=_build_onboard, help=_HELP["onboard"])
plan = ProviderGroup("plan", build=_build_plan, help=_HELP["plan"])
verify = VerifyGroup("verify", build=_build_verify, help=_HELP["verify"])
runbook = ProviderGroup("runbook", build=_build_runbook, help=_HELP["runbook"])

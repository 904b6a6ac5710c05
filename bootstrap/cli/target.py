"""The commands that take one target: `onboard`, `plan` and `runbook`, each with every provider.

A provider's options are declared once, by the provider; each command builds its subcommand from them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootstrap import plugins
from bootstrap.cli.secrets import asker, keep_to_ourselves, read_stdin, secrets_from_stdin
from bootstrap.cli.types import DurationType
from bootstrap.errors import ExitCode, UsageProblem
from bootstrap.provider import Option, Provider

if TYPE_CHECKING:
    from bootstrap.engine import Outcome, Run
    from bootstrap.secret import Secret

_AKKA = (
    Option("--image", "An image to prove the pull with: its manifest is read.", metavar="IMAGE"),
    Option("--akka-project", "The Akka project; else the one that the Akka CLI is set to.", metavar="NAME"),
    Option("--akka-owner", "The owner of the Akka project, where two have the same name.", metavar="NAME"),
    Option("--akka-region", "Register in this region only; else globally.", metavar="NAME"),
    Option("--akka-context", "The configuration context of the Akka CLI.", metavar="NAME"),
    Option("--secret-name", "The name of the Akka secret; else derived from the registry.", metavar="NAME"),
)
_RUN = (
    Option("--replace", "Overwrite an Akka secret of that name that is for another registry.", kind="switch"),
    Option("--anyway", "Register a credential even where the registry lets anybody pull.", kind="switch"),
    Option("--new-key", "Make a new key even where the one that Akka holds is good.", kind="switch"),
    Option("--timeout", "How long to wait for the clouds in all.", kind="duration", default="10m", metavar="TIME"),
    Option("--no-wait", "Hand off without proof that it pulls.", kind="switch"),
    Option("--handover", "Where rights are missing, write the steps for whoever has them to this file.", metavar="FILE"),
    Option("--output", "Text for people, or one JSON object on stdout.", choices=("text", "json"), default="text"),
    Option("--verbose", "Show each call of an API (never a secret).", kind="switch"),
)  # fmt: skip
_ONBOARD = (
    Option("--dry-run", "Show what would be done, as `pullkey plan` does.", kind="switch"),
    Option("--yes", "Do not ask before the first change.", kind="switch"),
)
_VERIFY = (
    Option("--credential-stdin", "Read the credential's password from stdin and pull with it too.", kind="switch"),
    Option("--timeout", "How long to wait for the clouds in all.", kind="duration", default="10m", metavar="TIME"),
    Option("--output", "Text for people, or one JSON object on stdout.", choices=("text", "json"), default="text"),
    Option("--verbose", "Show each call of an API (never a secret).", kind="switch"),
)  # fmt: skip
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


def _click_option(option: Option, provider: str) -> click.Option:
    """`PULLKEY_<OPTION>` sets it too, and `PULLKEY_<PROVIDER>_<OPTION>` before that."""
    variables = [
        f"PULLKEY_{provider.upper().replace('-', '_')}_{option.key.upper()}",
        f"PULLKEY_{option.key.upper()}",
    ]
    help_text = option.help + (f"  [default: {option.default}]" if option.default else "")
    if option.kind in {"switch", "secret"}:
        return click.Option([option.name], is_flag=True, envvar=variables, help=help_text)
    kind: click.ParamType[Any] = click.STRING
    if option.kind == "duration":
        kind = DurationType()
    elif option.choices:
        kind = click.Choice(option.choices)
    return click.Option(
        [option.name],
        type=kind,
        default=option.default,
        envvar=variables,
        help=help_text,
        metavar=option.metavar,
    )


def _command(
    provider: Provider, verb: str, options: tuple[Option, ...], run: Callable[..., int], about: str
) -> click.Command:
    examples = "\n".join(
        "  " + line.replace("pullkey onboard", f"pullkey {verb}", 1) for line in provider.examples
    )
    if verb != "onboard":
        examples = examples.replace(" --yes", "")
    return click.Command(
        provider.name,
        callback=partial(_invoke, run, provider),
        params=[_click_option(option, provider.name) for option in (*provider.options, *options)],
        help=f"{about}\n\n\b\nExamples:\n{examples}",
        short_help=provider.title,
    )


def _invoke(run: Callable[..., int], provider: Provider, **values: Any) -> int:
    clean = {key: _clean(key, value) for key, value in values.items()}
    return run(provider, clean | secrets_from_stdin(provider.options, clean))


def _clean(key: str, value: Any) -> Any:
    """What a person types is printable; anything else was pasted by mistake, or worse."""
    if isinstance(value, str):
        option = f"--{key.replace('_', '-')}"
        if not value.isprintable():
            raise UsageProblem(
                f"{option} holds a character that cannot be printed: {value!r}", mend="Type it anew."
            )
        if value.startswith("-"):
            raise UsageProblem(f"{option}: {value!r} begins with a dash; was its value left out?")
    return value


# -- onboard and plan ----------------------------------------------------------------------------------------------


def _build_onboard(provider: Provider) -> click.Command:
    return _command(provider, "onboard", (*_AKKA, *_RUN, *_ONBOARD, _SANDBOX), _onboard, provider.summary)


def _build_plan(provider: Provider) -> click.Command:
    about = "Show what `pullkey onboard` would do and what already is; change nothing."
    return _command(provider, "plan", (*_AKKA, *_RUN, _SANDBOX), _plan, about)


def _plan(provider: Provider, values: dict[str, Any]) -> int:
    return _onboard(provider, {**values, "dry_run": True, "yes": False})


def _onboard(provider: Provider, values: dict[str, Any]) -> int:
    if values.pop("sandbox"):
        return _in_sandbox()
    if not (values["yes"] or values["dry_run"]) and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageProblem("There is no terminal to ask on before the first change", mend="Give --yes, or --dry-run to look only")  # fmt: skip
    keep_to_ourselves()
    return asyncio.run(_run(provider, values))


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
    from bootstrap.display import make_reporter
    from bootstrap.engine import Run, Wishes
    from bootstrap.journal import Journal
    from bootstrap.provider import RunContext
    from bootstrap.report import as_json, tell_end
    from bootstrap.settings import check_addresses, state_directory
    from bootstrap.waiting import Deadline

    target = provider.target(values)
    check_addresses(target.registry)
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace, new_key=values["new_key"])
    if not (verify or values["dry_run"]):
        context.ask_secret = asker()
    scope = _scope(values)
    name = values["secret_name"] or target.secret_name
    wishes = Wishes(
        secret_name=name,
        replace=values["replace"],
        anyway=values["anyway"],
        wait=not values["no_wait"],
        dry_run=values["dry_run"],
        yes=values["yes"],
        command=_retyped(),
    )
    journal = Journal(state_directory(), scope.place(name), target.identity)
    run = Run(
        target,
        provider.open(target, context),
        context,
        AkkaCli(scope, deadline, reporter.trace),
        journal,
        reporter,
        wishes,
    )
    try:
        with _signals(run):
            outcome = await (run.verify(password) if verify else run.execute())
    finally:
        reporter.close()
        await context.shared.close()
    handover = _hand_over(run, outcome, values)
    if values["output"] == "json":
        click.echo(as_json(outcome, command="verify" if verify else "plan" if wishes.dry_run else "onboard", provider=provider.name, target=target, scope=scope, secret_name=name, session=run.session, steps=run.steps))  # fmt: skip
    tell_end(outcome, run=run, show_commands=wishes.dry_run, handover=handover, verbose=values["verbose"])
    return outcome.exit_code


def _retyped() -> str:
    import shlex

    return shlex.join(["pullkey", *sys.argv[1:]])


def _scope(values: Mapping[str, Any]) -> Any:
    from bootstrap.akka import AkkaScope

    return AkkaScope(
        values["akka_project"] or "",
        values["akka_owner"] or "",
        values["akka_region"] or "",
        values["akka_context"] or "",
    )


def _signals(run: Run) -> Any:
    """The first signal ends the run in order; the second ends the process at once and says what is left."""
    import contextlib
    import os
    import signal

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            run.reporter.close()
            click.echo(f"pullkey: Stopped at once. What was made is in the journal; run this again to clear up:\n  {run.wishes.command}", err=True)  # fmt: skip
            os._exit(ExitCode.INTERRUPTED)
        if run.changing:
            click.echo(
                "Interrupted: waiting for the calls under way, then undoing. Once more stops at once.",
                err=True,
            )
            run.interrupt()
        elif task is not None:
            task.cancel()

    @contextlib.contextmanager
    def handled() -> Any:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        try:
            yield
        except asyncio.CancelledError:
            raise click.Abort from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    return handled()


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
    return _command(provider, "verify", (*_AKKA, *_VERIFY), _verify, about)


def _verify(provider: Provider, values: dict[str, Any]) -> int:
    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    keep_to_ourselves()
    return asyncio.run(_run(provider, {**_UNASKED, **values}, verify=True, password=password))


# -- runbook -------------------------------------------------------------------------------------------------------


def _build_runbook(provider: Provider) -> click.Command:
    form = Option(
        "--format", "A script to run, or a page to read.", choices=("bash", "markdown"), default="bash"
    )
    about = "Write the steps of this target as the documented commands, for a person to run. Calls nobody."
    return _command(provider, "runbook", (*_AKKA, form), _runbook, about)


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
    akka = AkkaCli(_scope(values), deadline, context.trace)
    steps = all_steps(session, context, akka, values["secret_name"] or target.secret_name)
    render = as_bash if values["format"] == "bash" else as_markdown
    click.echo(render(session, steps, label=target.label), nl=False)
    return ExitCode.DONE


_HELP = {
    "onboard": "Make a registry pullable for an Akka project, in one run.\n\n\b\nExamples:\n  pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey onboard acr --registry acmeshop --akka-project shop\n  pullkey onboard gcr --sandbox --yes",
    "plan": "Show what `pullkey onboard` would do and what already is; change nothing.\n\n\b\nExamples:\n  pullkey plan gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0\n  pullkey plan acr --registry acmeshop --output json",
    "verify": "Say what is proven of the credential that Akka holds for a target; change nothing.\n\nAkka never shows a password, so without it only the clouds' and Akka's own records are looked at.\n\n\b\nExamples:\n  pullkey verify gcr --server europe-west1-docker.pkg.dev/acme-shop/containers\n  pullkey verify acr --registry acmeshop.azurecr.io/checkout:1.0 --credential-stdin < secret.txt",
    "runbook": "Write the steps of a target as the documented commands, for a person to run.\n\n\b\nExamples:\n  pullkey runbook gcr --server europe-west1-docker.pkg.dev/acme-shop/containers > onboard.sh\n  pullkey runbook acr --registry acmeshop --format markdown",
}  # fmt: skip

onboard = ProviderGroup("onboard", build=_build_onboard, help=_HELP["onboard"])
plan = ProviderGroup("plan", build=_build_plan, help=_HELP["plan"])
verify = ProviderGroup("verify", build=_build_verify, help=_HELP["verify"])
runbook = ProviderGroup("runbook", build=_build_runbook, help=_HELP["runbook"])

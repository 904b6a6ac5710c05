"""The command line. A subcommand is imported when it is called, so that `--help` stays quick.

This is the only package that ends the process and that writes to stdout.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

import click

from bootstrap.errors import ExitCode, PullkeyError
from bootstrap.words import sentence

_TOLD = 600
_COMMANDS = {
    "onboard": ("bootstrap.cli.target", "onboard", "Make a registry pullable for an Akka project."),
    "plan": ("bootstrap.cli.target", "plan", "Show what onboard would do; change nothing."),
    "apply": ("bootstrap.cli.fleet", "apply", "Do what plan -f shows, for a file of registries."),
    "verify": ("bootstrap.cli.target", "verify", "Say what is proven of a credential that Akka holds."),
    "list": ("bootstrap.cli.credentials", "list_credentials", "Show what Akka has, joined with the clouds."),
    "report": ("bootstrap.cli.reporting", "report", "Write what list shows as one HTML page."),
    "rotate": ("bootstrap.cli.credentials", "rotate", "Replace the key behind a credential."),
    "offboard": (
        "bootstrap.cli.credentials",
        "offboard",
        "Take a credential out of use, and what stands behind it.",
    ),
    "import": ("bootstrap.cli.importing", "import_file", "Write a file of registries from what Akka has."),
    "doctor": ("bootstrap.cli.doctor", "doctor", "Look at logins, versions, clocks and this machine."),
    "runbook": ("bootstrap.cli.target", "runbook", "Write the steps as a script or page for a person."),
    "sandbox": ("bootstrap.cli.sandbox", "sandbox", "Try it all against made-up clouds on this machine."),
    "schema": ("bootstrap.cli.schema", "schema", "Print the JSON Schema of --output json."),
    "completion": ("bootstrap.cli.completion", "completion", "Print the completion script of a shell."),
}


# With -f FILE these are about all the targets of a file.
_OF_A_FILE = {
    "plan": "plan_file",
    "list": "list_file",
    "rotate": "rotate_file",
    "offboard": "offboard_file",
    "report": "report_file",
    "runbook": "runbook_file",
}


def _names_a_file(args: list[str]) -> bool:
    typed = args[: args.index("--")] if "--" in args else args
    return any(one == "--file" or one.startswith("--file=") or one[:2] == "-f" for one in typed)


class LazyGroup(click.Group):
    """Knows its subcommands by name and one line of help, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            raise click.UsageError(f"There is no command {args[0]!r}; there are: {', '.join(_COMMANDS)}", ctx)
        if args and args[0] in _OF_A_FILE and _names_a_file(args[1:]):
            command: click.Command = getattr(import_module("bootstrap.cli.fleet"), _OF_A_FILE[args[0]])
            return args[0], command, args[1:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"pullkey {version('pullkey')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version.")  # fmt: skip
def cli() -> None:
    """Give the Akka platform the right to pull images from a private registry.

    \b
    Examples:
      pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0
      pullkey onboard acr --registry acmeshop
      pullkey onboard gcr --sandbox --yes        (no cloud account needed)
      pullkey plan acr --registry acmeshop
    """


def main() -> NoReturn:
    """Run the command line and exit with one of `bootstrap.errors.ExitCode`."""
    try:
        code = cli.main(prog_name="pullkey", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = ExitCode.USAGE
    except click.ClickException as error:
        code = _tell(error.format_message(), _help_of(error))
    except PullkeyError as error:
        code = _tell(error.what, error.mend, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        code = _tell("It was interrupted; nothing was changed.", "", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has had enough; Python would complain once more at exit.
        sys.stdout = None
        code = ExitCode.DONE
    except Exception as error:  # noqa: BLE001  - what nobody foresaw: its text, and its frames, may hold anything
        code = _tell(
            f"An error that pullkey does not know ({type(error).__name__} in {_frame_of(error)})",
            "Please report it, with the command; `pullkey list` shows what Akka has.",
            ExitCode.FAILED,
        )
    sys.exit(int(code or 0))


def _tell(what: str, mend: str, code: ExitCode = ExitCode.USAGE) -> ExitCode:
    click.echo(f"pullkey: {sentence(_short(what))}", err=True)
    if mend:
        click.echo(f"  {sentence(_short(mend))}", err=True)
    return code


def _short(text: str) -> str:
    """What was typed is quoted in what is wrong with it, however long and whatever it is."""
    plain = "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    return plain if len(plain) <= _TOLD else f"{plain[: _TOLD // 2]} ... {plain[-_TOLD // 2 :]}"


def _frame_of(error: BaseException) -> str:
    """Where in pullkey it happened: module and line, which hold nothing of a person's."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] in ("bootstrap", "providers"):
            where = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _help_of(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context is not None else ""

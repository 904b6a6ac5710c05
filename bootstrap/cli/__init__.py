"""The command line. A subcommand is imported when it is called, which keeps `--help` fast.

This is the only package that ends the process and that writes to stdout.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from bootstrap.cli import streams
from bootstrap.cli.colour import switch_off_if_typed, with_no_color
from bootstrap.cli.command_table import COMMANDS, OF_A_FILE, command_of, file_command
from bootstrap.cli.help_format import FoldedHelp
from bootstrap.model import early_signals
from bootstrap.model.errors import ExitCode, Interrupted, PullkeyError, advice, begin_warnings
from bootstrap.model.text import sentence
from bootstrap.model.typed_logins import refuse_typed_logins
from bootstrap.output.terminal import say, styled

_LONGEST = 600


def _names_a_file(args: list[str]) -> bool:
    """Whether `-f` is among the arguments.

    Raises:
        UsageProblem: it is there more than once; only the last would count.
    """
    typed = args[: args.index("--")] if "--" in args else args
    count = sum(one == "--file" or one.startswith("--file=") or one[:2] == "-f" for one in typed)
    if count > 1:
        from bootstrap.cli import messages

        raise messages.several_files()
    return count > 0


def _of_a_file(verb: str, args: list[str]) -> tuple[click.Command, list[str]] | None:
    """The command for a file, with its arguments, where they name one: with `-f`, or as the first word."""
    named = _names_a_file(args)
    if not named and not any(_may_be_file(word, verb) for word in args):
        return None
    command = with_no_color(file_command(verb))
    if named:
        return command, args
    from bootstrap.cli.image import first_word, takes_value

    position = first_word(args, takes_value(command.params))
    if position is None or not _may_be_file(args[position], verb):
        return None
    return command, [*args[:position], "-f", *args[position:]]


def _may_be_file(word: str, verb: str) -> bool:
    """Whether a word is a file of registries; where it may be a credential's name, only by extension."""
    if word.startswith("-"):
        return False
    if word.lower().endswith((".yaml", ".yml")):
        return True
    return verb in ("plan", "runbook") and os.path.isfile(word) and not _is_provider(word)  # noqa: PTH113  - pathlib is slow to import


def _is_provider(word: str) -> bool:
    from bootstrap.plugin import entry_points as plugins

    return word in plugins.names()


class LazyGroup(click.Group):
    """Knows its subcommands by name and one line of help, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return with_no_color(command_of(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from bootstrap.cli.click_errors import UnknownCommand
            from bootstrap.model.text import did_you_mean

            options = {name for one in self.params for name in one.opts}
            near = (
                f"Did you mean --{args[0]}?" if f"--{args[0]}" in options else did_you_mean(args[0], COMMANDS)
            )
            near = near or (f"Did you mean: pullkey onboard {args[0]}?" if "/" in args[0] else "")
            raise UnknownCommand(
                f"There is no command {args[0]!r}; there are: {', '.join(COMMANDS)}. {near}".rstrip(), ctx
            )
        if args and args[0] == "apply":
            _names_a_file(args[1:])  # refuses a second one
        if args and args[0] in OF_A_FILE and (of_file := _of_a_file(args[0], args[1:])):
            return args[0], *of_file
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        say(f"pullkey {version('pullkey')}", sys.stdout)
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Print the version.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Let the Akka platform pull images from a private registry.

    \b
    Examples:
      pullkey onboard europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0
      pullkey onboard acr --registry acmeshop
      pullkey onboard gcr --sandbox --yes        (no cloud account needed)
      pullkey plan acr --registry acmeshop
    """
    if ctx.invoked_subcommand is None:
        from bootstrap.cli.overview import print_overview

        say(f"{ctx.get_help()}\n", sys.stdout)
        print_overview()


def main() -> NoReturn:
    """Run the command line and exit with one of `bootstrap.model.errors.ExitCode`."""
    streams.install()
    begin_warnings(lambda text: say(text, sys.stderr))
    click.Context.formatter_class = FoldedHelp  # of every command, wherever it is built
    # Otherwise click strips colours where stdout is not a terminal; NO_COLOR is checked where they are added.
    colour = True if os.environ.get("FORCE_COLOR") else None
    try:
        _refuse_windows(sys.argv[1:])
        refuse_typed_logins(sys.argv[1:])
        code = with_no_color(cli).main(prog_name="pullkey", standalone_mode=False, color=colour)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message(), sys.stderr)
        code = ExitCode.USAGE
        from bootstrap.cli import messages

        _print_error(messages.no_command())
    except (click.ClickException, PullkeyError) as error:
        code = _show_error(error)
    except (click.Abort, KeyboardInterrupt):
        made = "What was done before is kept" if early_signals.changes_made() else "No changes were made"
        code = _show_error(Interrupted("Interrupted", fix=made))
    except Exception as error:  # noqa: BLE001  - unexpected: its text and frames may hold secrets
        from bootstrap.cli import messages
        from bootstrap.plugin.entry_points import plugin_at_fault

        plugin = plugin_at_fault(error)
        package = plugin.package if plugin is not None else ""
        code = _show_error(messages.unexpected(type(error).__name__, _frame_of(error), package))
    sys.exit(_with_output(int(code or 0)))


def _refuse_windows(arguments: list[str]) -> None:
    """Locks, signals and process groups are those of POSIX: nothing but the help works on Windows.

    Raises:
        UsageProblem: this is Windows, and more is wanted.
    """
    if sys.platform.startswith("win") and arguments not in (["--help"], ["-h"], ["--version"]):
        from bootstrap.cli import messages

        raise messages.runs_not_on_windows()


def _with_output(code: int) -> int:
    """The exit code, changed to a failure if some output was lost."""
    code = streams.final_code(code)
    lost = streams.output_lost()
    if lost is None:
        return code
    from bootstrap.cli import messages  # late, as all that only an error needs

    output_code = _show_error(messages.output_lost(lost))
    return code or output_code


def _show_error(raised: PullkeyError | click.ClickException) -> ExitCode:
    from bootstrap.cli.click_errors import as_pullkey_error  # late, as all that only an error needs

    switch_off_if_typed(sys.argv[1:])
    error = as_pullkey_error(raised)
    what, fix = _shortened(error.what), _shortened(advice(error))
    _print_error(error, what=what, fix=_shortened(error.fix))
    say(styled(f"pullkey: {sentence(what)} [{error.code}]", sys.stderr, fg="red"), sys.stderr)
    if fix:
        say(f"  {fix}", sys.stderr)
    return error.exit_code


def _print_error(error: PullkeyError, **shown: str) -> None:
    from bootstrap.cli.json_output import print_error

    print_error(error, **shown)


def _shortened(text: str) -> str:
    """A message that is printable and not too long, whatever typed text it quotes."""
    plain = "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST // 2]} ... {plain[-_LONGEST // 2 :]}"


def _frame_of(error: BaseException) -> str:
    """The innermost frame in pullkey, as `MODULE:LINE`, which holds no user data."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] in ("bootstrap", "providers"):
            where = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where

"""`pullkey help`."""

from __future__ import annotations

import click


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
def help_command(words: tuple[str, ...]) -> int:
    """Show the help of a command, or of all.

    \b
    Examples:
      pullkey help
      pullkey help onboard
      pullkey help onboard gcr
    """
    from bootstrap.cli import cli

    code: int = cli.main([*words, "--help"], prog_name="pullkey", standalone_mode=False) or 0
    return code

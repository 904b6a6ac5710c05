"""`pullkey completion SHELL`."""

from __future__ import annotations

import sys

import click

from bootstrap.output.terminal import put


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(pullkey completion bash)"                      in ~/.bashrc
      eval "$(pullkey completion zsh)"                       in ~/.zshrc
      pullkey completion fish > ~/.config/fish/completions/pullkey.fish
    """
    from click.shell_completion import get_completion_class

    from bootstrap.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}")
    put(kind(cli, {}, "pullkey", "_PULLKEY_COMPLETE").source(), sys.stdout)

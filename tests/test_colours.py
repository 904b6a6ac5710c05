"""Whether colours are printed: `--no-color` of each command, NO_COLOR, FORCE_COLOR and TERM=dumb."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from bootstrap.cli import cli
from bootstrap.cli.command_table import COMMANDS
from bootstrap.testing.harness.world import World
from tests.harness.terminal import Terminal

COLOUR = "\x1b[3"  # begins one; bold, dim and the keys that move a cursor have others
BARE = {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm"}


def _commands(
    command: click.Command, context: click.Context, words: tuple[str, ...]
) -> list[tuple[str, ...]]:
    found = [words]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += _commands(child, click.Context(child, info_name=name, parent=context), (*words, name))
    return found


def test_every_command_has_the_option() -> None:
    env = {**os.environ, "PULLKEY_X": ""}
    root = click.Context(cli, info_name="pullkey")
    commands = _commands(cli, root, ())
    assert len(commands) > len(COMMANDS) + 10
    for words in commands:
        command: click.Command = cli
        context = root
        for word in words:
            assert isinstance(command, click.Group)
            child = command.get_command(context, word)
            assert child is not None
            command, context = child, click.Context(child, info_name=word, parent=context)
        assert words == () or any("--no-color" in one.opts for one in command.params), words
    helped = subprocess.run(
        [sys.executable, "-m", "bootstrap", "plan", "-f", "x.yaml", "--help"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--no-color" in helped.stdout


@pytest.mark.parametrize("set_to", ["1", "0", "false"])
def test_where_colours_are_forced_they_go_into_a_pipe(gcr: World, set_to: str) -> None:
    env = {**BARE, "FORCE_COLOR": set_to, "TERM": "dumb"}
    assert f"{COLOUR}2m" in gcr.run("plan", "gcr", env=env).err
    if set_to == "1":
        assert f"{COLOUR}2m" in gcr.onboard(env=env).err
        for command in (("list",), ("doctor", "gcr")):
            assert COLOUR in gcr.run(*command, env=env).out, command
        assert f"{COLOUR}1m" in gcr.run("offboard", "nonesuch", "--yes", env=env).err


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "gcr"),
        ("list",),
        ("doctor", "gcr"),
        ("verify", "nonesuch"),
        ("offboard", "nonesuch", "--yes"),
        ("explain", "PK-NONE"),
        ("plan", "gcr", "--nonesuch"),
    ],
    ids="-".join,
)
def test_switched_off_on_the_command_line_before_all_else(gcr: World, command: tuple[str, ...]) -> None:
    env = {**BARE, "FORCE_COLOR": "1"}
    for words in (
        (*command, "--no-color"),
        ("--no-color", *command),
        (command[0], "--no-color", *command[1:]),
    ):
        done = gcr.run(*words, env=env)
        assert COLOUR not in done.text, words
        plain = gcr.run(*command, env={**BARE, "FORCE_COLOR": ""})
        assert done.code == plain.code, done.text


def test_switched_off_by_a_variable_whatever_is_forced(gcr: World) -> None:
    assert COLOUR not in gcr.run("plan", "gcr", env={**BARE, "NO_COLOR": "0", "FORCE_COLOR": "1"}).text
    assert COLOUR not in gcr.run("plan", "gcr", env=BARE).text


def test_in_a_terminal(gcr: World) -> None:
    with Terminal(gcr, "plan", "gcr", env={}) as terminal:
        assert terminal.ended() == 0
        assert COLOUR in terminal.shown
    with Terminal(gcr, "plan", "gcr", "--no-color", env={}) as terminal:
        assert terminal.ended() == 0
        assert COLOUR not in terminal.shown


@pytest.mark.parametrize(
    "output",
    [("plan", "gcr", "--output", "json"), ("schema", "run"), ("completion", "bash"), ("runbook", "gcr")],
)
def test_what_programs_read_has_none(gcr: World, output: tuple[str, ...]) -> None:
    assert "\x1b" not in gcr.run(*output, env={**BARE, "FORCE_COLOR": "1"}).out

"""Values that are empty, as from an unset variable of a script: `--audit "$TRAIL"`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bootstrap.cli.command_table import COMMANDS, OF_A_FILE, command_of, file_command
from bootstrap.cli.options import OUTPUT, click_option
from bootstrap.cli.provider_group import ProviderGroup
from bootstrap.model.errors import UsageProblem
from bootstrap.testing.harness.world import World
from tests.harness.command import pullkey


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("--audit", ("onboard", "gcr", "--yes", "--server", "gcr.io/acme-shop/x", "--audit", "")),
        ("--audit", ("rotate", "NAME", "--yes", "--audit=")),
        ("--akka-project", ("offboard", "NAME", "--yes", "--akka-project", "")),
        ("--akka-project", ("list", "--akka-project=")),
        ("--akka-region", ("list", "--akka-region", "")),
        ("--secret-name", ("onboard", "gcr", "--server", "gcr.io/acme-shop/x", "--secret-name", "")),
        ("--handover", ("onboard", "gcr", "--server", "gcr.io/acme-shop/x", "--handover", "")),
        ("--server", ("onboard", "gcr", "--yes", "--server", "")),
        ("--textfile", ("list", "--textfile", "")),
        ("--shard", ("apply", "-f", "registries.yaml", "--yes", "--shard", "")),
    ],
)
def test_an_empty_value_of_an_option_is_refused(option: str, arguments: tuple[str, ...]) -> None:
    done = pullkey(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"pullkey: {option} is empty. [PK-BAD-VALUE]",
        "  Pass a value, or leave the option out.",
    ]


def _commands(found: click.Command) -> Iterator[click.Command]:
    yield found
    if isinstance(found, click.Group) and not isinstance(found, ProviderGroup):
        for one in found.commands.values():
            yield from _commands(one)


def test_every_option_with_a_value_refuses_an_empty_one() -> None:
    """`--shard "$PART"` with PART unset must not be the whole file."""
    named = [*map(command_of, COMMANDS), *map(file_command, OF_A_FILE)]
    taken = set()
    for command in (one for name in named for one in _commands(name)):
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag or option.name == "image":
                continue
            typed = {option.name or "": ("",) if option.multiple else ""}
            try:
                option.handle_parse_result(click.Context(command), typed, [])
            except (UsageProblem, click.UsageError):
                continue
            taken.add(f"{command.name} {option.opts[0]}")
    assert not taken


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "-f", "", "--yes"),
        ("apply", "", "--yes"),
        ("rotate", "-f", "", "--yes"),
        ("list", "-f", ""),
        ("validate", ""),
        ("audit", "verify", ""),
    ],
)
def test_an_empty_name_of_a_file_is_not_the_current_folder(arguments: tuple[str, ...]) -> None:
    done = pullkey(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    said, *_ = done.stderr.splitlines()
    assert "no file is named" in said


@pytest.mark.parametrize("word", ["", " "])
def test_an_empty_image_is_no_provider(word: str) -> None:
    done = pullkey("plan", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{word!r} is not an image" in done.stderr


def test_an_empty_image_leaves_out_the_one_of_a_variable(gcr: World) -> None:
    assert gcr.run("onboard", "gcr", "--image", "", "--yes").code == 0


def test_the_choices_of_a_missing_argument_are_on_its_line() -> None:
    said, fix = pullkey("completion").stderr.splitlines()
    assert said == (
        "pullkey: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish. [PK-MISSING-VALUE]"
    )
    assert fix == "  See: pullkey completion --help"


def test_a_file_that_cannot_be_validated_is_a_sentence(tmp_path: Path) -> None:
    done = pullkey("validate", str(tmp_path / "none.yaml"))
    assert done.stderr.endswith("cannot be read: No such file or directory. [PK-FILE-UNREADABLE]\n")


def test_a_file_on_stdin_is_validated() -> None:
    done = pullkey("validate", "-")
    assert done.stdout.startswith("stdin:1:1: the file is empty.")
    assert done.stderr == "pullkey: stdin has 1 mistake. [PK-FILE-INVALID]\n"


def test_the_projects_that_there_are_end_their_sentence(gcr: World) -> None:
    done = gcr.run("list", "--akka-project", "nothing-like-it")
    assert done.code == 3
    assert "There are: billing, shop. Name it with --akka-project" in done.err


def test_output_is_one_option_wherever_it_is_text_or_json() -> None:
    commands = [command_of(name) for name in COMMANDS]
    options = [one for command in commands for one in command.params if one.name == "output"]
    plain = [one for one in options if list(getattr(one.type, "choices", ())) == ["text", "json"]]
    assert len(plain) > 5
    assert len({getattr(one, "help", "") for one in plain}) == 1
    assert {type(one) for one in plain} == {type(click_option(OUTPUT))}

"""`pullkey onboard IMAGE`: commands that take an image in place of a provider."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from bootstrap.cli import messages
from bootstrap.model.errors import UsageProblem
from bootstrap.model.text import did_you_mean
from bootstrap.model.typed_logins import refuse_login
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin import messages as plugin_messages
from bootstrap.plugin.routing import host_of_image, looks_like_an_image, providers_for

if TYPE_CHECKING:
    from bootstrap.plugin.provider import Provider

FILLED = "pullkey.options-of-image"
"""The key, in a context's `meta`, of the options whose values come from IMAGE."""

ARGUMENTS = "pullkey.arguments"
"""The key, in a context's `meta`, of the options that were typed without a provider."""


# -- words and options ---------------------------------------------------------------------------------------


def takes_value(parameters: Iterable[click.Parameter]) -> set[str]:
    """The spellings of the options that are followed by a value."""
    return {
        name
        for parameter in parameters
        if isinstance(parameter, click.Option) and not (parameter.is_flag or parameter.count)
        for name in parameter.opts
    }


def first_word(arguments: Sequence[str], with_value: set[str]) -> int | None:
    """The index of the first argument that is neither an option nor an option's value, or None."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return None
        if not word.startswith("-") or word == "-":
            return position
        position += 2 if word in with_value else 1
    return None


def with_word_first(arguments: Sequence[str], with_value: set[str]) -> list[str]:
    """The same arguments, the first word before the options: `--yes IMAGE` as `IMAGE --yes`."""
    position = first_word(arguments, with_value)
    if position is None:
        return list(arguments)
    return [arguments[position], *arguments[:position], *arguments[position + 1 :]]


def given_value(name: str, arguments: Sequence[str]) -> str | None:
    """What an option is set to among the arguments; None if it is not there."""
    found = None
    for word, following in pairwise([*arguments, ""]):
        if word == name:
            found = following
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def names_an_image(word: str) -> bool:
    """Whether a word is an image rather than the name of an Akka secret, which may have dots."""
    return any(mark in word for mark in "/:@")


# -- from an image to a provider -----------------------------------------------------------------------------


def provider_of_image(image: str) -> Provider:
    """The provider of an image. If none claims its host, the user is asked.

    Raises:
        UsageProblem: it is not an image, several providers claim its host, or none does and there is no
            terminal.
    """
    refuse_login(image, "IMAGE")
    known = plugins.names()
    if not image.strip() or image.startswith(("/", ":", "@", ".")):
        raise messages.not_an_image(image)
    if image.lower().endswith((".yaml", ".yml")):
        raise messages.file_for_image(image)
    if not looks_like_an_image(image):
        near = did_you_mean(image, known) or _by_title(image)
        raise messages.neither_provider_nor_image(image, known, near)
    host = host_of_image(image)
    found = providers_for(host)
    if len(found) == 1:
        return found[0]
    if found:
        raise plugin_messages.host_claimed_twice(host or image, plugins.labels(found))
    from bootstrap.cli.choices import choose, has_terminal

    choices, whose = plugins.loaded(), host or image
    if not has_terminal():
        raise messages.provider_not_certain(whose, [one.name for one in choices])
    question = f"{messages.which_provider(whose)}. Which one?"
    return plugins.load(choose(question, [(one.name, one.title) for one in choices]))


def _by_title(word: str) -> str:
    """A hint for a word from a provider's title, such as `azure` and `google`; "" otherwise."""
    named = [one for one in plugins.loaded() if word.lower() in one.title.lower().split()]
    return f"Did you mean {named[0].name}?" if len(named) == 1 else ""


def options_from_image(provider: Provider, image: str, arguments: Sequence[str]) -> list[str]:
    """The options that an image sets, as `--name=value`; options among the arguments take precedence.

    Raises:
        UsageProblem: the image cannot be read, or the arguments name another one.
    """
    filled = []
    for number, (key, value) in enumerate(provider.options_of_image(image).items()):
        name = f"--{key}"
        given = given_value(name, arguments)
        if given is None:
            filled.append(f"{name}={value}")
        elif number == 0 and given != value:
            raise messages.two_images(name, given, image)
    return filled


def as_typed(problem: UsageProblem, filled: Sequence[str]) -> UsageProblem:
    """The same problem, with IMAGE in place of an option whose value came from IMAGE."""
    what = problem.what
    for option in filled:
        name = option.partition("=")[0]
        what = re.sub(rf"{name}(?![\w-])", "IMAGE", what)
    return UsageProblem(what, fix=problem.fix, code=problem.code)

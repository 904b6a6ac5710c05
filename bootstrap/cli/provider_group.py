"""A command with one subcommand per provider, which also takes an image, a project or a name in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli.choices import has_terminal
from bootstrap.cli.colour import with_no_color
from bootstrap.cli.image import (
    ARGUMENTS,
    FILLED,
    names_an_image,
    options_from_image,
    provider_of_image,
    takes_value,
    with_word_first,
)
from bootstrap.model.errors import UsageProblem
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.provider import Provider

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class ProviderGroup(click.Group):
    """A group with one subcommand per provider, built on demand."""

    def __init__(self, *args: Any, build: Callable[[Provider], click.Command], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._build = build

    BY_NAME = ""
    """The subcommand for targets that are not named by a provider."""
    in_place = "registries"
    """The kind of completion candidates besides the providers."""
    FROM_PROJECT = "(project)"
    from_project: click.Command | None = None
    """The command where no provider is named: for the registries that the Akka project pulls from."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [one.name for one in plugins.loaded()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options that are valid without a provider; those of a provider are in its help."""
        without = self.get_command(ctx, self.BY_NAME) if self.BY_NAME else self.from_project
        own = {one.name: one for one in (*(without.params if without else ()), *self.get_params(ctx))}
        rows = filter(None, (one.get_help_record(ctx) for one in own.values()))
        with formatter.section("Options"):
            formatter.write_dl(list(rows))
        self.format_commands(ctx, formatter)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == self.FROM_PROJECT:
            return self.from_project and with_no_color(self.from_project)
        return with_no_color(self._build(plugins.load(cmd_name))) if cmd_name in plugins.names() else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            built = [self._build(provider) for provider in plugins.loaded()]
            args = with_word_first(args, takes_value(one for command in built for one in command.params))
        if self.from_project is not None and self._names_nothing(args, ctx):
            ctx.meta[ARGUMENTS] = [word for word in args if word not in ("--from-project", "--sandbox")]
            args = [self.FROM_PROJECT, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete providers, and what may take the place of one."""
        from click.shell_completion import CompletionItem

        from bootstrap.cli import candidates

        kinds = {"registries": candidates.registries, "credentials": candidates.credentials}
        more = [] if incomplete.startswith("-") else kinds[self.in_place](ctx, None, incomplete)
        return [*super().shell_complete(ctx, incomplete), *map(CompletionItem, more)]

    @staticmethod
    def _names_nothing(args: list[str], ctx: click.Context) -> bool:
        if not args:
            return has_terminal() and not ctx.resilient_parsing
        return args[0].startswith("-") and args[0] not in ctx.help_option_names

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] == self.FROM_PROJECT and self.from_project is not None:
            return "--from-project", with_no_color(self.from_project), args[1:]
        if args and not args[0].startswith("-") and args[0] not in plugins.names():
            return self._of_image(ctx, args[0], args[1:])
        return super().resolve_command(ctx, args)

    def _of_image(
        self, ctx: click.Context, image: str, rest: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the image's provider, with the options that the image sets.

        Raises:
            UsageProblem: it is not an image, or its provider is not known.
        """
        try:
            provider = provider_of_image(image)
            filled = (
                []
                if any(one in ctx.help_option_names for one in rest)
                else options_from_image(provider, image, rest)
            )
        except UsageProblem:
            if ctx.resilient_parsing:  # the shell asks for completions
                return None, None, rest
            raise
        ctx.meta[FILLED] = filled
        return provider.name, self.get_command(ctx, provider.name), [*filled, *rest]


class VerifyGroup(ProviderGroup):
    """A group that also takes the name of an Akka secret, or `--image`, in place of a provider."""

    BY_NAME = "NAME"
    in_place = "credentials"
    by_name: click.Command
    """The command for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*plugins.names(), *ctx.help_option_names) and self._by_name(args):
            args = [self.BY_NAME, *args]
        return super().parse_args(ctx, args)

    def _by_name(self, args: list[str]) -> bool:
        """Whether a name or image alone is given; an option that only a provider has needs that provider."""
        known = {name for parameter in self.by_name.params for name in parameter.opts}
        options = {word.partition("=")[0] for word in args if word.startswith("-")}
        return not names_an_image(args[0]) or options <= {*known, "--help", "-h"}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.by_name if cmd_name == self.BY_NAME else super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] == self.BY_NAME:
            return self.BY_NAME, self.by_name, args[1:]
        return super().resolve_command(ctx, args)

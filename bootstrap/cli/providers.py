"""`pullkey providers`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import OUTPUT, with_options
from bootstrap.model.errors import ExitCode
from bootstrap.model.text import sentence
from bootstrap.output.terminal import painted, say

if TYPE_CHECKING:
    from bootstrap.plugin.inventory import InstalledProvider


@click.command()
@with_options(OUTPUT)
def providers(output: str) -> int:
    """List the installed providers: the registries that each is for, its package, and what is wrong with it.
    Exit 5 if one of them cannot be used.

    A provider is a plugin for one kind of registry. Other than the built-in ones, they are packages that you
    install beside pullkey; see the page Providers.

    \b
    Examples:
      pullkey providers
      pullkey providers --output json
    """
    from bootstrap.output.json_documents import providers_document
    from bootstrap.plugin.inventory import installed_providers

    found = installed_providers()
    code = ExitCode.DRIFT if any(one.problem is not None for one in found) else ExitCode.DONE
    if output == "json":
        print_document(providers_document(found, code))
    else:
        _show(found)
    return code


def _show(found: Sequence[InstalledProvider]) -> None:
    width = max(map(len, (one.name for one in found)), default=0)
    for one in found:
        name = painted(f"{one.name:{width}}", sys.stdout, "bold")
        say(f"{name}  {one.title or 'cannot be used'}", sys.stdout, further=width + 2)
        lines = [_hosts(one), f"{one.distribution} {one.version}, {_place(one)}"]
        for line in filter(None, lines):
            say(f"{'':{width}}  {line}", sys.stdout, further=width + 2)
        if one.problem is not None:
            what = painted(sentence(one.problem.what), sys.stdout, "red")
            say(f"{'':{width}}  {what} {sentence(one.problem.fix)}", sys.stdout, further=width + 2)


def _hosts(one: InstalledProvider) -> str:
    if one.fallback:
        return "any registry that no other provider claims"
    return ", ".join(one.hosts)


def _place(one: InstalledProvider) -> str:
    if not one.origin:
        return f"in {one.folder}"
    return f"from {one.origin}{' (editable)' * one.editable}"

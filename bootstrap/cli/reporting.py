"""`pullkey report`: what `pullkey list` shows, as an HTML page. With -f see `bootstrap.cli.apply`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootstrap.cli import messages
from bootstrap.cli.options import EXPIRES_WITHIN, TIMEOUT, VERBOSE, clean, with_options
from bootstrap.cli.secrets import read_stdin, run_alone
from bootstrap.model import clock
from bootstrap.model.common_options import SCOPE
from bootstrap.model.option import Option
from bootstrap.output.terminal import say

if TYPE_CHECKING:
    from bootstrap.files.output_file import OutputFile

HTML = Option(
    "--html",
    "The page to write; an older one is replaced. A new one is readable by its owner only.",
    metavar="PAGE",
)


@click.command("report")
@with_options(
    HTML,
    EXPIRES_WITHIN,
    Option(
        "--secret-stdin",
        "Read from stdin the login of Docker Hub, GitLab or Harbor, without which their keys cannot be seen.",
        kind="secret",
    ),
    *SCOPE,
    TIMEOUT,
    VERBOSE,
)
def report(**values: Any) -> int:
    """Write what `pullkey list` shows as one HTML page, problems first; change nothing.

    With -f FILE it covers the targets of a file: pullkey report -f FILE --help. The page is self-contained
    and holds no secret.

    \b
    Examples:
      pullkey report --html report.html
      pullkey report -f registries.yaml --html report.html
    """
    values = {key: clean(key, value) for key, value in values.items()}
    path = page_of(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None

    async def work() -> int:
        from bootstrap.cli.listing import listing
        from bootstrap.output.json_documents import list_document

        found = await listing({**values, "names": ()}, secret)
        code = found.exit_code(check=True)
        write_page(path, list_document(found.assessed, found.left_over, scope=found.scope, code=code))
        return code

    return run_alone(work())


def page_of(values: Mapping[str, Any]) -> OutputFile:
    """The output file of the page, checked before any call: it is writable, and no other file is overwritten.

    Raises:
        UsageProblem: it cannot be written, or is not named.
    """
    from bootstrap.files.output_file import OutputFile
    from bootstrap.output.html.listing import BEGINNING

    if not values["html"]:
        raise messages.no_page()
    file = OutputFile(Path(values["html"]), "--html", "a page", BEGINNING.encode(), keep_mode=True)
    file.check()
    return file


def write_page(file: OutputFile, document: Mapping[str, Any]) -> None:
    """Write a listing as a page, atomically.

    It shows resources, owners and expiry dates, so a new page is readable by its owner only; an existing one
    keeps its mode, such as for a web server.

    Raises:
        UsageProblem: it cannot be written.
    """
    from importlib.metadata import version

    from bootstrap.output.html.listing import page

    text = page(document, now=clock.now(), version=version("pullkey"))
    file.write(text)
    say(f"Written: {file.path.resolve()}", sys.stderr)

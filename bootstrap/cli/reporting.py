"""`pullkey report`: what `pullkey list` shows, as a page; with -f it is `report_file` of `bootstrap.cli.fleet`."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bootstrap.cli.options import TIMEOUT, VERBOSE, clean, with_options
from bootstrap.cli.secrets import read_stdin, run_alone
from bootstrap.errors import ExitCode, UsageProblem
from bootstrap.options import SCOPE
from bootstrap.provider import Option

HTML = Option("--html", "The page to write; an older one is replaced. A new one is readable by its owner only.", metavar="PAGE")  # fmt: skip
EXPIRES_WITHIN = Option("--expires-within", "A key that ends within this time is wrong.", kind="duration", default="14d", metavar="TIME")  # fmt: skip


@click.command("report")
@with_options(
    HTML,
    EXPIRES_WITHIN,
    Option("--secret-stdin", "Read the Docker Hub login from stdin, without which its tokens cannot be seen.", kind="secret"),
    *SCOPE, TIMEOUT, VERBOSE,
)  # fmt: skip
def report(**values: Any) -> int:
    """Write what `pullkey list` shows as one HTML page, what is wrong first; change nothing.

    With -f FILE it is of all targets of a file: pullkey report -f FILE --help. The page needs nothing but itself, and
    holds no secret.

    \b
    Examples:
      pullkey report --html report.html
      pullkey report -f registries.yaml --html report.html
    """
    values = {key: clean(key, value) for key, value in values.items()}
    path = page_of(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None

    async def work() -> int:
        from bootstrap.cli.credentials import listing
        from bootstrap.documents import list_document

        scope, standings = await listing({**values, "names": ()}, secret)
        write_page(path, list_document(standings, scope=scope, code=ExitCode.DONE))
        return ExitCode.DONE

    return run_alone(work())


def page_of(values: Mapping[str, Any]) -> Path:
    """Where the page is to be written. Looked at before anybody is asked: it can be, and nothing else is overwritten.

    Raises:
        UsageProblem: it cannot, or is not named.
    """
    from bootstrap.page.listing import BEGINNING

    if not values["html"]:
        raise UsageProblem("No page is named", mend="Give --html report.html")
    path = Path(values["html"])
    if path.is_dir():
        raise UsageProblem(f"--html: {path} is a folder", mend="Name a file in it.")
    if not path.parent.is_dir():
        raise UsageProblem(f"--html: {path.parent} is no folder", mend="Make it, or name another.")
    if not path.exists():
        return path
    try:
        with path.open("rb") as file:
            ours = file.read(len(BEGINNING)) in (b"", BEGINNING.encode())
    except OSError as error:
        raise UsageProblem(f"--html: {path} cannot be read: {error.strerror}") from None
    if not ours:
        raise UsageProblem(f"--html: {path} is there already, and is no page of pullkey's", mend="Name another file.")  # fmt: skip
    return path


def write_page(path: Path, document: Mapping[str, Any]) -> None:
    """Write a listing as a page, whole or not at all.

    It tells where everything is, whose it is and when it ends, so a new page is its owner's only; one that is there
    keeps the permissions that somebody gave it, as for a web server.

    Raises:
        UsageProblem: it cannot be written.
    """
    import datetime as dt
    from importlib.metadata import version

    from bootstrap.page.listing import page

    text = page(document, now=dt.datetime.now(dt.UTC), version=version("pullkey"))
    path = path.resolve()  # a link stays one
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise UsageProblem(f"--html: {path} cannot be written: {error.strerror}") from None
    click.echo(f"Written: {path}", err=True)

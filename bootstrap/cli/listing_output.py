"""The forms of what `pullkey list` has read: text, JSON, OpenMetrics, and a file of metrics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.cli import messages
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import OUTPUT
from bootstrap.model.option import Option
from bootstrap.output.terminal import put

if TYPE_CHECKING:
    from bootstrap.files.output_file import OutputFile

LIST_OUTPUT = Option(
    OUTPUT.name,
    "Text for people, one JSON object, or metrics as OpenMetrics, on stdout.",
    choices=("text", "json", "openmetrics"),
    default="text",
)
TEXTFILE = Option(
    "--textfile",
    "Also write metrics to this file, whose name ends in .prom, for the textfile collector of node_exporter.",
    metavar="FILE",
)


def check_metrics(values: Mapping[str, Any]) -> None:
    """Check, before any call, that requested metrics can be written.

    Raises:
        UsageProblem: the extra is not installed, or the file cannot be written.
    """
    if not values["textfile"] and values["output"] != "openmetrics":
        return
    try:
        import prometheus_client  # noqa: F401  - whether it is installed
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        from bootstrap.plugin.installation import install_command

        raise messages.metrics_not_installed(install_command("metrics")) from None
    if values["textfile"]:
        _file(values).check()


def show_listing(
    values: Mapping[str, Any], document: Callable[[], Mapping[str, Any]], show: Callable[[], None]
) -> None:
    """Print a listing as requested, and write its metrics.

    Raises:
        UsageProblem: the file cannot be written.
    """
    if values["textfile"]:
        from bootstrap.model import clock
        from bootstrap.output.metrics import as_prometheus_text

        _file(values).write(as_prometheus_text(document(), now=clock.now()))
    if values["output"] == "json":
        print_document(document())
    elif values["output"] == "openmetrics":
        from bootstrap.model import clock
        from bootstrap.output.metrics import as_openmetrics

        put(as_openmetrics(document(), now=clock.now()).removesuffix("\n"), sys.stdout)
    else:
        show()


def _file(values: Mapping[str, Any]) -> OutputFile:
    """The file of metrics, which node_exporter has to be able to read.

    Raises:
        UsageProblem: node_exporter would not read a file of this name.
    """
    from bootstrap.files.output_file import OutputFile
    from bootstrap.output.metrics import BEGINNING

    path = Path(values["textfile"])
    if path.suffix != ".prom":
        raise messages.textfile_name(path.name)
    return OutputFile(
        path, "--textfile", "a file of metrics", BEGINNING, mode=0o644, keep_mode=False, any_umask=True
    )

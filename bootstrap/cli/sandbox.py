"""`pullkey sandbox`: local emulators of the clouds, for use without an account."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bootstrap.cli import messages
from bootstrap.cli.options import CheckedOption
from bootstrap.cli.types import DurationType
from bootstrap.sandbox.faults import FaultPlan, FaultSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from bootstrap.sandbox.host import SandboxSettings
    from bootstrap.sandbox.images import ImageStore
    from bootstrap.sandbox.replicas import Consistency

    F = TypeVar("F", bound=Callable[..., Any])

_EXTRA = frozenset({"aiohttp", "cryptography"})


class FaultType(click.ParamType[str]):
    """A fault such as `iam.CreateServiceAccountKey=503*2`, validated before the sandbox is started."""

    name = "fault"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            FaultPlan.parse([str(value)])
        except FaultSyntaxError as error:
            self.fail(str(error), param, ctx)
        return str(value)


_OPTIONS = (
    click.option(
        "--latency",
        type=DurationType(),
        default="0",
        envvar="PULLKEY_LATENCY",
        metavar="DURATION",
        help="How long each call takes: 50ms.",
    ),
    click.option(
        "--propagation",
        type=DurationType(),
        default="0",
        envvar="PULLKEY_PROPAGATION",
        metavar="DURATION",
        help="How long a change takes to be seen everywhere: 5s.",
    ),
    click.option(
        "--consistency",
        type=click.Choice(["strict", "real"]),
        default="strict",
        envvar="PULLKEY_CONSISTENCY",
        help="real: each read is answered by one of several replicas, some of which do not know the "
        "latest changes yet.",
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        envvar="PULLKEY_SANDBOX_SEED",
        metavar="N",
        help="Another seed: with --consistency real, other replicas answer.",
    ),
    click.option(
        "--fault",
        "faults",
        type=FaultType(),
        multiple=True,
        envvar="PULLKEY_FAULT",
        metavar="API.METHOD[#N]=ACTION[*TIMES]",
        help="Make a call fail: iam.CreateServiceAccountKey=503*2, graph.*=reset, "
        "akka.docker.add-credentials=lost. The actions: a status (400 to 599), reset, lost, hang, "
        "hang-after, cut, malformed, empty, types, unknown, huge, charset, html, loop, stale, "
        "slow=SECONDS. iam.GetIamPolicy#2=503 begins with the second call. May be given more than "
        "once.",
    ),
    click.option(
        "--log",
        cls=CheckedOption,
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="PULLKEY_LOG",
        metavar="FILE",
        help="Append one JSON line per call.",
    ),
    click.option(
        "--registry",
        type=click.Choice(["builtin", "docker-registry"]),
        default="builtin",
        envvar="PULLKEY_SANDBOX_REGISTRY",
        help="What serves the images: a small store in memory, or Debian's docker-registry.",
    ),
)


def _settings_options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def sandbox() -> None:
    """Try everything against local emulators; no cloud account is needed.

    \b
    Examples:
      pullkey sandbox exec -- pullkey onboard gcr --yes
      pullkey sandbox exec --latency 50ms --log calls.jsonl -- sh -c 'pullkey onboard acr --yes'
      pullkey sandbox serve
    """


@sandbox.command(
    "exec", short_help="Run a command in a sandbox.", context_settings={"allow_interspersed_args": False}
)
@_settings_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_command(
    context: click.Context,
    /,
    command: tuple[str, ...],
    registry: str,
    **settings: Any,
) -> None:
    """Run COMMAND in a sandbox of its own; end with its exit status.

    \b
    Examples:
      pullkey sandbox exec -- pullkey onboard gcr --yes
      pullkey sandbox exec --propagation 5s -- pullkey onboard acr --yes
      pullkey sandbox exec --consistency real -- pullkey onboard gcr --yes
      pullkey sandbox exec --fault 'iam.CreateServiceAccountKey=403' -- pullkey onboard gcr --yes
      pullkey sandbox exec --log calls.jsonl -- akka docker list-credentials --project billing

    In it `pullkey`, `gcloud`, `az` and `akka` all talk to the sandbox. Your own configuration of them is not
    touched, and your variables that would lead elsewhere (AZURE_..., GOOGLE_..., AKKA_..., PULLKEY_..., those
    of other providers, proxies) are not passed on; what the command needs of them can be set inside: -- env
    NAME=VALUE COMMAND.
    """
    run = runner()
    context.exit(run.exec_in_sandbox(command, _settings(**settings), _images(registry)))


@sandbox.command(short_help="Keep a sandbox running until Ctrl-C.")
@_settings_options
@click.pass_context
def serve(
    context: click.Context,
    /,
    registry: str,
    **settings: Any,
) -> None:
    """Keep a sandbox running until Ctrl-C, and print its environment as `export` lines.

    \b
    Examples:
      pullkey sandbox serve
      pullkey sandbox serve > sandbox.env &      (then, once it is ready: . ./sandbox.env)
    """
    run = runner()
    context.exit(run.serve_sandbox(_settings(**settings), _images(registry)))


def runner() -> ModuleType:
    """The module `bootstrap.sandbox.run`.

    Raises:
        UsageProblem: the extra `sandbox` is not installed.
    """
    try:
        from bootstrap.sandbox import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        from bootstrap.plugin.installation import install_command

        raise messages.sandbox_not_installed(error.name, install_command("sandbox")) from None
    return run


def _settings(
    *,
    latency: dt.timedelta,
    propagation: dt.timedelta,
    faults: tuple[str, ...],
    log: Path | None,
    consistency: Consistency,
    seed: int,
) -> SandboxSettings:
    from bootstrap.sandbox.calls import open_call_log
    from bootstrap.sandbox.host import SandboxSettings

    if log is not None:
        os.close(open_call_log(log))  # before anything is started
    return SandboxSettings(
        latency.total_seconds(),
        propagation.total_seconds(),
        faults,
        log,
        consistency=consistency,
        seed=seed,
    )


def _images(registry: str) -> ImageStore:
    from bootstrap.sandbox.distribution import DistributionImages
    from bootstrap.sandbox.images import BuiltInImages

    return DistributionImages() if registry == "docker-registry" else BuiltInImages()

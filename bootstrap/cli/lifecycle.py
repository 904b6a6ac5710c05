"""`pullkey list`, `rotate` and `offboard` for the credentials of a project, and with -f for a file's targets.

The cloud resources of a credential (provider, project, registry, identity, key) are read from Akka's record
and the clouds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from bootstrap.cli import messages
from bootstrap.cli.file_options import CHECK, DRY_RUN, POLICY, PROCESSES, SUMMARY, of_a_file
from bootstrap.cli.file_work import run_file_command
from bootstrap.cli.listing_output import LIST_OUTPUT, TEXTFILE, check_metrics
from bootstrap.cli.options import (
    ALL_PROJECTS,
    EXPIRES_WITHIN,
    IMAGE,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    YES,
    is_typed,
    offers,
    with_options,
)
from bootstrap.cli.project_command import clean_all
from bootstrap.cli.secrets import read_stdin, run_alone
from bootstrap.model.common_options import AUDIT, KEEP_OLD, OVERLAP, SCOPE
from bootstrap.model.option import Option

_ALL = Option("--all", "All that pullkey created in the project.", kind="switch")
_SECRET = Option(
    "--secret-stdin",
    "Read from stdin what a new key needs: the login of Docker Hub, GitLab or Harbor, or the new password.",
    kind="secret",
)
_KEEP_IDENTITY = Option(
    "--keep-identity",
    "Keep the service account or application, even if nothing else uses it.",
    kind="switch",
)
_KEEP_SECRET = Option(
    "--keep-secret",
    "Keep Akka's secret; remove only the project's reference to it, and its key.",
    kind="switch",
)
_OFFBOARD_IMAGE = Option(
    "--image", "An image of the registry, where it is not clear which repository is meant.", metavar="IMAGE"
)
_OFFBOARD_SECRET = Option(
    "--secret-stdin",
    "Read from stdin the login of Docker Hub, GitLab or Harbor with which the key is deleted.",
    kind="secret",
)


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=offers("credentials"))
@with_options(
    Option("--check", "For jobs: exit 5 if anything is wrong or could not be read.", kind="switch"),
    ALL_PROJECTS,
    EXPIRES_WITHIN,
    Option(
        "--secret-stdin",
        "Read from stdin the login of Docker Hub, GitLab or Harbor, without which their keys cannot be seen.",
        kind="secret",
    ),
    TEXTFILE,
    *SCOPE,
    TIMEOUT,
    LIST_OUTPUT,
    VERBOSE,
)
def list_credentials(**values: Any) -> int:
    """List Akka's registry credentials with the age, expiry and state of their keys; change nothing.

    With one NAME, it shows every detail. Without permissions on a cloud it shows what it can, and lists what
    it could not read.

    \b
    Examples:
      pullkey list
      pullkey list europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey list --check --expires-within 30d
      pullkey list --all-projects
      pullkey list --output openmetrics
      pullkey list -f registries.yaml          (see: pullkey list -f FILE --help)
    """
    values = clean_all(values)
    check_metrics(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    if values["all_projects"]:
        from bootstrap.cli.all_projects import list_all_projects

        return run_alone(list_all_projects(values, secret))
    from bootstrap.cli.listing import list_of_project

    return run_alone(list_of_project(values, secret))


@click.command()
@click.argument("name", required=False, shell_complete=offers("credentials"))
@with_options(
    _ALL,
    Option(
        "--due",
        "Only if a third of the key's life is left; for a key without expiry, or with one of more than five "
        "years, once it is 90 days old.",
        kind="switch",
    ),
    Option("--older-than", "With --due: once the key is this old, instead.", kind="duration", metavar="TIME"),
    KEEP_OLD,
    OVERLAP,
    Option("--restore", "Enable the key again that the last rotation disabled.", kind="switch"),
    IMAGE,
    _SECRET,
    AUDIT,
    DRY_RUN,
    YES,
    *SCOPE,
    TIMEOUT,
    OUTPUT,
    VERBOSE,
)
def rotate(**values: Any) -> int:
    """Replace the key of a credential: create a new key, verify it, register it in Akka, read it back in
    every region.

    Only then is the old key disabled or deleted. Akka never holds a key that cannot pull, and other keys are
    not touched.

    \b
    Examples:
      pullkey rotate europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey rotate --all --due --yes          (what a nightly job runs)
      pullkey rotate acmeshop-azurecr-io --keep-old 0
      pullkey rotate NAME --restore
      pullkey rotate -f registries.yaml --due  (see: pullkey rotate -f FILE --help)
    """
    values = clean_all(values)
    _one_or_all(values)
    if values["older_than"] is not None:
        values["due"] = True
    if values["restore"] and (values["all"] or values["due"]):
        raise messages.restore_needs_name()
    _needs_terminal_or_yes(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    if secret is not None and values["all"]:
        raise messages.secret_stdin_needs_name()
    from bootstrap.cli.rotation import rotate_in_project

    return run_alone(rotate_in_project(values, secret))


def _one_or_all(values: dict[str, Any]) -> None:
    if values["name"] and not is_typed("all"):
        values["all"] = False
    if values["all"] == bool(values["name"]):
        raise messages.no_name_and_not_all()


def _needs_terminal_or_yes(values: Mapping[str, Any]) -> None:
    if not (values["yes"] or values["dry_run"]):
        from bootstrap.cli.choices import check_can_ask

        check_can_ask(stdin_taken=values["secret_stdin"])


@click.command()
@click.argument("name", required=False, shell_complete=offers("credentials"))
@with_options(
    _ALL,
    _KEEP_IDENTITY,
    _KEEP_SECRET,
    _OFFBOARD_IMAGE,
    _OFFBOARD_SECRET,
    AUDIT,
    DRY_RUN,
    YES,
    *SCOPE,
    TIMEOUT,
    OUTPUT,
    VERBOSE,
)
def offboard(**values: Any) -> int:
    """Remove a credential: Akka's reference and secret, then key, grant and identity.

    The identity is deleted only if pullkey created it and nothing else uses it. Of the resources of a
    credential, what is already deleted counts as done; a name that Akka does not have is an error.

    \b
    Examples:
      pullkey offboard europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey offboard acmeshop-azurecr-io --dry-run
      pullkey offboard --all --yes
      pullkey offboard -f registries.yaml --only NAME  (see: pullkey offboard -f FILE --help)
    """
    values = clean_all(values)
    _one_or_all(values)
    _needs_terminal_or_yes(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    from bootstrap.cli.offboarding import offboard_in_project

    return run_alone(offboard_in_project(values, secret))


@click.command("list")
@of_a_file(
    replace(
        CHECK,
        help="For jobs: exit 5 if anything is wrong or could not be read. A key that is merely due "
        "is neither: use `pullkey plan -f FILE --check`.",
    ),
    SUMMARY,
    EXPIRES_WITHIN,
    TEXTFILE,
    LIST_OUTPUT,
    output=False,
)
def list_file(**values: Any) -> int:
    """List the credential of each target of a file, with the age, expiry and state of its key; change
    nothing.

    \b
    Examples:
      pullkey list -f registries.yaml
      pullkey list -f registries.yaml --check --expires-within 30d
    """
    from bootstrap.cli.listing import list_of_file

    check_metrics(values)
    return run_file_command(values, list_of_file)


@click.command("rotate")
@of_a_file(
    Option(
        "--due",
        "Only if the key is due: by rotate-after, or else as `pullkey rotate --due` says.",
        kind="switch",
    ),
    replace(
        OVERLAP,
        default=None,
        help="How long both keys stay valid, for all targets; default: as the file says. It elapses for "
        "all targets together.",
    ),
    AUDIT,
    DRY_RUN,
    YES,
)
@PROCESSES
@POLICY
def rotate_file(**values: Any) -> int:
    """Replace the keys of a file's targets, each as `pullkey rotate` does: what a nightly job runs, with
    --due.

    \b
    Examples:
      pullkey rotate -f registries.yaml --due --yes
      pullkey rotate -f registries.yaml --only shop/acmeshop-azurecr-io
    """
    from bootstrap.cli.rotation import rotate_in_file

    return run_file_command(values, rotate_in_file, "rotate")


@click.command("offboard")
@of_a_file(
    Option("--all", "All targets of the file.", kind="switch"),
    _KEEP_IDENTITY,
    _KEEP_SECRET,
    AUDIT,
    DRY_RUN,
    YES,
)
def offboard_file(**values: Any) -> int:
    """Remove targets of a file, each as `pullkey offboard` does. Remove them from the file too.

    \b
    Examples:
      pullkey offboard -f registries.yaml --only shop/acmeshop-azurecr-io --dry-run
      pullkey offboard -f registries.yaml --only acmeshop-azurecr-io acmevault-azurecr-io
    """
    named = bool(values["only"] or values["names"])
    if named and not is_typed("all"):
        values["all"] = False
    if values["all"] == named:
        raise messages.no_targets_and_not_all()
    from bootstrap.cli.offboarding import offboard_in_file

    return run_file_command(values, offboard_in_file)

"""A sandbox with many registries of many projects, and the file that names them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bootstrap.plugin import entry_points as plugins
from bootstrap.sandbox.akka import AkkaEmulator
from bootstrap.sandbox.akka_projects import AkkaProject
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.running_sandbox import RunningSandbox

GOOGLE_PROJECTS, AZURE_REGISTRIES, AKKA_PROJECTS = 20, 15, 50
_PER_ACCOUNT = 8
"""Google allows ten keys of an account."""


@contextmanager
def fleet(
    targets: int, settings: SandboxSettings, *, google_projects: int = GOOGLE_PROJECTS
) -> Iterator[tuple[RunningSandbox, Path]]:
    """A sandbox in which every target can be onboarded; four of five are Google's, the rest Azure's, spread
    evenly.

    Each registry of Azure has one application, whose keys are as many as there are targets of that registry.

    Args:
        targets: how many.
        settings: of the sandbox.
        google_projects: over how many projects of Google the targets are spread.

    Yields:
        The sandbox, and the file of registries.
    """
    factories: dict[str, Any] = {"akka": AkkaEmulator}
    factories |= {name: plugins.load(name).emulator() for name in ("gcr", "acr")}
    with RunningSandbox(factories, settings) as running:
        akka: Any = running.sandbox.emulators["akka"]
        for number in range(AKKA_PROJECTS):
            name = f"team-{number}"
            akka.projects[name] = AkkaProject(name, "acme", ("gcp-us-east1",), "")
        google: Any = running.sandbox.emulators["gcr"]
        state = google.state
        since = state.now() - dt.timedelta(days=30)
        operator = state.account("operator@acme-admin.iam.gserviceaccount.com").member
        for number in range(google_projects):
            project = state.add_project(f"fleet-{number:03}", str(100_000 + number))
            project.policy.grant("roles/owner", operator, since=since)
        _serve_registries(running)
        lines = ["version: 1", "targets:"]
        for number in range(targets):
            akka_project = f"team-{number % AKKA_PROJECTS}"
            if number % 5 == 4:
                lines.append(
                    f"  - {{provider: acr, registry: fleet{number // 5 % AZURE_REGISTRIES:02}, app: "
                    f"per-registry, akka-project: {akka_project}, secret-name: acr-{number}}}"
                )
                continue
            project, repository = f"fleet-{number % google_projects:03}", f"repository-{number}"
            state.add_repository(project, "europe-west1", repository).created = since
            reader = f"reader-{number // google_projects // _PER_ACCOUNT}"
            lines.append(
                f"  - {{provider: gcr, server: europe-west1-docker.pkg.dev/{project}/{repository}, "
                f"akka-project: {akka_project}, service-account: {reader}}}"
            )
        path = Path(running.sandbox.directory, "registries.yaml")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield running, path


def _serve_registries(running: RunningSandbox) -> None:
    """Make the registries of Azure, and let the product reach them."""
    azure: Any = running.sandbox.emulators["acr"]
    for number in range(AZURE_REGISTRIES):
        registry = azure.state.add_registry(f"fleet{number:02}", azure.state.subscriptions[0])
        running.call(azure.serve_registry(registry))
    reached = [f"{host}=127.0.0.1:{port}" for host, port in azure.registry_ports.items()]
    known = running.environment["PULLKEY_REGISTRY_CONNECT_TO"]
    running.environment = {
        **running.environment,
        "PULLKEY_REGISTRY_CONNECT_TO": ",".join(dict.fromkeys([*known.split(","), *reached])),
    }

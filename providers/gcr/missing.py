"""Options that a Google target needs and that were not given, with the values to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.errors import UsageProblem
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing
from providers.gcr.cache import shared_cloud
from providers.gcr.place import address_of, options_of_image
from providers.gcr.target import impersonated


def missing(values: Mapping[str, Any]) -> Missing | None:
    """See `bootstrap.plugin.provider.Provider.missing`."""
    server = values.get("server")
    if not server and not values.get("gcp_project"):
        # First, since the registries to choose from depend on it.
        return Missing("--gcp-project", "Google project (id)", lambda context: _projects(context, values))
    if not server:
        question = "Registry or image (such as europe-west1-docker.pkg.dev, or gcr.io)"
        return Missing("--server", question, lambda context: _repositories(context, values))
    try:
        named = options_of_image(server)
    except UsageProblem:
        return None  # `target` says what is wrong with it
    if not (values.get("gcp_project") or named.get("gcp-project")):
        return Missing("--gcp-project", "Google project (id)", lambda context: _projects(context, values))
    return None


async def _projects(context: RunContext, values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    google = shared_cloud(context, impersonated(values))
    await google.login.connect()
    return sorted(await google.projects_seen())


async def _repositories(context: RunContext, values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """The project's repositories for images, each as the address that a puller uses, and its location."""
    google = shared_cloud(context, impersonated(values))
    await google.login.connect()
    project, wanted = values["gcp_project"], values.get("repository")
    found = await google.docker_repositories_everywhere(project)
    return sorted(
        (address_of(project, location, name), location)
        for location, name in found
        if wanted in (None, "", name)
    )

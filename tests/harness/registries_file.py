"""Files of registries for the sandbox's Google."""

from __future__ import annotations

CONTAINERS = "europe-west1-docker-pkg-dev-acme-shop-containers"
TOOLS = "europe-west1-docker-pkg-dev-acme-shop-tools"


def file_of(*targets: str, provider: str = "gcr") -> str:
    """A file of registries of one provider in the Akka project shop; each target as `name: value` lines,
    separated by `; `.
    """
    lines = [
        f"  - provider: {provider}\n" + "".join(f"    {one}\n" for one in target.split("; "))
        for target in targets
    ]
    return f"version: 1\ndefaults:\n  akka-project: shop\ntargets:\n{''.join(lines)}"


_HOST = "europe-west1-docker.pkg.dev/acme-shop"
THREE_TARGETS = file_of(
    f"server: {_HOST}/containers",
    f"server: {_HOST}/tools",
    f"server: {_HOST}/containers; akka-project: billing",
)


TWO_TARGETS = """version: 1
defaults:
  akka-project: shop
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}
"""

"""How the conformance suite onboards a registry of the emulator."""

from __future__ import annotations

from bootstrap.plugin.conformance import ConformanceCase

_PASSWORD = "sandbox-password"  # noqa: S105  - that of the sandbox, which its documentation shows
CASES = (
    ConformanceCase(
        "docker-hub-user",
        ("--login-stdin",),
        stdin=_PASSWORD,
        later_stdin=_PASSWORD,
        runbook=("--mint",),
        disables_key=True,
    ),
    ConformanceCase(
        "docker-hub-organization",
        ("--organization", "acme", "--hub-user", "acmeowner", "--login-stdin"),
        stdin=_PASSWORD,
        later_stdin=_PASSWORD,
        environment={"PULLKEY_DOCKER_HUB_HUB_USER": "acmeowner"},
        disables_key=True,
    ),
)

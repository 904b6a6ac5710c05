"""The files with which the Azure CLI is logged in to the sandbox.

`az cloud register`, `az cloud set` and `az login --service-principal --federated-token` would write the same
in `AZURE_CONFIG_DIR` (azure-cli-core: cloud.py, _profile.py, auth/identity.py).
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path

from providers.acr.emulator.state import AzureState

_CLOUD = "PullkeySandbox"


def write(
    directory: Path, state: AzureState, *, authority: str, arm: str, graph: str, assertion: str
) -> Mapping[str, str]:
    """Write the files into `directory`. Return the environment in which `az` uses them."""
    directory.mkdir(mode=0o700)
    clouds = configparser.ConfigParser()
    clouds[_CLOUD] = {
        "endpoint_active_directory": authority,
        "endpoint_active_directory_resource_id": arm,
        "endpoint_management": arm,
        "endpoint_resource_manager": arm,
        "endpoint_microsoft_graph_resource_id": graph,
        "suffix_acr_login_server_endpoint": ".azurecr.io",
        "profile": "latest",
        "subscription": state.subscriptions[0].id,
    }
    with (directory / "clouds.config").open("w") as file:
        clouds.write(file)
    config = configparser.ConfigParser()
    config["cloud"] = {"name": _CLOUD}
    with (directory / "config").open("w") as file:
        config.write(file)
    user = {"name": state.operator.app_id, "type": "servicePrincipal"}
    subscriptions = [
        {
            "id": one.id,
            "name": one.name,
            "state": "Enabled",
            "user": user,
            "isDefault": position == 0,
            "tenantId": state.tenant_id,
            "homeTenantId": state.tenant_id,
            "environmentName": _CLOUD,
            "managedByTenants": [],
        }
        for position, one in enumerate(state.subscriptions)
    ]
    profile = {"installationId": state.tenant_id, "subscriptions": subscriptions}
    (directory / "azureProfile.json").write_text(json.dumps(profile))
    entries = [{"client_id": state.operator.app_id, "tenant": state.tenant_id, "client_assertion": assertion}]
    path = directory / "service_principal_entries.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(entries))
    return {
        "AZURE_CONFIG_DIR": str(directory),
        # The CLI would look for the sandbox's authority among the public clouds.
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
    }

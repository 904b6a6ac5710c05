"""Which Azure login is likely to be used, by the variables and files that azure-identity's default chain
looks at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

# `EnvironmentCredential`, `WorkloadIdentityCredential`, `ManagedIdentityCredential` (App Service, Arc).
_BY_VARIABLES = (
    (("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"), "a service principal (AZURE_CLIENT_ID)"),
    (
        ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"),
        "a service principal (AZURE_CLIENT_ID)",
    ),
    (
        ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
        "a workload identity (AZURE_CLIENT_ID)",
    ),
    (("IDENTITY_ENDPOINT",), "a managed identity"),
)
_LARGEST = 1 << 20


def at_a_glance() -> str:
    """What was found, or how to log in."""
    for names, what in _BY_VARIABLES:
        if all(os.environ.get(name) for name in names):
            return what
    user = _user_of_az()
    return f"{user} (Azure CLI)" if user else "not found; run: az login"


def _user_of_az() -> str:
    """The user of the Azure CLI's default subscription, as its `azureProfile.json` has it; "" if nobody is
    logged in.
    """
    try:
        file = Path(os.environ.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser() / "azureProfile.json"
        if file.stat().st_size > _LARGEST:
            return ""
        profile = json.loads(file.read_text(encoding="utf-8-sig"))
        subscriptions = [one for one in profile["subscriptions"] if isinstance(one, dict)]
        chosen = [one for one in subscriptions if one.get("isDefault")] or subscriptions
        name = str(chosen[0]["user"]["name"])
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        return ""
    return name if name.isprintable() else ""

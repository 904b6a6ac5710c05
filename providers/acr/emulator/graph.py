"""Microsoft Graph v1.0: applications, service principals, deleted items and the tenant."""

from __future__ import annotations

from bootstrap.sandbox.calls import CallGate
from providers.acr.emulator.applications import Applications
from providers.acr.emulator.deleted_items import DeletedItems
from providers.acr.emulator.entra import EntraId
from providers.acr.emulator.graph_api import GraphApi
from providers.acr.emulator.service_principals import ServicePrincipals
from providers.acr.emulator.state import AzureState
from providers.acr.emulator.tenant import Tenant
from providers.acr.emulator.tokens import Tokens


class Graph(GraphApi):
    """The whole API."""

    def __init__(self, state: AzureState, tokens: Tokens, entra: EntraId, gate: CallGate) -> None:
        super().__init__(state, tokens, entra, gate)
        Applications(self)
        ServicePrincipals(self)
        DeletedItems(self)
        Tenant(self)
        self.refuse_other_paths()

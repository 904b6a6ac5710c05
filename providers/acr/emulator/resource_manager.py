"""Azure Resource Manager: metadata, subscriptions, resource providers and container registries."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from providers.acr.emulator.answers import ApiError, json_object, text_in
from providers.acr.emulator.arm_api import ArmApi, any_case, not_found
from providers.acr.emulator.dates import with_decimals
from providers.acr.emulator.registry_json import REGISTRY_TYPE, registry_json, sku
from providers.acr.emulator.state import Registry, Subscription
from providers.acr.emulator.tokens import Caller

_SUBSCRIPTION = any_case("subscriptions") + "/{subscription}"
_GROUP = _SUBSCRIPTION + any_case("resourceGroups") + "/{group}"
_REGISTRIES = any_case("providers", "Microsoft.ContainerRegistry", "registries")


class ResourceManager:
    """The routes of Resource Manager. The addresses of Graph and of the authority are set once they are
    served.
    """

    def __init__(self, arm: ArmApi) -> None:
        self._arm = arm
        self._state = arm.state
        self.graph_address = ""
        self.authority_address = ""
        # The only call without a token: clients read here where to get one.
        arm.api.route("GET", "/metadata/endpoints", "GetMetadata", self._metadata)
        arm.route("GET", any_case("tenants"), "ListTenants", self._tenants)
        arm.route("GET", any_case("subscriptions"), "ListSubscriptions", self._subscriptions)
        arm.route("GET", _SUBSCRIPTION, "GetSubscription", self._subscription)
        arm.route("GET", _SUBSCRIPTION + any_case("resources"), "ListResources", self._resources)
        arm.route("GET", _SUBSCRIPTION + any_case("resourceGroups"), "ListResourceGroups", self._groups)
        provider = _SUBSCRIPTION + any_case("providers") + "/{namespace}"
        arm.route("GET", provider, "GetProvider", self._provider)
        arm.route("POST", provider + any_case("register"), "RegisterProvider", self._register)
        names = _SUBSCRIPTION + any_case("providers", "Microsoft.ContainerRegistry", "checkNameAvailability")
        arm.route("POST", names, "CheckNameAvailability", self._name, changes=False)
        arm.route("GET", _SUBSCRIPTION + _REGISTRIES, "ListRegistries", self._registries)
        arm.route("GET", _GROUP + _REGISTRIES, "ListRegistriesByResourceGroup", self._registries)
        arm.route("GET", _GROUP + _REGISTRIES + "/{registry}", "GetRegistry", self._registry)

    async def _metadata(self, request: web.Request) -> web.Response:
        authority, graph, own = self.authority_address, self.graph_address, self._arm.address
        cloud = {
            "name": "PullkeySandbox",
            "portal": "https://portal.azure.com",
            "resourceManager": own + "/",
            "microsoftGraphResourceId": graph + "/",
            "graph": graph + "/",
            "graphAudience": graph + "/",
            "authentication": {
                "loginEndpoint": authority + "/",
                "audiences": [own + "/", "https://management.azure.com/"],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "suffixes": {"acrLoginServer": "azurecr.io"},
        }
        # The versions of 2019 and 2020 return a list of clouds, all others a single one.
        as_list = request.query.get("api-version", "")[:4] in ("2019", "2020")
        return web.json_response([cloud] if as_list else cloud)

    async def _tenants(self, _request: web.Request, _caller: Caller) -> web.Response:
        tenant = {
            "id": f"/tenants/{self._state.tenant_id}",
            "tenantId": self._state.tenant_id,
            "displayName": self._state.tenant_name,
            "tenantCategory": "Home",
        }
        return web.json_response({"value": [tenant]})

    async def _subscriptions(self, request: web.Request, caller: Caller) -> web.Response:
        # Any role in a subscription is enough to see it; this list has no action of its own.
        seen = {
            one.scope.lower().split("/")[2]
            for one in self._state.role_assignments
            if one.principal_id == caller.object_id and self._state.replicas.seen(one.lifetime)
        }
        shown = [self._subscription_json(one) for one in self._state.subscriptions if one.id in seen]
        return self._arm.page(request, shown, count={"type": "Total", "value": len(shown)})

    async def _subscription(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        self._arm.require(caller, "Microsoft.Resources/subscriptions/read", subscription.scope)
        return web.json_response(self._subscription_json(subscription))

    def _subscription_json(self, subscription: Subscription) -> dict[str, Any]:
        return {
            "id": subscription.scope,
            "subscriptionId": subscription.id,
            "tenantId": self._state.tenant_id,
            "displayName": subscription.name,
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    async def _resources(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        readable = self._readable(caller, subscription, "Microsoft.Resources/subscriptions/resources/read")

        def who(one: Registry) -> dict[str, Any]:
            new = request.query["api-version"] >= "2021"
            return {"systemData": self._arm.system_data(one.created, form=with_decimals)} if new else {}

        items = [
            {
                "id": one.id,
                "name": one.name,
                "type": REGISTRY_TYPE,
                "location": one.location,
                "tags": one.tags,
                "sku": sku(one),
                **who(one),
            }
            for one in readable
        ]
        return self._arm.page(request, self._arm.filtered(request, items, _resource_view))

    async def _groups(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        self._arm.require(caller, "Microsoft.Resources/subscriptions/resourceGroups/read", subscription.scope)
        inside = [one for one in self._state.registries if one.subscription_id == subscription.id]
        groups = {one.resource_group: one.location for one in inside}
        items = [
            {
                "id": f"{subscription.scope}/resourceGroups/{name}",
                "name": name,
                "type": "Microsoft.Resources/resourceGroups",
                "location": location,
                "properties": {"provisioningState": "Succeeded"},
            }
            for name, location in sorted(groups.items())
        ]
        return self._arm.page(request, items)

    async def _provider(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        self._arm.require(caller, "Microsoft.Resources/subscriptions/providers/read", subscription.scope)
        return web.json_response(_provider_json(subscription, request.match_info["namespace"]))

    async def _register(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        namespace = request.match_info["namespace"]
        self._arm.require(caller, f"{namespace}/register/action", subscription.scope)
        subscription.providers.add(namespace)
        return web.json_response(_provider_json(subscription, namespace))

    async def _name(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        action = "Microsoft.ContainerRegistry/checkNameAvailability/read"
        self._arm.require(caller, action, subscription.scope)
        name = text_in(await json_object(request), "name") or ""
        taken = any(
            one.name.lower() == name.lower() and not one.domain_name_label for one in self._state.registries
        )
        if not taken:
            return web.json_response({"nameAvailable": True})
        message = f"The registry {name} is already in use."
        return web.json_response({"nameAvailable": False, "reason": "AlreadyExists", "message": message})

    async def _registries(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        if "Microsoft.ContainerRegistry" not in subscription.providers:
            raise ApiError(
                409,
                "MissingSubscriptionRegistration",
                "The subscription is not registered to use namespace 'Microsoft.ContainerRegistry'. See "
                "https://aka.ms/rps-not-found for how to register subscriptions.",
            )
        readable = self._readable(caller, subscription, f"{REGISTRY_TYPE}/read")
        group = request.match_info.get("group")
        inside = [one for one in readable if group is None or one.resource_group.lower() == group.lower()]
        version = request.query["api-version"]
        return self._arm.page(request, [registry_json(self._arm, one, version) for one in inside])

    def _readable(self, caller: Caller, subscription: Subscription, action: str) -> list[Registry]:
        """The registries in a list: all with a role on the subscription, else those permitted by narrower
        roles.
        """
        inside = [one for one in self._state.registries if one.subscription_id == subscription.id]
        if self._state.allowed(caller.object_id, action, subscription.scope):
            return inside
        some = [
            one for one in inside if self._state.allowed(caller.object_id, f"{REGISTRY_TYPE}/read", one.id)
        ]
        if not some:
            self._arm.require(caller, action, subscription.scope)
        return some

    async def _registry(self, request: web.Request, caller: Caller) -> web.Response:
        subscription = self._known(request)
        group, name = request.match_info["group"], request.match_info["registry"]
        scope = f"{subscription.scope}/resourceGroups/{group}/providers/{REGISTRY_TYPE}/{name}"
        self._arm.require(caller, f"{REGISTRY_TYPE}/read", scope)
        for registry in self._state.registries:
            if registry.id.lower() == scope.lower():
                return web.json_response(registry_json(self._arm, registry, request.query["api-version"]))
        raise not_found(f"{REGISTRY_TYPE}/{name}", group)

    def _known(self, request: web.Request) -> Subscription:
        subscription_id = request.match_info["subscription"]
        subscription = self._state.subscription(subscription_id)
        if subscription is None:
            raise ApiError(
                404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found."
            )
        return subscription


def _resource_view(item: dict[str, Any]) -> dict[str, Any]:
    group = item["id"].split("/")[4]
    return {"resourceType": item["type"], "resourceGroup": group, "tagName": None, **item}


def _provider_json(subscription: Subscription, namespace: str) -> dict[str, Any]:
    registered = namespace.lower() in {one.lower() for one in subscription.providers}
    return {
        "id": f"{subscription.scope}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered" if registered else "NotRegistered",
        "resourceTypes": [],
    }

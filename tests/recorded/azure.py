"""Azure's recorded exchanges, sent to `providers/acr/emulator`."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.acr.emulator import AzureEmulator
from providers.acr.emulator.applications import WRITABLE
from providers.acr.emulator.replication import Lifetime
from providers.acr.emulator.roles import BUILT_IN, READER, Role
from providers.acr.emulator.state import (
    Application,
    Registry,
    RoleAssignment,
    ScopeMap,
    ServicePrincipal,
    Subscription,
    Token,
)
from tests.recorded.comparison import Answer, Exchange, form_of

ARM, GRAPH = "management.azure.com", "graph.microsoft.com"
NOBODY = "00000000-0000-0000-0000-000000000000"
GRANT = "repositories/recorded/content/read"
LONG_AGO = dt.timedelta(days=30)
VERSION = {"api-version": "2022-04-01"}


class Azure:
    """The emulator in a sandbox of its own; each exchange finds a tenant of its own."""

    name = "azure"

    def __init__(self, running: RunningSandbox, emulator: AzureEmulator) -> None:
        self._running = running
        self._emulator = emulator
        self._state = emulator.state
        self._client = httpx.Client(verify=False, timeout=30)
        self._own = (list(self._state.applications[:1]), list(self._state.service_principals[:1]))
        self._past = self._state.now() - LONG_AGO
        self._addresses = {
            ARM: running.environment["PULLKEY_AZURE_RESOURCE_MANAGER_ENDPOINT"],
            GRAPH: running.environment["PULLKEY_AZURE_GRAPH_ENDPOINT"],
        }
        self._tokens = {
            host: self._emulator.tokens.sign(
                {
                    "aud": address,
                    "oid": self._state.operator.object_id,
                    "appid": self._state.operator.app_id,
                    "roles": ["Application.ReadWrite.All", "Directory.Read.All"],
                },
                lifetime=3600,
            )
            for host, address in self._addresses.items()
        }
        self._poll = ""

    # -- preparing -------------------------------------------------------------------------------------------

    def prepare(self, exchange: Exchange) -> None:
        """Put what the URL names, and what the answer shows, into an otherwise empty tenant."""
        state = self._state
        state.applications[:], state.service_principals[:] = self._own
        state.role_assignments.clear()
        state.registries.clear()
        state.subscriptions.clear()
        state.others.clear()
        state.denied_actions.clear()
        state.graph_roles = {"Application.ReadWrite.All", "Directory.Read.All"}
        state.app_management_policy.max_secret_lifetime = None
        state.polls_in_progress = 0
        state.page_size = 100
        self._poll = ""
        self._subscription = Subscription(NOBODY, "Recorded")
        state.subscriptions.append(self._subscription)
        owner = next(role for role in BUILT_IN.values() if role.name == "Owner")
        state.add_assignment(state.operator.object_id, owner, self._subscription.scope, created=self._past)
        body = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        if exchange.host == ARM:
            self._prepare_arm(exchange, body)
        elif exchange.host == GRAPH:
            self._prepare_graph(exchange, body)
        elif exchange.host.endswith(".azurecr.io"):
            registry = self._registry("", exchange.host.partition(".")[0], "recorded", {})
            self._running.call(self._emulator.serve_registry(registry))

    def _prepare_arm(self, exchange: Exchange, body: Mapping[str, Any]) -> None:
        parts = exchange.path.strip("/").split("/")
        group = parts[3] if len(parts) > 3 and parts[2] == "resourceGroups" else ""
        if exchange.path.endswith("/checkNameAvailability"):
            if body.get("nameAvailable") is False:
                self._registry("", exchange.request_body["name"], "recorded", {})
            return
        if exchange.call.endswith("/registries") or exchange.path.endswith("/resources"):
            if "nextLink" in body:
                self._state.page_size = len(body["value"]) - 1
            for one in body.get("value", ()):
                if one["type"].endswith("/registries"):
                    self._registry(one["id"], one["name"], group, one)
            return
        if "registries" in parts:
            name = parts[parts.index("registries") + 1]
            shown = body if body.get("type") == "Microsoft.ContainerRegistry/registries" else {}
            registry = self._registry("", name, group, shown)
            self._prepare_tokens(exchange, registry, parts[parts.index("registries") + 2 :], body)
            return
        if group:
            self._registry("", "recorded", group, {})
        if "operationResults" in parts:
            state = self._state
            state.polls_in_progress = 1 if exchange.status == 202 else 0
            registry = self._registry("", "recorded", "recorded", {})
            registry.scope_maps["readers"] = ScopeMap("readers", [GRANT], None, self._past)
            gone = self._arm("DELETE", f"{registry.id}/scopeMaps/readers", exchange)
            self._poll = gone.headers["location"]
        if "roleAssignments" in parts:
            self._prepare_assignments(exchange, body)

    def _registry(self, resource_id: str, name: str, group: str, shown: Mapping[str, Any]) -> Registry:
        properties = shown.get("properties", {})
        found = self._state.add_registry(
            name,
            self._subscription,
            resource_group=resource_id.split("/")[4] if resource_id else group,
            location=shown.get("location", "westeurope"),
            sku=shown.get("sku", {}).get("name", "Premium"),
            abac=properties.get("roleAssignmentMode") == "AbacRepositoryPermissions",
            regional_endpoints=properties.get("regionalEndpoints") == "Enabled",
            data_endpoint=properties.get("dataEndpointEnabled", False),
            admin_user_enabled=properties.get("adminUserEnabled", False),
            tags=dict(shown.get("tags") or {}),
        )
        rules = properties.get("networkRuleSet", {})
        found.firewall_denies = rules.get("defaultAction") == "Deny"
        found.allowed_addresses = [one["value"] for one in rules.get("ipRules", ())]
        found.allowed_subnets = [one["id"] for one in rules.get("virtualNetworkRules", ())]
        found.created = self._past
        return found

    def _prepare_tokens(
        self, exchange: Exchange, registry: Registry, below: list[str], body: Mapping[str, Any]
    ) -> None:
        properties = body.get("properties", {})
        match below:
            case ["scopeMaps", name] if exchange.status != 404 and exchange.method != "PUT":
                self._scope_map(registry, name, properties)
            case ["tokens", name]:
                self._scope_map(registry, _last(properties.get("scopeMapId")), {})
                if exchange.method != "PUT":
                    self._token(registry, name, properties)
            case ["tokens" as kind, name, "operationStatuses", _]:
                doing = body.get("status")
                self._state.polls_in_progress = 0 if doing == "Succeeded" else 1
                made = self._arm("PUT", f"{registry.id}/{kind}/{name}", exchange, json={})
                self._poll = made.headers["azure-asyncoperation"]
            case ["generateCredentials"]:
                self._token(registry, _last(exchange.request_body["tokenId"]), {})

    def _scope_map(self, registry: Registry, name: str, properties: Mapping[str, Any]) -> None:
        actions = list(properties.get("actions", [GRANT]))
        found = ScopeMap(name, actions, properties.get("description"), self._past, self._past)
        registry.scope_maps[name.lower()] = found

    def _token(self, registry: Registry, name: str, properties: Mapping[str, Any]) -> Token:
        of = _last(properties.get("scopeMapId"))
        token = self._state.add_token(registry, name, of, created=self._past)
        for one in properties.get("credentials", {}).get("passwords", ()):
            ends = dt.datetime.fromisoformat(one["expiry"]) if "expiry" in one else None
            self._state.add_password(token, one["name"], created=self._past, expiry=ends)
        return token

    def _prepare_assignments(self, exchange: Exchange, body: Mapping[str, Any]) -> None:
        for one in body.get("value", [body] if "properties" in body else ()):
            shown = one["properties"]
            if shown["principalType"] == "ServicePrincipal":
                self._principal({"id": shown["principalId"]})
            else:
                self._state.others[shown["principalId"]] = shown["principalType"]
            if exchange.method != "PUT":
                self._state.role_assignments.append(
                    RoleAssignment(
                        name=one["name"],
                        scope=shown["scope"],
                        role=BUILT_IN.get(_last(shown["roleDefinitionId"]), READER),
                        principal_id=shown["principalId"],
                        principal_type=shown["principalType"],
                        lifetime=Lifetime(self._past, sort="grant"),
                        updated=self._past,
                        description=shown["description"],
                        condition=shown["condition"],
                        condition_version=shown["conditionVersion"],
                        created_by=self._state.operator.object_id,
                        updated_by=self._state.operator.object_id,
                    )
                )

    def _prepare_graph(self, exchange: Exchange, body: Mapping[str, Any]) -> None:
        parts = exchange.path.strip("/").split("/")[1:]
        kind, thing = parts[0], parts[1] if len(parts) > 1 else ""
        shown = list(body.get("value", ())) if "value" in body else [body]
        if exchange.status == 404:
            return
        match kind, parts[2:]:
            case "applications", [] if exchange.method == "POST":
                return
            case "applications", []:
                for one in shown if thing == "" or exchange.method == "GET" else [{"id": thing}]:
                    self._application(one)
            case "applications", [below, *_]:
                made = self._application({"id": thing})
                if below == "removePassword":
                    made.secrets[0].key_id = exchange.request_body["keyId"]
                if below == "federatedIdentityCredentials":
                    made.federated = [one["name"] for one in shown]
                if below == "owners":
                    made.owner_id = shown[0]["id"] if shown else None
                    self._state.others.update({one["id"]: "User" for one in shown})
            case "servicePrincipals", []:
                if exchange.method == "POST":
                    self._application({"appId": body["appId"]})
                    return
                for one in shown if exchange.method == "GET" else [{"id": thing}]:
                    self._principal(one)
            case "directory", _:
                made = self._application({"id": parts[2]})
                made.lifetime.removed = self._state.now()
            case "directoryObjects", _:
                for one in shown:
                    if one["@odata.type"].endswith("servicePrincipal"):
                        self._principal(one)
                    else:
                        self._state.others[one["id"]] = one["@odata.type"].rpartition(".")[2].capitalize()

    def _application(self, shown: Mapping[str, Any]) -> Application:
        properties = {name: value for name, value in shown.items() if name in WRITABLE}
        made = self._state.add_application(
            shown.get("displayName", "recorded"),
            app_id=shown.get("appId"),
            unique_name=shown.get("uniqueName"),
            properties=properties,
            created=self._past,
        )
        made.id = shown.get("id", made.id)
        for one in shown.get("passwordCredentials", [{}] if "appId" not in shown else ()):
            secret = self._state.add_secret(
                made,
                display_name=one.get("displayName"),
                start=_moment(one.get("startDateTime")) or self._past,
                end=_moment(one.get("endDateTime")),
                created=self._past,
            )
            secret.key_id = one.get("keyId", secret.key_id)
        return made

    def _principal(self, shown: Mapping[str, Any]) -> ServicePrincipal:
        application = self._application(
            {
                "appId": shown.get("appId", str(uuid.uuid4())),
                "displayName": shown.get("displayName", "recorded"),
                "identifierUris": list(shown.get("servicePrincipalNames", ()))[1:],
            }
        )
        return self._state.add_service_principal(application, object_id=shown.get("id"), created=self._past)

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, exchange: Exchange) -> Answer:
        calls = self._running.sandbox.log.calls
        before = len(calls)
        response = self._response(exchange)
        if response is None:
            return Answer(0, None, served=False)
        try:
            body: Any = response.json()
        except ValueError:
            body = response.text or None
        served = len(calls) > before and calls[-1].method != "Unknown"
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, body, headers, served)

    def _response(self, exchange: Exchange) -> httpx.Response | None:
        if not exchange.url or "{" in exchange.url:
            return self._described(exchange)
        if self._poll:
            return self._arm(exchange.method, self._poll, exchange)
        parts = urlsplit(exchange.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if exchange.host in self._addresses:
            return self._client.request(
                exchange.method,
                self._addresses[exchange.host] + path,
                json=self._sent(exchange),
                headers={"Authorization": f"Bearer {self._tokens[exchange.host]}"},
            )
        if exchange.host in self._emulator.registry_ports:
            return self._to_registry(exchange)
        return None

    def _sent(self, exchange: Exchange) -> Any:
        """The body; a lifetime that was in the future when it was recorded is so again."""
        soon = self._state.now() + dt.timedelta(days=1)
        if exchange.path.endswith("/generateCredentials") and "expiry" in exchange.request_body:
            recorded = dt.datetime.fromisoformat(exchange.request_body["expiry"])
            return {
                **exchange.request_body,
                "expiry": soon.replace(microsecond=recorded.microsecond).isoformat(),
            }
        if not exchange.path.endswith("/addPassword"):
            return exchange.request_body
        given = dict(exchange.request_body["passwordCredential"])
        for name, offset in (("startDateTime", 0), ("endDateTime", 730)):
            moment = self._state.now().replace(microsecond=0) + dt.timedelta(days=offset)
            given[name] = moment.isoformat().replace("+00:00", "Z")
        return {"passwordCredential": given}

    def _arm(self, method: str, path: str, exchange: Exchange, **how: Any) -> httpx.Response:
        version = dict(parse_qsl(urlsplit(exchange.url).query)).get("api-version", "2025-11-01")
        own = self._addresses[ARM]
        if "api-version" not in path:
            how["params"] = {"api-version": version}
        return self._client.request(
            method,
            path if path.startswith(own) else own + path,
            headers={"Authorization": f"Bearer {self._tokens[ARM]}"},
            **how,
        )

    def _to_registry(self, exchange: Exchange) -> httpx.Response:
        port = self._emulator.registry_ports[exchange.host]
        registry = self._state.registries[-1]
        form = dict(parse_qsl(unquote(exchange.request_body))) if exchange.request_body else None
        claims = {"oid": self._state.operator.object_id, "appid": self._state.operator.app_id}
        if form and "access_token" in form:
            form["access_token"] = self._emulator.tokens.sign(
                {"aud": "https://containerregistry.azure.net", **claims}, lifetime=60
            )
        if form and "refresh_token" in form:
            form["refresh_token"] = self._emulator.tokens.sign(
                {"aud": registry.login_server, "grant_type": "refresh_token", **claims}, lifetime=60
            )
        url = f"https://localhost:{port}{exchange.path}"
        return self._client.request(exchange.method, url, data=form, headers={"Host": exchange.host})

    def _described(self, exchange: Exchange) -> httpx.Response | None:
        """What a report tells of without the request's own words."""
        title = exchange.title
        if title.startswith("PUT roleAssignment"):
            return self._put_assignment(exchange)
        if title.startswith("GET servicePrincipals"):
            self._state.graph_roles = set()
            address = f"{self._addresses[GRAPH]}/v1.0/servicePrincipals"
            powerless = self._emulator.tokens.sign(
                {
                    "aud": self._addresses[GRAPH],
                    "oid": self._state.operator.object_id,
                    "appid": self._state.operator.app_id,
                },
                lifetime=60,
            )
            return self._client.get(address, headers={"Authorization": f"Bearer {powerless}"})
        if title.startswith("GET permissions"):
            registry = self._registry("", "recorded", "recorded", {})
            return self._arm("GET", f"{registry.id}/providers/Microsoft.Authorization/permissions", exchange)
        if title == "GET /subscriptions":
            return self._arm("GET", "/subscriptions", exchange)
        if title.endswith("addPassword"):
            self._state.app_management_policy.max_secret_lifetime = dt.timedelta(days=1)
            made = self._application({"id": str(uuid.uuid4())})
            address = f"{self._addresses[GRAPH]}/v1.0/applications/{made.id}/addPassword"
            headers = {"Authorization": f"Bearer {self._tokens[GRAPH]}"}
            return self._client.post(address, json={}, headers=headers)
        if title.startswith("token endpoint"):
            form = {
                "grant_type": "client_credentials",
                "client_id": self._state.operator.app_id,
                "scope": f"{self._addresses[GRAPH]}/.default",
                **({"client_secret": "wrong"} if "wrong" in title else {}),
            }
            at = f"{self._emulator.entra.address}/{self._state.tenant_id}/oauth2/v2.0/token"
            return self._client.post(at, data=form)
        return None

    def _put_assignment(self, exchange: Exchange) -> httpx.Response:
        registry = self._registry("", "recorded", "recorded", {})
        principal = str(uuid.uuid4())
        if "unknown" not in exchange.title:
            self._principal({"id": principal})
        if "other name" in exchange.title:
            self._state.add_assignment(principal, READER, registry.id, created=self._past)
        if "without" in exchange.title:
            self._state.denied_actions.add("Microsoft.Authorization/roleAssignments/write")
        at = f"{registry.id}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        return self._arm("PUT", at, exchange, json={"properties": _grant(READER, principal)})

    # -- comparing -------------------------------------------------------------------------------------------

    def error_code(self, body: Any) -> str:
        match body:
            case {"error": {"code": str(code)}}:
                return code
            case {"error": str(code)}:
                return code
            case {"errors": [{"code": str(code)}, *_]}:
                return code
        return ""

    def form(self, path: str, value: Any) -> str | None:
        if path == "error.message" or path.rpartition(".")[2] in ("displayName", "name", "hint"):
            return "text"
        if path.endswith(("systemData.createdBy", "systemData.lastModifiedBy")):
            # Of a user it is the address, of an application the id.
            return "who"
        # Zeros at the end are left out.
        return re.sub(r"date \((milliseconds|microseconds),", "date (ticks,", form_of(value))

    def more(self, exchange: Exchange, answer: Answer) -> Iterator[str]:
        """Where to ask on, how a registry asks for a login, and the words by which refusals are told
        apart.
        """
        for name in ("azure-asyncoperation", "location", "retry-after", "www-authenticate", "odata-version"):
            there, here = (_shape(it.get(name)) for it in (exchange.headers, answer.headers))
            # Shortened recordings have no headers, and an answer without any says nothing of them.
            if there != here and exchange.headers:
                yield f"header {name}: {there} recorded, {here} here"
        there, here = _wording(exchange.response_body), _wording(answer.body)
        if there != here:
            yield f"wording: {there!r} recorded, {here!r} here"


def _last(resource_id: str | None) -> str:
    return (resource_id or "").rpartition("/")[2]


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _grant(role: Role, principal: str) -> dict[str, str]:
    return {
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role.guid}",
        "principalId": principal,
        "principalType": "ServicePrincipal",
    }


def _shape(address: str | None) -> str:
    """A header without the names and numbers in it."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", address or "")
    text = re.sub(r"https://(localhost:\d+|management\.azure\.com)/", "https://ARM/", text)
    text = re.sub(
        r"(subscriptions|resourceGroups|registries|tokens|scopeMaps|locations)/[^/]+", r"\1/X", text
    )
    text = re.sub(r"[\w-]+(\.azurecr\.io)", r"X\1", text)
    return re.sub(r"([?&]\w[\w-]*)=[^&\"]*", r"\1", text)


def _wording(body: Any) -> str:
    """A refusal's text without names and ids."""
    error = body.get("error") if isinstance(body, dict) else None
    text = error.get("message", "") if isinstance(error, dict) else ""
    text = re.sub(r"'[^']*'|\b[0-9a-f-]{32,36}\b", "X", text)
    return re.sub(r"(resource|Principal|subscription) \S+", r"\1 X", text)


@contextmanager
def cloud() -> Iterator[Azure]:
    """The emulator, running."""
    with RunningSandbox({"azure": AzureEmulator}) as running:
        emulator = running.sandbox.emulators["azure"]
        assert isinstance(emulator, AzureEmulator)
        yield Azure(running, emulator)

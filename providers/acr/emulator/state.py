"""The state of the emulated Azure: a tenant's directory, subscriptions, registries and role assignments."""

from __future__ import annotations

import datetime as dt
import secrets
import string
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bootstrap.sandbox.host import Sandbox
from providers.acr.emulator.replication import DELETED_ITEMS_KEPT, Lifetime, Replicas
from providers.acr.emulator.roles import BUILT_IN, Permissions, Role, covers, lets_assign

DEFAULT_SECRET_LIFETIME = dt.timedelta(days=730)
"""Graph's default: "startDateTime + 2 years" (application: addPassword)."""
_SECRET_CHARACTERS = string.ascii_letters + string.digits + "-_.~"


@dataclass
class Secret:
    """A client secret. Only addPassword returns its text."""

    key_id: str
    display_name: str | None
    text: str = field(repr=False)
    start: dt.datetime
    end: dt.datetime
    lifetime: Lifetime


@dataclass
class Application:
    """An application object. `properties` are writable and have no effect here."""

    id: str
    app_id: str
    display_name: str
    lifetime: Lifetime
    unique_name: str | None = None
    owner_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    federated: list[str] = field(default_factory=list)
    policy: AppManagementPolicy | None = None
    """The policy that is assigned to it, instead of the tenant's."""
    secrets: list[Secret] = field(default_factory=list)


@dataclass
class ServicePrincipal:
    """An application's identity in the tenant."""

    id: str
    app_id: str
    display_name: str
    lifetime: Lifetime
    enabled: bool = True
    kind: str = "Application"
    tags: list[str] = field(default_factory=list)


@dataclass
class RoleAssignment:
    """A role granted to a principal at a scope; `name` is the GUID chosen by its creator."""

    name: str
    scope: str
    role: Role
    principal_id: str
    principal_type: str
    lifetime: Lifetime
    updated: dt.datetime
    description: str | None = None
    condition: str | None = None
    condition_version: str | None = None
    created_by: str | None = ""
    updated_by: str = ""

    def set_by_put(self, other: RoleAssignment) -> None:
        """Apply the changes that a repeated PUT may make."""
        self.description, self.condition = other.description, other.condition
        self.condition_version = other.condition_version
        self.updated, self.updated_by = other.updated, other.updated_by

    def same_grant(self, other: RoleAssignment) -> bool:
        return (self.scope.lower(), self.role.guid, self.principal_id) == (
            other.scope.lower(),
            other.role.guid,
            other.principal_id,
        )


@dataclass
class Subscription:
    """A subscription with its registered resource providers."""

    id: str
    name: str
    providers: set[str] = field(default_factory=lambda: {"Microsoft.ContainerRegistry"})

    @property
    def scope(self) -> str:
        return f"/subscriptions/{self.id}"


@dataclass
class ScopeMap:
    """The permissions of a registry's tokens: actions such as `repositories/checkout/content/read`."""

    name: str
    actions: list[str]
    description: str | None
    created: dt.datetime
    modified: dt.datetime | None = None


@dataclass
class TokenPassword:
    """One of a token's two passwords. Only generateCredentials returns its text."""

    name: str
    text: str = field(repr=False)
    created: dt.datetime
    expiry: dt.datetime | None
    lifetime: Lifetime
    before: TokenPassword | None = None
    """The slot's previous password."""


@dataclass
class Token:
    """A token of a registry; `in_progress` is "Creating" or "Updating" until a client has polled the end."""

    name: str
    scope_map: str
    created: dt.datetime
    modified: dt.datetime | None = None
    status: str = "enabled"
    in_progress: str = ""
    removed_passwords: list[TokenPassword] = field(default_factory=list)
    passwords: dict[str, TokenPassword] = field(default_factory=dict)


@dataclass
class Registry:
    """A container registry. Tests may change every setting while it is served."""

    name: str
    subscription_id: str
    created: dt.datetime
    resource_group: str = "shop"
    location: str = "westeurope"
    sku: str = "Standard"
    abac: bool = False
    admin_user_enabled: bool = False
    anonymous_pull: bool = False
    public_network_access: bool = True
    firewall_denies: bool = False
    allowed_addresses: list[str] = field(default_factory=list)
    allowed_subnets: list[str] = field(default_factory=list)
    """The ids of subnets in virtual networks; shown by older API versions and by the newest."""
    tags: dict[str, str] = field(default_factory=dict)
    data_endpoint: bool = False
    regional_endpoints: bool = False
    domain_name_label: str = ""
    """The hash that a label scope adds to the login server's name, so that two groups may have a registry of
    the same name.
    """
    arm_audience: bool = True
    """Whether a token for Resource Manager logs in (azureADAuthenticationAsArmPolicy)."""
    scope_maps: dict[str, ScopeMap] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    deleted: list[tuple[ScopeMap | Token, dt.datetime]] = field(default_factory=list)
    """Deleted scope maps and tokens with their times of deletion: replicas may still show them."""

    @property
    def login_server(self) -> str:
        label = f"-{self.domain_name_label}" if self.domain_name_label else ""
        return f"{self.name.lower()}{label}.azurecr.io"

    @property
    def data_hosts(self) -> list[str]:
        """The hosts for downloads of blobs, with a dedicated data endpoint."""
        return [self._host_in_region("data")] if self.data_endpoint else []

    @property
    def regional_hosts(self) -> list[str]:
        """Where images of one region are pulled, with regional endpoints."""
        return [self._host_in_region("geo")] if self.regional_endpoints else []

    def _host_in_region(self, kind: str) -> str:
        name, _, domain = self.login_server.partition(".")
        return f"{name}.{self.location}.{kind}.{domain}"

    @property
    def id(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ContainerRegistry/registries/{self.name}"
        )


@dataclass
class AppManagementPolicy:
    """Rules for client secrets: the tenant's (defaultAppManagementPolicy), or those of some applications."""

    id: str = "538f1913-366a-440a-95a0-e195cb55b282"
    secrets_blocked: bool = False
    operator_exempt: bool = False
    """Whether the rules exempt callers with an attribute that the operator has (excludeActors)."""
    max_secret_lifetime: dt.timedelta | None = None

    @property
    def enabled(self) -> bool:
        return self.secrets_blocked or self.max_secret_lifetime is not None


@dataclass(frozen=True)
class Operator:
    """The service principal that the sandbox's person is logged in as."""

    app_id: str
    object_id: str
    federated_subject: str


class AzureState:
    """Everything the emulated services share. The `add_...` methods are for tests and for the seed.

    Attributes:
        denied_actions: Resource Manager actions that nobody holds, whatever the roles say.
        graph_roles: the Graph application permissions that the operator's tokens carry.
        directory_roles: the directory role template ids (`wids`) that they carry.
        unlisted_roles: Graph permissions that the operator has by a custom role of the directory, which no
            token lists.
        operator_is_user: whether the operator's tokens are those of a user who signed in (`scp`).
        members_may_create_apps: the tenant's `allowedToCreateApps`.
        others: the types of the users and groups of the directory (`User`, `Group`), by their object ids.
        page_size: how many registries one page of a list holds.
        tokens_forbidden: an Azure Policy denies tokens ("Container registries should have repository scoped
            access token disabled").
        polls_in_progress: how often the status of what goes on after its answer is "Creating" or the like,
            before it has ended. The real one's was so in 14 of 38 recorded polls.
        credentials_take_a_poll: whether generateCredentials answers 202 first, as its specification allows.
        scope_maps_take_a_poll: whether the PUT of a scope map goes on after its answer, likewise.
        operations_fail: whether what goes on after its answer ends as Failed.
    """

    def __init__(self, sandbox: Sandbox, *, tenant_id: str, tenant_name: str, operator: Operator) -> None:
        self._sandbox = sandbox
        self.tenant_id = tenant_id
        self.tenant_name = tenant_name
        self.operator = operator
        self.replicas = Replicas(sandbox)
        self.denied_actions: set[str] = set()
        self.locks: set[str] = set()
        """The scopes that have a lock of the level `CanNotDelete`."""
        self.graph_roles: set[str] = {"Application.ReadWrite.All", "Policy.Read.All"}
        self.directory_roles: set[str] = set()
        self.unlisted_roles: frozenset[str] = frozenset()
        self.operator_is_user = False
        self.members_may_create_apps = True
        self.page_size = 100
        self.tokens_forbidden = False
        self.polls_in_progress = 1 if self.replicas.real else 0
        self.credentials_take_a_poll = False
        self.scope_maps_take_a_poll = False
        self.operations_fail = False
        self.app_management_policy = AppManagementPolicy()
        self.subscriptions: list[Subscription] = []
        self.registries: list[Registry] = []
        self.applications: list[Application] = []
        self.service_principals: list[ServicePrincipal] = []
        self.role_assignments: list[RoleAssignment] = []
        self.others: dict[str, str] = {}

    def now(self) -> dt.datetime:
        return self._sandbox.now()

    # -- making things ---------------------------------------------------------------------------------------

    def add_application(
        self,
        display_name: str,
        *,
        app_id: str | None = None,
        unique_name: str | None = None,
        owner_id: str | None = None,
        properties: dict[str, Any] | None = None,
        created: dt.datetime | None = None,
    ) -> Application:
        application = Application(
            id=str(uuid.uuid4()),
            app_id=app_id or str(uuid.uuid4()),
            display_name=display_name,
            lifetime=Lifetime(created or self.now(), subject=unique_name or display_name),
            unique_name=unique_name,
            owner_id=owner_id,
            properties=properties or {},
        )
        self.applications.append(application)
        return application

    def add_secret(
        self,
        application: Application,
        *,
        display_name: str | None = None,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        created: dt.datetime | None = None,
    ) -> Secret:
        begin = start or self.now()
        # The form of today's secrets: 40 characters with a digit and `Q~` after the first three.
        letters = [secrets.choice(_SECRET_CHARACTERS) for _ in range(37)]
        secret = Secret(
            key_id=str(uuid.uuid4()),
            display_name=display_name,
            text="".join([*letters[:3], "8Q~", *letters[3:]]),
            start=begin,
            end=end or begin + DEFAULT_SECRET_LIFETIME,
            lifetime=Lifetime(created or self.now(), sort="key", subject=application.display_name),
        )
        application.secrets.append(secret)
        return secret

    def add_service_principal(
        self, application: Application, *, object_id: str | None = None, created: dt.datetime | None = None
    ) -> ServicePrincipal:
        principal = ServicePrincipal(
            id=object_id or str(uuid.uuid4()),
            app_id=application.app_id,
            display_name=application.display_name,
            lifetime=Lifetime(created or self.now(), subject=f"principal of {application.display_name}"),
        )
        self.service_principals.append(principal)
        return principal

    def add_registry(self, name: str, subscription: Subscription, **settings: Any) -> Registry:
        """Make a registry known to Resource Manager; `AzureEmulator.serve_registry` opens its port."""
        registry = Registry(name, subscription.id, self.now(), **settings)
        self.registries.append(registry)
        return registry

    def add_token(
        self, registry: Registry, name: str, scope_map: str, *, created: dt.datetime | None = None
    ) -> Token:
        token = Token(name, scope_map, created or self.now())
        registry.tokens[name.lower()] = token
        return token

    def add_password(
        self,
        token: Token,
        slot: str,
        *,
        expiry: dt.datetime | None = None,
        created: dt.datetime | None = None,
    ) -> TokenPassword:
        """A password in a slot; what was in it is no more."""
        moment = created or self.now()
        # The form of today's: 84 letters and digits with `+ACR` and some more in it.
        text = (
            "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(72))
            + "+ACR"
            + secrets.token_hex(4)
        )
        before = token.passwords.get(slot)
        lifetime = Lifetime(moment, sort="key", subject=f"{token.name} {slot}")
        token.passwords[slot] = TokenPassword(slot, text, moment, expiry, lifetime, before)
        return token.passwords[slot]

    def add_assignment(
        self,
        principal_id: str,
        role: Role,
        scope: str,
        *,
        principal_type: str = "ServicePrincipal",
        created: dt.datetime | None = None,
    ) -> RoleAssignment:
        moment = created or self.now()
        assignment = RoleAssignment(
            name=str(uuid.uuid4()),
            scope=scope,
            role=role,
            principal_id=principal_id,
            principal_type=principal_type,
            lifetime=Lifetime(moment, sort="grant", subject=f"{role.name} at {scope}"),
            updated=moment,
        )
        self.role_assignments.append(assignment)
        return assignment

    # -- finding things --------------------------------------------------------------------------------------

    def registry(self, name: str) -> Registry:
        return next(one for one in self.registries if one.name.lower() == name.lower())

    def subscription(self, subscription_id: str) -> Subscription | None:
        return next((one for one in self.subscriptions if one.id == subscription_id.lower()), None)

    def applications_named(self, display_name: str) -> list[Application]:
        """Those that exist, whether or not every replica knows of them."""
        return [one for one in self.applications if one.display_name == display_name and one.lifetime.exists]

    def application_by_app_id(self, app_id: str) -> Application | None:
        return next(
            (one for one in self.applications if one.app_id == app_id.lower() and one.lifetime.exists), None
        )

    def principal_by_app_id(self, app_id: str) -> ServicePrincipal | None:
        return next(
            (one for one in self.service_principals if one.app_id == app_id.lower() and one.lifetime.exists),
            None,
        )

    def unique_name_taken(self, name: str) -> bool:
        """Whether an application has the name: one that is there, or that can still be restored.

        Microsoft calls the latter a bug of the service, and lets one delete it permanently, or restore it
        ("Troubleshoot Microsoft Graph Bicep"; microsoftgraph/msgraph-bicep-types#137). The name of one that
        was deleted permanently is free once every replica knows.
        """
        return any(
            one.unique_name == name and (one.lifetime.exists or self._can_be_restored(one.lifetime))
            for one in self.applications
        )

    def _can_be_restored(self, lifetime: Lifetime) -> bool:
        if lifetime.removed is None or self.now() - lifetime.removed >= DELETED_ITEMS_KEPT:
            return False
        return lifetime.purged is None or not self.replicas.knows(lifetime.purged, lifetime)

    # -- who may what ----------------------------------------------------------------------------------------

    def permissions(
        self, principal_id: str, scope: str, repository: str | None = None
    ) -> Iterator[Permissions]:
        """What a principal's roles at and above a scope allow; each with `denied_actions` taken out.

        With a repository, without the roles whose condition leaves it out.
        """
        denied = tuple(sorted(self.denied_actions))
        for assignment in self.role_assignments:
            if assignment.principal_id != principal_id or not scope_holds(assignment.scope, scope):
                continue
            if repository is not None and not covers(assignment.condition, repository):
                continue
            if self.replicas.seen(assignment.lifetime):
                given = BUILT_IN[assignment.role.guid].permissions
                yield Permissions(
                    given.actions, given.not_actions + denied, given.data_actions, given.not_data_actions
                )

    def allowed(self, principal_id: str, action: str, scope: str) -> bool:
        return any(one.allows(action) for one in self.permissions(principal_id, scope))

    def assigns(self, principal_id: str, action: str, scope: str, role: str) -> bool:
        """Whether a principal may write or delete an assignment of this role, by the conditions of its own
        roles.
        """
        own = [one for one in self.role_assignments if one.principal_id == principal_id]
        return any(
            lets_assign(one.condition, action, role)
            for one in own
            if scope_holds(one.scope, scope)
            and BUILT_IN[one.role.guid].permissions.allows(action)
            and self.replicas.seen(one.lifetime)
        )

    def allowed_data(self, principal_id: str, action: str, scope: str, repository: str | None = None) -> bool:
        return any(one.allows_data(action) for one in self.permissions(principal_id, scope, repository))

    def secret_problem(self, application: Application, text: str) -> str:
        """Why a secret does not prove the application: "" if it does, else "invalid" or "expired"."""
        for secret in application.secrets:
            if secrets.compare_digest(secret.text.encode(), text.encode()):
                if not self.replicas.honoured(secret.lifetime):
                    return "invalid"
                return "" if secret.start <= self.now() < secret.end else "expired"
        return "invalid"


def scope_holds(outer: str, inner: str) -> bool:
    """Whether what is assigned at `outer` reaches `inner`."""
    outer, inner = outer.lower().rstrip("/"), inner.lower().rstrip("/")
    return inner == outer or inner.startswith(outer + "/")

"""The target of this provider: one Azure registry and what pulls from it, parsed from the options."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import secret_name
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_facts import KeyLimit
from bootstrap.model.server import host_of
from bootstrap.plugin.provider import Target
from providers.acr import messages

if TYPE_CHECKING:
    from bootstrap.plugin.quota import Charge

DEFAULT_APP = "akka-docker-reader"
DEFAULT_LIFETIME = dt.timedelta(days=365)
LOGINS = (
    "default",
    "cli",
    "environment",
    "workload-identity",
    "managed-identity",
    "developer-cli",
    "powershell",
)
AUTH_KINDS = ("principal", "token")
SLOTS = ("password1", "password2")  # of a token: azure-mgmt-containerregistry, `TokenPasswordName`
SHARED, PER_REGISTRY = "shared", "per-registry"
APPS = (SHARED, PER_REGISTRY)
SUFFIXES = {"public": ".azurecr.io", "usgov": ".azurecr.us", "china": ".azurecr.cn"}

# "Naming rules and restrictions for Azure resources": alphanumeric, 5 to 50.
_NAME = re.compile(r"^[A-Za-z0-9]{5,50}$")
# A registry created with a "domain name label scope" is at NAME-HASH.azurecr.io; a name itself has no dash.
# One with regional endpoints is also logged in to at NAME.REGION.geo.azurecr.io;
# NAME.REGION.data.azurecr.io has layers only ("Azure Container Registry endpoint reference").
_LABEL = re.compile(
    r"^(?P<label>(?P<name>[a-z0-9]{5,50})(?:-[a-z0-9]+)?)(?:\.(?P<region>[a-z0-9]+)\.(?P<kind>geo|data))?$"
)
_RESOURCE = re.compile(
    r"^/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.ContainerRegistry/registries/(?P<name>[^/]+)/?$",
    re.IGNORECASE,
)
_GUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_TENANT = re.compile(r"^[A-Za-z0-9.-]+$")
_NOT_IN_A_UNIQUE_NAME = re.compile(r"[^a-z0-9]+")
_APP_NAME_LIMIT = 120  # of `displayName`: Graph's "application resource type" says 256, the portal takes 120
# The Distribution specification's grammar of a repository's name.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"^{_COMPONENT}(?:/{_COMPONENT})*$")
# Azure takes 5 to 50 characters; beside a key id it must also fit into the local part of a mail address.
_TOKEN_NAME_LIMIT = 40
_REPOSITORIES_LIMIT = 500  # per scope map: "Azure Container Registry SKU features and limits"


@dataclass(frozen=True)
class AcrTarget(Target):
    """A registry of one Azure cloud. Names of registries are unique in the whole cloud.

    Attributes:
        host: the login server as typed, else as it is mostly derived from the name.
        host_named: whether it was typed, so that it must be the registry's own.
        resource_group: "" unless a resource id was given.
        subscription: id or name; "" to search all.
        repository: of the image; "" if none was named.
        app_id: of an existing application; "" unless one was named.
        repositories: what a token may pull.
        token: the token's name, if it comes from Akka's record; else it is derived.
        scope_map: the same for its scope map.
        located: the client id in Akka's record by which the target was found.
        granted_elsewhere: whether such a record led to an application that is not pullkey's, and no role of
            pullkey's assignment was seen.
        seen: what Azure has shown so far: `host` (the login server), `subscription`, and how many secrets
            the application can have (`most_secrets`).
    """

    name: str
    host: str
    host_named: bool
    cloud: str
    resource_group: str
    subscription: str
    repository: str
    reference: str
    app_name: str
    app_id: str
    skip_grant: bool
    expires_in: dt.timedelta
    auth: str
    tenant: str
    auth_kind: str = "principal"
    repositories: tuple[str, ...] = ()
    token: str = ""
    scope_map: str = ""
    located: str = ""
    granted_elsewhere: bool = False
    seen: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> AcrTarget:
        """Read the options of `pullkey onboard acr`, and `--image`.

        Raises:
            UsageProblem: one of them is not valid, or two of them contradict each other.
        """
        named = _named_registry(values)
        auth_kind = values.get("auth_kind") or "principal"
        repositories = _repositories(values, auth_kind, named.repository)
        app_id = values.get("app_id") or ""
        if app_id and not _GUID.match(app_id):
            raise messages.app_id_invalid(app_id)
        base = _app_name(values.get("app_name") or DEFAULT_APP)
        if values.get("app") == PER_REGISTRY:
            if app_id or auth_kind == "token":
                raise messages.app_per_registry_conflict("--app-id" if app_id else "--auth-kind token")
            base = _app_name(f"{base}-{named.name.lower()}")
        tenant = values.get("tenant") or ""
        if tenant and not _TENANT.match(tenant):
            raise messages.tenant_invalid(tenant)
        lifetime = values.get("expires_in") or DEFAULT_LIFETIME
        if lifetime < dt.timedelta(hours=1):
            raise messages.lifetime_too_short()
        return cls(
            name=named.name,
            host_named=bool(named.host),
            host=named.host or f"{named.name.lower()}{SUFFIXES[named.cloud]}",
            cloud=named.cloud,
            resource_group=named.group,
            subscription=named.subscription,
            repository=named.repository or _tried(repositories),
            reference=named.reference,
            app_name=base,
            app_id=app_id.lower(),
            skip_grant=bool(values.get("skip_grant")),
            expires_in=lifetime,
            auth=values.get("auth") or "default",
            tenant=tenant,
            auth_kind=auth_kind,
            repositories=repositories,
            token=values.get("token") or "",
            scope_map=values.get("scope_map") or "",
            located=values.get("located") or "",
        )

    # -- as `bootstrap.plugin.provider.Target` ---------------------------------------------------------------

    @property
    def label(self) -> str:
        return self.seen.get("host") or (self.host if self.host_named else self.name)

    @property
    def registry(self) -> str:
        return self.host

    @property
    def secret_name(self) -> str:
        return secret_name(self.host if self.regional else f"{self.name}{SUFFIXES[self.cloud]}")

    @property
    def regional(self) -> bool:
        """Whether images are pulled from the endpoint of one region."""
        return self.host_named and self.host.endswith(f".geo{SUFFIXES[self.cloud]}")

    def is_at(self, login_server: str) -> bool:
        """Whether the host that was named belongs to the registry with that login server."""
        suffix = SUFFIXES[self.cloud]
        named, server = _LABEL.match(self.host.removesuffix(suffix)), login_server.removesuffix(suffix)
        return self.host == login_server or (named is not None and self.regional and named["label"] == server)

    @property
    def lock_key(self) -> str:
        who = f"token {self.token_name}" if self.auth_kind == "token" else self.app_id or self.unique_name
        where = self.host if self.regional else f"{self.name.lower()}{SUFFIXES[self.cloud]}"
        return f"acr {where} {who}"

    @property
    def shared_identity_key(self) -> str:
        if self.auth_kind == "token":
            return f"{self.quota_group} token {self.token_name}"
        return f"acr {self.cloud} {self.tenant} {self.app_id or self.unique_name}"

    @property
    def quota_group(self) -> str:
        return f"acr {self.name.lower()}{SUFFIXES[self.cloud]}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return self.expires_in

    @property
    def key_limit(self) -> KeyLimit | None:
        if self.auth_kind != "token":
            most = self.seen.get("most_secrets")
            another = "app-id or app-name, or app: per-registry"
            return KeyLimit(int(most), f"the application {self.app_label}", another) if most else None
        return KeyLimit(len(SLOTS), f"the token {self.token_name} of {self.host}", "app-name or token")

    @property
    def charges(self) -> Sequence[Charge]:
        from providers.acr.quotas import charges

        return charges(self.subscription, self.shared_identity_key, token=self.auth_kind == "token")

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def unique_name(self) -> str:
        """The mark of pullkey's application: Graph lets a `uniqueName` be set once, and never changed."""
        return f"pullkey-{slug(self.app_name)}"

    @property
    def app_label(self) -> str:
        return self.app_id or self.app_name

    @property
    def client_id(self) -> str:
        """The application's client id, if it is known before any call."""
        return self.app_id or self.located

    @property
    def token_name(self) -> str:
        """The name of the registry's token, derived from its repositories so that later runs find it."""
        if self.token:
            return self.token
        plain = f"{slug(self.app_name)}-{'-'.join(map(slug, self.repositories))}"
        if self.repositories == (slug("".join(self.repositories)),) and 5 <= len(plain) <= _TOKEN_NAME_LIMIT:
            return plain
        # Two sets of repositories must not get the same name by replaced characters or by truncation.
        mark = hashlib.sha256("\0".join([slug(self.app_name), *self.repositories]).encode()).hexdigest()[:8]
        return f"{plain[: _TOKEN_NAME_LIMIT - 9].rstrip('-')}-{mark}"

    @property
    def scope_map_name(self) -> str:
        return self.scope_map or self.token_name


def is_azure(server: str) -> bool:
    """Whether the server in Akka's record is an Azure registry of some cloud."""
    return host_of(server).endswith(tuple(SUFFIXES.values()))


def options_of(held: HeldCredential, target: AcrTarget | None) -> dict[str, str | bool]:
    """The options that name a target; without a target, those that the record's user name implies."""
    found: dict[str, str | bool] = {"registry": host_of(held.server)}
    if target is None:
        return found | ({"app-id": held.username.lower()} if is_guid(held.username) else {})
    if target.auth_kind == "token":
        # `--repository` takes names only, and an administrator may have added wildcards to a scope map.
        whole = [one for one in target.repositories if not one.endswith("*")]
        return found | {"auth-kind": "token", "repository": ",".join(whole) or "NAME"}
    if target.app_id:
        found["app-id"] = target.app_id
        if target.granted_elsewhere:
            found["skip-grant"] = True
    elif target.app_name != DEFAULT_APP:
        found["app-name"] = target.app_name
    return found


def role_scope(target: AcrTarget) -> str:
    """The narrowest scope that a custom role for a target can be defined in, as far as it is known.

    "Azure custom roles": its assignable scopes are management groups, subscriptions and resource groups.
    """
    if not is_guid(target.subscription):
        return ""
    group = f"/resourceGroups/{target.resource_group}" if target.resource_group else ""
    return f"/subscriptions/{target.subscription}{group}"


def is_guid(text: str) -> bool:
    return bool(_GUID.match(text))


class _NamedRegistry(NamedTuple):
    """What `--registry` and `--image` say of a registry; "" for what they do not."""

    name: str
    cloud: str
    host: str
    subscription: str
    group: str
    repository: str
    reference: str


def _named_registry(values: Mapping[str, Any]) -> _NamedRegistry:
    """Read `--registry`, a name, a login server, an image or a resource id, together with `--image`.

    Raises:
        UsageProblem: one of them is not valid, or two of them contradict each other.
    """
    text = values.get("registry")
    if not text:
        raise messages.no_registry()
    cloud, subscription, group = values.get("cloud") or "", values.get("subscription") or "", ""
    repository = reference = host = ""
    resource = _RESOURCE.match(text)
    if resource is not None:
        name, group = resource["name"], resource["group"]
        if _GUID.match(subscription) and subscription.lower() != resource["subscription"].lower():
            raise messages.two_subscriptions(subscription, resource["subscription"])
        subscription = resource["subscription"]
    elif _NAME.match(text):
        name = text
    else:
        host, name, cloud, repository, reference = _login_server(text, cloud, where="--registry")
    if not _NAME.match(name):
        raise messages.registry_name_invalid(name)
    if values.get("image"):
        at, of, cloud, repository, reference = _login_server(values["image"], cloud, where="--image")
        if of != name.lower() or (host and at != host):
            raise messages.two_registries(at, host or name)
        if not repository:
            raise messages.image_without_repository(values["image"])
        host = at
    return _NamedRegistry(name, cloud or "public", host, subscription, group, repository, reference)


def _login_server(text: str, cloud: str, *, where: str) -> tuple[str, str, str, str, str]:
    """Parse a login server or an image of it: host, registry name, cloud, repository and reference.

    Raises:
        UsageProblem: it is not an Azure registry, or one of another cloud than `cloud`.
    """
    named = parse_reference(text, where=where)
    for of, suffix in SUFFIXES.items():
        label = _LABEL.match(named.host.removesuffix(suffix)) if named.host.endswith(suffix) else None
        if label is not None and named.port is None:
            if cloud not in ("", of):
                raise messages.two_clouds(where, named.host, of, cloud)
            if label["kind"] == "data":
                raise messages.data_endpoint_named(where, named.host, f"{label['label']}{suffix}")
            return named.host, label["name"], of, named.path, named.reference if named.path else ""
    raise messages.not_an_azure_registry(where, text)


def _repositories(values: Mapping[str, Any], auth_kind: str, of_image: str) -> tuple[str, ...]:
    """Read which repositories a token may pull: `--repository`, else that of `--image`.

    Raises:
        UsageProblem: there is none, or an option does not fit the `--auth-kind`.
    """
    typed = [part.strip() for part in (values.get("repository") or "").split(",")]
    named = sorted({part for part in typed if part})
    if auth_kind != "token":
        if named:
            raise messages.repositories_need_token()
        return ()
    for option, key in (("--app-id", "app_id"), ("--skip-grant", "skip_grant")):
        if values.get(key):
            raise messages.option_needs_service_principal(option)
    if values.get("token"):
        return tuple(named)  # as in its scope map, which may contain wildcards
    for one in named:
        if not _REPOSITORY.match(one):
            raise messages.repository_invalid(one)
    if len(named) > _REPOSITORIES_LIMIT:
        raise messages.too_many_repositories(len(named), _REPOSITORIES_LIMIT)
    if named and of_image and of_image not in named:
        raise messages.image_not_among_repositories(of_image, named)
    if not (named or of_image):
        raise messages.no_repositories()
    return tuple(named) or ((of_image,) if of_image else ())


def allows(repositories: Sequence[str], path: str) -> bool:
    """Whether one of the repositories of a scope map is this one; `*` at the end stands for anything
    ("Create a token with repository-scoped permissions").
    """
    return any(path.startswith(one[:-1]) if one.endswith("*") else path == one for one in repositories)


def _tried(repositories: Sequence[str]) -> str:
    """The repository of which a pull is tried where no image is named: one that is named in full, if any."""
    whole = [one for one in repositories if not one.endswith("*")]
    return whole[0] if whole else "".join(repositories[:1]).replace("*", "pullkey-probe")


def _app_name(text: str) -> str:
    if len(text) > _APP_NAME_LIMIT or not text.isprintable() or not slug(text):
        raise messages.app_name_invalid(text, _APP_NAME_LIMIT)
    return text


def slug(text: str) -> str:
    return _NOT_IN_A_UNIQUE_NAME.sub("-", text.lower()).strip("-")

"""The session of an Azure target, as far as it is the same for both kinds of credential; and the search for
its registry.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from bootstrap.model.codes import Code
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError, problem_of
from bootstrap.model.server import host_of
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.errors import refused
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import PreflightFindings
from providers.acr import messages
from providers.acr.arm_objects import Registry
from providers.acr.cloud import Azure
from providers.acr.errors import AzureApiError, is_transient
from providers.acr.target import AcrTarget, is_guid

REGISTRY_READ = "Microsoft.ContainerRegistry/registries/read"


def cloud_of(context: RunContext, *, cloud: str, auth: str, tenant: str) -> Azure:
    """Return the command's Azure client, shared by all of its sessions and closed by the command."""
    return context.shared.get(
        ("acr", cloud, auth, tenant), lambda: Azure(cloud, auth, tenant, context.trace, context.deadline)
    )


class RegistrySession(Session):
    """What service principals and tokens have in common. See `bootstrap.plugin.session.Session`."""

    find_permissions = (REGISTRY_READ,)
    host_known = False
    tells_public = True

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.cloud = cloud_of(context, cloud=target.cloud, auth=target.auth, tenant=target.tenant)
        self.registry = AsyncOnce(self._registry)
        self.lifetime = target.expires_in

    async def _registry(self) -> Registry:
        found = await find_registry(self.cloud, self.target)
        self.target.seen["host"] = self.target.host if self.target.regional else found.login_server
        if not self.target.subscription and len(await self.cloud.subscriptions()) > 1:
            self.target.seen["subscription"] = found.subscription
        return found

    async def existing_registry(self) -> Registry | None:
        """The registry; None if it is known to be deleted. That this login does not see it says nothing.

        Raises:
            PullkeyError: it is not shown.
        """
        try:
            return await self.registry()
        except PullkeyError as error:
            held = await self.context.held_credential()
            host = self.target.host if self.target.host_named or held is None else host_of(held.server)
            if await is_deleted(self.cloud, self.target.name, host, error):
                return None
            raise

    async def connect(self) -> str:
        return await self.cloud.connect()

    async def host(self) -> str:
        # A registry with a domain name label has a login server of another name than its own.
        login_server = (await self.registry()).login_server
        return self.target.host if self.target.regional else login_server

    async def server(self) -> str:
        return await self.host()

    def script_registry(self) -> Mapping[str, str]:
        """Shell variables of the typed commands that describe the registry."""
        show = f'$(az acr show --name "$REGISTRY"{self._in_subscription()} --output tsv --query'
        return {"SCOPE": f'"{show} id)"', "SERVER": f'"{show} loginServer)"'}

    def registry_options(self) -> str:
        """The options by which `az acr` commands name the registry."""
        return f"--registry {self.target.name}{self._in_subscription()}"

    def _in_subscription(self) -> str:
        """The option `--subscription`, since `az acr` searches one only; "" if the registry is not known
        to be in another one than the default.
        """
        name = self.target.subscription or self.target.seen.get("subscription", "")
        return f" --subscription {shlex.quote(name)}" if name else ""

    async def image_reader(self) -> Credential | None:
        registry, cloud = await self.registry(), self.cloud
        login = self.context.shared.get(
            ("acr login", registry.login_server),
            lambda: AsyncOnce(
                lambda: cloud.registry_login(registry), is_transient, deadline=self.context.deadline
            ),
        )
        return await login()

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        try:
            registry = await self.registry()
            held = await self.cloud.allowed_actions(registry)
        except (AzureApiError, PullkeyError):
            return None
        return {name: f"registry {registry.name}" for name in permissions if not allows(held, name)}

    async def about_registry(self) -> PreflightFindings:
        try:
            registry = await self.registry()
        except PullkeyError as error:
            return PreflightFindings([problem_of(error)])
        findings = PreflightFindings()
        if not registry.public_network:
            findings.problems.append(messages.public_network_off(registry.name))
        elif registry.firewall_denies and not registry.firewall_exceptions:
            findings.problems.append(messages.firewall_blocks_internet(registry.name))
        elif registry.firewall_denies:
            findings.notices.append(messages.firewall_has_exceptions(registry.name))
        if registry.anonymous_pull:
            findings.public = f"{registry.name} allows anonymous pulls"
        return findings


async def find_registry(cloud: Azure, target: AcrTarget) -> Registry:
    """Find the registry, in all subscriptions if none is named.

    Raises:
        StepFailed: it is not found, or has another login server than the one that was named.
    """
    try:
        if target.resource_group:
            found = await cloud.registry(target.subscription, target.resource_group, target.name)
        else:
            found = await _search(cloud, target)
    except AzureApiError as error:
        if error.unauthenticated or error.inconclusive:
            raise refused(error, f"show the registry {target.name}") from None
        near = await _near(cloud, target) if error.missing else ""
        raise messages.registry_not_shown(target.name, error, near) from None
    if target.host_named and not target.is_at(found.login_server):
        raise messages.login_server_differs(found.name, found.login_server, target.host)
    return found


async def is_deleted(cloud: Azure, name: str, host: str, error: PullkeyError) -> bool:
    """Whether a registry that was not found does not exist: its name is free.

    With a domain name label (NAME-HASH) a registry does not take its name, so of such a one it is not known.
    """
    plain = host.partition(".")[0] == name.lower()
    return plain and error.code is Code.REGISTRY_NOT_FOUND and await cloud.name_is_free(name)


async def _search(cloud: Azure, target: AcrTarget) -> Registry:
    wanted, name = target.subscription, target.name
    if is_guid(wanted):
        subscriptions = [wanted]
    else:
        seen = await cloud.subscriptions()
        subscriptions = [one for one, title in seen.items() if not wanted or title.lower() == wanted.lower()]
        if not subscriptions:
            raise messages.subscription_not_found(wanted, seen.values())
    answers = await cloud.registries_of(subscriptions)
    registries = [one for answer in answers if not isinstance(answer, AzureApiError) for one in answer]
    refusals = [answer for answer in answers if isinstance(answer, AzureApiError)]
    called = [one for one in registries if one.name.lower() == name.lower()]
    # With domain name labels a name may be used in each resource group.
    at_host = [one for one in called if target.host_named and target.is_at(one.login_server)]
    if len(at_host or called) == 1:
        return (at_host or called)[0]
    if called:
        raise messages.registry_ambiguous(
            name, [f"{one.login_server} (resource group {one.resource_group})" for one in called]
        )
    # A subscription that did not answer may have the registry.
    if unsure := [one for one in refusals if one.inconclusive or not registries]:
        raise unsure[0]
    where = f"subscription {wanted}" if wanted else f"any of {len(subscriptions)} subscriptions"
    raise messages.registry_not_found(
        name, where, unsearched=len(refusals), hint=_did_you_mean(name, registries)
    )


def _did_you_mean(name: str, registries: Iterable[Registry]) -> str:
    import difflib  # late: only error messages need it

    names = sorted({one.name.lower() for one in registries})
    # A nearly identical name is suggested alone.
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.8) or difflib.get_close_matches(
        name.lower(), names, n=3, cutoff=0.5
    )
    return f"Did you mean {' or '.join(near)}? " if near else ""


async def _near(cloud: Azure, target: AcrTarget) -> str:
    """Suggest the registries that a resource id may have meant."""
    try:
        found = await cloud.registries(target.subscription)
    except AzureApiError:
        return ""
    same = [one for one in found if one.name.lower() == target.name.lower()]
    if same:
        return f"Did you mean {' or '.join(one.id for one in same)}? "
    return _did_you_mean(target.name, found)


def allows(held: Iterable[tuple[Sequence[str], Sequence[str]]], action: str) -> bool:
    """Whether one of the roles allows an action: in its actions, and not in its `notActions`.

    `*` matches any text, and case is ignored ("Understand Azure role definitions").

    >>> allows([(["*"], ["Microsoft.Authorization/*/Write"])], "Microsoft.Authorization/locks/write")
    False
    >>> allows([(["*/read"], [])], "microsoft.authorization/roleassignments/READ")
    True
    """
    return any(_covers(actions, action) and not _covers(without, action) for actions, without in held)


def _covers(patterns: Iterable[str], action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns
    )

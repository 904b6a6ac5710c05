"""What every Azure target has in common: the registry, where it is, and what stands in the way of a pull."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from bootstrap.errors import Problem, ProblemKind, PullkeyError, StepFailed
from bootstrap.once import Once
from bootstrap.provider import RunContext, Session
from bootstrap.steps import Findings, Notice
from providers.acr.calls import CallRefused
from providers.acr.cloud import Azure, Registry
from providers.acr.target import AcrTarget, is_guid


def cloud_of(context: RunContext, *, cloud: str, auth: str, tenant: str) -> Azure:
    """The login of a command, the same for all of its sessions; whoever runs the command closes it."""
    return context.shared.get(
        ("acr", cloud, auth, tenant), lambda: Azure(cloud, auth, tenant, context.trace, context.deadline)
    )


class RegistrySession(Session):
    """An Azure target, as far as it does not matter who pulls. See `bootstrap.provider.Session`."""

    host_known = False
    tells_public = True

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.cloud = cloud_of(context, cloud=target.cloud, auth=target.auth, tenant=target.tenant)
        self.registry = Once(self._registry)
        self.lifetime = target.expires_in

    async def _registry(self) -> Registry:
        return await find_registry(self.cloud, self.target)

    async def connect(self) -> str:
        return await self.cloud.connect()

    async def host(self) -> str:
        # A registry with a domain name label has a login server of another name than its own.
        return (await self.registry()).login_server

    async def server(self) -> str:
        return await self.host()

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        try:
            registry = await self.registry()
            held = await self.cloud.allowed_actions(registry)
        except (CallRefused, PullkeyError):
            return None
        return {name: f"registry {registry.name}" for name in permissions if not allows(held, name)}

    async def about_registry(self) -> Findings:
        try:
            registry = await self.registry()
        except PullkeyError as error:
            return Findings([Problem(ProblemKind.SETUP, error.what, error.mend)])
        findings = Findings()
        if not registry.public_network:
            findings.problems.append(Problem(ProblemKind.SETUP, f"Public network access to {registry.name} is off, and Akka pulls over the public internet", f"Switch it on: az acr update --name {registry.name} --public-network-enabled true"))  # fmt: skip
        elif registry.firewall_denies and not registry.firewall_exceptions:
            findings.problems.append(Problem(ProblemKind.SETUP, f"The network rules of {registry.name} let nobody in from the public internet, from where Akka pulls", f"Allow it: az acr update --name {registry.name} --default-action Allow, or let Akka's addresses in: az acr network-rule add --name {registry.name} --ip-address ADDRESS"))  # fmt: skip
        elif registry.firewall_denies:
            findings.notices.append(Notice(f"The network rules of {registry.name} let only some addresses in; Akka's must be among them, which cannot be seen from here."))  # fmt: skip
        if registry.anonymous_pull:
            findings.public = f"{registry.name} lets anybody pull"
        return findings


async def find_registry(cloud: Azure, target: AcrTarget) -> Registry:
    """The registry, wherever it is.

    Raises:
        StepFailed: it cannot be found, or is not at the host that was named.
    """
    try:
        if target.resource_group:
            found = await cloud.registry(target.subscription, target.resource_group, target.name)
        else:
            found = await _searched(cloud, target)
    except CallRefused as error:
        raise StepFailed(f"Azure does not show the registry {target.name} ({error.said})", mend="Check --registry and --subscription against `az acr list`.") from None  # fmt: skip
    if target.host_named and found.login_server != target.host:
        raise StepFailed(f"The login server of {found.name} is {found.login_server}, not {target.host}", mend=f"Give --registry {found.login_server}")  # fmt: skip
    return found


async def _searched(cloud: Azure, target: AcrTarget) -> Registry:
    wanted, name = target.subscription, target.name
    if is_guid(wanted):
        subscriptions = [wanted]
    else:
        seen = await cloud.subscriptions()
        subscriptions = [one for one, title in seen.items() if not wanted or title.lower() == wanted.lower()]
        if not subscriptions:
            which = f"subscription {wanted}" if wanted else "subscription at all"
            known = f"It sees: {', '.join(sorted(seen.values()))}." if seen else ""
            raise StepFailed(f"This login sees no {which}. {known}".rstrip(), mend="Check --subscription and --tenant against `az account list`.")  # fmt: skip
    answers = await cloud.registries_of(subscriptions)
    registries = [one for answer in answers if not isinstance(answer, CallRefused) for one in answer]
    refusals = [answer for answer in answers if isinstance(answer, CallRefused)]
    for one in registries:
        if one.name.lower() == name.lower():
            return one
    if refusals and not registries:
        raise refusals[0]
    where = f"subscription {wanted}" if wanted else f"any of {len(subscriptions)} subscriptions"
    near = difflib.get_close_matches(name.lower(), sorted(one.name.lower() for one in registries), n=3, cutoff=0.5)  # fmt: skip
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    unseen = f" ({len(refusals)} could not be searched)" if refusals else ""
    raise StepFailed(f"There is no registry {name} in {where} that this login sees{unseen}", mend=f"{hint}See `az acr list`; another --subscription or --tenant may have it.")  # fmt: skip


def allows(held: Iterable[tuple[Sequence[str], Sequence[str]]], action: str) -> bool:
    """Whether one of the roles allows an action: named by it, and not taken away again by the same role.

    `*` stands for any text, and case does not count ("Understand Azure role definitions").

    >>> allows([(["*"], ["Microsoft.Authorization/*/Write"])], "Microsoft.Authorization/roleAssignments/write")
    False
    >>> allows([(["*/read"], [])], "microsoft.authorization/roleassignments/READ")
    True
    """
    return any(_covers(actions, action) and not _covers(without, action) for actions, without in held)


def _covers(patterns: Iterable[str], action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) for pattern in patterns
    )

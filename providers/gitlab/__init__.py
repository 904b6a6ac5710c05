"""GitLab's container registry, of gitlab.com and of instances of your own.

A run creates one deploy token with the scope `read_registry`, of the project whose images are pulled, or of a
group. Each has a user name of its own (`gitlab+deploy-token-ID`), which Akka is given with it. The e-mail
names project and token: `gitlab-project-NUMBER+deploy-token-ID@HOST`, where HOST is GitLab's own, not its
registry's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.option import Option
from bootstrap.model.server import host_of
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from providers.gitlab.target import USER, GitlabTarget, is_link

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator

_REGISTRY = "registry.gitlab.com"
_OWN_REGISTRY = "PULLKEY_GITLAB_REGISTRY"


class GitlabProvider(Provider):
    """The provider `gitlab`; see `bootstrap.plugin.provider.Provider`."""

    name = "gitlab"
    title = "GitLab container registry"
    summary = "Make the images of a GitLab project pullable for an Akka project, with a deploy token."
    hosts = (_REGISTRY,)
    access = Access(
        "An access token with the scope `api`: of a Maintainer of the project for its deploy token, of an "
        "Owner of the group for one of a group. A custom role with manage_deploy_tokens is enough."
    )
    login_variables = ("GITLAB_", "CI_JOB_TOKEN")
    examples = (
        "pullkey onboard gitlab --project acme/shop",
        "pullkey onboard gitlab --image registry.gitlab.com/acme/shop/checkout:1.0",
        "pullkey onboard gitlab --image git.example.com:5050/acme/shop:1.0 --login-stdin --yes < token.txt",
        "pullkey onboard gitlab --group acme",
        "printf %s glpat-sandbox-maintainer | pullkey onboard gitlab --sandbox --login-stdin --yes",
    )
    options = (
        Option(
            "--project",
            "The GitLab project, by its path or number; else the project of --image.",
            metavar="GROUP/PROJECT",
        ),
        Option(
            "--group",
            "Create a deploy token of this group, for all projects in it; needs its Owner.",
            metavar="GROUP",
        ),
        Option(
            "--registry",
            "The container registry; else that of --image, or registry.gitlab.com.",
            metavar="HOST[:PORT]",
        ),
        Option(
            "--gitlab",
            "The GitLab instance, which is sent the access token; needed where the registry is not known to "
            "be of the same owner. Later commands take its host from the e-mail of Akka's record.",
            metavar="URL|HOST",
            login=True,
        ),
        Option(
            "--expires-in",
            "How long until the deploy token expires.",
            kind="duration",
            default="365d",
            metavar="TIME",
        ),
        Option(
            "--login-stdin",
            "Read the access token (scope api) from stdin; else it is asked for, without echo.",
            kind="secret",
        ),
    )

    def recognises(self, held: HeldCredential) -> bool:
        # Another provider may hand off a deploy token that the user supplies, under an e-mail of its own.
        if held.link is not None:
            return is_link(held.link)
        return host_of(held.server) == _REGISTRY and held.username.startswith(USER)

    def claims(self, host: str) -> bool:
        """gitlab.com's registry, and the one that the environment names as that of a GitLab."""
        named = os.environ.get(_OWN_REGISTRY, "").lower().removeprefix("https://").partition(":")[0]
        return bool(host) and host in (_REGISTRY, named)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        return {"image" if parse_reference(image, where="IMAGE").path else "registry": image}

    def place_of_image(self, image: str) -> str:
        # How much of it is the project's path, only GitLab knows.
        named = parse_reference(image, where="IMAGE")
        return f"{named.registry.removesuffix(':443')}/{named.path}".rstrip("/")

    def covers(self, target: GitlabTarget, image: str) -> bool | None:
        named, path = parse_reference(image, where="IMAGE").path, target.namespace_path.lower()
        if not path:
            return True if named and named == target.repository else None
        return named == path or named.startswith(f"{path}/")

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> GitlabTarget:
        return GitlabTarget.held(held, login)

    def options_of(self, held: HeldCredential, target: GitlabTarget | None) -> Mapping[str, str | bool]:
        found: dict[str, str | bool] = {}
        if target is not None:
            found[target.kind] = target.namespace_path or str(target.number)
        if host_of(held.server) != _REGISTRY:
            found["registry"] = host_of(held.server)
            if target is not None:
                found["gitlab"] = target.seen.get("url") or target.gitlab or target.allowed_host
        return found

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.gitlab.doctor import checkup

        return await checkup(context, login)

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        if not (values.get("image") or values.get("project") or values.get("group")):
            return Missing("--project", "GitLab project (GROUP/PROJECT)")
        return None

    def target(self, values: Mapping[str, Any]) -> GitlabTarget:
        return GitlabTarget.parse(values)

    def open(self, target: GitlabTarget, context: RunContext) -> Session:
        from providers.gitlab.session import GitlabSession

        return GitlabSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.gitlab.emulator import GitlabEmulator

        return GitlabEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.gitlab.conformance import CASES

        return CASES


provider = GitlabProvider()

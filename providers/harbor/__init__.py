"""Harbor: a robot account that may pull from one project, or from several.

A run creates one robot account (`robot$PROJECT+pullkey-RUN`); Akka gets its user name and secret. The
e-mail of Akka's record names it, `harbor+robot-ID-RUN@HOST`. A rotation creates another one beside it, and
retires the first as usual: it is disabled, where a user and not a robot account logs in, and deleted.

It takes Harbor 2.2 or later, where `/api/v2.0/robots` exists (goharbor/harbor, api/v2.0/swagger.yaml).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from providers.harbor.names import ROBOT_PREFIX
from providers.harbor.target import LEVELS, HarborTarget, level_of

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator

_REGISTRY = Option("--registry", "The Harbor, as HOST or HOST:PORT; else that of --image.", metavar="HOST")


class HarborProvider(Provider):
    """The provider `harbor`; see `bootstrap.plugin.provider.Provider`."""

    name = "harbor"
    title = "Harbor"
    summary = "Make private projects of a Harbor pullable for an Akka project, with a robot account."
    hosts = ("harbor.*",)
    access = Access(
        "The login of a Project Admin of the project, or of a system administrator for a robot account of "
        "the system. Harbor grants roles as a whole; see docs/onboard/harbor.md for which login."
    )
    login_variables = ("HARBOR_",)
    examples = (
        "pullkey onboard harbor --registry harbor.example.com --project shop --user jo",
        (
            "pullkey onboard harbor --image harbor.example.com/shop/checkout:1.0 --user jo --login-stdin "
            "--yes < password.txt"
        ),
        (
            "pullkey onboard harbor --registry harbor.example.com --project shop,press --user admin "
            "--expires-in 90d"
        ),
        "printf %s Sandbox-password-1 | pullkey onboard harbor --sandbox --login-stdin --yes",
    )
    options = (
        _REGISTRY,
        Option(
            "--project",
            "The project to be pulled from; else that of --image. Several, with commas between, take a robot "
            "account of the system.",
            metavar="NAMES",
        ),
        Option(
            "--user",
            "Who logs in to create the robot account: an administrator of the project, or another robot "
            "account that may create them.",
            metavar="NAME",
            login=True,
        ),
        Option(
            "--level",
            "Whether the robot account is of the project or of the system, which takes a system "
            "administrator; else of the project where one is named.",
            choices=LEVELS,
        ),
        Option(
            "--expires-in",
            "How long until the robot account expires, in whole days.",
            kind="duration",
            default="365d",
            metavar="TIME",
        ),
        Option(
            "--login-stdin", "Read the password of --user from stdin; else it is prompted for.", kind="secret"
        ),
    )

    def recognises(self, held: HeldCredential) -> bool:
        """Recognise a record by the e-mail that pullkey writes, else by the user name: no host is Harbor's
        alone.
        """
        return bool(level_of(held.link)) or (held.link is None and held.username.startswith(ROBOT_PREFIX))

    def claims(self, host: str) -> bool:
        """Claim a host that is named after Harbor, or that the environment names as the Harbor.

        `harbor.azurecr.io` is an Azure registry that is called harbor.
        """
        named_for_it = host.startswith("harbor.") and not host.startswith("harbor.azurecr.")
        return bool(host) and (named_for_it or host == _configured_host().partition(":")[0])

    def options_of_image(self, image: str) -> Mapping[str, str]:
        named = parse_reference(image, where="IMAGE")
        return {"image": image, "registry": named.registry} if named.path else {"registry": named.registry}

    def place_of_image(self, image: str) -> str:
        named = parse_reference(image, where="IMAGE")
        return f"{named.registry.removesuffix(':443')}/{named.path.partition('/')[0]}".rstrip("/")

    def covers(self, target: HarborTarget, image: str) -> bool | None:
        if not target.projects:
            return None  # Akka's record does not name those of a robot account of the system
        return parse_reference(image, where="IMAGE").path.partition("/")[0] in target.projects

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> HarborTarget:
        target, named = HarborTarget.held(held, login), _configured_host()
        return target if named in ("", target.host) else replace(target, login_for=named)

    def options_of(self, held: HeldCredential, target: HarborTarget | None) -> Mapping[str, str | bool]:
        found: dict[str, str | bool] = {"registry": host_of(held.server)}
        if target is None:
            # Of a robot account that a user created by hand, `robot$PROJECT+NAME`.
            project, plus, _ = held.username.removeprefix(ROBOT_PREFIX).partition("+")
            return {**found, "project": project} if plus and project else found
        if target.projects:
            found["project"] = ",".join(target.projects)
        if target.level == "system":
            found["level"] = "system"
        return {**found, "user": target.user} if target.user else found

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.harbor.doctor import checkup

        return await checkup(context, _configured_host(), login)

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        if not (values.get("registry") or values.get("image")):
            return Missing("--registry", "Harbor (HOST)")
        if not (values.get("project") or values.get("image")):
            return Missing("--project", "Project")
        if not values.get("user"):
            return Missing("--user", "User who logs in to Harbor (an administrator of the project)")
        return None

    def target(self, values: Mapping[str, Any]) -> HarborTarget:
        return HarborTarget.parse(values)

    def open(self, target: HarborTarget, context: RunContext) -> Session:
        from providers.harbor.session import HarborSession

        return HarborSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.harbor.emulator import HarborEmulator

        return HarborEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.harbor.conformance import CASES

        return CASES


def _configured_host() -> str:
    """The Harbor that the environment names, with its port; "" if none."""
    named = next((os.environ[one] for one in _REGISTRY.variables("harbor")[:1] if os.environ.get(one)), "")
    return host_of(named)


provider = HarborProvider()

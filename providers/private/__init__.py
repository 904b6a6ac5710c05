"""Any registry that speaks the Distribution protocol: Harbor, GitLab, Quay, GHCR, Nexus, Artifactory,
Distribution.

These registries share no API that creates keys, so the user supplies user name and password. TLS, the
registry's challenge and the pull itself are verified before the handoff. A run creates nothing but Akka's
record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_ref import is_supplied_id
from bootstrap.model.option import Option
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from providers.private.target import PrivateTarget

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator


class PrivateProvider(Provider):
    """The provider `private`; see `bootstrap.plugin.provider.Provider`."""

    name = "private"
    title = "Any registry, with a user-supplied password"
    summary = (
        "Hand Akka the user name and password of any registry that speaks the Distribution "
        "protocol (Harbor, GitLab, "
        "Quay, GHCR, Nexus, Artifactory, Distribution), after proof that they pull."
    )
    examples = (
        "pullkey onboard private --server https://mycontainerregistry.example.com/v1/ --username ops",
        (
            "pullkey onboard private --image registry.example.com:5000/shop/checkout:1.0 --username "
            "ops --yes --password-stdin < password.txt"
        ),
        (
            "printf %s pull-in-the-sandbox | pullkey onboard private --sandbox --username ops "
            "--password-stdin --yes"
        ),
    )
    options = (
        Option(
            "--server",
            "The registry: its URL with the version of its API, as Akka is to have it; HOST or "
            "HOST:PORT alone is registered as https://HOST/v1/.",
            metavar="URL|HOST",
        ),
        Option("--username", "Who pulls: the user, robot account or deploy token.", metavar="NAME"),
        Option(
            "--email",
            "An address of yours for Akka's record; the id of the run is added to it, as "
            "NAME+ID@DOMAIN, by which pullkey knows its own. Else pullkey+ID@HOST.",
            metavar="ADDRESS",
        ),
        Option(
            "--token-host",
            "A host of another domain that may be given the password, because the registry has its "
            "token service there. Later commands take it from the e-mail of Akka's record, or with "
            "--email from the variable PULLKEY_TOKEN_HOST.",
            metavar="HOST",
            login=True,
        ),
        Option(
            "--password-stdin",
            "Read the password from stdin; else it is asked for, without echo.",
            kind="secret",
        ),
    )
    hosts = ()
    access = Access(
        "No login, since nothing is created in this registry. It takes the user name and password of an "
        "account that may pull, and nothing more."
    )
    fallback = True

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        if not (values.get("server") or values.get("image")):
            return Missing("--server", "Registry (HOST or https://HOST/v1/)")
        return (
            None
            if values.get("username")
            else Missing("--username", "User name (user, robot account or deploy token)")
        )

    def target(self, values: Mapping[str, Any]) -> PrivateTarget:
        return PrivateTarget.parse(values)

    def open(self, target: PrivateTarget, context: RunContext) -> Session:
        from providers.private.session import PrivateSession

        return PrivateSession(target, context)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        named = parse_reference(image, where="IMAGE")
        return {"image": image, "server": named.registry} if named.path else {"server": image}

    def recognises(self, held: HeldCredential) -> bool:
        # A key with another id was created by a provider that is not there now: it would be left behind.
        return held.link is None or is_supplied_id(held.link.key_id)

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> PrivateTarget:
        return PrivateTarget.of_record(held, image=login.get("image"), token_host=login.get("token_host"))

    def options_of(self, held: HeldCredential, target: PrivateTarget | None) -> Mapping[str, str | bool]:
        email = {"email": target.email} if target is not None and target.email else {}
        token_host = {"token-host": target.token_host} if target is not None and target.token_host else {}
        return {"server": held.server, "username": held.username, **email, **token_host}

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        return [
            Check(
                "private",
                None,
                "nothing to look at without a registry: its password is asked for when it is needed",
            )
        ]

    def emulator(self) -> Callable[[], Emulator]:
        from providers.private.emulator import PrivateEmulator

        return PrivateEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.private.conformance import CASES

        return CASES


provider = PrivateProvider()

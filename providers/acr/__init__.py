"""Azure Container Registry.

By default, a run creates:

* an application `akka-docker-reader` in the directory, marked as pullkey's, with its service principal
* `AcrPull` for it on the registry (`Container Registry Repository Reader` where the registry is in ABAC mode)
* one client secret of it, which is registered in Akka as the password; the user name is the application
  (client) id

With `--auth-kind token`, which needs no permission in the directory, it is a token of the registry itself
with a scope map for the repositories that were named, and one of the token's two passwords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.option import Option
from bootstrap.plugin.access import Access, RoleKind
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from providers.acr.roles import assigning_condition
from providers.acr.target import (
    APPS,
    AUTH_KINDS,
    DEFAULT_APP,
    LOGINS,
    SHARED,
    SUFFIXES,
    AcrTarget,
    allows,
    is_azure,
    options_of,
    role_scope,
)
from providers.acr.token_claims import GRAPH_RIGHT

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator

_OWNED_BY = (
    "No role of Azure's holds it. Give it to the application that runs pullkey as an application permission "
    "of Microsoft Graph, with admin consent. A user needs no such permission where members may register "
    "applications. It covers the applications that this one owns: those that it has created. Make it an "
    "owner of another one: az ad app owner add --id APP_ID --owner-object-id OBJECT_ID"
)


class AcrProvider(Provider):
    """The provider `acr`; see `bootstrap.plugin.provider.Provider`."""

    name = "acr"
    title = "Azure Container Registry"
    hosts = tuple(f"*{suffix}" for suffix in SUFFIXES.values())
    access = Access(
        "An Azure login with these permissions on the registry. To delete an application, an offboarding "
        "also looks for its roles elsewhere: it takes Microsoft.Authorization/roleAssignments/read on the "
        "subscription, which Reader has. With --auth-kind token a login needs nothing in the directory.",
        RoleKind.AZURE,
        lambda values: {
            **values,
            "registry": values.get("registry") or "example",
            "repository": values.get("repository") or ("example" if values["auth_kind"] == "token" else None),
        },
        role_scope,
        {GRAPH_RIGHT: _OWNED_BY},
        assigning_condition,
    )
    login_variables = ("ARM_", "AZURE_", "IDENTITY_", "MSI_")
    summary = "Make an Azure Container Registry pullable for an Akka project."
    examples = (
        "pullkey onboard acr --registry acmeshop",
        "pullkey onboard acr --registry acmeshop.azurecr.io/checkout:1.0 --akka-project shop",
        (
            "pullkey onboard acr --registry acmeshop --app-id 11111111-2222-3333-4444-555555555555 "
            "--skip-grant --yes"
        ),
        "pullkey onboard acr --registry acmeshop --auth-kind token --repository checkout,cart",
    )
    options = (
        Option(
            "--registry",
            "The registry: its name, login server or resource id, or a whole image reference.",
            metavar="NAME|IMAGE",
        ),
        Option(
            "--subscription",
            "Its subscription, by id or name; else all that the login sees are searched.",
            metavar="ID|NAME",
            login=True,
        ),
        Option(
            "--auth-kind",
            "Who pulls: a service principal of the directory, or a token of the registry, which "
            "needs no permission in the directory.",
            choices=AUTH_KINDS,
            default="principal",
        ),
        Option(
            "--repository",
            "What a token may pull, separated by commas; else the repository of the image.",
            metavar="NAME,...",
        ),
        Option(
            "--app-name",
            "Who pulls: the name of the application (or what that of the token begins with), "
            "created where it is missing.",
            default=DEFAULT_APP,
            metavar="NAME",
        ),
        Option(
            "--app",
            "One application for all registries, or one for each, called after it.",
            choices=APPS,
            default=SHARED,
        ),
        Option(
            "--app-id",
            "Who pulls: the client id of an existing application; only a secret and the role are "
            "added to it.",
            metavar="ID",
        ),
        Option("--skip-grant", "Grant nothing: the role is granted elsewhere.", kind="switch"),
        Option(
            "--expires-in",
            "How long until the secret expires.",
            kind="duration",
            default="365d",
            metavar="TIME",
        ),
        Option(
            "--cloud",
            "Which Azure cloud; default: that of the login server, or public.",
            choices=tuple(SUFFIXES),
            login=True,
        ),
        Option(
            "--auth",
            f"Which login to use: {', '.join(LOGINS)}; `default` tries them in the Azure SDK's order.",
            choices=LOGINS,
            default="default",
            metavar="LOGIN",
            login=True,
        ),
        Option(
            "--tenant",
            "The directory to log in to, where the login has several.",
            metavar="ID|DOMAIN",
            login=True,
        ),
    )

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        if not values.get("registry"):
            from providers.acr.registry_list import registries

            return Missing(
                "--registry",
                "Registry (name, login server or image)",
                lambda context: registries(context, values),
            )
        if values.get("auth_kind") == "token" and not (
            values.get("repository") or values.get("image") or "/" in values["registry"].strip("/")
        ):
            return Missing("--repository", "Repositories that the token may pull, separated by commas")
        return None

    def target(self, values: Mapping[str, Any]) -> AcrTarget:
        return AcrTarget.parse(values)

    def recognises(self, held: HeldCredential) -> bool:
        return is_azure(held.server)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        return {"registry": image, **({"image": image} if parse_reference(image, where="IMAGE").path else {})}

    def place_of_image(self, image: str) -> str:
        return parse_reference(image, where="IMAGE").host

    def covers(self, target: AcrTarget, image: str) -> bool:
        path = parse_reference(image, where="IMAGE").path
        return target.auth_kind != "token" or allows(target.repositories, path)

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> AcrTarget:
        from providers.acr.locate import located

        return await located(held, context, login)

    def options_of(self, held: HeldCredential, target: AcrTarget | None) -> Mapping[str, str | bool]:
        return options_of(held, target)

    def login_at_a_glance(self) -> tuple[str, str] | None:
        from providers.acr.login_files import at_a_glance

        return "Azure login", at_a_glance()

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.acr.doctor import checks

        return await checks(context, login)

    def open(self, target: AcrTarget, context: RunContext) -> Session:
        if target.auth_kind == "token":
            from providers.acr.token_session import TokenSession

            return TokenSession(target, context)
        from providers.acr.session import AcrSession

        return AcrSession(target, context)

    def preload(self) -> None:
        from providers.acr import graph, session  # noqa: F401
        from providers.acr.sdk_imports import import_clients, import_login

        import_login()
        import_clients()

    def emulator(self) -> Callable[[], Emulator]:
        from providers.acr.emulator import AzureEmulator

        return AzureEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.acr.conformance import CASES

        return CASES


provider = AcrProvider()

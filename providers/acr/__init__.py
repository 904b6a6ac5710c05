"""Azure Container Registry.

What a run makes, by default:

* an application `akka-docker-reader` in the directory, marked as pullkey's, with its service principal
* `AcrPull` for it on the registry (`Container Registry Repository Reader` where the registry is in ABAC mode)
* one client secret of it, which is handed to Akka as the password; the user name is the application (client) id
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bootstrap.provider import Option, RunContext, Session
from providers.acr.target import DEFAULT_APP, LOGINS, SUFFIXES, AcrTarget

if TYPE_CHECKING:
    from bootstrap.sandbox.host import Emulator


class AcrProvider:
    """The provider `acr`; see `bootstrap.provider.Provider`."""

    name = "acr"
    title = "Azure Container Registry"
    summary = "Make an Azure Container Registry pullable for an Akka project."
    examples = (
        "pullkey onboard acr --registry acmeshop",
        "pullkey onboard acr --registry acmeshop.azurecr.io/checkout:1.0 --akka-project shop",
        "pullkey onboard acr --registry acmeshop --app-id 11111111-2222-3333-4444-555555555555 --skip-grant --yes",
    )
    options = (
        Option("--registry", "The registry: its name, login server or resource id, or a whole image reference.", metavar="NAME|IMAGE"),
        Option("--subscription", "Its subscription, by id or name; else all that the login sees are searched.", metavar="ID|NAME"),
        Option("--app-name", "Who pulls: the name of the application, created where it is missing.", default=DEFAULT_APP, metavar="NAME"),
        Option("--app-id", "Who pulls: the client id of an application that somebody made; it gets a secret and the role only.", metavar="ID"),
        Option("--skip-grant", "Grant nothing: somebody else has granted, or will.", kind="switch"),
        Option("--expires-in", "How long the client secret is to live.", kind="duration", default="365d", metavar="TIME"),
        Option("--cloud", "Which Azure; else told by the login server, or public.", choices=tuple(SUFFIXES)),
        Option("--auth", f"Which login to use: {', '.join(LOGINS)}; `default` tries them in the Azure SDK's order.", choices=LOGINS, default="default", metavar="LOGIN"),
        Option("--tenant", "The directory to log in to, where the login has several.", metavar="ID|DOMAIN"),
    )  # fmt: skip

    def target(self, values: Mapping[str, Any]) -> AcrTarget:
        return AcrTarget.parse(values)

    def open(self, target: AcrTarget, context: RunContext) -> Session:
        from providers.acr.session import AcrSession

        return AcrSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.acr.emulator import AzureEmulator

        return AzureEmulator


provider = AcrProvider()

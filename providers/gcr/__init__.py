"""Google Artifact Registry, and the Container Registry hosts that it serves.

What a run makes in the Google project, by default:

* a service account `akka-docker-reader`, described as pullkey's
* `roles/artifactregistry.reader` for it, on the repository where one is named, else on the project
* one JSON key of it, which is handed to Akka as the password of user `_json_key`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.provider import Check, HeldCredential, Option, RunContext, Session
from providers.gcr.target import (
    CREATE,
    DEFAULT_ACCOUNT,
    DEFAULT_ROLE,
    UPLOAD,
    GcrTarget,
    host_of,
    is_google,
    options_of,
)

if TYPE_CHECKING:
    from bootstrap.sandbox.host import Emulator


class GcrProvider:
    """The provider `gcr`; see `bootstrap.provider.Provider`."""

    name = "gcr"
    title = "Google Artifact Registry, and gcr.io"
    summary = "Make a Google Artifact Registry (or gcr.io) pullable for an Akka project."
    examples = (
        "pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0",
        "pullkey onboard gcr --gcp-project acme-shop --server europe-west1-docker.pkg.dev --repository containers",
        "pullkey onboard gcr --gcp-project acme-shop --server gcr.io --akka-project shop --yes",
    )
    fallback = False
    options = (
        Option("--gcp-project", "The Google project; taken from --server where that is a whole image reference.", metavar="ID"),
        Option("--server", "The registry: a host, its URL, or a whole image reference.", metavar="HOST|IMAGE"),
        Option("--repository", "The Artifact Registry repository to grant; without it, the whole project is granted.", metavar="NAME"),
        Option("--service-account", "Who pulls: the name of an account in this project, or the e-mail of one that somebody made, also in another project.", default=DEFAULT_ACCOUNT, metavar="NAME|EMAIL"),
        Option("--role", "The role to grant.", default=DEFAULT_ROLE, metavar="ROLE"),
        Option("--allow-custom-role", "Accept a --role that is neither of the documented ones.", kind="switch"),
        Option("--skip-grant", "Grant nothing: somebody else has granted, or will.", kind="switch"),
        Option("--enable-apis", "Enable the Google APIs that this needs and that are not enabled yet.", kind="switch"),
        Option("--key-source", "Who makes the key: Google (create), or this machine, which sends Google the public half only (upload).", choices=(CREATE, UPLOAD), default=CREATE),
        Option("--expires-in", "How long an uploaded key is to last; 90d unless given. A key that Google makes has no end.", kind="duration", metavar="TIME"),
        Option("--impersonate-service-account", "Act as this service account instead of as yourself.", metavar="EMAIL", login=True),
    )  # fmt: skip

    def recognises(self, held: HeldCredential) -> bool:
        return is_google(host_of(held.server))

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> GcrTarget:
        from providers.gcr.locate import locate

        return await locate(held, context, login)

    def options_of(self, held: HeldCredential, target: GcrTarget | None) -> Mapping[str, str | bool]:
        return options_of(held, target)

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.gcr.checkup import checkup

        return await checkup(context, login)

    def target(self, values: Mapping[str, Any]) -> GcrTarget:
        return GcrTarget.parse(values)

    def open(self, target: GcrTarget, context: RunContext) -> Session:
        from providers.gcr.session import GcrSession

        return GcrSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.gcr.emulator import GoogleEmulator

        return GoogleEmulator


provider = GcrProvider()

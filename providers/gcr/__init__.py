"""Google Artifact Registry, and the Container Registry hosts that it serves.

By default a run creates in the Google project:

* a service account `akka-docker-reader`, whose description marks it as pullkey's
* a grant of `roles/artifactregistry.reader` to it, on the repository if one is named, else on the project
* one JSON key of it, which Akka is given as the password of user `_json_key`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.option import Option
from bootstrap.model.server import host_of
from bootstrap.plugin.access import Access, RoleKind
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from providers.gcr.place import is_google, options_of_image, place_of_image
from providers.gcr.target import (
    AUTO,
    CREATE,
    DEFAULT_ACCOUNT,
    DEFAULT_ROLE,
    UPLOAD,
    GcrTarget,
    grant_places,
    granting_condition,
    options_of,
)

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator


class GcrProvider(Provider):
    """The provider `gcr`; see `bootstrap.plugin.provider.Provider`."""

    name = "gcr"
    title = "Google Artifact Registry, and gcr.io"
    summary = "Make a Google Artifact Registry (or gcr.io) pullable for an Akka project."
    examples = (
        "pullkey onboard gcr --server europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0",
        (
            "pullkey onboard gcr --gcp-project acme-shop --server europe-west1-docker.pkg.dev "
            "--repository containers"
        ),
        "pullkey onboard gcr --gcp-project acme-shop --server gcr.io --akka-project shop --yes",
    )
    hosts = ("*.pkg.dev", "gcr.io", "*.gcr.io")
    access = Access(
        "A Google login with these permissions on the project: a custom role of them, or the predefined "
        "roles in docs/permissions.md.",
        RoleKind.GOOGLE,
        lambda values: {
            **values,
            "server": values.get("server") or "us-docker.pkg.dev",
            "gcp_project": values.get("gcp_project") or "example-project",
            "repository": values.get("repository") or "example",
        },
        lambda target: target.project,
        condition=granting_condition,
        places_of=grant_places,
    )
    login_variables = ("CLOUDSDK_", "GCE_METADATA_", "GCLOUD_", "GOOGLE_")
    options = (
        Option(
            "--gcp-project",
            "The Google project; taken from --server where that is a whole image reference.",
            metavar="ID",
        ),
        Option(
            "--server", "The registry: a host, its URL, or a whole image reference.", metavar="HOST|IMAGE"
        ),
        Option(
            "--repository",
            "The Artifact Registry repository to grant; without it, the whole project is granted.",
            metavar="NAME",
        ),
        Option(
            "--service-account",
            "Who pulls: the name of an account in this project, or the e-mail of an existing one, "
            "also in another project.",
            default=DEFAULT_ACCOUNT,
            metavar="NAME|EMAIL",
        ),
        Option("--role", "The role to grant.", default=DEFAULT_ROLE, metavar="ROLE"),
        Option(
            "--allow-custom-role", "Accept a --role that is neither of the documented ones.", kind="switch"
        ),
        Option("--skip-grant", "Grant nothing: the role is granted elsewhere.", kind="switch"),
        Option(
            "--enable-apis",
            "Enable the Google APIs that this needs and that are not enabled yet.",
            kind="switch",
        ),
        Option(
            "--key-source",
            "Who creates the key: Google (create); this machine, which sends only the public half to "
            "Google (upload); or this machine if policies and permissions allow it, else Google (auto). A "
            "key of this machine shows which run created it.",
            choices=(CREATE, UPLOAD, AUTO),
            default=CREATE,
            default_in_file=AUTO,
        ),
        Option(
            "--expires-in",
            "How long until an uploaded key expires; default: 90d, with --key-source auto the longest that "
            "Google and its policies accept. A key that Google creates does not expire.",
            kind="duration",
            metavar="TIME",
        ),
        Option(
            "--impersonate-service-account",
            "Act as this service account instead of as yourself.",
            metavar="EMAIL",
            login=True,
        ),
    )

    def recognises(self, held: HeldCredential) -> bool:
        return is_google(host_of(held.server))

    def options_of_image(self, image: str) -> Mapping[str, str]:
        return options_of_image(image)

    def place_of_image(self, image: str) -> str:
        return place_of_image(image)

    def covers(self, target: GcrTarget, image: str) -> bool:
        place = f"{place_of_image(image)}/"
        of_project = f"{target.host}/{target.project.replace(':', '/')}/"
        return place == f"{target.host}/{target.path}/" if target.repository else place.startswith(of_project)

    async def locate(self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> GcrTarget:
        from providers.gcr.locate import locate

        return await locate(held, context, login)

    def options_of(self, held: HeldCredential, target: GcrTarget | None) -> Mapping[str, str | bool]:
        return options_of(held, target)

    def login_at_a_glance(self) -> tuple[str, str] | None:
        from providers.gcr.login_files import at_a_glance

        return "Google login", at_a_glance()

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.gcr.doctor import checkup

        return await checkup(context, login)

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        from providers.gcr.missing import missing

        return missing(values)

    def target(self, values: Mapping[str, Any]) -> GcrTarget:
        return GcrTarget.parse(values)

    def open(self, target: GcrTarget, context: RunContext) -> Session:
        from providers.gcr.session import GcrSession

        return GcrSession(target, context)

    def preload(self) -> None:
        from providers.gcr import session  # noqa: F401
        from providers.gcr.client import import_clients

        import_clients()

    def emulator(self) -> Callable[[], Emulator]:
        from providers.gcr.emulator import GoogleEmulator

        return GoogleEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.gcr.conformance import CASES

        return CASES


provider = GcrProvider()

"""The provider for Docker Hub.

What a run creates depends on its options:

* by default nothing: a user-supplied token is verified and registered with Akka
* with a login (`--mint`, `--login-stdin`), a personal access token with the scope `repo:read` and an expiry
* with `--organization`, an organisation access token that may pull the named repositories only

The user name in Akka is the user or the organisation. The e-mail names the kind and id of the token:
`pat+UUID@docker.io`, `oat+ID@docker.io`. Docker Hub's id of a user-supplied token is not known, so it is
`brought+RUN@docker.io`, with the id of the run that registered it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.option import Option
from bootstrap.plugin.access import Access
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.provider import Missing, Provider
from bootstrap.plugin.session import Session
from providers.docker_hub.target import HOSTS, DockerHubTarget, covered, image_of, is_docker_hub, names_image

if TYPE_CHECKING:
    from bootstrap.plugin.conformance import ConformanceCase
    from bootstrap.plugin.emulator import Emulator


class DockerHubProvider(Provider):
    """The provider `docker-hub`; see `bootstrap.plugin.provider.Provider`."""

    name = "docker-hub"
    title = "Docker Hub"
    summary = "Make private repositories of Docker Hub pullable for an Akka project."
    hosts = tuple(sorted(HOSTS))
    access = Access(
        "Docker Hub has no permissions to grant one by one. To create a personal access token, pullkey "
        "needs the login of its user; for an organization's token, that of an owner. A token that you "
        "supply needs no login."
    )
    login_variables = ()
    examples = (
        "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot",
        (
            "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot --token-stdin "
            "--yes < token.txt"
        ),
        "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot --mint",
        (
            "pullkey onboard docker-hub --organization acme --repository acme/checkout,acme/cart "
            "--hub-user acmeowner"
        ),
        "printf %s sandbox-password | pullkey onboard docker-hub --sandbox --login-stdin --yes",
    )
    options = (
        Option(
            "--repository",
            "The repositories to be pulled, with commas between; else that of --image.",
            metavar="NAMES",
        ),
        Option(
            "--hub-user",
            "The Docker ID: who logs in, and who pulls with a personal token.",
            metavar="NAME",
            login=True,
        ),
        Option(
            "--organization",
            "Create a token of this organisation, limited to the repositories; needs an owner's login.",
            metavar="NAME",
        ),
        Option("--mint", "Log in and create a personal token instead of prompting for one.", kind="switch"),
        Option(
            "--expires-in",
            "How long until a created token expires, a year at most.",
            kind="duration",
            default="365d",
            metavar="TIME",
        ),
        Option("--token-stdin", "Read the token to register in Akka from stdin.", kind="secret"),
        Option(
            "--login-stdin",
            "Read the password of --hub-user from stdin, and create a token with it.",
            kind="secret",
        ),
    )

    def recognises(self, held: HeldCredential) -> bool:
        return is_docker_hub(held.server)

    def claims(self, host: str) -> bool:
        return not host or is_docker_hub(host)

    def options_of_image(self, image: str) -> Mapping[str, str]:
        return {"image": image} if names_image(image) else {}

    def place_of_image(self, image: str) -> str:
        return f"docker.io/{image_of(image, where='IMAGE')[0].partition('/')[0]}"

    def covers(self, target: DockerHubTarget, image: str) -> bool | None:
        name = image_of(image, where="IMAGE")[0]
        if target.kind != "oat":
            return True  # as all that its user may read, which no other token of the user's changes
        if target.repositories:
            return covered(target.repositories, name)
        # Akka's record does not name the repositories that an organisation's token is limited to.
        return None if name.startswith(f"{target.organization}/") else False

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> DockerHubTarget:
        return DockerHubTarget.from_record(held, login)

    def options_of(self, held: HeldCredential, target: DockerHubTarget | None) -> Mapping[str, str | bool]:
        if target is not None and target.kind == "oat":
            return {"organization": target.organization, **({"hub-user": target.user} if target.user else {})}
        return {"hub-user": held.username, **({"mint": True} if target is not None and target.minted else {})}

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.docker_hub.doctor import checkup

        return await checkup(context, login)

    def missing(self, values: Mapping[str, Any]) -> Missing | None:
        if not (
            values.get("image")
            or values.get("repository")
            or values.get("hub_user")
            or values.get("organization")
        ):
            return Missing("--image", "Image (NAMESPACE/NAME:TAG)")
        if not (values.get("hub_user") or values.get("organization")):
            return Missing("--hub-user", "Docker ID that pulls")
        return None

    def target(self, values: Mapping[str, Any]) -> DockerHubTarget:
        return DockerHubTarget.parse(values)

    def open(self, target: DockerHubTarget, context: RunContext) -> Session:
        from providers.docker_hub.session import DockerHubSession

        return DockerHubSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.docker_hub.emulator import DockerHubEmulator

        return DockerHubEmulator

    def conformance_cases(self) -> Sequence[ConformanceCase]:
        from providers.docker_hub.conformance import CASES

        return CASES


provider = DockerHubProvider()

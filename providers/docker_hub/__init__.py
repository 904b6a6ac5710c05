"""Docker Hub.

What a run makes depends on what is asked for:

* nothing at Docker Hub, by default: a token that the person brings is tried and handed to Akka
* with a login (`--mint`, `--login-stdin`), one personal access token with the scope `repo:read` and an end date
* with `--organization`, one organisation access token that may pull the named repositories and nothing else

The user name that Akka is given is the user or the organisation. The e-mail says which kind of token it is and which
one: `pat+UUID@docker.io`, `oat+ID@docker.io`; of one that was brought Docker Hub's id is not known, so it is
`brought+RUN@docker.io`, with the id of the run that handed it off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap.provider import Check, HeldCredential, Option, RunContext, Session
from providers.docker_hub.target import DockerHubTarget, is_docker_hub

if TYPE_CHECKING:
    from bootstrap.sandbox.host import Emulator


class DockerHubProvider:
    """The provider `docker-hub`; see `bootstrap.provider.Provider`."""

    name = "docker-hub"
    title = "Docker Hub"
    summary = "Make private repositories of Docker Hub pullable for an Akka project."
    fallback = False
    examples = (
        "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot",
        "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot --token-stdin --yes < token.txt",
        "pullkey onboard docker-hub --image acme/checkout:1.0 --hub-user acmebot --mint",
        "pullkey onboard docker-hub --organization acme --repository acme/checkout,acme/cart --hub-user acmeowner",
        "printf %s sandbox-password | pullkey onboard docker-hub --sandbox --login-stdin --yes",
    )
    options = (
        Option("--repository", "The repositories to be pulled, with commas between; else that of --image.", metavar="NAMES"),
        Option("--hub-user", "The Docker ID: who logs in, and who pulls with a personal token.", metavar="NAME", login=True),
        Option("--organization", "Make a token of this organisation, limited to the repositories; it takes an owner's login.", metavar="NAME"),
        Option("--mint", "Log in and make a personal token, rather than to ask for one.", kind="switch"),
        Option("--expires-in", "How long a token that is made is to live, a year at most.", kind="duration", default="365d", metavar="TIME"),
        Option("--token-stdin", "Read the token that is handed to Akka from stdin.", kind="secret"),
        Option("--login-stdin", "Read the password of --hub-user from stdin, and make a token with it.", kind="secret"),
    )  # fmt: skip

    def recognises(self, held: HeldCredential) -> bool:
        return is_docker_hub(held.server)

    async def locate(
        self, held: HeldCredential, context: RunContext, login: Mapping[str, Any]
    ) -> DockerHubTarget:
        return DockerHubTarget.held(held, login)

    def options_of(self, held: HeldCredential, target: DockerHubTarget | None) -> Mapping[str, str | bool]:
        if target is not None and target.kind == "oat":
            return {"organization": target.organization, **({"hub-user": target.user} if target.user else {})}
        return {"hub-user": held.username, **({"mint": True} if target is not None and target.minted else {})}

    async def checkup(self, context: RunContext, login: Mapping[str, Any]) -> Sequence[Check]:
        from providers.docker_hub.checkup import checkup

        return await checkup(context, login)

    def target(self, values: Mapping[str, Any]) -> DockerHubTarget:
        return DockerHubTarget.parse(values)

    def open(self, target: DockerHubTarget, context: RunContext) -> Session:
        from providers.docker_hub.session import DockerHubSession

        return DockerHubSession(target, context)

    def emulator(self) -> Callable[[], Emulator]:
        from providers.docker_hub.emulator import DockerHubEmulator

        return DockerHubEmulator


provider = DockerHubProvider()

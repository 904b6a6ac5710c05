"""A world in which one credential lives, for each kind of registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import jsonschema

from bootstrap.model.key_ref import KeyRef
from bootstrap.output.json_schema import schemas
from providers.harbor.emulator.seed import PASSWORD as HARBOR_PASSWORD
from tests.harness.inventory import inventory, is_key, key_id
from tests.harness.puller import pulls
from tests.harness.world import Result, World, make_world


@dataclass(frozen=True)
class Kind:
    """One way to make a registry pullable.

    Args:
        onboarding: the options of `pullkey onboard`.
        stdin: what the onboarding reads from stdin.
        later: what `rotate` and `offboard` read from stdin, where they need something.
        minted: whether a key is made in a cloud (or else brought).
        switched: whether the cloud can switch a key off.
    """

    provider: str
    onboarding: tuple[str, ...] = ()
    stdin: str | None = None
    later: str | None = None
    minted: bool = True
    switched: bool = False


KINDS = {
    "gcr": Kind("gcr", switched=True),
    "gcr-upload": Kind("gcr", ("--key-source", "upload"), switched=True),
    "acr": Kind("acr"),
    "acr-token": Kind("acr", ("--auth-kind", "token")),
    "docker-hub-user": Kind(
        "docker-hub", ("--login-stdin",), "sandbox-password", "sandbox-password", switched=True
    ),
    "docker-hub-organization": Kind(
        "docker-hub",
        ("--organization", "acme", "--hub-user", "acmeowner", "--login-stdin"),
        "sandbox-password",
        "sandbox-password",
        switched=True,
    ),
    "harbor": Kind("harbor", ("--login-stdin",), HARBOR_PASSWORD, HARBOR_PASSWORD, switched=True),
    "private": Kind(
        "private",
        ("--username", "ops", "--password-stdin"),
        "pull-in-the-sandbox",
        "pull-in-the-sandbox",
        minted=False,
    ),
}
MINTED = ["gcr", "acr-token"]


@dataclass
class Life:
    """A world in which one credential lives."""

    world: World
    kind: Kind
    before: set[str] = field(default_factory=set)

    def there(self) -> set[str]:
        return inventory(self.world.cloud, self.world.akka)

    def onboard(self, *more: str) -> Result:
        return self.world.onboard(*self.kind.onboarding, *more, stdin=self.kind.stdin)

    def command(self, *arguments: str) -> Result:
        """A command that may need the person's secret again."""
        more = ("--secret-stdin",) if self.kind.later else ()
        env = {"PULLKEY_OVERLAP": "0", **owner_environment(self)}
        return self.world.run(*arguments, *more, "--yes", "--timeout", "30s", stdin=self.kind.later, env=env)

    def listed(self, *more: str) -> dict[str, object]:
        answer = self.world.run("list", "--output", "json", *more)
        assert answer.code in (0, 5), answer.text
        jsonschema.validate(answer.json, schemas()["list"])
        found: dict[str, object] = answer.json["credentials"][0]
        return found

    @property
    def name(self) -> str:
        return self.world.names()[0]

    @property
    def link(self) -> KeyRef:
        link = KeyRef.parse(self.world.held(self.name).email)
        assert link is not None
        return link


@contextmanager
def living(name: str) -> Iterator[Life]:
    kind = KINDS[name]
    worlds = make_world(kind.provider)
    life = Life(next(worlds), kind)
    life.before = life.there()
    yield life
    for _ in worlds:  # its last look for leaks
        pass


def owner_environment(life: Life) -> dict[str, str]:
    return {"PULLKEY_DOCKER_HUB_HUB_USER": "acmeowner"} if "acmeowner" in life.kind.onboarding else {}


CLOUD_CALLS = {
    "gcr": "iam.*",
    "acr": "graph.*",
    "acr-token": "arm.*",
    "docker-hub-user": "hub.*",
    "harbor": "harbor.*",
}


def new_keys(life: Life) -> set[str]:
    return {key_id(line) for line in life.there() - life.before if is_key(line)}


def secret_name(life: Life) -> str:
    project = life.world.akka.projects["shop"]
    return next(name for name, _, _ in project.registries.seen_from(project.primary))


def akka_pulls(life: Life) -> bool:
    return pulls(life.world.running.environment, life.world.held(secret_name(life)), patience=0)


KEY_CREATION = {
    "gcr": "iam.CreateServiceAccountKey",
    "acr": "graph.AddPassword",
    "acr-token": "arm.GenerateCredentials",
}

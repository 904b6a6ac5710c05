"""A world with one credential, for each kind of registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from bootstrap.model.errors import UsageProblem
from bootstrap.model.key_ref import KeyRef
from bootstrap.output.json_schema import schemas
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.conformance import ConformanceCase, InventoryItem
from bootstrap.testing.harness.inventory import inventory, is_key, key_id
from bootstrap.testing.harness.puller import pulls
from bootstrap.testing.harness.world import Result, World, make_world


def cases_of(provider: str) -> dict[str, ConformanceCase]:
    """List the ways to onboard a registry of a provider's emulator, by name; empty if it has none.

    Raises:
        UsageProblem: the provider does not exist, or cannot be loaded.
    """
    offered = getattr(plugins.load(provider), "conformance_cases", tuple)
    return {case.name: replace(case, provider=provider) for case in offered()}


def _all_cases() -> dict[str, ConformanceCase]:
    found: dict[str, ConformanceCase] = {}
    for provider in plugins.names():
        with suppress(UsageProblem):
            found |= cases_of(provider)
    return found


KINDS = _all_cases()
"""List the cases of all installed providers."""
MINTED = ["gcr", "acr-token"]


@dataclass
class Life:
    """A world with one credential."""

    world: World
    kind: ConformanceCase
    before: set[InventoryItem] = field(default_factory=set)

    def there(self) -> set[InventoryItem]:
        return inventory(self.world.cloud, self.world.akka)

    def onboard(self, *more: str) -> Result:
        return self.world.onboard(*self.kind.options, *more, stdin=self.kind.stdin)

    def command(self, *arguments: str) -> Result:
        """Run a command that may need the user's secret again."""
        more = ("--secret-stdin",) if self.kind.later_stdin else ()
        env = {"PULLKEY_OVERLAP": "0", **self.kind.environment}
        return self.world.run(
            *arguments, *more, "--yes", "--timeout", "30s", stdin=self.kind.later_stdin, env=env
        )

    def listed(self, *more: str) -> dict[str, object]:
        answer = self.world.run("list", "--output", "json", *more)
        assert answer.code in (0, 5), answer.text
        import jsonschema

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
    for _ in worlds:  # the last leak scan
        pass


CLOUD_CALLS = {"gcr": "iam.*", "acr": "graph.*", "acr-token": "arm.*", "docker-hub-user": "hub.*"}


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

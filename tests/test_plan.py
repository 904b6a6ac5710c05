"""What `plan` says is what `onboard` does, from wherever it begins; a second run does nothing, and others
lose nothing.

The sandbox begins somewhere, somebody changes things in it, pullkey is run, and so on: hypothesis chooses.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bootstrap.plugin.conformance import InventoryItem
from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.figures import count
from bootstrap.testing.harness.inventory import inventory
from bootstrap.testing.harness.world import Result, World, make_world
from providers.acr.emulator.roles import ACR_PULL
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.state import generate_private_key
from tests.harness.azure_state import APP
from tests.harness.azure_state import NAME as AZURE_NAME
from tests.harness.google_state import ACCOUNT, READER
from tests.harness.google_state import NAME as GOOGLE_NAME

T = TypeVar("T")
PUBLIC = generate_private_key().public_key()


class Registry(RuleBasedStateMachine):
    """One registry that is to be made pullable, in a world in which others change things too.

    Attributes:
        foreign: the lines of the inventory that are not pullkey's, and that it must never change.
    """

    provider: ClassVar[str]
    name: ClassVar[str]
    server: ClassVar[str]
    calls: ClassVar[Mapping[str, tuple[str, ...]]]
    """What each step calls that changes something."""

    @initialize()
    def begin(self) -> None:
        self._worlds = make_world(self.provider)
        self.world: World = next(self._worlds)
        self.foreign = self.there()

    def teardown(self) -> None:
        if hasattr(self, "_worlds"):
            for _ in self._worlds:  # its last look for leaks
                pass

    def there(self) -> set[InventoryItem]:
        return inventory(self.world.cloud, self.world.akka)

    @contextlib.contextmanager
    def somebody(self) -> Iterator[None]:
        """What is made in here is somebody else's; what goes in here, they took."""
        before = self.there()
        yield
        after = self.there()
        self.foreign = (self.foreign | (after - before)) - (before - after)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Counter[str]]:
        """The calls in here that can change something and were not refused."""
        found: Counter[str] = Counter()
        before = len(self.world.changes())
        yield found
        found.update(self.world.changes()[before:])

    def announced(self, step: Mapping[str, Any]) -> tuple[str, ...]:
        return self.calls[step["name"]]

    # -- Akka ------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Any:
        return self.world.akka.projects["shop"]

    def held(self) -> AkkaCredential | None:
        with contextlib.suppress(KeyError):
            return self.world.held(self.name)
        return None

    @rule(server=st.sampled_from(["same", "other"]), half=st.booleans())
    def somebody_registers_a_credential_under_the_same_name(self, server: str, half: bool) -> None:
        credential = AkkaCredential(
            self.server if server == "same" else "https://registry.example.com",
            "somebody",
            "ops@example.com",
            "theirs",
        )
        self.project.put_credential(self.name, credential, self.world.running.sandbox.now())
        if half:
            self.project.registries.remove(self.name, None)

    @precondition(lambda self: self.held() is not None)
    @rule()
    def the_project_loses_its_reference(self) -> None:
        """As `--secret-only` leaves it."""
        self.project.registries.remove(self.name, None)

    @precondition(lambda self: self.held() is not None)
    @rule()
    def the_secret_is_deleted(self) -> None:
        self.project.secrets.remove(self.name, None)
        self.project.registries.remove(self.name, None)

    # -- the product -----------------------------------------------------------------------------------------

    # Under several names, so that it comes about as often as all that others do.
    @rule()
    def plan_and_onboard_now(self) -> None:
        self.plan_and_onboard()

    @rule()
    def plan_and_onboard_then(self) -> None:
        self.plan_and_onboard()

    @rule()
    def plan_and_onboard(self) -> None:
        with self.changing() as planning:
            plan = self.world.run("plan", self.provider, "--timeout", "20s", "--output", "json")
        with self.changing() as done:
            made = self.world.onboard("--output", "json")
        assert self.foreign <= self.there(), (self.foreign - self.there(), made.text)
        pending = [step for step in plan.json["steps"] if step["state"] != "done"] if made.code == 0 else []
        announced = Counter(call for step in pending for call in self.announced(step))
        count(
            "plan honesty",
            {
                "start states planned and then applied": 1,
                "calls that change something, planned": announced.total(),
                "calls that change something, done": done.total(),
                "start states whose calls were others than planned": int(done != announced),
                "calls that change something, by `plan` itself": planning.total(),
            },
        )
        assert not planning, planning
        assert plan.json["problems"] == made.json["problems"]
        if made.code != 0:
            assert plan.code == made.code == 3, plan.text + made.text
            assert not done, done
            return
        assert plan.code == 0, plan.text
        assert _named(pending, "state") == _named(_changed(made), "state"), plan.text + made.text
        assert done == announced, plan.text
        with self.changing() as more:
            again = self.world.onboard("--output", "json")
        count("idempotence", {"second runs": 1, "calls of them that change something": more.total()})
        assert again.code == 0, again.text
        assert again.json["result"] == "unchanged"
        assert not more, more

    @rule()
    def offboard(self) -> None:
        held = self.held()
        ours = held is not None and held.email.startswith("akka-docker-reader+")
        alone, code = self.alone, 6 if self.leaves_a_role else 0
        gone = self.world.run("offboard", self.name, "--yes", "--timeout", "20s")
        assert self.foreign <= self.there(), (self.foreign - self.there(), gone.text)
        if ours:
            assert gone.code == code, gone.text
            assert self.held() is None
            if alone:
                assert self.ours() == set(), gone.text

    @property
    def leaves_a_role(self) -> bool:
        """Whether an offboarding leaves a role of which it cannot tell whether it is there."""
        return False

    def ours(self) -> set[str]:
        """What is there and is not somebody else's."""
        return {
            line
            for line in self.there() - self.foreign
            if "google's own key" not in line and "deleted:" not in line
        }

    @property
    def alone(self) -> bool:
        """Whether nobody else uses the identity, by another key or another role, so that all of it goes.

        A key that Akka's record named before somebody overwrote that is one that somebody may use: it is
        told, and stays.
        """
        raise NotImplementedError


def _changed(made: Result) -> list[Any]:
    return [step for step in made.json["steps"] if step["result"] != "kept"]


def _named(steps: list[Any], what: str) -> dict[str, str]:
    return {step["name"]: step[what] for step in steps}


# -- Google --------------------------------------------------------------------------------------------------


class Google(Registry):
    provider = "gcr"
    name = GOOGLE_NAME
    server = "https://europe-west1-docker.pkg.dev"
    calls: ClassVar = {
        "identity": ("iam.CreateServiceAccount",),
        "grant": ("artifactregistry.SetIamPolicy",),
        "key": ("iam.CreateServiceAccountKey",),
        "handshake": (),
        "handoff": ("akka.docker.add-credentials",),
    }

    @property
    def state(self) -> Any:
        return self.world.cloud.state

    @property
    def account(self) -> Any:
        return self.state.account(ACCOUNT)

    @property
    def repository(self) -> Any:
        return self.state.project("acme-shop").repositories["europe-west1", "containers"]

    @property
    def alone(self) -> bool:
        keys = self.account.user_keys() if self.account else []
        return len(keys) <= 1 and not any(ACCOUNT in line for line in self.foreign)

    def since(self) -> dt.datetime:
        return self.world.running.sandbox.now() - dt.timedelta(days=1)

    def on_the_loop(self, make: Callable[[], object]) -> None:
        async def made() -> None:
            make()

        self.world.running.call(made())

    @precondition(lambda self: self.account is None)
    @rule(ours=st.booleans())
    def an_account_of_that_name_is_made(self, ours: bool) -> None:
        def make() -> None:
            made = self.state.add_account("acme-shop", "akka-docker-reader", created=self.since())
            made.description = "Made by pullkey, run 0123456789ab." if ours else "Pulls."

        if ours:
            self.on_the_loop(make)
        else:
            with self.somebody():
                self.on_the_loop(make)

    @precondition(lambda self: self.account is not None)
    @rule()
    def the_account_is_deleted(self) -> None:
        with self.somebody():
            self.on_the_loop(lambda: self.state.delete_account(self.account))

    @precondition(lambda self: self.account is not None)
    @rule()
    def the_account_is_disabled_or_enabled(self) -> None:
        with self.somebody() if self.account.email in str(self.foreign) else contextlib.nullcontext():
            self.account.disabled = not self.account.disabled

    @precondition(lambda self: self.account is not None)
    @rule(where=st.sampled_from(["repository", "conditional", "project", "another repository"]))
    def somebody_grants_the_role(self, where: str) -> None:
        from google.type import expr_pb2

        project = self.state.project("acme-shop")
        place = {
            "repository": self.repository,
            "conditional": self.repository,
            "project": project,
            "another repository": project.repositories["europe-west1", "tools"],
        }[where]
        condition = expr_pb2.Expr(title="t", expression="true") if where == "conditional" else None
        mine = "Made by pullkey" in self.account.description and where == "repository"
        with contextlib.nullcontext() if mine else self.somebody():
            self.on_the_loop(
                lambda: place.policy.grant(
                    READER, f"serviceAccount:{ACCOUNT}", condition=condition, since=self.since()
                )
            )

    @precondition(lambda self: self.account is not None)
    @rule()
    def somebody_makes_a_key_of_it(self) -> None:
        with self.somebody():
            self.on_the_loop(lambda: self.state.add_key(self.account, PUBLIC, created=self.since()))

    @rule()
    def somebody_else_is_granted_the_role(self) -> None:
        with self.somebody():
            self.on_the_loop(
                lambda: self.repository.policy.grant(READER, "user:dev@acme.example", since=self.since())
            )

    @rule()
    def the_repositorys_policy_is_emptied(self) -> None:
        with self.somebody():
            self.repository.policy = AllowPolicy()

    @precondition(lambda self: self._key() is not None)
    @rule(how=st.sampled_from(["deleted", "disabled", "expired"]))
    def the_key_that_akka_holds_is(self, how: str) -> None:
        key = self._key()
        match how:
            case "deleted":
                self.on_the_loop(lambda: self.state.delete_key(self.account, key))
            case "disabled":
                key.disabled = True
            case _:
                key.valid_before = key.valid_after

    def _key(self) -> Any:
        held = self.held()
        if held is None or self.account is None:
            return None
        return next((key for key in self.account.user_keys() if key.id in held.email), None)


# -- Azure ---------------------------------------------------------------------------------------------------


class Azure(Registry):
    provider = "acr"
    name = AZURE_NAME
    server = "acmeshop.azurecr.io"
    calls: ClassVar = {
        "identity": ("graph.UpsertApplication", "graph.CreateServicePrincipal"),
        "grant": ("arm.PutRoleAssignment",),
        "key": ("graph.AddPassword",),
        "handshake": (),
        "handoff": ("akka.docker.add-credentials",),
    }

    def announced(self, step: Mapping[str, Any]) -> tuple[str, ...]:
        if step["reason"] == "it has no service principal":
            return ("graph.CreateServicePrincipal",)
        return super().announced(step)

    @property
    def state(self) -> Any:
        return self.world.cloud.state

    @property
    def application(self) -> Any:
        return next(
            (
                one
                for one in self.state.applications
                if one.unique_name == f"pullkey-{APP}" and one.lifetime.exists
            ),
            None,
        )

    @property
    def principal(self) -> Any:
        application = self.application
        return self.state.principal_by_app_id(application.app_id) if application else None

    @property
    def alone(self) -> bool:
        if self.principal is None:
            return False
        return len(self.application.secrets) <= 1 and not any(
            self.principal.id in line for line in self.foreign
        )

    @property
    def leaves_a_role(self) -> bool:
        return self.application is not None and self.principal is None

    def ours(self) -> set[str]:
        """A role of a service principal that is no more stays, as Google's of a deleted account does: it
        is nobody's.
        """
        there = {one.id for one in self.state.service_principals if one.lifetime.exists}
        return {
            line for line in super().ours() if not line.startswith("azure role") or line.split()[3] in there
        }

    def since(self) -> dt.datetime:
        return self.world.running.sandbox.now() - dt.timedelta(days=1)

    @precondition(lambda self: self.application is None)
    @rule(principal=st.booleans(), secret=st.booleans())
    def an_application_of_ours_is_made(self, principal: bool, secret: bool) -> None:
        made = self.state.add_application(APP, unique_name=f"pullkey-{APP}", created=self.since())
        if principal:
            self.state.add_service_principal(made, created=self.since())
        if secret:
            self.state.add_secret(made, display_name="pullkey 0123456789ab", created=self.since())

    @rule(principal=st.booleans())
    def somebody_makes_an_application_of_that_name(self, principal: bool) -> None:
        with self.somebody():
            made = self.state.add_application(APP, created=self.since())
            if principal:
                self.state.add_service_principal(made, created=self.since())

    @precondition(lambda self: self.principal is not None)
    @rule(where=st.sampled_from(["registry", "subscription", "another registry"]))
    def somebody_grants_the_role(self, where: str) -> None:
        registry = self.state.registry("acmeshop" if where != "another registry" else "acmeabac")
        scope = f"/subscriptions/{registry.subscription_id}" if where == "subscription" else registry.id
        if any(
            one.principal_id == self.principal.id and one.scope == scope
            for one in self.state.role_assignments
        ):
            return
        with self.somebody():
            self.state.add_assignment(self.principal.id, ACR_PULL, scope, created=self.since())

    @precondition(lambda self: self.application is not None)
    @rule()
    def somebody_adds_a_secret(self) -> None:
        with self.somebody():
            self.state.add_secret(self.application, display_name="rbac", created=self.since())

    @precondition(lambda self: self._secret() is not None)
    @rule(how=st.sampled_from(["removed", "expired"]))
    def the_secret_that_akka_holds_is(self, how: str) -> None:
        secret = self._secret()
        if how == "removed":
            self.application.secrets.remove(secret)
        else:
            secret.end = secret.start

    @precondition(lambda self: self.principal is not None)
    @rule()
    def the_service_principal_is_deleted(self) -> None:
        with self.somebody():
            self.state.service_principals.remove(self.principal)

    def _secret(self) -> Any:
        held, application = self.held(), self.application
        if held is None or application is None:
            return None
        return next((one for one in application.secrets if one.key_id in held.email), None)


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def _told(registry: T) -> Iterator[T]:
    """A story is told of it: what hypothesis would choose."""
    assert isinstance(registry, Registry)
    registry.begin()
    yield registry
    registry.teardown()


@pytest.fixture
def google() -> Iterator[Google]:
    yield from _told(Google())


@pytest.fixture
def azure() -> Iterator[Azure]:
    yield from _told(Azure())


def test_what_is_planned_is_what_is_done_in_google(google: Google) -> None:
    google.an_account_of_that_name_is_made(ours=True)
    google.somebody_grants_the_role("conditional")
    google.somebody_registers_a_credential_under_the_same_name("same", half=True)
    google.plan_and_onboard()
    google.the_key_that_akka_holds_is("disabled")
    google.the_repositorys_policy_is_emptied()
    google.plan_and_onboard()
    google.the_account_is_disabled_or_enabled()
    google.plan_and_onboard()
    google.offboard()


def test_what_is_planned_is_what_is_done_in_azure(azure: Azure) -> None:
    azure.an_application_of_ours_is_made(principal=False, secret=False)
    azure.plan_and_onboard()
    azure.the_secret_that_akka_holds_is("expired")
    azure.plan_and_onboard()
    azure.somebody_registers_a_credential_under_the_same_name("other", half=False)
    azure.plan_and_onboard()
    azure.offboard()


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("registry", [Google, Azure])
def test_what_is_planned_is_what_is_done_from_anywhere(registry: type[Registry]) -> None:
    run_state_machine_as_test(
        registry,
        settings=settings(max_examples=25, stateful_step_count=12, suppress_health_check=SLOW),
    )

"""What stands behind an Azure credential, and what becomes of it: the provider's own methods, over the
real SDKs.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp.connector
import pytest

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import Disposition, Removal, State
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from providers.acr import provider
from providers.acr.emulator.roles import ACR_PULL, CONTRIBUTOR, REPOSITORY_READER, Role
from providers.acr.emulator.state import Application, RoleAssignment, ScopeMap, Secret, Token
from providers.acr.roles import assignment_name
from providers.acr.session import AcrSession
from providers.acr.slot_password import key_id_of
from providers.acr.target import AcrTarget
from providers.acr.token_session import TokenSession
from tests.harness.azure_state import APP

T = TypeVar("T")
NAME = "acmeshop-azurecr-io"
SERVER = "acmeshop.azurecr.io"
AGE = dt.timedelta(days=40)


@dataclass
class Shop:
    """A sandbox with what an onboarding has left, some time ago."""

    world: World
    application: Application
    secret: Secret
    told: list[str] = field(default_factory=list)

    @property
    def state(self) -> Any:
        return self.world.cloud.state

    @property
    def registry(self) -> Any:
        return self.state.registry("acmeshop")

    @property
    def subscription(self) -> str:
        return str(self.registry.id).split("/")[2]

    @property
    def past(self) -> dt.datetime:
        moment: dt.datetime = self.state.now() - AGE
        return moment

    @property
    def principal(self) -> Any:
        return self.state.principal_by_app_id(self.application.app_id)

    def held(
        self, username: str = "", key_id: str = "", *, name: str = APP, server: str = SERVER
    ) -> HeldCredential:
        link = KeyRef(name, key_id or self.secret.key_id, SERVER)
        return HeldCredential(NAME, server, username or self.application.app_id, str(link), "OK")

    def assign(self, role: Role, scope: str, *, ours: bool = False) -> RoleAssignment:
        made: RoleAssignment = self.state.add_assignment(self.principal.id, role, scope, created=self.past)
        if ours:
            made.name = assignment_name(scope, self.principal.id, role.guid)
        return made

    def token(self, name: str = "akka-docker-reader-checkout", *, ours: bool = True) -> Token:
        """A token with its scope map, a password in the first slot."""
        description = "Pulls images for Akka. Made by pullkey, run 0123456789ab." if ours else "a partner's"
        actions = ["repositories/cart/content/read", "repositories/checkout/content/read"]
        self.registry.scope_maps[name] = ScopeMap(name, actions, description, self.past)
        token: Token = self.state.add_token(self.registry, name, name, created=self.past)
        self.state.add_password(token, "password1", created=self.past)
        return token

    def of_token(self, token: Token, slot: str = "password1") -> HeldCredential:
        key_id = key_id_of(slot, token.passwords[slot].created)
        return self.held(token.name, key_id, name=token.name)

    def do(self, work: Callable[[RunContext], Awaitable[T]], held: HeldCredential | None = None) -> T:
        async def akka() -> HeldCredential | None:
            return held

        async def run() -> T:
            context = RunContext(Deadline(20), self.told.append, self.told.append, held=akka)
            try:
                return await work(context)
            finally:
                await context.shared.close()

        return asyncio.run(run())

    def locate(self, held: HeldCredential, **login: str) -> AcrTarget:
        return self.do(lambda context: provider.locate(held, context, login))

    def behind(self, work: Callable[[Any], Awaitable[T]], held: HeldCredential | None = None) -> T:
        """Something that the session does which stands behind Akka's record."""
        record = held or self.held()

        async def located(context: RunContext) -> T:
            session = provider.open(await provider.locate(record, context, {}), context)
            await session.connect()
            return await work(session)

        return self.do(located, record)

    def removals(self, held: HeldCredential | None = None) -> dict[str, Removal]:
        async def asked(session: Any) -> dict[str, Removal]:
            found = {step.name: await step.removal() for step in session.steps}
            return {name: removal for name, removal in found.items() if removal is not None}

        return self.behind(asked, held)

    def calls(self, name: str) -> int:
        return self.world.calls(name)


def _shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name, value in world.running.environment.items():
        monkeypatch.setenv(name, value)
    # aiohttp keeps the trust it found when it was imported, which here was before the sandbox began.
    trust = ssl.create_default_context(cafile=world.running.environment["SSL_CERT_FILE"])
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trust)
    state = world.cloud.state
    past = state.now() - AGE
    application = state.add_application(APP, unique_name=f"pullkey-{APP}", created=past)
    secret = state.add_secret(application, display_name="pullkey 0123456789ab", start=past, created=past)
    state.add_service_principal(application, created=past)
    shop = Shop(world, application, secret)
    shop.assign(ACR_PULL, shop.registry.id, ours=True)
    return shop


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for world in make_world("acr"):
        yield _shop(world, monkeypatch)


@pytest.fixture
def slow_shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """One in which changes take two seconds to arrive."""
    for world in make_world("acr", SandboxSettings(propagation=2.0)):
        yield _shop(world, monkeypatch)


class TestLocating:
    @pytest.mark.parametrize(
        ("server", "known"),
        [
            (SERVER, True),
            (f"https://{SERVER}", True),
            ("acmeshop.azurecr.us", True),
            ("acmeshop.azurecr.cn/", True),
            ("gcr.io", False),
            ("azurecr.io.example.com", False),
        ],
    )
    def test_azures_registries_are_known_by_their_server(self, server: str, known: bool) -> None:
        assert provider.recognises(HeldCredential("a", server, "u", "e@x.example", "OK")) is known

    @pytest.mark.parametrize("shown", [APP, "Renamed by somebody"])
    def test_our_application_is_known_by_its_mark_and_not_by_its_name(self, shop: Shop, shown: str) -> None:
        shop.application.display_name = shown
        target = shop.locate(shop.held())
        assert (target.unique_name, target.app_id) == (f"pullkey-{APP}", "")
        assert (target.host, target.auth_kind, target.skip_grant) == (SERVER, "principal", False)
        assert shop.removals()["identity"].disposition is Disposition.REMOVE

    def test_the_name_that_it_was_given_is_kept_where_it_is_that_of_the_mark(self, shop: Shop) -> None:
        shop.application.unique_name, shop.application.display_name = "pullkey-shop-reader", "Shop reader"
        assert shop.locate(shop.held()).app_name == "Shop reader"

    @pytest.mark.parametrize("unique_name", [None, "somebody-else", "pullkey-Not_Ours"])
    def test_any_other_application_was_given(self, shop: Shop, unique_name: str | None) -> None:
        shop.application.unique_name = unique_name
        assert shop.locate(shop.held()).app_id == shop.application.app_id
        assert shop.removals()["identity"] == Removal(
            Disposition.KEEP,
            f"application {APP} ({shop.application.app_id}) and its service principal",
            "it was not created by pullkey",
            f"az ad app delete --id {shop.application.app_id}",
        )

    def test_a_token_with_what_it_may_pull(self, shop: Shop) -> None:
        target = shop.locate(shop.of_token(shop.token()), image=f"{SERVER}/cart:1.0")
        assert (target.auth_kind, target.token_name) == ("token", "akka-docker-reader-checkout")
        assert target.repositories == ("cart", "checkout")
        assert (target.repository, target.reference) == ("cart", "1.0")
        assert [call.method for call in shop.world.running.sandbox.log.calls if call.api == "graph"] == []

    def test_a_login_that_may_not_look_is_told(self, shop: Shop) -> None:
        shop.state.graph_roles = set()
        with pytest.raises(PullkeyError, match="does not show the application"):
            shop.locate(shop.held())

    def test_all_that_is_found_is_in_place(self, shop: Shop) -> None:
        async def looked(session: AcrSession | TokenSession) -> list[State]:
            return [(await step.look()).state for step in session.steps]

        assert shop.behind(looked) == [State.DONE] * 3
        assert shop.behind(looked, shop.of_token(shop.token())) == [State.DONE] * 3


class TestKeys:
    def test_what_azure_shows_of_a_secret_and_its_end(self, shop: Shop) -> None:
        key_id = shop.secret.key_id

        async def through(session: AcrSession) -> list[Any]:
            seen = await session.key.facts(key_id)
            gone = await session.key.facts(str(uuid.uuid4()))
            first = await session.key.delete(key_id)
            # Asked anew, and not from what was seen before.
            return [seen, gone, first, await session.key.facts(key_id), await session.key.delete(key_id)]

        seen, gone, first, after, again = shop.behind(through)
        assert (seen.key_id, seen.created, seen.expires) == (key_id, shop.secret.start, shop.secret.end)
        assert (gone, first, after, again) == (None, True, None, False)

    def test_a_secret_goes_by_what_was_seen_where_its_application_is_not_shown_any_more(
        self, shop: Shop
    ) -> None:
        async def through(session: AcrSession) -> list[Any]:
            seen = await session.key.facts(shop.secret.key_id)
            shop.world.fault("graph.GetApplication=404*forever")
            deleted = await session.key.delete(shop.secret.key_id)
            shop.world.running.sandbox.faults.faults.clear()
            return [seen, deleted, await session.key.facts(shop.secret.key_id)]

        seen, deleted, after = shop.behind(through)
        assert seen is not None
        assert (deleted, after) == (True, None)

    def test_of_a_token_the_slot_and_its_time(self, shop: Shop) -> None:
        past = shop.past
        token = shop.token()
        held = shop.of_token(token)
        key_id = held.link.key_id if held.link else ""
        stays = shop.state.add_password(token, "password2", created=shop.past + dt.timedelta(days=1))

        async def through(session: TokenSession) -> list[Any]:
            other = key_id[:-1] + str((int(key_id[-1]) + 1) % 10)
            return [
                await session.key.facts(key_id),
                await session.key.facts(other),
                # Its slot was generated again, so it is another key.
                await session.key.delete(other),
                await session.key.delete(key_id),
                await session.key.delete(key_id),
                session.key.delete_command(key_id),
            ]

        seen, unknown, not_that, deleted, again, command = shop.behind(through, held)
        assert abs(seen.created - past) < dt.timedelta(seconds=2)
        assert (unknown, not_that, deleted, again) == (None, False, True, False)
        assert token.passwords == {"password2": stays}
        assert (
            # The login sees two subscriptions, and az looks into its default one only.
            command
            == f"az acr token credential delete --name {token.name} --registry acmeshop --subscription "
            f"{shop.subscription} --password1"
        )

    def test_a_refusal_is_a_sentence(self, shop: Shop) -> None:
        shop.state.graph_roles = {"Application.Read.All"}
        with pytest.raises(PullkeyError, match="Azure refused to remove the secret"):
            shop.behind(lambda session: session.key.delete(shop.secret.key_id))
        token = shop.token()
        held = shop.of_token(token)
        shop.state.denied_actions.add("Microsoft.ContainerRegistry/registries/tokens/write")
        with pytest.raises(PullkeyError, match="Azure refused to remove password1"):
            shop.behind(lambda session: session.key.delete(held.link.key_id if held.link else ""), held)

    @pytest.mark.parametrize("fault", ["graph.RemovePassword=lost", "graph.RemovePassword=503"])
    def test_a_removal_whose_answer_is_lost(self, shop: Shop, fault: str) -> None:
        shop.world.fault(fault)
        assert shop.behind(lambda session: session.key.delete(shop.secret.key_id)) is True
        assert not shop.secret.lifetime.exists

    def test_a_secret_that_is_still_shown_though_it_is_gone(self, slow_shop: Shop) -> None:
        shop = slow_shop
        shop.secret.lifetime.removed = shop.state.now()
        assert shop.behind(lambda session: session.key.delete(shop.secret.key_id)) is False
        assert any("still shows a secret" in line for line in shop.told)


class TestOthers:
    def test_every_other_way_to_log_in_as_the_application(self, shop: Shop) -> None:
        past, now = shop.past, shop.state.now()
        other = shop.state.add_secret(shop.application, display_name="rbac", start=past, created=past)
        shop.state.add_secret(shop.application, display_name="expired", start=past, end=now, created=past)
        shop.application.properties["keyCredentials"] = [
            {
                "keyId": "11111111-2222-3333-4444-555555555555",
                "displayName": name,
                "startDateTime": past.isoformat(),
                "endDateTime": end.isoformat(),
                "type": "AsymmetricX509Cert",
                "usage": "Verify",
            }
            for name, end in (("CN=ci", now + AGE), ("CN=old", now - dt.timedelta(days=1)))
        ]
        shop.application.federated = ["deploys"]
        shop.world.fault("graph.ListFederatedIdentityCredentials=404;code=Request_ResourceNotFound")

        found = shop.behind(lambda session: session.key.used_by_others({shop.secret.key_id.upper()}))

        assert found == [
            f"secret {other.key_id[:8]}… of {past:%Y-%m-%d} (rbac)",
            f"certificate 11111111… of {past:%Y-%m-%d} (CN=ci)",
            "federated credential deploys",
        ]

    def test_nobody_else(self, shop: Shop) -> None:
        assert shop.behind(lambda session: session.key.used_by_others({shop.secret.key_id})) == []

    def test_what_cannot_be_seen_is_not_taken_for_nothing(self, shop: Shop) -> None:
        shop.world.fault("graph.ListFederatedIdentityCredentials=403*forever")
        with pytest.raises(PullkeyError, match="federated credentials"):
            shop.behind(lambda session: session.key.used_by_others({shop.secret.key_id}))

    def test_the_other_password_of_a_token(self, shop: Shop) -> None:
        token = shop.token()
        held = shop.of_token(token)
        key_id = held.link.key_id if held.link else ""
        assert shop.behind(lambda session: session.key.used_by_others({key_id}), held) == []
        shop.state.add_password(token, "password2", created=shop.past)
        found = shop.behind(lambda session: session.key.used_by_others({key_id}), held)
        assert found == [f"password2 of {shop.past:%Y-%m-%d}"]


class TestRemoval:
    def test_all_of_ours_goes_and_what_is_gone_already_is_done(self, shop: Shop) -> None:
        others = [one.name for one in shop.state.role_assignments if one.principal_id != shop.principal.id]
        removals = shop.removals()
        assert {name: removal.disposition for name, removal in removals.items()} == {
            "identity": Disposition.REMOVE,
            "grant": Disposition.REMOVE,
        }
        assert removals["grant"].what == f"AcrPull of {APP} on acmeshop"

        async def remove(session: AcrSession) -> list[str]:
            identity, grant = session.steps[:2]
            return [await step.remove() for step in (grant, identity, grant, identity)]

        done = shop.behind(remove)
        assert done[0] == f"removed AcrPull on acmeshop from {APP}"
        assert done[1].startswith(f"deleted the application {APP}")
        assert done[2:] == ["", ""]
        assert not shop.application.lifetime.exists
        assert [one.name for one in shop.state.role_assignments if one.lifetime.exists] == others
        assert {removal.disposition for removal in shop.removals().values()} == {Disposition.GONE}

    @pytest.mark.parametrize("scope", ["registry", "resource group", "subscription"])
    def test_a_role_that_somebody_else_gave_stays(self, shop: Shop, scope: str) -> None:
        shop.state.role_assignments = [
            one for one in shop.state.role_assignments if one.principal_id != shop.principal.id
        ]
        parts = shop.registry.id.split("/")
        at = {
            "registry": shop.registry.id,
            "resource group": "/".join(parts[:5]),
            "subscription": "/".join(parts[:3]),
        }[scope]
        theirs = shop.assign(ACR_PULL, at)
        removals = shop.removals()
        grant = removals["grant"]
        assert grant.disposition is Disposition.KEEP
        place = f"it comes from {scope} {at.rpartition('/')[2]}"
        assert grant.why == ("it was assigned outside of pullkey" if scope == "registry" else place)
        assert theirs.name in grant.command
        # Then the application is somebody's business too.
        assert removals["identity"].disposition is Disposition.KEEP
        assert theirs.lifetime.exists

    def test_a_role_beside_ours_stays_when_ours_goes(self, shop: Shop) -> None:
        theirs = shop.assign(CONTRIBUTOR, shop.registry.id)
        assert shop.removals()["grant"].disposition is Disposition.REMOVE
        shop.behind(lambda session: session.steps[1].remove())
        assert theirs.lifetime.exists

    def test_no_role_at_all(self, shop: Shop) -> None:
        shop.state.role_assignments = [
            one for one in shop.state.role_assignments if one.principal_id != shop.principal.id
        ]
        assert shop.removals()["grant"].disposition is Disposition.GONE

    def test_the_role_of_the_mode_that_the_registry_had_goes_too(self, shop: Shop) -> None:
        shop.registry.abac = True
        shop.assign(REPOSITORY_READER, shop.registry.id, ours=True)
        assert shop.removals()["grant"].what.startswith("AcrPull and Container Registry Repository Reader of")
        taken = shop.behind(lambda session: session.steps[1].remove())
        assert taken.startswith("removed AcrPull and Container Registry Repository Reader")

    @pytest.mark.parametrize("where", ["acmevault", "acmeabac"])
    def test_an_application_that_pulls_elsewhere_stays(self, shop: Shop, where: str) -> None:
        """One registry of the same subscription, one of another."""
        shop.assign(ACR_PULL, shop.state.registry(where).id, ours=True)
        identity = shop.removals()["identity"]
        assert (identity.disposition, identity.why) == (
            Disposition.KEEP,
            f"it also has a role on registry {where}",
        )
        assert shop.removals()["grant"].disposition is Disposition.REMOVE

    def test_who_may_not_remove_is_told_what_is_left(self, shop: Shop) -> None:
        from bootstrap.plugin.step import StillThere

        shop.state.denied_actions.add("Microsoft.Authorization/roleAssignments/delete")
        with pytest.raises(StillThere) as left:
            shop.behind(lambda session: session.steps[1].remove())
        assert "AcrPull" in left.value.what
        assert left.value.command.startswith("az role assignment delete --ids /subscriptions/")

    def test_a_token_and_its_scope_map(self, shop: Shop) -> None:
        theirs = shop.token("a-partners", ours=False)
        token = shop.token()
        held = shop.of_token(token)
        assert {name: one.disposition for name, one in shop.removals(held).items()} == {
            "grant": Disposition.REMOVE,
            "identity": Disposition.REMOVE,
        }

        async def remove(session: TokenSession) -> list[str]:
            twice = [*reversed(session.steps[:2]), *reversed(session.steps[:2])]
            return [await step.remove() for step in twice]

        shop.behind(remove, held)
        assert list(shop.registry.tokens.values()) == [theirs]
        assert list(shop.registry.scope_maps) == ["a-partners"]

    def test_a_scope_map_that_another_token_uses_stays(self, shop: Shop) -> None:
        token = shop.token()
        shop.state.add_token(shop.registry, "another", token.scope_map)
        grant = shop.removals(shop.of_token(token))["grant"]
        assert (grant.disposition, grant.why) == (Disposition.KEEP, "other tokens use it: another")

    def test_a_token_that_pullkey_has_not_made_stays(self, shop: Shop) -> None:
        token = shop.token("a-partners", ours=False)
        removals = shop.removals(shop.of_token(token))
        assert {one.disposition for one in removals.values()} == {Disposition.KEEP}
        assert (
            removals["identity"].command
            == "az acr token delete --name a-partners --registry acmeshop --subscription "
            f"{shop.subscription} --yes"
        )


class TestSharing:
    def test_the_sessions_of_a_command_log_in_once_and_search_once(self, shop: Shop) -> None:
        async def two(context: RunContext) -> None:
            async def one() -> None:
                session = provider.open(await provider.locate(shop.held(), context, {}), context)
                await session.connect()
                await asyncio.gather(*(step.look() for step in session.steps))
                await session.close()

            await asyncio.gather(one(), one(), one())

        shop.do(two, shop.held())
        assert shop.calls("entra.GetToken") == 2  # one for Resource Manager, one for Graph
        assert shop.calls("arm.ListSubscriptions") == 1
        assert shop.calls("arm.ListRegistries") == 2  # of two subscriptions
        assert shop.calls("graph.GetServicePrincipal") == 1

    def test_what_was_changed_is_looked_at_anew(self, shop: Shop) -> None:
        async def work(context: RunContext) -> tuple[State, State]:
            async def key() -> State:
                session = provider.open(await provider.locate(shop.held(), context, {}), context)
                state = (await session.steps[-1].look()).state
                if state is State.DONE:
                    await session.key.delete(shop.secret.key_id)
                return state

            return await key(), await key()

        assert shop.do(work, shop.held()) == (State.DONE, State.MISSING)

    def test_a_login_that_fails_says_the_same_to_each(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent")
        monkeypatch.setenv("AZURE_CONFIG_DIR", "/nonexistent")

        async def twice(context: RunContext) -> list[str]:
            said = []
            for _ in range(2):
                with pytest.raises(PullkeyError) as told:
                    await provider.locate(shop.held(), context, {})
                said.append(f"{told.value.what} {told.value.fix}")
            return said

        first, second = shop.do(twice)
        assert first == second
        assert "There is no usable Azure login" in first


class TestCheckup:
    def checks(self, shop: Shop) -> dict[str, Check]:
        found = shop.do(lambda context: provider.checkup(context, {"auth": "default"}))
        return {check.what: check for check in found}

    def test_what_can_be_seen_without_a_target(self, shop: Shop) -> None:
        checks = self.checks(shop)
        assert not [one for one in checks.values() if one.good is False]
        assert "azure-identity" in checks["libraries"].detail
        assert shop.state.tenant_id in checks["login"].detail
        assert checks["subscriptions"].detail == "2: Acme Production, Acme Staging"
        assert checks["clock"].good is True
        assert "PULLKEY_AZURE_GRAPH_ENDPOINT" in checks["addresses"].detail

    def test_without_a_login_there_is_one_bad_line_with_its_fix(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent")
        monkeypatch.setenv("AZURE_CONFIG_DIR", "/nonexistent")
        (bad,) = [one for one in self.checks(shop).values() if one.good is False]
        assert "There is no usable Azure login" in bad.detail
        assert "az login" in bad.fix

    @pytest.mark.parametrize("minutes", [3, -3])
    def test_a_clock_that_is_wrong(self, shop: Shop, minutes: int) -> None:
        shop.world.running.sandbox.advance(dt.timedelta(minutes=minutes))
        clock = self.checks(shop)["clock"]
        assert clock.good is False
        assert ("behind" if minutes > 0 else "ahead of") in clock.detail
        assert "Set the clock" in clock.fix

    @pytest.mark.parametrize(
        "fault", ["arm.ListSubscriptions=403*forever", "arm.ListSubscriptions=malformed*forever"]
    )
    def test_it_raises_nothing(self, shop: Shop, fault: str) -> None:
        shop.world.fault(fault)
        assert self.checks(shop)["subscriptions"].good is False

    def test_a_login_that_the_directory_refuses_is_still_good_for_tokens(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PULLKEY_AZURE_GRAPH_ENDPOINT", "no address")
        checks = self.checks(shop)
        assert checks["login"].good is True
        assert checks["Microsoft Graph"].good is None

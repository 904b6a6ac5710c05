"""What stands behind a Google credential, and what becomes of it: the provider's own methods, over the
real SDKs.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from google.type import expr_pb2

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed, UsageProblem
from bootstrap.plugin.checks import Check
from bootstrap.plugin.context import RunContext, Shared
from bootstrap.plugin.step import Disposition, Removal, State
from bootstrap.testing.harness.world import World, make_world
from providers.gcr import provider
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.state import Project, Repository
from providers.gcr.session import GcrSession
from providers.gcr.target import GcrTarget
from tests.harness.concurrent_change import meanwhile
from tests.harness.google_shop import HOST, PUBLIC, Shop, in_command, new_shop, with_session
from tests.harness.google_state import READER

PERIMETER = (
    "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: VQQnKfXtZ16NH"
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One for all these tests, which run the product in this process: gRPC reads its trusted roots once
    per process.
    """
    yield from make_world("gcr")


@pytest.fixture
def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    yield from new_shop(world, monkeypatch)


class TestKeys:
    def test_what_google_shows_of_a_key(self, shop: Shop) -> None:
        facts = shop.session(lambda session: session.key.facts(shop.key.id))
        assert facts is not None
        assert facts.created == shop.key.valid_after.replace(microsecond=0)
        assert (facts.key_id, facts.expires, facts.disabled) == (shop.key.id, None, False)

    def test_an_end_and_a_disabled_key(self, shop: Shop) -> None:
        shop.key.disabled = True
        shop.key.valid_before = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
        facts = shop.session(lambda session: session.key.facts(shop.key.id))
        assert facts is not None
        assert (facts.expires, facts.disabled) == (shop.key.valid_before, True)

    def test_a_key_is_asked_for_anew(self, shop: Shop) -> None:
        async def before_and_after(session: GcrSession) -> tuple[bool, bool]:
            first = await session.key.facts(shop.key.id)
            shop.account.keys.clear()
            return first is not None, await session.key.facts(shop.key.id) is not None

        assert shop.session(before_and_after) == (True, False)

    def test_a_key_is_deleted_once_and_gone_after(self, shop: Shop) -> None:
        async def twice(session: GcrSession) -> list[bool]:
            return [await session.key.delete(shop.key.id), await session.key.delete(shop.key.id)]

        assert shop.session(twice) == [True, False]
        assert shop.account.user_keys() == []

    @pytest.mark.parametrize("fault", ["lost", "503", "429"])
    def test_a_delete_whose_answer_is_lost_is_done(self, shop: Shop, fault: str) -> None:
        shop.world.fault(f"iam.DeleteServiceAccountKey={fault}")
        assert shop.session(lambda session: session.key.delete(shop.key.id))
        assert shop.account.user_keys() == []

    def test_a_key_is_switched_off_and_on(self, shop: Shop) -> None:
        async def off_and_on(session: GcrSession) -> list[bool]:
            seen = []
            for on in (False, True):
                await session.key.switch(shop.key.id, on=on)
                facts = await session.key.facts(shop.key.id)
                seen.append(facts is not None and facts.disabled)
            return seen

        assert shop.session(off_and_on) == [True, False]

    def test_a_key_that_is_gone_cannot_be_switched(self, shop: Shop) -> None:
        with pytest.raises(PullkeyError, match="was deleted"):
            shop.session(lambda session: session.key.switch("0" * 40, on=True))

    @pytest.mark.parametrize(
        ("permission", "call"),
        [
            ("list", lambda session: session.key.facts("0" * 40)),
            ("delete", lambda session: session.key.delete("0" * 40)),
            ("disable", lambda session: session.key.switch("0" * 40, on=False)),
            ("list", lambda session: session.key.used_by_others([])),
        ],
    )
    def test_what_may_not_be_done_is_told_in_a_sentence(
        self, shop: Shop, permission: str, call: Callable[[GcrSession], Awaitable[Any]]
    ) -> None:
        shop.world.cloud.state.denied_permissions.add(f"iam.serviceAccountKeys.{permission}")
        with pytest.raises(StepFailed, match=r"Google refused to .* PERMISSION_DENIED"):
            shop.session(call)

    def test_the_command_that_deletes_it(self, shop: Shop) -> None:
        async def command(session: GcrSession) -> str:
            return session.key.delete_command("abc")

        assert shop.session(command) == (
            f"gcloud iam service-accounts keys delete abc --iam-account={shop.account.email} "
            f"--project={shop.project.id}"
        )


class TestOthers:
    def test_nobody_else(self, shop: Shop) -> None:
        assert shop.session(lambda session: session.key.used_by_others([shop.key.id])) == []

    def test_another_key_and_whoever_may_act_as_the_account(self, shop: Shop) -> None:
        theirs = shop.world.cloud.state.add_key(
            shop.account, PUBLIC, created=dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        )
        pool = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/*"
        shop.grant(shop.account, "roles/iam.workloadIdentityUser", pool)
        found = shop.session(lambda session: session.key.used_by_others([shop.key.id]))
        assert found == [
            f"key {theirs.id} of 2026-01-02",
            f"{pool}, who has roles/iam.workloadIdentityUser on it",
        ]

    def test_the_key_that_google_itself_keeps_does_not_count(self, shop: Shop) -> None:
        shop.world.cloud.state.add_key(shop.account, PUBLIC, system_managed=True)
        assert shop.session(lambda session: session.key.used_by_others([shop.key.id])) == []


class TestLocating:
    def test_by_the_derived_name(self, shop: Shop) -> None:
        target = shop.locate(shop.held())
        assert (target.project, target.host, target.repository) == (shop.project.id, HOST, "containers")
        assert (target.account, target.account_given, target.role) == (shop.account.email, False, READER)
        assert target.secret_name == shop.name

    def test_the_name_fits_though_the_grant_is_gone(self, shop: Shop) -> None:
        held = shop.held(f"europe-west1-docker-pkg-dev-{shop.project.id}-tools")
        target = shop.locate(held)
        assert target.repository == "tools"

        async def grant(session: GcrSession) -> State:
            return (await next(it for it in session.steps if it.name == "grant").look()).state

        assert with_session(target, grant) is State.MISSING

    def test_a_role_on_the_whole_project_is_a_grant_and_none_that_offboarding_takes(self, shop: Shop) -> None:
        shop.repository.policy = type(shop.repository.policy)()
        shop.grant(shop.project, READER, shop.account.member)

        async def grant(session: GcrSession) -> State:
            return (await next(it for it in session.steps if it.name == "grant").look()).state

        assert shop.session(grant) is State.DONE
        assert shop.removal("grant").disposition is Disposition.GONE
        assert shop.removal("identity").disposition is Disposition.KEEP

    def test_a_repository_that_is_gone_itself(self, shop: Shop) -> None:
        del shop.project.repositories["europe-west1", "containers"]
        assert shop.locate(shop.held()).repository == "containers"
        assert shop.removal("grant").disposition is Disposition.GONE

    def test_a_whole_project(self, shop: Shop) -> None:
        shop.grant(shop.project, READER, shop.account.member)
        target = shop.locate(shop.held(f"europe-west1-docker-pkg-dev-{shop.project.id}"))
        assert (target.project, target.repository) == (shop.project.id, "")

    @pytest.mark.parametrize("name", ["", "docker-credentials"])
    def test_gcr_io(self, shop: Shop, name: str) -> None:
        state = shop.world.cloud.state
        shop.grant(state.add_repository(shop.project.id, "us", "gcr.io"), READER, shop.account.member)
        target = shop.locate(shop.held(name or f"gcr-io-{shop.project.id}", host="gcr.io"))
        assert (target.project, target.repository, target.location) == (shop.project.id, "gcr.io", "us")

    def test_gcr_io_by_a_role_on_the_project(self, shop: Shop) -> None:
        shop.grant(shop.project, READER, shop.account.member)
        assert shop.locate(shop.held("docker-credentials", host="gcr.io")).repository == "gcr.io"

    def test_a_name_of_ones_own_by_the_role(self, shop: Shop) -> None:
        assert shop.locate(shop.held("docker-credentials")).repository == "containers"

    def test_a_name_of_ones_own_that_begins_like_a_derived_one(self, shop: Shop) -> None:
        assert shop.locate(shop.held(f"{shop.name}-2")).repository == "containers"

    def test_a_long_name_that_was_cut(self, shop: Shop) -> None:
        long = "a-repository-with-a-very-long-name-for-its-images"
        shop.world.cloud.state.add_repository(shop.project.id, "europe-west1", long)
        wanted = GcrTarget.parse({"server": f"{HOST}/{shop.project.id}/{long}"})
        assert not wanted.secret_name.endswith("images")
        assert shop.locate(shop.held(wanted.secret_name)).repository == long

    def test_the_role_of_the_older_page(self, shop: Shop) -> None:
        shop.grant(shop.project, "roles/storage.objectViewer", shop.account.member)
        held = shop.held(f"europe-west1-docker-pkg-dev-{shop.project.id}-tools")
        target = shop.locate(held)
        assert (target.repository, target.role) == ("tools", "roles/storage.objectViewer")
        assert shop.removal("grant", held).disposition is Disposition.REMOVE

    def test_another_project_by_its_name_and_an_account_that_was_given(self, shop: Shop) -> None:
        given = shop.add_account("puller", project="acme-images", ours=False)
        try:
            shop.grant(shop.repository, READER, given.member)
            target = shop.locate(shop.held(account=given))
            assert (target.project, target.repository) == (shop.project.id, "containers")
            assert (target.account, target.account_given) == (given.email, True)
        finally:
            shop.world.cloud.state.delete_account(given)

    def test_an_account_of_ours_that_pulls_from_another_project_is_one_that_was_given(
        self, shop: Shop
    ) -> None:
        other = shop.add_account("puller", project="acme-shop")
        shop.grant(shop.repository, READER, other.member)
        assert shop.locate(shop.held(account=other)).account_given

    def test_an_account_that_somebody_made_is_given(self, shop: Shop) -> None:
        shop.account.description = "Made by hand."
        assert shop.locate(shop.held()).account_given

    def test_two_possibilities_are_both_named_and_an_image_decides(self, shop: Shop) -> None:
        shop.grant(shop.project.repositories["europe-west1", "tools"], READER, shop.account.member)
        held = shop.held("docker-credentials")
        with pytest.raises(PullkeyError) as error:
            shop.locate(held)
        assert f"{shop.project.id}/containers, {shop.project.id}/tools" in error.value.what
        assert f"--image {HOST}/PROJECT/REPOSITORY/IMAGE:TAG" in error.value.fix

        target = shop.locate(held, image=f"{HOST}/{shop.project.id}/tools/hammer:2")
        assert (target.repository, target.image_path, target.reference) == ("tools", "hammer", "2")

    def test_a_name_that_can_be_read_in_two_ways_is_decided_by_the_role(self, shop: Shop) -> None:
        state = shop.world.cloud.state
        other = state.add_project(f"{shop.project.id}-eu", f"9{shop.project.number}")
        shop.grant(other, "roles/owner", f"serviceAccount:{state.operator}")
        for project, name in ((shop.project, "eu-base"), (other, "base")):
            state.add_repository(project.id, "europe-west1", name)
        held = shop.held(f"europe-west1-docker-pkg-dev-{shop.project.id}-eu-base")
        with pytest.raises(PullkeyError, match="may be for any of these"):
            shop.locate(held)
        shop.grant(other.repositories["europe-west1", "base"], READER, shop.account.member)
        assert shop.locate(held).project == other.id

    def test_a_project_that_the_name_may_mean_is_passed_over_behind_a_perimeter(self, shop: Shop) -> None:
        shop.world.fault(f"resourcemanager.GetProject=403;message={quote(PERIMETER)}*9")
        shop.repository.policy = type(shop.repository.policy)()  # no role decides
        target = shop.locate(shop.held())
        assert (target.project, target.repository) == (shop.project.id, "containers")

    def test_a_perimeter_is_named_where_nothing_else_fits(self, shop: Shop) -> None:
        shop.world.fault(f"resourcemanager.GetProject=403;message={quote(PERIMETER)}*9")
        shop.repository.policy = type(shop.repository.policy)()
        with pytest.raises(PullkeyError, match="vpcServiceControlsUniqueIdentifier") as error:
            shop.locate(shop.held("europe-west1-docker-pkg-dev-another-project-containers"))
        assert "VPC Service Controls forbid the call" in error.value.fix

    def test_nothing_that_fits(self, shop: Shop) -> None:
        shop.repository.policy = type(shop.repository.policy)()
        with pytest.raises(PullkeyError, match="is not known"):
            shop.locate(shop.held("docker-credentials"))

    def test_an_image_of_another_registry(self, shop: Shop) -> None:
        with pytest.raises(UsageProblem, match=r"is of gcr\.io"):
            shop.locate(shop.held(), image="gcr.io/acme-shop/checkout:1")

    def test_without_the_right_to_list_the_name_is_enough(self, shop: Shop) -> None:
        shop.world.cloud.state.denied_permissions |= {
            "artifactregistry.repositories.list",
            "artifactregistry.repositories.getIamPolicy",
        }
        assert shop.locate(shop.held()).repository == "containers"

    def test_whose_an_account_is_that_may_not_be_seen_is_not_guessed(self, shop: Shop) -> None:
        denied = shop.world.cloud.state.denied_permissions
        denied.add("iam.serviceAccounts.get")
        target = shop.locate(shop.held())
        assert shop.removal("identity").disposition is Disposition.UNSEEN
        assert shop.removal("grant").disposition is Disposition.UNSEEN
        denied.clear()

        async def ask(session: GcrSession) -> Removal | None:
            return await session.steps[0].removal()

        removal = with_session(target, ask)
        assert removal is not None
        assert removal.disposition is Disposition.REMOVE

    def test_an_uploaded_key_is_followed_by_one_of_the_same_life(self, shop: Shop) -> None:
        shop.key.uploaded = True
        shop.key.valid_before = shop.key.valid_after + dt.timedelta(days=45)
        target = shop.locate(shop.held())
        assert (target.key_source, target.life) == ("upload", dt.timedelta(days=45))
        shop.key.uploaded = False
        assert shop.locate(shop.held()).key_source == "create"

    def test_acting_as_another_account(self, shop: Shop) -> None:
        setup = "registry-setup@acme-admin.iam.gserviceaccount.com"
        with pytest.raises(PullkeyError):
            shop.locate(shop.held("docker-credentials"), impersonate_service_account=setup)
        shop.grant(shop.project, "roles/owner", f"serviceAccount:{setup}")
        target = shop.locate(shop.held(), impersonate_service_account=setup)
        assert target.impersonate == setup

    def test_no_login(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent.json")
        with pytest.raises(PullkeyError, match="no usable Google login"):
            shop.locate(shop.held())

    @pytest.mark.parametrize(
        ("server", "ours"),
        [
            (HOST, True),
            (f"https://{HOST}/", True),
            ("https://gcr.io/v2", True),
            ("https://docker.us-east1.rep.pkg.dev", True),
            ("https://acme.azurecr.io", False),
            ("https://evilgcr.io", False),
            ("https://index.docker.io/v1/", False),
            ("", False),
        ],
    )
    def test_a_google_registry_is_known_by_its_host_alone(self, server: str, ours: bool) -> None:
        assert provider.recognises(HeldCredential("x", server, "somebody", "", "OK")) is ours


class TestSharing:
    def test_one_login_and_each_question_once_for_many_credentials(self, shop: Shop) -> None:
        async def many(context: RunContext) -> list[GcrTarget]:
            return [await provider.locate(shop.held(), context, {}) for _ in range(5)]

        log = shop.world.running.sandbox.log
        begin = len(log.calls)
        assert len({target.label for target in in_command(many)}) == 1
        asked = [f"{call.api}.{call.method}" for call in log.calls[begin:]]
        assert sorted(asked) == sorted(set(asked)), asked

    def test_a_login_that_failed_fails_alike_for_all(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent.json")

        async def twice(context: RunContext) -> list[str]:
            said = []
            for _ in range(2):
                with pytest.raises(PullkeyError) as error:
                    await provider.locate(shop.held(), context, {})
                said.append(error.value.what)
            return said

        first, second = in_command(twice)
        assert first == second

    def test_a_session_that_is_closed_takes_the_connections_from_no_other(self, shop: Shop) -> None:
        async def both(context: RunContext) -> bool:
            target = await provider.locate(shop.held(), context, {})
            one, other = provider.open(target, context), provider.open(target, context)
            await one.connect()
            await one.close()
            return await other.key.facts(shop.key.id) is not None

        assert in_command(both)

    def test_everything_is_closed_in_the_end(self, shop: Shop) -> None:
        async def opened() -> tuple[Shared, Any]:
            context = RunContext(Deadline(20), lambda _: None, lambda _: None)
            await provider.locate(shop.held(), context, {})
            cloud = context.shared.get(("gcr", ""), lambda: None)
            return context.shared, cloud

        async def closed() -> bool:
            shared, cloud = await opened()
            clients = list(cloud._clients)
            await shared.close()
            return bool(clients) and cloud._clients == []

        assert asyncio.run(closed())


class TestRemoval:
    def test_what_is_ours_goes(self, shop: Shop) -> None:
        assert shop.removal("grant").disposition is Disposition.REMOVE
        assert shop.removal("identity").disposition is Disposition.REMOVE
        assert "removed" in shop.remove("grant")
        assert shop.repository.policy.bindings() == []
        assert shop.remove("identity") == f"deleted the service account {shop.account.email}"
        assert shop.project.accounts == {}

    def test_what_is_gone_already_is_done(self, shop: Shop) -> None:
        shop.world.cloud.state.delete_account(shop.account)
        assert shop.removal("grant").disposition is Disposition.GONE
        assert shop.removal("identity").disposition is Disposition.GONE
        assert (shop.remove("grant"), shop.remove("identity")) == ("", "")

    def test_others_in_the_same_binding_stay(self, shop: Shop) -> None:
        shop.grant(shop.repository, READER, "group:developers@acme.example")
        shop.grant(
            shop.repository,
            READER,
            "user:guest@acme.example",
            condition=expr_pb2.Expr(title="t", expression="true"),
        )
        shop.remove("grant")
        left = [(list(it.members), it.condition.title) for it in shop.repository.policy.bindings()]
        assert sorted(left) == [(["group:developers@acme.example"], ""), (["user:guest@acme.example"], "t")]

    def test_the_role_of_an_account_that_somebody_made_stays_with_the_command(self, shop: Shop) -> None:
        shop.account.description = "Made by hand."
        removal = shop.removal("grant")
        assert (removal.disposition, removal.why) == (
            Disposition.KEEP,
            "this account was created outside of pullkey, as may be the grant",
        )
        assert removal.command == (
            f"gcloud artifacts repositories remove-iam-policy-binding containers --location=europe-west1 "
            f"--project={shop.project.id} --member=serviceAccount:{shop.account.email} "
            f"--role={READER} --condition=None"
        )
        assert shop.removal("identity").disposition is Disposition.KEEP

    def test_a_grant_with_a_condition_is_not_ours(self, shop: Shop) -> None:
        policy = shop.repository.policy
        shop.repository.policy = type(policy)()
        shop.grant(
            shop.repository,
            READER,
            shop.account.member,
            condition=expr_pb2.Expr(title="t", expression="true"),
        )
        assert shop.removal("grant").why == "it is not shown; its removal is requested"
        assert shop.remove("grant") == ""
        assert shop.repository.policy.has_conditions()
        assert shop.removal("identity").disposition is Disposition.KEEP

    @pytest.mark.parametrize("where", ["project", "repository"])
    def test_an_account_that_has_other_roles_stays(self, shop: Shop, where: str) -> None:
        place: Project | Repository = (
            shop.project if where == "project" else shop.project.repositories["europe-west1", "tools"]
        )
        shop.grant(place, "roles/artifactregistry.writer", shop.account.member)
        removal = shop.removal("identity")
        assert removal.disposition is Disposition.KEEP
        assert f"it has other roles: roles/artifactregistry.writer on {where}" in removal.why

    @pytest.mark.parametrize(
        ("step", "permission"),
        [
            ("grant", "artifactregistry.repositories.getIamPolicy"),
            ("identity", "resourcemanager.projects.getIamPolicy"),
            ("identity", "artifactregistry.repositories.list"),
        ],
    )
    def test_what_may_not_be_looked_at_is_unseen(self, shop: Shop, step: str, permission: str) -> None:
        shop.world.cloud.state.denied_permissions.add(permission)
        assert shop.removal(step).disposition is Disposition.UNSEEN

    def test_an_account_that_somebody_made_anew_meanwhile_is_not_deleted(self, shop: Shop) -> None:
        target, email = shop.locate(shop.held()), shop.account.email
        state = shop.world.cloud.state

        async def remove(session: GcrSession) -> str:
            removal = await session.steps[0].removal()
            assert removal is not None
            assert removal.disposition is Disposition.REMOVE
            state.delete_account(shop.account)
            state.add_account(shop.project.id, email.partition("@")[0], created=state.now())
            return await session.steps[0].remove()

        assert with_session(target, remove) == ""
        assert email in shop.project.accounts

    def test_a_role_that_was_shown_is_asked_for_again_where_an_older_policy_comes(self, shop: Shop) -> None:
        granted = shop.repository.policy

        def show(found: AllowPolicy) -> None:
            shop.repository.policy = found

        async def part(session: GcrSession) -> str:
            (grant,) = [it for it in session.steps if it.name == "grant"]
            removal = await grant.removal()
            assert removal is not None
            assert removal.disposition is Disposition.REMOVE
            meanwhile(shop.world, "artifactregistry.GetIamPolicy", lambda: show(type(granted)()))
            meanwhile(shop.world, "iam.GetServiceAccount", lambda: show(granted))
            return await grant.remove()

        assert "removed" in with_session(shop.locate(shop.held()), part)

    def test_a_policy_that_others_write_too_is_read_again(self, shop: Shop) -> None:
        shop.world.fault("artifactregistry.SetIamPolicy=409*2")
        assert "removed" in shop.remove("grant")


class TestCheckup:
    def checks(self, **login: str) -> dict[str, Check]:
        return {check.what: check for check in in_command(lambda context: provider.checkup(context, login))}

    def test_all_is_well(self, shop: Shop) -> None:
        checks = self.checks()
        assert checks["libraries"].good
        assert checks["login"].detail == f"as {shop.world.cloud.state.operator}"
        assert checks["clock"].good
        assert checks["project"].detail.endswith("acme-shop")
        assert checks["addresses"].good is None

    def test_without_a_login_there_is_one_bad_line_with_its_fix(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent.json")
        bad = [check for check in self.checks().values() if check.good is False]
        assert [check.what for check in bad] == ["login"]
        assert "gcloud auth application-default login" in bad[0].fix

    def test_a_login_whose_key_is_gone(self, shop: Shop) -> None:
        state = shop.world.cloud.state
        operator = state.account(state.operator)
        kept, operator.keys = operator.keys, {}
        try:
            check = self.checks()["login"]
        finally:
            operator.keys = kept
        assert check.good is False
        assert "Invalid JWT Signature" in check.detail

    @pytest.mark.parametrize(("minutes", "side"), [(3, "behind"), (-3, "ahead")])
    def test_a_clock_that_is_wrong(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, minutes: int, side: str
    ) -> None:
        from email.utils import format_datetime

        from google.auth.transport import requests

        real: Any = requests.Request.__call__

        def late(self: Any, *arguments: Any, **options: Any) -> Any:
            answer = real(self, *arguments, **options)
            theirs = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
            answer._response.headers["date"] = format_datetime(theirs, usegmt=True)
            return answer

        monkeypatch.setattr(requests.Request, "__call__", late)
        check = self.checks()["clock"]
        assert check.good is False
        assert side in check.detail
        assert "Set the clock" in check.fix

    def test_an_account_to_act_as_that_is_none(self, shop: Shop) -> None:
        check = self.checks(impersonate_service_account="nobody")["login"]
        assert check.good is False


@pytest.mark.parametrize("repository", ["n-containers", ""])
def test_a_record_of_another_project_whose_name_in_akka_is_the_same_is_of_another_place(
    shop: Shop, repository: str
) -> None:
    own = shop.locate(shop.held())
    account = "akka-docker-reader@shop-other.iam.gserviceaccount.com"
    other = replace(own, project="shop-other", repository=repository, account=account)

    assert with_session(other, lambda it: it.other_place(shop.held())) == own.label
    for same in (replace(own, account=account), replace(own, repository="")):
        assert not with_session(same, lambda it: it.other_place(shop.held()))

"""Azure: how long is waited for what, and what is concluded from an answer that is lost."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from bootstrap.testing.harness.world import World
from providers.acr.errors import AzureApiError
from tests.harness.azure_state import APP, NAME, ONLY_CHECKOUT, TOKEN, applications, roles


def times(world: World, name: str) -> list[float]:
    """When the calls of that name came, in seconds."""
    return [
        dt.datetime.fromisoformat(call.time).timestamp()
        for call in world.running.sandbox.log.calls
        if f"{call.api}.{call.method}" == name
    ]


class TestRetryAfter:
    @pytest.mark.parametrize(
        "call", ["graph.UpsertApplication", "graph.AddPassword", "arm.PutRoleAssignment"]
    )
    def test_a_write_keeps_to_it(self, acr: World, call: str) -> None:
        acr.fault(f"{call}=429;retry-after=3")
        done = acr.onboard()
        assert done.code == 0, done.text
        first, second = times(acr, call)
        assert 3 <= second - first < 6

    @pytest.mark.parametrize("call", ["graph.AddPassword", "arm.PutRoleAssignment"])
    def test_one_that_does_not_fit_is_not_waited_for(self, acr: World, call: str) -> None:
        acr.fault(f"{call}=429;retry-after=600*forever")
        begin = time.monotonic()
        failed = acr.onboard()
        assert failed.code == 1, failed.text
        assert "limits the rate" in failed.text
        assert len(times(acr, call)) == 1
        assert time.monotonic() - begin < 15


class TestLostAnswers:
    @pytest.mark.parametrize("how", ["lost", "cut", "500"])
    def test_of_deleting_an_application(self, acr: World, how: str) -> None:
        assert acr.onboard().code == 0
        acr.fault(f"graph.DeleteApplication={how}")
        begin = time.monotonic()
        gone = acr.run("offboard", NAME, "--yes")
        assert gone.code == 0, gone.text
        assert applications(acr) == []
        assert time.monotonic() - begin < 15

    def test_of_deleting_one_in_a_rollback(self, acr: World) -> None:
        acr.fault("graph.DeleteApplication=lost")
        acr.fault("arm.PutRoleAssignment=403*forever")
        begin = time.monotonic()
        failed = acr.onboard()
        assert failed.code == 1, failed.text
        assert applications(acr) == []
        assert time.monotonic() - begin < 15

    def test_of_deleting_it_permanently(self, acr: World) -> None:
        acr.fault("graph.DeleteDeletedItem=lost")
        acr.fault("arm.PutRoleAssignment=403*forever")
        failed = acr.onboard()
        assert failed.code == 1, failed.text

    @pytest.mark.parametrize("how", ["lost", "cut"])
    def test_of_creating_a_service_principal(self, acr: World, how: str) -> None:
        acr.fault(f"graph.CreateServicePrincipal={how}")
        done = acr.onboard()
        assert done.code == 0, done.text


def test_a_service_principal_that_is_there_already_is_used(acr: World) -> None:
    """Made by another run between this run's look and its call, and not shown at once."""
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    acr.fault("graph.GetServicePrincipal=404;code=Request_ResourceNotFound*4")
    done = acr.onboard("--new-key")
    assert done.code == 0, done.text
    assert roles(acr, application.app_id) == [("AcrPull", "acmeshop")]


def test_a_role_that_was_never_granted_is_not_left_over(acr: World) -> None:
    acr.fault("arm.PutRoleAssignment=403;code=AuthorizationFailed*forever")
    acr.fault("arm.DeleteRoleAssignment=403;code=AuthorizationFailed*forever")
    failed = acr.onboard()
    assert failed.code == 1, failed.text
    assert "az role assignment delete" not in failed.text


class TestTokenOperations:
    """Rights on the registry do not cover the operations of its tokens."""

    def refuse_polls(self, world: World) -> None:
        for call in ("GetOperationStatus", "GetOperationResult"):
            world.fault(f"arm.{call}=403;code=AuthorizationFailed*forever")

    def tokens(self, world: World) -> list[Any]:
        return list(world.cloud.state.registry("acmeshop").tokens.values())

    def test_a_whole_life_needs_none_of_them(self, acr: World) -> None:
        self.refuse_polls(acr)
        assert acr.onboard(*ONLY_CHECKOUT).code == 0
        assert acr.run("rotate", NAME, "--yes", "--keep-old", "0").code == 0
        gone = acr.run("offboard", NAME, "--yes")
        assert gone.code == 0, gone.text
        assert self.tokens(acr) == []

    def test_a_rollback_leaves_nothing_over(self, acr: World) -> None:
        self.refuse_polls(acr)
        acr.fault("arm.GenerateCredentials=403;code=AuthorizationFailed*forever")
        failed = acr.onboard(*ONLY_CHECKOUT)
        assert failed.code == 1, failed.text
        assert self.tokens(acr) == []
        assert acr.cloud.state.registry("acmeshop").scope_maps == {}

    @pytest.mark.parametrize(
        ("call", "polls_refused"), [("token", False), ("token", True), ("scope map", False)]
    )
    def test_what_an_operation_has_left_that_failed_is_undone(
        self, acr: World, call: str, polls_refused: bool
    ) -> None:
        state = acr.cloud.state
        state.operations_fail, state.scope_maps_take_a_poll = True, call == "scope map"
        if polls_refused:
            self.refuse_polls(acr)

        failed = acr.onboard(*ONLY_CHECKOUT)

        assert failed.code == 1, failed.text
        assert f"refused to create the {call} {TOKEN}: " in failed.text
        assert ("Azure has ended the change" if polls_refused else "Operation failed") in failed.text
        assert self.tokens(acr) == []
        assert state.registry("acmeshop").scope_maps == {}

    def test_no_permission_on_operations_is_asked_for(self, acr: World) -> None:
        acr.cloud.state.denied_actions |= {
            "Microsoft.ContainerRegistry/registries/tokens/operationStatuses/read",
            "Microsoft.ContainerRegistry/registries/scopeMaps/operationStatuses/read",
        }
        done = acr.onboard(*ONLY_CHECKOUT)
        assert done.code == 0, done.text


@pytest.mark.parametrize(
    "answer",
    [
        "400;code=Request_BadRequest;message=not%20a%20valid%20application%20object",
        "403;code=Authorization_RequestDenied;message=the%20backing%20application%20must",
    ],
)
def test_an_application_that_another_run_has_just_created_is_not_known_everywhere(
    acr: World, answer: str
) -> None:
    """Two jobs begin seconds apart with the application that is their default."""
    state = acr.cloud.state
    state.add_application(APP, unique_name=f"pullkey-{APP}", owner_id=state.operator.object_id)
    acr.fault(f"graph.CreateServicePrincipal={answer}")
    done = acr.onboard()
    assert done.code == 0, done.text


def test_a_new_secret_waits_for_a_server_that_does_not_find_an_application_of_long_ago(acr: World) -> None:
    assert acr.onboard().code == 0
    applications(acr)[0].lifetime.created -= dt.timedelta(days=1)
    acr.fault("graph.AddPassword=404;code=Directory_ObjectNotFound")
    acr.fault("graph.AddPassword=404;code=Request_ResourceNotFound")
    done = acr.run("rotate", NAME, "--yes")
    assert done.code == 0, done.text
    assert len(times(acr, "graph.AddPassword")) == 1 + 3


def test_a_server_that_does_not_know_the_directory_has_not_said_that_an_object_is_absent() -> None:
    away = AzureApiError(404, "Directory_ObjectNotFound", "Unable to read the company information")
    assert (away.missing, away.passing) == (False, True)


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_secret_that_some_servers_do_not_know_yet_is_not_reported_as_one_that_does_not_pull(
    acr: World, refusals: int
) -> None:
    """Right after a rotation, the servers of Entra that answer differ."""
    assert acr.onboard().code == 0
    acr.fault(f"registry.GetToken=401*{refusals}")

    verified = acr.run("verify", NAME, "--credential-stdin", stdin=acr.held(NAME).password)

    assert verified.code == 0, verified.text
    assert "does not pull" not in verified.text

"""Azure: what a lagging read does not show is not gone; an offboarding waits for it, or names it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.sandbox.host import SandboxSettings
from bootstrap.testing.harness.world import World, make_world
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, applications, roles

HIDDEN = "graph.GetApplication=404;code=Request_ResourceNotFound*"


def never_shown(world: World) -> None:
    for call in ("GetApplication", "GetServicePrincipal", "ListApplications"):
        world.fault(f"graph.{call}=404;code=Request_ResourceNotFound*forever")


def test_an_offboarding_does_not_take_an_application_for_gone_that_it_never_saw(acr: World) -> None:
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    never_shown(acr)

    left = acr.run("offboard", NAME, "--yes", "--timeout", "12s")

    assert left.code == 6, left.text
    assert f"az ad app delete --id {application.app_id}" in left.text
    assert len(applications(acr)) == 1


def test_an_offboarding_waits_for_an_application_that_is_not_shown_yet(acr: World) -> None:
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    acr.fault(f"{HIDDEN}12")

    gone = acr.run("offboard", NAME, "--yes", "--timeout", "60s")

    assert gone.code == 0, gone.text
    assert applications(acr) == []
    assert roles(acr, application.app_id) == []


def test_an_application_that_is_known_to_be_deleted_is_gone(acr: World) -> None:
    assert acr.onboard().code == 0
    (application,) = applications(acr)
    application.lifetime.removed = acr.cloud.state.now()
    acr.cloud.state.principal_by_app_id(application.app_id).lifetime.removed = acr.cloud.state.now()

    gone = acr.run("offboard", NAME, "--yes")

    assert gone.code == 0, gone.text
    assert acr.names() == []


def test_one_read_without_the_application_is_no_drift(acr: World) -> None:
    assert acr.onboard().code == 0
    for call in ("graph.GetApplication", "graph.GetServicePrincipal"):
        acr.fault(f"{call}=404;code=Request_ResourceNotFound")
    assert acr.run("verify", "acr").code == 0
    for call in ("graph.GetApplication", "graph.GetServicePrincipal"):
        acr.fault(f"{call}=404;code=Request_ResourceNotFound")
    listed = acr.run("list", "--check")
    assert listed.code == 0, listed.text


class TestTokens:
    def test_a_token_that_was_just_created_is_not_gone_because_no_read_shows_it(self, acr: World) -> None:
        assert acr.onboard(*ONLY_CHECKOUT).code == 0
        for call in ("GetToken", "ListTokens"):
            acr.fault(f"arm.{call}=404;code=ResourceNotFound*forever")

        left = acr.run("offboard", NAME, "--yes", "--timeout", "12s")

        assert left.code == 6, left.text
        assert "az acr token delete" in left.text
        assert len(acr.cloud.state.registry("acmeshop").tokens) == 1

    def test_one_that_has_had_its_time_is(self, acr: World) -> None:
        acr.running.sandbox.advance(dt.timedelta(days=-1))
        assert acr.onboard(*ONLY_CHECKOUT).code == 0
        registry = acr.cloud.state.registry("acmeshop")
        registry.tokens.clear()
        registry.scope_maps.clear()

        gone = acr.run("offboard", NAME, "--yes")

        assert gone.code == 0, gone.text


@pytest.fixture
def lagging() -> Iterator[World]:
    yield from make_world("acr", SandboxSettings(propagation=8.0))


def test_within_seconds_of_an_onboarding_nothing_is_left_behind(lagging: World) -> None:
    assert lagging.run("onboard", "acr", "--yes", "--no-wait", "--timeout", "60s").code == 0
    (application,) = applications(lagging)
    gone = lagging.run("offboard", NAME, "--yes", "--timeout", "90s")
    assert gone.code == 0, gone.text
    assert applications(lagging) == []
    assert roles(lagging, application.app_id) == []


class Hidden:
    """Reads come from a replica that does not know the secrets yet, a number of times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        from providers.acr.emulator import applications

        real = applications.application_json
        self.left = times

        def shown(*args: Any, **kwargs: Any) -> dict[str, Any]:
            answer = real(*args, **kwargs)
            if self.left > 0:
                self.left -= 1
                return {**answer, "passwordCredentials": []}
            return answer

        monkeypatch.setattr(applications, "application_json", shown)


def test_one_read_without_the_secret_makes_no_second_one(acr: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert acr.onboard().code == 0
    Hidden(monkeypatch, 1)
    again = acr.onboard("--output", "json")
    assert again.json["result"] == "unchanged", again.text
    assert len(applications(acr)[0].secrets) == 1


def test_a_lost_secret_that_reads_show_late_is_found_all_the_same(
    acr: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = acr.cloud.state.add_application("partner")
    acr.cloud.state.add_service_principal(given)
    acr.fault("graph.AddPassword=lost")
    Hidden(monkeypatch, 9)
    done = acr.onboard("--app-id", given.app_id)
    assert done.code == 0, done.text
    assert len([one for one in given.secrets if one.lifetime.exists]) == 1


def test_a_lost_secret_that_shows_late_and_cannot_be_deleted_is_reported(
    acr: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = acr.cloud.state.add_application("partner")
    acr.cloud.state.add_service_principal(given)
    acr.fault("graph.AddPassword=lost")
    acr.fault("graph.RemovePassword=403;code=Authorization_RequestDenied*forever")
    Hidden(monkeypatch, 9)
    done = acr.onboard("--app-id", given.app_id)
    assert done.code == 6, done.text
    lost, used = given.secrets
    assert acr.held(NAME).password == used.text
    assert f"az ad app credential delete --id {given.app_id} --key-id {lost.key_id}" in done.text

    again = acr.run("list")  # the next command finds it in the journal
    assert again.code == 6, again.text
    assert lost.key_id in again.text


def test_an_application_whose_creation_got_no_answer_is_looked_for_more_than_once(acr: World) -> None:
    acr.fault("graph.UpsertApplication=types*forever")
    acr.fault(f"{HIDDEN}4")

    ended = acr.run("onboard", "acr", "--yes", "--timeout", "2s")

    # On a quick machine the reads show it in time, and the run ends well.
    assert ended.code in (0, 1), ended.text
    assert len(applications(acr)) == (1 if ended.code == 0 else 0)

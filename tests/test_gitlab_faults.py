"""GitLab fails or loses an answer: one token is left, or what is left is listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from bootstrap.testing.harness.world import World
from providers.gitlab.emulator import api
from providers.gitlab.emulator.pages import page_of
from tests.harness.gitlab_state import NAME, onboard, our_tokens, tokens_of


@pytest.mark.parametrize(
    "fault",
    [
        "gitlab.GetUser=503",
        "gitlab.ListProjectDeployTokens=429;retry-after=1",
        "gitlab.ListProjectDeployTokens=malformed",
        "gitlab.CreateProjectDeployToken=malformed",
        "gitlab.CreateProjectDeployToken=types",
        "gitlab.CreateProjectDeployToken=500",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_token(gitlab: World, fault: str) -> None:
    gitlab.fault(fault)

    done = onboard(gitlab)

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab)
    assert gitlab.held(NAME).password == token.text


@pytest.mark.parametrize(
    "fault",
    [
        "gitlab.CreateProjectDeployToken=403",
        "gitlab.CreateProjectDeployToken=400",
        "gitlab.CreateProjectDeployToken=malformed*forever",
        "registry.GetManifest#3=401*forever",
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(gitlab: World, fault: str) -> None:
    before = tokens_of(gitlab.cloud.state)
    gitlab.fault(fault)

    done = onboard(gitlab, "--timeout", "4s", "--output", "json")

    assert done.code == 1, done.text
    assert tokens_of(gitlab.cloud.state) == before
    assert gitlab.names() == []
    assert done.json["left_over"] == []


def test_what_cannot_be_undone_is_listed_with_the_command_that_deletes_it(gitlab: World) -> None:
    gitlab.fault("gitlab.DeleteProjectDeployToken=403*forever")
    gitlab.fault("akka.docker.add-credentials=403")

    done = onboard(gitlab, "--output", "json")

    assert done.code == 6, done.text
    (left,) = done.json["left_over"]
    (token,) = our_tokens(gitlab)
    assert f"deploy-token-{token.number}" in left["what"]
    assert left["command"].startswith("curl --fail --request DELETE --header @<(")
    assert left["command"].endswith(f"/deploy_tokens/{token.number}")


def test_a_deletion_whose_answer_is_lost_leaves_nothing_over(gitlab: World) -> None:
    before = tokens_of(gitlab.cloud.state)
    gitlab.fault("gitlab.DeleteProjectDeployToken=lost")
    gitlab.fault("akka.docker.add-credentials=403")
    done = onboard(gitlab, "--output", "json")
    assert done.code == 1, done.text
    assert tokens_of(gitlab.cloud.state) == before
    assert done.json["left_over"] == []


def test_all_pages_are_read_where_a_proxy_drops_the_headers_about_them(
    gitlab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stripped(request: web.Request, rows: Sequence[Any]) -> web.Response:
        answer = page_of(request, rows)
        for name in [one for one in answer.headers if one.lower().startswith(("x-", "link"))]:
            del answer.headers[name]
        return answer

    monkeypatch.setattr(api, "page_of", stripped)
    state = gitlab.cloud.state
    for number in range(250):
        state.add_deploy_token(state.projects["acme/shop"], f"of others {number}", "read_registry")
    gitlab.fault("gitlab.CreateProjectDeployToken=lost")

    done = onboard(gitlab)

    assert done.code == 0, done.text
    (token,) = our_tokens(gitlab)
    assert gitlab.held(NAME).password == token.text

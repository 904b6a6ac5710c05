"""The access token that `gitlab` logs in with: asked for, refused, of too low a role or a narrow scope."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path

import pytest
from aiohttp import web

from bootstrap.sandbox.registry.answers import Refusal, Scope
from bootstrap.testing.harness.world import World
from providers.gitlab.emulator.registry import GitlabPolicy
from providers.gitlab.emulator.seed import DEVELOPER_TOKEN, MAINTAINER_TOKEN, OWNER_TOKEN, READ_TOKEN
from providers.gitlab.emulator.state import MAINTAINER
from tests.harness.gitlab_state import NAME, NO_IMAGE, akka_pulls, onboard, our_tokens
from tests.harness.terminal import Terminal

ELSEWHERE = {"PULLKEY_GITLAB_IMAGE": "images.elsewhere.example/acme/shop/checkout:1.0"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("glpat-wrong", "refuses the access token"),
        (DEVELOPER_TOKEN, "The user dan may not create deploy tokens of the project acme/shop"),
        (READ_TOKEN, "lacks the scope api (it has read_api, read_registry)"),
    ],
    ids=["wrong", "role", "scope"],
)
def test_a_login_that_may_not_is_found_before_any_change(gitlab: World, given: str, said: str) -> None:
    gitlab.passwords.append(given)

    done = onboard(gitlab, given=given)

    assert done.code == 3, done.text
    assert said in " ".join(done.err.split())
    assert gitlab.changes() == []


def test_an_expired_access_token(gitlab: World) -> None:
    gitlab.cloud.state.access_tokens[0].expires = gitlab.running.sandbox.now() - dt.timedelta(days=1)

    done = onboard(gitlab)

    assert done.code == 3, done.text
    assert "invalid_token" in done.err


def test_an_address_that_gitlab_has_banned_is_not_a_missing_permission(gitlab: World) -> None:
    gitlab.cloud.state.banned = True

    done = onboard(gitlab)

    assert done.code == 1, done.text
    assert "Too many failed authentication attempts from this IP" in done.err
    assert "15 minutes at GitLab.com" in done.err
    assert "PK-REGISTRY-RATE-LIMITED" in done.err
    assert "the new role" not in done.err  # not waited for
    assert our_tokens(gitlab) == []


@pytest.mark.parametrize(
    "asks",
    ['Basic realm="registry"', 'Bearer realm="https://images.elsewhere.example/v2/",service="registry"'],
    ids=["basic", "another token service"],
)
def test_the_access_token_goes_to_the_instance_and_not_to_the_registry(
    gitlab: World, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    """A registry that refuses the instance's token and asks for a login of its own: deploy tokens are created
    with the access token.
    """
    got: list[str] = []
    challenge = GitlabPolicy.challenge

    def asking(self: GitlabPolicy, request: web.Request, scope: Scope | None, error: str) -> Refusal:
        if "Authorization" not in request.headers:
            return challenge(self, request, scope, error)
        return self.refusal(401, "UNAUTHORIZED", "authentication required", challenge=asks)

    def noted(_: GitlabPolicy, request: web.Request) -> None:
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic ") and MAINTAINER_TOKEN in base64.b64decode(header[6:]).decode():
            got.append(f"{request.host}{request.path}")

    monkeypatch.setattr(GitlabPolicy, "challenge", asking)
    monkeypatch.setattr(GitlabPolicy, "_may_pull", lambda *_: False)  # of the access token's user
    monkeypatch.setattr(GitlabPolicy, "admit", noted)

    done = onboard(gitlab, "--gitlab", "https://git.sandbox.example/gitlab", env=ELSEWHERE)

    assert done.code == 0, done.text
    assert set(got) == {"git.sandbox.example/gitlab/jwt/auth"}


def test_no_login_and_no_terminal(gitlab: World) -> None:
    done = gitlab.onboard()

    assert done.code == 2, done.text
    assert "--login-stdin < FILE" in done.err
    assert gitlab.changes() == []


def test_the_access_token_is_nowhere(gitlab: World) -> None:
    done = onboard(gitlab, "--verbose")

    assert MAINTAINER_TOKEN not in done.text


class TestAtATerminal:
    """The access token is asked for when it is needed, and then everything is looked at before any change."""

    def test_it_is_asked_for_without_echo(self, gitlab: World) -> None:
        with Terminal(gitlab, "onboard", "gitlab", "--yes") as terminal:
            terminal.until("The GitLab access token for gitlab.com")
            assert not terminal.echoes
            terminal.press(f"{MAINTAINER_TOKEN}\n")
            assert terminal.ended(60) == 0, terminal.text
        assert akka_pulls(gitlab, NAME)

    @pytest.mark.parametrize(
        ("image", "given", "said"),
        [
            ("acme/shop/checkout:1.O", MAINTAINER_TOKEN, "There is no image registry.gitlab.com/acme/shop"),
            ("acme/shop/checkout:1.0", DEVELOPER_TOKEN, "The user dan may not create deploy tokens"),
        ],
        ids=["image", "role"],
    )
    def test_what_is_wrong_is_found_before_any_change(
        self, gitlab: World, image: str, given: str, said: str
    ) -> None:
        env = {"PULLKEY_GITLAB_IMAGE": f"registry.gitlab.com/{image}"}
        gitlab.extra |= env
        with Terminal(gitlab, "onboard", "gitlab", "--yes") as terminal:
            terminal.until("The GitLab access token for gitlab.com")
            terminal.press(f"{given}\n")
            assert terminal.ended(60) == 3, terminal.text
        assert said in " ".join(terminal.text.split())
        assert gitlab.changes() == []


def test_an_administrator_creates_a_group_s_token_in_whatever_role(gitlab: World) -> None:
    gitlab.cloud.state.administrators.add("sam")  # a Maintainer of the group, which takes an Owner

    done = onboard(gitlab, "--group", "acme", env=NO_IMAGE)

    assert done.code == 0, done.text
    assert len(our_tokens(gitlab, "acme")) == 1


@pytest.mark.parametrize(
    "given",
    [f"{MAINTAINER_TOKEN} ", f" {MAINTAINER_TOKEN}", f"{MAINTAINER_TOKEN} glpat-2"],
    ids=["after", "before", "within"],
)
def test_an_access_token_with_a_space_is_not_sent(gitlab: World, given: str) -> None:
    done = onboard(gitlab, given=given)

    assert done.code == 2, done.text
    assert "holds a space" in done.err
    assert not [call for call in gitlab.running.sandbox.log.calls if call.api == "gitlab"]


def test_a_certificate_of_an_unknown_authority_is_named_at_once(gitlab: World) -> None:
    """pullkey's own authorities do not have that of the emulator, as they lack that of a company."""
    import certifi

    done = onboard(gitlab, "--timeout", "100s", env={"SSL_CERT_FILE": certifi.where()})

    assert done.code in (1, 3), done.text
    said = " ".join(done.err.split())
    assert "the TLS certificate of localhost" in said
    assert "SSL_CERT_FILE=FILE" in said
    assert "trying again" not in said
    assert "PK-REGISTRY-CERTIFICATE" in said


def test_an_instance_in_maintenance_mode_is_not_a_missing_role(gitlab: World) -> None:
    gitlab.cloud.state.maintenance = True

    done = onboard(gitlab)

    assert done.code == 1, done.text
    assert "maintenance mode" in done.err
    assert "It takes the role" not in done.err


def test_a_group_is_read_without_its_projects(gitlab: World) -> None:
    """They are up to 200, of several kilobytes each, and showing them has a rate limit of its own."""
    gitlab.cloud.state.deprecated_limited = True

    done = onboard(gitlab, "--group", "acme", given=OWNER_TOKEN, env=NO_IMAGE)

    assert done.code == 0, done.text


@pytest.mark.parametrize("command", ["rotate", "offboard"])
def test_an_access_token_is_not_sent_to_another_instance_than_the_one_that_was_named(
    gitlab: World, command: str
) -> None:
    """A user who may write Akka's credentials may name any instance in one."""
    assert onboard(gitlab).code == 0
    log = gitlab.running.sandbox.log.calls
    before = len(log)

    done = gitlab.run(
        *(command, NAME, "--yes", "--secret-stdin"),
        stdin=MAINTAINER_TOKEN,
        env={"PULLKEY_GITLAB": "https://gitlab.acme-own.example"},
    )

    assert done.code in (1, 3), done.text
    said = " ".join(done.err.split())
    assert "the access token is for gitlab.acme-own.example, so it is not sent to gitlab.com" in said
    assert not [one for one in log[before:] if one.api == "gitlab"]


class TestInAFile:
    def test_each_target_has_the_login_that_it_names(self, gitlab: World, tmp_path: Path) -> None:
        """As project access tokens are, which see no other project."""
        logins = {"LOGIN_A": "glpat-of-shop-alone-1", "LOGIN_B": "glpat-of-notes-alone-2"}
        gitlab.passwords += logins.values()
        state = gitlab.cloud.state
        for user, login, path in (
            ("shop_bot", logins["LOGIN_A"], "acme/shop"),
            ("notes_bot", logins["LOGIN_B"], "stranger/notes"),
        ):
            state.add_user(user, login)
            state.members[user, path] = MAINTAINER
        file = tmp_path / "registries.yaml"
        file.write_text(
            "version: 1\ndefaults: {akka-project: shop}\ntargets:\n"
            "- {provider: gitlab, project: acme/shop, login: 'env:LOGIN_A'}\n"
            "- {provider: gitlab, project: stranger/notes, login: 'env:LOGIN_B'}\n"
        )

        done = gitlab.run("apply", "-f", str(file), "--yes", env={**NO_IMAGE, **logins})

        assert done.code == 0, done.text
        assert [len(our_tokens(gitlab, path)) for path in ("acme/shop", "stranger/notes")] == [1, 1]

    def test_its_plan_shows_what_the_login_does_not_find(self, gitlab: World, tmp_path: Path) -> None:
        file = tmp_path / "registries.yaml"
        file.write_text(
            "version: 1\ntargets:\n"
            "- {provider: gitlab, project: acme/shopp, akka-project: shop, login: 'env:LOGIN'}\n"
        )

        planned = gitlab.run("plan", "-f", str(file), env={**NO_IMAGE, "LOGIN": MAINTAINER_TOKEN})

        assert "1 target: 1 blocked." in planned.out, planned.text
        assert "shows the user sam no project acme/shopp" in " ".join(planned.out.split())

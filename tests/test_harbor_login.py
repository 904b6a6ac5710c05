"""Who may create a robot account, and what is reported where that is not so, before any change."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.testing.harness.world import World
from providers.harbor.emulator.seed import HOST, PASSWORD, USER, pull_from
from providers.harbor.errors import HarborApiError
from providers.harbor.login import Login
from providers.harbor.messages_login import login_failed
from tests.harness.harbor_state import NAME, add_creator, later, onboard, our_robots, shown, state_of
from tests.harness.terminal import Terminal

NO_IMAGE = {"PULLKEY_HARBOR_IMAGE": ""}


def refused(world: World, *arguments: str, given: str = PASSWORD, env: dict[str, str] | None = None) -> str:
    """What is reported of an onboarding that the preflight refuses; nothing was changed."""
    before = shown(world)
    done = onboard(world, *arguments, given=given, env=env)
    assert done.code == 3, done.text
    assert (shown(world), world.changes(), world.names()) == (before, [], [])
    return done.err


# -- logins --------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_sent_once(harbor: World) -> None:
    said = refused(harbor, given="Wrong-password-1")
    assert f"{HOST} refuses the login of jo" in said
    assert "PK-HARBOR-LOGIN-REFUSED" in said
    logins = [call for call in harbor.running.sandbox.log.calls if call.status == 401]
    assert [f"{one.api}.{one.method}" for one in logins if one.api == "harbor"] == ["harbor.GetCurrentUser"]


def test_the_secret_of_a_user_of_oidc_is_no_login(harbor: World) -> None:
    state_of(harbor).auth_mode = "oidc_auth"
    said = refused(harbor)
    assert "OIDC" in said
    assert "local administrator" in said
    assert onboard(harbor, "--user", "admin").code == 0


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("kim", "lacks the permission robot:create on the project shop"),
        ("stranger", "has no project shop, or stranger may not see it"),
    ],
)
def test_a_login_that_may_not_create_accounts(harbor: World, user: str, why: str) -> None:
    said = refused(harbor, "--user", user)
    assert why in said
    assert "Project Admin" in said or "Check --project" in said


def test_a_robot_account_creates_another_and_its_replaced_one_is_not_disabled(harbor: World) -> None:
    creator = add_creator(harbor)
    login = {"given": creator.secret}
    done = onboard(harbor, "--user", "robot$shop+creator", **login)
    assert done.code == 0, done.text
    old = our_robots(harbor)[-1]
    user = {"PULLKEY_HARBOR_USER": "robot$shop+creator"}
    rotated = later(harbor, "rotate", NAME, **login, **user)
    assert rotated.code == 0, rotated.text
    assert "is valid until" in rotated.err
    assert not old.disabled
    assert harbor.calls("harbor.UpdateRobot") == 0

    assert later(harbor, "offboard", NAME, **login, **user).code == 0
    assert our_robots(harbor) == [creator]


def test_a_robot_account_that_has_expired_or_was_disabled_is_no_login(harbor: World) -> None:
    creator = add_creator(harbor)
    creator.disabled = True
    assert "refuses the login" in refused(harbor, "--user", "robot$shop+creator", given=creator.secret)
    creator.disabled, creator.expires_at = False, int((creator.created - dt.timedelta(days=1)).timestamp())
    harbor.running.sandbox.advance(dt.timedelta(seconds=2))  # the name is locked for a moment
    assert "refuses the login" in refused(harbor, "--user", "robot$shop+creator", given=creator.secret)


def test_a_robot_account_that_may_not_create_others(harbor: World) -> None:
    robot = state_of(harbor).add_robot("shop+puller", "project", 1, -1, pull_from("shop", "project:read"))
    harbor.passwords.append(robot.secret)
    said = refused(harbor, "--user", "robot$shop+puller", given=robot.secret)
    assert "lacks the permission robot:create" in said


def test_an_account_beyond_the_creators_own_permissions(harbor: World) -> None:
    creator = add_creator(harbor)
    creator.permissions[0]["access"].pop(0)  # it may not pull itself
    done = onboard(harbor, "--user", "robot$shop+creator", given=creator.secret, env=NO_IMAGE)
    assert done.code == 1, done.text
    assert "It must itself have the permission repository: pull there" in done.err


def test_an_account_that_was_created_with_an_effect(harbor: World) -> None:
    creator = add_creator(harbor)
    for access in creator.permissions[0]["access"]:
        access["effect"] = "allow"
    done = onboard(harbor, "--user", "robot$shop+creator", given=creator.secret, env=NO_IMAGE)
    assert done.code == 1, done.text
    assert (
        "one that was created with `effect: allow` may create no other. Create it again without," in done.err
    )


def test_the_login_is_prompted_for_and_checked_before_the_confirmation(harbor: World) -> None:
    for user, shows in (("jo", "Register harbor"), ("kim", "lacks the permission robot:create")):
        with Terminal(harbor, "onboard", "harbor", "--user", user) as terminal:
            terminal.until(f"The password of {user} at {HOST}")
            terminal.press(f"{PASSWORD}\n")
            terminal.until(shows)
    assert harbor.changes() == []


# -- the server and its projects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "why"),
    [("admin", "has no project nowhere (NOT_FOUND"), ("jo", "or jo may not see it (FORBIDDEN")],
)
def test_a_project_that_does_not_exist(harbor: World, user: str, why: str) -> None:
    said = refused(harbor, "--user", user, "--project", "nowhere", env=NO_IMAGE)
    assert why in said
    assert "PK-HARBOR-PROJECT-NOT-FOUND" in said


def test_a_project_with_a_number_for_its_name(harbor: World) -> None:
    state_of(harbor).add_project("2", {"jo": "projectAdmin"})
    done = onboard(harbor, "--project", "2", env=NO_IMAGE)
    assert done.code == 0, done.text
    assert our_robots(harbor)[0].stored.startswith("2+pullkey-")


def test_an_image_that_does_not_exist_is_reported_before_any_change(harbor: World) -> None:
    said = refused(harbor, "--image", f"{HOST}/shop/checkout:9.9")
    assert f"{HOST}/shop/checkout:9.9" in said
    assert "checkout:1.0" in said
    assert "PK-IMAGE-NOT-FOUND" in said


def test_a_public_project_needs_no_credential(harbor: World) -> None:
    for image in ("", f"{HOST}/library/tools:1.0"):
        done = onboard(harbor, "--project", "library", env={"PULLKEY_HARBOR_IMAGE": image})
        assert done.code == 0, done.text
        assert "public" in done.err
    assert harbor.changes() == []


def test_a_harbor_in_read_only_mode(harbor: World) -> None:
    state_of(harbor).read_only = True
    assert "read-only mode" in refused(harbor)


@pytest.mark.parametrize("version", ["v2.1.3-b6de84c5", ""])
def test_a_harbor_that_is_too_old(harbor: World, version: str) -> None:
    state_of(harbor).version, state_of(harbor).has_robots = version, False
    said = refused(harbor)
    assert "PK-HARBOR-UNSUITABLE" in said
    assert "pullkey onboard private" in said


def test_a_certificate_of_an_unknown_authority_is_named_at_once(harbor: World) -> None:
    """A Harbor mostly has its company's own authority."""
    import certifi

    said = " ".join(refused(harbor, "--timeout", "100s", env={"SSL_CERT_FILE": certifi.where()}).split())
    assert f"the TLS certificate of {HOST} does not verify" in said
    assert "SSL_CERT_FILE=FILE" in said
    assert "PK-REGISTRY-CERTIFICATE" in said
    assert "trying again" not in said


def test_a_harbor_that_leads_to_another_host(harbor: World) -> None:
    state_of(harbor).leads_to = "https://sso.example.com/login"
    assert "it leads to sso.example.com" in refused(harbor)


def test_a_project_that_was_deleted_meanwhile_is_not_an_old_harbor(harbor: World) -> None:
    harbor.fault("harbor.CreateRobot=404")
    done = onboard(harbor)
    assert done.code == 1, done.text
    assert "Harbor refused to create a robot account for the project shop: NOT_FOUND" in done.err
    assert "Harbor 2.2" not in done.err


def test_robot_accounts_with_many_permissions(harbor: World) -> None:
    state = state_of(harbor)
    for number in range(15):
        everywhere = [
            one for each in range(400) for one in pull_from(f"team-{each}", "repository:push", "tag:list")
        ]
        state.add_robot(f"everywhere-{number}", "system", 0, -1, everywhere)
    done = onboard(harbor, "--project", "shop,press", "--user", "admin")
    assert done.code == 0, done.text


def test_a_policy_that_refuses_the_image_is_told_from_a_refused_credential(harbor: World) -> None:
    state_of(harbor).projects[1].refuses_images = "The image is not signed by cosign."
    done = onboard(harbor)
    assert done.code == 1, done.text
    assert "a policy of the project shop" in done.err
    assert our_robots(harbor) == []


# -- several projects ----------------------------------------------------------------------------------------


def test_several_projects_take_an_account_of_the_system(harbor: World) -> None:
    done = onboard(harbor, "--project", "shop,press", "--user", "admin")
    assert done.code == 0, done.text
    (robot,) = our_robots(harbor)
    assert robot.level == "system"
    assert [one["namespace"] for one in robot.permissions] == ["shop", "press"]
    name = f"{NAME}-press"
    assert harbor.held(name).email.startswith("harbor-system+robot-")

    again = onboard(harbor, "--project", "shop,press", "--user", "admin", "--output", "json")
    assert again.json["result"] == "unchanged", again.text
    assert "Everything is in place" in again.err
    without = harbor.onboard("--project", "shop,press", "--user", "admin")
    assert (without.code, "Everything is in place" in without.err) == (0, False), without.text
    assert "pulls from the projects shop, press is not known without Harbor's login" in without.err

    user = {"PULLKEY_HARBOR_USER": "admin"}
    rotated = later(harbor, "rotate", name, "--keep-old", "0", **user)
    assert rotated.code == 0, rotated.text
    (new,) = our_robots(harbor)
    assert sorted(one["namespace"] for one in new.permissions) == ["press", "shop"]
    assert later(harbor, "offboard", name, **user).code == 0
    assert our_robots(harbor) == []


@pytest.mark.parametrize(
    ("login", "place"),
    [
        (("--user", "admin"), f"{HOST}/press, {HOST}/shop"),
        (("--user", "admin", "--level", "system"), f"{HOST}/press, {HOST}/shop"),
        ((), "whose projects Harbor does not show to this login"),
    ],
    ids=["project", "system", "403"],
)
def test_projects_whose_name_in_akka_is_that_of_other_ones_are_refused(
    harbor: World, login: tuple[str, ...], place: str
) -> None:
    """`shop,press` and `shop-press` have one name in Akka, whose record does not contain the projects."""
    state_of(harbor).add_project("shop-press", {USER: "projectAdmin"})
    harbor.extra |= {"PULLKEY_HARBOR_IMAGE": ""}
    assert onboard(harbor, "--project", "shop,press", "--user", "admin").code == 0
    before = shown(harbor)

    done = onboard(harbor, "--project", "shop-press", *login)

    assert done.code == 3, done.text
    assert place in done.err
    assert "--secret-name" in done.err
    assert shown(harbor) == before


def test_an_account_of_the_system_takes_a_system_administrator(harbor: World) -> None:
    state_of(harbor).projects[2].members["jo"] = "projectAdmin"
    assert "is not a system administrator" in refused(harbor, "--project", "shop,press")
    assert "is not a system administrator" in refused(harbor, "--level", "system")


def test_a_limited_login_is_not_a_refused_one() -> None:
    """A later target of the same command tries again."""
    answers = [login_failed("jo", HOST, HarborApiError(429, "slow down", retry_after=900.0)), None]

    async def attempt(_: Secret) -> None:
        if error := answers.pop(0):
            raise error

    login = Login(HOST, "jo", Secret(PASSWORD))
    context = RunContext(Deadline(9), lambda _: None, lambda _: None)
    with pytest.raises(PullkeyError):
        asyncio.run(login.authorization(context, attempt))
    assert asyncio.run(login.authorization(context, attempt)).reveal().startswith("Basic ")


@pytest.mark.parametrize("command", ["rotate", "offboard"])
def test_a_login_is_not_sent_to_another_harbor_than_the_one_that_was_named(
    harbor: World, command: str
) -> None:
    """A user who may write Akka's credentials may name any host in one."""
    assert onboard(harbor).code == 0
    log = harbor.running.sandbox.log.calls
    before = len(log)
    named = {"PULLKEY_HARBOR_REGISTRY": "harbor.acme-own.example"}

    done = later(harbor, command, NAME, **named)

    assert done.code in (1, 3), done.text
    said = " ".join(done.err.split())
    assert f"the login is for harbor.acme-own.example, so it is not sent to {HOST}" in said
    assert not [one for one in log[before:] if one.api == "harbor"]

"""`pullkey onboard docker-hub`, whole: against the sandbox, over sockets; and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.errors import PullkeyError, UsageProblem
from bootstrap.link import KeyLink
from bootstrap.provider import HeldCredential, RunContext
from bootstrap.sandbox.distribution import DistributionImages
from bootstrap.sandbox.host import SandboxSettings
from bootstrap.secret import Secret
from bootstrap.waiting import Deadline
from providers.docker_hub import provider
from providers.docker_hub.emulator.seed import CAREFUL, OWNER, PASSWORD, USER
from providers.docker_hub.emulator.state import Pat
from providers.docker_hub.session import DockerHubSession
from providers.docker_hub.target import HOSTS, DockerHubTarget, image_of, is_docker_hub
from tests.harness.docker_hub_state import (
    LOGIN,
    ORGANIZATION,
    add_external_pat,
    onboard,
    our_oats,
    our_pats,
    pats,
)
from tests.harness.world import Result, World, make_world

T = TypeVar("T")
NAME = f"docker-hub-{USER}"
ORG_NAME = "docker-hub-acme"


def picture(world: World) -> Any:
    """All that could be changed at Docker Hub, to compare before and after."""
    state = world.cloud.state
    return (
        {name: sorted((one.uuid, one.active) for one in user.tokens) for name, user in state.users.items()},
        {name: sorted((one.id, one.active) for one in found.tokens) for name, found in state.organizations.items()},
    )  # fmt: skip


class TestBroughtToken:
    def test_it_is_tried_and_handed_to_akka(self, hub: World) -> None:
        pat = add_external_pat(hub)
        before = picture(hub)

        done = onboard(hub, "--token-stdin", "--output", "json", given=f"{pat.text}\n")

        assert done.code == 0, done.text
        held = hub.held(NAME)
        assert (held.server, held.username, held.password) == ("https://index.docker.io/v1/", USER, pat.text)
        link = KeyLink.parse(held.email)
        assert link is not None
        assert (link.name, link.domain) == ("brought", "docker.io")
        assert re.fullmatch(r"[0-9a-f]{12}-\d+", link.key_id)
        assert "reads the manifest of registry-1.docker.io/acme/checkout:1.0" in done.json["proven"]
        assert picture(hub) == before
        assert hub.calls("hub.CreateAuthToken") == 0

    def test_the_second_run_asks_nobody_and_changes_nothing(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        changes = len(hub.changes())
        again = hub.onboard("--output", "json")
        assert again.code == 0, again.text
        assert again.json["result"] == "unchanged"
        assert "handed off" in again.json["steps"][0]["reason"]
        assert len(hub.changes()) == changes

    def test_one_that_is_given_again_is_handed_off_again(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        other = add_external_pat(hub)
        assert onboard(hub, "--token-stdin", given=other.text).code == 0
        assert hub.held(NAME).password == other.text

    def test_a_personal_token_reads_more_than_is_wanted_which_is_said(self, hub: World) -> None:
        done = onboard(hub, "--token-stdin", "--output", "json", given=add_external_pat(hub).text)
        assert any("cannot be limited to a repository" in text for text in done.json["notices"])

    @pytest.mark.parametrize("damage", ["wrong", "expired", "deactivated", "of somebody else", "public only"])
    def test_one_that_does_not_pull_is_told_before_anything_is_changed(self, hub: World, damage: str) -> None:
        pat = add_external_pat(hub, "stranger" if damage == "of somebody else" else USER)
        text = pat.text
        match damage:
            case "wrong":
                text = "dckr_pat_0123456789"
            case "expired":
                pat.expires = pat.created - dt.timedelta(hours=1)
            case "deactivated":
                pat.active = False
            case "public only":
                pat.scopes = ("repo:public_read",)
        begin = time.monotonic()
        done = onboard(hub, "--token-stdin", given=text)
        assert done.code == 3, done.text
        assert "does not pull" in done.err
        assert "https://app.docker.com/settings/personal-access-tokens" in done.err
        assert hub.changes() == []
        assert hub.names() == []
        assert time.monotonic() - begin < 15  # it is not waited for, as a new one would be

    def test_a_repository_that_its_owner_may_not_read(self, hub: World) -> None:
        done = onboard(
            hub, "--token-stdin", "--image", "stranger/notes:1.0", given=add_external_pat(hub).text
        )
        assert done.code == 3
        assert "may not pull stranger/notes" in done.err

    def test_without_a_terminal_it_must_be_on_stdin(self, hub: World) -> None:
        done = hub.onboard()
        assert done.code == 2, done.text
        assert "The Docker Hub token of acmebot is needed" in done.err
        assert hub.changes() == []

    def test_it_is_asked_for_without_being_shown(self, hub: World) -> None:
        pat = add_external_pat(hub)
        our_pats, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "bootstrap", "onboard", "docker-hub", "--yes"],
            env={**hub.running.process_environment(), "TERM": "xterm", "COLUMNS": "100"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown, typed = b"", False
        with contextlib.suppress(OSError):
            while piece := os.read(our_pats, 4096):
                shown += piece
                if b"token of acmebot" in shown.replace(b"\r\n", b" ") and shown.rstrip().endswith(b":") and not typed:  # fmt: skip
                    typed = True
                    time.sleep(0.3)  # the terminal's echo is switched off just after the question
                    os.write(our_pats, pat.text.encode() + b"\n")
        os.close(our_pats)
        hub.said.append(shown.decode(errors="replace"))
        assert process.wait(timeout=60) == 0, shown.decode()
        assert hub.held(NAME).password == pat.text
        assert f"({len(pat.text)} characters received)" in shown.decode()

    def test_an_organisations_token_may_be_brought_too(self, hub: World) -> None:
        oat = hub.cloud.state.organization("acme").tokens[0]
        done = onboard(hub, "--organization", "acme", "--token-stdin", given=oat.text)
        assert done.code == 0, done.text
        assert hub.held(ORG_NAME).username == "acme"
        assert "cannot be limited" not in done.err


class TestMintedToken:
    def test_akka_holds_a_new_token_that_reads_and_ends(self, hub: World) -> None:
        done = onboard(hub, *LOGIN)
        assert done.code == 0, done.text
        (pat,) = our_pats(hub)
        held = hub.held(NAME)
        assert (held.server, held.username, held.password) == ("https://index.docker.io/v1/", USER, pat.text)
        assert held.email == f"pat+{pat.uuid}@docker.io"
        assert pat.scopes == ("repo:read",)
        assert dt.timedelta(days=364) < pat.expires - pat.created <= dt.timedelta(days=365)
        assert re.match(r"pullkey [0-9a-f]{12}\b", pat.label)
        assert "cannot be limited to a repository" in done.err

    def test_how_long_it_lives_may_be_said(self, hub: World) -> None:
        assert onboard(hub, *LOGIN, "--expires-in", "30d").code == 0
        (pat,) = our_pats(hub)
        assert dt.timedelta(days=29) < pat.expires - pat.created <= dt.timedelta(days=30)

    def test_others_lose_nothing(self, hub: World) -> None:
        (before, organizations) = picture(hub)
        onboard(hub, *LOGIN)
        onboard(hub, *LOGIN, "--new-key")
        (after, same) = picture(hub)
        assert set(before[USER]) < set(after[USER])
        assert {**after, USER: before[USER]} == before
        assert same == organizations

    def test_the_second_run_changes_nothing(self, hub: World) -> None:
        onboard(hub, *LOGIN)
        before, changes = picture(hub), len(hub.changes())
        again = onboard(hub, *LOGIN, "--output", "json")
        assert again.code == 0, again.text
        assert again.json["result"] == "unchanged"
        assert "which is valid" in again.json["steps"][0]["reason"]
        assert (picture(hub), len(hub.changes())) == (before, changes)

    @pytest.mark.parametrize("arguments", [(), ("--mint",)])
    def test_without_a_login_akkas_record_is_believed_and_that_is_said(self, hub: World, arguments: tuple[str, ...]) -> None:  # fmt: skip
        onboard(hub, *LOGIN)
        again = hub.onboard(*arguments, "--output", "json")
        assert again.json["result"] == "unchanged", again.text
        assert "not checked at Docker Hub" in again.json["steps"][0]["reason"]

    @pytest.mark.parametrize("damage", ["deleted", "expired", "deactivated", "taken from Akka"])
    def test_a_token_is_not_good_by_having_been_made(self, hub: World, damage: str) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)
        match damage:
            case "deleted":
                hub.cloud.state.user(USER).tokens.remove(pat)
            case "expired":
                pat.expires = pat.created - dt.timedelta(hours=1)
            case "deactivated":
                pat.active = False
            case _:
                hub.akka.projects["shop"].registries.remove(NAME, None)
        assert onboard(hub, *LOGIN).code == 0
        assert hub.held(NAME).password not in ("", pat.text)

    def test_one_that_was_brought_is_not_taken_for_one_that_was_made(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        assert onboard(hub, *LOGIN).code == 0
        (pat,) = our_pats(hub)
        assert hub.held(NAME).password == pat.text

    def test_a_plan_makes_nothing(self, hub: World) -> None:
        plan = hub.run("plan", "docker-hub", *LOGIN, stdin=PASSWORD)
        assert plan.code == 0, plan.text
        assert "curl " in plan.err
        assert hub.changes() == []


class TestOrganization:
    def test_its_token_pulls_what_was_named_and_nothing_else(self, hub: World) -> None:
        done = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout")
        assert done.code == 0, done.text
        (oat,) = our_oats(hub)
        held = hub.held(ORG_NAME)
        assert (held.username, held.password, held.email) == ("acme", oat.text, f"oat+{oat.id}@docker.io")
        assert oat.expires is not None
        assert "cannot be limited" not in done.err

        pulls = hub.run("verify", "docker-hub", "--organization", "acme", "--hub-user", OWNER, "--repository", "acme/checkout", "--credential-stdin", stdin=oat.text)  # fmt: skip
        assert pulls.code == 0, pulls.text
        assert "Pull verified" in pulls.text
        image = {"PULLKEY_DOCKER_HUB_IMAGE": "acme/cart:1.0"}
        other = hub.run("verify", "docker-hub", "--organization", "acme", "--hub-user", OWNER, "--credential-stdin", stdin=oat.text, env=image)  # fmt: skip
        assert other.code == 5, other.text
        assert "does not pull" in other.text

    def test_several_repositories(self, hub: World) -> None:
        assert onboard(hub, *ORGANIZATION, "--repository", "acme/checkout, acme/cart").code == 0
        (oat,) = our_oats(hub)
        assert [one["path"] for one in oat.resources] == ["acme/checkout", "acme/cart"]
        assert {scope for one in oat.resources for scope in one["scopes"]} == {"scope-image-pull"}

    def test_the_second_run_changes_nothing_until_more_is_to_be_pulled(self, hub: World) -> None:
        onboard(hub, *ORGANIZATION)
        again = onboard(hub, *ORGANIZATION, "--output", "json")
        assert again.json["result"] == "unchanged", again.text
        more = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/cart", "--output", "json")
        assert more.json["result"] == "done", more.text
        assert "may not pull acme/cart" in more.json["steps"][0]["reason"]
        assert len(our_oats(hub)) == 2

    def test_who_is_no_owner_is_told(self, hub: World) -> None:
        done = onboard(hub, "--organization", "acme", *LOGIN)
        assert done.code == 3, done.text
        assert "is not an owner of acme" in done.err
        assert hub.changes() == []

    def test_an_organisation_that_is_not_there(self, hub: World) -> None:
        done = onboard(hub, "--organization", "acmee", *LOGIN, "--repository", "acmee/checkout", env={"PULLKEY_DOCKER_HUB_IMAGE": ""})  # fmt: skip
        assert done.code == 3, done.text
        assert "no organisation acmee" in done.err

    def test_a_repository_that_is_not_there(self, hub: World) -> None:
        done = onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/chekcout")
        assert done.code == 3
        assert "no repository acme/chekcout" in done.err
        assert hub.changes() == []

    def test_the_limit_of_tokens_is_told_in_docker_hubs_words(self, hub: World) -> None:
        hub.cloud.state.organization("acme").most_tokens = 1
        done = onboard(hub, *ORGANIZATION)
        assert done.code == 1
        assert "has reached its limit of 1 access tokens" in done.err


class TestLogin:
    def test_a_wrong_password(self, hub: World) -> None:
        done = onboard(hub, *LOGIN, given="wrong-password")
        assert done.code == 3, done.text
        assert "Docker Hub refuses the login of acmebot" in done.err
        assert "Incorrect authentication credentials" in done.err
        assert hub.calls("hub.CreateAuthToken") == 1  # an account may be locked by more
        assert hub.changes() == []

    def test_a_second_factor(self, hub: World) -> None:
        done = onboard(hub, *LOGIN, "--hub-user", CAREFUL)
        assert done.code == 3, done.text
        assert "two-factor authentication is enabled" in done.err
        assert "supply it with --token-stdin" in done.err

    def test_a_token_is_no_login_to_make_tokens_with(self, hub: World) -> None:
        laptop = pats(hub)[0]
        hub.passwords.append(laptop.text)
        done = onboard(hub, *LOGIN, given=laptop.text)
        assert done.code == 3, done.text
        assert "token issued from personal access token is not allowed" in done.err
        assert "Pass the password of acmebot" in done.err
        assert hub.changes() == []

    def test_without_a_terminal_it_must_be_on_stdin(self, hub: World) -> None:
        done = hub.onboard("--mint")
        assert done.code == 2, done.text
        assert "The Docker Hub password of acmebot is needed" in done.err

    def test_a_long_run_logs_in_anew(self, hub: World) -> None:
        hub.fault("hub.CreateAccessToken=401")
        assert onboard(hub, *LOGIN).code == 0
        assert hub.calls("hub.CreateAuthToken") == 2
        assert len(our_pats(hub)) == 1


class TestPublicImages:
    @pytest.mark.parametrize(
        "image", ["acme/website:1.0", "hello-world", "docker.io/library/hello-world:latest"]
    )
    def test_what_anybody_may_pull_needs_no_credential(self, hub: World, image: str) -> None:
        done = hub.onboard("--image", image, env={"PULLKEY_DOCKER_HUB_HUB_USER": ""})
        assert done.code == 0, done.text
        assert "to anyone" in done.err
        assert hub.changes() == []
        assert hub.names() == []

    def test_one_is_made_all_the_same_if_wanted(self, hub: World) -> None:
        assert onboard(hub, *LOGIN, "--image", "acme/website:1.0", "--anyway").code == 0
        assert len(our_pats(hub)) == 1

    def test_a_private_image_is_not_public(self, hub: World) -> None:
        done = hub.onboard(env={"PULLKEY_DOCKER_HUB_HUB_USER": ""})
        assert done.code == 3, done.text
        assert "--hub-user" in done.err


@pytest.mark.parametrize(
    "fault",
    [
        "hub.CreateAuthToken=503",
        "hub.CreateAuthToken=429;retry-after=1",
        "hub.ListAccessTokens=503;retry-after=1",
        "hub.ListAccessTokens=malformed",
        "hub.CreateAccessToken=lost",
        "hub.CreateAccessToken=malformed",
        "hub.CreateAccessToken=cut",
        "hub.CreateAccessToken=reset",
        "hub.CreateAccessToken=503",
        "hub.CreateAccessToken=429;retry-after=1",
        "registry.GetToken=401",
    ],
)
def test_what_passes_is_waited_out_and_leaves_one_token(hub: World, fault: str) -> None:
    hub.fault(fault)
    done = onboard(hub, *LOGIN)
    assert done.code == 0, done.text
    (pat,) = our_pats(hub)
    assert hub.held(NAME).password == pat.text
    assert len(pats(hub)) == 4


def test_a_lost_answer_is_looked_for_by_its_label_before_the_next_is_sent(hub: World) -> None:
    hub.fault("hub.CreateAccessToken=lost")
    assert onboard(hub, *LOGIN).code == 0
    sent = [call.method for call in hub.running.sandbox.log.calls if call.api == "hub"]
    lost, made = [at for at, method in enumerate(sent) if method == "CreateAccessToken"]
    assert "ListAccessTokens" in sent[lost:made]
    assert "DeleteAccessToken" in sent[lost:made]


def test_an_organisations_lost_answer_leaves_one_token(hub: World) -> None:
    hub.fault("hub.CreateOrgAccessToken=lost")
    assert onboard(hub, *ORGANIZATION).code == 0
    (oat,) = our_oats(hub)
    assert hub.held(ORG_NAME).password == oat.text


def test_many_tokens_are_on_many_pages(hub: World) -> None:
    tokens = hub.cloud.state.user(USER).tokens
    past = hub.running.sandbox.now() - dt.timedelta(days=2)
    hub.fault("hub.CreateAccessToken=lost")
    # Newest come first, so what a lost answer made is pushed to a later page by tokens from the future.
    tokens += [Pat(f"robot {number}", ("repo:read",), past) for number in range(250)]
    assert onboard(hub, *LOGIN).code == 0
    assert len(our_pats(hub)) == 1
    assert hub.calls("hub.ListAccessTokens") >= 3 * 3


@pytest.mark.parametrize(
    "fault",
    [
        "hub.CreateAccessToken=403",
        "hub.CreateAccessToken=400",
        "hub.CreateAccessToken=503*forever",
        "hub.CreateAccessToken=malformed*forever",
        "registry.GetToken=401*forever",
        "registry.GetManifest=401*forever",
        "akka.docker.add-credentials=403",
    ],
)
def test_a_step_that_fails_leaves_nothing_behind(hub: World, fault: str) -> None:
    before = picture(hub)
    hub.fault(fault)
    done = onboard(hub, *LOGIN, "--timeout", "4s", "--output", "json")
    assert done.code == 1, done.text
    assert picture(hub) == before
    assert hub.names() == []
    assert done.json["error"]["what"]
    assert done.json["left_over"] == []


@pytest.mark.parametrize("fault", ["hub.CreateAuthToken=malformed*forever", "hub.ListAccessTokens=500*forever", "hub.*=reset*forever"])  # fmt: skip
def test_a_docker_hub_that_is_not_to_be_spoken_to_is_told(hub: World, fault: str) -> None:
    hub.fault(fault)
    done = onboard(hub, *LOGIN, "--timeout", "3s")
    assert done.code == 3, done.text
    assert "Docker Hub d" in done.err  # did not, does not
    assert hub.changes() == []


def test_docker_hubs_own_rate_limit_is_waited_out(hub: World) -> None:
    hub.cloud.state.requests_left = 0
    hub.cloud.state.limited_for = 3.0
    done = onboard(hub, *LOGIN, "--verbose")
    assert done.code == 0, done.text
    # It is left alone for as long as it asks, and not tried in between.
    assert done.err.count("hub POST /v2/auth/token 429") == 1


def test_what_cannot_be_undone_is_told_with_where_to_delete_it(hub: World) -> None:
    hub.fault("hub.DeleteAccessToken=403*forever")
    hub.fault("akka.docker.add-credentials=403")
    done = onboard(hub, *LOGIN, "--output", "json")
    assert done.code == 6, done.text
    (left,) = done.json["left_over"]
    (pat,) = our_pats(hub)
    assert pat.label in left["what"]
    assert "https://app.docker.com/settings/personal-access-tokens" in left["command"]


@pytest.fixture
def orphan(hub: World) -> Any:
    """The token of a run that was killed before it saw the answer."""
    hub.fault("hub.CreateAccessToken=hang-after")
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "onboard", "docker-hub", "--yes", *LOGIN],
        env=hub.running.process_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(PASSWORD.encode())
    process.stdin.close()
    end = time.monotonic() + 30
    while not our_pats(hub):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    return our_pats(hub)[0]


def test_the_token_of_a_killed_run_is_removed_by_the_next(hub: World, orphan: Any) -> None:
    done = onboard(hub, *LOGIN)
    assert done.code == 0, done.text
    (only,) = our_pats(hub)
    assert only.uuid != orphan.uuid
    assert hub.held(NAME).password == only.text


def test_whoever_has_no_login_is_told_of_it(hub: World, orphan: Any) -> None:
    told = onboard(hub, "--token-stdin", "--output", "json", given=add_external_pat(hub).text)
    assert told.code == 6, told.text
    assert orphan.label in told.json["left_over"][0]["what"]
    assert our_pats(hub) == [orphan]


@pytest.fixture
def slow() -> Iterator[World]:
    yield from make_world("docker-hub", SandboxSettings(propagation=2.0))


def test_a_registry_that_does_not_know_the_token_yet_is_waited_for(slow: World) -> None:
    done = onboard(slow, *LOGIN)
    assert done.code == 0, done.text
    assert len(our_pats(slow)) == 1


# -- what later commands do with the session ------------------------------------------------------------------------


def in_session(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[DockerHubSession], Awaitable[T]],
    *,
    password: str | None = PASSWORD,
    name: str = NAME,
    login: dict[str, Any] | None = None,
) -> T:
    """A session as `list` and `rotate` open one, from Akka's record alone."""
    for variable, value in world.running.environment.items():
        monkeypatch.setenv(variable, value)
    stored = world.held(name)
    held = HeldCredential(name, stored.server, stored.username, stored.email, "OK")
    asked: list[str] = []

    async def ask(what: str) -> Secret | None:
        asked.append(what)
        return Secret(password) if password is not None else None

    async def known() -> HeldCredential:
        return held

    async def run() -> T:
        context = RunContext(Deadline(20), lambda _: None, lambda _: None, held=known, ask_secret=ask)
        assert provider.recognises(held)
        target = await provider.locate(held, context, login or {})
        session = provider.open(target, context)
        assert isinstance(session, DockerHubSession)
        try:
            return await work(session)
        finally:
            await session.close()
            await context.shared.close()
            assert len(asked) <= 1  # one login, however many calls

    return asyncio.run(run())


class TestTheTokenLater:
    def test_its_facts_switching_and_deleting(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)

        async def work(session: DockerHubSession) -> None:
            assert session.deletes_keys
            assert session.disables_keys
            facts = await session.key_facts(pat.uuid)
            assert facts is not None
            assert (facts.key_id, facts.disabled) == (pat.uuid, False)
            assert facts.ends is not None
            assert abs(facts.ends - pat.expires) < dt.timedelta(seconds=1)
            await session.switch_key(pat.uuid, on=False)
            assert not pat.active
            facts = await session.key_facts(pat.uuid)
            assert facts is not None
            assert facts.disabled
            await session.switch_key(pat.uuid, on=True)
            assert pat.active
            assert await session.delete_key(pat.uuid)
            assert not await session.delete_key(pat.uuid)
            assert await session.key_facts(pat.uuid) is None

        in_session(hub, monkeypatch, work)
        assert our_pats(hub) == []

    def test_of_an_organisation(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *ORGANIZATION, "--repository", "acme/checkout,acme/cart")
        (oat,) = our_oats(hub)

        async def work(session: DockerHubSession) -> None:
            assert await session.key_facts(oat.id) is not None
            await session.ask()
            # One that replaces it may pull the same.
            await session.steps[0].do()
            assert session.credential is not None
            assert (await session.probe()).repository == "acme/checkout"
            await session.switch_key(oat.id, on=False)

        in_session(hub, monkeypatch, work, name=ORG_NAME, login={"hub_user": OWNER})
        assert not oat.active
        assert [one["path"] for one in our_oats(hub)[1].resources] == ["acme/checkout", "acme/cart"]

    def test_one_that_was_brought_is_for_whoever_made_it(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)

        async def work(session: DockerHubSession) -> None:
            assert not session.deletes_keys
            assert not session.disables_keys
            with pytest.raises(PullkeyError, match="its id is not known"):
                await session.delete_key("0123456789ab")
            assert "personal-access-tokens" in session.delete_key_command("0123456789ab")

        in_session(hub, monkeypatch, work)

    @pytest.mark.parametrize(("name", "login", "why"), [(NAME, {}, "no login was supplied"), (ORG_NAME, {}, "who logs in is not known")])  # fmt: skip
    def test_without_a_login_it_is_said_that_nobody_was_asked(self, hub: World, monkeypatch: pytest.MonkeyPatch, name: str, login: dict[str, Any], why: str) -> None:  # fmt: skip
        assert onboard(hub, *(LOGIN if name == NAME else ORGANIZATION)).code == 0
        made = (our_pats(hub) or our_oats(hub))[0]

        async def work(session: DockerHubSession) -> None:
            with pytest.raises(PullkeyError, match=why):
                await session.key_facts(getattr(made, "uuid", None) or made.id)

        in_session(hub, monkeypatch, work, password=None, name=name, login=login)

    def test_a_refused_login_is_tried_once(self, hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
        onboard(hub, *LOGIN)
        (pat,) = our_pats(hub)
        before = hub.calls("hub.CreateAuthToken")

        async def work(session: DockerHubSession) -> None:
            for _ in range(3):
                with pytest.raises(PullkeyError, match="refuses the login"):
                    await session.key_facts(pat.uuid)

        in_session(hub, monkeypatch, work, password="wrong-password")
        assert hub.calls("hub.CreateAuthToken") == before + 1


@pytest.mark.parametrize(("arguments", "name", "user"), [(LOGIN, NAME, USER), (ORGANIZATION, ORG_NAME, OWNER)])  # fmt: skip
def test_its_whole_life(hub: World, arguments: tuple[str, ...], name: str, user: str) -> None:
    before = picture(hub)
    env = {"PULLKEY_HUB_USER": user, "PULLKEY_DOCKER_HUB_HUB_USER": user}
    onboard(hub, *arguments)
    old = hub.held(name)

    rotated = hub.run("rotate", name, "--secret-stdin", "--yes", stdin=PASSWORD, env=env)
    assert rotated.code == 0, rotated.text
    assert hub.held(name).password != old.password
    assert [one.active for one in our_pats(hub) or our_oats(hub)] == [False, True]

    # Nobody is asked for a password where there is nothing to do.
    again = hub.onboard(*(arguments[:-1] or ("--mint",)), "--output", "json")
    assert again.json["result"] == "unchanged", again.text

    gone = hub.run("offboard", name, "--secret-stdin", "--yes", stdin=PASSWORD, env=env)
    assert gone.code == 0, gone.text
    assert picture(hub) == before
    assert hub.names() == []


def test_the_checkup_asks_nobody(hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in hub.running.environment.items():
        monkeypatch.setenv(variable, value)

    def look() -> dict[str, bool | None]:
        async def run() -> dict[str, bool | None]:
            context = RunContext(Deadline(20), lambda _: None, lambda _: None)
            try:
                return {check.what: check.good for check in await provider.checkup(context, {})}
            finally:
                await context.shared.close()

        return asyncio.run(run())

    seen = look()
    assert seen["API"] is True
    assert seen["registry"] is True
    assert seen["clock"] is True
    assert seen["addresses"] is None
    monkeypatch.setenv("PULLKEY_DOCKER_HUB_ENDPOINT", "https://127.0.0.1:1")
    assert look()["API"] is False
    monkeypatch.setenv("PULLKEY_DOCKER_HUB_ENDPOINT", "http://hub.example.com")
    assert look()["API"] is False


# -- the runbook ----------------------------------------------------------------------------------------------------


def bash(world: World, script: Path, *arguments: str, typed: str, **env: str) -> Result:
    done = subprocess.run(
        ["bash", script, *arguments],
        env=world.running.process_environment(PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="1", **env),
        input=typed, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    world.said += [done.stdout, done.stderr]
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [("--mint",), ORGANIZATION[:4]])
def test_the_runbook_ends_as_onboard_does_and_undoes(hub: World, tmp_path: Path, arguments: tuple[str, ...]) -> None:  # fmt: skip
    # A password with everything that JSON and the shell know.
    awkward = 'a "b" \\ $c `d`'
    for user in (USER, OWNER):
        hub.cloud.state.user(user).password = awkward
    before = picture(hub)
    script = tmp_path / "steps.sh"
    script.write_text(hub.run("runbook", "docker-hub", *arguments).out)

    done = bash(hub, script, typed=awkward + "\n")
    assert done.code == 0, done.text

    again = onboard(hub, *arguments, "--login-stdin", "--output", "json", given=awkward)
    assert again.json["result"] == "unchanged", again.text

    undone = bash(hub, script, "undo", typed=awkward + "\n", KEY_ID=again.json["credential"]["key_id"])
    assert undone.code == 0, undone.text
    assert picture(hub) == before
    assert hub.names() == []


def test_the_runbook_of_a_brought_token(hub: World, tmp_path: Path) -> None:
    pat = add_external_pat(hub)
    script = tmp_path / "steps.sh"
    script.write_text(hub.run("runbook", "docker-hub").out)
    done = bash(hub, script, typed=pat.text + "\n")
    assert done.code == 0, done.text
    assert hub.held(NAME).password == pat.text
    assert hub.onboard("--output", "json").json["result"] == "unchanged"


# -- a real client --------------------------------------------------------------------------------------------------


@pytest.mark.needs_debian
def test_skopeo_copies_what_the_token_may_pull(tmp_path: Path) -> None:
    for world in make_world("docker-hub", images=DistributionImages()):
        world.passwords.append(PASSWORD)
        done = onboard(world, *ORGANIZATION)
        assert done.code == 0, done.text
        held, registry = world.held(ORG_NAME), f"127.0.0.1:{world.cloud.registry_port}"
        env = {**os.environ, **world.running.environment}
        login = subprocess.run(
            ["skopeo", "login", "--authfile", tmp_path / "auth.json", "--username", held.username, "--password-stdin", registry],
            env=env, input=held.password, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert login.returncode == 0, login.stderr

        def copy(image: str, registry: str = registry, env: dict[str, str] = env) -> int:
            return subprocess.run(["skopeo", "copy", "--src-authfile", tmp_path / "auth.json", f"docker://{registry}/{image}", f"dir:{tmp_path}/image"], env=env, capture_output=True, check=False).returncode  # fmt: skip

        assert copy("acme/checkout:1.0") == 0
        assert copy("acme/cart:1.0") != 0
        our_oats(world)[0].active = False
        assert copy("acme/checkout:1.0") != 0


# -- without a sandbox ----------------------------------------------------------------------------------------------

PART = st.from_regex(r"[a-z0-9]{2,20}", fullmatch=True)


@given(PART, PART, st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_every_spelling_names_the_same_image(namespace: str, name: str, tag: str) -> None:
    path = f"{namespace}/{name}"
    hosts = sorted(HOSTS - {"hub.docker.com"})
    spellings = [f"{path}:{tag}", *(f"{host}/{path}:{tag}" for host in hosts), f"https://docker.io/{path}:{tag}"]  # fmt: skip
    assert {image_of(text, where="--image") for text in spellings} == {(path, tag)}
    assert image_of(f"https://hub.docker.com/r/{path}/tags", where="--image")[0] == path
    assert image_of(name, where="--image") == (f"library/{name}", "latest")
    assert image_of(f"https://hub.docker.com/_/{name}", where="--image")[0] == f"library/{name}"


@given(st.text(max_size=80), st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
def test_whatever_is_typed_is_a_target_or_a_usage_problem(image: str, user: str, organization: str, repository: str) -> None:  # fmt: skip
    values = {"image": image, "hub_user": user, "organization": organization, "repository": repository}
    try:
        target = DockerHubTarget.parse(values)
    except UsageProblem:
        return
    assert target.registry == "registry-1.docker.io"
    assert re.fullmatch(r"[a-z0-9-]{1,63}", target.secret_name)
    assert target.label


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"hub_user": "me@example.com"},
        {"hub_user": "not a name"},
        {"hub_user": "acmebot", "image": "ghcr.io/acme/checkout:1.0"},
        {"hub_user": "acmebot", "image": "localhost:5000/checkout:1.0"},
        {"hub_user": "acmebot", "image": "acme/shop/checkout:1.0"},
        {"hub_user": "acmebot", "repository": "acme/checkout:1.0"},
        {"hub_user": "acmebot", "repository": "acme/cart", "image": "acme/checkout:1.0"},
        {"hub_user": "acmebot", "organization": "acme"},
        {"hub_user": "acmebot", "organization": "acme", "repository": "other/checkout"},
        {"hub_user": "acmebot", "organization": "acme", "repository": ",".join(f"acme/r{number}" for number in range(51))},
        {"organization": "acme", "repository": "acme/checkout"},
        {"hub_user": "acmebot", "mint": True, "expires_in": dt.timedelta(days=400)},
        {"hub_user": "acmebot", "mint": True, "expires_in": dt.timedelta(seconds=5)},
        {"hub_user": "acmebot", "mint": True, "token_stdin": Secret("dckr_pat_x")},
        {"hub_user": "acmebot", "token_stdin": Secret("dckr_pat_x and more")},
        {"mint": True, "image": "acme/checkout:1.0"},
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        DockerHubTarget.parse(values)


@pytest.mark.parametrize("server", ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "https://hub.docker.com", "INDEX.docker.io:443"])  # fmt: skip
def test_docker_hub_is_known_by_its_servers(server: str) -> None:
    assert is_docker_hub(server)
    assert not is_docker_hub(f"{server.rpartition('//')[2].partition('/')[0].partition(':')[0]}.example.com")


def test_a_target_never_shows_what_it_was_given() -> None:
    target = DockerHubTarget.parse({"hub_user": "acmebot", "token_stdin": Secret("dckr_pat_secret")})
    assert "secret" not in repr(target).replace("secret_name", "")

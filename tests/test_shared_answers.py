"""What the targets of a file ask a cloud once: none of them waits longer than its own time, and none fails
because another one's time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from google.auth import credentials, exceptions

from bootstrap.fleet.scheduler import TurnDeadline
from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.secret import Secret
from bootstrap.plugin.cache import AsyncOnce
from providers.acr.cache import Facts as AzureFacts
from providers.acr.cloud import Azure
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.hub import Login as DockerHubLogin
from providers.gcr.cache import Facts as GoogleFacts
from providers.gcr.login import GoogleLogin
from providers.harbor.errors import HarborApiError
from providers.harbor.login import Login as HarborLogin
from providers.harbor.messages_login import login_failed
from tests.harness.virtual_time import Play

TURN = 10.0
"""The `--timeout` of each target, in seconds."""
CALL = 4.0
"""How long the cloud takes to answer."""


class Cloud:
    """Answers after so many seconds, if it is waited for that long."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.seconds = CALL
        self.calls = 0

    async def policy(self, _resource: str = "") -> str:
        self.calls += 1
        try:
            async with asyncio.timeout(self.deadline.clip(60.0)):
                await asyncio.sleep(self.seconds)
        except TimeoutError:
            raise StepFailed("the cloud did not answer", code=Code.CLOUD_UNAVAILABLE) from None
        return "policy"


Read = Callable[[], Any]
"""Asks for what the targets share."""


def _plain(cloud: Cloud) -> Read:
    return AsyncOnce(cloud.policy, deadline=cloud.deadline)


def _google(cloud: Cloud) -> Read:
    facts: Any = GoogleFacts(SimpleNamespace(policy=cloud.policy), cloud.deadline)  # type: ignore[arg-type]
    return lambda: facts.policy("projects/acme-shop")()  # noqa: PLW0108  - `Facts` gives each caller its own


def _azure(cloud: Cloud) -> Read:
    facts = AzureFacts(cloud.deadline)
    return lambda: facts.get("policy", cloud.policy)


class Targets:
    """Targets that read the same policy, each when so much of its turn is over."""

    def __init__(self, how: Callable[[Cloud], Read]) -> None:
        self.deadline = TurnDeadline(TURN)
        self.cloud = Cloud(self.deadline)
        self.read = how(self.cloud)

    async def one(self, *, over: float = 0.0) -> str:
        """What it reads, or why it does not."""
        self.deadline.begin()
        await asyncio.sleep(over)
        try:
            return str(await self.read())
        except PullkeyError as error:
            return str(error.code)

    async def later(self, seconds: float, **named: float) -> str:
        await asyncio.sleep(seconds)
        return await self.one(**named)


@pytest.mark.parametrize("how", [_plain, _google, _azure])
def test_a_target_whose_time_is_over_does_not_fail_those_that_wait_for_the_same(
    play: Play, how: Callable[[Cloud], Read]
) -> None:
    async def two() -> tuple[Sequence[str], int]:
        targets = Targets(how)
        # The first asks with a second left, and the second before that second is over.
        read = await asyncio.gather(targets.one(over=9.0), targets.later(9.5))
        return read, targets.cloud.calls

    assert play(two()) == ([Code.TIMEOUT, "policy"], 1)


@pytest.mark.parametrize("how", [_plain, _google, _azure])
def test_each_target_waits_as_long_as_its_own_time_lasts(play: Play, how: Callable[[Cloud], Read]) -> None:
    async def seconds() -> float:
        targets = Targets(how)
        targets.cloud.seconds = 30.0
        first = asyncio.create_task(targets.later(5.0))
        begin = clock.monotonic()
        assert await targets.one(over=9.0) == Code.TIMEOUT
        waited = clock.monotonic() - begin
        await first
        return waited

    assert play(seconds()) <= TURN


def test_what_was_read_costs_no_time(play: Play) -> None:
    async def late() -> str:
        targets = Targets(_plain)
        await targets.one()
        return await targets.one(over=TURN + 5.0)

    assert play(late()) == "policy"


# -- logins --------------------------------------------------------------------------------------------------


def _harbor(answers: list[int]) -> Read:
    login = HarborLogin("harbor.acme.example", "jo", Secret("a-password"))

    async def attempt(_: Secret) -> None:
        if status := answers.pop(0):
            raise login_failed("jo", login.host, HarborApiError(status, "scripted"))

    return lambda: login.authorization(NO_CONTEXT, attempt)


def _docker_hub(answers: list[int]) -> Read:
    login = DockerHubLogin("acmebot", Secret("a-password"))

    async def log_in(_user: str, secret: Secret) -> Secret:
        if status := answers.pop(0):
            raise HubApiError(status, "scripted")
        return secret

    hub: Any = SimpleNamespace(context=NO_CONTEXT, log_in=log_in)
    return lambda: login.bearer(hub)


NO_CONTEXT: Any = None
"""Nothing is asked of it: the password is known."""


@pytest.mark.parametrize("how", [_harbor, _docker_hub])
def test_a_login_that_was_not_answered_is_tried_again_for_the_next_target(
    play: Play, how: Callable[[list[int]], Read]
) -> None:
    async def twice() -> None:
        answers = [503, 0]
        log_in = how(answers)
        with pytest.raises(StepFailed):
            await log_in()
        await log_in()
        assert not answers

    play(twice())


@pytest.mark.parametrize("how", [_harbor, _docker_hub])
def test_a_login_that_was_refused_is_not(play: Play, how: Callable[[list[int]], Read]) -> None:
    async def twice() -> None:
        answers = [401, 0]
        log_in = how(answers)
        for _ in range(2):
            with pytest.raises(StepFailed):
                await log_in()
        assert answers == [0]

    play(twice())


# -- the logins of the SDKs ----------------------------------------------------------------------------------

# The SDK's classes have no types.
AnonymousCredentials: Any = credentials.AnonymousCredentials
RefreshError: Any = exceptions.RefreshError
TransportError: Any = exceptions.TransportError


def _google_login(play_errors: list[Exception | None], monkeypatch: pytest.MonkeyPatch) -> Read:
    import google.auth

    def refresh(*_: Any) -> None:
        if (error := play_errors.pop(0)) is not None:
            raise error

    monkeypatch.setattr(google.auth, "default", lambda: (AnonymousCredentials(), "acme-shop"))
    monkeypatch.setattr(AnonymousCredentials, "refresh", refresh)
    # Without time to try it again for the target that asks first.
    return GoogleLogin("", Deadline(0.0)).connect


def _azure_login(play_errors: list[Exception | None], monkeypatch: pytest.MonkeyPatch) -> Read:
    class Credential:
        async def get_token(self, *_: str, **__: Any) -> AccessToken:
            if (error := play_errors.pop(0)) is not None:
                raise error
            return AccessToken("a.e30.b", int(clock.time()) + 3600)

        async def close(self) -> None: ...

    monkeypatch.setattr("providers.acr.cloud.make_credential", lambda *_: Credential())
    return Azure("public", "default", "", lambda _: None, Deadline(60.0)).connect


CHAIN = "DefaultAzureCredential failed to retrieve a token\n\tEnvironmentCredential: {}"
UNANSWERED = [
    (_google_login, TransportError("timed out")),
    (_google_login, RefreshError("internal_failure", retryable=True)),
    (_azure_login, TimeoutError()),
    (_azure_login, ServiceRequestError("no route")),
    (_azure_login, ClientAuthenticationError(message=CHAIN.format("ConnectTimeout"))),
    (_azure_login, ClientAuthenticationError(message="Timed out waiting for Azure CLI")),
]
REFUSED = [
    (_google_login, RefreshError("invalid_grant")),
    (_google_login, TransportError("certificate verify failed")),
    (_azure_login, ClientAuthenticationError(message="AADSTS7000222: the secret has expired")),
    (_azure_login, ServiceRequestError("certificate verify failed")),
]


@pytest.mark.parametrize(("how", "error"), UNANSWERED)
def test_a_clouds_login_that_was_not_answered_is_tried_again(
    how: Callable[..., Read], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [error, None]
    log_in = how(answers, monkeypatch)

    async def twice() -> None:
        with pytest.raises(PullkeyError, match=r"no usable|did not answer"):
            await log_in()
        await log_in()

    asyncio.run(twice())
    assert not answers


@pytest.mark.parametrize(("how", "error"), REFUSED)
def test_a_clouds_login_that_was_refused_is_not(
    how: Callable[..., Read], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [error, None]
    log_in = how(answers, monkeypatch)

    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(PullkeyError, match="no usable"):
                await log_in()

    asyncio.run(twice())
    assert answers == [None]

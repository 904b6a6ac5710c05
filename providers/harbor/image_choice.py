"""The image that verifies the pull where none is named: one of the project that the login itself may pull."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, Verdict
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.registry import SECONDS, Challenge, exchange
from providers.harbor import messages
from providers.harbor.api import Harbor
from providers.harbor.errors import HarborApiError
from providers.harbor.target import HarborTarget

_MOST_TRIED = 3
"""How many images are tried: a policy of the project may refuse some to everyone."""
_MOST_SECONDS, _MOST_OF_THE_TIME = 10.0, 0.25
"""A pull is verified if that is possible, and no run fails for it: looking takes so many seconds at most, and
so much of what is left of --timeout.
"""
_BASIC = Challenge("basic")
"""Harbor's registry takes user name and password beside the tokens that it asks for
(goharbor/harbor, src/server/middleware/security/basic_auth.go, robot.go).
"""


@dataclass(frozen=True)
class Choice:
    """An image by its repository and its tag or digest; without one, both are "" and `why` says why."""

    repository: str = ""
    reference: str = ""
    why: str = ""


class ImageChoice:
    """The choice for one target, made once."""

    def __init__(self, harbor: Harbor, target: HarborTarget) -> None:
        self._harbor = harbor
        self._target = target
        self._choice = AsyncOnce(self._choose)

    async def probe(self) -> Probe:
        """What to pull: the image that was named, else the one that was chosen, else none."""
        target = self._target
        if target.repository:
            return Probe(target.host, target.repository, target.reference)
        found = await self.choice()
        return Probe(target.host, found.repository, found.reference)

    async def choice(self) -> Choice:
        """The chosen image; an empty choice where one is named, or where looking would prompt."""
        target = self._target
        if target.repository or not target.projects or not await self._harbor.may_look():
            return Choice()
        return await self._choice()

    async def _choose(self) -> Choice:
        context = self._harbor.context
        try:
            left = context.deadline.left * _MOST_OF_THE_TIME
            async with asyncio.timeout(context.deadline.clip(min(_MOST_SECONDS, left))):
                return await self._first_given()
        except TimeoutError:
            return Choice(why=messages.images_not_listed(self._target, messages.NOT_IN_TIME))
        except HarborApiError as error:
            return Choice(why=messages.images_not_listed(self._target, error.summary))
        except PullkeyError:
            return Choice()  # of the login, and reported as that

    async def _first_given(self) -> Choice:
        tried = 0
        async for repository, reference in self._images():
            if tried == _MOST_TRIED:
                break
            tried += 1
            if await self._is_given(repository, reference):
                return Choice(repository, reference)
        return Choice(why=messages.no_image_given(self._target) if tried else messages.no_image(self._target))

    async def _images(self) -> AsyncIterator[tuple[str, str]]:
        """The newest image of each repository, with its tag, else with its digest."""
        for project in self._target.projects:
            for repository in await self._harbor.repositories(project):
                reference = await self._harbor.newest_image(repository)
                if reference:
                    yield repository, reference

    async def _is_given(self, repository: str, reference: str) -> bool:
        """Whether the login is given the manifest. Of HEAD, Harbor counts no pull
        (src/server/registry/manifest.go).
        """
        harbor = self._harbor
        secret = await harbor.login.ask(harbor.context)
        attempt = await exchange(
            Probe(self._target.host, repository, reference, head=True),
            _BASIC,
            Credential(self._target.server, self._target.user, secret, KeyRef("", "", "")),
            trace=harbor.context.trace,
            seconds=harbor.context.deadline.clip(SECONDS),
        )
        return attempt.verdict is Verdict.PULLS

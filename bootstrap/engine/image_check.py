"""Whether the image and the repositories that are named exist, as the user's own login sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bootstrap.engine import messages
from bootstrap.model.credential import Credential
from bootstrap.model.errors import Problem
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import Absent, confirm_absent
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import State, StepStatus
from bootstrap.registry import Challenge, exchange, missing_repositories, nearest_image

# The time limit of each read in seconds; beyond it, nothing is concluded.
_SECONDS = 10.0


class ImageCheck:
    """The check of one target, so that a mistyped tag is found before anything is created.

    Args:
        session: of the target.
        context: of the run.
        challenge: the registry's, or why there is none.
        grant: the status of the grant; None if the target has no such step.
    """

    def __init__(
        self,
        session: Session,
        context: RunContext,
        challenge: AsyncOnce[Challenge | PullAttempt],
        grant: AsyncOnce[StepStatus] | None,
    ) -> None:
        self._session = session
        self._context = context
        self._challenge = challenge
        self._grant = grant

    async def problems(self) -> list[Problem]:
        """The problem of an image that does not exist, or the problems of named repositories that do not.

        An error, of the session or of the registry, means that nothing is known.
        """
        probe = await self._session.probe()
        named = self._session.named_repositories
        if named and self._grant is not None and (await self._grant()).state is not State.MISSING:
            named = ()  # a repository with a grant may have been emptied since
        if not (named or (probe.repository and probe.reference)):
            return []
        reader, challenge = await asyncio.gather(self._session.image_reader(), self._challenge())
        if reader is None or not isinstance(challenge, Challenge):
            return []
        # The image's own repository is checked with its tag.
        beside = [one for one in named if not (probe.reference and one == probe.repository)]
        if missing := await self._missing_repositories(beside, probe, challenge, reader):
            return missing
        if not (probe.repository and probe.reference):
            return []
        seen = await confirm_absent(
            lambda: self._image_as(reader, probe, challenge), deadline=self._context.deadline
        )
        if not isinstance(seen, Absent):
            return []
        near = await nearest_image(
            probe, challenge, reader, trace=self._context.trace, seconds=self._context.deadline.clip(_SECONDS)
        )
        return [messages.image_not_found(probe, near)]

    async def _missing_repositories(
        self, names: Sequence[str], probe: Probe, challenge: Challenge, reader: Credential
    ) -> list[Problem]:
        """The problems of named repositories that do not exist."""
        context, missing = self._context, dict[str, str]()

        async def all_there() -> bool | None:
            nonlocal missing
            missing = await missing_repositories(
                names,
                probe,
                challenge,
                reader,
                trace=context.trace,
                seconds=context.deadline.clip(_SECONDS),
            )
            return not missing or None

        if not names or not isinstance(await confirm_absent(all_there, deadline=context.deadline), Absent):
            return []
        return [messages.repository_not_found(probe.host, name, near) for name, near in missing.items()]

    async def _image_as(self, reader: Credential, probe: Probe, challenge: Challenge) -> PullAttempt | None:
        """The result of reading the image; None if it does not exist."""
        context = self._context
        attempt = await exchange(
            probe, challenge, reader, trace=context.trace, seconds=context.deadline.clip(_SECONDS)
        )
        return None if attempt.verdict is Verdict.NOT_FOUND else attempt

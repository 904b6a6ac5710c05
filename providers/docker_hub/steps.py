"""What is done at Docker Hub: one step, in two forms."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import PullkeyError, StepFailed
from bootstrap.link import KeyLink, is_key_id, supplied_id
from bootstrap.plugin import clock
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import Attempt
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step, StillThere, other_than
from bootstrap.waiting import Deadline, Delay, wait_out
from bootstrap.words import one_line
from providers.docker_hub import scripts
from providers.docker_hub.hub import HubApiError, NewToken, as_sentence, busy
from providers.docker_hub.target import DOMAIN, SERVER

if TYPE_CHECKING:
    from providers.docker_hub.session import DockerHubSession

_WHAT = {"pat": "a personal token", "oat": "a token of the organisation", "brought": "a user-supplied token"}  # fmt: skip
# Docker Hub's clock and ours differ, and an end that is a second more than a year away may be refused.
_CLOCK_MARGIN = dt.timedelta(minutes=5)
_SETTLE_SECONDS = 3.0
LABEL_MARK = "pullkey "
"""With which the labels of pullkey's tokens begin; the run's id follows."""
_MOST_TRIES = 4


class BroughtKey(Step):
    """The token that the person brings. Docker Hub is not asked about it: whoever holds a token may not see tokens."""

    name = "key"

    def __init__(self, session: DockerHubSession) -> None:
        self._session = session

    @property
    def title(self) -> str:
        return f"Use the supplied token of {self._session.target.puller or 'the user who pulls'}"

    async def look(self) -> Sighting:
        session = self._session
        link, reason = await usable_key(session)
        if link is None:
            return Sighting(State.MISSING, reason)
        if session.target.token is not None:
            # Akka never shows a password, so that it is the same one cannot be seen.
            return Sighting(State.MISSING, "a token was supplied")
        if link.name == "brought":
            return Sighting(State.DONE, f"Akka holds the token that run {link.key_id} handed off")
        return Sighting(State.DONE, f"Akka holds {_WHAT.get(link.name, 'a token')}, {link.key_id}; not checked at Docker Hub without a login")  # fmt: skip

    async def do(self) -> Done:
        session = self._session
        if session.token is None:
            raise AssertionError("the token is asked for before the first change")
        session.credential = Credential(
            server=SERVER,
            username=session.target.puller,
            password=session.token,
            link=KeyLink("brought", supplied_id(session.context.run_id), DOMAIN),
        )
        return Done("the token exists; its expiry is known to Docker Hub only")

    async def undo(self, intent: Intent) -> str:
        """Nothing is made here; but a run that was killed may have made a token, which takes a login to delete."""
        if "label" in intent:
            raise _still_there(intent, "no login was supplied")
        return ""

    def script(self) -> Script:
        return scripts.brought(self._session.target)


class MintedKey(Step):
    """A token that is made for this, under a label that carries the run's id, so that it is found whatever happens."""

    name = "key"

    def __init__(self, session: DockerHubSession) -> None:
        self._session = session
        self.attempt = Attempt()

    @property
    def title(self) -> str:
        target = self._session.target
        if target.organization:
            of = ", ".join(target.repositories) or "the same repositories"
            return f"Create a token of the organisation {target.organization} that may pull {of}"
        return f"Create a personal access token of {target.user} that may read"

    @property
    def _label(self) -> str:
        return f"{LABEL_MARK}{self._session.context.run_id}: Akka pulls with it"  # 100 characters at most

    async def look(self) -> Sighting:
        session, target = self._session, self._session.target
        link, reason = await usable_key(session)
        if link is None:
            return Sighting(State.MISSING, reason)
        if not session.hub.may_look:
            return Sighting(State.DONE, f"Akka holds token {link.key_id}; not checked at Docker Hub without a login")  # fmt: skip
        with as_sentence(f"show the token {link.key_id}"):
            token = await session.hub.token(link.key_id, target.organization)
        if token is None:
            return Sighting(State.MISSING, f"the token that Akka holds, {link.key_id}, was deleted")
        if token.expired:
            return Sighting(State.MISSING, f"the token that Akka holds, {link.key_id}, has expired")
        if not token.active:
            return Sighting(State.MISSING, f"the token that Akka holds, {link.key_id}, is deactivated")
        unread = [name for name in target.repositories if name not in token.repositories]
        if target.organization and unread:
            return Sighting(State.MISSING, f"the token that Akka holds, {link.key_id}, may not pull {', '.join(unread)}")  # fmt: skip
        return Sighting(State.DONE, f"Akka holds token {link.key_id}, which is valid")

    def intent(self) -> Intent:
        target = self._session.target
        return {"label": self._label, "user": target.user, "organization": target.organization}

    async def disowns(self, intent: Intent) -> str:
        target = self._session.target
        if other := other_than(intent, user=target.user, organization=target.organization):
            return other
        if not str(intent.get("label", LABEL_MARK)).startswith(LABEL_MARK):
            return f"the token labelled {one_line(str(intent['label']))!a}"
        key_id = str(intent.get("key_id") or "")
        if not is_key_id(key_id) or "label" not in intent:
            return ""
        with as_sentence(f"show the token {key_id}"):
            token = await self._session.hub.token(key_id, target.organization)
        return "" if token is None or token.label == intent["label"] else f"the token {key_id}, labelled {one_line(token.label)!a}"  # fmt: skip

    async def do(self) -> Done:
        session, target = self._session, self._session.target
        repositories = target.repositories
        with as_sentence(f"create a token of {target.puller}"):
            if target.organization and not repositories:
                repositories = await self._as_held()
            made = await self._made(repositories)
            if self.attempt.unanswered:
                # A call without an answer may have made one more, which is to be seen only now.
                await self._remove(self.intent(), keep=made.token.key_id)
        token = made.token
        session.credential = Credential(
            server=SERVER,
            username=target.puller,
            password=made.text,
            link=KeyLink(target.kind, token.key_id, DOMAIN),
            ends=token.ends,
        )
        until = f"expires {token.ends:%Y-%m-%d}" if token.ends else "no expiry shown by Docker Hub"
        return Done(f"token {token.key_id}, {until}", {"key_id": token.key_id})

    async def _as_held(self) -> tuple[str, ...]:
        """The repositories of the token that Akka holds, for one that is to replace it."""
        session = self._session
        repositories = await session.held_repositories()
        if not repositories:
            organization = session.target.organization
            raise StepFailed(
                "The token that Akka holds was deleted, so what it may pull is not known",
                fix=f"Name it: pullkey onboard docker-hub --organization {organization} --repository {organization}/NAME",
                code=Code.SCOPE_UNKNOWN,
            )
        return repositories

    async def _made(self, repositories: tuple[str, ...]) -> NewToken:
        """The token. Its making is sent again only after what an unanswered call may have made is removed.

        Raises:
            HubApiError: Docker Hub does not want to, or never answers.
        """
        session, context = self._session, self._session.context
        ends = clock.now() + session.target.expires_in - _CLOCK_MARGIN
        tries = 0

        async def once() -> NewToken:
            nonlocal tries
            tries += 1
            try:
                with self.attempt.sending():
                    return await session.hub.create(
                        self._label,
                        ends,
                        organization=session.target.organization,
                        repositories=repositories,
                    )
            except HubApiError as error:
                if error.unanswered:
                    await self._remove(self.intent())
                raise

        def why(error: Exception) -> Delay | None:
            # Where nothing is ever answered as documented, a token more each time helps nobody.
            return busy(error) if tries < _MOST_TRIES else None

        return await wait_out(once, why=why, deadline=context.deadline, tell=context.tell)

    async def _remove(self, intent: Intent, *, keep: str = "", seconds: float = 0.0) -> list[str]:
        """Delete the tokens of this run, which their label tells from everybody else's.

        Args:
            intent: whose, and which label.
            keep: one that stays.
            seconds: how long to look for what cannot be seen yet.
        """
        hub, deadline = self._session.hub, Deadline(seconds)
        removed: list[str] = []
        while True:
            for token in await hub.tokens(intent["organization"]):
                if token.label == intent["label"] and token.key_id not in (keep, *removed):
                    await hub.delete(token.key_id, intent["organization"])
                    removed.append(token.key_id)
            if deadline.passed or removed:
                return removed
            await asyncio.sleep(min(1.0, deadline.left))

    async def undo(self, intent: Intent) -> str:
        session, key_id = self._session, intent.get("key_id", "")
        if "label" not in intent:
            return ""  # of a run to which a token was brought
        if not (key_id or self.attempt.may_exist or intent.get("lost")):
            return ""  # it was refused, or never asked for
        try:
            if key_id:
                gone = [key_id] if await session.hub.delete(key_id, intent["organization"]) else []
            else:
                gone = await self._remove(intent, seconds=_SETTLE_SECONDS)
        except (HubApiError, PullkeyError) as error:
            said = error.said if isinstance(error, HubApiError) else error.what
            raise _still_there(intent, said) from None
        return f"deleted token {', '.join(gone)}" if gone else ""

    def script(self) -> Script:
        return scripts.minted(self._session.target)


def _still_there(intent: Intent, why: str) -> StillThere:
    key_id, organization = intent.get("key_id", ""), intent["organization"]
    what = f"the token {key_id}" if key_id else "perhaps a token"
    of = organization or intent["user"]
    return StillThere(
        f'{what} of {of} at Docker Hub, labelled "{intent["label"]}" ({why})',
        scripts.delete_command(
            organization, f" {key_id}" if key_id else f' labelled "{one_line(intent["label"])}"'
        ),
    )

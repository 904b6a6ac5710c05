"""Docker Hub's single step in its two forms: use a supplied token, or create one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef, is_key_id, supplied_id
from bootstrap.model.secret import Secret
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError, as_sentence
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, Intent, Script, State, StepStatus, StillThere, other_than
from bootstrap.plugin.supplied_key import SuppliedKey
from providers.docker_hub import messages, scripts
from providers.docker_hub.errors import busy
from providers.docker_hub.hub import Hub, NewToken, Token
from providers.docker_hub.target import DOMAIN, KINDS, SERVER, DockerHubTarget, check_token, covered

_WHAT = {"pat": "a personal token", "oat": "a token of the organisation", "brought": "a user-supplied token"}
# The clocks differ, and an expiry of one second over a year may be refused.
_CLOCK_MARGIN = dt.timedelta(minutes=5)
LABEL_MARK = "pullkey "
"""The beginning of the labels of pullkey's tokens, followed by the run's id."""


class SuppliedToken(SuppliedKey):
    """The user-supplied token. It is not looked up at Docker Hub: a login with a token cannot list tokens."""

    def __init__(self, session: Session, target: DockerHubTarget) -> None:
        super().__init__(session)
        self._target = target
        self.token: Secret | None = target.token

    @property
    def title(self) -> str:
        return f"Use the supplied token of {self._target.puller or 'the user who pulls'}"

    def owns(self, link: KeyRef) -> bool:
        return link.name in KINDS

    async def ask(self) -> None:
        """Prompt for the token.

        Raises:
            UsageProblem: it cannot prompt, or the input is invalid.
        """
        self.token = await self._of.context.ask_secret(f"The Docker Hub token of {self._target.puller}")
        if self.token is None:
            raise messages.token_not_supplied()
        check_token(self.token)

    async def look(self) -> StepStatus:
        link, reason = await usable_key(self._of)
        if link is None:
            return StepStatus(State.MISSING, reason)
        if self._target.token is not None:
            # Akka never shows a password, so whether it is the same token is unknown.
            return StepStatus(State.MISSING, "a token was supplied")
        if link.name == "brought":
            return StepStatus(State.DONE, f"Akka holds the token that run {link.key_id} handed off")
        what = f"{_WHAT.get(link.name, 'a token')}, {link.key_id}"
        return StepStatus(State.DONE, f"Akka holds {what}; not checked at Docker Hub without a login")

    async def do(self) -> Done:
        if self.token is None:
            raise AssertionError("the token is prompted for before the first change")
        self._of.credential = Credential(
            server=SERVER,
            username=self._target.puller,
            password=self.token,
            link=KeyRef("brought", supplied_id(self._of.context.run_id), DOMAIN),
        )
        return Done("the token exists; its expiry is known to Docker Hub only")

    async def undo(self, intent: Intent) -> str:
        """Report the token that a killed run may have created: deleting it needs a login."""
        if "label" in intent:
            raise messages.token_still_there(intent, "no login was supplied")
        return ""

    def not_revocable(self) -> PullkeyError:
        return messages.supplied_token_not_revocable()

    def delete_command(self, key_id: str) -> str:
        return scripts.delete_command("", f" that run {key_id} handed off")

    def script(self) -> Script:
        return scripts.supplied_token(self._target)


class CreatedToken(KeyResource[Token, NewToken]):
    """A token that the run creates. Its label has the run's id, so that it can be found if the answer is
    lost.
    """

    after = ()
    word = "token"
    can_disable = True
    asks_two_places = True
    undo_pauses = (1.0, 1.0, 1.0)
    most_creations = 4
    verbs = ("activate", "deactivate")

    def __init__(self, session: Session, target: DockerHubTarget, hub: Hub) -> None:
        super().__init__(session)
        self._target = target
        self._hub = hub
        self._repositories: tuple[str, ...] = target.repositories

    @property
    def title(self) -> str:
        target = self._target
        if target.organization:
            of = ", ".join(self._repositories) or "the same repositories"
            return f"Create a token of the organisation {target.organization} that may pull {of}"
        return f"Create a personal access token of {target.user} that may read"

    @property
    def _label(self) -> str:
        return f"{LABEL_MARK}{self._of.context.run_id}: Akka pulls with it"  # 100 characters at most

    def intent(self) -> Intent:
        target = self._target
        return {"label": self._label, "user": target.user, "organization": target.organization}

    async def disowns(self, intent: Intent) -> str:
        target = self._target
        if other := other_than(intent, user=target.user, organization=target.organization):
            return other
        if not str(intent.get("label", LABEL_MARK)).startswith(LABEL_MARK):
            return f"the token labelled {one_line(str(intent['label']))!a}"
        key_id = str(intent.get("key_id") or "")
        if not is_key_id(key_id) or "label" not in intent:
            return ""
        with as_sentence(f"show the token {key_id}"):
            token = await self.read(key_id)
        if token is None or token.label == intent["label"]:
            return ""
        return f"the token {key_id}, labelled {one_line(token.label)!a}"

    def owns(self, link: KeyRef) -> bool:
        """Whether the reference names a token of this kind; a user-supplied token's id is not
        Docker Hub's.
        """
        return link.name == self._target.kind if self._target.asked_for else link.name in KINDS

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> Token | None:
        return await self._hub.token(key_id, self._target.organization)

    async def recorded(self, key_id: str) -> Token | None:
        with as_sentence(f"show the token {key_id}"):
            return await self.read(key_id)

    def facts_of(self, shown: Token) -> KeyFacts:
        return KeyFacts(
            shown.key_id, shown.created, shown.expires, disabled=not shown.active, lacks=self._lacks(shown)
        )

    def unusable_reason(self, shown: Token) -> str:
        if shown.expired:
            return "has expired"
        if not shown.active:
            return "is deactivated"
        return self._lacks(shown)

    def _lacks(self, shown: Token) -> str:
        if not self._target.organization:
            return "may read public repositories only" if shown.public_only else ""
        # Where none is named, they are those of the token.
        wanted = self._target.repositories or shown.others
        unread = [name for name in wanted if not covered(shown.repositories, name)]
        return f"may not pull {', '.join(unread)}" if unread else ""

    async def why_unchecked(self) -> str:
        return "" if await self._hub.has_login() else "not checked at Docker Hub without a login"

    async def prepare(self) -> None:
        if self._target.organization:
            self._repositories = await self.repositories_to_pull() or await self._as_held()

    async def repositories_to_pull(self) -> tuple[str, ...]:
        """The repositories of the organisation's token to create: those that are named and, unless a file
        states all of them, those of the token that it replaces, so that Akka keeps what it pulls.

        Empty if none is named: then they are those of the replaced token.
        """
        named = self._target.repositories
        if not named or self._of.context.of_file:
            return named
        kept = [one for one in await self.held_repositories() if not covered(named, one)]
        self._repositories = (*(one for one in named if not covered(kept, one)), *kept)
        return self._repositories

    async def _as_held(self) -> tuple[str, ...]:
        """The repositories of the token that Akka holds: the one that replaces it may pull no more."""
        token = await self._held_token()
        if token is None:
            raise messages.replaced_scope_unknown(self._target.organization)
        left_out = [one for one in token.others if not covered(token.repositories, one)]
        if not token.repositories:
            raise messages.replaced_may_not_pull(self._target.organization, left_out)
        if left_out:
            self._of.context.tell(messages.not_pulled_by_replaced(left_out))
        return token.repositories

    async def held_repositories(self) -> tuple[str, ...]:
        """The repositories that the organisation's token in Akka may pull; empty if it was deleted or Akka
        has none.
        """
        token = await self._held_token()
        return token.repositories if token else ()

    async def _held_token(self) -> Token | None:
        held = await self._of.context.held_credential()
        if held is None or held.link is None or held.link.name != "oat":
            return None
        if held.username not in ("", self._target.organization):
            return None  # of another organisation
        return await self.recorded(held.link.key_id)

    async def create(self) -> NewToken:
        ends = clock.now() + self._target.expires_in - _CLOCK_MARGIN
        return await self._hub.create(
            self._label, ends, organization=self._target.organization, repositories=self._repositories
        )

    def id_of(self, answer: NewToken) -> str:
        return answer.token.key_id

    async def credential_of(self, answer: NewToken) -> Credential:
        return Credential(
            server=SERVER,
            username=self._target.puller,
            password=answer.text,
            link=KeyRef(self._target.kind, answer.token.key_id, DOMAIN),
            expires=answer.token.expires,
        )

    def example_ref(self) -> KeyRef:
        # Docker Hub's API, schema `accessToken`: uuid; of an organisation's token, id is another UUID.
        return KeyRef(self._target.kind, "00000000-0000-0000-0000-000000000000", DOMAIN)

    async def send_deletion(self, key_id: str) -> None:
        await self._hub.delete(key_id, self._target.organization)

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        await self._hub.switch(key_id, self._target.organization, on=on)

    async def of_run(self, intent: Intent) -> Sequence[str]:
        tokens = await self._hub.tokens(intent["organization"])
        return [one.key_id for one in tokens if one.label == intent["label"]]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if not await self._hub.has_login():
            return []
        with as_sentence(f"show the tokens of {self._target.puller}"):
            tokens = await self._hub.tokens(self._target.organization)
        return [self.facts_of(one) for one in tokens if one.label.startswith(LABEL_MARK) and not one.expired]

    async def undo(self, intent: Intent) -> str:
        # Without a label, the run was given a token.
        return await super().undo(intent) if "label" in intent else ""

    # -- errors and texts ------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        return self.refusal(error, f"create a token of {self._target.puller}")

    def named(self, key_id: str) -> str:
        return f"the token {key_id}"

    def gone_as(self, key_id: str) -> str:
        return f"The token {key_id} is deleted"

    def created_as(self, answer: NewToken) -> str:
        token = answer.token
        until = f"expires {token.expires:%Y-%m-%d}" if token.expires else "no expiry shown by Docker Hub"
        return f"token {token.key_id}, {until}"

    def still_there(self, intent: Intent, why: str) -> StillThere:
        return messages.token_still_there(intent, why)

    def delete_command(self, key_id: str) -> str:
        return scripts.delete_command(self._target.organization, f" {key_id}")

    def script(self) -> Script:
        return scripts.created_token(self._target)

"""GitLab's step: a deploy token of a project or group, with a user name of its own.

A deploy token cannot be disabled or renewed, and two of them may have one name (gitlabhq/gitlabhq,
lib/api/deploy_tokens.rb, app/models/deploy_token.rb): a rotation creates a new one beside the old one, and
the name contains the run's id.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError, refused
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.retry import Delay
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Intent, Script, StillThere, other_than
from providers.gitlab import messages, scripts
from providers.gitlab.address import host_of_instance
from providers.gitlab.answers import MARK, READ_REGISTRY, DeployToken, NewToken, name_of
from providers.gitlab.errors import GitlabApiError, busy
from providers.gitlab.place import Place, known_namespace
from providers.gitlab.target import USER, GitlabTarget, is_link, key_id_of, number_of_key

_EXAMPLE = 12345678


class CreatedDeployToken(KeyResource[DeployToken, NewToken]):
    """A deploy token that is created for Akka, under a name that contains the run's id."""

    after = ()
    word = "token"
    asks_two_places = True
    undo_pauses = (1.0, 1.0, 1.0)
    most_creations = 4

    def __init__(self, session: Session, target: GitlabTarget, place: Place) -> None:
        super().__init__(session)
        self._target = target
        self._place = place
        self._name = ""

    @property
    def title(self) -> str:
        return f"Create a deploy token of {self._target.called} that may read its registry"

    def intent(self) -> Intent:
        self._name = self._name or name_of(self._of.context.run_id)
        target = self._target
        return {
            "name": self._name,
            "registry": target.host,
            "kind": target.kind,
            "number": target.namespace_number,
        }

    async def disowns(self, intent: Intent) -> str:
        target = self._target
        if other := other_than(intent, registry=target.host, kind=target.kind):
            return other
        if not str(intent.get("name", MARK)).startswith(MARK):
            return f"the deploy token named {one_line(str(intent['name']))!a}"
        number = intent.get("number")
        if number and number != (await self._place.namespace()).number:
            return f"{target.kind} {number}"
        key_id = str(intent.get("key_id") or "")
        if number_of_key(key_id) is None or "name" not in intent:
            return ""
        shown = await self.recorded(key_id)
        if shown is None or shown.name == intent["name"]:
            return ""
        return f"the deploy token {key_id}, named {one_line(shown.name)!a}"

    # -- which key a record of Akka's names ------------------------------------------------------------------

    async def key_of(self, record: HeldCredential) -> KeyRef | None:
        await known_namespace(self._place)  # of which project, if that can be read
        return await super().key_of(record)

    def owns(self, link: KeyRef) -> bool:
        target = self._target
        if not is_link(link) or not link.name.startswith(f"gitlab-{target.kind}-"):
            return False
        number, url = target.namespace_number, target.seen.get("url", "")
        if number and link.name != f"gitlab-{target.kind}-{number}":
            return False
        # Akka may have cut a long e-mail, at the end of its domain.
        return not url or host_of_instance(url).startswith(link.domain)

    async def is_username(self, username: str, link: KeyRef) -> bool:
        """A deploy token's user name contains its number, unless another one was chosen."""
        if username == f"{USER}{link.key_id}":
            return True
        if not await self._place.may_look():
            return False
        shown = await self.recorded(link.key_id)
        return shown is not None and shown.username == username

    def example_ref(self) -> KeyRef:
        url, number = scripts.instance(self._target), self._target.namespace_number or _EXAMPLE
        return self._target.link(_EXAMPLE, url, number)

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> DeployToken | None:
        token = number_of_key(key_id)
        if token is None:
            return None
        namespace, gitlab = await self._place.namespace(), await self._place.gitlab()
        return await gitlab.deploy_token(namespace.kind, namespace.number, token)

    async def recorded(self, key_id: str) -> DeployToken | None:
        try:
            return await self.read(key_id)
        except ApiError as error:
            raise refused(error, f"show the deploy token {key_id}") from None

    def facts_of(self, shown: DeployToken) -> KeyFacts:
        return KeyFacts(key_id_of(shown.number), shown.created, shown.expires, disabled=shown.revoked)

    def unusable_reason(self, shown: DeployToken) -> str:
        if shown.revoked:
            return "was revoked"
        if shown.expired:
            return "has expired"
        return "" if READ_REGISTRY in shown.scopes else "may not read the registry"

    async def why_unchecked(self) -> str:
        return "" if await self._place.may_look() else "not checked at GitLab without a login"

    async def create(self) -> NewToken:
        namespace, gitlab = await self._place.namespace(), await self._place.gitlab()
        name = str(self.intent()["name"])
        return await gitlab.create(
            namespace.kind, namespace.number, name, clock.now() + self._target.expires_in
        )

    def id_of(self, answer: NewToken) -> str:
        return key_id_of(answer.token.number)

    async def credential_of(self, answer: NewToken) -> Credential:
        namespace, instance = await self._place.namespace(), await self._place.instance()
        return Credential(
            server=self._target.server,
            username=answer.token.username,
            password=answer.text,
            link=self._target.link(answer.token.number, instance, namespace.number),
            expires=answer.token.expires,
        )

    async def send_deletion(self, key_id: str) -> None:
        token = number_of_key(key_id)
        if token is None:
            raise GitlabApiError(404, "it is not a deploy token")
        namespace, gitlab = await self._place.namespace(), await self._place.gitlab()
        await gitlab.delete(namespace.kind, namespace.number, token)

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [key_id_of(one.number) for one in await self._listed() if one.name == intent["name"]]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if not await self._place.may_look():
            return []
        try:
            listed = await self._listed()
        except ApiError as error:
            raise refused(error, f"show the deploy tokens of {self._target.called}") from None
        return [self.facts_of(one) for one in listed if one.of_pullkey and not (one.expired or one.revoked)]

    async def _listed(self) -> Sequence[DeployToken]:
        namespace, gitlab = await self._place.namespace(), await self._place.gitlab()
        return await gitlab.deploy_tokens(namespace.kind, namespace.number)

    # -- errors and texts ------------------------------------------------------------------------------------

    def delay(self, error: Exception) -> Delay | None:
        return busy(error)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        return messages.creation_refused(self._target, error)

    def named(self, key_id: str) -> str:
        return f"the deploy token {key_id}"

    def shown_as(self, key_id: str) -> str:
        return self.named(key_id) if key_id else f"the deploy tokens of {self._target.called}"

    def created_as(self, answer: NewToken) -> str:
        token = answer.token
        until = f"expires {token.expires:%Y-%m-%d}" if token.expires else "no expiry shown by GitLab"
        return f"token {key_id_of(token.number)} of the user {one_line(token.username)}, {until}"

    def still_there(self, intent: Intent, why: str) -> StillThere:
        return messages.token_still_there(self._target, intent, why)

    def delete_command(self, key_id: str) -> str:
        return scripts.delete_command(self._target, key_id)

    def script(self) -> Script:
        return scripts.created(self._target)

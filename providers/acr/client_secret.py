"""The key step of a target with `--auth-kind principal`: add a client secret to the application."""

from __future__ import annotations

import asyncio
import datetime as dt
import shlex
from collections.abc import Collection, Iterator, Sequence

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import LeftOver, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef, local_name
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError, as_sentence, refused_as
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.observe import confirm_unlisted, read_until_shown
from bootstrap.plugin.retry import Delay, read_twice, retry_while
from bootstrap.plugin.step import Intent, Script, State, StepStatus, StillThere
from providers.acr import messages_application as messages
from providers.acr.application_facts import DISPLAY_MARK, ApplicationFacts
from providers.acr.application_script import secret_script
from providers.acr.directory_objects import Application, NewPassword, Password
from providers.acr.errors import AzureApiError
from providers.acr.ownership import change_refused
from providers.acr.token_claims import GRAPH_RIGHT
from providers.acr.waits import (
    APPLICATION_LAGS,
    CLOCKS,
    NEW_PASSWORD,
    SECRET_REMOVAL_SECONDS,
    SECRET_SHOWN_SECONDS,
    SETTLE_PAUSES,
    STILL_SHOWN,
    busy,
    busy_or_shown_before,
    busy_or_spreading,
)

# Of Entra's "app management policies", as they show in the answer to `addPassword`.
_TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"
_NOT_ALLOWED = "CredentialTypeNotAllowedAsPerAppPolicy"
# Tried in turn if the directory refuses a lifetime, since it does not say which one it accepts.
_SHORTER = tuple(dt.timedelta(days=days) for days in (180, 90, 60, 30, 7))


class _SecretLags(AzureApiError):
    """Graph shows a secret and denies that it exists, or does not know one that this run has created."""


class _ApplicationLags(AzureApiError):
    """Graph does not show an application that existed minutes ago."""


class Key(KeyResource[Password, NewPassword]):
    """A client secret beside the existing ones; its display name contains the run's id."""

    permissions = look_permissions = removal_permissions = (GRAPH_RIGHT,)
    word = "secret"
    goes_with_identity = True
    undo_pauses = SETTLE_PAUSES
    looked_for = "the application's secrets"

    def __init__(self, session: ApplicationFacts) -> None:
        super().__init__(session)
        self._session = session
        self._undone: Intent | None = None
        """The intent whose secret is being undone; it names the application."""
        self._lifetimes = self._all_lifetimes()
        self._lifetime: dt.timedelta | None = None

    @property
    def title(self) -> str:
        return f"Add a client secret to {self._session.target.app_label}"

    @property
    def display_name(self) -> str:
        """Of the secrets of this run."""
        return f"{DISPLAY_MARK}{self._session.context.run_id}"

    @property
    def identity_created(self) -> bool:
        return self._session.attempt.created_new

    async def look_now(self) -> StepStatus:
        if await self._session.application() is None:
            return StepStatus(State.MISSING, "there is no application yet")
        return await super().look_now()

    async def recorded(self, key_id: str) -> Password | None:
        seen = _secret_of(await self._session.application(), key_id)
        return seen or await super().recorded(key_id)

    def intent(self) -> Intent:
        known = self._session.known
        return {
            "app_id": known.app_id if known else "",
            "object_id": known.object_id if known else "",
            "display_name": self.display_name,
            "at": clock.now().isoformat(timespec="seconds"),
        }

    async def disowns(self, intent: Intent) -> str:
        session, app_id = self._session, str(intent.get("app_id") or "")
        if not app_id:
            return ""
        with as_sentence(f"show the application {one_line(app_id)}"):
            found = await read_twice(lambda: session.cloud.graph.application_by_app_id(app_id))
        if found is None or (session.is_own(found) and found.object_id == intent.get("object_id")):
            return ""
        return f"the application {one_line(app_id)}"

    def example_ref(self) -> KeyRef:
        # Graph, resource type `passwordCredential`: keyId is a Guid.
        target = self._session.target
        return KeyRef(local_name(target.app_name), "00000000-0000-0000-0000-000000000000", target.host)

    # -- the calls -------------------------------------------------------------------------------------------

    async def read(self, key_id: str) -> Password | None:
        return _secret_of(await self._application(), key_id)

    async def _application(self) -> Application | None:
        """The application whose secrets are read, without a cache."""
        session = self._session
        if self._undone is not None:
            return await session.cloud.graph.application_by_app_id(self._undone["app_id"])
        return await session.seen_now()

    def facts_of(self, shown: Password) -> KeyFacts:
        return KeyFacts(shown.key_id, shown.created, shown.expires)

    async def create(self) -> NewPassword:
        """Create a secret with the longest lifetime that the directory accepts."""
        session = self._session
        if session.known is None:
            raise AssertionError("the key comes after the identity")
        self._lifetime = self._lifetime or next(self._lifetimes)
        while True:
            try:
                return await session.cloud.graph.add_password(
                    session.known.object_id, self.display_name, clock.now() + self._lifetime
                )
            except AzureApiError as error:
                shorter = next(self._lifetimes, None) if error.code == _TOO_LONG else None
                if shorter is None:
                    raise
                self._lifetime = shorter
            session.context.tell(f"The directory's policy refuses that lifetime; trying {shorter.days} days.")

    def _all_lifetimes(self) -> Iterator[dt.timedelta]:
        first = self._session.lifetime  # as the preflight has left it
        yield first
        yield first - CLOCKS  # it may be the limit itself, by a clock that is behind
        yield from (one for one in _SHORTER if one < first)

    def id_of(self, answer: NewPassword) -> str:
        return answer.key_id

    def created_as(self, answer: NewPassword) -> str:
        return f"secret {answer.key_id}, expires {answer.expires:%Y-%m-%d}"

    async def credential_of(self, answer: NewPassword) -> Credential:
        session = self._session
        server = await session.server()
        return Credential(
            server=server,
            username=session.known.app_id if session.known else "",
            password=answer.text,
            link=KeyRef(local_name(session.target.app_name), answer.key_id, server),
            expires=answer.expires,
        )

    async def of_run(self, intent: Intent) -> Sequence[str]:
        found = await self._session.cloud.graph.application_by_app_id(intent["app_id"])
        if found is None and await self._may_lag(intent):
            raise _ApplicationLags(404, "", "Graph does not show the application yet")
        passwords = found.passwords if found is not None else ()
        return sorted(one.key_id for one in passwords if one.display_name == intent["display_name"])

    async def _may_lag(self, intent: Intent) -> bool:
        """Whether the application of an intent existed so recently that a read may not show it."""
        if "at" not in intent or clock.now() - dt.datetime.fromisoformat(intent["at"]) >= NEW_PASSWORD:
            return False
        return not await self._session.is_deleted(intent["app_id"])

    async def after_lost_answer(self, error: ApiError) -> None:
        # It may have been created, and its text is lost: delete it before the next one is created.
        await self.delete_lost(self.intent(), pauses=SETTLE_PAUSES)

    async def _clear_doubles(self, key_id: str) -> LeftOver | None:
        # Reads that show the later one show the earlier one too.
        await self._wait_until_shown(key_id)
        return await super()._clear_doubles(key_id)

    async def _wait_until_shown(self, key_id: str) -> None:
        deadline = Deadline(min(SECRET_SHOWN_SECONDS, self._session.context.deadline.left / 2))
        while not deadline.passed:
            if await self.read(key_id) is not None:
                return
            await asyncio.sleep(min(1.0, deadline.left))

    async def send_deletion(self, key_id: str) -> bool:
        session = self._session
        object_id = self._undone["object_id"] if self._undone is not None else ""
        if not object_id:
            application = session.known or session.last_seen or await session.expected_application()
            if application is None:
                if await session.is_surely_gone():
                    return False
                raise messages.application_lags(session.target.client_id)
            object_id = application.object_id
        try:
            await session.cloud.graph.remove_password(object_id, key_id)
        except AzureApiError as error:
            if error.status != 400:
                raise
            # Graph's answer for a deleted secret, or one that a replica does not know yet.
            raise AzureApiError(404, error.code, error.message) from None
        return True

    # -- one of them by its id -------------------------------------------------------------------------------

    async def facts(self, key_id: str) -> KeyFacts | None:
        session = self._session
        application = await session.application_now()
        if application is None and not await session.is_surely_gone():
            # Akka's record names it, so one answer that it is not there may be of a server that lags.
            application = await read_until_shown(
                session.application_now, contradicted_by="Akka's record names it"
            )
            if application is None:
                raise messages.application_unconfirmed(session.target.client_id)
        shown = _secret_of(application, key_id)
        return self.facts_of(shown) if shown is not None else None

    async def delete(self, key_id: str) -> bool:
        deadline = Deadline(self._session.context.deadline.clip(SECRET_REMOVAL_SECONDS))
        with refused_as(self.refusal, f"remove the secret {key_id} of {self._session.target.app_label}"):
            return await self.delete_by_id(key_id, deadline)

    async def undo(self, intent: Intent) -> str:
        if not intent["app_id"]:
            return ""
        self._undone = intent
        try:
            return await super().undo(intent)
        finally:
            self._undone = None

    def undone_as(self, keys: Sequence[str], intent: Intent) -> str:
        return f"removed secret {', '.join(keys)} of {intent['app_id']}"

    def still_there(self, intent: Intent, why: str) -> StillThere:
        app_id, key_id = intent["app_id"], intent.get("key_id")
        what = f"the secret {key_id or intent['display_name']} of {app_id} ({why})"
        if key_id:
            return StillThere(what, f"az ad app credential delete --id {app_id} --key-id {key_id}")
        query = f"[?displayName=='{intent['display_name']}']"
        return StillThere(what, f'az ad app credential list --id {app_id} --query "{query}"')

    def delete_command(self, key_id: str) -> str:
        session, target = self._session, self._session.target
        app_id = target.client_id or (session.known.app_id if session.known else "")
        of = (
            app_id
            or f"$(az ad app list --display-name {shlex.quote(target.app_name)} --query '[0].appId' "
            "--output tsv)"
        )
        return f"az ad app credential delete --id {of} --key-id {shlex.quote(key_id)}"

    # -- what errors are -------------------------------------------------------------------------------------

    def lagging(self, error: ApiError, key_id: str) -> ApiError:
        del key_id
        return _SecretLags(400, error.code, error.message)

    def delay(self, error: Exception) -> Delay | None:
        if isinstance(error, _ApplicationLags):
            return Delay(APPLICATION_LAGS)
        return Delay(STILL_SHOWN) if isinstance(error, _SecretLags) else busy(error)

    def creation_delay(self, error: Exception) -> Delay | None:
        known = self._session.known
        is_new = self._session.attempt.created or (known is not None and known.is_new)
        return self.delay(error) or (busy_or_spreading if is_new else busy_or_shown_before)(error)

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return change_refused(self._session, error, doing)

    async def creation_refusal(self, error: ApiError) -> StepFailed:
        if error.code == _NOT_ALLOWED:
            return messages.secrets_forbidden_now(error)
        if error.code == _TOO_LONG:
            return messages.lifetime_refused(error)
        return self.refusal(error, f"add a secret to {self._session.target.app_label}")

    # -- all of them -----------------------------------------------------------------------------------------

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        session = self._session
        application = await session.expected_application()
        if application is None:
            return []
        known = {key_id.lower() for key_id in ours}
        # An expired secret is of no use.
        secrets = [
            one for one in application.passwords if one.key_id.lower() not in known and not one.expired
        ]
        certificates = [one for one in application.certificates if not one.expired]
        with as_sentence(f"show the federated credentials of {session.target.app_label}"):
            federated = await retry_while(
                lambda: session.cloud.graph.federated_credentials(application.object_id),
                why=busy_or_shown_before,
                deadline=session.context.deadline,
                tell=session.context.tell,
            )
        return [
            *(_described("secret", one) for one in secrets),
            *(_described("certificate", one) for one in certificates),
            *(f"federated credential {name}" for name in federated),
        ]

    async def list_counted(self) -> list[KeyFacts]:
        with as_sentence(f"show the application {self._session.target.app_label}"):
            application = await self._session.application()
        return [self.facts_of(one) for one in (application.passwords if application else ())]

    async def list_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        session = self._session
        if as_seen:
            with as_sentence(f"show the application {session.target.app_label}"):
                application = await session.application()
        else:
            application = await session.application_now()
        return [
            self.facts_of(one)
            for one in (application.passwords if application else ())
            if one.display_name.startswith(DISPLAY_MARK)
            and (one.display_name != self.display_name or one.key_id == self.answered)
            and not one.expired
        ]

    def script(self) -> Script:
        return secret_script()


def _secret_of(application: Application | None, key_id: str) -> Password | None:
    passwords = application.passwords if application is not None else ()
    return next((one for one in passwords if one.key_id.lower() == key_id.lower()), None)


def _described(kind: str, one: Password) -> str:
    when = f" of {one.created:%Y-%m-%d}" if one.created else ""
    return f"{kind} {one.key_id[:8]}…{when} ({one.display_name or 'without a name'})"


async def remove_old_secrets(
    session: ApplicationFacts, application: Application, *, before: dt.datetime | None = None
) -> None:
    """Remove the secrets of a restored application, except those that Akka's records name.

    Args:
        session: that of the target.
        application: as it was read after its restoration.
        before: only those that are known to be older; None for all.

    Raises:
        AzureApiError: one could not be removed.
    """
    graph, in_use = session.cloud.graph, await session.context.keys_in_use()
    # One of pullkey's may be named by a record in a project that could not be read.
    left = [
        one.key_id
        for one in application.passwords
        if one.key_id not in in_use.ids
        and not (in_use.unseen and one.display_name.startswith(DISPLAY_MARK))
        and not one.expired
        and (before is None or (one.created is not None and one.created < before))
    ]

    async def shown() -> list[str]:
        found = await graph.application_by_app_id(application.app_id)
        if found is None:
            raise AzureApiError(404, "", "the restored application is not to be seen yet")
        return [one.key_id for one in found.passwords]

    async def remove() -> None:
        denied = None
        for key_id in tuple(left):
            try:
                await graph.remove_password(application.object_id, key_id)
            except AzureApiError as error:
                if error.status not in (400, 404):
                    raise
                denied = error  # Graph's answer for a deleted one, or from a replica that lags
            else:
                left.remove(key_id)
        if denied is None:
            return
        gone = await confirm_unlisted(left, shown, contradicted_by="the restored application had it")
        left[:] = [key_id for key_id in left if key_id not in gone.things]
        if left:
            raise AzureApiError(404, denied.code, f"it still shows {', '.join(left)}")

    await retry_while(
        remove, why=busy_or_spreading, deadline=session.context.deadline, tell=session.context.tell
    )

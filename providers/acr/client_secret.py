"""The key of an Azure target: a client secret of the application."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import StepFailed
from bootstrap.link import KeyLink, local_name
from bootstrap.observe import Present, confirm_absent
from bootstrap.plugin import clock
from bootstrap.plugin.recorded_key import usable_key
from bootstrap.plugin.resource import Attempt
from bootstrap.steps import Done, Intent, Script, Sighting, State, Step, StillThere
from bootstrap.waiting import Deadline, Delay, surely, wait_out
from bootstrap.words import one_line
from providers.acr.application_facts import DISPLAY_MARK, ApplicationFacts
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.claims import GRAPH_RIGHT
from providers.acr.waits import SECRET_SHOWN_SECONDS, SETTLE_SECONDS, busy, busy_or_spreading

if TYPE_CHECKING:
    from providers.acr.graph import Application, NewPassword, Password

# Of Entra's "app management policies", as they show in the answer to `addPassword`.
_TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"
_NOT_ALLOWED = "CredentialTypeNotAllowedAsPerAppPolicy"
# Tried in turn where the directory refuses a lifetime without saying what it would take.
_SHORTER = tuple(dt.timedelta(days=days) for days in (180, 90, 60, 30, 7))
NO_SECRETS = (
    "Ask the administrator of app management policies for an exception for this application; or use an application "
    "that is exempt, with --app-id"
)


class Key(Step):
    """One client secret beside those that are there; its display name carries the run's id."""

    name = "key"
    after = ("identity",)
    permissions = (GRAPH_RIGHT,)

    def __init__(self, session: ApplicationFacts) -> None:
        self._session = session
        self.attempt = Attempt()

    @property
    def title(self) -> str:
        return f"Add a client secret to {self._session.target.app_label}"

    @property
    def display_name(self) -> str:
        """Of the secrets of this run."""
        return f"{DISPLAY_MARK}{self._session.context.run_id}"

    async def look(self) -> Sighting:
        session = self._session
        try:
            application = await session.application()
        except AzureApiError as error:
            if error.forbidden:
                return Sighting(State.UNSEEN, "it may not be read")
            raise refused(error, "show the application's secrets") from None
        if application is None:
            return Sighting(State.MISSING, "there is no application yet")
        link, reason = await usable_key(session)
        if link is None:
            return Sighting(State.MISSING, reason)
        held = await self._shown(application, link.key_id)
        if held is None:
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, was deleted")
        if held.expired:
            return Sighting(State.MISSING, f"the secret that Akka holds, {link.key_id}, has expired")
        return Sighting(State.DONE, f"Akka holds secret {link.key_id}, which is valid")

    async def _shown(self, application: Application, key_id: str) -> Password | None:
        """The secret that Akka's record names; that it is gone is not believed of one read."""

        def of(found: Application | None) -> Password | None:
            passwords = found.passwords if found is not None else ()
            return next((one for one in passwords if one.key_id.lower() == key_id.lower()), None)

        async def again() -> Password | None:
            return of(await self._session.application_now())

        if (held := of(application)) is not None:
            return held
        seen = await confirm_absent(again, contradicted_by="Akka's record names it")
        return seen.value if isinstance(seen, Present) else None

    def intent(self) -> Intent:
        known = self._session.known
        return {
            "app_id": known.app_id if known else "",
            "object_id": known.object_id if known else "",
            "display_name": self.display_name,
        }

    async def disowns(self, intent: Intent) -> str:
        session, app_id = self._session, str(intent.get("app_id") or "")
        if not app_id:
            return ""
        with as_sentence(f"show the application {one_line(app_id)}"):
            found = await surely(lambda: session.cloud.graph.application_by_app_id(app_id))
        if found is None or (session.is_own(found) and found.object_id == intent.get("object_id")):
            return ""
        return f"the application {one_line(app_id)}"

    async def do(self) -> Done:
        session = self._session
        application = session.known
        if application is None:
            raise AssertionError("the key comes after the identity")
        answer = await self._made(application)
        if self.attempt.unanswered:
            # A call without an answer may have made one more. Reads that show the later one show the earlier one too.
            with as_sentence(f"show the secrets of {application.display_name}"):
                await self._wait_until_shown(application, answer.key_id)
                await self._remove(self.intent(), keep=answer.key_id)
        server = await session.server()
        session.credential = Credential(
            server=server,
            username=application.app_id,
            password=answer.text,
            link=KeyLink(local_name(session.target.app_name), answer.key_id, server),
            ends=answer.ends,
        )
        return Done(f"secret {answer.key_id}, expires {answer.ends:%Y-%m-%d}", {"key_id": answer.key_id})

    async def _wait_until_shown(self, application: Application, key_id: str) -> None:
        deadline = Deadline(min(SECRET_SHOWN_SECONDS, self._session.context.deadline.left / 2))
        while not deadline.passed:
            found = await self._session.cloud.graph.application_by_app_id(application.app_id)
            if found is not None and key_id in [one.key_id for one in found.passwords]:
                return
            await asyncio.sleep(min(1.0, deadline.left))

    async def _made(self, application: Application) -> NewPassword:
        """The secret, with the longest lifetime that the directory takes."""
        session, context = self._session, self._session.context
        last: AzureApiError | None = None
        for lifetime in self._lifetimes():
            if last is not None:
                context.tell(f"The directory's policy refuses that lifetime; trying {lifetime.days} days.")
            ends = clock.now() + lifetime
            try:
                return await wait_out(
                    lambda ends=ends: self._add(application, ends),  # type: ignore[misc]
                    why=self._delay,
                    deadline=context.deadline,
                    tell=context.tell,
                )
            except AzureApiError as error:
                if error.code == _NOT_ALLOWED:
                    raise StepFailed(f"A policy of the directory forbids client secrets ({error.said})", fix=NO_SECRETS, code=Code.KEYS_FORBIDDEN) from None  # fmt: skip
                if error.code != _TOO_LONG:
                    raise refused(error, f"add a secret to {session.target.app_label}") from None
                last = error
        said = last.said if last else ""
        raise StepFailed(f"The directory's policy takes no lifetime that was tried ({said})", fix="Ask the administrator of app management policies for the longest lifetime, and pass it with --expires-in.", code=Code.KEY_LIFETIME)  # fmt: skip

    def _lifetimes(self) -> Iterator[dt.timedelta]:
        first = self._session.lifetime
        yield first
        yield from (one for one in _SHORTER if one < first)

    async def _add(self, application: Application, ends: dt.datetime) -> NewPassword:
        try:
            with self.attempt.sending():
                return await self._session.cloud.graph.add_password(
                    application.object_id, self.display_name, ends
                )
        except AzureApiError as error:
            if error.unanswered:
                # It may have been made, and its text is lost: away with it before the next.
                await self._remove(self.intent(), seconds=SETTLE_SECONDS)
            raise

    def _delay(self, error: Exception) -> Delay | None:
        new = self._session.application_made or self._session.application_restored
        return busy_or_spreading(error) if new else busy(error)

    async def _remove(
        self, intent: Intent, *, keep: str = "", key_id: str = "", seconds: float = 0.0
    ) -> list[str]:
        """Remove the secrets of this run, which its display name tells from everybody else's.

        Args:
            intent: whose, and which display name.
            keep: one that stays.
            key_id: one that is known to have been made, whether it can be seen yet or not.
            seconds: how long to look for what cannot be seen yet.
        """
        graph, deadline = self._session.cloud.graph, Deadline(seconds)
        removed: list[str] = []
        while True:
            found = await graph.application_by_app_id(intent["app_id"])
            seen = found.passwords if found is not None else ()
            ours = {one.key_id for one in seen if one.display_name == intent["display_name"]}
            if key_id and not (found is None and intent.get("lost")):  # whose it is, only the journal says
                ours.add(key_id)
            for one in sorted(ours - {keep, *removed}):
                try:
                    await graph.remove_password(intent["object_id"], one)
                except AzureApiError as error:
                    # Gone, or not there yet.
                    if error.status not in (400, 404):
                        raise
                else:
                    removed.append(one)
            if deadline.passed or (removed and key_id in ("", *removed)):
                return removed
            await asyncio.sleep(min(1.0, deadline.left))

    async def undo(self, intent: Intent) -> str:
        session = self._session
        if not intent["app_id"] or (session.application_made and not intent.get("identity_stays")):
            return ""  # it goes with the application, which this run made and now removes
        key_id = intent.get("key_id", "")
        if not (key_id or self.attempt.may_exist or intent.get("lost")):
            return ""  # it was refused, or never asked for
        deadline = session.undo_deadline()
        seconds = deadline.seconds if key_id else SETTLE_SECONDS
        try:
            removed = await wait_out(
                lambda: self._remove(intent, key_id=key_id, seconds=min(seconds, deadline.left)),
                why=busy,
                deadline=deadline,
                tell=session.context.tell,
            )
        except AzureApiError as error:
            app_id = intent["app_id"]
            command = (
                f"az ad app credential delete --id {app_id} --key-id {key_id}"
                if key_id
                else f"az ad app credential list --id {app_id} --query \"[?displayName=='{intent['display_name']}']\""
            )
            raise StillThere(f"the secret {key_id or intent['display_name']} of {app_id} ({error.said})", command) from None  # fmt: skip
        return f"removed secret {', '.join(removed)} of {intent['app_id']}" if removed else ""

    def script(self) -> Script:
        return Script(
            do=(
                "find_identity\n"
                'KEY_NAME="pullkey runbook $(date -u +%Y%m%dT%H%M%SZ)"\n'
                'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name "$KEY_NAME" '
                '--end-date "$END_DATE" --query password --output tsv)"\n'
                "find_key() {\n"
                '  KEY_ID="$(az ad app credential list --id "$APP_ID" '
                '--query "[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"\n'
                '  [ -n "$KEY_ID" ]\n'
                "}\n"
                "patiently find_key\n"
                'echo "The secret is $KEY_ID"'
            ),
            check='[ -n "$SECRET" ] && [ -n "$KEY_ID" ]',
            undo='if [ -n "${KEY_ID:-}" ]; then az ad app credential delete --id "$(application)" --key-id "$KEY_ID"; fi',
            typed=(
                'KEY_NAME="pullkey by hand $(date -u +%Y%m%dT%H%M%SZ)"\n'
                'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name "$KEY_NAME" --end-date "$END_DATE" --query password --output tsv)"\n'
                'KEY_ID="$(az ad app credential list --id "$APP_ID" --query "[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"'
            ),
            why="--append keeps the secrets that are there; without it all of them would be deleted.",
        )


async def remove_old_secrets(session: ApplicationFacts, application: Application) -> None:
    """Remove the secrets that came back with a restored application, but those that Akka's records name.

    Raises:
        AzureApiError: one could not be removed.
    """
    in_use = await session.context.keys_in_use()
    for one in application.passwords:
        # One of pullkey's may be named by a record in a project that could not be read.
        unsure = bool(in_use.unseen) and one.display_name.startswith(DISPLAY_MARK)
        if one.key_id not in in_use.ids and not unsure and not one.expired:
            try:
                await session.cloud.graph.remove_password(application.object_id, one.key_id)
            except AzureApiError as error:
                if error.status not in (400, 404):  # so Graph answers for one that is gone
                    raise

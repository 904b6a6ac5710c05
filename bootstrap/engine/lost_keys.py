"""Keys that runs on any machine have created and lost: deleted, since their mark in the cloud says so
(`Keys.lost_keys`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bootstrap.engine import messages
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.text import count_of
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.observe import confirm_unlisted
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done, EngineStep, Script, State, Step, StepStatus


async def still_lost(keys: Sequence[KeyFacts], context: RunContext) -> list[KeyFacts] | None:
    """The lost keys that no Akka record names. None if Akka's records could not all be read, or there was no
    time to read enough lists.

    Only its record tells a key in use from a lost one.

    Raises:
        PullkeyError: Akka's records cannot be read.
    """
    unseen: list[str] = []

    async def named() -> Collection[str]:
        in_use = await context.keys_in_use(anew=True)
        unseen.extend(in_use.unseen)
        return in_use.ids

    found = await confirm_unlisted(
        [key.key_id for key in keys],
        named,
        contradicted_by="it was created for this secret",
        deadline=context.deadline,
    )
    if unseen or not found.certain:
        return None
    return [key for key in keys if key.key_id in found.things]


class DeleteLostKeys(Step):
    """Deletes the keys that earlier runs for the same Akka secret created and lost, on any machine, before
    another one is created.

    What a journal of this machine names is `recovery`'s. It never fails the run: Akka holds none of them.
    """

    name = EngineStep.LOST
    quiet = True

    def __init__(self, session: Session, context: RunContext) -> None:
        self._session = session
        self._context = context
        self._keys: Sequence[KeyFacts] = ()

    @property
    def title(self) -> str:
        count = len(self._keys)
        return f"Delete {count_of(count, 'key')} of runs that did not end"

    async def look(self) -> StepStatus:
        try:
            self._keys = await self._session.key.lost_keys()
        except PullkeyError as error:
            self._context.trace(f"keys of lost runs cannot be seen ({error.what})")
        if not self._keys:
            return StepStatus(State.DONE, "no key of a lost run")
        named = ", ".join(key.key_id for key in self._keys)
        return StepStatus(
            State.MISSING, f"{named}: created by a run that did not end; no record of Akka's names it"
        )

    async def do(self) -> Done:
        try:
            lost = await still_lost(self._keys, self._context)
        except PullkeyError as error:
            self._context.trace(f"what Akka holds cannot be read ({error.what})")
            lost = None
        if lost is None:
            text = "Kept the keys of runs that did not end, since what Akka holds could not be read"
            return Done(text, instead=text)
        deleted, kept = [], []
        for key in lost:
            try:
                await self._session.key.delete(key.key_id)
                deleted.append(key.key_id)
            except PullkeyError as error:
                kept.append(
                    messages.lost_key_kept(key.key_id, error, self._session.key.delete_command(key.key_id))
                )
        texts = [f"Deleted {', '.join(deleted)}, of runs that did not end"] if deleted else []
        text = ". ".join([*texts, *kept]) or "No key of a lost run is left"
        return Done(text, instead=text)

    def script(self) -> Script:
        return Script(do="\n".join(self._session.key.delete_command(key.key_id) for key in self._keys))

"""What is left of a credential that Akka no longer lists, where no journal says what became of it.

A removal that was killed on another machine, or an onboarding, leaves no journal here. "Already removed" is a
conclusion from what Akka and the cloud show.
"""

from __future__ import annotations

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.records import keys_in_use
from bootstrap.engine import messages
from bootstrap.engine.unrecorded_keys import keys_without_record, whose_keys
from bootstrap.model.errors import LeftOver, PullkeyError
from bootstrap.plugin.cache import AsyncOnce
from bootstrap.plugin.session import Session


async def remains(
    session: Session, akka: AkkaCli, secret_name: str, *, keep_secret: bool = False
) -> tuple[list[LeftOver], list[str]]:
    """The Akka secret and the keys that a credential has left, each with the command that deletes it; and
    what could not be seen, in a sentence each.

    Args:
        session: of its target, on which nothing was read yet.
        akka: for its project, whose list does not show the credential.
        secret_name: its name.
        keep_secret: whether the secret is kept on purpose.
    """
    context, name = session.context, secret_name
    context.in_use = AsyncOnce(lambda: keys_in_use(akka))
    context.place = lambda: akka.place(name)
    left: list[LeftOver] = []
    unseen: list[str] = []
    try:
        if not keep_secret and await akka.lists_secret(name):
            left.append(messages.secret_left_over(name, akka.secret_removal(name)))
    except PullkeyError as error:
        unseen.append(messages.remains_unseen(f"Akka's secret {name}", error))
    if session.key.supplied:
        return left, unseen
    try:
        await session.connect()
        shown = [*await session.key.list_ours(), *await session.key.lost_keys()]
        keys = await keys_without_record(session, akka, {one.key_id: one for one in shown}.values())
        identity = await whose_keys(session) if keys else ""
    except PullkeyError as error:
        unseen.append(messages.remains_unseen("its keys", error))
    else:
        command = session.key.delete_command
        left += [messages.key_left_over(key, identity, command(key.key_id)) for key in keys]
    return left, unseen

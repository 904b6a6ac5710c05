"""An account that has all the keys that Google allows it: which of them may go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind
from bootstrap.plugin.context import KeysInUse
from providers.gcr import cloud
from providers.gcr.account_session import AccountSession, made_by_pullkey
from providers.gcr.target import KEYS_OF_AN_ACCOUNT

# When keys are listed after a refusal that says nothing but may be of their number: a list may lag.
_PAUSES = (0.0, 1.0, 2.0)


async def key_limit_problem(session: AccountSession, *, failed: str = "") -> Problem | None:
    """The problem of an account without room for another key, with the key that may be deleted; None while
    there is room.

    A key that any record of Akka's names is in use, whatever its age: it is never offered.

    Args:
        session: of the account.
        failed: what Google has answered to a creation, where one was tried: a list that lags is then no sign
            of room.

    Raises:
        GoogleApiError: the keys cannot be seen.
        PullkeyError: what Akka holds cannot be seen.
    """
    for pause in _PAUSES if failed else (0.0,):
        await asyncio.sleep(pause)
        session.keys.invalidate()
        keys = await session.keys()
        if len(keys) >= KEYS_OF_AN_ACCOUNT:
            break
    else:
        if "number of keys" not in failed:
            return None
    account = session.target.account
    in_use = await session.context.keys_in_use()
    ours = not session.target.account_given and made_by_pullkey(await session.account())
    what = f"{account} has {max(len(keys), KEYS_OF_AN_ACCOUNT)} keys, and Google allows {KEYS_OF_AN_ACCOUNT}"
    return Problem(
        ProblemKind.LIMIT, what, _advice(session, keys, in_use, ours=ours), step="key", code=Code.KEY_LIMIT
    )


def _advice(session: AccountSession, keys: Mapping[str, Any], in_use: KeysInUse, *, ours: bool) -> str:
    free = sorted(
        (key for key_id, key in keys.items() if key_id not in in_use.ids),
        key=lambda key: key.valid_after_time,
    )
    now = clock.now()
    for key in free:
        if key.valid_before_time and key.valid_before_time <= now:
            return _delete(session, key, "has expired")
    for key in free:
        if key.disabled:
            return _delete(session, key, "is disabled")
    if free and ours and not in_use.unseen:
        return _delete(session, free[0], "is named by no Akka record, and the account is pullkey's own")
    account = session.target.account
    see = (
        "gcloud iam service-accounts keys list --managed-by=user "
        f"{cloud.of_account(session.target.account_resource)}"
    )
    another = "or use another account for this registry: --service-account"
    if not free:
        return f"Akka uses all of them, so none can be deleted; {another}"
    unseen = f", and what {', '.join(in_use.unseen)} has could not be seen" if in_use.unseen else ""
    return (
        f"No key is known to be unused: {len(free)} are named by no Akka record{unseen}, but others may "
        f"use {account}. Find an unused one ({see}), {another}"
    )


def _delete(session: AccountSession, key: Any, why: str) -> str:
    key_id = cloud.id_of(key)
    return (
        f"Delete key {key_id} of {key.valid_after_time:%Y-%m-%d}, which {why}: "
        f"{session.key.delete_command(key_id)}"
    )

"""The limit of keys of a service account, and which key can be deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bootstrap.model import clock
from bootstrap.model.errors import Problem
from bootstrap.plugin.context import KeysInUse
from providers.gcr import cloud, messages_keys
from providers.gcr.account_session import AccountSession, made_by_pullkey
from providers.gcr.target import KEYS_OF_AN_ACCOUNT

# Pauses between lists after a refusal that may be the limit's: a list may lag.
_PAUSES = (0.0, 1.0, 2.0)


async def key_limit_problem(session: AccountSession, *, failed: str = "") -> Problem | None:
    """The problem of an account that has reached its limit of keys; None if it has not.

    The fix names a key to delete. A key that any Akka record names is in use, whatever its age, and is never
    suggested.

    Args:
        session: of the account.
        failed: Google's answer to a creation, if one was tried: a list with fewer keys may then lag.

    Raises:
        GoogleApiError: the keys cannot be read.
        PullkeyError: Akka's records cannot be read.
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
    in_use = await session.context.keys_in_use()
    ours = not session.target.account_given and made_by_pullkey(await session.account())
    return messages_keys.key_limit_reached(
        session.target.account, len(keys), KEYS_OF_AN_ACCOUNT, _fix(session, keys, in_use, ours=ours)
    )


def _fix(session: AccountSession, keys: Mapping[str, Any], in_use: KeysInUse, *, ours: bool) -> str:
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
    if not free:
        return messages_keys.all_keys_in_use_fix()
    list_command = (
        "gcloud iam service-accounts keys list --managed-by=user "
        f"{cloud.of_account(session.target.account_resource)}"
    )
    return messages_keys.no_key_known_unused_fix(
        session.target.account, len(free), in_use.unseen, list_command
    )


def _delete(session: AccountSession, key: Any, why: str) -> str:
    key_id = cloud.id_of(key)
    return messages_keys.delete_key_fix(key_id, key.valid_after_time, why, session.key.delete_command(key_id))

"""Messages about the keys of a service account: their number, their lifetime, the policies for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from bootstrap.model.codes import Code
from bootstrap.model.duration import in_words
from bootstrap.model.errors import LeftOver, Problem, ProblemKind, StepFailed
from bootstrap.model.text import one_line
from bootstrap.plugin.step import Notice, StepRole

KEY_DOES_NOT_EXPIRE = (
    "The key does not expire. For one that does: `--key-source upload --expires-in 90d`. "
    "Otherwise replace it regularly: pullkey rotate --all --due"
)


def rotate_in_time(life: dt.timedelta) -> str:
    """How often `rotate --due` must run for keys of that lifetime: twice in its last third, in which a key
    is due.
    """
    return f"Run `pullkey rotate --due` at least every {in_words(life / 6)}."


# -- one key -------------------------------------------------------------------------------------------------


def recorded_key_not_shown(key_id: str) -> StepFailed:
    """There was no time to read again whether the key of Akka's record exists."""
    return StepFailed(
        f"Google does not show key {key_id}, which Akka's record names; there was no time to look again",
        fix="Give a longer --timeout.",
        code=Code.CLOUD_LAG,
    )


def perhaps_unused_keys(account: str, keys: Collection[str], commands: Collection[str]) -> LeftOver:
    """Keys that appeared during the run; `commands` delete them."""
    return LeftOver(
        f"{account} has a key that appeared during the run and that may be unused: {', '.join(keys)}",
        "; ".join(commands),
    )


def key_deleted_meanwhile(key_id: str) -> str:
    return f"Google no longer shows the key {key_id}: it was deleted outside of pullkey."


def key_disabled_meanwhile(key_id: str) -> str:
    return f"Google shows the key {key_id} as disabled: a policy may disable new keys."


# -- the limit of keys ---------------------------------------------------------------------------------------


def key_limit_reached(account: str, count: int, limit: int, fix: str) -> Problem:
    what = f"{account} has {max(count, limit)} keys, and Google allows {limit}"
    return Problem(ProblemKind.LIMIT, what, fix, step=StepRole.KEY, code=Code.KEY_LIMIT)


def delete_key_fix(key_id: str, created: dt.datetime, why: str, command: str) -> str:
    """Which key to delete; `why` continues "which": "has expired"."""
    return f"Delete key {key_id} of {created:%Y-%m-%d}, which {why}: {command}"


_ANOTHER_ACCOUNT = "or use another account for this registry: --service-account"


def all_keys_in_use_fix() -> str:
    return f"Akka uses all of them, so none can be deleted; {_ANOTHER_ACCOUNT}"


def no_key_known_unused_fix(
    account: str, free: int, unseen_projects: Sequence[str], list_command: str
) -> str:
    """Keys that no Akka record names, and which others may use.

    Args:
        account: its e-mail.
        free: how many keys no record names.
        unseen_projects: the Akka projects whose records could not be read.
        list_command: lists the account's keys.
    """
    unseen = f", and what {', '.join(unseen_projects)} has could not be seen" if unseen_projects else ""
    return (
        f"No key is known to be unused: {free} are named by no Akka record{unseen}, but others may "
        f"use {account}. Find an unused one ({list_command}), {_ANOTHER_ACCOUNT}"
    )


# -- organisation policies -----------------------------------------------------------------------------------

_EXCEPTION_FIX = (
    "Ask the administrator of organisation policies for an exception for this project; or use an "
    "account of a project where keys are allowed: --service-account EMAIL"
)


def keys_forbidden(
    constraints: Sequence[str], project: str, *, uploads: bool, other_source_forbidden: bool, unreadable: str
) -> Problem:
    """An organisation policy forbids the key; the fix is the other `--key-source` where that is allowed.

    Args:
        constraints: those in force.
        project: in which they are.
        uploads: whether the key was to be uploaded.
        other_source_forbidden: whether a policy forbids the other source too.
        unreadable: Google's code for why that could not be read, or "".
    """
    fix = _EXCEPTION_FIX
    if not other_source_forbidden and not unreadable:
        fix = (
            "Leave --key-source out: Google itself may create a key here"
            if uploads
            else "Pass --key-source upload: the key is created on this machine and only its "
            "certificate is sent to Google, which no policy forbids"
        )
    elif not other_source_forbidden and not uploads:
        fix = (
            f"Pass --key-source upload, which another policy may forbid or not ({unreadable}). Else: "
            f"{fix[0].lower()}{fix[1:]}"
        )
    what = "the upload of keys" if uploads else "keys"
    return Problem(
        ProblemKind.POLICY,
        f"Organisation policy {' and '.join(constraints)} forbids {what} of service accounts in {project}",
        fix,
        step=StepRole.KEY,
        code=Code.KEYS_FORBIDDEN,
    )


def key_policies_unreadable(effects: Sequence[str], code: str, *, uploads: bool) -> Notice:
    """Policies that this login may not read; `effects` say what they would do: "forbids keys"."""
    return Notice(
        f"Whether an organisation policy {' or '.join(effects)} could not be seen "
        f"({code}); it will show when the key is {'uploaded' if uploads else 'made'}."
    )


def not_a_lifetime(value: str) -> str:
    """Why the limit on a key's lifetime cannot be read."""
    return f"its value is {one_line(value, 40)}, not a number of hours"


def policy_forbids_upload(constraints: Sequence[str]) -> str:
    """Why a key is not uploaded, as the end of a sentence."""
    return f"organisation policy {' and '.join(constraints)} forbids to upload one"


def policy_limits_upload(constraint: str, longest: dt.timedelta) -> str:
    """The same, where a policy that could not be read lets no key last as long."""
    return f"organisation policy {constraint} lets an uploaded one last {in_words(longest)} at most"


def permission_for_upload_missing(permission: str) -> str:
    """The same, without the permission to read a certificate."""
    return f"you lack {permission}, without which no later run knows an uploaded one"


def library_for_upload_missing(error: ImportError) -> str:
    """The same, without the library that creates a key."""
    return f"this machine cannot create one ({error})"


def upload_refused(why: str) -> str:
    """Google has refused an upload, by a policy that could not be read."""
    return f"Google creates the key, since {why}"


def created_instead_of_uploaded(why: str) -> Notice:
    """`--key-source auto` has Google create the key."""
    return Notice(
        f"Google creates the key (--key-source auto), since {why}. A key that Google creates does not show "
        "which run it is of: what a run that is killed leaves on another machine is reported, not deleted."
    )


def expiry_not_enforced() -> Notice:
    """Whether Google refuses an uploaded key once its certificate has expired is not documented."""
    return Notice(
        "Google shows a certificate's end date as the key's. Whether it refuses the "
        "key from then on could not be confirmed, so pullkey does not rely on it: "
        "`pullkey rotate` counts a key as due well before its end, and deletes it."
    )


def key_lifetime_limited(constraint: str, project: str, longest: dt.timedelta) -> Notice:
    """A policy expires the keys that Google creates."""
    return Notice(
        f"Organisation policy {constraint} lets a key of {project} last {in_words(longest)}: without a "
        f"rotation by then, pulls fail. {rotate_in_time(longest)}"
    )


def key_lifetime_too_long(constraint: str, project: str, longest_hours: int, life: dt.timedelta) -> Problem:
    """`--expires-in` is longer than a policy allows."""
    return Problem(
        ProblemKind.POLICY,
        f"Organisation policy {constraint} lets a key of {project} last {longest_hours} h, and "
        f"{life / dt.timedelta(hours=1):.0f} h are asked for",
        f"Pass --expires-in {longest_hours}h",
        step=StepRole.KEY,
        code=Code.KEY_LIFETIME,
    )

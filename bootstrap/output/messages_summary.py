"""Texts of the summary of a run, a verification or an offboarding."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from bootstrap.model.text import sentence

# -- a plan --------------------------------------------------------------------------------------------------

BY_HAND = "The same by hand:"


def planned(to_do: int, in_place: int) -> str:
    return f"Plan: {to_do} to do, {in_place} in place. No changes were made."


# -- a run ---------------------------------------------------------------------------------------------------

NOT_CHECKED = (
    "The password itself was not checked: Akka does not show it (see `pullkey verify --credential-stdin`)."
)


def unchanged_with_left_overs(name: str, project: str) -> str:
    has = f"{project[:1].upper()}{project[1:]} has {name}"
    return f"No changes were made. {has}; see what is left over above."


def unchanged(name: str, project: str, target: str, *, confirmed: bool) -> str:
    """Nothing was to be done. If it is not `confirmed`, a notice says what is not known of the record."""
    if not confirmed:
        return f"No changes were made. {name} is registered in {project}; see the note above."
    return f"Everything is in place; nothing was changed. {name} is registered in {project} for {target}."


def cleaned_up(name: str, project: str, target: str) -> str:
    """Only what an earlier run had left was cleaned up."""
    return (
        f"Cleaned up after an earlier run; nothing else was to do. {name} is registered in {project} for "
        f"{target}."
    )


def registered(name: str, project: str, target: str) -> str:
    return f"Registered {name} in {project} for {target}."


def steps_done(titles: Sequence[str], name: str, project: str) -> str:
    """Steps other than the registration were done."""
    return f"{'; '.join(titles)}, for {name} in {project}."


def credential(username: str | None, key_id: str | None, expiry: str) -> str:
    return f"user {username}, key {key_id}, {expiry}"


def expires(date: str) -> str:
    return f"expires {date}"


EXPIRY_UNKNOWN = "expiry not known"
NO_EXPIRY = "no expiry"


def verified_before(detail: str) -> str:
    return f"Verified before it was registered: it {detail.removeprefix('it ')}"


def not_verified_by_pull(detail: str) -> str:
    return f"NOT verified by a pull: {sentence(detail)} To verify it, name an image: --image"


KEY_ALREADY_HELD = (
    "not verified by a pull: Akka already held this key, and does not show its password (see `pullkey "
    "verify --credential-stdin`)"
)
NOT_VERIFIED_YET = "NOT verified, because of --no-wait: verify it once the cloud has caught up, as below."
NEXT = "Next:"
NEXT_COMMANDS = (("verify", "check it at any time"), ("rotate", "replace its key"))


def credential_unneeded(public: str) -> str:
    return f"{sentence(public)} Akka needs no credential for it, and nothing was changed."


REGISTER_ANYWAY = "To register one anyway, pass --anyway."

# -- a verification ------------------------------------------------------------------------------------------


def password_in_place(name: str, project: str, target: str) -> str:
    """A user-supplied password, whose validity the cloud does not show."""
    return f"{name} is registered in {project}, as {target} needs it."


def credential_valid(name: str, project: str) -> str:
    return f"{name} in {project} is valid: key, grant and Akka's record are in place."


def pull_verified(detail: str) -> str:
    return f"Pull verified: {detail}"


def pull_not_verified(detail: str) -> str:
    return f"Pull not verified: {detail}"


PULL_NOT_TESTED = "Pull not tested: Akka does not show the password. To test it, pass --credential-stdin."


def drifted(name: str, target: str) -> str:
    return f"Akka's credential {name} has drifted from what {target} needs."


def not_all_checked(name: str) -> str:
    return f"Not everything of Akka's credential {name} could be checked."


def does_not_pull(name: str) -> str:
    return (
        f"Key, grant and record of Akka's credential {name} are in place; the credential on stdin does not "
        "pull."
    )


def to_repair(*, problems: bool) -> str:
    return "Then repair it:" if problems else "To repair it:"


# -- an offboarding ------------------------------------------------------------------------------------------

NO_CHANGES = "No changes were made."


def removed_with_left_overs(name: str) -> str:
    return (
        f"Akka no longer has {name}, but not all of its cloud resources could be removed; see what is left "
        "over above."
    )


def removed(name: str, project: str) -> str:
    return f"Removed {name} from {project}."


def resources_deleted(names: Sequence[str]) -> str:
    return f"Deleted: {'; '.join(names)}."


def resources_kept(names: Sequence[str]) -> str:
    return f"Kept: {'; '.join(names)}."


def nothing_to_remove(name: str, project: str) -> str:
    return f"There was nothing to remove of {name} in {project}."


# -- an error ------------------------------------------------------------------------------------------------

ONLY_CLEANED_UP = "Only what an earlier run had left was cleaned up."
NOT_ALL_UNDONE = "Not everything could be undone; see what is left over above."
CHANGES_UNDONE = "The changes of this run were undone."
NOTHING_LEFT = "This run left nothing behind."

# -- the hand-over -------------------------------------------------------------------------------------------


def handover_written(file: Path) -> str:
    return f"The steps for an administrator are in {file}: bash {shlex.quote(str(file))}"


CONTINUE_AFTERWARDS = "Then run this command again; it continues from there."
HANDOVER_AVAILABLE = "Pass --handover FILE to write these steps to a script for an administrator."

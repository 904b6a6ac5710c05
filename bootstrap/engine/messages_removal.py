"""Messages of an offboarding's plan: what is removed, what is kept, and why."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.engine.errors import HoldersUnread, KeyUnseen, LostRace
from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed
from bootstrap.plugin.step import Disposition, Removal

USES_UNSEEN = "whether others use it could not be seen"
OF_LOST_RUN = "created by a run that did not end"

# -- Akka's side ---------------------------------------------------------------------------------------------


def reference(name: str, project: str) -> Removal:
    return Removal(Disposition.REMOVE, f"Akka's credential {name} of {project}")


def reference_removed(name: str, project: str) -> str:
    return f"removed {name} from {project}"


def secret(name: str, command: str) -> Removal:
    return Removal(Disposition.REMOVE, f"Akka's secret {name}", command=command)


def secret_kept(name: str) -> Removal:
    return Removal(Disposition.KEEP, f"Akka's secret {name}", "--keep-secret; its key pulls nothing any more")


def secret_deleted(name: str) -> str:
    return f"deleted Akka's secret {name}"


def record_is_newer(name: str, command: str) -> LostRace:
    """Akka's list lagged: it showed the record from before the one that an interrupted run registered."""
    return LostRace(
        f"Akka's {name} is newer than the one that was to be removed: an interrupted run has registered it",
        fix=f"Run it again: {command}",
    )


def record_changed_meanwhile(name: str, command: str) -> LostRace:
    return LostRace(
        f"Akka's {name} was registered again after it was read, so it was not removed",
        fix=f"Check what it is for, then run it again: {command}",
    )


def holders_unread(project: str, command: str) -> HoldersUnread:
    return HoldersUnread(
        f"{project} could not be read, so whether it has the same key is not known",
        fix=f"Run it again in a while: {command}",
    )


# -- cloud resources -----------------------------------------------------------------------------------------


def resources_not_found() -> StepFailed:
    return StepFailed("Its cloud resources could not be found", code=Code.CREDENTIAL_UNREADABLE)


def key(key_id: str) -> str:
    return f"key {key_id}"


def key_not_shown(key_id: str, command: str) -> Removal:
    return Removal(
        Disposition.REMOVE, key(key_id), "it is not shown; its deletion is requested by id", command
    )


def password_kept(run_id: str, command: str) -> Removal:
    """A user-supplied password, by the id of the run that registered it."""
    return Removal(
        Disposition.KEEP,
        f"the password registered in run {run_id}",
        "it is user-supplied, so only its owner can revoke it",
        command,
    )


def key_deleted(key_id: str, *, existed: bool) -> str:
    return f"deleted key {key_id}" if existed else f"key {key_id} was already deleted"


def key_undeleted(key_id: str, reason: str) -> str:
    return f"key {key_id} ({reason})"


def key_would_be_lost(removal: Removal) -> KeyUnseen:
    """Without Akka's record, nothing would name the key any more."""
    return KeyUnseen(
        f"{removal.what} cannot be seen ({removal.why}), and would stay unnoticed; nothing was changed",
        fix="Log in to its cloud (with --secret-stdin where it has no login here), or delete it by hand "
        f"first: {removal.command}",
    )


def removal_permission_missing(permission: str, place: str, role: str) -> str:
    return (
        f"This login lacks the permission {permission} on {place}{f' ({role} has it)' if role else ''}: "
        "what takes it is kept and listed."
    )


# -- other uses ----------------------------------------------------------------------------------------------


def same_key(name: str, project: str) -> str:
    return f"{_record(name, project)} has the same key"


def key_in_record_not_shown(name: str, project: str, key_id: str) -> str:
    return f"{USES_UNSEEN}: {_record(name, project)} names its key {key_id}, which is not shown"


def _record(name: str, project: str) -> str:
    return f"Akka's {name}{f' of project {project}' if project else ''}"


def uses_unreadable(reason: str) -> str:
    return f"{USES_UNSEEN}: {reason}"


def key_of_another_run(key_id: str) -> str:
    return f"key {key_id}, which another run has created meanwhile"


def first_use(uses: Sequence[str]) -> str:
    return uses[0] if len(uses) == 1 else f"{uses[0]}, and {len(uses) - 1} more"

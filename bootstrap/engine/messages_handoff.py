"""Messages of the registration with Akka: differing records, lost races, and keys that must be kept."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bootstrap.engine.errors import AkkaHoldsNewKey, LostRace
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope

# -- reading the record back ---------------------------------------------------------------------------------


def registered(status: str) -> str:
    return f"Akka shows it with status {status or 'OK'}"


def registered_despite(error: StepFailed) -> str:
    """`add-credentials` ended with an error, and Akka shows the record."""
    return f"Akka shows it, though {error.what}"


def copied_to_regions(lagging: str) -> str:
    return f"Akka copies it to its other regions ({lagging} does not show it yet)."


def no_record(secret_name: str) -> str:
    return f"no credential named {secret_name}"


def truncated_record(shown: HeldCredential) -> str:
    return f"an incomplete record: {_fields(shown)}"


def another_record(shown: HeldCredential) -> str:
    return f"server {shown.server or '(blank)'}, {_fields(shown)}"


def _fields(shown: HeldCredential) -> str:
    return f"user {shown.username or '(blank)'}, e-mail {shown.email or '(blank)'}"


def record_status(status: str) -> str:
    return f"status {status}"


def lagging_record(regions: str) -> str:
    return f"something else in {regions}"


def record_differs(difference: str, scope: AkkaScope) -> StepFailed:
    return StepFailed(
        f"Akka accepted the credential, and shows {difference}",
        fix=f"See: akka docker list-credentials {shlex.join(scope.printed_arguments())}".rstrip(),
        code=Code.AKKA_RECORD_DIFFERS,
    )


# -- other runs ----------------------------------------------------------------------------------------------


def _see_list(scope: AkkaScope) -> str:
    return f"Akka has that credential; see: pullkey list{scope.options}"


def overwritten_by_another_run(key_id: str, secret_name: str, scope: AkkaScope) -> LostRace:
    return LostRace(
        f"Another run has registered key {key_id} as {secret_name} over this one's, so this run yields",
        fix=_see_list(scope),
    )


def registered_by_another_run(what: str, secret_name: str, scope: AkkaScope) -> LostRace:
    return LostRace(
        f"Another run has registered {what} as {secret_name} during this run, so this run yields",
        fix=_see_list(scope),
    )


def record_removed_meanwhile(secret_name: str) -> LostRace:
    return LostRace(
        f"Akka's {secret_name} was removed while this run was under way",
        fix="To register it, run the command again.",
        code=Code.CONCURRENT_CHANGE,
    )


def key_deleted_meanwhile(key_id: str, secret_name: str) -> LostRace:
    return LostRace(
        f"Key {key_id}, of this run, was deleted before Akka answered that it holds it as {secret_name}",
        fix="Another command has removed this credential meanwhile. To register it, run the command again.",
        code=Code.CONCURRENT_CHANGE,
    )


def not_seen_again(secret_name: str, error: Exception, scope: AkkaScope) -> str:
    """Another run was active, and Akka cannot be asked whether it has registered over this run's record."""
    return (
        f"Another run is creating a key for this too, and Akka cannot be read again ({error}). See whether "
        f"Akka still holds this run's: pullkey verify {shlex.quote(secret_name)}{scope.options}"
    )


# -- undoing -------------------------------------------------------------------------------------------------


def removed_from_akka(secret_name: str) -> str:
    return f"removed {secret_name} from Akka"


def _new_key(key_id: str, secret_name: str) -> str:
    return f"the new key {key_id} as {secret_name}"


def akka_holds_key(key_id: str, secret_name: str, unconfirmed: str) -> AkkaHoldsNewKey:
    """Akka shows the key; `unconfirmed` is how its record differs from the registered one, or ""."""
    shows = f", though {unconfirmed}" if unconfirmed else ""
    return AkkaHoldsNewKey(f"Akka already holds {_new_key(key_id, secret_name)}{shows}")


def akka_unreadable(key_id: str, secret_name: str, error: Exception) -> AkkaHoldsNewKey:
    return AkkaHoldsNewKey(f"Akka may hold {_new_key(key_id, secret_name)} ({error})")


def nothing_to_remove(key_id: str, secret_name: str) -> AkkaHoldsNewKey:
    """Akka accepted the registration, and then says that there is no record to remove."""
    return _may_hold(key_id, secret_name, "it reports no credential to remove")


def no_record_shown(key_id: str, secret_name: str) -> AkkaHoldsNewKey:
    return _may_hold(key_id, secret_name, "it shows no such credential")


def older_record_shown(key_id: str, secret_name: str, older_key: str) -> AkkaHoldsNewKey:
    older = f", key {older_key}" if older_key else ""
    return _may_hold(key_id, secret_name, f"it shows the one before it{older}")


def unusable_record_shown(key_id: str, secret_name: str) -> AkkaHoldsNewKey:
    return _may_hold(key_id, secret_name, "it shows one that is not seen to work")


def _may_hold(key_id: str, secret_name: str, though: str) -> AkkaHoldsNewKey:
    return AkkaHoldsNewKey(f"Akka may hold {_new_key(key_id, secret_name)}, though {though}")

"""Messages of the journal: it cannot be written, read or trusted, or belongs to another run."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from bootstrap.engine.errors import ForeignJournal, TargetBusy
from bootstrap.model.codes import Code
from bootstrap.model.errors import ProviderFault, PullkeyError, UsageProblem
from bootstrap.model.text import sentence


def run_summary(run_id: str, begun: str, *, ended: bool) -> str:
    """The earlier run that is on record, in a few words."""
    return f"Run {run_id} of {begun} {'has left something over' if ended else 'did not end'}"


def to_clear_up(summary: str, command: str) -> str:
    return f"{summary}; to clear up after it: {command}"


def journal_unavailable(folder: Path, reason: str | None) -> UsageProblem:
    """The journal cannot be written, before anything was changed."""
    return UsageProblem(
        f"The journal cannot be written in {folder} ({reason})",
        fix="Name another place with PULLKEY_STATE_DIR; without a journal a run that is killed "
        "leaves a key behind.",
        code=Code.STATE_DIR_UNWRITABLE,
    )


def journal_unwritable(folder: Path, reason: str) -> PullkeyError:
    """The journal can no longer be written during a run."""
    return PullkeyError(
        f"The journal cannot be written in {folder} any more ({reason})",
        fix="Make room there, or name another place with PULLKEY_STATE_DIR.",
        code=Code.STATE_DIR_UNWRITABLE,
    )


def journal_unreadable(file: Path) -> PullkeyError:
    return PullkeyError(
        f"The journal of an earlier run cannot be read: {file}",
        fix="Look at it, check the keys of the identity that it names, and remove the file.",
        code=Code.JOURNAL_UNREADABLE,
    )


def journal_of_another_version(file: Path, what: str, command: str) -> PullkeyError:
    """A whole record, of which this version does not know what it means."""
    return PullkeyError(
        f"The journal of an earlier run has {what} that this version does not know: {file}",
        fix=f"Run it with the version of pullkey, and of the provider, that has written it: {command}",
        code=Code.JOURNAL_UNREADABLE,
    )


def lost_run_not_cleared(file: Path, error: PullkeyError, command: str) -> PullkeyError:
    """The cleanup ended with an error that is not foreseen. Its journal may be of another version."""
    return PullkeyError(
        f"{error.what}, in the cleanup after an earlier run, by its journal {file}",
        fix=f"{sentence(error.fix)} Unless another version of pullkey, or of the provider, has written that "
        f"journal: then run it with that version: {command}",
        code=error.code,
    )


def not_writable_as_json(step: str, error: Exception) -> ProviderFault:
    """What a step says of itself cannot be written to the journal."""
    return ProviderFault(
        f"The step {step} names something that is not JSON ({type(error).__name__}), so the journal cannot "
        "hold it",
        fix="Report it to the provider's author: an intent, and what a step has made, are JSON without "
        "secrets",
    )


def journal_foreign(file: Path, other: str) -> ForeignJournal:
    """The journal names `other`, which does not belong to this target."""
    return ForeignJournal(
        f"The journal {file} names what is not this target's: {other}. Nothing was changed",
        fix="pullkey does not write such a record. Find out who did, and remove the file",
    )


def target_busy(place: str, lock: Path) -> TargetBusy:
    """The lock may be held by what a killed run has started, such as a daemon of the Akka CLI."""
    return TargetBusy(
        f"Another pullkey is at work on {place} on this machine",
        fix=f"Wait for it to end, and run this again. To see which process it is: fuser {quote(str(lock))}",
    )


def another_target_unfinished(run_id: str, begun: str, target: str, command: str) -> PullkeyError:
    """A run for another target with the same Akka secret did not end."""
    return PullkeyError(
        f"Run {run_id} of {begun} for {target} did not end, and has this same Akka secret",
        fix=f"End it first: {command}",
        code=Code.RUN_UNFINISHED,
    )


def another_context_unfinished(summary: str, context: str, own_context: str, command: str) -> PullkeyError:
    """A run is on record that may have been for another Akka: one of the two names a context."""
    if context:
        how, where = f"was in the context {context}, and this one names none", "in that context"
    else:
        how, where = f"named no context, and this one names {own_context}", "without --akka-context"
    return PullkeyError(
        f"{summary}. It {how}, so it may have been for another Akka",
        fix=f"End it first, {where}: {command}",
        code=Code.RUN_UNFINISHED,
    )

"""The write-ahead record of what a run is about to make.

One file an Akka secret, in the state directory, readable by its owner only; it holds no secret. A step's intent is on disk
before the call that makes something is sent. A run that ends (well, or after undoing) removes its file; one that is
killed leaves it, and the next run for the same target starts from it. What is in the file decides what is deleted, so
one that does not say what was written is told of, and not used.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bootstrap.errors import PullkeyError, UsageProblem

_DIGEST = "sha256"


class TargetBusy(PullkeyError):
    """Another run is at work on the same target on this machine."""


@dataclass
class Entry:
    """One step that was begun. `made` is None while the answer is not known."""

    step: str
    intent: dict[str, Any]
    made: dict[str, Any] | None = None

    @property
    def known(self) -> dict[str, Any]:
        """All that is known of what was made, for the step's undo."""
        return {**self.intent, **(self.made or {}), "answered": self.made is not None}


@dataclass
class Record:
    """What a run had begun, in order."""

    run_id: str
    target: str
    command: str
    begun: str
    entries: list[Entry] = field(default_factory=list)


class Journal:
    """The record of what is being done to one Akka secret: two runs for the same must not go at once.

    Args:
        directory: the state directory.
        place: which Akka secret: project, owner, region, name.
        identity: the `identity` of the target that stands behind it.
    """

    def __init__(self, directory: Path, place: str, identity: str) -> None:
        name = hashlib.sha256(place.encode()).hexdigest()[:24]
        self._place = place
        self._directory = directory / "journal"
        self._path = self._directory / f"{name}.json"
        self._lock = self._directory / f"{name}.lock"
        self._identity = identity
        # One step's intent may be on its way to the disk while another's is written.
        self._mutex = threading.Lock()
        self.record: Record | None = None
        self.descriptor: int | None = None
        """Of the lock, while it is held: a child that has it too keeps the lock if this process is killed."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the target for this process; the lock goes with the process, however it ends.

        Raises:
            TargetBusy: another process holds it.
            UsageProblem: the state directory cannot be written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageProblem(
                f"The journal cannot be written in {self._directory} ({error.strerror})",
                mend="Name another place with PULLKEY_STATE_DIR; without a journal a run that is killed leaves a key behind.",
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TargetBusy(
                    f"Another pullkey is at work on {self._place} on this machine",
                    mend="Wait for it to end, and run this again.",
                ) from None
            self.descriptor = descriptor
            yield
        finally:
            self.descriptor = None
            os.close(descriptor)

    def left_behind(self) -> Record | None:
        """What a run that did not end had begun.

        Raises:
            PullkeyError: there is such a record and it cannot be read.
        """
        return _read(self._path)

    @staticmethod
    def all_left_behind(directory: Path) -> list[Record | PullkeyError]:
        """What all the runs that did not end had begun, on this machine; an error for one that cannot be read."""
        found: list[Record | PullkeyError] = []
        for path in sorted((directory / "journal").glob("*.json")):
            try:
                record = _read(path)
            except PullkeyError as error:
                found.append(error)
            else:
                found += [record] if record is not None else []
        return found

    def check_target(self, lost: Record) -> None:
        """What a run for another target has begun is only for a run for that target to end.

        Raises:
            PullkeyError: it is of another target.
        """
        if lost.target != self._identity:
            raise PullkeyError(
                f"Run {lost.run_id} of {lost.begun} for {lost.target} did not end, and has this same Akka secret",
                mend=f"End it first: {lost.command}",
            )

    def begin(self, run_id: str, command: str) -> None:
        """Begin a record of this run. What is left of an earlier one's stays in it, until this run ends."""
        begun = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        left = self.record.entries if self.record is not None else []
        self.record = Record(run_id, self._identity, command, begun, left)

    def about_to(self, step: str, intent: Mapping[str, Any]) -> Entry:
        """Put on disk what a step is about to make.

        Raises:
            PullkeyError: it cannot be written, so the step must not be begun.
        """
        entry = Entry(step, dict(intent))
        with self._mutex:
            self._record.entries.append(entry)
            try:
                self._write()
            except OSError as error:
                self._record.entries.remove(entry)
                raise self._unwritable(error) from None
        return entry

    def has_made(self, entry: Entry, made: Mapping[str, Any]) -> None:
        """What a step has made; it is known from now on, also if it cannot be written.

        Raises:
            PullkeyError: it cannot be written, so a run that is killed now would leave it behind.
        """
        entry.made = dict(made)
        with self._mutex:
            try:
                self._write()
            except OSError as error:
                raise self._unwritable(error) from None

    def forget(self, entry: Entry) -> None:
        """The step made nothing, or what it made is undone."""
        # A record that says too much only has the next run look for what is gone; the undoing goes on.
        with self._mutex, contextlib.suppress(OSError):
            self._record.entries.remove(entry)
            self._write()

    def end(self) -> None:
        """The run has ended, and nothing of it is unaccounted for or untold."""
        with self._mutex, contextlib.suppress(OSError):
            self._path.unlink()
        self.record = None

    @property
    def _record(self) -> Record:
        assert self.record is not None, "a journal is begun before it is written"  # noqa: S101
        return self.record

    def _unwritable(self, error: OSError) -> PullkeyError:
        return PullkeyError(
            f"The journal cannot be written in {self._directory} any more ({error.strerror})",
            mend="Make room there, or name another place with PULLKEY_STATE_DIR.",
        )

    def _write(self) -> None:
        """Atomically, and through to the disk: a torn record is worse than none."""
        record = asdict(self._record)
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({**record, _DIGEST: _digest(record)}, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _digest(record: Mapping[str, Any]) -> str:
    """Of a record as it was written: one that was torn, edited, or mixed up with another has a different one."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Record | None:
    try:
        document = json.loads(path.read_bytes())
        if document.pop(_DIGEST) != _digest(document):
            raise ValueError
        return Record(**{**document, "entries": [Entry(**entry) for entry in document["entries"]]})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PullkeyError(
            f"The journal of an earlier run cannot be read: {path}",
            mend="Look at it, check the keys of the identity that it names, and remove the file.",
        ) from None

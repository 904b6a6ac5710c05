"""The write-ahead record of what a run is about to make.

One file an Akka secret, in the state directory, readable by its owner only; it holds no secret. A step's
intent is on disk before the call that makes something is sent. A run that ends (well, or after undoing)
removes its file; one that is killed leaves it, and the next run for the same target starts from it. So does
one that leaves something over: it stays in the file until a later run has seen that it is deleted. The file
decides what is deleted, so one that does not hold what was written is reported, and not used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.files.private_directory import PrivateDirectory, UnsafePlace
from bootstrap.model import clock
from bootstrap.model.codes import Code
from bootstrap.model.errors import LeftOver, PullkeyError, UsageProblem

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope

_DIGEST = "sha256"
_FOLDER = "journal"
_UNWRITABLE = (OSError, UnsafePlace)


class TargetBusy(PullkeyError):
    """Another run is at work on the same target on this machine."""

    code = Code.RUN_BUSY


@dataclass
class Entry:
    """One step that was begun. `made` is None while the answer is not known."""

    step: str
    intent: dict[str, Any]
    made: dict[str, Any] | None = None
    left: list[dict[str, str]] = field(default_factory=list)
    """What is left over of it: what it is, and the command that removes it."""

    @property
    def known(self) -> dict[str, Any]:
        """All that is known of what was made, for the step's undo."""
        return {**self.intent, **(self.made or {}), "answered": self.made is not None}

    @property
    def left_over(self) -> list[LeftOver]:
        return [LeftOver(**one) for one in self.left]

    def leave(self, *items: LeftOver) -> None:
        """It stays in the journal until a later run has seen that this is gone."""
        self.left = [asdict(one) for one in items]


@dataclass
class Record:
    """What a run had begun, in order."""

    run_id: str
    target: str
    command: str
    begun: str
    entries: list[Entry] = field(default_factory=list)
    place: str = ""
    ended: bool = False
    """Whether the run ended by itself; what is still in the record is left over of it."""

    @property
    def left_over(self) -> list[LeftOver]:
        return [one for entry in self.entries for one in entry.left_over]

    @property
    def summary(self) -> str:
        """What is to be said of the run, in a few words."""
        return (
            f"Run {self.run_id} of {self.begun} {'has left something over' if self.ended else 'did not end'}"
        )


class Journal:
    """The record of what is being done to one Akka secret: two runs for the same must not go at once.

    Args:
        directory: the state directory.
        place: which Akka secret: project, owner, region, name.
        identity: the `identity` of the target that stands behind it.
        former_place: where an earlier version has recorded it; taken in place of `place` where there is such
            a record.
        is_place: whether a record at another place is of the same secret; it is then taken too.
        locks: what else is locked: the last for this process, those before it together with others
            (`AkkaScope.lock_places`).
    """

    def __init__(
        self,
        directory: Path,
        place: str,
        identity: str,
        former_place: str = "",
        is_place: Callable[[str], bool] = lambda _: False,
        locks: Sequence[str] = (),
    ) -> None:
        self._directory = PrivateDirectory(directory, _FOLDER)
        if former_place and former_place != place and self._has(f"{_name(former_place)}.json"):
            place = former_place
        elif not self._has(f"{_name(place)}.json"):
            found = (one.place for one in self.all_left_behind(directory) if isinstance(one, Record))
            place = next(filter(is_place, found), place)
        name = _name(place)
        self._place = place
        self._file = f"{name}.json"
        self._lock = f"{name}.lock"
        self._locks = [f"{_name(one)}.lock" for one in locks]
        self._identity = identity
        # One step's intent may be on its way to the disk while another's is written.
        self._mutex = threading.Lock()
        self.record: Record | None = None
        self.descriptor: int | None = None
        """Of the lock, while it is held: a child that has it too keeps the lock if this process is killed."""

    def _has(self, file: str) -> bool:
        try:
            return self._directory.read(file) is not None
        except (OSError, PullkeyError):
            return True  # what is wrong with it is said when it is used

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self._directory.path / self._file

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the target for this process; the lock goes with the process, however it ends.

        Raises:
            TargetBusy: another process holds it.
            UsageProblem: the state directory cannot be written.
        """
        with contextlib.ExitStack() as stack:
            descriptor = self._lock_file(stack, self._lock, fcntl.LOCK_EX)
            for lock in self._locks:
                self._lock_file(stack, lock, fcntl.LOCK_EX if lock == self._locks[-1] else fcntl.LOCK_SH)
            self.descriptor = descriptor
            stack.callback(setattr, self, "descriptor", None)
            self._directory.clear_drafts(self._file)
            yield

    def _lock_file(self, stack: contextlib.ExitStack, name: str, how: int) -> int:
        try:
            descriptor = stack.enter_context(self._directory.open_lock(name, make=True))
        except OSError as error:
            raise UsageProblem(
                f"The journal cannot be written in {self._directory.path} ({error.strerror})",
                fix="Name another place with PULLKEY_STATE_DIR; without a journal a run that is killed "
                "leaves a key behind.",
                code=Code.STATE_DIR_UNWRITABLE,
            ) from None
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TargetBusy(
                f"Another pullkey is at work on {self._place} on this machine",
                fix="Wait for it to end, and run this again.",
            ) from None
        # By itself: a child that outlives its parent has the descriptor too, and closing this one would not
        # do.
        stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
        return descriptor

    def left_behind(self) -> Record | None:
        """What a run that did not end had begun.

        Raises:
            PullkeyError: there is such a record and it cannot be read.
        """
        return _read(self._directory, self._file)

    @staticmethod
    def all_left_behind(directory: Path) -> list[Record | PullkeyError]:
        """What all the runs that did not end had begun, on this machine; an error for one that cannot be
        read.
        """
        found: list[Record | PullkeyError] = []
        folder = PrivateDirectory(directory, _FOLDER)
        try:
            names = [name for name in folder.names() if name.endswith(".json") and not name.startswith(".")]
        except PullkeyError as error:
            return [error]
        for name in names:
            try:
                record = _read(folder, name)
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
                f"Run {lost.run_id} of {lost.begun} for {lost.target} did not end, and has this "
                "same Akka secret",
                fix=f"End it first: {lost.command}",
                code=Code.RUN_UNFINISHED,
            )

    def begin(self, run_id: str, command: str) -> None:
        """Begin a record of this run. What is left of an earlier one's stays in it, until this run ends."""
        begun = clock.now().isoformat(timespec="seconds")
        left = self.record.entries if self.record is not None else []
        self.record = Record(run_id, self._identity, command, begun, left, self._place)

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
            except _UNWRITABLE as error:
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
            except _UNWRITABLE as error:
                raise self._unwritable(error) from None

    def drop(self, entry: Entry) -> None:
        """The step made nothing, or what it made is undone."""
        # A record that says too much only has the next run look for what is gone; the undoing goes on.
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._record.entries.remove(entry)
            self._write()

    def replace_earlier(self, entry: Entry) -> None:
        """Forget the entries that say the same as this one: what is left over of it is for this run to
        say.
        """
        for one in list(self._record.entries):
            if one is not entry and (one.step, one.intent) == (entry.step, entry.intent):
                self.drop(one)

    def end(self) -> None:
        """The run has ended, and all of it is accounted for: what is left over stays on record, and
        nothing else.
        """
        if self.record is not None and self.record.left_over:
            self.record.entries = [entry for entry in self.record.entries if entry.left]
            self.leave()
            return
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._directory.remove(self._file)
        self.record = None

    def leave(self) -> None:
        """The run has ended, and the next one goes on with what its record still holds."""
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._record.ended = True
            self._write()
        self.record = None

    @property
    def at_work(self) -> bool:
        """Whether a process on this machine is at work on the target now."""
        try:
            with self._directory.open_lock(self._lock, make=False) as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return True
        except (OSError, PullkeyError):
            return False
        return False

    @property
    def _record(self) -> Record:
        assert self.record is not None, "a journal is begun before it is written"  # noqa: S101
        return self.record

    def _unwritable(self, error: Exception) -> PullkeyError:
        why = error.what if isinstance(error, UnsafePlace) else getattr(error, "strerror", "")
        return PullkeyError(
            f"The journal cannot be written in {self._directory.path} any more ({why})",
            fix="Make room there, or name another place with PULLKEY_STATE_DIR.",
            code=Code.STATE_DIR_UNWRITABLE,
        )

    def _write(self) -> None:
        """Atomically, and through to the disk: a torn record is worse than none."""
        record = asdict(self._record)
        text = json.dumps({**record, _DIGEST: _digest(record)}, separators=(",", ":"))
        self._directory.write(self._file, text.encode())


def journal_of(directory: Path, scope: AkkaScope, secret_name: str, identity: str) -> Journal:
    """The journal of one Akka secret, wherever a run that had typed its project in another way has recorded
    it.

    Args:
        directory: the state directory.
        scope: of the secret; with the name of the current project where none was typed.
        secret_name: its name.
        identity: the `identity` of the target that stands behind it.
    """
    return Journal(
        directory,
        scope.place(secret_name),
        identity,
        scope.former_place(secret_name),
        lambda place: scope.is_place(place, secret_name),
        scope.lock_places(secret_name),
    )


def _name(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:24]


def _digest(record: Mapping[str, Any]) -> str:
    """Of a record as it was written: one that was torn, edited, or mixed up with another has a different
    one.
    """
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read(directory: PrivateDirectory, name: str) -> Record | None:
    try:
        data = directory.read(name)
        if data is None:
            return None
        document = json.loads(data)
        if document.pop(_DIGEST) != _digest(document):
            raise ValueError
        return Record(**{**document, "entries": [Entry(**entry) for entry in document["entries"]]})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PullkeyError(
            f"The journal of an earlier run cannot be read: {directory.path / name}",
            fix="Look at it, check the keys of the identity that it names, and remove the file.",
            code=Code.JOURNAL_UNREADABLE,
        ) from None

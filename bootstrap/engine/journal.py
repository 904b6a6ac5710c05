"""The journal: a write-ahead record of what a run is about to create.

One file per Akka secret, in the state directory, readable by its owner only and without secrets. A step's
intent is on disk before the request that creates something is sent. A run that ends, by success or undo,
removes its file. A run that is killed leaves it, and the next run for the same target starts from it.
Left-overs are kept in the file until a later run sees that they were deleted. Since the file decides what is
deleted, a file with a wrong checksum is reported and not used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootstrap.akka.scope import context_of
from bootstrap.engine import messages_journal as messages
from bootstrap.files.private_directory import PrivateDirectory, Stamp, UnsafePlace
from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import LeftOver, PullkeyError

if TYPE_CHECKING:
    from bootstrap.akka.scope import AkkaScope

OFFBOARD = "offboard"
"""The `step` of an entry of a removal (`removal_entry`)."""
_DIGEST = "sha256"
_FOLDER = "journal"
# Lock files stay, up to seven for each target; the journal's own directory is listed by every run.
_LOCKS = "lock"
_UNWRITABLE = (OSError, UnsafePlace)
_NOT_JSON = (TypeError, ValueError, RecursionError)


@dataclass
class Entry:
    """A step that was started. `made` is None until the request was answered."""

    step: str
    intent: dict[str, Any]
    made: dict[str, Any] | None = None
    left: list[dict[str, str]] = field(default_factory=list)
    """Its left-overs: what each is, and the command that removes it."""

    @property
    def known(self) -> dict[str, Any]:
        """Everything known about what was created, for the step's undo."""
        return {**self.intent, **(self.made or {}), "answered": self.made is not None}

    @property
    def left_over(self) -> list[LeftOver]:
        return [LeftOver(**one) for one in self.left]

    @property
    def held(self) -> HeldCredential:
        """The record of Akka's that a removal is to remove, from its entry."""
        return HeldCredential(**self.intent["held"])

    def check(self) -> None:
        """Check that this version knows what the entry says.

        Raises:
            TypeError, KeyError: it does not.
        """
        texts = [*self.known, *(one for left in self.left_over for one in (left.what, left.command))]
        texts += vars(self.held).values() if self.step == OFFBOARD else []
        if not all(isinstance(one, str) for one in texts):
            raise TypeError

    def leave(self, *items: LeftOver) -> None:
        """Record left-overs. The entry is kept until a later run has seen that they were deleted."""
        self.left = [asdict(one) for one in items]


@dataclass
class Record:
    """The steps that a run started, in order."""

    run_id: str
    target: str
    command: str
    begun: str
    entries: list[Entry] = field(default_factory=list)
    place: str = ""
    ended: bool = False
    """Whether the run ended by itself; the remaining entries are its left-overs."""

    @property
    def left_over(self) -> list[LeftOver]:
        return [one for entry in self.entries for one in entry.left_over]

    @property
    def document(self) -> dict[str, Any]:
        """As it is written; it shares its entries' dictionaries."""
        return {**vars(self), "entries": [vars(entry) for entry in self.entries]}

    @property
    def summary(self) -> str:
        """The run and how it ended, in a few words."""
        return messages.run_summary(self.run_id, self.begun, ended=self.ended)


class Journal:
    """The journal of one Akka secret, with the lock that keeps two runs for it apart.

    Args:
        directory: the state directory.
        place: the Akka secret: project, owner, region, context, name (`AkkaScope.place`).
        identity: the target's `lock_key`.
        former_place: the place that an earlier version would have used; preferred if it has a record.
        is_place: whether a record at another place is for the same secret; it is then used.
        locks: further locks: the last exclusive, those before it shared (`AkkaScope.lock_places`).
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
        self._lock_directory = PrivateDirectory(directory, _LOCKS)
        self._context = context_of(place)
        if former_place and former_place != place and self._has(f"{_name(former_place)}.json"):
            place = former_place
        elif not self._has(f"{_name(place)}.json"):
            same = sorted(
                filter(is_place, _places(self._directory)),
                key=lambda one: context_of(one) != context_of(place),
            )
            place = next(iter(same), place)
        name = _name(place)
        self._place = place
        self._file = f"{name}.json"
        self._lock = f"{name}.lock"
        self._locks = [f"{_name(one)}.lock" for one in locks]
        self._identity = identity
        # Steps run concurrently and write their intents in threads.
        self._mutex = threading.Lock()
        self.record: Record | None = None
        self.descriptor: int | None = None
        """The lock's descriptor while it is held: a child that inherits it keeps the lock if this process is
        killed.
        """

    def _has(self, file: str) -> bool:
        try:
            return self._directory.read(file) is not None
        except (OSError, PullkeyError):
            return True  # the error is reported when the record is used

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._directory.path / self._file

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the target. The lock ends with the process, however that ends.

        Raises:
            TargetBusy: another process holds the lock.
            UsageProblem: the state directory cannot be written.
        """
        with contextlib.ExitStack() as stack:
            descriptor = self._lock_file(stack, self._lock, fcntl.LOCK_EX)
            for lock in self._locks:
                self._lock_file(stack, lock, fcntl.LOCK_EX if lock == self._locks[-1] else fcntl.LOCK_SH)
            self.descriptor = descriptor
            stack.callback(setattr, self, "descriptor", None)
            with self._reporting(self._directory):
                self._directory.prepare(self._file)
            yield

    def _lock_file(self, stack: contextlib.ExitStack, name: str, how: int) -> int:
        with self._reporting(self._lock_directory):
            descriptor = stack.enter_context(self._lock_directory.open_lock(name, make=True))
        try:
            with self._reporting(self._lock_directory, passing=(BlockingIOError,)):
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise messages.target_busy(self._place, self._lock_directory.path / name) from None
        # Unlock explicitly: a child that outlives this process has the descriptor too, so closing it is not
        # enough.
        stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
        return descriptor

    @staticmethod
    @contextlib.contextmanager
    def _reporting(directory: PrivateDirectory, *, passing: tuple[type[OSError], ...] = ()) -> Iterator[None]:
        try:
            yield
        except passing:
            raise
        except OSError as error:
            raise messages.journal_unavailable(directory.path, error.strerror) from None

    def left_behind(self) -> Record | None:
        """The record of an earlier run that did not end, or has left something over; else None.

        Raises:
            PullkeyError: the record cannot be read.
        """
        return _read(self._directory, self._file)

    @staticmethod
    def all_left_behind(directory: Path) -> list[Record | PullkeyError]:
        """The records of all earlier runs on this machine, with an error for each that cannot be read."""
        found: list[Record | PullkeyError] = []
        folder = PrivateDirectory(directory, _FOLDER)
        try:
            names = list(filter(_is_record, folder.names()))
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
        """Check that an earlier run was for this target: only a run for the same target may continue it.

        Nor may one that names a context of the Akka CLI continue one that does not, or the reverse: they may
        be of two Akkas, and the records of one say nothing of the keys that the other holds.

        Raises:
            PullkeyError: it was for another target, or may have been in another context.
        """
        context = context_of(lost.place) or _context_typed(lost.command)
        if context != self._context:
            raise messages.another_context_unfinished(lost.summary, context, self._context, lost.command)
        if lost.target != self._identity:
            raise messages.another_target_unfinished(lost.run_id, lost.begun, lost.target, lost.command)

    def begin(self, run_id: str, command: str) -> None:
        """Start the record of this run. Entries of an earlier run are kept in it until this run ends."""
        begun = clock.now().isoformat(timespec="seconds")
        left = self.record.entries if self.record is not None else []
        self.record = Record(run_id, self._identity, command, begun, left, self._place)

    def about_to(self, step: str, intent: Mapping[str, Any]) -> Entry:
        """Write to disk what a step is about to create.

        Raises:
            PullkeyError: it cannot be written, so the step must not start.
        """
        entry = Entry(step, dict(intent))
        try:
            _canonical(entry.intent)
        except _NOT_JSON as error:
            raise messages.not_writable_as_json(step, error) from None
        with self._mutex:
            self._record.entries.append(entry)
            try:
                self._write()
            except _UNWRITABLE as error:
                self._record.entries.remove(entry)
                raise self._unwritable(error) from None
        return entry

    def has_made(self, entry: Entry, made: Mapping[str, Any]) -> None:
        """Record what a step has created, in memory even if it cannot be written.

        Raises:
            PullkeyError: it cannot be written, so that a run killed now would leave it behind.
        """
        entry.made = dict(made)
        try:
            _canonical(entry.made)
        except _NOT_JSON as error:
            # The rest is still what the step is undone by.
            entry.made = {name: value for name, value in entry.made.items() if _is_json(value)}
            raise messages.not_writable_as_json(entry.step, error) from None
        with self._mutex:
            try:
                self._write()
            except _UNWRITABLE as error:
                raise self._unwritable(error) from None

    def drop(self, entry: Entry) -> None:
        """Remove the entry of a step that created nothing, or that was undone."""
        # If that fails, the next run merely looks for something that was deleted.
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._record.entries.remove(entry)
            self._write()

    def replace_earlier(self, entry: Entry) -> None:
        """Remove earlier entries equal to this one, whose left-overs this run reports."""
        for one in list(self._record.entries):
            if one is not entry and (one.step, one.intent) == (entry.step, entry.intent):
                self.drop(one)

    def end(self) -> None:
        """End the run's record. Only entries with left-overs are kept."""
        if self.record is not None and self.record.left_over:
            self.record.entries = [entry for entry in self.record.entries if entry.left]
            self.leave()
            return
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._directory.remove(self._file)
        self.record = None

    def leave(self) -> None:
        """End the run, and keep its record for the next one."""
        with self._mutex, contextlib.suppress(*_UNWRITABLE):
            self._record.ended = True
            self._write()
        self.record = None

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries of the record; none without one."""
        return self.record.entries if self.record is not None else ()

    @property
    def at_work(self) -> bool:
        """Whether a process on this machine is working on the target."""
        try:
            with self._lock_directory.open_lock(self._lock, make=False) as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
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
        return messages.journal_unwritable(self._directory.path, why)

    def _write(self) -> None:
        """Write the file atomically and synced to the disk: a torn record is worse than none."""
        # Converted once: another task may change an entry between the checksum's text and the file's.
        text = _canonical(self._record.document)
        checked = f'{text[:-1]}, "{_DIGEST}": "{_checksum(text)}"}}'
        self._directory.write(self._file, checked.encode())


def journal_of(directory: Path, scope: AkkaScope, secret_name: str, identity: str) -> Journal:
    """The journal of one Akka secret, also if an earlier run's user typed the project differently.

    Args:
        directory: the state directory.
        scope: of the secret, with the current project's name if none was typed.
        secret_name: the secret's name.
        identity: the target's `lock_key`.
    """
    return Journal(
        directory,
        scope.place(secret_name),
        identity,
        scope.former_place(secret_name),
        lambda place: scope.is_place(place, secret_name),
        scope.lock_places(secret_name),
    )


_known_places: dict[Path, tuple[Stamp, str]] = {}
"""The place of each record that was read, by its file: a command for a file of registries has a journal for
each of thousands of targets, and there may be hundreds of records.
"""


def _places(directory: PrivateDirectory) -> Iterator[str]:
    """The places of all records that can be read."""
    try:
        stamps = directory.stamps()
    except PullkeyError:
        return
    for name, stamp in stamps.items():
        if not _is_record(name):
            continue
        known, place = _known_places.get(directory.path / name, (None, ""))
        if known != stamp:
            try:
                record = _read(directory, name)
            except PullkeyError:
                continue
            place = record.place if record is not None else ""
            _known_places[directory.path / name] = stamp, place
        yield place


def _context_typed(command: str) -> str:
    """The context in a command, for records of earlier versions, whose places had none; "" without."""
    with contextlib.suppress(ValueError):
        words = shlex.split(command)
        for word, then in itertools.zip_longest(words, words[1:], fillvalue=""):
            option, _, value = word.partition("=")
            if option == "--akka-context":
                return value or then
    return ""


def _is_record(name: str) -> bool:
    """Whether a file of the directory is a record, and not one that is being written."""
    return name.endswith(".json") and not name.startswith(".")


def _name(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:24]


def _digest(record: Mapping[str, Any]) -> str:
    """The checksum that detects a torn, edited or mixed-up record."""
    return _checksum(_canonical(record))


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def _is_json(value: Any) -> bool:
    try:
        _canonical({"": value})
    except _NOT_JSON:
        return False
    return True


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(directory: PrivateDirectory, name: str) -> Record | None:
    try:
        data = directory.read(name)
        if data is None:
            return None
        document = json.loads(data)
        if document.pop(_DIGEST) != _digest(document):
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise messages.journal_unreadable(directory.path / name) from None
    try:
        entries = [Entry(**entry) for entry in document["entries"]]
        for entry in entries:
            entry.check()
        return Record(**{**document, "entries": entries})
    except (TypeError, KeyError):
        command = str(document.get("command") or "")
        raise messages.journal_of_another_version(directory.path / name, "fields", command) from None

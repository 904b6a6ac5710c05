"""Errors of the engine that its callers distinguish."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, PullkeyError, StepFailed


class TargetBusy(PullkeyError):
    """Another run on this machine is working on the same target."""

    code = Code.RUN_BUSY


class LostRace(StepFailed):
    """Another run has changed Akka's record during this one."""

    code = Code.RACE_LOST


class AkkaHoldsNewKey(Exception):
    """A registration cannot be undone, so its key must be kept. The text says what Akka holds or may hold."""


class KeyUnseen(PullkeyError):
    """A key cannot be deleted because it cannot be seen."""

    code = Code.KEY_NOT_VISIBLE
    exit_code = ExitCode.REFUSED


class ForeignJournal(PullkeyError):
    """A journal names objects of another target, so pullkey did not write it."""

    code = Code.JOURNAL_FOREIGN
    exit_code = ExitCode.REFUSED


class HoldersUnread(PullkeyError):
    """A project that may have the same key cannot be read now."""

    code = Code.AKKA_FAILED
    exit_code = ExitCode.REFUSED

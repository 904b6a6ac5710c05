"""An error as a sentence, whoever raised it."""

from __future__ import annotations

from bootstrap.codes import Code
from bootstrap.errors import PullkeyError, StepFailed
from bootstrap.provider import Session


def as_told(error: BaseException, session: Session | None = None) -> PullkeyError:
    """Our own as it is, the cloud's in its words, or one that nobody foresaw.

    The text of the last may come from anywhere, so only its kind is told; the traceback is for `--verbose`.
    """
    if isinstance(error, PullkeyError):
        return error
    said = session.cloud_said(error) if session is not None else ""
    if said and session is not None:
        fix = session.cloud_fix(error)
        told = StepFailed(
            f"The cloud could not be asked: {said}",
            fix=fix or "Run it again in a while.",
            code=session.cloud_code(error),
        )
    else:
        told = StepFailed(
            f"Something that pullkey does not expect went wrong ({type(error).__name__})",
            fix="Run it again with --verbose, and report what it shows.",
            code=Code.UNEXPECTED,
        )
    told.__cause__ = error
    return told

"""Recognise the errors of `akka` that mean that nothing was changed.

The CLI's exit codes and error texts are not documented. Known are `Error: <msg>: rpc error: code =
<GrpcCode> desc = <text>` for errors of the platform, and the texts of Cobra and pflag, with which the CLI is
built, for errors of the command line. `add-credentials` first writes a secret, then the project's registry
configuration. Only an error that is recognised here counts as a refusal before the first of them; after any
other, it may have written something.
"""

from __future__ import annotations

import re

from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed

# The gRPC codes of requests that were not started. Not among them: Unavailable, Internal, DeadlineExceeded,
# Aborted, Unknown, Canceled and ResourceExhausted, after which gRPC leaves open what was done.
_CODES = (
    "Unauthenticated",
    "PermissionDenied",
    "NotFound",
    "InvalidArgument",
    "FailedPrecondition",
    "OutOfRange",
    "Unimplemented",
)
_REFUSED = re.compile(
    rf"code = (?:{'|'.join(_CODES)})\b"
    # Not logged in: the CLI cannot call the platform.
    r"|\bnot logged in\b|\bakka auth login\b"
    # An unanswered prompt comes before the change that it asks about.
    r"|\[y/n\]"
    # spf13/cobra (command.go, args.go) and spf13/pflag (errors.go): the command line, before any call.
    r"|\bunknown (?:command|flag|shorthand flag)\b|\bflag needs an argument\b|\brequired flag\(s\)|\binvalid argument \"",  # noqa: E501
    re.IGNORECASE,
)
# A service token may be allowed to write secrets, but not the configuration, which is written after them.
_SECOND_EFFECT = re.compile(r"\bconfig(?:uration)?s?\b|\bregistr(?:y|ies)\b", re.IGNORECASE)
_DESCRIPTION = "desc = "


class ChangeRefused(StepFailed):
    """The CLI or the platform refused before anything was changed."""

    code = Code.AKKA_REFUSED


def is_refusal(error_text: str) -> bool:
    """Whether an error of `add-credentials` is known to come before its first change.

    >>> is_refusal("Error: rpc error: code = Unauthenticated desc = invalid token")
    True
    >>> is_refusal("Error: rpc error: code = PermissionDenied desc = may not change the registry config")
    False
    >>> is_refusal("Error: rpc error: code = Internal desc = stream terminated")
    False
    >>> is_refusal("Error: unknown flag: --docker-email")
    True
    """
    description = error_text.partition(_DESCRIPTION)[2]
    return _REFUSED.search(error_text) is not None and not _SECOND_EFFECT.search(description)

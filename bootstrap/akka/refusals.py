"""Which errors of `akka` say that it has changed nothing.

Nothing documents the CLI's exit codes or error texts. What is known of them: `Error: <msg>: rpc error: code =
<GrpcCode> desc = <text>` where the platform answers, and the texts of Cobra and pflag, with which the CLI is
built, where the command line is wrong. `add-credentials` has two effects in a row: it writes a secret, then
the project's registry configuration. So only what is recognised here counts as a refusal before any of them;
whatever else it prints, it may have written.
"""

from __future__ import annotations

import re

from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed

# The platform's codes for what it did not begin. Not those of a fault on the way or of a server (Unavailable,
# Internal, DeadlineExceeded, Aborted, Unknown, Canceled, ResourceExhausted): gRPC leaves open what was done
# by then.
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
    # Not logged in: the CLI has nothing to call the platform with.
    r"|\bnot logged in\b|\bakka auth login\b"
    # A question that nobody has answered comes before what it is about.
    r"|\[y/n\]"
    # spf13/cobra (command.go, args.go) and spf13/pflag (errors.go): the command line, before any call.
    r"|\bunknown (?:command|flag|shorthand flag)\b|\bflag needs an argument\b|\brequired flag\(s\)|\binvalid argument \"",  # noqa: E501
    re.IGNORECASE,
)
# A service token may write secrets, and perhaps not the configuration, which is written after them.
_SECOND_EFFECT = re.compile(r"\bconfig(?:uration)?s?\b|\bregistr(?:y|ies)\b", re.IGNORECASE)
_DESCRIPTION = "desc = "


class ChangeRefused(StepFailed):
    """The CLI, or the platform, refused before anything was changed."""

    code = Code.AKKA_REFUSED


def is_refusal(complaint: str) -> bool:
    """Whether an error of `add-credentials` is recognised as one that comes before its first effect.

    >>> is_refusal("Error: error adding docker credentials: rpc error: code = Unauthenticated desc = invalid
    token") True >>> is_refusal("Error: rpc error: code = PermissionDenied desc = not allowed to change the
    registry configuration") False >>> is_refusal("Error: rpc error: code = Internal desc = stream
    terminated") False >>> is_refusal("Error: unknown flag: --docker-email") True
    """
    description = complaint.partition(_DESCRIPTION)[2]
    return _REFUSED.search(complaint) is not None and not _SECOND_EFFECT.search(description)

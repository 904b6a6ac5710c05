"""Google's errors: a canonical code, a message, and typed details.

The codes, their HTTP statuses and the detail types are those of `google.rpc` (google/rpc/code.proto,
google/rpc/error_details.proto). gRPC carries the whole `google.rpc.Status` in `grpc-status-details-bin`, REST
renders the same message as `{"error": {...}}`.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

HTTP_STATUS: Final = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_CODE_OF_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def code_of_status(status: int) -> str:
    """The canonical code for an HTTP status."""
    return _CODE_OF_STATUS.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")


class CloudError(Exception):
    """A refusal.

    Args:
        code: the canonical code: `NOT_FOUND`.
        message: the text for the caller.
        details: messages of `google.rpc.error_details`.
    """

    def __init__(self, code: str, message: str, *details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def http_status(self) -> int:
        return HTTP_STATUS[self.code]

    def status(self) -> Any:
        """The `google.rpc.Status` that gRPC sends."""
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code), message=self.message)
        for detail in self.details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status

    def body(self, *, older: bool = False) -> dict[str, Any]:
        """The body of a REST error; with `older` also in the form of Google's first JSON APIs."""
        error: dict[str, Any] = {"code": self.http_status, "message": self.message, "status": self.code}
        if older:
            head, *rest = self.code.lower().split("_")
            reason = head + "".join(word.capitalize() for word in rest)
            names = {
                "invalidArgument": "badRequest",
                "permissionDenied": "forbidden",
                "unauthenticated": "authError",
            }
            error["errors"] = [
                {"message": self.message, "domain": "global", "reason": names.get(reason, reason)}
            ]
        if self.details:
            error["details"] = json_format.MessageToDict(self.status())["details"]
        return {"error": error}


def error_info(reason: str, domain: str, **metadata: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def retry_info(seconds: float) -> Any:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1_000_000_000))
    return info


def quota_failure(description: str) -> Any:
    """Which quota is used up; its violations have no type."""
    violation = error_details_pb2.QuotaFailure.Violation(
        subject="project:734512906481", description=description
    )
    return error_details_pb2.QuotaFailure(violations=[violation])


def precondition_failure(kind: str, subject: str, description: str) -> Any:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=kind, subject=subject, description=description
    )
    return error_details_pb2.PreconditionFailure(violations=[violation])


def invalid_argument(message: str) -> CloudError:
    return CloudError("INVALID_ARGUMENT", message)


def permission_denied(message: str, domain: str, permission: str, resource: str = "") -> CloudError:
    """A 403 with `IAM_PERMISSION_DENIED`; without `resource` where the real service omits it."""
    metadata = {"permission": permission, **({"resource": resource} if resource else {})}
    return CloudError("PERMISSION_DENIED", message, error_info("IAM_PERMISSION_DENIED", domain, **metadata))


def unauthenticated(reason: str, service: str) -> CloudError:
    """A 401; `reason` is one of `google.api.ErrorReason`: CREDENTIALS_MISSING, ACCESS_TOKEN_EXPIRED, ..."""
    begin = (
        "Request is missing required authentication credential."
        if reason == "CREDENTIALS_MISSING"
        else "Request had invalid authentication credentials."
    )
    return CloudError(
        "UNAUTHENTICATED",
        f"{begin} Expected OAuth 2 access token, login cookie or other valid authentication credential. "
        "See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        error_info(reason, "googleapis.com", service=service),
    )

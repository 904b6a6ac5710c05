"""Google's errors: which of them pass by themselves, for how long, and what to do about the others.

Sources of the wordings: recorded exchanges of GoogleCloudPlatform/k8s-config-connector ("Unknown service account" came
only before a create, "Service account projects/... does not exist." only after one); hashicorp/terraform-provider-google
#10227 and #15042 (a 403 right after a create); hashicorp/vault-plugin-secrets-gcp#237 (setIamPolicy);
hail-is/hail#4725, googleapis/google-api-dotnet-client#2027 and firebase/firebase-tools#6192 (ten keys, then and now);
google.rpc.error_details (RetryInfo, ErrorInfo, PreconditionFailure).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

from bootstrap.codes import Code
from bootstrap.errors import StepFailed
from bootstrap.waiting import Delay
from bootstrap.words import one_line

# How long a new account can be unknown to some of Google's servers: "it can take 60 seconds or more" (IAM, "Create
# service accounts"; openshift/installer#9299).
NEW_ACCOUNT_SECONDS: Final = 120.0
NEW_SERVICE_SECONDS: Final = 300.0
# How long Google may be briefly away, or its quotas of a minute used up, before it is a failure.
BUSY_SECONDS: Final = 120.0
BUSY: Final = "Google is busy or briefly away; trying again."
CONFLICT: Final = "The policy was changed at the same time; reading it again."
LAG: Final = "Google's servers do not all show the same yet; looking again."
NEW_ACCOUNT: Final = "Google does not know the new account everywhere yet; this takes up to a minute."
RUN_LATER: Final = "Run it again in a while."

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "iam.serviceAccounts.get": "roles/iam.serviceAccountViewer",
        "iam.serviceAccounts.create": "roles/iam.serviceAccountCreator",
        "iam.serviceAccounts.delete": "roles/iam.serviceAccountDeleter",
        "iam.serviceAccounts.getIamPolicy": "roles/iam.serviceAccountAdmin",
        "iam.serviceAccounts.getAccessToken": "roles/iam.serviceAccountTokenCreator",
        **dict.fromkeys(
            [f"iam.serviceAccountKeys.{verb}" for verb in ("create", "delete", "disable", "enable", "get", "list")],
            "roles/iam.serviceAccountKeyAdmin",
        ),
        "artifactregistry.repositories.get": "roles/artifactregistry.reader",
        "artifactregistry.repositories.list": "roles/artifactregistry.reader",
        "artifactregistry.repositories.getIamPolicy": "roles/artifactregistry.admin",
        "artifactregistry.repositories.setIamPolicy": "roles/artifactregistry.admin",
        "resourcemanager.projects.get": "roles/browser",
        "resourcemanager.projects.getIamPolicy": "roles/resourcemanager.projectIamAdmin",
        "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
        "serviceusage.services.enable": "roles/serviceusage.serviceUsageAdmin",
        "orgpolicy.policy.get": "roles/orgpolicy.policyViewer",
    }
)  # fmt: skip
"""A predefined role that has a permission, the narrowest of those that are usual ("IAM roles and permissions index")."""

_IS_GONE = re.compile(r"^(?:Unknown service account|Account deleted: )")
_UNKNOWN_ACCOUNT = re.compile(
    r"^Service account (?P<account>\S+) does not exist\.?$|^Not found; Gaia id not found for email", re.MULTILINE
)  # fmt: skip
_MAY_NOT_EXIST = re.compile(
    r"^Permission '(?P<permission>iam\.serviceAccount\S+)' denied on .*\(or it may not exist\)"
)
_DAY_SECONDS = 3600.0  # no quota of calls asks for a longer pause; ten keys ask for 86401 s


# -- what an error says ---------------------------------------------------------------------------------------------


def status_of(error: BaseException) -> str:
    """Google's own name of an error: `NOT_FOUND`."""
    code = getattr(error, "grpc_status_code", None)
    return str(code.name) if code is not None else type(error).__name__


def message_of(error: BaseException) -> str:
    return str(getattr(error, "message", "") or "")


def reason_of(error: BaseException) -> str:
    """The reason in the error's details (google.rpc.ErrorInfo): `SERVICE_DISABLED`."""
    return str(getattr(error, "reason", None) or "")


def _info(error: BaseException, name: str) -> str:
    metadata = getattr(error, "metadata", None) or {}
    return str(metadata.get(name, ""))


def _details(error: BaseException) -> list[object]:
    return list(getattr(error, "details", None) or [])


def retry_after(error: BaseException) -> float | None:
    """The pause that Google asks for (google.rpc.RetryInfo), in seconds."""
    for detail in _details(error):
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.seconds) + float(delay.nanos) / 1e9
    return None


def constraint_of(error: BaseException) -> str:
    """The organisation policy constraint that a refusal names, without `constraints/`; "" where it names none."""
    for detail in _details(error):
        for violation in getattr(detail, "violations", ()):
            if violation.type.startswith("constraints/"):
                return str(violation.type.removeprefix("constraints/"))
    return _info(error, "customConstraints").split(",")[0].removeprefix("constraints/")


def disabled_service(error: BaseException) -> str:
    """The API that is not enabled, where that is why a call was refused."""
    return _info(error, "service") if reason_of(error) == "SERVICE_DISABLED" else ""


def is_key_limit(error: BaseException) -> bool:
    """An account that has all the keys that it may have.

    Today's answer is 400 FAILED_PRECONDITION "Precondition check failed." and nothing else, which any other refused
    precondition may be too: the caller has to count the keys. In 2018 it was RESOURCE_EXHAUSTED, with a RetryInfo of a
    day and a second.
    """
    if status_of(error) == "RESOURCE_EXHAUSTED":
        return (retry_after(error) or 0) > _DAY_SECONDS or "number of keys" in message_of(error)
    return status_of(error) == "FAILED_PRECONDITION" and not constraint_of(error) and message_of(error).startswith("Precondition check failed")  # fmt: skip


def is_rate_limit(error: BaseException) -> bool:
    """Too many calls, which passes; not a number of things that is used up ("Maximum number of ...")."""
    return (
        status_of(error) == "RESOURCE_EXHAUSTED"
        and not is_key_limit(error)
        and "Maximum number" not in message_of(error)
    )


def is_busy(error: BaseException) -> bool:
    """An error that says nothing about the call itself, only that it should come again."""
    return status_of(error) in (
        "UNAVAILABLE",
        "INTERNAL",
        "DEADLINE_EXCEEDED",
        "ABORTED",
    ) or is_rate_limit(error)


def is_unanswered(error: BaseException) -> bool:
    """The call may have been done all the same."""
    return status_of(error) in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN", "CANCELLED")


def is_unknown_account(error: BaseException, email: str) -> bool:
    """An answer that a server gives which does not know an account yet, though others do.

    "Unknown service account" and "Account deleted: ..." are not among them: Google says so of one that never was, and of
    one that is deleted. The caller knows whether the account can be new.
    """
    status, text = status_of(error), message_of(error)
    if status == "PERMISSION_DENIED":
        return bool(_MAY_NOT_EXIST.match(text))
    if status not in ("NOT_FOUND", "INVALID_ARGUMENT"):
        return False
    found = _UNKNOWN_ACCOUNT.search(text)
    return found is not None and (found["account"] is None or found["account"].endswith(email))


def is_never_created(error: BaseException) -> bool:
    """A 404 in the words that Google has for an account that never was, or is deleted."""
    return status_of(error) == "NOT_FOUND" and bool(_IS_GONE.match(message_of(error)))


def is_refused_login(error: BaseException) -> bool:
    """A login that has ended, which gRPC reports as UNAVAILABLE: its plugin could not get a token."""
    text = message_of(error)
    return "Getting metadata from plugin failed" in text and any(
        word in text for word in ("invalid_grant", "RefreshError", "Reauth", "DefaultCredentials")
    )


# -- delays ---------------------------------------------------------------------------------------------------------


def delay_of(error: BaseException) -> Delay | None:
    """The delay that an error is, whatever the call; None for a refusal."""
    after = retry_after(error)
    at_most = None if after is not None else BUSY_SECONDS
    if getattr(error, "lagging", False):
        return Delay(LAG, BUSY_SECONDS)
    if is_rate_limit(error):
        pause = f" in {after:.0f} s" if after else ""
        return Delay(f"Google limits the rate of these calls; trying again{pause}.", at_most, after)
    if status_of(error) == "ABORTED":
        return Delay(CONFLICT, at_most, after)
    return Delay(BUSY, at_most, after) if is_busy(error) else None


def lagging(what: str) -> Exception:
    """The error of a read that contradicts an earlier one: it is to be asked again (`delay_of`)."""
    from google.api_core import exceptions

    error: Any = exceptions.Aborted(what)  # type: ignore[no-untyped-call]
    error.lagging = True
    return cast("Exception", error)


def new_service_delay(service: str) -> Delay:
    """Google's own refusal says: "If you enabled this API recently, wait a few minutes ... and retry"."""
    return Delay(f"Google takes a few minutes to enable {service}.", NEW_SERVICE_SECONDS)


def new_account_delay() -> Delay:
    return Delay(NEW_ACCOUNT, NEW_ACCOUNT_SECONDS)


# -- sentences ------------------------------------------------------------------------------------------------------


def said(error: BaseException) -> str:
    """Google's own words, in one line, with its status."""
    return f"{status_of(error)}, {one_line(message_of(error) or type(error).__name__, 400)}"


def refused(error: BaseException, doing: str, *, permission: str = "") -> StepFailed:
    """A Google error as a sentence, and what to do about it.

    Args:
        error: what the SDK raised.
        doing: what was asked for, after "to": "create the service account ...".
        permission: what that takes, where Google's answer does not name it.
    """
    if is_unanswered(error):
        what = f"Google did not answer the request to {doing} ({said(error)})"
    elif is_rate_limit(error):
        what = f"Google limits the rate of calls, and would not {doing} in time ({said(error)})"
    else:
        what = f"Google refused to {doing}: {said(error)}"
    return StepFailed(what, fix=fix_of(error, permission=permission), code=code_of(error))


def code_of(error: BaseException) -> Code:
    """What kind of problem an error of Google's is."""
    if disabled_service(error):
        return Code.API_DISABLED
    if is_rate_limit(error):
        return Code.CLOUD_RATE_LIMITED
    if status_of(error) == "ABORTED":
        return Code.CONCURRENT_CHANGE
    if is_busy(error) or is_unanswered(error):
        return Code.CLOUD_UNAVAILABLE
    codes = {"UNAUTHENTICATED": Code.LOGIN_REFUSED, "PERMISSION_DENIED": Code.MISSING_PERMISSION}
    return codes.get(status_of(error), Code.CLOUD_REFUSED)


def fix_of(error: BaseException, *, permission: str = "") -> str:
    """What to do about an error of Google's; "" where its own words say all there is."""
    status = status_of(error)
    if status == "UNAUTHENTICATED":
        return login_fix()
    if service := disabled_service(error):
        project = _info(error, "consumer").removeprefix("projects/") or "PROJECT"
        return f"{disabled_fix([service], project)}."
    if status == "PERMISSION_DENIED":
        named = re.search(r"[Pp]ermission '([a-zA-Z.]+)'", message_of(error))
        needed = _info(error, "permission") or (named[1] if named else "") or permission
        if not needed:
            return "Ask an administrator for the permission that it names, or let them do it: `--handover FILE` writes the steps down."
        role = ROLES.get(needed, "")
        having = f" ({role} has it)" if role else ""
        return f"It takes the permission {needed}{having}. Ask an administrator for it, or let them do it: `--handover FILE` writes the steps down."  # fmt: skip
    if is_rate_limit(error):
        pause = retry_after(error)
        return (
            f"Run it again in {pause:.0f} s."
            if pause
            else "Run it again in a minute: its quotas are of a minute each."
        )
    if is_busy(error) or is_unanswered(error):
        return RUN_LATER
    return ""


def disabled_fix(services: Sequence[str], project: str) -> str:
    """How to enable APIs. The one that enables others cannot enable itself; gcloud calls it by a project of its own."""
    command = f"gcloud services enable {' '.join(services)} --project={project}"
    return (
        f"Run: {command}"
        if "serviceusage.googleapis.com" in services
        else f"Pass --enable-apis, or run: {command}"
    )


def login_fix() -> str:
    """What to do about a login that Google does not take, by where it comes from ("How Application Default Credentials
    works": the variable goes first, then gcloud's file, then the metadata server).
    """
    if path := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return f"Check the login in {path}, which GOOGLE_APPLICATION_CREDENTIALS names and which goes first; or unset that variable, and run: gcloud auth application-default login"  # fmt: skip
    return "Run: gcloud auth application-default login (in CI: set up workload identity federation; on a machine of Google's, check its service account)"  # fmt: skip

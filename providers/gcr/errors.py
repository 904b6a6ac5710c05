"""Google's errors: which are temporary, for how long, and how to fix the others.

Sources of the wordings: recorded exchanges of GoogleCloudPlatform/k8s-config-connector ("Unknown service
account" came only before a create, "Service account projects/... does not exist." only after one);
hashicorp/terraform-provider-google #10227 and #15042 (a 403 right after a create);
hashicorp/vault-plugin-secrets-gcp#237 (setIamPolicy); hail-is/hail#4725,
googleapis/google-api-dotnet-client#2027 and firebase/firebase-tools#6192 (ten keys, then and now);
google.rpc.error_details (RetryInfo, ErrorInfo, PreconditionFailure); google.api.ErrorReason, and examples of
such refusals: golang/oauth2#702 (a quota project is missing), google-github-actions/auth#250 (it may not be
used), terraform-google-modules/terraform-example-foundation#974 (VPC Service Controls).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.retry import Delay

# How long a new account can be unknown to some of Google's servers: "it can take 60 seconds or more" (IAM,
# "Create service accounts"; openshift/installer#9299).
NEW_ACCOUNT_SECONDS: Final = 120.0
NEW_SERVICE_SECONDS: Final = 300.0
# How long Google may be unavailable, or a quota per minute used up, before it is a failure.
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
            [
                f"iam.serviceAccountKeys.{verb}"
                for verb in ("create", "delete", "disable", "enable", "get", "list")
            ],
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
)
"""For each permission a predefined role that has it, the narrowest usual one ("IAM roles and permissions
index").
"""

_NEVER_EXISTED = re.compile(r"^(?:Unknown service account|Account deleted: )")
_UNKNOWN_ACCOUNT = re.compile(
    r"^Service account (?P<account>\S+) does not exist\.?$|^Not found; Gaia id not found for email",
    re.MULTILINE,
)
_LONGEST_KEY_LIFE = re.compile(r"max allowed lifetime of (\d[\d,]*) seconds")
_MAY_NOT_EXIST = re.compile(
    r"^Permission '(?P<permission>iam\.serviceAccount\S+)' denied on .*\(or it may not exist\)"
)
_NO_LOCATION = re.compile(r"denied on '(?:projects/[^/']+/)?locations/[^/']+' \(or it may not exist\)")
# Reasons of a 403 that a permission may remove, or enabling an API. Those that end so are of IAM
# (`IAM_PERMISSION_DENIED`) and of Service Usage (`AUTH_PERMISSION_DENIED`).
_REMOVABLE: Final = ("", "SERVICE_DISABLED")
_PERMISSION_DENIED: Final = "PERMISSION_DENIED"
# The texts of those that no permission removes (google.api.ErrorReason): some answers leave the reason out.
_OBSTACLE_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SECURITY_POLICY_VIOLATED": "vpcServiceControlsUniqueIdentifier",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "insufficient authentication scopes",
        "USER_PROJECT_DENIED": "required permission to use project",
        "BILLING_DISABLED": "requires billing to be enabled",
        "RESOURCE_USAGE_RESTRICTION_VIOLATED": "is disallowed by organization's constraints/",
    }
)
# Of these, the reasons that are a policy of an administrator's.
_POLICY = re.compile(r"POLICY_VIOLAT|RESTRICTION_VIOLAT|BLOCKED_BY_ADMIN")
_CONSTRAINT_IN_TEXT = re.compile(r"constraints/([\w.]+\w)")
# The projects of gcloud's own OAuth clients (google.auth._cloud_sdk; googlecloudsdk/core/config.py). Google
# counts the calls of a user's login to them if it names no quota project.
_GCLOUD_PROJECTS: Final = ("764086051850", "32555940559")
_DAY_SECONDS = 3600.0  # no quota of calls asks for a longer pause; ten keys ask for 86401 s


# The HTTP status of each of Google's codes (google/rpc/code.proto). Codes of a call that may have been
# executed have none here, whatever that file says.
_HTTP_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": 400,
        "FAILED_PRECONDITION": 400,
        "OUT_OF_RANGE": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ABORTED": 409,
        "ALREADY_EXISTS": 409,
        "RESOURCE_EXHAUSTED": 429,
        "UNIMPLEMENTED": 501,
        "DATA_LOSS": 500,
    }
)
_OWN_AUTHORITY = (
    "If its authority is your own, or that of a proxy that inspects TLS, name a file with that "
    "authority's certificate and the public ones in each of GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, "
    "REQUESTS_CA_BUNDLE and SSL_CERT_FILE: Google's libraries trust what it holds and nothing else"
)
# gRPC's words for a connection that is no HTTP/2: a proxy that inspects TLS does not offer it
# (grpc/grpc#23172), or the login page of a network or another server has answered.
_NOT_GRPC = re.compile(r"missing selected ALPN property|Failed parsing HTTP/2|http2 header with status: 3")
_THROUGH_PROXY: Final = (
    "A proxy or the login page of a network has answered in place of Google, or the proxy does not pass "
    "HTTP/2 through, which Google's libraries need: open https://console.cloud.google.com in a browser on "
    "this machine, and have *.googleapis.com passed through the proxy as it is, or named in NO_PROXY"
)
_UNANSWERED = ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN", "CANCELLED")


class NoLogin(PullkeyError):
    """There is no usable Google login."""

    code = Code.LOGIN_MISSING
    passing = False
    """Whether the login was not refused, but not answered."""


class GoogleApiError(ApiError):
    """A call that Google refused, or did not answer.

    Args:
        code: Google's own name of the error (google.rpc.Code): `NOT_FOUND`.
        message: Google's text.
        reason: the reason in the error's details (google.rpc.ErrorInfo): `SERVICE_DISABLED`.
        info: the metadata of the reason: `service`, `permission`, `consumer`.
        retry_after: the pause that Google asks for (google.rpc.RetryInfo), in seconds.
        constraint: the organisation policy constraint that the error names, without `constraints/`.
        lagging: whether this is a read that contradicts an earlier one, and must be repeated.
    """

    service = "Google"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        info: Mapping[str, str] = MappingProxyType({}),
        retry_after: float | None = None,
        constraint: str = "",
        lagging: bool = False,
    ) -> None:
        super().__init__(_HTTP_STATUS.get(code, 0), message, code, retry_after=retry_after)
        self.reason = reason
        self.info = info
        self.constraint = constraint
        self.lagging = lagging
        if is_refused_certificate(message):
            self.certificate_fix = _OWN_AUTHORITY
        elif _NOT_GRPC.search(message):
            self.page_from = "Google"

    @property
    def summary(self) -> str:
        """Google's code and text, in one line."""
        if self.page_from:
            return f"what answers is not Google's API: {one_line(self.message, 400)}"
        return f"{self.code}, {one_line(self.message or 'without a message', 400)}"

    @property
    def fix(self) -> str:
        return fix_of(self)

    @property
    def unanswered(self) -> bool:
        return self.code in _UNANSWERED and not self.certificate_fix

    @property
    def rate_limited(self) -> bool:
        """Too many calls, which is temporary; not a limit of resources ("Maximum number of ...")."""
        return (
            self.code == "RESOURCE_EXHAUSTED"
            and not self.is_key_limit
            and "Maximum number" not in self.message
        )

    @property
    def inconclusive(self) -> bool:
        return super().inconclusive or self.code == "ABORTED"

    @property
    def passing(self) -> bool:
        if self.certificate_fix or self.page_from:
            return False
        return self.code in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED") or self.rate_limited

    @property
    def obstacle(self) -> str:
        """The reason of a 403 that no permission on the resource removes, or ""."""
        if self.status != 403:
            return ""
        if self.reason not in _REMOVABLE and not self.reason.endswith(_PERMISSION_DENIED):
            return self.reason
        return next((it for it, text in _OBSTACLE_TEXTS.items() if text in self.message), "")

    @property
    def forbidden(self) -> bool:
        return super().forbidden and not self.obstacle

    @property
    def consumer(self) -> str:
        """The project, by its id or number, to which Google counts the call; "" if the error names none."""
        return self.info.get("consumer", "").removeprefix("projects/")

    @property
    def needs_quota_project(self) -> bool:
        """Whether an API is refused because a user's login names no project to count its calls to."""
        return bool(self.disabled_service) and (
            self.consumer in _GCLOUD_PROJECTS or "requires a quota project" in self.message
        )

    @property
    def not_shown(self) -> bool:
        """The resource does not exist, or this login may not see it: Google does not always say which."""
        return self.missing or self.forbidden

    @property
    def no_such_project(self) -> bool:
        """As `not_shown`, of a project: for an invalid project id the code is INVALID_ARGUMENT."""
        return self.not_shown or self.code == "INVALID_ARGUMENT"

    @property
    def may_be_location(self) -> bool:
        """Whether the location in the resource's name may not exist: Artifact Registry answers so
        (terraform-google-modules/terraform-google-iam#201, hashicorp/terraform-provider-google#10184).
        """
        denied = self.status == 403 and _NO_LOCATION.search(self.message)
        return self.code == "INVALID_ARGUMENT" or bool(denied)

    @property
    def disabled_service(self) -> str:
        """The API whose being disabled is why the call was refused, or ""."""
        return self.info.get("service", "") if self.reason == "SERVICE_DISABLED" else ""

    @property
    def is_key_limit(self) -> bool:
        """Whether the account may have reached its limit of keys.

        Today's answer is 400 FAILED_PRECONDITION "Precondition check failed." and nothing else, which any
        other refused precondition may have too: the caller must count the keys. In 2018 it was
        RESOURCE_EXHAUSTED, with a RetryInfo of a day and a second.
        """
        if self.code == "RESOURCE_EXHAUSTED":
            return (self.retry_after or 0) > _DAY_SECONDS or "number of keys" in self.message
        return (
            self.code == "FAILED_PRECONDITION"
            and not self.constraint
            and self.message.startswith("Precondition check failed")
        )

    @property
    def longest_key_life(self) -> dt.timedelta | None:
        """How long an uploaded key may last, if this refuses one that lasts longer (GAM-team/GAM#1127)."""
        found = _LONGEST_KEY_LIFE.search(self.message) if self.status == 400 else None
        return dt.timedelta(seconds=int(found[1].replace(",", ""))) if found is not None else None

    @property
    def never_existed(self) -> bool:
        """A 404 with the text that Google uses for an account that never existed, or is deleted."""
        return self.missing and bool(_NEVER_EXISTED.match(self.message))

    def is_unknown_account(self, email: str) -> bool:
        """Whether a lagging server answers so of an account that other servers know.

        "Unknown service account" and "Account deleted: ..." do not count: Google says so of an account that
        never existed, and of a deleted one. The caller knows whether the account can be new.
        """
        if self.forbidden:
            return bool(_MAY_NOT_EXIST.match(self.message))
        if self.code not in ("NOT_FOUND", "INVALID_ARGUMENT"):
            return False
        found = _UNKNOWN_ACCOUNT.search(self.message)
        return found is not None and (found["account"] is None or found["account"].endswith(email))

    @property
    def problem_code(self) -> Code:
        if self.certificate_fix:
            return Code.REGISTRY_CERTIFICATE
        if self.page_from:
            return Code.REGISTRY_ANSWER
        if self.disabled_service:
            return Code.API_DISABLED
        if self.obstacle:
            return Code.POLICY if _POLICY.search(self.obstacle) else Code.CLOUD_REFUSED
        if self.rate_limited:
            return Code.CLOUD_RATE_LIMITED
        if self.code == "ABORTED":
            return Code.CONCURRENT_CHANGE
        if self.inconclusive:
            return Code.CLOUD_UNAVAILABLE
        codes = {"UNAUTHENTICATED": Code.LOGIN_REFUSED, "PERMISSION_DENIED": Code.MISSING_PERMISSION}
        return codes.get(self.code, Code.CLOUD_REFUSED)


def as_google(error: ApiError) -> GoogleApiError:
    """An error as one of Google's: the rules for resources and keys raise some of their own (`StillShown`, an
    answer that names no key).
    """
    if isinstance(error, GoogleApiError):
        return error
    of_status = (code for code, status in _HTTP_STATUS.items() if status == error.status)
    code = error.code or next(of_status, "UNKNOWN")
    return GoogleApiError(code, error.message, retry_after=error.retry_after)


def said_in(error: Exception) -> str:
    """The text of an error of google-auth; of a refused impersonation, with Google's own message."""
    text = str(error.args[0]) if error.args else str(error)
    for body in error.args[1:]:
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return f"{text}: {json.loads(body)['error']['message']}"
    return text


def is_refused_login(message: str) -> bool:
    """Whether the text of an UNAVAILABLE is gRPC's for an expired login: its plugin could not get a token."""
    return "Getting metadata from plugin failed" in message and any(
        word in message for word in ("invalid_grant", "RefreshError", "Reauth", "DefaultCredentials")
    )


def is_refused_certificate(message: str) -> bool:
    """Whether the text is that of a TLS certificate which does not verify: nothing was sent."""
    return "CERTIFICATE_VERIFY_FAILED" in message or "certificate verify failed" in message


def is_final(message: str) -> bool:
    """Whether the text is of a call that was not sent, and that another try would not send either."""
    return is_refused_login(message) or is_refused_certificate(message) or bool(_NOT_GRPC.search(message))


def lagging(what: str) -> GoogleApiError:
    """The error of a read that contradicts an earlier one; `delay_of` has it repeated."""
    return GoogleApiError("ABORTED", what, lagging=True)


# -- delays --------------------------------------------------------------------------------------------------


def delay_of(error: Exception) -> Delay | None:
    """The delay of an error, whatever the call; None for a refusal."""
    if not isinstance(error, GoogleApiError):
        return None
    after = error.retry_after
    at_most = None if after is not None else BUSY_SECONDS
    if error.lagging:
        return Delay(LAG, BUSY_SECONDS)
    if error.rate_limited:
        pause = f" in {after:.0f} s" if after else ""
        return Delay(f"Google limits the rate of these calls; trying again{pause}.", at_most, after)
    if error.code == "ABORTED":
        return Delay(CONFLICT, at_most, after)
    return Delay(BUSY, at_most, after) if error.passing else None


def new_service_delay(service: str) -> Delay:
    """Google's own refusal says: "If you enabled this API recently, wait a few minutes ... and retry"."""
    return Delay(f"Google takes a few minutes to enable {service}.", NEW_SERVICE_SECONDS)


def new_account_delay() -> Delay:
    return Delay(NEW_ACCOUNT, NEW_ACCOUNT_SECONDS)


# -- messages ------------------------------------------------------------------------------------------------


def refused(failed: ApiError, doing: str, *, permission: str = "") -> StepFailed:
    """A Google error as a message, with its fix.

    Args:
        failed: the error.
        doing: the action, after "to": "create the service account ...".
        permission: the permission that it takes, for errors that do not name it.
    """
    error = as_google(failed)
    if error.certificate_fix:
        what = f"Google could not be reached to {doing} ({error.summary})"
    elif error.unanswered:
        what = f"Google did not answer the request to {doing} ({error.summary})"
    elif error.rate_limited:
        what = f"Google limits the rate of calls, and would not {doing} in time ({error.summary})"
    else:
        what = f"Google refused to {doing}: {error.summary}"
    return StepFailed(what, fix=fix_of(error, permission), code=error.problem_code)


def fix_of(error: GoogleApiError, permission: str = "") -> str:
    """As `GoogleApiError.fix`; `permission` is what the call takes, for errors that do not name it."""
    if error.certificate_fix:
        return error.certificate_fix
    if error.page_from:
        return _THROUGH_PROXY
    if error.unauthenticated:
        return login_fix()
    if error.needs_quota_project:
        return f"{quota_project_fix()}."
    if service := error.disabled_service:
        return f"Run: {enabling_command([service], error.consumer or 'PROJECT')}"
    if error.obstacle:
        return _obstacle_fix(error)
    if error.forbidden:
        named = re.search(r"[Pp]ermission '([a-zA-Z.]+)'", error.message)
        needed = error.info.get("permission") or (named[1] if named else "") or permission
        if not needed:
            return (
                "Ask an administrator for the permission that it names, or let them do it: `--handover "
                "FILE` writes the steps down."
            )
        role = ROLES.get(needed, "")
        having = f" ({role} has it)" if role else ""
        return (
            f"It takes the permission {needed}{having}. Ask an administrator for it, or let them do it: "
            "`--handover FILE` writes the steps down."
        )
    if error.rate_limited:
        pause = error.retry_after
        return (
            f"Run it again in {pause:.0f} s."
            if pause
            else "Run it again in a minute: its quotas are of a minute each."
        )
    if error.inconclusive:
        return RUN_LATER
    if error.constraint:
        return f"Ask the administrator of organisation policies for an exception from {error.constraint}."
    return ""


def _obstacle_fix(error: GoogleApiError) -> str:
    project = error.consumer or "PROJECT"
    match error.obstacle:
        case "SECURITY_POLICY_VIOLATED":
            return (
                "This is not a missing permission: VPC Service Controls forbid the call from here. Run "
                "pullkey where the perimeter allows it, or give its administrator the identifier above."
            )
        case "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
            return (
                "The login's token lacks the scope cloud-platform. On a machine of Compute Engine, stop it "
                "and run: gcloud compute instances set-service-account MACHINE --scopes=cloud-platform; "
                "else run: gcloud auth application-default login"
            )
        case "BILLING_DISABLED":
            return f"Run: gcloud billing projects link {project} --billing-account=ACCOUNT"
        case "USER_PROJECT_DENIED" | "CONSUMER_INVALID" | "CONSUMER_SUSPENDED":
            return (
                f"Your login counts its calls to project {project}, which it may not use. "
                f"{quota_project_fix()}."
            )
    if constraint := _forbidding_constraint(error):
        return (
            "This is not a missing permission: ask the administrator of organisation policies for an "
            f"exception from {constraint}."
        )
    return f"This is not a missing permission: ask an administrator about {error.obstacle}."


def _forbidding_constraint(error: GoogleApiError) -> str:
    """The organisation policy constraint of an obstacle, without `constraints/`; "" if it names none."""
    named = error.info.get("policy_name") or error.info.get("policyName") or error.message
    found = _CONSTRAINT_IN_TEXT.search(named)
    return found[1] if found else error.constraint


def enabling_command(services: Sequence[str], project: str) -> str:
    return f"gcloud services enable {' '.join(services)} --project={project}"


def quota_project_fix(project: str = "PROJECT") -> str:
    """How to choose the project to which Google counts the calls of a user's login; the variable goes first
    (`google.auth.environment_vars`).
    """
    if os.environ.get("GOOGLE_CLOUD_QUOTA_PROJECT"):
        return (
            "GOOGLE_CLOUD_QUOTA_PROJECT names that project: set it to another, in which you have "
            "roles/serviceusage.serviceUsageConsumer"
        )
    return (
        f"Run: gcloud auth application-default set-quota-project {project} (a project in which you have "
        "roles/serviceusage.serviceUsageConsumer)"
    )


def login_fix() -> str:
    """How to fix a login that Google refuses, by its source ("How Application Default Credentials works": the
    variable comes first, then gcloud's file, then the metadata server).
    """
    if path := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return (
            f"Check the login in {path}, which GOOGLE_APPLICATION_CREDENTIALS names and which goes "
            "first; or unset that variable, and run: gcloud auth application-default login"
        )
    return (
        "Run: gcloud auth application-default login (in CI: set up workload identity federation; on a "
        "machine of Google's, check its service account)"
    )

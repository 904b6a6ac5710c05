"""The errors of Azure's two APIs, their messages, and the trace line of each call."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from bootstrap.model import clock
from bootstrap.model.api_times import seconds_of_retry_after
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.model.text import one_line
from bootstrap.plugin.errors import ApiError

if TYPE_CHECKING:
    from providers.acr.login_errors import LoginError

T = TypeVar("T")
REQUEST_DENIED = "Authorization_RequestDenied"
"""Graph's refusal of what the login may not do."""
LOG_IN = "Log in again: az login (with --auth, check the login that it names)"


class NoLogin(PullkeyError):
    """There is no usable Azure login."""

    code = Code.LOGIN_MISSING

    def __init__(self, found: LoginError) -> None:
        super().__init__(found.what, fix=found.fix)
        self.found = found


def is_transient(error: BaseException) -> bool:
    """Whether an error says nothing about what was asked, so that it is not cached: only the callers that
    wait for it now receive it.
    """
    return (
        error.inconclusive
        if isinstance(error, AzureApiError)
        else isinstance(error, NoLogin) and error.found.passing
    )


class AzureApiError(ApiError):
    """A call that Azure refused or did not answer.

    `code` is Azure's name of the error, such as `AuthorizationFailed`.
    """

    service = "Azure"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, message, code, retry_after=retry_after)
        self.accepted = False
        """Whether Azure accepted the change, which then failed, or whose outcome could not be read."""

    @property
    def inconclusive(self) -> bool:
        return super().inconclusive or self.code in (_CONCURRENT, _DIRECTORY_AWAY)

    @property
    def missing(self) -> bool:
        return super().missing and self.code != _DIRECTORY_AWAY

    @property
    def may_be_done(self) -> bool:
        """Whether a change may have been carried out, in whole or in part."""
        return self.unanswered or self.accepted

    @property
    def locked(self) -> bool:
        """Whether a lock of the resource, or of what it is in, forbids the change."""
        return self.code == _LOCKED

    @property
    def under_condition(self) -> bool:
        """Whether the login holds the permission, under a condition that this call does not fulfil."""
        return self.forbidden and _CONDITION in self.message

    @property
    def problem_code(self) -> Code:
        named = _OTHER_REASONS.get(self.code)
        return named[0] if named is not None else super().problem_code

    @property
    def fix(self) -> str:
        if (named := _OTHER_REASONS.get(self.code)) is not None:
            return named[1]
        if self.unauthenticated:
            tenant = _TENANT.search(self.message) if self.code == _WRONG_TENANT else None
            return _OF_ANOTHER_TENANT.format(tenant=tenant[1]) if tenant is not None else LOG_IN
        return _missing_permission_fix(self) if self.forbidden else super().fix


class NoToken(AzureApiError):
    """The login gave no access token, so that the call was not sent.

    Args:
        found: what is wrong with the login.
    """

    def __init__(self, found: LoginError) -> None:
        super().__init__(401, "", found.reason)
        self.found = found

    @property
    def inconclusive(self) -> bool:
        return self.found.passing

    @property
    def summary(self) -> str:
        return one_line(self.message)

    @property
    def fix(self) -> str:
        return self.found.fix

    def sentence(self, doing: str) -> str:
        return f"{self.found.what}, so Azure could not be asked to {doing}"


# Graph's answer where two changes of a directory meet, with 409 or 503: "Error due to concurrent requests
# being made to the tenant. Please wait briefly and retry." (nais/azurerator#448, Azure/azure-cli#23081).
_CONCURRENT = "Directory_ConcurrencyViolation"
# The 404 of a server that does not know the directory: "Unable to read the company information from the
# directory." It passes, and says nothing about what was asked (hashicorp/terraform-provider-azuread#1578).
_DIRECTORY_AWAY = "Directory_ObjectNotFound"
# "Lock your resources": `CanNotDelete` lets a role be assigned on the resource and not be removed again
# (MicrosoftDocs/azure-docs#110791, hashicorp/vault-plugin-secrets-azure#225).
_LOCKED = "ScopeLocked"
# Refusals whose status is mostly that of a missing permission, and that no permission changes. "Microsoft
# Entra service limits and restrictions": a user without a directory role creates 250 objects at most, and a
# deleted one counts until it is permanently deleted. "Troubleshoot Azure RBAC limits"; "Troubleshoot errors:
# RequestDisallowedByPolicy".
_OTHER_REASONS = {
    _CONCURRENT: (Code.CONCURRENT_CHANGE, "Run it again in a few minutes."),
    _DIRECTORY_AWAY: (Code.CLOUD_UNAVAILABLE, "Run it again in a few minutes."),
    "Directory_QuotaExceeded": (
        Code.LIMIT,
        (
            "Delete applications that nothing uses (az ad app list --show-mine), from the directory's "
            "deleted items too, where they still count; or name an existing one with --app-id"
        ),
    ),
    "Directory_ResourceSizeExceeded": (
        Code.LIMIT,
        (
            "The application has no room for another secret: delete those that nothing uses "
            "(az ad app credential list --id APP_ID), or have one for each registry: --app per-registry"
        ),
    ),
    "RoleAssignmentLimitExceeded": (
        Code.LIMIT,
        (
            "Delete role assignments that nothing uses. Those of deleted identities are among these, beside "
            "those of identities that the directory does not show you: az role assignment list --all --query "
            "\"[?principalName=='']\""
        ),
    ),
    _LOCKED: (
        Code.POLICY,
        (
            "Have the lock removed first, whatever permissions you have: az lock delete --ids LOCK_ID (the "
            "answer names its scope: az lock list)"
        ),
    ),
    "RequestDisallowedByPolicy": (
        Code.POLICY,
        (
            "An Azure Policy denies this, whatever permissions you have. Ask the owner of that policy for an "
            "exemption"
        ),
    ),
    "DenyAssignmentAuthorizationFailed": (
        Code.POLICY,
        (
            "A deny assignment forbids this, whatever permissions you have. Ask its owner: the deployment "
            "stack or the managed application that the answer names"
        ),
    ),
}
_WRONG_TENANT = "InvalidAuthenticationTokenTenant"
_TENANT = re.compile(r"must match the tenant 'https?://[^/']+/([0-9A-Fa-f-]{36})")
_OF_ANOTHER_TENANT = (
    "The subscription is of another directory. Log in there, and name it: "
    "az login --tenant {tenant}; --tenant {tenant}"
)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of an answer's Retry-After header; None without a valid one."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return seconds_of_retry_after(text)


# Resource Manager's text of an `AuthorizationFailed`.
_ACTION = re.compile(r"perform action '([^']+)' over scope '([^']+)'")
_HANDOVER = "or add --handover steps.sh, for an administrator"
# "Delegate Azure role assignment management to others with conditions".
_CONDITION = "ABAC condition"


def _missing_permission_fix(error: AzureApiError) -> str:
    """Name the permission that a refused call needs, as far as the answer says."""
    named = _ACTION.search(error.message)
    if error.under_condition:
        return (
            "You hold the permission under a condition that does not cover this. Have the condition changed "
            f"so that it allows this role for service principals, {_HANDOVER}"
        )
    if named is not None:
        return f"Have {named[1]} granted on {named[2].rpartition('/')[2] or named[2]}, {_HANDOVER}"
    if error.code == REQUEST_DENIED:
        return (
            "It takes Application.ReadWrite.OwnedBy of Microsoft Graph, or the role Application "
            f"Developer, {_HANDOVER}"
        )
    return f"Have the missing permission granted (see the README), {_HANDOVER}"


async def traced(
    trace: Callable[[str], None], method: str, resource: str, call: Callable[[], Awaitable[T]]
) -> T:
    """Await a call; trace its method, resource, status and time."""
    begin = clock.monotonic()
    status = "OK"
    try:
        return await call()
    except AzureApiError as error:
        status = f"{error.status or 'unanswered'} {error.code}".rstrip()
        raise
    except BaseException as error:
        status = type(error).__name__
        raise
    finally:
        trace(f"azure {method} {resource} {status} {(clock.monotonic() - begin) * 1000:.0f} ms")

"""Explain a failed login: which of the logins was used, why it failed, and how to fix it.

`DefaultAzureCredential` tries several in turn and stops at the first that is configured and refused; its
error has a line for each. Numbers are Entra's ("Microsoft Entra authentication and authorization error
codes").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bootstrap.model.text import one_line
from bootstrap.plugin.errors import page_fix

_MEMBER = re.compile(r"^\s*(\w+Credential): (.*)$", re.MULTILINE)
_NUMBER = re.compile(r"AADSTS(\d+)")
# What az prints where it needs a second factor, or its session has expired: it names tenant and scope.
_AZ_LOGIN = re.compile(r"az login(?: --[a-z-]+(?: \"?[^\s\"-][^\s\"]*\"?)?)+")

_OF_AUTH = {
    "environment": "EnvironmentCredential",
    "workload-identity": "WorkloadIdentityCredential",
    "managed-identity": "ManagedIdentityCredential",
    "cli": "AzureCliCredential",
    "developer-cli": "AzureDeveloperCliCredential",
    "powershell": "AzurePowerShellCredential",
}
_SOURCES = {
    "EnvironmentCredential": "the AZURE_* variables of the environment",
    "WorkloadIdentityCredential": "workload identity, by AZURE_FEDERATED_TOKEN_FILE",
    "ManagedIdentityCredential": "the managed identity of this machine",
    "AzureCliCredential": "az",
    "AzureDeveloperCliCredential": "azd",
    "AzurePowerShellCredential": "Azure PowerShell",
}
_ENVIRONMENT_FIRST = "the environment is tried before az, so unset it to use that login"
_SECRET = {"7000215": "is not valid (it takes the secret's value, not its id)", "7000222": "has expired"}
_NO_SUCH_APPLICATION = {"700016", "7000229"}
_NO_SUCH_TENANT = {"90002", "900023", "900021", "50020"}
_NO_FEDERATION = {"70021", "700021", "700211", "700212", "700213"}
# "Client assertion is not within its valid time range": GitHub's token lasts for minutes, and what it was
# exchanged for about an hour (Azure/login#372, Azure/azure-cli#28708).
_EXPIRED_FEDERATION = "700024"
# OpenSSL's words, those of Python, and az's ("Certificate verification failed. This typically happens when
# using Azure CLI behind a proxy that intercepts traffic with a self-signed certificate").
_CERTIFICATE = re.compile(r"certificate[ _]verif", re.IGNORECASE)
# `HttpxTransport`'s words, in those of the credential that has sent the request.
_PAGE = re.compile(r"a web page came from (\S+) in place of an answer")
# The SDK's texts where a program took longer than it may; and how to see what that program does.
_SLOW = {
    "Timed out waiting for Azure CLI": "az account get-access-token",
    "Timed out waiting for Azure Developer CLI": "azd auth token",
    "Timed out waiting for Azure PowerShell": "Get-AzAccessToken",
}
# What `DefaultAzureCredential` quotes of `HttpxTransport`'s errors, and Entra's transient one.
_NO_CONNECTION = (
    "ConnectTimeout",
    "ReadTimeout",
    "ReadError",
    "All connection attempts failed",
    "AADSTS90033",
)


@dataclass(frozen=True)
class LoginError:
    """A failed login: which one was used, why it failed, and how to fix it.

    Attributes:
        passing: whether it was not refused, but not answered, so that another try may succeed.
    """

    source: str
    reason: str
    fix: str
    passing: bool = False

    @property
    def what(self) -> str:
        where = f", from {self.source}" if self.source else ""
        return f"There is no usable Azure login{where} ({self.reason})"


def login_error(error: Exception, *, auth: str, tenant: str) -> LoginError:
    """Parse the SDK's error of a failed login.

    Args:
        error: the SDK's exception.
        auth: the login that `--auth` names, one of `target.LOGINS`.
        tenant: the value of `--tenant`, or "".
    """
    text = str(getattr(error, "message", "") or error)
    members = _MEMBER.findall(text)
    # The last one tried is the one that is configured; if none is, az is the usual one.
    tried = [member for member in members if _NUMBER.search(member[1])]
    of_az = [member for member in members if member[0] == "AzureCliCredential"]
    name, summary = (tried or of_az or members[-1:] or [(_OF_AUTH.get(auth, ""), text)])[0]
    numbers = set(_NUMBER.findall(text))
    source = _SOURCES.get(name, "") if tried or auth != "default" else ""
    passing = _is_unanswered(error, summary)
    return LoginError(source, _short(summary), _fix(name, text, numbers, tenant), passing)


def _is_unanswered(error: Exception, summary: str) -> bool:
    """Whether a login failed without being refused: the connection failed, the directory is busy, or az and
    its like took too long.
    """
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    if _CERTIFICATE.search(summary):
        return False
    if isinstance(error, TimeoutError | ServiceRequestError | ServiceResponseError):
        return True
    status = getattr(error, "status_code", None) or 0
    return status == 429 or status >= 500 or any(said in summary for said in (*_SLOW, *_NO_CONNECTION))


def _fix(name: str, text: str, numbers: set[str], tenant: str) -> str:
    if (page := _PAGE.search(text)) is not None:
        return page_fix(page[1])
    if _CERTIFICATE.search(text):
        return (
            "If the authority is your company's, or that of a proxy that inspects TLS, name its certificate "
            "in SSL_CERT_FILE, and for az a file with it and the public ones in REQUESTS_CA_BUNDLE"
        )
    if name == "EnvironmentCredential" and numbers:
        for number, how in _SECRET.items():
            if number in numbers:
                return f"AZURE_CLIENT_SECRET {how}: set another one; {_ENVIRONMENT_FIRST}"
        if numbers & _NO_SUCH_APPLICATION:
            return (
                f"Check AZURE_CLIENT_ID, and whether AZURE_TENANT_ID is its directory; {_ENVIRONMENT_FIRST}"
            )
        if numbers & _NO_SUCH_TENANT:
            return f"Check AZURE_TENANT_ID; {_ENVIRONMENT_FIRST}"
        return f"Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; {_ENVIRONMENT_FIRST}"
    if _EXPIRED_FEDERATION in numbers:
        if name == "WorkloadIdentityCredential":
            return (
                "The token in the file that AZURE_FEDERATED_TOKEN_FILE names has expired: write a new one to "
                "it right before this command"
            )
        return (
            "The job's OIDC token, with which it logged in, has expired: log in again right before this "
            "command (azure/login, or az login --federated-token)"
        )
    if name == "WorkloadIdentityCredential" and numbers:
        if numbers & _NO_FEDERATION:
            return (
                "Check the federated credential of the application: issuer, subject and audience must "
                "be those of this job's token"
            )
        return "Check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE"
    if (own := _AZ_LOGIN.search(text)) is not None:
        return f"Run: {own[0]}"
    for said, command in _SLOW.items():
        if said in text:
            return f"See what `{command}` does and how long it takes, then run this again"
    return (
        f"Run: az login{f' --tenant {tenant}' if tenant else ''} (in CI: set up workload identity federation)"
    )


def _short(text: str) -> str:
    """The first sentence; the rest are trace ids and general advice."""
    return re.split(r"(?<=[^A-Z.])\. |  *Trace ID", one_line(text))[0].rstrip(".")

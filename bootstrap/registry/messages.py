"""Messages for an exchange with a registry that failed: what went wrong, and what to do."""

from __future__ import annotations

import re

from bootstrap.http._fast_import import httpx
from bootstrap.http.certificate import is_authority_unknown, refused_certificate
from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed
from bootstrap.model.pull import PullAttempt, Verdict
from bootstrap.registry.client import Clean, cleaned_line, host_of

# How Azure's, Google's (VPC Service Controls) and others' firewalls word a refusal.
_FIREWALLS = (
    "not allowed access",
    "firewall",
    "vpcservicecontrols",
    "prohibited by organization",
    "ip allow list",
    "ip restrict",
)

# How Artifact Registry words what the registry behind a remote repository has answered ("Troubleshoot remote
# repositories"). The token service has checked the permission to pull before.
_OF_UPSTREAM = "external repository"
_REFUSED_BY_UPSTREAM = re.compile(r"status code 4(?!29|08|25)\d\d")
_BANNED = "too many failed authentication attempts from this ip"

_OWN_AUTHORITY = (
    "If its authority is your own, name that authority's certificate: SSL_CERT_FILE=FILE. Akka, "
    "which pulls over the "
    "public internet, must trust it too, and pullkey cannot see whether it does."
)
_FIX_CERTIFICATE = (
    "Have the certificate fixed, or name the registry as its certificate does: Akka would refuse it too."
)

_CODES = {
    Verdict.IDENTITY_REFUSED: Code.PASSWORD_REFUSED,
    Verdict.NO_GRANT: Code.PULL_DENIED,
    Verdict.NOT_FOUND: Code.IMAGE_NOT_FOUND,
    Verdict.NETWORK_REFUSED: Code.REGISTRY_FIREWALL,
    Verdict.FORBIDDEN: Code.REGISTRY_FIREWALL,
    Verdict.RATE_LIMITED: Code.REGISTRY_RATE_LIMITED,
    Verdict.REJECTED: Code.REGISTRY_REFUSED,
    Verdict.INVALID: Code.REGISTRY_ANSWER,
    Verdict.UNREACHABLE: Code.REGISTRY_UNREACHABLE,
    Verdict.UNTRUSTED: Code.TOKEN_HOST,
    Verdict.CERTIFICATE_REFUSED: Code.REGISTRY_CERTIFICATE,
}
"""The code of each verdict but `PULLS`."""

WAITING = {
    Verdict.IDENTITY_REFUSED: "The registry does not know the new key yet ({detail}); a new key takes a "
    "minute or two to spread. Trying for up to {minutes:.0f} min more.",
    Verdict.NO_GRANT: "The registry does not honour the new role yet ({detail}); it mostly takes 2 "
    "minutes, at times 7 or more. Trying for up to {minutes:.0f} min more.",
    Verdict.UNREACHABLE: "The registry could not be asked ({detail}). "
    "Trying for up to {minutes:.0f} min more.",
    Verdict.INVALID: "The registry's answer cannot be used ({detail}). Trying again.",
    Verdict.RATE_LIMITED: "The registry limits how often it is asked ({detail}). Waiting as long as it says: "
    "{seconds:.0f} s.",
}

_FIXES = {
    Verdict.IDENTITY_REFUSED: "Run it again later with a longer --timeout; if it stays so, the cloud may "
    "forbid "
    "this kind of key.",
    Verdict.NO_GRANT: "Run it again later with a longer --timeout, and check that the role is on this "
    "repository.",
    Verdict.NOT_FOUND: "Name an image that is there with --image, or leave --image out.",
    Verdict.NETWORK_REFUSED: "Akka pulls over the public internet: allow that in the registry's network "
    "rules. If Akka is "
    "let in and this machine is not, --no-wait registers the credential without trying it.",
    Verdict.FORBIDDEN: "A registry asks for a credential there (401). It may be a firewall that lets only "
    "some "
    "addresses in, a proxy in between, or another kind of server. If Akka is let in and this "
    "machine is not, --no-wait registers the credential without trying it.",
    Verdict.REJECTED: "Another try would be answered alike. Check that this is the registry you mean; else "
    "ask its "
    "operator, with what it answered.",
    Verdict.INVALID: "A proxy or a login page of the network may have answered in its place. Check that "
    "this is the "
    "registry you mean.",
    Verdict.UNREACHABLE: "Check the registry's host name, and whether it is reachable from here.",
    Verdict.UNTRUSTED: "The credential was not sent. Check that this is the registry you mean.",
}

_SUPPLIED_FIXES = {
    Verdict.IDENTITY_REFUSED: "Check user name and password by logging in with them; where logins have a "
    "second "
    "factor, a registry takes a token in place of the password. A token needs the scope to read "
    "the registry (GitLab: "
    "read_registry, GitHub: read:packages).",
    Verdict.NO_GRANT: "Have this user allowed to pull it, and check the name of the image: many registries "
    "give the "
    "same "
    "answer for an image that does not exist.",
}


def failure(attempt: PullAttempt, diagnosis: str, *, supplied: bool = False) -> StepFailed:
    """The error that says that the credential does not pull.

    Args:
        attempt: how the last exchange ended.
        diagnosis: what else is known, as sentences.
        supplied: the password is user-supplied, so that no key is spreading.
    """
    what = f"The {'' if supplied else 'new '}credential does not pull ({attempt})."
    return StepFailed(
        f"{what} {diagnosis}".rstrip(), fix=fix(attempt, supplied=supplied), code=code_of(attempt)
    )


def code_of(attempt: PullAttempt) -> Code:
    """The code of an exchange that failed."""
    return _CODES[attempt.verdict]


def fix(attempt: PullAttempt, *, supplied: bool = False) -> str:
    """What to do about a failed exchange; "" where no fix is known."""
    if attempt.verdict is Verdict.RATE_LIMITED and not attempt.fix:
        when = f"in {attempt.retry_after:.0f} s" if attempt.retry_after is not None else "later"
        return (
            f"Run it again {when}: a registry counts by user or by address, so another try now would "
            "not be answered either."
        )
    return attempt.fix or ({**_FIXES, **_SUPPLIED_FIXES} if supplied else _FIXES).get(attempt.verdict, "")


def first_word(attempt: PullAttempt) -> str:
    """The failure of the registry's first answer, before any credential, as a sentence."""
    if attempt.verdict in (Verdict.CERTIFICATE_REFUSED, Verdict.UNTRUSTED, Verdict.REJECTED, Verdict.INVALID):
        return attempt.detail
    return f"The registry refuses: {attempt}"


def may_be_the_network(error_text: str) -> bool:
    """Whether a refusal is worded as that of a firewall."""
    lower = error_text.lower()
    return any(words in lower for words in _FIREWALLS)


def is_ban(error_text: str) -> bool:
    """Whether a refusal is GitLab's answer to an address that has failed to log in too often, before it looks
    at what is sent (gitlabhq/gitlabhq, lib/gitlab/auth/ip_blocked.rb, app/controllers/
    application_controller.rb: 403 as text).
    """
    return _BANNED in error_text.lower()


def is_of_upstream(error_text: str) -> bool:
    """Whether an error is what the registry behind a remote repository has answered, or has not."""
    return _OF_UPSTREAM in error_text.lower()


def upstream_refused(error_text: str) -> bool:
    """Whether that registry has refused, so that another try would be answered alike."""
    return bool(_REFUSED_BY_UPSTREAM.search(error_text))


def too_late(host: str) -> PullAttempt:
    return PullAttempt(Verdict.UNREACHABLE, f"{host} does not answer in time")


def unanswered(error: Exception, host: str, clean: Clean) -> PullAttempt:
    """Why there is no answer. A certificate that does not verify has its own verdict and fix."""
    if isinstance(error, httpx.RequestError) and error._request is not None:  # noqa: SLF001  - `.request` raises
        host = host_of(error.request)
    if (cause := refused_certificate(error)) is not None:
        return PullAttempt(
            Verdict.CERTIFICATE_REFUSED,
            f"The TLS certificate of {host} does not verify: {cleaned_line(cause.verify_message, clean)}",
            _OWN_AUTHORITY if is_authority_unknown(cause) else _FIX_CERTIFICATE,
        )
    if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL):
        # The error's text quotes the request.
        return PullAttempt(Verdict.INVALID, f"{host} asks for what cannot be sent ({type(error).__name__})")
    error_text = cleaned_line(str(error), clean) or type(error).__name__
    return PullAttempt(Verdict.UNREACHABLE, f"{host} does not answer: {error_text}")

"""HTTP for providers whose SDK needs a client of its own, or that read JSON from outside."""

from __future__ import annotations

from typing import TypeVar

from bootstrap.http._fast_import import httpx
from bootstrap.http.bounds import Unreadable, parse_json
from bootstrap.http.certificate import is_authority_unknown, refused_certificate, system_reason
from bootstrap.http.client import new_client
from bootstrap.plugin.errors import ApiError

__all__ = ["Unreadable", "httpx", "new_client", "not_connected", "parse_json"]

_OWN_AUTHORITY = (
    "If its authority is your own, or that of a proxy that inspects TLS, name that authority's certificate: "
    "SSL_CERT_FILE=FILE"
)
_FIX_CERTIFICATE = "Have the certificate fixed, or name the host as its certificate does"

E = TypeVar("E", bound=ApiError)


def not_connected(failed: E, error: BaseException, *, to: str) -> E:
    """Add to an error without an answer why there was no connection, as far as it is known.

    Args:
        failed: the error, with the class of `error` as its message.
        error: what the client raised. Its own text may contain the address, and is not shown.
        to: the host.
    """
    if (cause := refused_certificate(error)) is not None:
        failed.message = f"the TLS certificate of {to} does not verify: {cause.verify_message}"
        failed.certificate_fix = _OWN_AUTHORITY if is_authority_unknown(cause) else _FIX_CERTIFICATE
    elif reason := system_reason(error):
        failed.message += f": {reason}"
    return failed

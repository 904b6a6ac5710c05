"""Why no connection was made: a TLS certificate that does not verify, or the system's own reason."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

# OpenSSL's codes for a certificate whose authority is unknown (`X509_V_ERR_...` in x509_vfy.h).
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})


def refused_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The error of a TLS certificate that does not verify, if that is the cause; else None."""
    return next((one for one in _causes(error) if isinstance(one, ssl.SSLCertVerificationError)), None)


def is_authority_unknown(error: ssl.SSLCertVerificationError) -> bool:
    """Whether only the authority is unknown on this machine; else the certificate itself is at fault."""
    return error.verify_code in _UNKNOWN_AUTHORITY


def system_reason(error: BaseException) -> str:
    """What the system says of a connection that failed, without the address; "" if it says nothing.

    >>> system_reason(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"))
    'Connection refused'
    """
    for one in _causes(error):
        if isinstance(one, socket.gaierror):
            return one.strerror or ""
        if isinstance(one, OSError) and not isinstance(one, ssl.SSLError) and one.errno:
            return os.strerror(one.errno)
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__

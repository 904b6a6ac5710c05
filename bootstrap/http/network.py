"""Report invalid proxies and certificate authorities in the environment as user errors."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator

from bootstrap.http._fast_import import httpx
from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_NO_SUCH_PROXY = "HTTPS_PROXY, ALL_PROXY, HTTP_PROXY or NO_PROXY holds an address that cannot be used"


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Convert errors in the creation of an HTTP client.

    Raises:
        UsageProblem: the environment has an invalid proxy or certificate file.
    """
    try:
        yield
    except OSError as error:  # which `ssl.SSLError` is too
        named = " and ".join(f"{name} ({os.environ[name]})" for name in _CERTIFICATES if os.environ.get(name))
        why = (
            "holds no certificate" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
        )
        raise UsageProblem(
            f"{named or 'The list of authorities'} {why}",
            fix="Name a file of certificates in PEM.",
            code=Code.SETTING,
        ) from None
    except (ValueError, ImportError, httpx.InvalidURL):
        # The error's text quotes the address, and a proxy's often contains a password.
        raise UsageProblem(
            _NO_SUCH_PROXY, fix="Name one as http://HOST:PORT; SOCKS is not spoken.", code=Code.SETTING
        ) from None

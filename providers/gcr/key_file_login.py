"""The login with a service account's key file, without a check of the key that takes longer than all else.

Whenever cryptography reads an RSA key, it checks that its factors are prime: 40 ms of computing, against one
for the signature. That is of use for a key from a stranger. This one is the user's own, and Google refuses
what a damaged one signs.
"""

from __future__ import annotations

import json
import os
from typing import Any


def key_file_login() -> tuple[Any, str | None] | None:
    """The credentials of the key file that GOOGLE_APPLICATION_CREDENTIALS names, and its project, both as
    `google.auth.default` returns them; None for any other login.

    None also for whatever is unusual: google-auth reads it again, and says what is wrong.
    """
    try:
        path = os.environ["GOOGLE_APPLICATION_CREDENTIALS"]
        if not os.path.isfile(path):  # noqa: PTH113  - what is no file (a pipe) can be read only once
            return None
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  - as google-auth reads it
            info = json.load(file)
        if info["type"] != "service_account":
            return None
        return _credentials_of(info), _project_of(info)
    except Exception:  # noqa: BLE001  - see above; also a library that is older or not installed
        return None


def _credentials_of(info: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from google.auth.crypt import RSASigner
    from google.oauth2 import service_account

    key = load_pem_private_key(info["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True)
    credentials = service_account.Credentials(  # type: ignore[no-untyped-call]
        RSASigner(key, info.get("private_key_id")),  # type: ignore[no-untyped-call]
        service_account_email=info["client_email"],
        token_uri=info["token_uri"],
        project_id=info.get("project_id"),
        universe_domain=info.get("universe_domain", "googleapis.com"),
        trust_boundary=info.get("trust_boundary"),
    )
    return credentials.with_quota_project_from_environment()  # type: ignore[no-untyped-call]


def _project_of(info: dict[str, Any]) -> str | None:
    chosen = os.environ.get("GOOGLE_CLOUD_PROJECT", os.environ.get("GCLOUD_PROJECT"))
    return chosen or info.get("project_id")

"""Check Google's key file as a password: the user names `_json_key` and `_json_key_base64` need one.

Source: "Configure authentication to Artifact Registry for Docker", section "Service account key": the
password is the file as it is, or its base64, as `base64` writes it in lines. Google's own file has line
breaks, and Akka's documentation passes it with them (`--docker-password "$(cat keyfile.json)"`).
"""

from __future__ import annotations

import base64
import binascii

from bootstrap.plugin.http import Unreadable, parse_json
from providers.private import messages

USERNAMES = ("_json_key", "_json_key_base64")
_NEEDED = ("private_key", "client_email")


def check_key_file(username: str, text: str) -> None:
    """Check that a password is a service account's key file, in the form that the user name needs.

    Raises:
        UsageProblem: it is not. The message quotes nothing of the password.
    """
    file = _decoded(text)
    if username == "_json_key" and file is not None:
        raise messages.key_file_in_base64()
    if username == "_json_key_base64" and file is None:
        raise messages.key_file_not_in_base64(plain=text.lstrip()[:1] == "{")
    defect = _defect_of(file if username == "_json_key_base64" and file is not None else text)
    if defect:
        raise messages.key_file_invalid(username, defect)


def _defect_of(file: str) -> str:
    """Why a text is not a service account's key file; "" if it is one."""
    try:
        key = parse_json(file)
    except Unreadable as error:
        return str(error)
    if not isinstance(key, dict):
        return "it is JSON of another kind"
    if key.get("type") != "service_account":
        return 'its "type" is not "service_account"'
    missing = [name for name in _NEEDED if not (isinstance(key.get(name), str) and key[name])]
    return f"it has no {' and no '.join(missing)}" if missing else ""


def _decoded(text: str) -> str | None:
    """Decode base64, of one line or several; None if it is not base64 of a text."""
    joined = "".join(text.split())
    try:
        return base64.b64decode(joined, validate=True).decode() if joined else None
    except (binascii.Error, UnicodeDecodeError):
        return None

"""Google's key file as a password: what `_json_key` and `_json_key_base64` go with.

Source: "Configure authentication to Artifact Registry for Docker", section "Service account key": the
    password is the file
as it is, or its base64, as `base64` writes it in lines. Google's own file has line breaks, and Akka's page
hands it over with them (`--docker-password "$(cat keyfile.json)"`).
"""

from __future__ import annotations

import base64
import binascii

from bootstrap.http.bounds import Unreadable, parse_json
from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

USERNAMES = ("_json_key", "_json_key_base64")
_NEEDED = ("private_key", "client_email")


def check_key_file(username: str, text: str) -> None:
    """Refuse what is not the key file of a service account, in the form that goes with the user name. Shows
    none of it.

    Raises:
        UsageProblem: it is not.
    """
    file = _decoded(text)
    if username == "_json_key" and file is not None:
        raise UsageProblem(
            "The password is base64, and _json_key needs the plain key file",
            fix="Pass --username _json_key_base64, or the file: --password-stdin < keyfile.json",
            code=Code.SECRET_MALFORMED,
        )
    if username == "_json_key_base64" and file is None:
        why = "is not base64" if text.lstrip()[:1] != "{" else "is the plain key file"
        raise UsageProblem(
            f"The user name _json_key_base64 needs a key file in base64, and the password {why}",
            fix="Pass it like this: `base64 keyfile.json | pullkey ... --password-stdin`; or the file "
            "itself with `--username _json_key`.",
            code=Code.SECRET_MALFORMED,
        )
    lacks = _lacks(file if username == "_json_key_base64" and file is not None else text)
    if lacks:
        raise UsageProblem(
            f"The user name {username} needs the key file of a Google service account, and the "
            f"password is not one: {lacks}",
            fix="Pass the complete file that Google created: --password-stdin < keyfile.json",
            code=Code.SECRET_MALFORMED,
        )


def _lacks(file: str) -> str:
    """What keeps a text from being a service account's key file; "" for nothing."""
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
    """What is in base64, in one line or several; None if it is not base64 of a text."""
    joined = "".join(text.split())
    try:
        return base64.b64decode(joined, validate=True).decode() if joined else None
    except (binascii.Error, UnicodeDecodeError):
        return None

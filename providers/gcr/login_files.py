"""The Google login that google-auth is likely to use, by the files and variables that it reads
(`google.auth.default`).
"""

from __future__ import annotations

import os
from pathlib import Path

_WELL_KNOWN = "application_default_credentials.json"  # google.auth._cloud_sdk


def at_a_glance() -> str:
    """The login file, or how to log in."""
    if named := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        found = _is_file(Path(named))
        return (
            f"{named} (GOOGLE_APPLICATION_CREDENTIALS)"
            if found
            else f"not found: GOOGLE_APPLICATION_CREDENTIALS names {named}, which is not a file"
        )
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud")
    try:
        file = folder.expanduser() / _WELL_KNOWN
    except RuntimeError:  # no home directory
        file = folder / _WELL_KNOWN
    if _is_file(file):
        return f"application default credentials ({file})"
    return "not found; run: gcloud auth application-default login"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False

"""Quote texts for bash, and fill variables into scripts for display."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_./:@-]+")


def filled_in(script: str, variables: Mapping[str, str]) -> str:
    """Replace the variables of a script by their values, for display; variables without a value remain."""
    for name, value in variables.items():
        if _PLAIN.fullmatch(value):
            script = script.replace(f'"${{{name}#https://}}"', value.removeprefix("https://"))
            script = re.sub(rf'"\${name}"|\${name}\b|\$\{{{name}\}}', value, script)
    return script


def quoted(text: str) -> str:
    """Quote a text as one word of bash."""
    return "'" + text.replace("'", "'\\''") + "'"

"""Texts as bash reads them, and scripts as a person does."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_./:@-]+")


def filled_in(script: str, variables: Mapping[str, str]) -> str:
    """A script with the plain values in place of its variables, for reading; what only the shell knows
    stays.
    """
    for name, value in variables.items():
        if _PLAIN.fullmatch(value):
            script = script.replace(f'"${{{name}#https://}}"', value.removeprefix("https://"))
            script = re.sub(rf'"\${name}"|\${name}\b|\$\{{{name}\}}', value, script)
    return script


def quoted(text: str) -> str:
    """A text as one word of bash."""
    return "'" + text.replace("'", "'\\''") + "'"

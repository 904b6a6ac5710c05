"""The registration by hand: the commands of the Akka CLI for a runbook, a plan and a hand-over."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.plugin.step import Script


def handoff_script(secret_name: str, words: Mapping[str, str], scope: Sequence[str]) -> Script:
    """The commands that register a credential, check it and take it back.

    Args:
        secret_name: in Akka.
        words: the bash words of the credential (`Session.script_credential`).
        scope: the CLI's arguments that name the project.
    """
    tail = f" {shlex.join(scope)}" if scope else ""
    name = shlex.quote(secret_name)
    return Script(
        do=(
            "akka docker add-credentials \\\n"
            f"  --secret-name={name} \\\n"
            f"  --docker-server={words['server']} \\\n"
            f"  --docker-username={words['username']} \\\n"
            f"  --docker-email={words['email']} \\\n"
            f"  --docker-password={words['password']}{tail}"
        ),
        check=f"akka docker list-credentials{tail} | grep -E "
        f"{shlex.quote(f'^{_escaped_for_grep(secret_name)} +OK ')}",
        # The published page says `delete-credentials`; the command is `remove-credentials` since CLI 3.0.4.
        undo=f"akka docker remove-credentials {name}{tail}\nakka secrets delete {name}{tail}",
    )


def _escaped_for_grep(text: str) -> str:
    """A regular expression for grep that matches the text literally."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", text)

"""The declaration of an option, for commands and files of registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Option:
    """One option of `pullkey onboard PROVIDER`, accepted by every command that takes a target.

    `kind` says how the value is parsed: text, a switch, a duration (`365d`), or one of `choices`. A `secret`
    is typed as a switch (`--password-stdin`); its value is the `Secret` read from stdin, or None. A `login`
    option is also needed by commands that take the name of an Akka secret; those read it from the option's
    environment variables. `default_in_file` is the default of its field in a file of registries, if that is
    another.
    """

    name: str
    help: str
    kind: Literal["text", "switch", "duration", "secret"] = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    login: bool = False
    default_in_file: str | None = None

    @property
    def key(self) -> str:
        """The option's key in a mapping: `gcp_project` for `--gcp-project`."""
        return self.name.removeprefix("--").replace("-", "_")

    def variables(self, provider: str = "") -> list[str]:
        """The environment variables that set the option, first the provider's own, then the general one."""
        general = f"PULLKEY_{self.key.upper()}"
        own = f"PULLKEY_{provider.upper().replace('-', '_')}_{self.key.upper()}"
        return [own, general] if provider else [general]

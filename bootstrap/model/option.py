"""Options of commands and files, as a provider declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bootstrap.model.akka_record import HeldCredential as HeldCredential  # noqa: PLC0414  - from here, too
from bootstrap.model.key_facts import KeyFacts as KeyFacts  # noqa: PLC0414  - the same

if TYPE_CHECKING:
    # What these import is not needed to show a provider's options.
    pass


@dataclass(frozen=True)
class Option:
    """One option of `pullkey onboard PROVIDER`, read by every command that takes a target.

    `kind` is how it is read: text, a switch, a duration (`365d`), or one of `choices`. A `secret` is typed as
    a switch (`--password-stdin`); its value is the `Secret` that was read from stdin, or None. `login` marks
    what a command that takes the name of an Akka secret needs too; there it comes from the variables that
    every option has.
    """

    name: str
    help: str
    kind: Literal["text", "switch", "duration", "secret"] = "text"
    default: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    login: bool = False

    @property
    def key(self) -> str:
        """The option's name as it stands in a mapping: `--gcp-project` is `gcp_project`."""
        return self.name.removeprefix("--").replace("-", "_")

    def variables(self, provider: str = "") -> list[str]:
        """The environment variables that set it: the provider's own, if it is an option of one, before the
        general one.
        """
        general = f"PULLKEY_{self.key.upper()}"
        own = f"PULLKEY_{provider.upper().replace('-', '_')}_{self.key.upper()}"
        return [own, general] if provider else [general]

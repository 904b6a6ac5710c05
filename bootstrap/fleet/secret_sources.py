"""The sources of secrets in a file of registries: a variable, a file, or the output of a program.

A secret is read only when a key is created or a login needs it; its errors never show what was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bootstrap.files.input_file import read_file
from bootstrap.fleet import messages
from bootstrap.model.errors import UsageProblem
from bootstrap.model.secret import Secret
from bootstrap.model.text import as_typed

_LIMIT = 65_536
_from_environment: dict[str, Secret] = {}
_SECONDS = 60.0


def take_from_environment(sources: Iterable[Source]) -> None:
    """Remove the variables with secrets from this process's environment, so that no child inherits them."""
    for source in sources:
        text = os.environ.pop(source.where, "") if source.kind == "env" else ""
        if text:
            _from_environment[source.where] = Secret(text)


@dataclass(frozen=True)
class Source:
    """A place that a secret is read from.

    Args:
        kind: `env`, `file` or `command`.
        where: the variable, the path, or the program with its arguments.
        field: the file's field that names it: `password`.
    """

    kind: str
    where: str
    field: str

    @classmethod
    def parse(cls, text: str, field: str, base: Path) -> Source:
        """Read `env:NAME`, `file:PATH` (beside the file of registries, if it is not absolute) or
        `command:PROGRAM ...`.

        Raises:
            UsageProblem: the command cannot be split into words.
        """
        kind, _, where = text.partition(":")
        if kind == "file":
            where = str(base / Path(where).expanduser())
        if kind == "command":
            try:
                words = shlex.split(where)
            except ValueError as error:
                raise messages.command_not_split(field, str(error).lower()) from None
            if not words:
                raise messages.command_empty(field)
        return cls(kind, where, field)

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"

    def missing(self) -> str:
        """Why it cannot be read, as far as that is visible without reading it; "" otherwise."""
        if self.kind == "env":
            there = self.where in _from_environment or bool(os.environ.get(self.where))
            return "" if there else f"{self.field}: env:{self.where} is not set, or empty"
        if self.kind == "file":
            return (
                ""
                if os.access(self.where, os.R_OK)
                else f"{self.field}: file:{self.where} is not there, or cannot be read"
            )
        program = shlex.split(self.where)[0]
        return "" if shutil.which(program) else f"{self.field}: command:{program} is not on the path"

    async def read(self) -> Secret:
        """Read the secret, without the line end that editors and programs add.

        Raises:
            UsageProblem: it cannot be read, or is empty or too long.
        """
        match self.kind:
            case "env":
                text = (
                    _from_environment[self.where].reveal()
                    if self.where in _from_environment
                    else os.environ.get(self.where, "")
                )
            case "file":
                text = await asyncio.to_thread(self._of_file)
            case _:
                text = await self._of_command()
        secret = as_typed(text)
        if not secret.strip():
            raise self._unusable("is not set, or empty" if self.kind == "env" else "gives nothing")
        if len(secret) > _LIMIT or "\0" in secret:
            raise self._unusable("is not a password: it is too long, or holds a zero character")
        return Secret(secret)

    def _unusable(self, why: str) -> UsageProblem:
        # Of a command only the program: its arguments may be confidential.
        shown = shlex.split(self.where)[0] if self.kind == "command" else self.where
        return messages.source_unusable(self.field, f"{self.kind}:{shown}", why)

    def _of_file(self) -> str:
        try:
            # A character takes at most four bytes in UTF-8.
            return read_file(Path(self.where), 4 * (_LIMIT + 1)).decode()
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise self._unusable("is not UTF-8 text") from None

    async def _of_command(self) -> str:
        """Run a program without a shell, and return its stdout; its stderr is not shown."""
        try:
            child = await asyncio.create_subprocess_exec(
                *shlex.split(self.where),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise self._unusable(f"cannot be run ({error.strerror})") from None
        try:
            out, _ = await asyncio.wait_for(child.communicate(), _SECONDS)
        except TimeoutError:
            raise self._unusable(f"did not end within {_SECONDS:.0f} s") from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if child.returncode != 0:
            raise self._unusable(f"ended with {child.returncode}")
        try:
            return out.decode()
        except UnicodeDecodeError:
            raise self._unusable("prints no text") from None

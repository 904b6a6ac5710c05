"""The commands of the `akka` CLI that pullkey needs: credentials, secrets and services of a project.

The CLI is closed source; what is known of it is its generated reference. Everything that the reference leaves
open is isolated in a small function: `parse_credentials`, `runner._password_argument`,
`AkkaCli.remove_credentials`.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bootstrap.akka import messages
from bootstrap.akka.output import (
    Unreadable,
    is_absence,
    is_error,
    merge_regions,
    parse_credentials,
    says_why_not,
)
from bootstrap.akka.project import ProjectLookup
from bootstrap.akka.refusals import is_refusal
from bootstrap.akka.runner import BeforeRetry, CliAnswer
from bootstrap.akka.scope import AkkaScope
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import Credential
from bootstrap.model.errors import StepFailed
from bootstrap.plugin.retry import read_twice

if TYPE_CHECKING:
    from bootstrap.akka.services import PullFailure, Service

_REMOVAL_TRIES = 2  # as long as Akka says that a listed object does not exist


@dataclass
class AkkaCli(ProjectLookup):
    """The Akka CLI for one project."""

    def elsewhere(self, scope: AkkaScope) -> AkkaCli:
        """The same CLI for another project."""
        return AkkaCli(scope, self.deadline, self.trace, self.program)

    def with_fresh_listings(self) -> AkkaCli:
        """The CLI for the same project, without listings that were cached before."""
        return self

    # -- credentials: reading --------------------------------------------------------------------------------

    async def credentials(self) -> list[HeldCredential]:
        """The project's credentials, in the scope's region or else merged over all regions.

        Raises:
            StepFailed: the CLI did not list them, or in an unknown form.
        """
        return list(await self._listed(_credentials_in))

    async def credentials_by_region(self) -> list[HeldCredential]:
        """The project's credentials, in the scope's region or else in all regions: one for each region that
        shows it, if the CLI shows more than one.

        Raises:
            StepFailed: the CLI did not list them, or in an unknown form.
        """
        return list(await self._listed(_rows_in))

    async def _listed(self, parse: Callable[[str], Sequence[HeldCredential]]) -> Sequence[HeldCredential]:
        scope = [*self.scope.arguments(), *([] if self.scope.region else ["--all-regions"])]
        answer = await self._read(["docker", "list-credentials", *scope, "-o", "json"])
        if answer.code == 0:
            with contextlib.suppress(Unreadable):
                return parse(answer.out)
        # CLIs before 3.0.4 have no JSON output for it.
        answer = await self._read(["docker", "list-credentials", *scope])
        if answer.code != 0:
            raise messages.command_failed("akka docker list-credentials", answer.error_text)
        if answer.out.strip():
            return parse(answer.out)
        # The form of an empty list is not published: no output in either form, with exit code 0, counts as
        # one, unless an error was printed.
        if says_why_not(answer.err):
            raise messages.command_failed("akka docker list-credentials", answer.error_text)
        return []

    async def credential(self, secret_name: str) -> HeldCredential | None:
        """The credential with this name, or None."""
        return next((held for held in await self.credentials() if held.name == secret_name), None)

    async def credentials_with(self, names: Collection[str]) -> list[HeldCredential]:
        """The same as `credentials`, but read again if one of the names is missing: a listing may lag.

        Raises:
            StepFailed: the CLI did not list them.
        """
        return await self._credentials_with(lambda held: {one.name for one in held}.issuperset(names))

    async def credentials_with_any(self, is_wanted: Callable[[HeldCredential], bool]) -> list[HeldCredential]:
        """The same as `credentials`, but read again if no listed credential is wanted.

        Raises:
            StepFailed: the CLI did not list them.
        """
        return await self._credentials_with(lambda held: any(map(is_wanted, held)))

    async def _credentials_with(
        self, expected: Callable[[Sequence[HeldCredential]], bool]
    ) -> list[HeldCredential]:
        shown: list[HeldCredential] = []

        async def as_expected() -> bool | None:
            nonlocal shown
            shown = await self.credentials()
            return expected(shown) or None

        await read_twice(as_expected)
        return shown

    # -- credentials: changing -------------------------------------------------------------------------------

    async def add_credentials(
        self,
        secret_name: str,
        credential: Credential,
        *,
        before_retry: BeforeRetry | None = None,
    ) -> None:
        """`akka docker add-credentials`: create or replace the secret, and add it to the project.

        Args:
            secret_name: the secret.
            credential: what it is to hold.
            before_retry: called before it is sent again, such as after a lost answer: raises an error if the
                secret must not be replaced any more.

        Raises:
            ChangeRefused: the command was refused before it wrote anything.
            StepFailed: it ended with an error. It may have written the secret, the project's configuration,
                or both.
            OutcomeUnknown: it did not end in time.
        """
        arguments = [
            "docker",
            "add-credentials",
            f"--secret-name={secret_name}",
            f"--docker-server={credential.server}",
            f"--docker-username={credential.username}",
            f"--docker-email={credential.email}",
            *self.scope.arguments(),
        ]
        answer = await self._change(arguments, password=credential.password, before_retry=before_retry)
        if answer.code != 0:
            # An earlier try without an answer may have written something.
            if not answer.retried and is_refusal(answer.error):
                raise messages.registration_refused(answer.error_text)
            raise messages.command_failed("akka docker add-credentials", answer.error_text)

    async def remove_credentials(self, secret_name: str, *, before_retry: BeforeRetry | None = None) -> bool:
        """Remove the project's reference, then the secret. Return False if neither existed.

        Args:
            secret_name: of both.
            before_retry: called before a removal is sent again, such as after a lost answer: raises an error
                if the name is another run's by now.

        Raises:
            StepFailed: the CLI did not remove them.
        """
        reference = await self.remove_reference(secret_name, before_retry=before_retry)
        return await self.remove_secret(secret_name, before_retry=before_retry) or reference

    async def remove_reference(self, secret_name: str, *, before_retry: BeforeRetry | None = None) -> bool:
        """Remove the credential from the project's registry configuration; the secret is kept. Return False
        if it was not there.

        For `before_retry` see `remove_credentials`.

        Raises:
            StepFailed: the CLI did not remove it.
        """
        for _ in range(_REMOVAL_TRIES):
            try:
                if await self._remove_reference(secret_name, before_retry):
                    return True
            except StepFailed:
                # It may have been removed despite the error.
                if await read_twice(lambda: self.credential(secret_name)) is not None:
                    raise
                return True
            if await self.credential(secret_name) is None:
                return False
        raise messages.reference_contradiction(secret_name)

    async def _remove_reference(self, secret_name: str, before_retry: BeforeRetry | None) -> bool:
        """Send the removal once. Return False if Akka says that there was nothing to remove."""
        scope = self.scope.arguments()
        arguments = ["docker", "remove-credentials", secret_name, *scope]
        answer = await self._change(arguments, before_retry=before_retry)
        if answer.code != 0 and "unknown command" in answer.error:
            # The guide still says `delete-credentials`; CLIs before 3.0.4 know only that.
            arguments[1] = "delete-credentials"
            answer = await self._change(arguments, before_retry=before_retry)
        return _was_removed(answer, "akka docker remove-credentials")

    async def remove_secret(self, secret_name: str, *, before_retry: BeforeRetry | None = None) -> bool:
        """Delete the secret. Return False if it did not exist.

        For `before_retry` see `remove_credentials`.

        Raises:
            StepFailed: the CLI did not delete it.
        """
        for _ in range(_REMOVAL_TRIES):
            arguments = ["secrets", "delete", secret_name, *self.scope.arguments()]
            answer = await self._change(arguments, before_retry=before_retry)
            if _was_removed(answer, "akka secrets delete"):
                return True
            if not await self.lists_secret(secret_name):
                return False
        raise messages.secret_contradiction(secret_name)

    def secret_removal(self, secret_name: str) -> str:
        """The command that deletes a secret by hand."""
        return shlex.join(["akka", "secrets", "delete", secret_name, *self.scope.printed_arguments()])

    async def lists_secret(self, secret_name: str) -> bool:
        """Whether `akka secrets list` prints the name, in any form.

        Raises:
            StepFailed: the CLI did not list them.
        """
        answer = await self._read(["secrets", "list", *self.scope.arguments()])
        if answer.code != 0:
            raise messages.command_failed("akka secrets list", answer.error_text)
        return secret_name in re.split(r"[^A-Za-z0-9.-]+", answer.out)

    # -- services --------------------------------------------------------------------------------------------

    async def exported_services(self) -> list[Service]:
        """The project's services with their images.

        Raises:
            StepFailed: the CLI does not show them in a known form.
        """
        from bootstrap.akka.services import parse_export, parse_services

        answer = await self._read(["projects", "export", *self.scope.arguments(with_region=False)])
        if answer.code == 0 and (found := parse_export(answer.out)):
            return found
        # Older CLIs cannot export, and the form of an export is documented for one version only.
        listed = await self._read(["services", "list", *self.scope.arguments(), "-o", "json"])
        if listed.code != 0:
            raise messages.services_not_shown(self.scope.label, listed.error_text)
        return [one for one in parse_services(listed.out) if one.image]

    async def services(self) -> list[Service]:
        """The project's services with their status.

        Raises:
            StepFailed: the CLI did not list them.
        """
        from bootstrap.akka.services import parse_services

        answer = await self._read(["services", "list", *self.scope.arguments(), "-o", "json"])
        if answer.code != 0:
            raise messages.command_failed("akka services list", answer.error_text)
        return parse_services(answer.out)

    async def service(self, name: str) -> tuple[Service | None, list[PullFailure]]:
        """A service and the pull failures of its containers; None if it does not exist.

        Raises:
            StepFailed: the CLI did not show it.
        """
        from bootstrap.akka.services import parse_service

        answer = await self._read(["services", "get", name, *self.scope.arguments(), "-o", "json"])
        if answer.code != 0:
            if is_absence(answer.error):
                return None, []
            raise messages.command_failed("akka services get", answer.error_text)
        return parse_service(answer.out)


@lru_cache(maxsize=4)
def _credentials_in(text: str) -> tuple[HeldCredential, ...]:
    """The credentials in a listing, parsed once for all targets of a file that share the answer.

    Raises:
        Unreadable: the text has no known form.
    """
    return tuple(merge_regions(parse_credentials(text)))


@lru_cache(maxsize=1)
def _rows_in(text: str) -> tuple[HeldCredential, ...]:
    """The same, one for each region.

    Raises:
        Unreadable: the text has no known form.
    """
    return tuple(parse_credentials(text))


def _was_removed(answer: CliAnswer, command: str) -> bool:
    """Return False if Akka says that there was nothing to remove.

    Raises:
        StepFailed: it was not removed.
    """
    if answer.code == 0 and not is_error(f"{answer.out}\n{answer.err}"):
        return True
    if answer.code == 0 or not is_absence(answer.error):
        raise messages.command_failed(command, answer.error_text)
    return answer.retried  # an earlier try without an answer has removed it

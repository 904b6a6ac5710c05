"""One private registry, open. Nobody is logged in to: what is known of it is what it answers, and what Akka shows."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.errors import PullkeyError, UsageProblem
from bootstrap.handshake import Attempt, Probe, Verdict
from bootstrap.provider import KeyFacts, RunContext, Session
from bootstrap.secret import Secret
from bootstrap.steps import Findings, Notice
from providers.private.steps import Key
from providers.private.target import PrivateTarget
from providers.private.unfit import better_provider, end_of

# Names that no public name server knows (RFC 6762, RFC 8375, ICANN's resolution 2024.07.29.06).
_AT_HOME = (".local", ".localhost", ".internal", ".home.arpa", ".lan")


class PrivateSession(Session):
    """See `bootstrap.provider.Session`."""

    deletes_keys = False
    disables_keys = False
    waits_for_spreading = False

    def __init__(self, target: PrivateTarget, context: RunContext) -> None:
        self.target = target
        self.context = context
        self.password: Secret | None = None
        self.ends: dt.datetime | None = None
        if target.password is not None:
            # It cannot be compared with the one that Akka holds: "exists, so skip" would keep an old one for ever.
            context.new_key = True
        self.steps = [Key(self)]

    @property
    def who(self) -> str:
        return f"{self.target.username} at {self.target.host}"

    async def ask(self) -> None:
        password = self.target.password or await self.context.ask_secret(f"The password of {self.who}")
        if password is None:
            raise UsageProblem(f"The password of {self.who} is needed", mend="Give it with --password-stdin.")
        self.ends = end_of(password, now=dt.datetime.now(dt.UTC))
        self.password = password

    async def connect(self) -> str:
        return self.who

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        return {}

    async def preflight(self) -> Findings:
        findings = Findings()
        host = self.target.bare_host
        if better := better_provider(host):
            findings.notices.append(Notice(f"`pullkey onboard {better}` makes a key for {host} by itself, and can renew and remove it; this way the password stays yours to look after."))  # fmt: skip
        if _is_local(host):
            findings.notices.append(Notice(f"{host} is known in your own network only, and Akka pulls over the public internet."))  # fmt: skip
        return findings

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return self.target.server

    async def username(self) -> str | None:
        return self.target.username

    async def probe(self) -> Probe:
        return Probe(self.target.host, self.target.repository, self.target.reference)

    async def diagnose(self, attempt: Attempt) -> str:
        if attempt.verdict is Verdict.IDENTITY_REFUSED:
            return f"{self.target.host} does not take this password of {self.target.username}."
        if attempt.verdict is Verdict.NO_GRANT and self.target.repository:
            return f"{self.target.host} does not let {self.target.username} pull {self.target.repository}."
        return ""

    # -- keys ----------------------------------------------------------------------------------------------------

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        return KeyFacts(key_id, created=None)

    async def delete_key(self, key_id: str) -> bool:
        raise PullkeyError(f"The password of {self.who} was brought, so pullkey cannot revoke it", mend=f"Revoke it at {self.target.host}, where it was made.")  # fmt: skip

    def delete_key_command(self, key_id: str) -> str:
        return f"# At {self.target.host}: revoke the password of {self.target.username} that run {key_id} handed off."

    # -- scripts -------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        link = self.target.link("ID")
        named = {
            "SERVER": self.target.server,
            "REGISTRY": self.target.host,
            "USERNAME": self.target.username,
            "MAIL_NAME": link.name,
            "MAIL_DOMAIN": link.domain,
        }
        return {name: shlex.quote(value) for name, value in named.items()}

    @property
    def script_credential(self) -> Mapping[str, str]:
        return {
            "server": '"$SERVER"',
            "registry": '"$REGISTRY"',
            "username": '"$USERNAME"',
            "email": '"$MAIL_NAME+$KEY_ID@$MAIL_DOMAIN"',
            "password": '"$PASSWORD"',
        }


def _is_local(host: str) -> bool:
    """Whether a host is surely not reached from the public internet."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_AT_HOME)

"""One private registry, open. Nobody is logged in to: what is known of it is what it answers, and what Akka shows."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.codes import Code
from bootstrap.credential import Credential
from bootstrap.errors import PullkeyError, UsageProblem
from bootstrap.link import KeyLink, registered_on
from bootstrap.plugin import clock
from bootstrap.plugin.session_keys import SessionKeys
from bootstrap.provider import KeyFacts, RunContext, Session
from bootstrap.registry import Attempt, Confidential, Probe, Verdict
from bootstrap.secret import Secret
from bootstrap.steps import Findings, Notice
from providers.private import google_key
from providers.private.steps import Key
from providers.private.target import PrivateTarget
from providers.private.unfit import better_provider, end_of

# Names that no public name server knows (RFC 6762, RFC 8375, ICANN's resolution 2024.07.29.06).
# docs.github.com, "Working with the Container registry", section "Authenticating with a personal access token (classic)".
_GITHUB_HOSTS = ("ghcr.io", "docker.pkg.github.com")
_GITHUB = "GitHub's registry takes a personal access token (classic) with the scope read:packages, authorized for the organization where that uses single sign-on; fine-grained tokens do not work there."
_AT_HOME = (".local", ".localhost", ".internal", ".home.arpa", ".lan")


class PrivateSession(Session):
    """See `bootstrap.provider.Session`."""

    deletes_keys = False
    disables_keys = False
    waits_for_spreading = False

    def __init__(self, target: PrivateTarget, context: RunContext) -> None:
        self.target = target
        self.token_host = target.token_host
        self.context = context
        self.password: Secret | None = None
        self.ends: dt.datetime | None = None
        if target.password is not None:
            # It cannot be compared with the one that Akka holds: "exists, so skip" would keep an old one for ever.
            context.new_key = True
        self.key = SessionKeys(self)
        self.steps = [Key(self)]

    def redact(self, text: str) -> str:
        secrets = Confidential()
        for password in (self.password, self.target.password):
            if password is not None:
                secrets.add_login(self.target.username, password)
        return secrets.clean(text)

    @property
    def who(self) -> str:
        return f"{self.target.username} at {self.target.host}"

    async def ask(self) -> None:
        password = self.target.password or await self.context.ask_secret(f"The password of {self.who}")
        if password is None:
            raise UsageProblem(
                f"The password of {self.who} is needed",
                fix="Pass it with --password-stdin.",
                code=Code.SECRET_MISSING,
            )
        if self.target.username in google_key.USERNAMES:
            google_key.check_key_file(self.target.username, password.reveal())
        else:
            self.ends = end_of(password, now=clock.now())
        self.password = password

    def supplied(self) -> Credential | None:
        if self.password is None:
            return None
        return Credential(self.target.server, self.target.username, self.password, KeyLink("", "", ""))

    async def connect(self) -> str:
        return self.who

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        return {}

    async def preflight(self) -> Findings:
        findings = Findings()
        host = self.target.bare_host
        if better := better_provider(host):
            findings.notices.append(Notice(f"`pullkey onboard {better}` creates a key for {host} by itself, and can renew and remove it; with this provider you rotate the password yourself."))  # fmt: skip
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
        return Probe(self.target.host, self.target.repository, self.target.reference, self.target.token_host)

    async def diagnose(self, attempt: Attempt) -> str:
        host, username = self.target.host, self.target.username
        refused = attempt.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT)
        hint = f" {_GITHUB}" if refused and self.target.bare_host in _GITHUB_HOSTS else ""
        if attempt.verdict is Verdict.IDENTITY_REFUSED:
            return f"{host} does not take this password of {username}.{hint}"
        if attempt.verdict is Verdict.NO_GRANT and self.target.repository:
            return f"{host} does not let {username} pull {self.target.repository}.{hint}"
        return hint.strip()

    # -- keys ----------------------------------------------------------------------------------------------------

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        return KeyFacts(key_id, created=registered_on(key_id), supplied=True)

    async def delete_key(self, key_id: str) -> bool:
        raise PullkeyError(f"The password of {self.who} is user-supplied, so pullkey cannot revoke it", fix=f"Revoke it at {self.target.host}, where it was created.", code=Code.KEY_NOT_REVOCABLE)  # fmt: skip

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

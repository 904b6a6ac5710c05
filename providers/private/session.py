"""The session of a private registry. There is no login: all facts come from the registry's answers and Akka's
records.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.model.credential import Credential
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.http import httpx
from bootstrap.plugin.registry import Challenge, Confidential
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Notice, PreflightFindings
from providers.private import messages
from providers.private.short_lived import better_provider
from providers.private.steps import UserPassword
from providers.private.target import PrivateTarget

# docs.github.com, "Working with the Container registry", section "Authenticating with a personal access token
# (classic)".
_GITHUB_HOSTS = ("ghcr.io", "docker.pkg.github.com")
_GITHUB = (
    "GitHub's registry takes a personal access token (classic) with the scope read:packages, "
    "authorized for the organization where that uses single sign-on; fine-grained tokens do not work "
    "there."
)
# Names that no public name server knows (RFC 6762, RFC 8375, ICANN's resolution 2024.07.29.06).
_LOCAL_DOMAINS = (".local", ".localhost", ".internal", ".home.arpa", ".lan")


class PrivateSession(Session):
    """See `bootstrap.plugin.session.Session`."""

    waits_for_spreading = False

    def __init__(self, target: PrivateTarget, context: RunContext) -> None:
        self.target = target
        self.token_host = target.token_host
        self.context = context
        if target.password is not None:
            # It cannot be compared with the one that Akka holds: "exists, so skip" would keep an old one
            # forever.
            context.new_key = True
        self._password = UserPassword(self, target)
        self.key, self.steps = self._password, [self._password]

    def redact(self, text: str) -> str:
        secrets = Confidential()
        for password in (self._password.password, self.target.password):
            if password is not None:
                secrets.add_login(self.target.username, password)
        return secrets.clean(text)

    async def prompt_secrets(self) -> None:
        await self._password.ask()

    def supplied(self) -> Credential | None:
        password = self._password.password
        if password is None:
            return None
        return Credential(self.target.server, self.target.username, password, KeyRef("", "", ""))

    async def connect(self) -> str:
        return self._password.owner

    async def preflight(self) -> PreflightFindings:
        findings = PreflightFindings()
        host = self.target.bare_host
        if better := better_provider(host):
            findings.notices.append(messages.better_provider(better, host))
        if _is_local(host):
            findings.notices.append(messages.host_is_local(host))
        return findings

    def challenge_notices(self, challenge: Challenge) -> Sequence[Notice]:
        better = "harbor" if is_of_harbor(challenge) else "gitlab" if is_of_gitlab(challenge) else ""
        return [messages.better_provider(better, self.target.host)] if better else ()

    async def host(self) -> str:
        return self.target.host

    async def server(self) -> str:
        return self.target.server

    async def username(self) -> str | None:
        return self.target.username

    async def probe(self) -> Probe:
        return Probe(self.target.host, self.target.repository, self.target.reference, self.target.token_host)

    async def diagnose(self, attempt: PullAttempt) -> str:
        host, username = self.target.host, self.target.username
        refused = attempt.verdict in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT)
        hint = f" {_GITHUB}" if refused and self.target.bare_host in _GITHUB_HOSTS else ""
        if attempt.verdict is Verdict.IDENTITY_REFUSED:
            return f"{host} does not take this password of {username}.{hint}"
        if attempt.verdict is Verdict.NO_GRANT and self.target.repository:
            return f"{host} does not let {username} pull {self.target.repository}.{hint}"
        return hint.strip()

    # -- scripts ---------------------------------------------------------------------------------------------

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
    """Whether a host cannot be reached from the public internet."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_DOMAINS)


def is_of_gitlab(challenge: Challenge) -> bool:
    """Whether it is GitLab's (gitlabhq/gitlabhq, doc/administration/packages/container_registry.md)."""
    return challenge.service == "container_registry" and _path_of(challenge.realm).endswith("/jwt/auth")


def is_of_harbor(challenge: Challenge) -> bool:
    """Whether it is Harbor's (goharbor/harbor, src/server/middleware/v2auth/auth.go, and
    src/core/service/token/creator.go for the name of its service).
    """
    return challenge.service == "harbor-registry" and _path_of(challenge.realm).endswith("/service/token")


def _path_of(realm: str) -> str:
    """The path of a token service; read as where the credential may go was decided (`registry/trust.py`)."""
    return httpx.URL(realm).path

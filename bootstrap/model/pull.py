"""What to pull to verify a credential, and the result of one attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """The result of one exchange. Clouds give some of these the same answer; `Session.diagnose` finds which
    it is.
    """

    PULLS = "pulls"
    IDENTITY_REFUSED = "identity refused"  # the key or its identity is wrong, disabled or not yet known
    NO_GRANT = "no grant"  # the identity is known and may not pull this repository, or not yet
    NOT_FOUND = "not found"  # the pull is allowed, but the repository or tag does not exist
    NETWORK_REFUSED = "network refused"  # a firewall of the registry
    FORBIDDEN = (
        "forbidden"  # 403 before any credential was sent: a firewall, a proxy, or another kind of server
    )
    RATE_LIMITED = "rate limit"  # 429
    REJECTED = "request rejected"  # a retry will not change the answer
    INVALID = "invalid answer"  # not an answer of this protocol, such as a proxy's page
    UNREACHABLE = "unreachable"  # no answer, or a server error
    UNTRUSTED = "untrusted"  # the registry asks to send the credential to another host
    CERTIFICATE_REFUSED = "certificate refused"  # its TLS certificate does not verify


@dataclass(frozen=True)
class Probe:
    """What to pull.

    Args:
        host: the registry's host in the image's name.
        repository: the repository to request `pull` for; "" if none is known.
        reference: tag or digest; "" to request a tag that cannot exist: the answer "no such tag" rather than
            "denied" shows that the registry has checked the permission to pull.
        token_host: the host of the registry's token service, if the user named another one; None if the
            provider has no option for it.
        head: request manifests with HEAD, which Docker Hub, unlike GET, does not count as a pull
            (docs.docker.com, "Docker Hub pull usage and limits").
    """

    host: str
    repository: str = ""
    reference: str = ""
    token_host: str | None = None
    head: bool = False

    @property
    def image(self) -> str:
        """The image's name without the host: `REPOSITORY:TAG` or `REPOSITORY@DIGEST`."""
        if not self.reference:
            return self.repository
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"


@dataclass(frozen=True)
class PullAttempt:
    """The result of one exchange with a registry.

    Args:
        detail: the registry's error text; for `PULLS`, what was read.
        fix: what to do; "" if unknown.
        pulled: for `PULLS`: whether a manifest was read, or a tag found missing in an existing repository.
            If not, the registry has accepted the credential and no more is known.
        retry_after: the seconds to wait that the registry has requested.
    """

    verdict: Verdict
    detail: str = ""
    fix: str = ""
    pulled: bool = True
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.verdict}: {self.detail}" if self.detail else str(self.verdict)

    def cleaned(self, clean: Callable[[str], str]) -> PullAttempt:
        """A copy whose texts went through `clean`."""
        return replace(self, detail=clean(self.detail), fix=clean(self.fix))

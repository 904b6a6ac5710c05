"""What is pulled to verify a credential, and how one exchange with a registry ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """What one exchange has shown. The clouds answer some of these alike; `Session.diagnose` tells them
    apart.
    """

    PULLS = "pulls"
    IDENTITY_REFUSED = "identity refused"  # the key or its identity is wrong, disabled or not yet known
    NO_GRANT = "no grant"  # the identity is known and may not pull this repository, or not yet
    NOT_FOUND = "not found"  # it may pull, and there is no such repository or tag
    NETWORK_REFUSED = "network refused"  # a firewall of the registry
    FORBIDDEN = (
        "forbidden"  # 403 before any credential was sent: a firewall, a proxy, or another kind of server
    )
    RATE_LIMITED = "rate limit"  # 429
    REJECTED = "request rejected"  # an answer that no other try will change
    INVALID = "invalid answer"  # an answer that is not of this protocol, as of a proxy in between
    UNREACHABLE = "unreachable"  # no answer, or a server error
    UNTRUSTED = "untrusted"  # it asks for the credential to be sent somewhere else
    CERTIFICATE_REFUSED = "certificate refused"  # its TLS certificate does not verify


@dataclass(frozen=True)
class Probe:
    """What to pull.

    Args:
        host: the registry's host, as the puller names it.
        repository: the repository whose `pull` is asked for; "" if none is known.
        reference: tag or digest; "" to ask for a tag that cannot exist: a registry that answers "no such tag"
            rather than "denied" has checked the right to pull.
        token_host: another host at which the user says that the registry has its token service; None where
            there is no way to say so.
        head: ask for manifests with HEAD. Docker Hub counts a GET of a manifest as a pull, and a HEAD not
            (docs.docker.com, "Docker Hub pull usage and limits").
    """

    host: str
    repository: str = ""
    reference: str = ""
    token_host: str | None = None
    head: bool = False

    @property
    def image(self) -> str:
        """The image as a puller writes it, without its host."""
        if not self.reference:
            return self.repository
        return f"{self.repository}{'@' if ':' in self.reference else ':'}{self.reference}"


@dataclass(frozen=True)
class PullAttempt:
    """How one exchange ended.

    Args:
        verdict: what it has shown.
        detail: what the registry said; of `PULLS`, what was seen.
        fix: what to do, where it is known.
        proven: of `PULLS`: a manifest was read, or a tag found missing in a repository that exists, which is
            more than that the registry has accepted the credential.
        retry_after: how many seconds the registry asks to be left alone.
    """

    verdict: Verdict
    detail: str = ""
    fix: str = ""
    proven: bool = True
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.verdict}: {self.detail}" if self.detail else str(self.verdict)

    def cleaned(self, clean: Callable[[str], str]) -> PullAttempt:
        """The same, with its texts as `clean` leaves them."""
        return replace(self, detail=clean(self.detail), fix=clean(self.fix))

"""One registry of the simulated cloud."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.model.key_facts import KeyLimit
from bootstrap.plugin.provider import Target


@dataclass(frozen=True)
class SimulatedTarget(Target):
    """One registry, and the identity that pulls from it.

    Args:
        host: the registry's.
        identity_name: of the identity.
        given: whether the identity was created outside of pullkey, so that it is never removed.
        most_keys: the maximum number of keys of the identity.
    """

    host: str
    identity_name: str = "akka-puller"
    given: bool = False
    most_keys: int = 10

    @property
    def registry(self) -> str:
        return self.host

    @property
    def lock_key(self) -> str:
        return f"simulated {self.host} {self.identity_name}"

    @property
    def shared_identity_key(self) -> str:
        return f"simulated {self.identity_name}"

    @property
    def quota_group(self) -> str:
        return "simulated"

    @property
    def key_limit(self) -> KeyLimit:
        return KeyLimit(self.most_keys, f"the identity {self.identity_name}", "identity")

    @property
    def role(self) -> str:
        """The role that lets an identity pull from this registry."""
        return f"pull-{self.host.partition('.')[0]}"

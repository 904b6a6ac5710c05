"""An allow policy in IAM: version, etag, conditions, and the time of each grant."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterable
from typing import Any, Final

from google.iam.v1 import policy_pb2

from bootstrap.sandbox.host import Visible
from providers.gcr.emulator.errors import CloudError, invalid_argument

_NEVER_SET: Final = b"\x00 \x01"
"""The etag of a policy that was never set: `ACAB` in base64."""
_CHANGES = itertools.count(0x0706_1600_0000_0000)
"""Eight bytes starting with 7, so that etags begin with `Bw` in base64."""
_BINDINGS_LIMIT: Final = 1500


class AllowPolicy:
    """The policy of one resource."""

    def __init__(self) -> None:
        self._stored = policy_pb2.Policy(etag=_NEVER_SET)
        self._former = self._stored
        self.changed: dt.datetime | None = None
        self._since: dict[tuple[str, str, bytes], dt.datetime] = {}

    @property
    def etag(self) -> bytes:
        return bytes(self._stored.etag)

    def bindings(self) -> list[Any]:
        """All bindings, including conditions, as read with `requested_policy_version=3`."""
        return list(self.read(3).bindings)

    def members(self, role: str) -> list[str]:
        """The members that have `role` without a condition."""
        return [
            member
            for binding in self._stored.bindings
            if binding.role == role and not binding.HasField("condition")
            for member in binding.members
        ]

    def all_members(self) -> set[str]:
        return {member for binding in self._stored.bindings for member in binding.members}

    def has_conditions(self) -> bool:
        return any(binding.HasField("condition") for binding in self._stored.bindings)

    def read(self, requested_version: int, *, late: bool = False) -> Any:
        """The policy in the requested version; with `late`, as before its last change.

        Below version 3 a conditional binding comes without its condition, its role renamed to
        `ROLE_withcond_HASH` (IAM documentation, "Troubleshoot policies with conditions").
        """
        if requested_version not in (0, 1, 3):
            raise invalid_argument(f"Invalid requested policy version {requested_version}.")
        answer = policy_pb2.Policy()
        answer.CopyFrom(self._former if late else self._stored)
        if not any(binding.HasField("condition") for binding in answer.bindings):
            # Once set, a policy keeps a version even if it is empty again.
            answer.version = 0 if answer.etag == _NEVER_SET else 1
            return answer
        answer.version = 3 if requested_version == 3 else 1
        if requested_version != 3:
            for binding in answer.bindings:
                if binding.HasField("condition"):
                    text = binding.condition.SerializeToString(deterministic=True)
                    binding.role += "_withcond_" + hashlib.sha256(text).hexdigest()[:20]
                    binding.ClearField("condition")
        return answer

    def write(self, wanted: Any, *, audit_configs: bool, now: dt.datetime) -> Any:
        """Replace the policy. Return the stored one.

        Bindings are merged by role and condition, and sorted, as the real service does. With the etag of a
        policy that has conditions, a version below 3 is refused; *without* an etag it overwrites, and the
        conditions are lost (both: google/iam/v1/policy.proto, `Policy.version` and `Policy.etag`).

        Raises:
            CloudError: ABORTED for an outdated etag, INVALID_ARGUMENT for an invalid policy.
        """
        if wanted.etag and wanted.etag != self._stored.etag:
            raise CloudError(
                "ABORTED",
                "There were concurrent policy changes. Please retry the whole read-modify-write "
                "with exponential "
                f"backoff. The request's ETag '{_octal(wanted.etag)}' did not match the current "
                "policy's ETag "
                f"'{_octal(self._stored.etag)}'.",
            )
        if wanted.version not in (0, 1, 3):
            raise invalid_argument(f"Invalid policy version {wanted.version}.")
        conditional = any(binding.HasField("condition") for binding in wanted.bindings)
        if wanted.version != 3 and (conditional or (wanted.etag and self.has_conditions())):
            raise invalid_argument("Policies with conditional role bindings must specify policy version 3.")
        merged = _merge(wanted.bindings)
        if sum(len(binding.members) for binding in merged) > _BINDINGS_LIMIT:
            raise invalid_argument(
                f"The number of members in the policy is larger than the maximum {_BINDINGS_LIMIT}."
            )
        self._since = {
            grant: self._since.get(grant, now) for binding in merged for grant in _grants_of(binding)
        }
        kept_audit = wanted.audit_configs if audit_configs else self._stored.audit_configs
        stored = policy_pb2.Policy(bindings=merged, audit_configs=kept_audit)
        stored.etag = next(_CHANGES).to_bytes(8, "big")
        self._former, self._stored, self.changed = self._stored, stored, now
        return self.read(3)

    def grant(self, role: str, *members: str, condition: Any = None, since: dt.datetime) -> None:
        """Add one binding without checks, as a change by another user."""
        binding = policy_pb2.Binding(role=role, members=members, condition=condition)
        wanted = policy_pb2.Policy(version=3, bindings=[*self._stored.bindings, binding])
        self.write(wanted, audit_configs=False, now=since)

    def rename_member(self, old: str, new: str) -> None:
        """Show a member under another name, as IAM does with a deleted account; its grants keep their age."""
        for binding in self._stored.bindings:
            if old in binding.members:
                names = sorted(new if member == old else member for member in binding.members)
                del binding.members[:]
                binding.members.extend(names)
        self._since = {
            (role, new if member == old else member, condition): since
            for (role, member, condition), since in self._since.items()
        }

    def roles_of(self, members: Iterable[str], *, visible: Visible) -> set[str]:
        """The roles of these members, as far as the grants have propagated.

        A binding with a condition grants nothing: this sandbox does not evaluate CEL.
        """
        wanted = set(members)
        return {
            role
            for (role, member, condition), since in self._since.items()
            if member in wanted and not condition and visible(since, "grant", f"{role} {member}")
        }


def _octal(etag: bytes) -> str:
    """An etag as in Google's error messages: unprintable bytes in octal."""
    return "".join(chr(one) if 32 <= one < 127 and one not in b"'\\" else f"\\{one:03o}" for one in etag)


def _condition_key(binding: Any) -> bytes:
    if not binding.HasField("condition"):
        return b""
    return bytes(binding.condition.SerializeToString(deterministic=True))


def _grants_of(binding: Any) -> list[tuple[str, str, bytes]]:
    return [(binding.role, member, _condition_key(binding)) for member in binding.members]


def _merge(bindings: Iterable[Any]) -> list[Any]:
    merged: dict[tuple[str, bytes], Any] = {}
    for binding in bindings:
        kept = merged.setdefault((binding.role, _condition_key(binding)), policy_pb2.Binding())
        members = sorted({*kept.members, *binding.members})
        kept.CopyFrom(binding)
        del kept.members[:]
        kept.members.extend(members)
    return [merged[key] for key in sorted(merged) if merged[key].members]

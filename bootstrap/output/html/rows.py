"""What a page shows of each credential: read from the JSON of `pullkey list`, and from nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.model.errors import LeftOver

ORDER = ("wrong", "unseen", "due", "not-ours", "brought", "gone", "ok")
"""The states, what is most pressing first."""


@dataclass(frozen=True)
class Key:
    """A key: when it was made, and when it ends."""

    key_id: str
    created: dt.datetime | None
    expires: dt.datetime | None
    disabled: bool

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Key | None:
        if document is None:
            return None
        return cls(
            document["id"], _moment(document["created"]), _moment(document["ends"]), document["disabled"]
        )


@dataclass(frozen=True)
class Row:
    """One credential, or a target of a file that Akka has none of."""

    name: str
    state: str
    provider: str
    registry: str
    server: str
    username: str
    identity: str
    grant: str
    right: str
    key_id: str
    key: Key | None
    expiry: str
    replaced: Key | None
    due: str
    due_on: dt.datetime | None
    last_pulled: dt.datetime | None
    wrong: Sequence[str]
    unseen: Sequence[str]
    notes: Sequence[str]

    @property
    def urgency(self) -> int:
        return ORDER.index(self.state)

    @property
    def expires(self) -> dt.datetime | None:
        return self.key.expires if self.key is not None else None

    @property
    def created(self) -> dt.datetime | None:
        return self.key.created if self.key is not None else None

    @property
    def next(self) -> dt.datetime | None:
        """When something is to happen with it: its rotation is due, or it ends."""
        return min(filter(None, (self.due_on, self.expires)), default=None)


def rows_of(document: Mapping[str, Any]) -> list[Row]:
    """The rows of what `pullkey list` or `pullkey list -f` prints, what is most pressing first."""
    if "targets" in document:
        found = [_row(one, one["credential"]) for one in document["targets"]]
    else:
        project = document["akka"]["project"]
        found = [
            _row({**one, "name": f"{project}/{one['name']}" if project else one["name"]}, one)
            for one in document["credentials"]
        ]
        found += [_left_over(one) for one in document.get("left_over", ())]
    return sorted(found, key=lambda row: (row.urgency, row.name))


def _left_over(left: Mapping[str, Any]) -> Row:
    """What an earlier run has left over of a credential that Akka does not list any more."""
    target = {"name": left["what"], "state": "wrong", "provider": "", "registry": "", "not_seen": []}
    return _row({**target, "wrong": [str(LeftOver(left["what"], left["command"]))]}, None)


def _row(target: Mapping[str, Any], credential: Mapping[str, Any] | None) -> Row:
    seen = credential or {}
    state = target["state"]
    return Row(
        name=target["name"],
        state="due" if state in ("ok", "brought") and seen.get("due") else state,
        provider=target["provider"],
        registry=target["registry"] or seen.get("server") or "",
        server=seen.get("server") or "",
        username=seen.get("username") or "",
        identity=seen.get("identity") or "",
        grant=seen.get("grant") or "",
        right=seen.get("right") or "",
        key_id=seen.get("key_id") or "",
        key=Key.of(seen.get("key")),
        expiry=seen.get("expiry") or "",
        replaced=Key.of(seen.get("replaced_key")),
        due=seen.get("due") or "",
        due_on=_moment(seen.get("due_on")),
        last_pulled=_moment(seen.get("last_pulled")),
        wrong=target["wrong"],
        unseen=target["not_seen"],
        notes=seen.get("notes") or [],
    )


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None

"""What stands behind a credential, and what is wrong with it: what `list` shows, and what `rotate` goes by."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from bootstrap.behind import Behind, looked_at
from bootstrap.errors import PullkeyError
from bootstrap.proofs import Proofs
from bootstrap.provider import KeyFacts
from bootstrap.steps import Sighting, State

# A key without an end date is due at this age.
DUE_AGE = dt.timedelta(days=90)
# Certbot's rule: a third of the life is left.
_DUE_PART = 3


@dataclass
class Standing:
    """One credential of Akka's, joined with the cloud.

    Attributes:
        wrong: what keeps it from pulling, or soon will, each in a few words.
        unseen: what could not be seen, and why.
        known: words to know that are neither.
    """

    behind: Behind
    key: KeyFacts | None = None
    replaced: KeyFacts | None = None
    identity: str = ""
    grant: str = ""
    proven: dt.datetime | None = None
    wrong: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """One word of it."""
        if self.wrong:
            return "wrong"
        if not self.behind.ours:
            return "not ours"
        if self.unseen:
            return "unseen"
        # Of a password that somebody brought nothing but Akka's record can be seen.
        return "brought" if self.behind.session is not None and not self.behind.session.deletes_keys else "ok"

    def ends_within(self, span: dt.timedelta) -> bool:
        return self.key is not None and self.key.ends is not None and self.key.ends - now() <= span


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def due(key: KeyFacts, older_than: dt.timedelta | None = None) -> str:
    """Why a key is due to be replaced, in a few words, or "" while it is not.

    A third of its life is left; without an end date, it is 90 days old (or as old as was asked for).
    """
    if key.created is None and key.ends is None:
        return ""
    age = now() - key.created if key.created else dt.timedelta()
    if older_than is not None:
        return f"it is {age.days} days old" if age >= older_than else ""
    if key.ends is not None and key.created is not None:
        left, life = key.ends - now(), key.ends - key.created
        return f"{max(left.days, 0)} of its {life.days} days are left" if left * _DUE_PART <= life else ""
    if key.ends is not None:
        return "it has ended" if key.ends <= now() else ""
    return f"it is {age.days} days old" if age >= DUE_AGE else ""


async def stand(behind: Behind, proofs: Proofs, *, expires_within: dt.timedelta) -> Standing:
    """Look at a credential and at what is behind it. Changes nothing and raises nothing that a person can be told."""
    found, held = Standing(behind), behind.held
    if held.status.upper() not in ("OK", ""):
        found.wrong.append(f"Akka's status of it is {held.status}")
    if held.behind:
        found.wrong.append(f"{held.behind} shows something else")
    link = held.link
    if link is None:
        found.known.append("not made by pullkey, so what stands behind it is not known")
        return found
    found.proven = proofs.last(link.key_id)
    session = behind.session
    if session is None:
        found.identity = link.name
        found.unseen.append(behind.error.what if behind.error else "its cloud was not asked")
        return found
    for name, seen in (await looked_at(session)).items():
        if isinstance(seen, Sighting):
            _note(found, name, seen)
        elif isinstance(seen, PullkeyError):
            found.unseen.append(f"{name}: {seen.what}")
        elif isinstance(seen, Exception):
            found.unseen.append(f"{name}: {session.cloud_said(seen) or type(seen).__name__}")
        else:
            raise seen
    found.identity = await _identity(behind)
    await _about_keys(found, expires_within)
    return found


def _note(found: Standing, name: str, seen: Sighting) -> None:
    if name == "grant":
        found.grant = {State.DONE: "in place", State.MISSING: "missing", State.UNSEEN: ""}[seen.state]
    if seen.state is State.MISSING:
        found.wrong.append(seen.detail if name == "key" else f"{name}: {seen.detail}")
    elif seen.state is State.UNSEEN:
        found.unseen.append(f"{name}: {seen.detail}")


async def _identity(behind: Behind) -> str:
    if behind.session is None:
        return ""
    try:
        return await behind.session.identity()
    except PullkeyError:
        return behind.held.username


async def _about_keys(found: Standing, expires_within: dt.timedelta) -> None:
    session, link = found.behind.session, found.behind.held.link
    if session is None or link is None:
        return
    try:
        found.key = await session.key_facts(link.key_id)
        found.replaced = await session.key_facts(link.replaces) if link.replaces else None
    except PullkeyError as error:
        if not any(reason.startswith("key: ") for reason in found.unseen):
            found.unseen.append(f"key: {error.what}")
        return
    if found.key is not None and found.key.ends is not None and found.key.ends > now() and found.ends_within(expires_within):  # fmt: skip
        found.wrong.append(f"key {found.key.key_id} ends on {found.key.ends:%Y-%m-%d}")
    if found.replaced is not None:
        how = "switched off" if found.replaced.disabled else "still good"
        found.known.append(f"the key before it, {link.replaces}, is {how} and not deleted yet")

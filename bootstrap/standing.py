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
        right: what the grant is, and on what.
        known: words to know that are neither.
    """

    behind: Behind
    key: KeyFacts | None = None
    replaced: KeyFacts | None = None
    identity: str = ""
    grant: str = ""
    right: str = ""
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


def due_on(key: KeyFacts, older_than: dt.timedelta | None = None) -> dt.datetime | None:
    """From when on `due` says that a key is due; None where nothing is known of its age and end."""
    if older_than is not None:
        return key.created + older_than if key.created is not None else None
    if key.ends is not None:
        return key.ends - (key.ends - key.created) / _DUE_PART if key.created is not None else key.ends
    return key.created + DUE_AGE if key.created is not None else None


def due(key: KeyFacts, older_than: dt.timedelta | None = None) -> str:
    """Why a key is due to be replaced, in a few words, or "" while it is not.

    A third of its life is left; without an end date, it is 90 days old (or as old as was asked for).
    """
    on, today = due_on(key, older_than), now()
    if on is None or today < on:
        return ""
    if older_than is None and key.ends is not None:
        if key.created is None:
            return "it has ended"
        return f"{max((key.ends - today).days, 0)} of its {(key.ends - key.created).days} days are left"
    return f"it is {(today - key.created).days} days old" if key.created is not None else ""


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
            if name == "grant":
                found.right = next(step.title for step in session.steps if step.name == name).removeprefix(
                    "Grant "
                )
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

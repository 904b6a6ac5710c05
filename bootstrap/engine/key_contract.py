"""What a later run needs to find a key again by Akka's record: checked before a key is created, as far as its
form is known, and once it exists.

A key that is not found again counts as another identity's, so every run would create one more.
"""

from __future__ import annotations

from bootstrap.engine import messages
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import Problem, PullkeyError
from bootstrap.model.key_ref import is_key_id, why_not_found_again
from bootstrap.plugin.entry_points import name_of
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.recorded_key import key_in_record
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import Done


def key_problems(session: Session) -> list[Problem]:
    """Why a key could not be found again that the session would create, as far as that is known before."""
    example = session.key.example_ref()
    why = why_not_found_again(example, replaced=not session.key.supplied) if example is not None else ""
    return [messages.key_could_not_be_found(name_of(session), why)] if why else []


async def check_created(session: Session, done: Done, secret_name: str) -> None:
    """Check what the key step has reported and what it would be read as in Akka's record.

    Raises:
        ProviderFault: a later run would not find the key.
    """
    provider, made = name_of(session), session.credential
    if made is None:
        raise messages.no_credential_reported(provider)
    supplied, key_id = session.key.supplied, made.link.key_id
    reported = (done.made or {}).get("key_id")
    if not supplied and reported != key_id:
        raise messages.another_key_reported(provider, str(reported), key_id)
    if why := why_not_found_again(made.link, replaced=not supplied):
        raise messages.key_not_found_again(provider, why)
    record = HeldCredential(secret_name, made.server, made.username, made.email, "OK")
    session.credential = None  # as in a later run, which has the record alone
    try:
        link, why = await key_in_record(session, record)
    except (PullkeyError, ApiError):
        return  # whether it would be found cannot be seen now
    finally:
        session.credential = made
    if link != made.link:
        raise messages.key_not_found_again(provider, why)


def trusted_result(done: Done) -> dict[str, object]:
    """What an undo may trust of a faulty key step's result: nothing, unless its key id is valid."""
    made = dict(done.made or {})
    return made if is_key_id(made.get("key_id")) else {}

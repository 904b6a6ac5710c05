"""Locate the underlying resources of a credential by Akka's record: provider, target and session."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bootstrap.engine import messages
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.server import host_of, registry_of
from bootstrap.plugin import entry_points as plugins
from bootstrap.plugin.context import HeldNow, RunContext, new_run_id
from bootstrap.plugin.errors import as_user_error
from bootstrap.plugin.provider import Provider, Target
from bootstrap.plugin.session import Session
from bootstrap.plugin.unavailable import Unavailable


@dataclass
class LocatedCredential:
    """A credential in Akka, with its underlying resources as far as they could be located."""

    held: HeldCredential
    provider: Provider
    target: Target | None = None
    session: Session | None = None
    context: RunContext | None = None
    error: PullkeyError | None = None
    differs: str = ""
    """How the record differs from its entry in a file; "" if it does not."""

    @property
    def ours(self) -> bool:
        return self.held.link is not None


def already_read(held: HeldCredential | None) -> HeldNow:
    """A reader that returns a record which has already been read."""

    async def answer() -> HeldCredential | None:
        return held

    return answer


def provider_of(held: HeldCredential) -> Provider:
    """The provider of a credential's registry, by its server. The provider for any registry is tried last.

    Raises:
        UsageProblem: no provider recognises it, or several do.
    """
    recognised = plugins.accepting(lambda one: one.recognises(held), "recognises")
    own = [one for one in recognised if not one.fallback]
    if len(own) > 1:
        raise messages.recognised_twice(held, plugins.labels(own))
    if found := own or recognised:
        return found[0]
    raise messages.registry_unknown(held, list(plugins.unusable().values()))


def is_for(held: HeldCredential, registry: str) -> bool:
    """Whether a credential is for the registry at `HOST[:PORT]`, by its server."""
    return host_of(registry_of(held.server)) == host_of(registry_of(registry))


def login_values(provider: Provider, image: str | None) -> dict[str, Any]:
    """The options of a provider's login, from the environment.

    Raises:
        UsageProblem: one of them is not among its choices.
    """
    values: dict[str, Any] = {"image": image}
    for option in provider.options:
        if option.login:
            name, text = next(
                (
                    (name, os.environ[name])
                    for name in option.variables(provider.name)
                    if os.environ.get(name)
                ),
                ("", option.default),
            )
            if text is not None and option.choices and text not in option.choices:
                raise UsageProblem(
                    f"{name}: {text!r} is none of {', '.join(option.choices)}",
                    code=Code.CREDENTIAL_UNREADABLE,
                )
            values[option.key] = text
    return values


async def find(held: HeldCredential, context: RunContext, *, image: str | None = None) -> LocatedCredential:
    """Locate the underlying resources of a credential. An error is part of the result, not raised.

    The credential gets its own context, with its record and a run id of its own.
    """
    try:
        provider = provider_of(held)
    except UsageProblem as error:
        nobody = Unavailable("unknown", error)
        return LocatedCredential(held, nobody, error=error if held.link is not None else None)
    located = LocatedCredential(held, provider)
    if held.link is None:
        return located

    own = replace(context, held=already_read(held), run_id=new_run_id())
    located.context = own
    try:
        located.target = await provider.locate(held, own, login_values(provider, image))
        located.session = provider.open(located.target, own)
    except PullkeyError as error:
        located.error = error
    except Exception as error:  # noqa: BLE001  - an SDK can raise anything; show a sentence
        located.error = as_user_error(error)
    return located


def credential_named(credentials: Sequence[HeldCredential], name: str, where: str) -> HeldCredential:
    """The credential of this name.

    Raises:
        UsageProblem: there is none; its fix has the nearest name.
    """
    for held in credentials:
        if held.name == name:
            return held
    raise messages.credential_not_found(name, where, known_names(credentials, name))


def known_names(credentials: Sequence[HeldCredential], name: str) -> str:
    """The fix for a name that is not found."""
    return (
        nearest_or_all(name, (held.name for held in credentials), many="See `pullkey list`")
        or "It has none at all."
    )


async def looked_at(session: Session) -> Mapping[str, Any]:
    """The statuses of a session's steps, by name: a `StepStatus`, or the error that prevented reading it."""
    seen = await asyncio.gather(*(step.look() for step in session.steps), return_exceptions=True)
    return dict(zip((step.name for step in session.steps), seen, strict=True))

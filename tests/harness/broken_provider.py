"""Mistakes of a provider's author, made in Docker Hub's provider in each process that runs a command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bootstrap.model.errors import UsageProblem
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.step import Intent, Script, State, StepStatus
from providers.docker_hub import DockerHubProvider
from providers.docker_hub.hub import Hub
from providers.docker_hub.session import DockerHubSession
from providers.docker_hub.steps import LABEL_MARK, CreatedToken


def _set(on: type, **members: Any) -> None:
    for name, member in members.items():
        setattr(on, name, member)


def creates_while_it_looks() -> None:
    real = CreatedToken.look_now

    async def look_now(self: CreatedToken) -> StepStatus:
        await self.create()
        return await real(self)

    _set(CreatedToken, look_now=look_now)


def never_finds_its_key() -> None:
    async def look_now(self: CreatedToken) -> StepStatus:
        return StepStatus(State.MISSING, "it is always missing")

    _set(CreatedToken, look_now=look_now)


def has_numbers_for_ids() -> None:
    real = CreatedToken.credential_of

    async def credential_of(self: CreatedToken, answer: Any) -> Any:
        made = await real(self, answer)
        return replace(made, link=KeyRef(self._target.kind, "17", "docker.io"))

    _set(CreatedToken, id_of=lambda _self, _answer: "17", credential_of=credential_of)


def deletes_nothing() -> None:
    async def send_deletion(self: CreatedToken, key_id: str) -> None:
        """It says that it has done so."""

    _set(CreatedToken, send_deletion=send_deletion, recorded=_only_those_of_akka)


async def _only_those_of_akka(self: CreatedToken, key_id: str) -> Any:
    held = await self._of.context.held_credential()
    return await self.read(key_id) if held and held.link and held.link.key_id == key_id else None


def undoes_nothing() -> None:
    async def undo(self: KeyResource[Any, Any], intent: Intent) -> str:
        return ""

    _set(CreatedToken, undo=undo)


def deletes_keys_of_others() -> None:
    async def send_deletion(self: CreatedToken, key_id: str) -> None:
        for one in await self._hub.tokens(self._target.organization):
            if one.key_id == key_id or not one.label.startswith(LABEL_MARK):
                await self._hub.delete(one.key_id, self._target.organization)

    _set(CreatedToken, send_deletion=send_deletion)


def takes_each_key_of_pullkeys_for_one_of_the_run() -> None:
    async def of_run(self: CreatedToken, intent: Intent) -> Sequence[str]:
        tokens = await self._hub.tokens(self._target.organization)
        return [one.key_id for one in tokens if one.label.startswith(LABEL_MARK)]

    _set(CreatedToken, of_run=of_run)


def lists_the_keys_of_others_as_its_own() -> None:
    async def list_ours(self: CreatedToken, *, as_seen: bool = False) -> list[KeyFacts]:
        return [self.facts_of(one) for one in await self._hub.tokens(self._target.organization)]

    _set(CreatedToken, list_ours=list_ours)


def locates_by_the_options_of_the_onboarding() -> None:
    async def locate(self: Any, held: Any, context: Any, login: Any) -> Any:
        if not (image := os.environ["PULLKEY_DOCKER_HUB_IMAGE"]):
            raise UsageProblem("--image is missing")
        return self.target({**login, "image": image})

    _set(DockerHubProvider, locate=locate)


def does_not_find_what_a_lost_run_has_created() -> None:
    async def of_run(self: CreatedToken, intent: Intent) -> Sequence[str]:
        return []

    async def list_ours(self: CreatedToken, *, as_seen: bool = False) -> list[KeyFacts]:
        return []

    _set(CreatedToken, of_run=of_run, list_ours=list_ours)


def _note(text: str) -> None:
    Path("~/acme.log").expanduser().write_text(text)


def notes_the_key() -> None:
    real = Hub.create

    async def create(self: Hub, *arguments: Any, **more: Any) -> Any:
        made = await real(self, *arguments, **more)
        _note(f"created {made.text.reveal()}")
        return made

    _set(Hub, create=create)


def has_a_script_that_is_no_bash() -> None:
    _set(CreatedToken, script=lambda _self: Script(do='KEY="$(create_a_token"'))


def says_that_it_pulls_as_somebody_else() -> None:
    real = CreatedToken.credential_of

    async def credential_of(self: CreatedToken, answer: Any) -> Any:
        return replace(await real(self, answer), username="stranger")

    async def username(self: DockerHubSession) -> str:
        return "stranger"

    _set(CreatedToken, credential_of=credential_of)
    _set(DockerHubSession, username=username)

"""The grant step of a target with `--auth-kind token`: create the scope map."""

from __future__ import annotations

import contextlib
import shlex

from bootstrap.plugin.errors import as_sentence
from bootstrap.plugin.retry import retry_while
from bootstrap.plugin.step import (
    Done,
    Intent,
    Removal,
    Script,
    State,
    StepRole,
    StepStatus,
    StillThere,
    other_than,
)
from providers.acr.arm_objects import Registry
from providers.acr.errors import AzureApiError
from providers.acr.token import TokenIdentity
from providers.acr.token_facts import (
    MARK,
    SCOPE_MAP_RIGHTS,
    SCOPE_MAPS_DELETE,
    RegistryResource,
    TokenFacts,
    may_be_done,
)
from providers.acr.tokens import ScopeMap
from providers.acr.waits import not_shown_yet


class ScopeMapGrant(RegistryResource[ScopeMap]):
    """The scope map, which lets the token pull the target's repositories."""

    name = StepRole.GRANT
    permissions = SCOPE_MAP_RIGHTS
    look_permissions = SCOPE_MAP_RIGHTS[:1]
    undo_permissions = (SCOPE_MAPS_DELETE,)
    removal_permissions = (*look_permissions, *undo_permissions)
    absent = "there is no such scope map"

    def __init__(self, session: TokenFacts, identity: TokenIdentity) -> None:
        super().__init__(session)
        self._identity = identity
        self._seen: ScopeMap | None = None

    @property
    def noun(self) -> str:
        return f"scope map {self._session.target.scope_map_name}"

    @property
    def title(self) -> str:
        repositories = self._session.target.repositories
        pulls = f", which may pull {', '.join(repositories)}" if repositories else ""
        return f"Create the {self.noun}{pulls}"

    async def read(self) -> ScopeMap | None:
        return await self._session.scope_map_now()

    async def seen(self) -> ScopeMap | None:
        self._seen = await self._session.scope_map()
        return self._seen

    def judge(self, shown: ScopeMap) -> StepStatus:
        lacking = [one for one in self._session.actions if one not in shown.actions]
        if lacking:
            return StepStatus(State.MISSING, f"the scope map lacks {', '.join(lacking)}")
        return StepStatus(State.DONE, "exists")

    def intent(self) -> Intent:
        return {"scope_map": self._session.target.scope_map_name, "run_id": self._session.context.run_id}

    async def disowns(self, intent: Intent) -> str:
        return other_than(intent, scope_map=self._session.target.scope_map_name)

    async def do(self) -> Done:
        session = self._session
        registry = await session.registry()
        name = session.target.scope_map_name
        with as_sentence(f"read the {self.noun}"):
            before = await self._before(registry)
        # Actions that an administrator has added are kept.
        actions = sorted({*session.actions, *(before.actions if before else ())})
        description = (
            before.description if before else f"Pulls images for Akka. {MARK}, run {session.context.run_id}."
        )

        async def put() -> None:
            with self.attempt.sending(may_be_done) if before is None else contextlib.nullcontext():
                await session.tokens.put_scope_map(registry, name, actions, description)

        with as_sentence(f"create the {self.noun}"):
            await retry_while(
                put, why=not_shown_yet, deadline=session.context.deadline, tell=session.context.tell
            )
        return Done("", {}) if before is None else Done("added what it lacked")

    async def _before(self, registry: Registry) -> ScopeMap | None:
        """Read the scope map; if the look showed none, from the registry's list: creating one overwrites one
        of the same name.
        """
        session, name = self._session, self._session.target.scope_map_name
        if self._seen is not None:
            return await session.tokens.scope_map(registry, name) or self._seen
        listed = await session.tokens.scope_maps(registry)
        return next((one for one in listed if one.name.lower() == name.lower()), None)

    async def is_of_run(self, shown: ScopeMap, intent: Intent) -> bool:
        return intent["run_id"] in shown.description

    async def expected(self) -> ScopeMap | None:
        await self._session.expected_token()  # it was created with that token
        return await super().expected()

    async def contradiction(self) -> str:
        session = self._session
        if await session.recently_made():
            return "Azure does not show it, and it may have been created minutes ago"
        token = await session.token_shown()
        if token is not None and token.scope_map == session.target.scope_map_name:
            return "its token names it, and Azure does not show it"
        return ""

    async def removal_of(self, shown: ScopeMap) -> Removal:
        if MARK not in shown.description:
            return self.to_keep("it was not created by pullkey")
        if others := await self._users() - {self._session.target.token_name}:
            return self.to_keep(f"other tokens use it: {', '.join(sorted(others))}")
        return self.to_remove()

    async def _users(self) -> set[str]:
        """The names of the tokens that use it."""
        tokens = await self._session.tokens.all(await self._session.registry())
        return {one.name for one in tokens if one.scope_map == self._session.target.scope_map_name}

    async def remove(self) -> str:
        session = self._session
        try:
            users = await self._users()
        except AzureApiError as error:
            raise self.still_there(error.summary) from None
        # One that this run has deleted may be listed for a while.
        if users - ({session.target.token_name} if self._identity.deleted else set()):
            if self._identity.listed_only:
                raise StillThere(f"the {self.noun}, once its token is deleted", self.delete_command())
            # The token is to be kept; without its scope map it could pull nothing.
            return f"the {self.noun} kept for the token that uses it"
        return await super().remove()

    async def delete(self, intent: Intent) -> None:
        registry = await self._session.registry()
        await self._session.tokens.delete_scope_map(registry, intent["scope_map"])

    def delete_command(self) -> str:
        target = self._session.target
        return (
            f"az acr scope-map delete --name {shlex.quote(target.scope_map_name)} "
            f"{self._session.registry_options()} --yes"
        )

    def script(self) -> Script:
        repositories = " ".join(
            f"--repository {shlex.quote(one)} content/read" for one in self._session.target.repositories
        )
        show = 'az acr scope-map show --name "$SCOPE_MAP" "${IN_REGISTRY[@]}" --output none'
        create = f'az acr scope-map create --name "$SCOPE_MAP" "${{IN_REGISTRY[@]}}" {repositories}'
        place = f'--name "$SCOPE_MAP" {self._session.registry_options()}'
        if self._seen is None:
            typed = (
                f'az acr scope-map create {place} {repositories} --description "Pulls images for Akka. '
                f'{MARK} by hand."'
            )
        else:
            typed = (
                f"az acr scope-map update {place} {repositories.replace('--repository', '--add-repository')}"
            )
        return Script(
            do=f'{show} 2>/dev/null ||\n  {create} \\\n    --description "Pulls images for Akka. '
            f"{MARK}'s runbook.\" --output none",
            check=show,
            undo=f'if {show} 2>/dev/null; then az acr scope-map delete --name "$SCOPE_MAP" '
            f'"${{IN_REGISTRY[@]}}" --yes; fi',
            typed=f"{typed} --output none",
            why="A token may do what its scope map says: here, pull these repositories.",
        )

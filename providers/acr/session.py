"""The session of a target with `--auth-kind principal`: a service principal pulls."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from bootstrap.model import clock
from bootstrap.model.errors import PullkeyError
from bootstrap.model.key_ref import local_name
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.step import PreflightFindings, Step
from providers.acr import messages_application as messages
from providers.acr import token_claims as claims
from providers.acr.application import Identity
from providers.acr.application_facts import ApplicationFacts
from providers.acr.application_preflight import ApplicationPreflight
from providers.acr.client_secret import Key
from providers.acr.errors import AzureApiError
from providers.acr.ownership import add_owner_command
from providers.acr.role_assignment import Grant
from providers.acr.roles import ACR_PULL, REPOSITORY_READER, ROLE_NAMES, place_of
from providers.acr.target import AcrTarget


class AcrSession(ApplicationFacts):
    """Steps and facts of a target that a service principal pulls from. See
    `bootstrap.plugin.session.Session`.
    """

    retire_permissions = (claims.GRAPH_RIGHT,)

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        secret = self.key = Key(self)
        self._preflight = ApplicationPreflight(self, secret)
        identity = Identity(self)
        steps: list[Step] = [identity]
        if not target.skip_grant:
            steps.append(Grant(self, identity.principal))
        self.steps = [*steps, secret]

    # -- as `bootstrap.plugin.session.Session` ---------------------------------------------------------------

    async def connect(self) -> str:
        return await self.cloud.connect_to_directory()

    async def username(self) -> str | None:
        if self.target.app_id:
            return self.target.app_id
        if self.known is None:
            try:
                await self.application()
            except AzureApiError:
                return None
        if self.known is not None:
            return self.known.app_id
        deleted = await self.deleted()  # which the next onboarding restores
        return deleted.app_id if deleted is not None and deleted.ours else None

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        missing: dict[str, str] = {}
        on_registry = [name for name in permissions if name != claims.GRAPH_RIGHT]
        if claims.GRAPH_RIGHT in permissions and not await self._preflight.may_create_secrets():
            missing[claims.GRAPH_RIGHT] = "the directory"
        if on_registry:
            lacking = await super().missing_permissions(on_registry)
            if lacking is None:
                return missing or None
            missing |= lacking
        return missing

    async def preflight(self) -> PreflightFindings:
        return await self._preflight.findings()

    def handover_extra(self) -> str:
        """Let the login add secrets: a user who owns the application needs no permission in the directory for
        that, an application needs one for what it owns.
        """
        token = self.cloud.graph_claims
        lines = ["# The user who runs pullkey may then add a secret of their own."]
        if claims.is_application(token) or not token:
            lines = [
                "# The application that runs pullkey also needs the app role Application.ReadWrite.OwnedBy",
                "# of Graph. That covers only applications that it owns, so it becomes an owner of this one.",
            ]
        if token.get("oid"):
            lines.append(add_owner_command('"$(application)"', str(token["oid"])))
        return "\n".join(lines)

    async def probe(self) -> Probe:
        # Without an image any name will do: the role is on the whole registry, which answers "not found"
        # for a missing repository only to callers that may pull.
        return Probe(await self.host(), self.target.repository or "pullkey-probe", self.target.reference)

    async def diagnose(self, attempt: PullAttempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        key_id = self.credential.link.key_id
        not_ours = self.target.skip_grant or self.target.granted_elsewhere
        try:
            registry = await self.registry()
            application = await self.cloud.graph.application_by_app_id(self.credential.username)
            principal = await self.cloud.graph.principal(self.credential.username)
            grants = (
                await self.grants_on(registry, principal) if principal is not None and not not_ours else []
            )
        except (AzureApiError, PullkeyError):
            return ""
        if application is None or principal is None:
            return messages.SHOWN_DELETED
        if not principal.enabled:
            return messages.SHOWN_DISABLED
        if key_id not in [one.key_id for one in application.passwords]:
            return messages.shown_without_secret(key_id)
        if not (grants or not_ours):
            return messages.shown_without_role(ROLE_NAMES[self.role], registry.name)
        if not_ours:
            return messages.SHOWN_WITHOUT_GRANT
        if grants and all(one.condition for one in grants):
            return messages.role_has_condition(
                ROLE_NAMES[self.role], place_of(grants[0]), grants[0].condition, self.target.repository
            )
        return messages.SHOWN_IN_PLACE

    # -- scripts ---------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        target = self.target
        ends = clock.now() + self.lifetime
        named = {
            "REGISTRY": target.name,
            "SUBSCRIPTION": target.subscription,
            "END_DATE": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        }
        if target.app_id:
            named["APPLICATION_ID"] = target.app_id
        else:
            named["UNIQUE_NAME"] = target.unique_name
            named["APPLICATION"] = json.dumps(
                {
                    "displayName": target.app_name,
                    "notes": "Pulls images for Akka. Made by pullkey's runbook.",
                    "tags": ["pullkey"],
                    "signInAudience": "AzureADMyOrg",
                }
            )
        return {name: shlex.quote(value) for name, value in named.items()}

    def script_preamble(self) -> str:
        show = (
            'az acr show --name "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"} --output '
            "tsv --query"
        )
        if self.target.app_id:
            application = [
                'application() { az ad app show --id "$APPLICATION_ID" --query appId --output tsv; }'
            ]
        else:
            application = [
                'GRAPH="$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)"',
                "APPLICATION_URL=\"${GRAPH%/}/v1.0/applications(uniqueName='$UNIQUE_NAME')\"",
                'application() { az rest --method GET --url "$APPLICATION_URL" --query appId --output tsv; }',
            ]
        return "\n".join(
            [
                f'SCOPE="$({show} id)"',
                f'SERVER="$({show} loginServer)"',
                f"ROLE={ACR_PULL}  # {ROLE_NAMES[ACR_PULL]}",
                f'if [ "$({show} roleAssignmentMode)" = AbacRepositoryPermissions ]; then',
                f"  ROLE={REPOSITORY_READER}  # {ROLE_NAMES[REPOSITORY_READER]}",
                "fi",
                *application,
                "find_identity() {",
                (
                    '  APP_ID="$(application)" && PRINCIPAL_ID="$(az ad sp show --id "$APP_ID" --query '
                    'id --output tsv)"'
                ),
                "}",
                "# What was just created is not visible everywhere at once.",
                "patiently() {",
                "  local try",
                '  for try in 1 2 3 4 5 6; do "$@" && return; sleep "${PULLKEY_RUNBOOK_PAUSE:-10}"; done',
                "  return 1",
                "}",
            ]
        )

    def script_lookups(self) -> Mapping[str, str]:
        if self.target.app_id:
            application = {"APP_ID": shlex.quote(self.target.app_id)}
        else:
            application = {
                "GRAPH": '"$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)"',
                "APPLICATION_URL": "\"${GRAPH%/}/v1.0/applications(uniqueName='$UNIQUE_NAME')\"",
                "APP_ID": '"$(az rest --method GET --url "$APPLICATION_URL" --query appId --output tsv)"',
            }
        return {
            **self.script_registry(),
            **application,
            "PRINCIPAL_ID": '"$(az ad sp show --id "$APP_ID" --query id --output tsv)"',
        }

    @property
    def script_credential(self) -> Mapping[str, str]:
        return {
            "server": '"$SERVER"',
            "username": '"$APP_ID"',
            "email": f'"{local_name(self.target.app_name)}+$KEY_ID@$SERVER"',
            "password": '"$SECRET"',
        }

"""One Azure target, open: the steps, and the facts that they share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shlex
from collections.abc import Collection, Mapping, Sequence

from bootstrap.common_steps import held_link
from bootstrap.errors import Problem, ProblemKind, PullkeyError, StepFailed
from bootstrap.handshake import Attempt, Probe, Verdict
from bootstrap.link import local_name
from bootstrap.once import Once
from bootstrap.provider import KeyFacts, RunContext
from bootstrap.steps import Findings, Notice, State, Step
from bootstrap.waiting import Deadline, surely, wait_out
from providers.acr import claims
from providers.acr.calls import CallRefused, as_sentence
from providers.acr.cloud import Assignment, Registry
from providers.acr.graph import Application, Password, PasswordPolicy, Principal
from providers.acr.registry_session import RegistrySession
from providers.acr.steps import (
    ACR_PULL,
    DISPLAY_MARK,
    NO_SECRETS,
    REPOSITORY_READER,
    ROLE_NAMES,
    STILL_SHOWN,
    Grant,
    Identity,
    Key,
    busy,
    is_derived,
)
from providers.acr.target import AcrTarget, is_guid

# The directory's clock and ours differ, and a lifetime that is a second too long is refused.
_CLOCK_MARGIN = dt.timedelta(minutes=5)

_REMOVAL_SECONDS = 60.0


class AcrSession(RegistrySession):
    """A service principal pulls. See `bootstrap.provider.Session`."""

    retire_permissions = (claims.GRAPH_RIGHT,)

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.application = Once(self._application)
        self.principal = Once(self._principal)
        self._namesakes = Once(self._applications_of_that_name)
        self._password_policy = Once(self._policy_of_passwords)
        self.known: Application | None = None
        self._last_seen: Application | None = None
        self.known_principal: Principal | None = None
        self.application_made = False
        self.role = ACR_PULL
        self.scope = ""
        self._key = Key(self)
        steps: list[Step] = [Identity(self)]
        if not target.skip_grant:
            steps.append(Grant(self))
        self.steps = [*steps, self._key]

    # -- facts ---------------------------------------------------------------------------------------------------

    async def _registry(self) -> Registry:
        found = await super()._registry()
        self.scope = found.id
        self.role = REPOSITORY_READER if found.abac else ACR_PULL
        return found

    async def _application(self) -> Application | None:
        graph, target = self.cloud.graph, self.target
        if target.app_id:
            self.known = await graph.seen_application(app_id=target.app_id)
        else:
            self.known = await graph.seen_application(
                unique_name=target.unique_name, expected=self._is_recorded
            )
        return self.known

    async def _is_recorded(self) -> bool:
        """Whether Akka's record says that there is the application."""
        try:
            held = await self.context.held_credential()
        except PullkeyError:
            return False
        return held is not None and held.link is not None and is_guid(held.username)

    async def _seen(self) -> Application | None:
        graph, target = self.cloud.graph, self.target
        found = await (
            graph.application_by_app_id(target.app_id)
            if target.app_id
            else graph.application_by_unique_name(target.unique_name)
        )
        self._last_seen = found or self._last_seen
        return found

    async def _principal(self) -> Principal | None:
        application = await self.application()
        app_id = application.app_id if application else self.target.app_id
        self.known_principal = await self.cloud.graph.seen_principal(app_id) if app_id else None
        return self.known_principal

    def has(self, application: Application) -> None:
        """The application that was found or made by the step; a read might not show it yet."""
        self.known = application

    def has_principal(self, principal: Principal) -> None:
        self.known_principal = principal

    async def has_role(self, registry: Registry, principal: Principal) -> bool:
        assigned = await self.cloud.assignments(registry, principal.object_id)
        return any(one.role == self.role for one in assigned)

    # -- as `bootstrap.provider.Session` -------------------------------------------------------------------------

    async def connect(self) -> str:
        return await self.cloud.connect_to_directory()

    async def username(self) -> str | None:
        if self.target.app_id:
            return self.target.app_id
        if self.known is None:
            try:
                await self.application()
            except CallRefused:
                return None
        return self.known.app_id if self.known else None

    async def missing_permissions(self, permissions: Sequence[str]) -> Mapping[str, str] | None:
        missing: dict[str, str] = {}
        on_registry = [name for name in permissions if name != claims.GRAPH_RIGHT]
        if claims.GRAPH_RIGHT in permissions and not await self._makes_secrets():
            missing[claims.GRAPH_RIGHT] = "the directory"
        if on_registry:
            lacking = await super().missing_permissions(on_registry)
            if lacking is None:
                return missing or None
            missing |= lacking
        return missing

    async def _makes_secrets(self) -> bool:
        """Whether this login may make applications and secrets; yes where nobody can tell."""
        token = self.cloud.graph_claims
        known = claims.makes_applications(token)
        if known is not None:
            return known
        if self.target.app_id or not token:
            return True  # who owns an application may add a secret to it; the call itself will tell
        try:
            if await self.cloud.graph.members_create_applications():
                return True
            # Somebody may have made it and this person its owner: that is what a hand-over asks for.
            return await self.application() is not None
        except CallRefused:
            return True

    def handover_extra(self) -> str:
        """An owner of an application may add secrets to it without any right in the directory."""
        token = self.cloud.graph_claims
        if claims.is_application(token) or not token.get("oid"):
            return "# The application that runs pullkey also needs the app role Application.ReadWrite.OwnedBy of Graph."
        owner = shlex.quote(str(token["oid"]))
        return f'# Whoever runs pullkey may then add a secret of their own.\naz ad app owner add --id "$(application)" --owner-object-id {owner}'

    async def preflight(self) -> Findings:
        findings = Findings()
        checks = (self._begin_asking(), self.about_registry(), self._about_application())
        for found in await asyncio.gather(*checks):
            findings.add(found)
        return findings

    async def _begin_asking(self) -> Findings:
        """Where a secret will be made, unless something stands in its way, these are asked before it is known what does."""
        with contextlib.suppress(PullkeyError):
            if await self.context.held_credential() is None and not self.target.app_id:
                self._namesakes.begin()
            link, _ = await held_link(self, self.context)
            if link is None:
                self._password_policy.begin()
        return Findings()

    async def _about_application(self) -> Findings:
        target = self.target
        try:
            application, principal = await self.application(), await self.principal()
        except CallRefused as error:
            if target.app_id or not error.forbidden:
                return Findings([Problem(ProblemKind.SETUP, f"The directory does not show the application {target.app_label} ({error.said})", "Check --app-id and --tenant", step="identity")])  # fmt: skip
            return Findings()  # the missing right is told by its name
        if application is None and target.app_id:
            if principal is not None:
                return Findings([Problem(ProblemKind.SETUP, f"The application {target.app_id} is of another directory, where alone a secret can be added to it", "Log in there, or name an application of this directory with --app-id", step="key")])  # fmt: skip
            return Findings([Problem(ProblemKind.SETUP, f"There is no application {target.app_id} in this directory", "Check --app-id against `az ad app list`; it takes the application (client) id", step="identity")])  # fmt: skip
        if application is None and (others := await self._namesakes()):
            ids = ", ".join(one.app_id for one in others)
            return Findings([Problem(ProblemKind.QUESTION, f"There is an application {target.app_name} that pullkey has not made: {ids}", "To use it, name it with --app-id; to have one of its own made, give another --app-name", step="identity")])  # fmt: skip
        if application is not None and principal is None and target.app_id:
            return Findings([Problem(ProblemKind.SETUP, f"The application {target.app_id} has no service principal in this directory", f"Have it made: az ad sp create --id {target.app_id}", step="identity")])  # fmt: skip
        if principal is not None and not principal.enabled:
            return Findings([Problem(ProblemKind.SETUP, f"The service principal of {target.app_label} is disabled", f"Find out why; then: az ad sp update --id {application.app_id if application else ''} --set accountEnabled=true", step="identity")])  # fmt: skip
        return await self._about_policy(application)

    async def _applications_of_that_name(self) -> list[Application]:
        try:
            found = await self.cloud.graph.applications_named(self.target.app_name)
        except CallRefused:
            return []
        # One that bears the mark is pullkey's: another server has not shown it yet.
        return [one for one in found if one.unique_name != self.target.unique_name]

    async def _policy_of_passwords(self) -> PasswordPolicy:
        return await self.cloud.graph.password_policy()

    async def _about_policy(self, application: Application | None) -> Findings:
        """What the directory allows of client secrets is told first, and never tried."""
        try:
            if (await self._key.look()).state is State.DONE:
                return Findings()
            policy = await self._password_policy()
        except (CallRefused, PullkeyError):
            return Findings()  # few may read it; it will show when the secret is made
        created = application.created if application else None
        if policy.forbids(created):
            return Findings([Problem(ProblemKind.POLICY, "The directory's app management policy forbids client secrets", NO_SECRETS, step="key")])  # fmt: skip
        longest = policy.limit(created)
        if longest is None or self.lifetime <= longest:
            return Findings()
        self.lifetime = longest - _CLOCK_MARGIN
        return Findings([], [Notice(f"The directory allows client secrets {longest.days} days at most, so this one is good for that long.")])  # fmt: skip

    async def probe(self) -> Probe:
        # Without an image any name will do: where the role is on the whole registry, a repository that is not there is
        # answered "not found" only to those who may pull.
        return Probe(await self.host(), self.target.repository or "pullkey-probe", self.target.reference)

    async def diagnose(self, attempt: Attempt) -> str:
        if attempt.verdict not in (Verdict.IDENTITY_REFUSED, Verdict.NO_GRANT) or self.credential is None:
            return ""
        key_id = self.credential.link.key_id
        try:
            registry = await self.registry()
            application = await self.cloud.graph.application_by_app_id(self.credential.username)
            principal = await self.cloud.graph.principal(self.credential.username)
            granted = self.target.skip_grant or (
                principal is not None and await self.has_role(registry, principal)
            )
        except (CallRefused, PullkeyError):
            return ""
        if application is None or principal is None:
            return "Azure no longer shows the application: somebody or something deleted it."
        if not principal.enabled:
            return "Azure shows the service principal as disabled."
        if key_id not in [one.key_id for one in application.passwords]:
            return f"Azure no longer shows the secret {key_id}: somebody or something deleted it."
        if not granted:
            return f"Azure no longer shows {ROLE_NAMES[self.role]} on {registry.name}: somebody or something took it."
        if self.target.skip_grant:
            return "The secret is good; whether the role was granted is not known here (--skip-grant). A registry answers both alike."
        return "Azure shows secret and role in place, so they are still spreading."

    # -- the application's secrets, by id -------------------------------------------------------------------------

    async def application_now(self) -> Application | None:
        """The application, asked anew.

        Raises:
            StepFailed: it may not be read.
        """
        with as_sentence(f"show the application {self.target.app_label}"):
            return await self._seen()

    async def principal_now(self) -> Principal | None:
        """The service principal, asked anew; raises as `application_now`."""
        application = await self.application_now()
        app_id = application.app_id if application else self.target.client_id
        with as_sentence(f"show the service principal of {self.target.app_label}"):
            return await self.cloud.graph.principal(app_id) if app_id else None

    async def other_roles(self, application: Application) -> list[Assignment]:
        """The roles of the service principal, other than what pullkey has assigned on this registry.

        Where this login may not look, in another subscription than the registry's, nothing can be told.

        Raises:
            StepFailed: the roles in the registry's own subscription may not be read.
        """
        registry = await self.registry()
        with as_sentence(f"show the roles of {self.target.app_label}"):
            principal = await surely(lambda: self.cloud.graph.principal(application.app_id))
            if principal is None:
                return []
            self.has_principal(principal)
            found = await self.cloud.assignments_in(registry.subscription, principal.object_id)
            elsewhere = set(await self.cloud.subscriptions()) - {registry.subscription}
        answers = await asyncio.gather(
            *(self.cloud.assignments_in(one, principal.object_id) for one in sorted(elsewhere)),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, CallRefused):
                raise answer
            found += answer if isinstance(answer, list) else []
        return [one for one in found if not is_derived(one, registry, principal.object_id)]

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        application = await self.application_now()
        if application is None and await self.principal_now() is not None:
            application = await surely(self.application_now)
            if application is None:
                raise StepFailed(f"The directory shows the service principal of {self.target.app_label}, and not its application")  # fmt: skip
        for one in application.passwords if application else ():
            if one.key_id.lower() == key_id.lower():
                return KeyFacts(one.key_id, one.created, one.ends)
        return None

    async def delete_key(self, key_id: str) -> bool:
        sent = False

        async def holding() -> Application | None:
            found = await self._seen()
            known = [one.key_id.lower() for one in found.passwords] if found is not None else []
            return found if key_id.lower() in known else None

        async def delete() -> bool:
            nonlocal sent
            application = self.known or self._last_seen or await surely(self._seen)
            if application is None:
                return sent
            try:
                await self.cloud.graph.remove_password(application.object_id, key_id)
            except CallRefused as error:
                sent = sent or error.unanswered
                # So Graph answers for one that is gone, which a read may still show for a while. Where a try of ours went
                # unanswered, it was that one which removed it.
                if error.status in (400, 404) and await surely(holding) is None:
                    return sent
                raise
            return True

        with as_sentence(f"remove the secret {key_id} of {self.target.app_label}"):
            return await wait_out(
                delete,
                why=lambda error: (
                    STILL_SHOWN
                    if isinstance(error, CallRefused) and error.status in (400, 404)
                    else busy(error)
                ),
                deadline=Deadline(self.context.deadline.within(_REMOVAL_SECONDS)),
                tell=self.context.tell,
            )

    def delete_key_command(self, key_id: str) -> str:
        app_id = self.target.client_id or (self.known.app_id if self.known else "")
        of = (
            app_id
            or f"$(az ad app list --display-name {shlex.quote(self.target.app_name)} --query '[0].appId' --output tsv)"
        )
        return f"az ad app credential delete --id {of} --key-id {shlex.quote(key_id)}"

    async def used_by_others(self, ours: Collection[str]) -> list[str]:
        application = await self.application_now()
        if application is None:
            return []
        known = {key_id.lower() for key_id in ours}
        # What has expired serves nobody.
        secrets = [
            one for one in application.passwords if one.key_id.lower() not in known and not one.expired
        ]
        certificates = [one for one in application.certificates if not one.expired]
        with as_sentence(f"show the federated credentials of {self.target.app_label}"):
            federated = await self.cloud.graph.federated_credentials(application.object_id)
        return [
            *(_described("secret", one) for one in secrets),
            *(_described("certificate", one) for one in certificates),
            *(f"federated credential {name}" for name in federated),
        ]

    async def keys_of_ours(self, *, as_seen: bool = False) -> list[KeyFacts]:
        if as_seen:
            with as_sentence(f"show the application {self.target.app_label}"):
                application = await self.application()
        else:
            application = await self.application_now()
        return [
            KeyFacts(one.key_id, one.created, one.ends)
            for one in (application.passwords if application else ())
            if (one.display_name or "").startswith(DISPLAY_MARK)
            and one.display_name != self._key.display_name
            and not one.expired
        ]

    # -- scripts -------------------------------------------------------------------------------------------------

    def script_variables(self) -> Mapping[str, str]:
        target = self.target
        ends = dt.datetime.now(dt.UTC) + self.lifetime
        named = {
            "REGISTRY": target.name,
            "SUBSCRIPTION": target.subscription,
            "END_DATE": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        }
        if target.app_id:
            named["APPLICATION_ID"] = target.app_id
        else:
            named["UNIQUE_NAME"] = target.unique_name
            named["APPLICATION"] = json.dumps({
                "displayName": target.app_name,
                "notes": "Pulls images for Akka. Made by pullkey's runbook.",
                "tags": ["pullkey"],
                "signInAudience": "AzureADMyOrg",
            })  # fmt: skip
        return {name: shlex.quote(value) for name, value in named.items()}

    def script_preamble(self) -> str:
        show = 'az acr show --name "$REGISTRY" ${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"} --output tsv --query'
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
        return "\n".join([
            f'SCOPE="$({show} id)"',
            f'SERVER="$({show} loginServer)"',
            f"ROLE={ACR_PULL}  # {ROLE_NAMES[ACR_PULL]}",
            f'if [ "$({show} roleAssignmentMode)" = AbacRepositoryPermissions ]; then',
            f"  ROLE={REPOSITORY_READER}  # {ROLE_NAMES[REPOSITORY_READER]}",
            "fi",
            *application,
            "find_identity() {",
            '  APP_ID="$(application)" && PRINCIPAL_ID="$(az ad sp show --id "$APP_ID" --query id --output tsv)"',
            "}",
            "# What was just made is not known everywhere at once.",
            "patiently() {",
            "  local try",
            '  for try in 1 2 3 4 5 6; do "$@" && return; sleep "${PULLKEY_RUNBOOK_PAUSE:-10}"; done',
            "  return 1",
            "}",
        ])  # fmt: skip

    @property
    def script_credential(self) -> Mapping[str, str]:
        return {
            "server": '"$SERVER"',
            "username": '"$APP_ID"',
            "email": f'"{local_name(self.target.app_name)}+$KEY_ID@$SERVER"',
            "password": '"$SECRET"',
        }


def _described(kind: str, one: Password) -> str:
    when = f" of {one.created:%Y-%m-%d}" if one.created else ""
    return f"{kind} {one.key_id[:8]}…{when} ({one.display_name or 'without a name'})"

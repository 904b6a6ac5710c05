"""One Azure target, open: the steps, and the facts that they share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shlex
from collections.abc import Collection, Mapping, Sequence

from bootstrap.codes import Code
from bootstrap.common_steps import held_link
from bootstrap.errors import NotShown, Problem, ProblemKind, PullkeyError, StepFailed, problem_of
from bootstrap.link import local_name
from bootstrap.observe import Present, confirm_absent
from bootstrap.once import Once
from bootstrap.plugin import clock
from bootstrap.provider import KeyFacts, RunContext
from bootstrap.registry import Attempt, Probe, Verdict
from bootstrap.steps import Findings, Notice, State, Step
from bootstrap.waiting import Deadline, Delay, surely, wait_out
from providers.acr import claims
from providers.acr.calls import AzureApiError, as_sentence, refused
from providers.acr.cloud import Assignment, Registry
from providers.acr.deleted_items import DeletedApplication
from providers.acr.graph import Application, Password, PasswordPolicy, Principal
from providers.acr.identity_step import Identity
from providers.acr.registry_session import RegistrySession
from providers.acr.steps import (
    ACR_PULL,
    DISPLAY_MARK,
    NO_SECRETS,
    REPOSITORY_READER,
    ROLE_NAMES,
    STILL_SHOWN,
    Grant,
    Key,
    busy,
    derived_names,
    is_derived,
)
from providers.acr.target import AcrTarget, is_guid

# The directory's clock and ours differ, and a lifetime that is a second too long is refused.
_CLOCK_MARGIN = dt.timedelta(minutes=5)

_REMOVAL_SECONDS = 60.0
# How long an offboarding waits for an application that Akka's record names and that no read shows.
_EXPECTED_SECONDS = 60.0


class AcrSession(RegistrySession):
    """A service principal pulls. See `bootstrap.provider.Session`."""

    retire_permissions = (claims.GRAPH_RIGHT,)

    def __init__(self, target: AcrTarget, context: RunContext) -> None:
        super().__init__(target, context)
        self.application = Once(self._application)
        self.principal = Once(self._principal)
        self._namesakes = Once(self._applications_of_that_name)
        self._password_policy = Once(self._policy_of_passwords)
        self.deleted = Once(self._deleted)
        self.expected_application = Once(self._expected_application)
        self.deleted_seen: DeletedApplication | None = None
        self.recorded_is_deleted = Once(self._recorded_is_deleted)
        self.known: Application | None = None
        self._last_seen: Application | None = None
        self.known_principal: Principal | None = None
        self.application_made = False
        self.principal_made = False
        self.application_restored = False
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

    async def _deleted(self) -> DeletedApplication | None:
        """The application in the directory's deleted items, as far as this login may read them."""
        graph, target = self.cloud.graph, self.target
        try:
            self.deleted_seen = await (
                graph.deleted.application(app_id=target.app_id)
                if target.app_id
                else graph.deleted.application(unique_name=target.unique_name)
            )
        except AzureApiError as error:
            self.context.trace(f"the directory's deleted items cannot be read ({error.said})")
        return self.deleted_seen

    async def _expected_application(self) -> Application | None:
        """The application that Akka's record names, waited for where reads do not show it: it may be minutes old.

        Raises:
            StepFailed: it may not be read.
        """
        client_id = self.target.client_id
        if not client_id:
            return await surely(self.application_now)
        found = await self.application_now()
        if found is not None or await self.recorded_is_deleted():
            return found
        deadline = Deadline(min(_EXPECTED_SECONDS, self.context.deadline.left / 2))
        self.context.tell(f"Azure shows neither the application {client_id}, which Akka's record names, nor that it was deleted. It may be new; waiting for up to {deadline.left:.0f} s.")  # fmt: skip
        while not deadline.passed:
            await asyncio.sleep(min(2.0, deadline.left))
            if (found := await self.application_now()) is not None:
                return found
        return None

    async def _recorded_is_deleted(self) -> bool:
        """Whether the application that Akka's record names is among the deleted items, which is proof, as no lagging read is."""
        try:
            return await self.cloud.graph.deleted.application(app_id=self.target.client_id) is not None
        except AzureApiError as error:
            self.context.trace(f"the directory's deleted items cannot be read ({error.said})")
            return False

    async def is_surely_gone(self) -> bool:
        """Whether an application that is not shown is known not to be there.

        The record names none; or it is among the deleted items; or one was created under the name that it had.
        """
        return not self.target.client_id or self.application_made or await self.recorded_is_deleted()

    @property
    def not_shown(self) -> str:
        return "Azure shows neither it nor that it was deleted"

    def taken_name_fix(self, deleted: DeletedApplication) -> str:
        purge = self.cloud.graph.purge_command(deleted.object_id)
        return f"Pass another --app-name, or if it is not to be restored: {purge}"

    async def remove_old_secrets(self, application: Application) -> None:
        """Remove the secrets that came back with a restored application, but those that Akka's records name.

        Raises:
            AzureApiError: one could not be removed.
        """
        in_use = await self.context.keys_in_use()
        for one in application.passwords:
            # One of pullkey's may be named by a record in a project that could not be read.
            unsure = bool(in_use.unseen) and one.display_name.startswith(DISPLAY_MARK)
            if one.key_id not in in_use.ids and not unsure and not one.expired:
                try:
                    await self.cloud.graph.remove_password(application.object_id, one.key_id)
                except AzureApiError as error:
                    if error.status not in (400, 404):  # so Graph answers for one that is gone
                        raise

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
            graph.application_by_app_id(target.client_id)
            if target.client_id and not (self.application_made or self.application_restored)
            else graph.application_by_unique_name(target.unique_name)
        )
        self._last_seen = found or self._last_seen
        return found

    async def _principal(self) -> Principal | None:
        application = await self.application()
        app_id = application.app_id if application else self.target.client_id
        self.known_principal = await self.cloud.graph.seen_principal(app_id) if app_id else None
        return self.known_principal

    def has(self, application: Application) -> None:
        """The application that was found or made by the step; a read might not show it yet."""
        self.known = application

    def has_principal(self, principal: Principal) -> None:
        self.known_principal = principal

    async def has_role(self, registry: Registry, principal: Principal) -> bool:
        return any(one.role == self.role for one in await self.roles_on(registry, principal))

    async def roles_on(self, registry: Registry, principal: Principal) -> list[Assignment]:
        """The roles that a principal has on the registry.

        A list may lag, or be refused; what pullkey has assigned is then looked for by its name.

        Raises:
            AzureApiError: they cannot be seen.
        """
        cloud, refusal = self.cloud, None
        try:
            found = await cloud.assignments(registry, principal.object_id)
        except AzureApiError as error:
            if not error.forbidden:
                raise
            found, refusal = [], error
        if not any(one.role == self.role for one in found):
            known = {one.name for one in found}
            by_name = await asyncio.gather(
                *(
                    cloud.assignment(registry.id, name)
                    for name in derived_names(registry.id, principal.object_id)
                    if name not in known
                )
            )
            found += [one for one in by_name if one is not None]
        if refusal is not None and not found:
            raise refusal
        return found

    # -- as `bootstrap.provider.Session` -------------------------------------------------------------------------

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
        except AzureApiError:
            return True

    def handover_extra(self) -> str:
        """An owner of an application may add secrets to it without any right in the directory."""
        token = self.cloud.graph_claims
        if claims.is_application(token) or not token.get("oid"):
            return "# The application that runs pullkey also needs the app role Application.ReadWrite.OwnedBy of Graph."
        owner = shlex.quote(str(token["oid"]))
        return f'# The user who runs pullkey may then add a secret of their own.\naz ad app owner add --id "$(application)" --owner-object-id {owner}'

    async def preflight(self) -> Findings:
        findings = Findings()
        checks = (
            self._begin_asking(),
            self.about_registry(),
            self._about_application(),
        )
        for found in await asyncio.gather(*checks):
            findings.add(found)
        return findings

    async def _begin_asking(self) -> Findings:
        """Where a secret will be made, unless something stands in its way, these are asked before it is known what does."""
        with contextlib.suppress(PullkeyError):
            if await self.context.held_credential() is None and not self.target.app_id:
                self._namesakes.begin()
                self.deleted.begin()
            link, _ = await held_link(self, self.context)
            if link is None:
                self._password_policy.begin()
        return Findings()

    async def _about_application(self) -> Findings:
        target = self.target
        try:
            application, principal = await self.application(), await self.principal()
        except AzureApiError as error:
            if error.unauthenticated or error.busy:
                failed = refused(error, f"show the application {target.app_label}")
                return Findings([problem_of(failed, step="identity")])
            if target.app_id or not error.forbidden:
                return Findings([Problem(ProblemKind.SETUP, f"The directory does not show the application {target.app_label} ({error.said})", "Check --app-id and --tenant", step="identity", code=Code.IDENTITY_NOT_FOUND)])  # fmt: skip
            return Findings()  # the missing right is told by its name
        if application is None and target.app_id:
            if principal is not None:
                return Findings([Problem(ProblemKind.SETUP, f"The application {target.app_id} is of another directory, where alone a secret can be added to it", "Log in there, or name an application of this directory with --app-id", step="key", code=Code.IDENTITY_ELSEWHERE)])  # fmt: skip
            if deleted := await self.deleted():
                return Findings([Problem(ProblemKind.SETUP, f"The application {target.app_id} was deleted{deleted.when}", f"Have it restored, and its service principal too: {self.cloud.graph.restore_command(deleted.object_id)}", step="identity", code=Code.IDENTITY_DELETED)])  # fmt: skip
            return Findings([Problem(ProblemKind.SETUP, f"There is no application {target.app_id} in this directory", "Check --app-id against `az ad app list`; it takes the application (client) id", step="identity", code=Code.IDENTITY_NOT_FOUND)])  # fmt: skip
        deleted = await self.deleted() if application is None else None
        if deleted is not None and not deleted.ours:
            return Findings([Problem(ProblemKind.QUESTION, f"The unique name {target.unique_name} is taken by a deleted application that pullkey has not created: {deleted.display_name} ({deleted.object_id})", self.taken_name_fix(deleted), step="identity", code=Code.NAME_IN_DELETED_ITEMS)])  # fmt: skip
        if application is None and target.located and (deleted is None or deleted.app_id != target.located):
            gone = await self.recorded_is_deleted()
            what = (
                "was deleted, and pullkey has not created it"
                if gone
                else "is not shown, nor that it was deleted"
            )
            return Findings([Problem(ProblemKind.SETUP, f"The application {target.located}, which Akka's record names, {what}", "Run it again in a few minutes; or if it was deleted, onboard the registry again: pullkey onboard acr", step="identity", code=Code.IDENTITY_NOT_FOUND)])  # fmt: skip
        if application is None and (others := await self._namesakes()):
            ids = ", ".join(one.app_id for one in others)
            return Findings([Problem(ProblemKind.QUESTION, f"There is an application {target.app_name} that pullkey did not create: {ids}", "To use it, name it with --app-id; to have pullkey create its own, pass another --app-name", step="identity", code=Code.IDENTITY_NAME_TAKEN)])  # fmt: skip
        if application is not None and principal is None and target.app_id:
            return Findings([Problem(ProblemKind.SETUP, f"The application {target.app_id} has no service principal in this directory", f"Create it: az ad sp create --id {target.app_id}", step="identity", code=Code.SERVICE_PRINCIPAL_MISSING)])  # fmt: skip
        if application is not None and application.disabled:
            return Findings([Problem(ProblemKind.SETUP, f"No token is issued to the application {target.app_label}: {application.disabled}", f"Find out why; where an administrator did it: az rest --method PATCH --url {self.cloud.graph.url}/v1.0/applications/{application.object_id} --body '{{\"isDisabled\": false}}'", step="identity", code=Code.IDENTITY_DISABLED)])  # fmt: skip
        if principal is not None and principal.enabled and principal.disabled:
            return Findings([Problem(ProblemKind.SETUP, f"No token is issued to the service principal of {target.app_label}: {principal.disabled}", "Ask Microsoft's support about it, or pass another --app-name", step="identity", code=Code.IDENTITY_DISABLED)])  # fmt: skip
        if principal is not None and not principal.enabled:
            return Findings([Problem(ProblemKind.SETUP, f"The service principal of {target.app_label} is disabled", f"Find out why; then: az ad sp update --id {application.app_id if application else ''} --set accountEnabled=true", step="identity", code=Code.IDENTITY_DISABLED)])  # fmt: skip
        return await self._about_policy(application)

    async def _applications_of_that_name(self) -> list[Application]:
        try:
            found = await self.cloud.graph.applications_named(self.target.app_name)
        except AzureApiError:
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
        except (AzureApiError, PullkeyError):
            return Findings()  # few may read it; it will show when the secret is made
        created = application.created if application else None
        if policy.forbids(created):
            return Findings([Problem(ProblemKind.POLICY, "The directory's app management policy forbids client secrets", NO_SECRETS, step="key", code=Code.KEYS_FORBIDDEN)])  # fmt: skip
        longest = policy.limit(created)
        if longest is None or self.lifetime <= longest:
            return Findings()
        self.lifetime = longest - _CLOCK_MARGIN
        return Findings([], [Notice(f"The directory allows client secrets {longest.days} days at most, so this one expires after that.")])  # fmt: skip

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
        except (AzureApiError, PullkeyError):
            return ""
        if application is None or principal is None:
            return "Azure no longer shows the application: it was deleted outside of pullkey."
        if not principal.enabled:
            return "Azure shows the service principal as disabled."
        if key_id not in [one.key_id for one in application.passwords]:
            return f"Azure no longer shows the secret {key_id}: it was deleted outside of pullkey."
        if not granted:
            return f"Azure no longer shows {ROLE_NAMES[self.role]} on {registry.name}: it was removed outside of pullkey."
        if self.target.skip_grant:
            return "The secret is valid; whether the role was granted is not known here (--skip-grant). A registry answers both alike."
        return "Azure shows secret and role in place, so they are still spreading."

    # -- the application's secrets, by id -------------------------------------------------------------------------

    def is_own(self, application: Application) -> bool:
        """Whether an application is the one of this target: the one that was named, or the one of its unique name."""
        target = self.target
        if target.app_id:
            return application.app_id.lower() == target.app_id.lower()
        return application.unique_name == target.unique_name

    async def is_own_principal(self, object_id: str) -> bool:
        """Whether a service principal is the one of this target's application, as it is shown now."""
        principal = await self.principal_now()
        return principal is not None and principal.object_id == object_id

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
            if isinstance(answer, BaseException) and not isinstance(answer, AzureApiError):
                raise answer
            found += answer if isinstance(answer, list) else []
        return [one for one in found if not is_derived(one, registry, principal.object_id)]

    async def key_facts(self, key_id: str) -> KeyFacts | None:
        application = await self.application_now()
        if application is None and not await self.is_surely_gone():
            # Akka's record names it, so one answer that it is not there may be of a server that lags.
            seen = await confirm_absent(self.application_now, contradicted_by="Akka's record names it")
            application = seen.value if isinstance(seen, Present) else None
            if application is None:
                raise NotShown(f"Azure shows neither the application {self.target.client_id} nor that it was deleted")  # fmt: skip
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
            application = self.known or self._last_seen or await self.expected_application()
            if application is None:
                if sent or await self.is_surely_gone():
                    return sent
                raise StepFailed(f"Azure shows neither the application {self.target.client_id} nor that it was deleted", code=Code.CLOUD_LAG)  # fmt: skip
            try:
                await self.cloud.graph.remove_password(application.object_id, key_id)
            except AzureApiError as error:
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
                    Delay(STILL_SHOWN)
                    if isinstance(error, AzureApiError) and error.status in (400, 404)
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
        application = await self.expected_application()
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
            "# What was just created is not visible everywhere at once.",
            "patiently() {",
            "  local try",
            '  for try in 1 2 3 4 5 6; do "$@" && return; sleep "${PULLKEY_RUNBOOK_PAUSE:-10}"; done',
            "  return 1",
            "}",
        ])  # fmt: skip

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


def _described(kind: str, one: Password) -> str:
    when = f" of {one.created:%Y-%m-%d}" if one.created else ""
    return f"{kind} {one.key_id[:8]}…{when} ({one.display_name or 'without a name'})"

"""The calls of Google's APIs that this provider sends. Each raises a `GoogleApiError` if it fails."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from bootstrap.plugin.retry import retry_while
from providers.gcr import errors
from providers.gcr.client import CHANGE_SECONDS, GoogleClient
from providers.gcr.errors import GoogleApiError
from providers.gcr.policy import VERSION

_LOCATIONS_AT_ONCE = 16
# The modes of repositories that serve what another registry or repository has ("Remote repositories
# overview", "Virtual repositories overview"). One without a mode is a standard repository.
_OF_OTHERS = ("REMOTE_REPOSITORY", "VIRTUAL_REPOSITORY")


class RepositoryKind(NamedTuple):
    """What a repository is.

    Args:
        format: `DOCKER` for images.
        is_standard: it has images of its own. A remote one asks another registry for what it has not got, a
            virtual one those that it names.
    """

    format: str
    is_standard: bool


class GoogleCloud(GoogleClient):
    """See `GoogleClient`."""

    async def project_state(self, project: str) -> str:
        """`ACTIVE`, `DELETE_REQUESTED`..."""
        found = await self.read(
            "GetProject",
            project,
            lambda: self.projects.get_project(name=f"projects/{project}", **self.reading),
        )
        self.note_number(project, found.name)
        return str(found.state.name)

    async def projects_seen(self, most: int = 50) -> list[tuple[str, str]]:
        """Ids and names of the projects that this login may see; `most` at most."""

        async def search() -> list[tuple[str, str]]:
            pages = await self.projects.search_projects(query="state:ACTIVE", **self.reading)
            found = []
            async for one in pages:
                found.append((one.project_id, one.display_name))
                if len(found) == most:
                    break
            return found

        return await self.read("SearchProjects", "", search)

    async def held_on_project(self, project: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("projects", f"projects/{project}", permissions)

    async def held_on_repository(self, resource: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("registry", resource, permissions)

    async def held_on_account(self, resource: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("iam", resource, permissions)

    async def _held(self, client: str, resource: str, permissions: Iterable[str]) -> set[str]:
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.TestIamPermissionsRequest(resource=resource, permissions=sorted(permissions))
        answer = await self.read(
            "TestIamPermissions",
            resource,
            lambda: getattr(self, client).test_iam_permissions(request=request, **self.reading),
        )
        return set(answer.permissions)

    async def disabled_services(self, project: str, names: Iterable[str]) -> list[str]:
        """The services among `names` that are not enabled in the project."""
        from google.cloud.service_usage_v1.types import resources, serviceusage

        request = serviceusage.BatchGetServicesRequest(
            parent=f"projects/{project}", names=[f"projects/{project}/services/{name}" for name in names]
        )
        answer = await self.read(
            "BatchGetServices",
            project,
            lambda: self.services.batch_get_services(request=request, **self.reading),
        )
        for service in answer.services:
            self.note_number(project, service.name)
        enabled = resources.State.ENABLED
        return [service.name.rsplit("/", 1)[-1] for service in answer.services if service.state != enabled]

    async def enable_services(self, project: str, names: Collection[str], seconds: float) -> None:
        """Enable services, and wait until they are.

        "Access control with IAM" of Service Usage names no permission for reading an operation, and custom
        roles in use have `serviceusage.operations.get`. Where the read is refused, the services themselves
        are read.
        """
        from google.cloud.service_usage_v1.types import serviceusage

        request = serviceusage.BatchEnableServicesRequest(
            parent=f"projects/{project}", service_ids=sorted(names)
        )

        operation = await self.call(
            "BatchEnableServices",
            project,
            lambda: self.services.batch_enable_services(request=request, timeout=CHANGE_SECONDS),
        )
        try:
            await self.call(
                "GetOperation",
                project,
                lambda: operation.result(timeout=seconds),
                seconds=seconds,
                silent=True,
            )
        except GoogleApiError as error:
            if not error.forbidden:
                raise
            await self._until_enabled(project, names)
        self.enabled |= {(project, name) for name in names}

    async def _until_enabled(self, project: str, names: Collection[str]) -> None:
        async def look() -> None:
            if rest := await self.disabled_services(project, names):
                raise errors.lagging(f"{', '.join(rest)} is not enabled yet")

        await retry_while(look, why=errors.delay_of, deadline=self._deadline, tell=self._trace)

    async def forbids(self, project: str, constraint: str) -> bool:
        """Whether a boolean constraint of the organisation is in force for the project."""
        name = f"projects/{project}/policies/{constraint}"
        return any(rule.enforce for rule in await self._effective_rules(name))

    async def allowed_values(self, project: str, constraint: str) -> list[str]:
        """The values that a list constraint of the organisation allows; none where it allows all."""
        name = f"projects/{project}/policies/{constraint}"
        return [value for rule in await self._effective_rules(name) for value in rule.values.allowed_values]

    async def _effective_rules(self, name: str) -> Any:
        policy = await self.read(
            "GetEffectivePolicy",
            name,
            lambda: self.policies.get_effective_policy(name=name, **self.reading),
        )
        return policy.spec.rules

    async def repository_kind(self, resource: str) -> RepositoryKind:
        found = await self.read(
            "GetRepository",
            resource,
            lambda: self.registry.get_repository(name=resource, **self.reading),
        )
        return _kind_of(found)

    async def docker_repositories(self, project: str, location: str) -> dict[str, RepositoryKind]:
        """The repositories for images, by name."""
        parent = f"projects/{project}/locations/{location}"

        async def kinds() -> dict[str, RepositoryKind]:
            pages = await self.registry.list_repositories(parent=parent, **self.reading)
            every = {found.name.rsplit("/", 1)[-1]: _kind_of(found) async for found in pages}
            return {name: kind for name, kind in every.items() if kind.format == "DOCKER"}

        return await self.read("ListRepositories", parent, kinds)

    async def docker_repositories_everywhere(self, project: str) -> list[tuple[str, str]]:
        """The repositories for images of a project, each as its location and its name.

        Sends one call per location, as gcloud does (`ListRepositories` of command_lib/artifacts/util.py); the
        refusal of one location is raised.
        """
        locations = await self.locations(project)
        some = asyncio.Semaphore(_LOCATIONS_AT_ONCE)

        async def of(location: str) -> list[tuple[str, str]]:
            async with some:
                return [(location, name) for name in await self.docker_repositories(project, location)]

        return [found for listed in await asyncio.gather(*map(of, locations)) for found in listed]

    async def locations(self, project: str) -> list[str]:
        """The locations of Artifact Registry."""
        return await self.read("ListLocations", project, lambda: self._locations(project))

    async def _locations(self, project: str) -> list[str]:
        from google.cloud.location import locations_pb2

        found: list[str] = []
        token = ""
        while True:
            request = locations_pb2.ListLocationsRequest(name=f"projects/{project}", page_token=token)
            page = await self.registry.list_locations(request=request, **self.reading)
            found += [one.location_id for one in page.locations]
            token = page.next_page_token
            if not token:
                return found

    def _policy_client(self, resource: str) -> Any:
        """The client of the API that holds a resource's policy."""
        if "/repositories/" in resource:
            return self.registry
        return self.iam if "/serviceAccounts/" in resource else self.projects

    async def policy(self, resource: str) -> Any:
        """The IAM policy of a project, repository or service account, conditions included."""
        from google.iam.v1 import iam_policy_pb2, options_pb2

        request = iam_policy_pb2.GetIamPolicyRequest(
            resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=VERSION)
        )

        async def read() -> Any:
            found = await self._policy_client(resource).get_iam_policy(request=request, **self.reading)
            if not found.etag:
                # Each policy has one. Without it this is not a policy, and writing it back would remove all
                # bindings.
                raise ValueError
            return found

        return await self.read("GetIamPolicy", resource, read)

    async def set_policy(self, resource: str, policy: Any) -> None:
        """Write a policy that was read with its etag; after a conflict (ABORTED) it must be read again."""
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy)
        # Not retried here: the same etag never succeeds again.
        await self.call(
            "SetIamPolicy",
            resource,
            lambda: self._policy_client(resource).set_iam_policy(
                request=request, retry=None, timeout=CHANGE_SECONDS
            ),
        )

    async def account(self, resource: str) -> Any:
        """The service account.

        Raises:
            GoogleApiError: there is none (`missing`), or it cannot be read.
        """

        async def read() -> Any:
            found = await self.iam.get_service_account(name=resource, **self.reading)
            if not found.unique_id or not found.email:
                # Each account has both. Without them the answer is not an account, and would pass for one
                # that pullkey did not create.
                raise ValueError
            return found

        return await self.read("GetServiceAccount", resource, read)

    async def create_account(self, project: str, account_id: str, description: str) -> Any:
        from google.cloud.iam_admin_v1.types import iam

        request = iam.CreateServiceAccountRequest(
            name=f"projects/{project}",
            account_id=account_id,
            service_account=iam.ServiceAccount(display_name="Akka image pulls", description=description),
        )
        return await self.call(
            "CreateServiceAccount",
            f"projects/{project}/serviceAccounts/{account_id}",
            lambda: self.iam.create_service_account(request=request, retry=None, timeout=CHANGE_SECONDS),
        )

    async def delete_account(self, resource: str) -> None:
        await self.call(
            "DeleteServiceAccount",
            resource,
            lambda: self.iam.delete_service_account(name=resource, retry=None, timeout=CHANGE_SECONDS),
            silent=True,
        )

    async def user_keys(self, resource: str) -> Mapping[str, Any]:
        """The user-managed keys, by id; Google rotates the others itself."""
        from google.cloud.iam_admin_v1.types import iam

        request = iam.ListServiceAccountKeysRequest(
            name=resource, key_types=[iam.ListServiceAccountKeysRequest.KeyType.USER_MANAGED]
        )
        answer = await self.read(
            "ListServiceAccountKeys",
            resource,
            lambda: self.iam.list_service_account_keys(request=request, **self.reading),
        )
        return {id_of(key): key for key in answer.keys}

    async def create_key(self, resource: str) -> Any:
        """Create a JSON key. Never retried here: a second call creates a second key."""
        from google.cloud.iam_admin_v1.types import iam

        request = iam.CreateServiceAccountKeyRequest(
            name=resource,
            private_key_type=iam.ServiceAccountPrivateKeyType.TYPE_GOOGLE_CREDENTIALS_FILE,
        )

        async def create() -> Any:
            created = await self.iam.create_service_account_key(
                request=request, retry=None, timeout=CHANGE_SECONDS
            )
            json.loads(created.private_key_data)  # a key that cannot be read counts as no answer
            return created

        return await self.call("CreateServiceAccountKey", resource, create)

    async def upload_key(self, resource: str, certificate: bytes) -> Any:
        """Upload the certificate of a key, which then authenticates the account. Never retried here."""
        from google.cloud.iam_admin_v1.types import iam

        request = iam.UploadServiceAccountKeyRequest(name=resource, public_key_data=certificate)
        return await self.call(
            "UploadServiceAccountKey",
            resource,
            lambda: self.iam.upload_service_account_key(request=request, retry=None, timeout=CHANGE_SECONDS),
        )

    async def public_key(self, resource: str) -> Any:
        """A key with its public key, in PEM."""
        from google.cloud.iam_admin_v1.types import iam

        request = iam.GetServiceAccountKeyRequest(
            name=resource, public_key_type=iam.ServiceAccountPublicKeyType.TYPE_X509_PEM_FILE
        )
        return await self.read(
            "GetServiceAccountKey",
            resource,
            lambda: self.iam.get_service_account_key(request=request, **self.reading),
        )

    async def delete_key(self, resource: str) -> None:
        """Delete a key. Never retried here, so that the caller learns whether it was already deleted."""
        await self.call(
            "DeleteServiceAccountKey",
            resource,
            lambda: self.iam.delete_service_account_key(name=resource, retry=None, timeout=CHANGE_SECONDS),
            silent=True,
        )

    async def switch_key(self, resource: str, *, on: bool) -> None:
        from google.cloud.iam_admin_v1.types import iam

        if on:
            enable = iam.EnableServiceAccountKeyRequest(name=resource)
            await self.call(
                "EnableServiceAccountKey",
                resource,
                lambda: self.iam.enable_service_account_key(request=enable, timeout=CHANGE_SECONDS),
                silent=True,
            )
        else:
            disable = iam.DisableServiceAccountKeyRequest(name=resource)
            await self.call(
                "DisableServiceAccountKey",
                resource,
                lambda: self.iam.disable_service_account_key(request=disable, timeout=CHANGE_SECONDS),
                silent=True,
            )


def _kind_of(repository: Any) -> RepositoryKind:
    return RepositoryKind(str(repository.format_.name), str(repository.mode.name) not in _OF_OTHERS)


def id_of(key: Any) -> str:
    """The id of a key, which is the last part of its name and not secret."""
    return str(key.name.rsplit("/", 1)[-1])


def end_of(key: Any) -> dt.datetime | None:
    """When a key expires; None if it does not, for which Google shows the year 9999."""
    ends = key.valid_before_time
    return ends if ends and ends.year < 9000 else None


def is_uploaded(key: Any) -> bool:
    """Whether the key's certificate was uploaded; else Google created it."""
    from google.cloud.iam_admin_v1.types import iam

    return bool(key.key_origin == iam.ServiceAccountKeyOrigin.USER_PROVIDED)


def of_account(resource: str) -> str:
    """The options of `gcloud iam service-accounts keys` that name the account."""
    _, project, _, email = resource.split("/")
    return f"--iam-account={email}" + (f" --project={project}" if project != "-" else "")

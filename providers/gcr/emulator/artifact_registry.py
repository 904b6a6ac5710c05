"""Artifact Registry v1: repositories and their allow policies."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from google.cloud.artifactregistry_v1.types import repository as types
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2
from google.protobuf import json_format

from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Handler, Http, Rpc, message_class
from providers.gcr.emulator.errors import CloudError, invalid_argument, permission_denied
from providers.gcr.emulator.state import GoogleState, Project, Repository

T = TypeVar("T")
# `ListRepositoriesRequest.page_size`: "Maximum page size is 1,000."
MOST_OF_A_PAGE = 1000
_SERVICE: Final = "artifactregistry.googleapis.com"
_GRPC: Final = "google.devtools.artifactregistry.v1.ArtifactRegistry"
# "Repository locations": regions and multi-regions, as far as tests name them.
_LOCATION: Final = re.compile(
    r"asia|europe|us|-|(?:africa|asia|australia|europe|me|northamerica|southamerica|us)-"
    r"(?:central|east|north|northeast|northwest|south|southeast|southwest|west)[1-9][0-9]?"
)
_PATH: Final = "projects/*/locations/*/repositories/*"


class ArtifactRegistryApi:
    """The API's methods."""

    def __init__(self, state: GoogleState, access: Access) -> None:
        self._state = state
        self._access = access

    def api(self) -> Api:
        def rpc(
            method: str, request: Any, handler: Handler, verb: str, path: str, *, changes: bool = False
        ) -> Rpc:
            return Rpc(_GRPC, method, request, handler, (Http(verb, "/v1/" + path),), changes)

        rpcs = (
            rpc(
                "GetRepository",
                message_class(types.GetRepositoryRequest),
                self.get_repository,
                "GET",
                f"{{name={_PATH}}}",
            ),
            rpc(
                "ListRepositories",
                message_class(types.ListRepositoriesRequest),
                self.list_repositories,
                "GET",
                "{parent=projects/*/locations/*}/repositories",
            ),
            rpc(
                "GetIamPolicy",
                iam_policy_pb2.GetIamPolicyRequest,
                self.get_policy,
                "GET",
                f"{{resource={_PATH}}}:getIamPolicy",
            ),
            rpc(
                "SetIamPolicy",
                iam_policy_pb2.SetIamPolicyRequest,
                self.set_policy,
                "POST",
                f"{{resource={_PATH}}}:setIamPolicy",
                changes=True,
            ),
            rpc(
                "TestIamPermissions",
                iam_policy_pb2.TestIamPermissionsRequest,
                self.test_permissions,
                "POST",
                f"{{resource={_PATH}}}:testIamPermissions",
            ),
            Rpc(
                "google.cloud.location.Locations",
                "ListLocations",
                locations_pb2.ListLocationsRequest,
                self.list_locations,
                (Http("GET", "/v1/{name=projects/*}/locations"),),
            ),
        )
        return Api("artifactregistry", _SERVICE, rpcs)

    async def get_repository(self, caller: Caller, request: Any) -> Any:
        return _message(self._repository(caller, request.name, "artifactregistry.repositories.get"))

    async def list_repositories(self, caller: Caller, request: Any) -> Any:
        project_id, location = _split(request.parent, "locations")
        project = self._project(project_id, "artifactregistry.repositories.list", request.parent)
        self._access.require(
            caller, "artifactregistry.repositories.list", project, lambda it: _denied(it, request.parent)
        )
        found = [it for it in project.repositories.values() if location in ("-", it.location)]
        if not found:
            _check_location(location)
        page, more = _page(found, request, MOST_OF_A_PAGE)
        return message_class(types.ListRepositoriesResponse)(
            repositories=[_message(it, listed=True) for it in page], next_page_token=more
        )

    async def list_locations(self, caller: Caller, request: Any) -> Any:
        project_id = request.name.removeprefix("projects/")
        project = self._project(project_id, "artifactregistry.locations.list", request.name)
        self._access.require(
            caller, "artifactregistry.locations.list", project, lambda it: _denied(it, request.name)
        )
        known = sorted({location for location, _ in project.repositories} | {"asia", "europe", "us"})
        page, more = _page(known, request, MOST_OF_A_PAGE)
        return locations_pb2.ListLocationsResponse(
            locations=[
                locations_pb2.Location(name=f"projects/{project.id}/locations/{it}", location_id=it)
                for it in page
            ],
            next_page_token=more,
        )

    async def get_policy(self, caller: Caller, request: Any) -> Any:
        repository = self._repository(caller, request.resource, "artifactregistry.repositories.getIamPolicy")
        return self._access.get_policy(repository, request)

    async def set_policy(self, caller: Caller, request: Any) -> Any:
        repository = self._repository(caller, request.resource, "artifactregistry.repositories.setIamPolicy")
        return self._access.set_policy(repository, request)

    async def test_permissions(self, caller: Caller, request: Any) -> Any:
        found = self._find(request.resource)
        return self._access.test_permissions(caller, found, request.permissions)

    def _project(self, project_id: str, permission: str, resource: str) -> Project:
        project = self._state.project(project_id)
        if project is None:
            raise _denied(permission, resource)
        self._access.require_service(project, _SERVICE)
        return project

    def _repository(self, caller: Caller, name: str, permission: str) -> Repository:
        project = self._project(_split(name, "repositories")[0], permission, name)
        found = self._find(name)
        self._access.require(caller, permission, found or project, lambda it: _denied(it, name))
        if found is None:
            raise CloudError("NOT_FOUND", "Requested entity was not found.")
        return found

    def _find(self, name: str) -> Repository | None:
        project_id, rest = _split(name, "repositories")
        location, _, repository_id = rest.partition("/repositories/")
        project = self._state.project(project_id)
        found = self._state.repository(project.id, location, repository_id) if project else None
        if found is None:
            _check_location(location)
        return found


def _split(name: str, kind: str) -> tuple[str, str]:
    """The project of `projects/P/locations/L[/repositories/R]`, and what follows `locations/`."""
    match name.split("/"):
        case ["projects", project, "locations", location] if kind == "locations":
            return project, location
        case ["projects", project, "locations", location, "repositories", repository] if (
            kind == "repositories"
        ):
            return project, f"{location}/repositories/{repository}"
    raise invalid_argument("Request contains an invalid argument.")


def _check_location(location: str) -> None:
    """Refuse a location that does not exist, as terraform-google-modules/terraform-google-iam#201 quotes."""
    if not _LOCATION.fullmatch(location):
        raise invalid_argument("Request contains an invalid argument.")


def _page(found: Sequence[T], request: Any, most: int) -> tuple[Sequence[T], str]:
    """A page of results, and the token of the next page; "" after the last.

    A page size over the limit is reduced (AIP-158), and an unknown token is refused.
    """
    if request.page_size < 0:
        raise invalid_argument("Request contains an invalid argument.")
    try:
        begin = int(base64.urlsafe_b64decode(request.page_token)) if request.page_token else 0
    except ValueError:
        raise invalid_argument("Request contains an invalid argument.") from None
    end = begin + min(request.page_size or most, most)
    return found[begin:end], base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(found) else ""


def _denied(permission: str, resource: str) -> CloudError:
    if permission.endswith("IamPolicy"):
        # The refusal for a policy has no details (reports of cloud-foundation-fabric and Terraform).
        return CloudError("PERMISSION_DENIED", "The caller does not have permission")
    message = f"Permission '{permission}' denied on resource '//{_SERVICE}/{resource}' (or it may not exist)."
    return permission_denied(message, _SERVICE, permission, resource)


def _message(repository: Repository, *, listed: bool = False) -> Any:
    """The message of a repository. Lists do not show its registry's address (recorded in 2026)."""
    host = f"{repository.location}-docker.pkg.dev"
    message = message_class(types.Repository)(
        name=repository.name,
        mode=types.Repository.Mode.STANDARD_REPOSITORY,
        registry_uri="" if listed else f"{host}/{repository.project_id}/{repository.id}",
        satisfies_pzi=True,
        **{_FORMAT_FIELD: types.Repository.Format.DOCKER},
    )
    message.create_time.FromDatetime(repository.created)
    message.update_time.FromDatetime(repository.created)
    scanning = message.vulnerability_scanning_config
    scanning.last_enable_time.FromDatetime(repository.created)
    scanning.last_enable_time.nanos += 824
    scanning.enablement_state = types.Repository.VulnerabilityScanningConfig.EnablementState.SCANNING_DISABLED
    scanning.enablement_state_reason = "API containerscanning.googleapis.com is not enabled."
    json_format.ParseDict(repository.details, message)
    return message


_FORMAT_FIELD: Final = next(it.name for it in types.Repository.meta.pb.DESCRIPTOR.fields if it.number == 2)

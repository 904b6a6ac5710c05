"""Artifact Registry v1: repositories and their allow policies."""

from __future__ import annotations

from typing import Any, Final

from google.cloud.artifactregistry_v1.types import repository as types
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2

from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Handler, Http, Rpc, message_class
from providers.gcr.emulator.errors import CloudError, invalid_argument, permission_denied
from providers.gcr.emulator.state import GoogleState, Project, Repository

_SERVICE: Final = "artifactregistry.googleapis.com"
_GRPC: Final = "google.devtools.artifactregistry.v1.ArtifactRegistry"
_PATH: Final = "projects/*/locations/*/repositories/*"


class ArtifactRegistryApi:
    """The methods, over the state."""

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
        found = [_message(it) for it in project.repositories.values() if location in ("-", it.location)]
        return message_class(types.ListRepositoriesResponse)(repositories=found)

    async def list_locations(self, caller: Caller, request: Any) -> Any:
        project_id = request.name.removeprefix("projects/")
        project = self._project(project_id, "artifactregistry.locations.list", request.name)
        self._access.require(
            caller, "artifactregistry.locations.list", project, lambda it: _denied(it, request.name)
        )
        known = sorted({location for location, _ in project.repositories} | {"asia", "europe", "us"})
        return locations_pb2.ListLocationsResponse(
            locations=[
                locations_pb2.Location(name=f"projects/{project.id}/locations/{it}", location_id=it)
                for it in known
            ]
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
        return self._state.repository(project.id, location, repository_id) if project else None


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


def _denied(permission: str, resource: str) -> CloudError:
    message = f"Permission '{permission}' denied on resource '//{_SERVICE}/{resource}' (or it may not exist)."
    return permission_denied(message, _SERVICE, permission, resource)


def _message(repository: Repository) -> Any:
    host = f"{repository.location}-docker.pkg.dev"
    message = message_class(types.Repository)(
        name=repository.name,
        mode=types.Repository.Mode.STANDARD_REPOSITORY,
        registry_uri=f"{host}/{repository.project_id}/{repository.id}",
        **{_FORMAT_FIELD: types.Repository.Format.DOCKER},
    )
    message.create_time.FromDatetime(repository.created)
    message.update_time.FromDatetime(repository.created)
    return message


_FORMAT_FIELD: Final = next(it.name for it in types.Repository.meta.pb.DESCRIPTOR.fields if it.number == 2)

"""Resource Manager: projects and their allow policies; v3 over gRPC and REST, v1 over REST.

A project that does not exist or that the caller may not see is a 403
(CrowdStrike/falcon-integration-gateway#98).
"""

from __future__ import annotations

from typing import Any, Final

from google.cloud.resourcemanager_v3.types import projects
from google.iam.v1 import iam_policy_pb2

from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Http, Rpc, message_class
from providers.gcr.emulator.errors import CloudError, permission_denied
from providers.gcr.emulator.state import GoogleState, Project

_SERVICE: Final = "cloudresourcemanager.googleapis.com"
_GRPC: Final = "google.cloud.resourcemanager.v3.Projects"


class ResourceManagerApi:
    """The API's methods."""

    def __init__(self, state: GoogleState, access: Access) -> None:
        self._state = state
        self._access = access

    def api(self) -> Api:
        def policy_rpc(method: str, request: Any, handler: Any, *, changes: bool = False) -> Rpc:
            verb = method[0].lower() + method[1:]
            http = tuple(
                Http("POST", f"/{version}/{{resource=projects/*}}:{verb}") for version in ("v1", "v3")
            )
            return Rpc(_GRPC, method, request, handler, http, changes)

        get, search = projects.GetProjectRequest, projects.SearchProjectsRequest
        rpcs = (
            Rpc(
                _GRPC,
                "GetProject",
                message_class(get),
                self.get_project,
                (
                    Http("GET", "/v3/{name=projects/*}"),
                    Http("GET", "/v1/{name=projects/*}", _version_1, _version_1_refusal),
                ),
            ),
            Rpc(
                _GRPC,
                "SearchProjects",
                message_class(search),
                self.search_projects,
                (
                    Http("GET", "/v3/projects:search"),
                    Http(
                        "GET",
                        "/v1/projects",
                        lambda it: {"projects": [_version_1(one) for one in it.projects]},
                    ),
                ),
            ),
            policy_rpc("GetIamPolicy", iam_policy_pb2.GetIamPolicyRequest, self.get_policy),
            policy_rpc("SetIamPolicy", iam_policy_pb2.SetIamPolicyRequest, self.set_policy, changes=True),
            policy_rpc("TestIamPermissions", iam_policy_pb2.TestIamPermissionsRequest, self.test_permissions),
        )
        return Api("resourcemanager", _SERVICE, rpcs)

    async def get_project(self, caller: Caller, request: Any) -> Any:
        return _message(self._project(caller, request.name, "resourcemanager.projects.get"))

    async def search_projects(self, caller: Caller, request: Any) -> Any:
        """The projects that the caller may see. Of the query language, only `id:`, `projectId:` and `=` are
        implemented.
        """
        field, _, value = request.query.replace("=", ":").partition(":")
        wanted = value if field in ("id", "projectId") else ""
        seen = [
            _message(project)
            for project in self._state.projects.values()
            if wanted in ("", project.id)
            and self._access.holds(caller.email, "resourcemanager.projects.get", project)
        ]
        return message_class(projects.SearchProjectsResponse)(projects=seen)

    async def get_policy(self, caller: Caller, request: Any) -> Any:
        project = self._project(caller, request.resource, "resourcemanager.projects.getIamPolicy")
        return self._access.get_policy(project, request)

    async def set_policy(self, caller: Caller, request: Any) -> Any:
        project = self._project(caller, request.resource, "resourcemanager.projects.setIamPolicy")
        return self._access.set_policy(project, request)

    async def test_permissions(self, caller: Caller, request: Any) -> Any:
        project = self._state.project(request.resource.removeprefix("projects/"))
        return self._access.test_permissions(caller, project, request.permissions)

    def _project(self, caller: Caller, name: str, permission: str) -> Project:
        project_id = name.removeprefix("projects/")
        project = self._state.project(project_id)
        if project is None:
            raise _denied(permission, project_id)
        self._access.require_service(project, _SERVICE)
        self._access.require(caller, permission, project, lambda it: _denied(it, project_id))
        return project


def _denied(permission: str, project_id: str) -> CloudError:
    resource = f"projects/{project_id}"
    if permission == "resourcemanager.projects.get":
        message = (
            f"Permission '{permission}' denied on resource '//{_SERVICE}/{resource}' (or it may not exist)."
        )
    elif permission == "resourcemanager.projects.setIamPolicy":
        message = "Policy update access denied."
    else:
        message = "The caller does not have permission"
    return permission_denied(message, _SERVICE, permission, resource)


def _message(project: Project) -> Any:
    message = message_class(projects.Project)(
        name=project.name,
        project_id=project.id,
        display_name=project.display_name,
        state=projects.Project.State.ACTIVE,
        etag='W/"8f0d1d0b7b4e0e1e"',
    )
    message.create_time.FromDatetime(project.created)
    return message


def _version_1_refusal(error: CloudError) -> CloudError:
    """Resource Manager v1 names neither permission nor project."""
    if error.code != "PERMISSION_DENIED" or "SERVICE_DISABLED" in str(error.details):
        return error
    return CloudError("PERMISSION_DENIED", "The caller does not have permission")


def _version_1(message: Any) -> dict[str, Any]:
    """A project as Resource Manager v1 shows it."""
    return {
        "projectNumber": message.name.removeprefix("projects/"),
        "projectId": message.project_id,
        "lifecycleState": "ACTIVE",
        "name": message.display_name,
        "createTime": message.create_time.ToJsonString(),
    }

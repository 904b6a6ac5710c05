"""Service Usage v1: list a project's APIs, and enable them as long-running operations."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Any, Final

from google.cloud.service_usage_v1.types import resources, serviceusage
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2

from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Handler, Http, Rpc, message_class
from providers.gcr.emulator.errors import CloudError, error_info, invalid_argument
from providers.gcr.emulator.state import SERVICE_TITLES, GoogleState, Project

_SERVICE: Final = "serviceusage.googleapis.com"
_GRPC: Final = "google.api.serviceusage.v1.ServiceUsage"
_GET, _LIST, _ENABLE = (f"serviceusage.services.{verb}" for verb in ("get", "list", "enable"))
_NOOP: Final = "operations/noop.DONE_OPERATION"
"""The operation returned for enabling an API that is already enabled."""


class ServiceUsageApi:
    """The API's methods. While this API itself is not enabled, it can enable neither itself nor others."""

    def __init__(self, state: GoogleState, access: Access) -> None:
        self._state = state
        self._access = access
        self._operations: dict[str, tuple[dt.datetime, Any]] = {}

    def api(self) -> Api:
        def rpc(
            method: str, request: Any, handler: Handler, verb: str, path: str, *, changes: bool = False
        ) -> Rpc:
            return Rpc(_GRPC, method, message_class(request), handler, (Http(verb, "/v1/" + path),), changes)

        rpcs = (
            rpc(
                "GetService",
                serviceusage.GetServiceRequest,
                self.get_service,
                "GET",
                "{name=projects/*/services/*}",
            ),
            rpc(
                "BatchGetServices",
                serviceusage.BatchGetServicesRequest,
                self.batch_get,
                "GET",
                "{parent=projects/*}/services:batchGet",
            ),
            rpc(
                "ListServices",
                serviceusage.ListServicesRequest,
                self.list_services,
                "GET",
                "{parent=projects/*}/services",
            ),
            rpc(
                "EnableService",
                serviceusage.EnableServiceRequest,
                self.enable,
                "POST",
                "{name=projects/*/services/*}:enable",
                changes=True,
            ),
            rpc(
                "BatchEnableServices",
                serviceusage.BatchEnableServicesRequest,
                self.batch_enable,
                "POST",
                "{parent=projects/*}/services:batchEnable",
                changes=True,
            ),
            Rpc(
                "google.longrunning.Operations",
                "GetOperation",
                operations_pb2.GetOperationRequest,
                self.get_operation,
                (Http("GET", "/v1/{name=operations/*}"),),
            ),
        )
        return Api("serviceusage", _SERVICE, rpcs)

    async def get_service(self, caller: Caller, request: Any) -> Any:
        project_name, service = _parts(request.name)
        return self._message(self._project(caller, project_name, _GET, [service]), service)

    async def batch_get(self, caller: Caller, request: Any) -> Any:
        if len(request.names) > 30:
            raise invalid_argument("At most 30 services can be read at once.")
        services = [_parts(name)[1] for name in request.names]
        project = self._project(caller, request.parent, _GET, services)
        found = [self._message(project, it) for it in services]
        return message_class(serviceusage.BatchGetServicesResponse)(services=found)

    async def list_services(self, caller: Caller, request: Any) -> Any:
        """The known APIs; the filter is `state:ENABLED`, `state:DISABLED` or empty."""
        project = self._project(caller, request.parent, _LIST, [])
        found = [self._message(project, it) for it in sorted({*SERVICE_TITLES, *project.services})]
        wanted = request.filter.removeprefix("state:")
        shown = [it for it in found if wanted in ("", resources.State(it.state).name)]
        return message_class(serviceusage.ListServicesResponse)(services=shown)

    async def enable(self, caller: Caller, request: Any) -> Any:
        project_name, service = _parts(request.name)
        project = self._project(caller, project_name, _ENABLE, [service])
        new = self._enable(project, [service])
        response = message_class(serviceusage.EnableServiceResponse)(service=self._message(project, service))
        return self._operation(project, new, response)

    async def batch_enable(self, caller: Caller, request: Any) -> Any:
        if len(request.service_ids) > 20:
            raise invalid_argument("At most 20 services can be enabled at once.")
        services = list(request.service_ids)
        project = self._project(caller, request.parent, _ENABLE, services)
        new = self._enable(project, services)
        enabled = [self._message(project, it) for it in services]
        response = message_class(serviceusage.BatchEnableServicesResponse)(services=enabled)
        return self._operation(project, new, response)

    async def get_operation(self, caller: Caller, request: Any) -> Any:
        del caller  # anyone who knows the name of an operation may read it
        if request.name not in self._operations:
            raise CloudError("NOT_FOUND", f"Operation {request.name} not found.")
        return self._operation_message(request.name)

    def _project(self, caller: Caller, name: str, permission: str, services: Sequence[str]) -> Project:
        project = self._state.project(name.removeprefix("projects/"))
        if project is None or not self._access.holds(caller.email, permission, project):
            raise _denied(permission, services)
        self._access.require_service(project, _SERVICE)
        for service in services:
            if service not in SERVICE_TITLES and service not in project.services:
                raise CloudError("NOT_FOUND", f"Not found or permission denied for service(s): {service}.")
        return project

    def _message(self, project: Project, service: str) -> Any:
        since = project.services.get(service)
        enabled = since is not None and self._state.visible(since)
        return message_class(resources.Service)(
            name=f"{project.name}/services/{service}",
            # A disabled API has no parent (recorded by GoogleCloudPlatform/k8s-config-connector).
            parent=project.name if enabled else "",
            config=message_class(resources.ServiceConfig)(
                name=service, title=SERVICE_TITLES.get(service, "")
            ),
            state=resources.State.ENABLED if enabled else resources.State.DISABLED,
        )

    def _enable(self, project: Project, services: Sequence[str]) -> bool:
        new = [it for it in services if it not in project.services]
        project.services.update(dict.fromkeys(new, self._state.now()))
        return bool(new)

    def _operation(self, project: Project, new: bool, response: Any) -> Any:
        name = f"operations/acat.p2-{project.number}-{secrets.token_hex(16)}" if new else _NOOP
        begin = self._state.now() if new else project.created
        self._operations[name] = (begin, response)
        # A new operation has only a name (recorded by GoogleCloudPlatform/k8s-config-connector).
        return operations_pb2.Operation(name=name) if new else self._operation_message(name)

    def _operation_message(self, name: str) -> Any:
        begin, response = self._operations[name]
        message = operations_pb2.Operation(name=name, done=self._state.visible(begin))
        if message.done:
            for service in [response.service] if hasattr(response, "service") else response.services:
                service.state = resources.State.ENABLED
                service.parent = service.name.partition("/services/")[0]
            message.metadata.Pack(message_class(resources.OperationMetadata)())
            message.response.Pack(response)
        return message


def _parts(name: str) -> tuple[str, str]:
    match name.split("/"):
        case ["projects", project, "services", service]:
            return f"projects/{project}", service
    raise invalid_argument(f"Invalid service name {name}.")


def _denied(permission: str, services: Sequence[str]) -> CloudError:
    """This API's form of a refusal: `AUTH_PERMISSION_DENIED`, with a numbered precondition."""
    verb = permission.rsplit(".", 1)[1]
    listed = f" [{', '.join(services)}]" if services else "s"
    violation = error_details_pb2.PreconditionFailure.Violation(
        type="googleapis.com", subject=f"?error_code=110002&permission={permission}"
    )
    return CloudError(
        "PERMISSION_DENIED",
        f"Permission denied to {verb} service{listed}",
        error_details_pb2.PreconditionFailure(violations=[violation]),
        error_info("AUTH_PERMISSION_DENIED", _SERVICE, permission=permission),
    )

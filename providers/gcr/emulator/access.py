"""Who may do what: permissions from roles, and the reading, writing and testing of allow policies.

The three APIs that have policies (IAM, Resource Manager, Artifact Registry) share this; what differs is the
wording of a refusal, which each gives as `Denial`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.iam.v1 import iam_policy_pb2
from google.rpc import error_details_pb2

from providers.gcr.emulator.errors import CloudError, error_info, invalid_argument
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.roles import PERMISSIONS, PREDEFINED
from providers.gcr.emulator.state import SERVICE_TITLES, GoogleState, Project, Repository, ServiceAccount

Resource = Project | Repository | ServiceAccount
Denial = Callable[[str], CloudError]
"""Creates one API's refusal for a missing permission."""

_PERMISSION: Final = re.compile(r"^[a-zA-Z]+(\.[a-zA-Z]+){2,}$")
_ROLE: Final = re.compile(r"^(organizations/[^/]+/|projects/[^/]+/)?roles/[a-zA-Z0-9_.]+$")
_PRINCIPAL: Final = re.compile(
    r"^(allUsers|allAuthenticatedUsers|(user|group|serviceAccount):[^\s@]+@[^\s@]+|domain:\S+"
    r"|(principal|principalSet)://\S+|project(Owner|Editor|Viewer):\S+|deleted:\S+)$"
)
_ACCOUNT_DOMAIN: Final = re.compile(r"^serviceAccount:[^@]+@(?P<project>[^@]+)\.iam\.gserviceaccount\.com$")


@dataclass(frozen=True)
class Caller:
    """The identity of an API call."""

    email: str

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.email}"


class Access:
    """Checks permissions by the policies of the state."""

    def __init__(self, state: GoogleState) -> None:
        self._state = state

    def holds(self, email: str | None, permission: str, resource: Resource) -> bool:
        """Whether an identity (None: anonymous) has a permission on a resource, also by its project."""
        if email == self._state.operator and permission in self._state.denied_permissions:
            return False
        everybody = ["allUsers"]
        members = (
            everybody if email is None else [*everybody, "allAuthenticatedUsers", f"serviceAccount:{email}"]
        )
        roles: set[str] = set()
        for policy in self._policies_over(resource):
            roles |= policy.roles_of(members, visible=self._state.visible)
        return any(permission in self._permissions_of(role) for role in roles)

    def require(self, caller: Caller, permission: str, resource: Resource, denial: Denial) -> None:
        if not self.holds(caller.email, permission, resource):
            raise denial(permission)

    def require_service(self, project: Project, service: str) -> None:
        """Refuse unless the project has the API enabled.

        The wording and the details are those of hashicorp/terraform-provider-google#23200. Google looks at
        the project that the *credentials* belong to or name as quota project for some APIs; this sandbox
        looks at the project that holds the resource, for all. See `GoogleState.refusals`.
        """
        since = project.services.get(service)
        if since is not None and self._state.visible(since):
            return
        raise service_disabled(project, service)

    def get_policy(self, resource: Resource, request: Any) -> Any:
        policy = resource.policy
        changed = policy.changed
        late = changed is not None and not self._state.shows(changed, "grant", resource.name)
        return policy.read(request.options.requested_policy_version, late=late)

    def set_policy(self, resource: Resource, request: Any) -> Any:
        """Check the requested policy and write it. Return the new policy."""
        known = resource.policy.all_members()
        for binding in request.policy.bindings:
            self._check_role(binding.role, resource)
            for member in binding.members:
                if member not in known:
                    self._check_member(member)
        mask = set(request.update_mask.paths)
        audit_configs = bool(mask & {"audit_configs", "auditConfigs"})
        return resource.policy.write(request.policy, audit_configs=audit_configs, now=self._state.now())

    def test_permissions(self, caller: Caller, resource: Resource | None, asked: Iterable[str]) -> Any:
        """The permissions in `asked` that the caller has; none if the resource does not exist, as
        documented.
        """
        permissions = list(asked)
        for permission in permissions:
            if not _PERMISSION.match(permission):
                raise invalid_argument(f"Permission {permission} is not valid for this resource.")
        held = (
            [it for it in permissions if self.holds(caller.email, it, resource)]
            if resource is not None
            else []
        )
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    def _policies_over(self, resource: Resource) -> list[AllowPolicy]:
        above = self._state.organization
        if isinstance(resource, Project):
            return [resource.policy, above]
        return [resource.policy, self._state.projects[resource.project_id].policy, above]

    def _permissions_of(self, role: str) -> frozenset[str]:
        return PERMISSIONS.get(role) or self._state.custom_roles.get(role, frozenset())

    def _check_role(self, role: str, resource: Resource) -> None:
        """Refuse a role that does not exist, or not for this kind of resource.

        Texts from GoogleCloudPlatform/stackdriver-metrics-export#7 (an undefined predefined role) and
        hashicorp/terraform-provider-google#6923 (a custom one).
        """
        if not _ROLE.match(role):
            raise invalid_argument(
                'The role name must be in the form "roles/{role}", '
                '"organizations/{organization_id}/roles/{role}", '
                'or "projects/{project_id}/roles/{role}".'
            )
        if "/roles/" in role:
            if role not in self._state.custom_roles:
                raise invalid_argument(f"Role ({role}) does not exist in the resource's hierarchy.")
            return
        basic = role in ("roles/owner", "roles/editor", "roles/viewer")
        foreign = (
            isinstance(resource, Repository) and not role.startswith("roles/artifactregistry.") and not basic
        )
        if foreign or role not in PREDEFINED:
            raise invalid_argument(f"Role {role} is not supported for this resource.")

    def _check_member(self, member: str) -> None:
        """Refuse a member of an unknown form, or a service account that does not exist (or is not yet known).

        The text is from hashicorp/vault-plugin-secrets-gcp#237. Google's own service agents
        (`...@gcp-sa-NAME.iam.gserviceaccount.com`) are in hidden projects, and always exist here.
        """
        if not _PRINCIPAL.match(member):
            kind, _, name = member.partition(":")
            if kind == "serviceAccount":
                raise invalid_argument(f"Invalid service account ({name}).")
            raise invalid_argument(f"Invalid member {member}.")
        match = _ACCOUNT_DOMAIN.match(member)
        if match is None or match["project"].startswith("gcp-sa-"):
            if member.startswith("deleted:"):
                raise invalid_argument(f"Principal {member} is deleted.")
            return
        email = member.removeprefix("serviceAccount:")
        account = self._state.account(email)
        if account is None or not self._state.visible(account.created, "identity", email):
            raise invalid_argument(f"Service account {email} does not exist.")


def service_disabled(project: Project, service: str) -> CloudError:
    """The refusal of an API that the project has not enabled."""
    title = SERVICE_TITLES.get(service, service)
    url = f"https://console.developers.google.com/apis/api/{service}/overview?project={project.number}"
    message = (
        f"{title} has not been used in project {project.number} before or it is disabled. Enable it "
        f"by visiting {url} "
        "then retry. If you enabled this API recently, wait a few minutes for the action to "
        "propagate to our systems "
        "and retry."
    )
    return CloudError(
        "PERMISSION_DENIED",
        message,
        error_info(
            "SERVICE_DISABLED",
            "googleapis.com",
            activationUrl=url,
            consumer=f"projects/{project.number}",
            containerInfo=project.number,
            service=service,
            serviceTitle=title,
        ),
        error_details_pb2.LocalizedMessage(locale="en-US", message=message),
        error_details_pb2.Help(
            links=[
                error_details_pb2.Help.Link(description="Google developers console API activation", url=url)
            ]
        ),
    )

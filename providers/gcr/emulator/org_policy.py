"""Organization Policy v2: the effective policy of a project."""

from __future__ import annotations

from typing import Any, Final

from google.cloud.orgpolicy_v2.types import orgpolicy

from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Http, Rpc, message_class
from providers.gcr.emulator.errors import CloudError, invalid_argument, permission_denied
from providers.gcr.emulator.state import GoogleState

_SERVICE: Final = "orgpolicy.googleapis.com"
_KINDS: Final = ("ServiceAccountCreation", "ServiceAccountKeyCreation", "ServiceAccountKeyUpload")
BOOLEAN_CONSTRAINTS: Final = frozenset(
    f"{prefix}.disable{kind}" for prefix in ("iam", "iam.managed") for kind in _KINDS
)


class OrgPolicyApi:
    """The API's single method."""

    def __init__(self, state: GoogleState, access: Access) -> None:
        self._state = state
        self._access = access

    def api(self) -> Api:
        rpc = Rpc(
            "google.cloud.orgpolicy.v2.OrgPolicy",
            "GetEffectivePolicy",
            message_class(orgpolicy.GetEffectivePolicyRequest),
            self.get_effective_policy,
            (Http("GET", "/v2/{name=projects/*/policies/*}:getEffectivePolicy"),),
        )
        return Api("orgpolicy", _SERVICE, (rpc,))

    async def get_effective_policy(self, caller: Caller, request: Any) -> Any:
        """The effective policy: set on the project, inherited, or the constraint's default."""
        match request.name.split("/"):
            case ["projects", project_id, "policies", constraint]:
                pass
            case _:
                raise invalid_argument(f"Invalid policy name {request.name}.")
        project = self._state.project(project_id)
        if project is None:
            raise _denied("orgpolicy.policy.get", f"projects/{project_id}")
        self._access.require_service(project, _SERVICE)
        self._access.require(
            caller, "orgpolicy.policy.get", project, lambda it: _denied(it, f"projects/{project_id}")
        )
        value = project.constraints.get(constraint, False if constraint in BOOLEAN_CONSTRAINTS else None)
        rule = message_class(orgpolicy.PolicySpec.PolicyRule)()
        if isinstance(value, bool):
            rule.enforce = value
        elif isinstance(value, tuple):
            rule.values.allowed_values.extend(value)
        elif constraint == "iam.serviceAccountKeyExpiryHours":
            rule.allow_all = True
        else:
            raise CloudError("NOT_FOUND", f"Constraint {constraint} was not found.")
        return message_class(orgpolicy.Policy)(
            name=f"{project.name}/policies/{constraint}",
            spec=message_class(orgpolicy.PolicySpec)(rules=[rule]),
        )


def _denied(permission: str, resource: str) -> CloudError:
    message = f"Permission '{permission}' denied on resource '//{_SERVICE}/{resource}' (or it may not exist)."
    return permission_denied(message, _SERVICE, permission, resource)

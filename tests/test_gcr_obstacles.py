"""A 403 of Google that no permission on the resource would remove: each has a way out of its own.

The details of the refusals: golang/oauth2#702 (a quota project is missing), google-github-actions/auth#250
(it may not be used), terraform-google-modules/terraform-example-foundation#974 (VPC Service Controls), and
google.api.ErrorReason.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bootstrap.model.codes import Code
from bootstrap.plugin.errors import ApiError, as_user_error
from bootstrap.testing.harness.world import World
from providers.gcr.emulator.access import service_disabled
from providers.gcr.emulator.errors import CloudError, error_info
from providers.gcr.errors import GoogleApiError
from tests.harness.concurrent_change import meanwhile
from tests.harness.google_state import cloud_picture, project

IAM, MANAGER, REGISTRY = (
    "iam.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "artifactregistry.googleapis.com",
)
PERIMETER = (
    "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: VQQnKfXtZ16NH"
)
DISALLOWED = (
    "Request is disallowed by organization's constraints/gcp.restrictServiceUsage constraint for "
    "'projects/734512906481' attempting to use service 'artifactregistry.googleapis.com'."
)


def refuse(gcr: World, reason: str, message: str, *services: str, consumer: str = "111222333444") -> None:
    """Google's front end refuses every call of these APIs."""
    for service in services:
        details = error_info(reason, "googleapis.com", consumer=f"projects/{consumer}", service=service)
        gcr.cloud.state.refusals[service] = CloudError("PERMISSION_DENIED", message, details)


def disable_elsewhere(gcr: World, service: str, number: str = "111222333444") -> None:
    """The API is not enabled in the project to which Google counts the calls of the login."""
    from providers.gcr.emulator.state import Project

    owner = Project("acme-ci", number, "CI", gcr.cloud.state.now())
    gcr.cloud.state.refusals[service] = service_disabled(owner, service)


@pytest.mark.parametrize(
    ("service", "more"), [(IAM, ()), (IAM, ("--enable-apis",)), (MANAGER, ()), (REGISTRY, ("--enable-apis",))]
)
def test_an_api_that_is_not_enabled_in_the_project_of_the_login(
    gcr: World, service: str, more: tuple[str, ...]
) -> None:
    """It is enabled in the registry's project, so that --enable-apis enables nothing."""
    disable_elsewhere(gcr, service)

    done = gcr.onboard(*more)

    assert done.code == 3, done.text
    assert f"gcloud services enable {service} --project=111222333444" in done.err
    assert "--enable-apis" not in done.err
    assert "not enabled in acme-shop" not in done.err
    assert "PK-API-DISABLED" in done.err
    assert gcr.changes() == []


def test_what_was_enabled_in_the_project_of_the_registry_is_not_waited_for_in_another(gcr: World) -> None:
    del project(gcr).services[IAM]
    meanwhile(gcr, "serviceusage.BatchEnableServices", lambda: disable_elsewhere(gcr, IAM))
    begin = gcr.running.clock.monotonic()

    done = gcr.onboard("--enable-apis", "--timeout", "10m")

    assert done.code == 1, done.text
    assert gcr.running.clock.monotonic() - begin < 60
    assert f"gcloud services enable {IAM} --project=111222333444" in done.err


def test_a_login_without_a_quota_project(gcr: World) -> None:
    """Google counts its calls to the project of gcloud's OAuth client, where no user can enable anything."""
    said = (
        "Your application is authenticating by using local Application Default Credentials. The "
        f"{MANAGER} API requires a quota project, which is not set by default."
    )
    refuse(gcr, "SERVICE_DISABLED", said, MANAGER, consumer="764086051850")

    done = gcr.onboard("--enable-apis")

    assert done.code == 3, done.text
    assert "gcloud auth application-default set-quota-project acme-shop" in done.err
    assert "764086051850" not in done.err
    assert gcr.changes() == []


@pytest.mark.parametrize("env", [{}, {"GOOGLE_CLOUD_QUOTA_PROJECT": "acme-billing"}])
def test_a_quota_project_that_the_login_may_not_use(gcr: World, env: dict[str, str]) -> None:
    said = "Caller does not have required permission to use project acme-billing."
    refuse(gcr, "USER_PROJECT_DENIED", said, MANAGER, REGISTRY, IAM, consumer="acme-billing")

    done = gcr.onboard(env=env)

    assert done.code == 3, done.text
    assert "roles/serviceusage.serviceUsageConsumer" in done.err
    assert ("set-quota-project" in done.err) != bool(env)
    assert "no project acme-shop" not in done.err
    assert gcr.changes() == []


@pytest.mark.parametrize(
    ("reason", "said", "services", "shown"),
    [
        ("SECURITY_POLICY_VIOLATED", PERIMETER, (MANAGER, IAM, REGISTRY), "VPC Service Controls forbid"),
        ("RESOURCE_USAGE_RESTRICTION_VIOLATED", DISALLOWED, (REGISTRY,), "from gcp.restrictServiceUsage."),
        (
            "ORG_RESTRICTION_VIOLATION",
            "Access denied by organization restriction. Please contact your administrator.",
            (MANAGER, IAM, REGISTRY),
            "ask an administrator about ORG_RESTRICTION_VIOLATION.",
        ),
    ],
    ids=["a perimeter", "an organisation policy", "a restriction of a proxy"],
)
def test_what_a_policy_forbids_is_no_missing_permission(
    gcr: World, reason: str, said: str, services: tuple[str, ...], shown: str
) -> None:
    refuse(gcr, reason, said, *services)

    done = gcr.onboard()

    assert done.code == 3, done.text
    assert shown in done.err
    assert said in done.err
    assert "PK-POLICY" in done.err
    assert "It takes the permission" not in done.err
    assert "it takes iam." not in done.err
    assert "--handover" not in done.err
    assert "quota-project" not in done.err
    assert "no project" not in done.err
    assert gcr.changes() == []


@pytest.mark.parametrize(
    ("reason", "said", "info", "missing"),
    [
        ("", DISALLOWED, {}, False),
        ("LOCATION_ORG_POLICY_VIOLATED", "", {}, False),
        (
            "TLS_ORG_POLICY_VIOLATED",
            "The caller does not have permission",
            {"policyName": "constraints/gcp.restrictTLSVersion"},
            False,
        ),
        ("", "The caller does not have permission", {}, True),
        ("IAM_PERMISSION_DENIED", "Permission 'iam.serviceAccounts.get' denied", {}, True),
        ("AUTH_PERMISSION_DENIED", "Permission denied to get service", {}, True),
    ],
)
def test_which_reasons_are_a_missing_permission(
    reason: str, said: str, info: dict[str, str], missing: bool
) -> None:
    error = GoogleApiError("PERMISSION_DENIED", said, reason=reason, info=info)

    assert error.forbidden == missing
    assert error.problem_code is (Code.MISSING_PERMISSION if missing else Code.POLICY)
    assert ("This is not a missing permission" in error.fix) != missing
    assert info.get("policyName", "").removeprefix("constraints/") in error.fix


def test_so_it_is_where_only_a_change_is_forbidden(gcr: World) -> None:
    before = cloud_picture(gcr)
    gcr.fault(f"iam.CreateServiceAccountKey=403;message={quote(PERIMETER)}*forever")

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert "VPC Service Controls" in done.err
    assert "PK-POLICY" in done.err
    assert "It takes the permission" not in done.err
    assert cloud_picture(gcr) == before


def test_a_token_without_the_scope_names_it(gcr: World) -> None:
    """As that of a virtual machine with Compute Engine's default scopes."""
    said = "Request had insufficient authentication scopes."
    refuse(gcr, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", said, MANAGER, IAM, REGISTRY)

    done = gcr.onboard()

    assert done.code == 3, done.text
    assert "gcloud compute instances set-service-account MACHINE --scopes=cloud-platform" in done.err
    assert "no project" not in done.err


def test_billing_that_is_off(gcr: World) -> None:
    said = "This API method requires billing to be enabled. Please enable billing on project #734512906481."
    refuse(gcr, "BILLING_DISABLED", said, REGISTRY, consumer="734512906481")

    done = gcr.onboard()

    assert done.code == 3, done.text
    assert "gcloud billing projects link 734512906481 --billing-account=ACCOUNT" in done.err


def test_a_policy_that_forbids_new_service_accounts_names_what_to_do(gcr: World) -> None:
    project(gcr).constraints["iam.disableServiceAccountCreation"] = True

    done = gcr.onboard()

    assert done.code == 1, done.text
    assert "exception from iam.disableServiceAccountCreation" in done.err
    assert "--service-account EMAIL" in done.err
    assert "PK-POLICY" in done.err


def test_a_location_that_does_not_exist(gcr: World) -> None:
    """Artifact Registry answers 400, and only its list of locations says why."""
    done = gcr.onboard("--server", "europe-wst1-docker.pkg.dev/acme-shop/containers")

    assert done.code == 3, done.text
    assert "Artifact Registry has no location europe-wst1" in done.err
    assert "Did you mean europe-west1" in done.err
    assert "Run it again" not in done.err
    assert gcr.changes() == []


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (429, True), (503, True), (0, True)]
)
def test_only_an_error_that_may_pass_is_worth_another_run(status: int, again: bool) -> None:
    """Of every provider's API."""
    assert ("Run it again" in as_user_error(ApiError(status, "no")).fix) == again


def test_a_location_that_is_refused_as_one_that_may_not_exist() -> None:
    said = "Permission denied on 'locations/europe-wst1' (or it may not exist)."
    refused = GoogleApiError("PERMISSION_DENIED", said, reason="LOCATION_POLICY_VIOLATED")

    assert refused.may_be_location
    assert not GoogleApiError("PERMISSION_DENIED", "The caller does not have permission").may_be_location


IMPERSONATED = "registry-setup@acme-admin.iam.gserviceaccount.com"


NOT_ENABLED = (
    "IAM Service Account Credentials API has not been used in project 111222333444 before or it is disabled. "
    "Enable it by visiting https://console.developers.google.com/apis/api/"
    "iamcredentials.googleapis.com/overview?project=111222333444 then retry."
)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        (NOT_ENABLED, "gcloud services enable iamcredentials.googleapis.com --project=111222333444"),
        (
            "Caller does not have required permission to use project acme-billing.",
            "gcloud auth application-default set-quota-project",
        ),
    ],
    ids=["an API that is not enabled", "a quota project"],
)
def test_a_login_whose_token_google_refuses_is_not_asked_to_log_in_again(
    gcr: World, said: str, fix: str
) -> None:
    gcr.fault(f"iamcredentials.GenerateAccessToken=403;message={quote(said)}*forever")

    done = gcr.onboard("--impersonate-service-account", IMPERSONATED)

    assert done.code == 3, done.text
    assert fix in done.err
    assert said[:60] in done.err
    assert "gcloud auth application-default login" not in done.err
    assert '"error"' not in done.err  # no JSON in the middle of a sentence


def test_a_login_that_names_the_account_itself_is_told_the_role() -> None:
    """A file of type impersonated_service_account, or a workload identity: no option names the account."""
    from google.auth.exceptions import RefreshError

    from providers.gcr.login_errors import no_login

    said = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    body = json.dumps({"error": {"code": 403, "message": said, "status": "PERMISSION_DENIED"}}, indent=2)
    refused = no_login(RefreshError("Unable to acquire impersonated credentials", body))  # type: ignore[no-untyped-call]

    assert said in refused.what
    assert "roles/iam.serviceAccountTokenCreator" in refused.fix
    assert "roles/iam.workloadIdentityUser" in refused.fix
    assert "\n" not in refused.what


def test_the_warning_of_googles_library_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says with a path of this machine what an API that needs a quota project says itself."""
    import google.oauth2.credentials

    from bootstrap.model.deadline import Deadline
    from providers.gcr.login import GoogleLogin

    file = tmp_path / "adc.json"
    client = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
    file.write_text(
        f'{{"type": "authorized_user", "client_id": "{client}", "client_secret": "x", "refresh_token": "y"}}'
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    def refreshed(*_: Any) -> None:
        pass

    async def log_in() -> None:
        await GoogleLogin("", Deadline(10)).connect()

    monkeypatch.setattr(google.oauth2.credentials.Credentials, "refresh", refreshed)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        asyncio.run(log_in())
    assert [str(one.message) for one in shown] == []

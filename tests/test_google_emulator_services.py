"""Which Google APIs are enabled in the emulator, and how a call over REST, with a fault, or in the log is
shown.
"""

from __future__ import annotations

import datetime as dt

import pytest
from google.api_core import exceptions
from google.cloud import service_usage_v1

from tests.harness.google_sandbox import (
    CONTAINERS,
    IMAGE,
    SHOP,
    Google,
    call_rest,
    error_info,
    read_policy,
    start_google,
)


def test_an_api_that_is_not_enabled_refuses_until_it_is() -> None:
    with start_google(propagation=30) as running:
        google = Google(running)
        del google.state.projects["acme-shop"].services["artifactregistry.googleapis.com"]
        with pytest.raises(exceptions.PermissionDenied, match="has not been used in project") as caught:
            google.registries.get_repository(name=CONTAINERS)
        reason, _, metadata = error_info(caught.value)
        assert (reason, metadata["service"]) == ("SERVICE_DISABLED", "artifactregistry.googleapis.com")
        assert metadata["consumer"] == "projects/734512906481"
        usage = google.client(service_usage_v1.ServiceUsageClient)
        service = f"{SHOP}/services/artifactregistry.googleapis.com"
        assert usage.get_service(request={"name": service}).state == service_usage_v1.State.DISABLED
        operation = usage.batch_enable_services(
            request={"parent": SHOP, "service_ids": ["artifactregistry.googleapis.com"]}
        )
        assert not operation.operation.done
        running.sandbox.advance(dt.timedelta(seconds=31))
        (enabled,) = operation.result(timeout=20).services
        assert enabled.state == service_usage_v1.State.ENABLED
        assert google.registries.get_repository(name=CONTAINERS).format_.name == "DOCKER"


def test_rest_and_grpc_refuse_in_the_same_words(google: Google) -> None:
    account = google.state.add_account("acme-shop", "same-words")
    google.state.projects["acme-shop"].constraints["iam.disableServiceAccountKeyCreation"] = True
    status, answer = call_rest(google, "POST", f"/v1/{account.name}/keys", {})
    with pytest.raises(exceptions.FailedPrecondition) as caught:
        google.iam.create_service_account_key(name=account.name)
    assert status == 400
    assert answer["error"]["status"] == "FAILED_PRECONDITION"
    assert answer["error"]["message"] == caught.value.message
    assert answer["error"]["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [
                {
                    "type": "constraints/iam.disableServiceAccountKeyCreation",
                    "subject": f"{account.name}?configvalue={account.email.replace('@', '%40')}",
                    "description": "Key creation is not allowed on this service account.",
                }
            ],
        }
    ]


def test_a_fault_of_a_grpc_call_is_as_the_network_would_have_it(google: Google) -> None:
    account = google.state.add_account("acme-shop", "faulty-keys")
    faults = google.running.sandbox.faults
    faults.add("iam.CreateServiceAccountKey=429;retry-after=7")
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        google.iam.create_service_account_key(name=account.name)
    assert caught.value.details[0].retry_delay.seconds == 7
    faults.add("iam.CreateServiceAccountKey=reset")
    with pytest.raises(exceptions.ServiceUnavailable):
        google.iam.create_service_account_key(name=account.name)
    assert not account.keys
    faults.add("iam.CreateServiceAccountKey=lost")
    with pytest.raises(exceptions.ServiceUnavailable):
        google.iam.create_service_account_key(name=account.name)
    assert len(account.keys) == 1
    faults.add("iam.CreateServiceAccountKey=hang-after")
    with pytest.raises(exceptions.DeadlineExceeded):
        google.iam.create_service_account_key(name=account.name, timeout=1)
    assert len(account.keys) == 2
    faults.add("iam.CreateServiceAccountKey=malformed")
    with pytest.raises(exceptions.GoogleAPICallError):
        google.iam.create_service_account_key(name=account.name)
    assert len(account.keys) == 3


def test_the_log_tells_changes_from_reads_and_no_secret(google: Google) -> None:
    _, key = google.reader("logged-calls")
    read_policy(google)
    google.token(key, f"repository:{IMAGE}:pull")
    calls = google.running.sandbox.log.calls
    told = {f"{it.api}.{it.method}": it.changes for it in calls}
    assert told["iam.CreateServiceAccountKey"] is True
    assert told["resourcemanager.GetIamPolicy"] is False
    assert told["registry.GetToken"] is False
    assert "PRIVATE KEY" not in str(calls)


def test_enabling_an_api_names_its_operation_and_later_the_service(google: Google) -> None:
    client = google.client(service_usage_v1.ServiceUsageClient)
    operation = client.enable_service(request={"name": f"{SHOP}/services/run.googleapis.com"})
    assert not operation.operation.done
    assert operation.result(timeout=20).service.state == service_usage_v1.State.ENABLED
    assert client.enable_service(request={"name": f"{SHOP}/services/run.googleapis.com"}).operation.done

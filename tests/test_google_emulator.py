"""The Google emulator, judged by programs not written here: Google's SDKs over TLS, `gcloud`, `skopeo`.

All share one sandbox per module where they do not set it up differently: gRPC reads its trusted roots once per
process, so SDK clients are given them as channel credentials, which works for several sandboxes.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.cloud import iam_admin_v1, orgpolicy_v2, service_usage_v1
from google.iam.v1 import iam_policy_pb2, options_pb2, policy_pb2
from google.type import expr_pb2

from tests.harness.google_sandbox import (
    CONTAINERS,
    READER,
    SHOP,
    Google,
    KeyCredentials,
    start_google,
)
from tests.harness.running_sandbox import RunningSandbox

DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
IMAGE = "acme-shop/containers/checkout"


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSandbox]:
    with start_google() as running:
        yield running


@pytest.fixture
def google(shared: RunningSandbox) -> Iterator[Google]:
    found = Google(shared)
    yield found
    found.state.denied_permissions.clear()
    found.state.projects["acme-shop"].constraints.clear()
    found.running.sandbox.faults.faults.clear()


def info_of(error: exceptions.GoogleAPICallError) -> tuple[str, str, dict[str, str]]:
    return error.reason, error.domain, dict(error.metadata)


# -- service accounts --------------------------------------------------------------------------------------------


def test_an_account_goes_through_its_whole_life(google: Google) -> None:
    iam = google.iam
    made = iam.create_service_account(
        name=SHOP, account_id="life-cycle", service_account={"display_name": "Life", "description": "of it"}
    )
    assert made.name == f"{SHOP}/serviceAccounts/life-cycle@acme-shop.iam.gserviceaccount.com"
    assert made.unique_id.isdigit()
    with pytest.raises(
        exceptions.AlreadyExists, match="life-cycle already exists within project projects/acme-shop"
    ):
        iam.create_service_account(name=SHOP, account_id="life-cycle")
    iam.disable_service_account(request={"name": made.name})
    assert iam.get_service_account(name=made.name).disabled
    iam.enable_service_account(request={"name": made.name})
    iam.patch_service_account(
        request={
            "service_account": {"name": made.name, "display_name": "Other"},
            "update_mask": {"paths": ["display_name"]},
        }
    )
    shown = iam.get_service_account(name=made.name)
    assert (shown.disabled, shown.display_name, shown.description) == (False, "Other", "of it")
    google.state.projects["acme-shop"].policy.grant(
        READER, f"serviceAccount:{made.email}", since=google.state.now()
    )
    iam.delete_service_account(name=made.name)
    with pytest.raises(exceptions.NotFound):
        iam.get_service_account(name=made.name)
    assert f"deleted:serviceAccount:{made.email}?uid={made.unique_id}" in members(google, READER)
    back = iam.undelete_service_account(request={"name": f"{SHOP}/serviceAccounts/{made.unique_id}"})
    assert back.restored_account.email == made.email
    assert f"serviceAccount:{made.email}" in members(google, READER)
    iam.delete_service_account(name=made.name)
    again = iam.create_service_account(name=SHOP, account_id="life-cycle")
    assert again.unique_id != made.unique_id
    assert f"serviceAccount:{made.email}" not in members(google, READER), (
        "a new account of an old name has no grants"
    )


def members(google: Google, role: str) -> set[str]:
    policy = google.projects.get_iam_policy(
        request={"resource": SHOP, "options": {"requested_policy_version": 3}}
    )
    return {member for binding in policy.bindings if binding.role == role for member in binding.members}


@pytest.mark.parametrize(
    "account_id", ["short", "x" * 31, "Capital-Letters", "1-begins-with-a-digit", "ends-with-"]
)
def test_a_bad_account_id_is_refused(google: Google, account_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        google.iam.create_service_account(name=SHOP, account_id=account_id)


def test_a_page_of_accounts_leads_to_the_next(google: Google) -> None:
    for number in range(3):
        google.state.add_account("acme-images", f"paged-{number}")
    google.state.projects["acme-images"].policy.grant(
        "roles/viewer",
        f"serviceAccount:{google.state.operator}",
        since=google.state.now() - dt.timedelta(days=1),
    )
    pages = google.iam.list_service_accounts(request={"name": "projects/acme-images", "page_size": 2}).pages
    assert [len(page.accounts) for page in pages] == [2, 1]


# -- keys --------------------------------------------------------------------------------------------------------


def test_a_key_is_a_real_key_file_that_google_auth_can_use(google: Google) -> None:
    account, text = google.reader("real-key")
    content = json.loads(text)
    assert set(content) == {
        "type",
        "project_id",
        "private_key_id",
        "private_key",
        "client_email",
        "client_id",
        "auth_uri",
        "token_uri",
        "auth_provider_x509_cert_url",
        "client_x509_cert_url",
        "universe_domain",
    }
    assert content["token_uri"] == f"https://localhost:{google.emulator.https_port}/token"
    assert len(content["private_key_id"]) == 40
    private_key = serialization.load_pem_private_key(content["private_key"].encode(), None)
    assert isinstance(private_key, rsa.RSAPrivateKey)
    assert private_key.key_size == 2048
    listed = google.iam.list_service_account_keys(name=account.name, key_types=["USER_MANAGED"]).keys
    assert [key.name.rsplit("/", 1)[1] for key in listed] == [content["private_key_id"]]
    assert not listed[0].private_key_data, "a key shows its private half once"
    assert listed[0].valid_before_time.year == 9999


def test_a_created_account_is_listed_with_a_key_that_google_manages(google: Google) -> None:
    made = google.iam.create_service_account(name=SHOP, account_id="system-keys")
    kinds = iam_admin_v1.ListServiceAccountKeysRequest.KeyType
    listed = google.iam.list_service_account_keys(name=made.name).keys
    assert [key.key_type for key in listed] == [kinds.SYSTEM_MANAGED]


def test_the_eleventh_key_is_refused(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    account = google.state.add_account("acme-shop", "full-of-keys")
    public = rsa.generate_private_key(65537, 2048).public_key()
    for _ in range(10):
        google.state.add_key(account, public)
    with pytest.raises(exceptions.FailedPrecondition, match="Precondition check failed") as now:
        google.iam.create_service_account_key(name=account.name)
    assert now.value.details == []
    monkeypatch.setattr(google.state, "former_key_limit", True)
    with pytest.raises(
        exceptions.ResourceExhausted, match="Maximum number of keys on account reached"
    ) as caught:
        google.iam.create_service_account_key(name=account.name)
    assert [detail.retry_delay.seconds for detail in caught.value.details] == [86401]


def test_a_key_for_nobody_is_not_found(google: Google) -> None:
    email = "nobody-there@acme-shop.iam.gserviceaccount.com"
    with pytest.raises(exceptions.NotFound, match="Unknown service account"):
        google.iam.create_service_account_key(name=f"{SHOP}/serviceAccounts/{email}")
    with pytest.raises(exceptions.NotFound, match="Gaia id not found for email"):
        google.iam.create_service_account_key(name=f"projects/-/serviceAccounts/{email}")
    with pytest.raises(exceptions.PermissionDenied):
        google.iam.get_service_account(name=f"projects/-/serviceAccounts/{email}")


@pytest.mark.parametrize(
    ("constraint", "detail"),
    [
        ("iam.disableServiceAccountKeyCreation", "constraints/iam.disableServiceAccountKeyCreation"),
        (
            "iam.managed.disableServiceAccountKeyCreation",
            "constraints/iam.managed.disableServiceAccountKeyCreation",
        ),
    ],
)
def test_an_organisation_policy_forbids_keys_and_is_shown(
    google: Google, constraint: str, detail: str
) -> None:
    policies = google.client(orgpolicy_v2.OrgPolicyClient)
    name = f"{SHOP}/policies/{constraint}"
    assert [rule.enforce for rule in policies.get_effective_policy(name=name).spec.rules] == [False]
    google.state.projects["acme-shop"].constraints[constraint] = True
    assert [rule.enforce for rule in policies.get_effective_policy(name=name).spec.rules] == [True]
    account = google.state.account("ci-deployer@acme-shop.iam.gserviceaccount.com")
    assert account is not None
    before = len(account.keys)
    with pytest.raises(exceptions.FailedPrecondition) as caught:
        google.iam.create_service_account_key(name=account.name)
    assert detail in str(caught.value.details[0])
    assert len(account.keys) == before


def test_an_uploaded_certificate_becomes_a_key_with_its_dates(google: Google) -> None:
    account = google.state.add_account("acme-shop", "uploaded-key")
    private_key = rsa.generate_private_key(65537, 2048)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unused")])
    certificate = (
        x509.CertificateBuilder(name, name, private_key.public_key(), 1)
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(private_key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    key = google.iam.upload_service_account_key(request={"name": account.name, "public_key_data": pem})
    assert key.valid_before_time == now + dt.timedelta(days=30)
    assert key.key_origin == iam_admin_v1.ServiceAccountKeyOrigin.USER_PROVIDED
    text = google.state.key_file(account, account.keys[key.name.rsplit("/", 1)[1]], private_key).decode()
    assert google.token(text, "")[0] == 200


def certificate(private_key: rsa.RSAPrivateKey, days: int) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unused")])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder(name, name, private_key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(private_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


@pytest.mark.parametrize("uploaded", [True, False])
def test_the_public_half_of_a_key_is_shown_as_a_certificate_and_raw(google: Google, uploaded: bool) -> None:
    account = google.state.add_account("acme-shop", f"public-half-{uploaded}".lower())
    private_key = rsa.generate_private_key(65537, 2048)
    if uploaded:
        pem = certificate(private_key, 30)
        key = google.iam.upload_service_account_key(request={"name": account.name, "public_key_data": pem})
    else:
        key = google.iam.create_service_account_key(name=account.name)
        loaded = serialization.load_pem_private_key(json.loads(key.private_key_data)["private_key"].encode(), None)  # fmt: skip
        assert isinstance(loaded, rsa.RSAPrivateKey)
        private_key = loaded

    def shown(kind: str) -> bytes:
        found = google.iam.get_service_account_key(request={"name": key.name, "public_key_type": kind})
        return bytes(found.public_key_data)

    wanted = private_key.public_key()
    assert x509.load_pem_x509_certificate(shown("TYPE_X509_PEM_FILE")).public_key() == wanted
    assert serialization.load_pem_public_key(shown("TYPE_RAW_PUBLIC_KEY")) == wanted
    assert shown("TYPE_NONE") == b""


@pytest.mark.parametrize(("policy", "days"), [((), 3651), (("720h",), 31)])
def test_a_certificate_that_spans_too_long_is_refused(
    google: Google, policy: tuple[str, ...], days: int
) -> None:
    account = google.state.add_account("acme-shop", f"spans-{days}-days")
    google.state.projects["acme-shop"].constraints["iam.serviceAccountKeyExpiryHours"] = policy
    private_key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(exceptions.InvalidArgument, match="longer than the max allowed lifetime"):
        google.iam.upload_service_account_key(
            request={"name": account.name, "public_key_data": certificate(private_key, days)}
        )
    pem = certificate(private_key, days - 1)
    google.iam.upload_service_account_key(request={"name": account.name, "public_key_data": pem})


@pytest.mark.parametrize("constraint", ["iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload"])  # fmt: skip
def test_a_policy_against_uploads_forbids_no_creation(google: Google, constraint: str) -> None:
    account = google.state.add_account("acme-shop", f"no-uploads-{len(constraint)}")
    google.state.projects["acme-shop"].constraints[constraint] = True
    pem = certificate(rsa.generate_private_key(65537, 2048), 30)
    with pytest.raises(exceptions.FailedPrecondition):
        google.iam.upload_service_account_key(request={"name": account.name, "public_key_data": pem})
    google.iam.create_service_account_key(name=account.name)


# -- policies ----------------------------------------------------------------------------------------------------


def read_policy(google: Google, version: int = 3) -> Any:
    options = options_pb2.GetPolicyOptions(requested_policy_version=version)
    request = iam_policy_pb2.GetIamPolicyRequest(resource=SHOP, options=options)
    return google.projects.get_iam_policy(request=request)


def write_policy(google: Google, policy: Any) -> Any:
    return google.projects.set_iam_policy(
        request=iam_policy_pb2.SetIamPolicyRequest(resource=SHOP, policy=policy)
    )


def test_a_binding_is_added_and_the_condition_of_another_survives(google: Google) -> None:
    account, _ = google.reader("policy-member")
    policy = read_policy(google)
    conditions = [it.condition for it in policy.bindings if it.HasField("condition")]
    assert len(conditions) == 1
    policy.bindings.append(policy_pb2.Binding(role=READER, members=[account.member]))
    write_policy(google, policy)
    after = read_policy(google)
    assert [it.condition for it in after.bindings if it.HasField("condition")] == conditions
    assert account.member in members(google, READER)
    assert after.version == 3


def test_a_stale_etag_is_aborted_and_nothing_is_written(google: Google) -> None:
    first, second = read_policy(google), read_policy(google)
    first.bindings.append(policy_pb2.Binding(role="roles/viewer", members=["user:one@acme.example"]))
    write_policy(google, first)
    second.bindings.append(policy_pb2.Binding(role="roles/viewer", members=["user:two@acme.example"]))
    with pytest.raises(exceptions.Aborted, match="There were concurrent policy changes"):
        write_policy(google, second)
    assert "user:two@acme.example" not in members(google, "roles/viewer")


def test_a_read_below_version_3_hides_conditions_and_cannot_be_written_back(google: Google) -> None:
    policy = read_policy(google, version=1)
    assert policy.version == 1
    assert not any(it.HasField("condition") for it in policy.bindings)
    renamed = [it for it in policy.bindings if "_withcond_" in it.role]
    assert [it.role.partition("_withcond_")[0] for it in renamed] == ["roles/browser"]
    with pytest.raises(exceptions.InvalidArgument, match="is not supported for this resource"):
        write_policy(google, policy)
    policy.bindings.remove(renamed[0])
    with pytest.raises(exceptions.InvalidArgument, match="must specify policy version 3"):
        write_policy(google, policy)
    assert any(it.HasField("condition") for it in read_policy(google).bindings)


def test_a_write_without_etag_below_version_3_loses_the_conditions() -> None:
    with start_google() as running:
        google = Google(running)
        policy = read_policy(google)
        kept = [it for it in policy.bindings if not it.HasField("condition")]
        write_policy(google, policy_pb2.Policy(bindings=kept, version=1))
        assert not any(it.HasField("condition") for it in read_policy(google).bindings)


@pytest.mark.parametrize(
    ("member", "role"),
    [
        ("serviceAccount:not-there@acme-shop.iam.gserviceaccount.com", READER),
        ("acme-shop", READER),
        ("serviceAccount:no at sign", READER),
        ("user:someone@acme.example", "projects/acme-shop/roles/notThere"),
        ("user:someone@acme.example", "roles/artifactregistry.raeder"),
        ("user:someone@acme.example", "artifactregistry.reader"),
    ],
)
def test_a_policy_that_names_what_is_not_there_is_refused(google: Google, member: str, role: str) -> None:
    policy = read_policy(google)
    policy.bindings.append(policy_pb2.Binding(role=role, members=[member]))
    with pytest.raises(exceptions.InvalidArgument):
        write_policy(google, policy)


def test_a_repository_has_its_own_policy_and_refuses_foreign_roles(google: Google) -> None:
    registries = google.registries
    policy = registries.get_iam_policy(request={"resource": CONTAINERS})
    assert "group:developers@acme.example" in [m for b in policy.bindings for m in b.members]
    policy.bindings.append(
        policy_pb2.Binding(role="roles/storage.objectViewer", members=["user:one@acme.example"])
    )
    with pytest.raises(exceptions.InvalidArgument, match="is not supported for this resource"):
        registries.set_iam_policy(request={"resource": CONTAINERS, "policy": policy})


# -- rights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        (
            "iam.serviceAccounts.create",
            lambda it: it.iam.create_service_account(name=SHOP, account_id="not-made"),
        ),
        ("resourcemanager.projects.setIamPolicy", lambda it: write_policy(it, read_policy(it))),
        ("artifactregistry.repositories.get", lambda it: it.registries.get_repository(name=CONTAINERS)),
    ],
)
def test_a_permission_that_the_operator_lacks_is_named(google: Google, permission: str, call: Any) -> None:
    google.state.denied_permissions.add(permission)
    with pytest.raises(exceptions.PermissionDenied) as caught:
        call(google)
    reason, domain, metadata = info_of(caught.value)
    assert reason == "IAM_PERMISSION_DENIED"
    assert domain.endswith(".googleapis.com")
    assert metadata["permission"] == permission


def test_permissions_can_be_tested_where_they_count(google: Google) -> None:
    google.state.denied_permissions.add("iam.serviceAccountKeys.create")
    asked = ["iam.serviceAccountKeys.create", "iam.serviceAccountKeys.list"]
    assert google.projects.test_iam_permissions(resource=SHOP, permissions=asked).permissions == asked[1:]
    on_other = google.projects.test_iam_permissions(resource="projects/no-such-project", permissions=asked)
    assert not on_other.permissions
    found = google.registries.test_iam_permissions(
        request={"resource": CONTAINERS, "permissions": [DOWNLOAD]}
    )
    assert found.permissions == [DOWNLOAD]


def test_a_project_that_is_not_there_looks_like_one_that_may_not_be_seen(google: Google) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
        google.projects.get_project(name="projects/no-such-project")
    with pytest.raises(exceptions.NotFound):
        google.registries.get_repository(name=f"{SHOP}/locations/us/repositories/nothing")
    assert "acme-shop" in [it.project_id for it in google.projects.search_projects()]


def test_a_caller_without_a_good_token_is_unauthenticated(google: Google) -> None:
    context = {"Authorization": "Bearer ya29.made-up"}
    for headers, reason in (({}, "CREDENTIALS_MISSING"), (context, "ACCESS_TOKEN_TYPE_UNSUPPORTED")):
        status, body = rest(google, "GET", f"/v1/{SHOP}", headers=headers)
        assert status == 401
        assert body["error"]["details"][0]["reason"] == reason
    account, text = google.reader("wrong-caller")
    credentials = KeyCredentials.from_service_account_info(json.loads(text))
    iam = google.client(iam_admin_v1.IAMClient, credentials.with_always_use_jwt_access(True))
    with pytest.raises(exceptions.PermissionDenied):
        iam.get_service_account(name=account.name)
    account.keys.clear()
    with pytest.raises(exceptions.Unauthenticated):
        iam.get_service_account(name=account.name)


# -- services ----------------------------------------------------------------------------------------------------


def test_an_api_that_is_not_enabled_refuses_until_it_is() -> None:
    with start_google(propagation=30) as running:
        google = Google(running)
        del google.state.projects["acme-shop"].services["artifactregistry.googleapis.com"]
        with pytest.raises(exceptions.PermissionDenied, match="has not been used in project") as caught:
            google.registries.get_repository(name=CONTAINERS)
        reason, _, metadata = info_of(caught.value)
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


# -- OAuth -------------------------------------------------------------------------------------------------------


def test_a_key_is_exchanged_for_a_token_and_the_token_is_taken(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", google.running.environment["REQUESTS_CA_BUNDLE"])
    scope = "https://www.googleapis.com/auth/cloud-platform"
    credentials = KeyCredentials.from_service_account_file(google.operator_file, scopes=[scope])
    credentials.refresh(Request())
    assert credentials.token.startswith("ya29.")
    assert rest(google, "GET", f"/v1/{SHOP}", token=credentials.token)[0] == 200
    _, text = google.reader("oauth-refused")
    wrong = json.loads(text) | {"private_key_id": "0" * 40}
    with pytest.raises(Exception, match="Invalid JWT Signature"):
        KeyCredentials.from_service_account_info(wrong, scopes=[scope]).refresh(Request())


def test_impersonation_needs_the_right_to_it(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "600s"}
    path = "/v1/projects/-/serviceAccounts/{}:generateAccessToken"
    allowed, refused = "registry-setup@acme-admin", "ci-deployer@acme-shop"
    status, answer = rest(google, "POST", path.format(f"{allowed}.iam.gserviceaccount.com"), body)
    assert status == 200
    assert rest(google, "GET", f"/v1/{SHOP}", token=answer["accessToken"])[0] == 200
    status, answer = rest(google, "POST", path.format(f"{refused}.iam.gserviceaccount.com"), body)
    assert status == 403
    assert answer["error"]["details"][0]["metadata"]["permission"] == "iam.serviceAccounts.getAccessToken"


def rest(
    google: Google,
    verb: str,
    path: str,
    body: Any = None,
    *,
    token: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    used = token or google.emulator.tokens.issue(google.state.operator)[0]
    request = urllib.request.Request(
        f"http://127.0.0.1:{google.emulator.rest_port}{path}",
        method=verb,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {used}"} if headers is None else headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_rest_and_grpc_refuse_in_the_same_words(google: Google) -> None:
    account = google.state.add_account("acme-shop", "same-words")
    google.state.projects["acme-shop"].constraints["iam.disableServiceAccountKeyCreation"] = True
    status, answer = rest(google, "POST", f"/v1/{account.name}/keys", {})
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


# -- propagation -------------------------------------------------------------------------------------------------


def test_what_is_new_is_not_known_everywhere_at_once() -> None:
    with start_google(propagation=60) as running:
        google = Google(running)
        account = google.iam.create_service_account(name=SHOP, account_id="brand-new")
        member = f"serviceAccount:{account.email}"
        policy = google.registries.get_iam_policy(request={"resource": CONTAINERS})
        policy.bindings.append(policy_pb2.Binding(role=READER, members=[member]))
        request = {"resource": CONTAINERS, "policy": policy}
        with pytest.raises(
            exceptions.InvalidArgument, match=f"Service account {account.email} does not exist"
        ):
            google.registries.set_iam_policy(request=request)
        with pytest.raises(exceptions.NotFound):
            google.iam.create_service_account_key(name=account.name)
        running.sandbox.advance(dt.timedelta(seconds=61))
        google.registries.set_iam_policy(request=request)
        key = google.iam.create_service_account_key(name=account.name).private_key_data.decode()
        scope = f"repository:{IMAGE}:pull"
        assert google.token(key, scope)[0] == 401, "the key is not known yet"
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, scope)[0] == 200
        policy = read_policy(google)
        policy.bindings.append(policy_pb2.Binding(role=READER, members=[member]))
        write_policy(google, policy)
        tools = "repository:acme-shop/tools/drill:pull"
        assert google.token(key, tools)[0] == 403, "the grant has not spread yet"
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, tools)[0] == 200


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_a_key_that_is_taken_away_works_until_that_has_spread(change: str) -> None:
    with start_google(propagation=60.0) as running:
        google = Google(running)
        _, key = google.reader("taken-away")
        scope = f"repository:{IMAGE}:pull"
        running.sandbox.advance(dt.timedelta(seconds=61))
        name = f"{SHOP}/serviceAccounts/{json.loads(key)['client_email']}/keys/{json.loads(key)['private_key_id']}"
        getattr(google.iam, f"{change}_service_account_key")(request={"name": name})
        assert google.token(key, scope)[0] == 200
        running.sandbox.advance(dt.timedelta(seconds=61))
        assert google.token(key, scope)[0] == 401
        with pytest.raises(RefreshError, match="Invalid JWT Signature"):
            refresh(google, key)
        if change == "disable":
            google.iam.enable_service_account_key(request={"name": name})
            assert google.token(key, scope)[0] == 401
            running.sandbox.advance(dt.timedelta(seconds=61))
            assert google.token(key, scope)[0] == 200


def refresh(google: Google, key: str) -> None:
    """Ask the token endpoint for an access token, as google-auth does."""
    import requests

    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the next line
    session.verify = str(google.running.sandbox.authority.bundle)
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    KeyCredentials.from_service_account_info(json.loads(key), scopes=scopes).refresh(Request(session))


def test_anybody_may_pull_from_a_repository_that_is_open_to_all(google: Google) -> None:
    tools = google.state.projects["acme-shop"].repositories["europe-west1", "tools"]
    tools.created = google.state.now() - dt.timedelta(days=1)
    url = "https://europe-west1-docker.pkg.dev/v2/token?scope=repository:acme-shop/tools/drill:pull"
    assert google.fetch(url)[0] == 403
    before, tools.policy = tools.policy, type(tools.policy)()
    try:
        google.state.open_to_all(tools)
        status, _, body = google.fetch(url)
        assert status == 200
        manifest = "https://europe-west1-docker.pkg.dev/v2/acme-shop/tools/drill/manifests/1"
        assert google.fetch(manifest, bearer=body["token"])[0] == 404
        assert google.fetch(manifest)[0] == 401, "without a token it still asks for one"
        push = url.replace(":pull", ":push")
        assert google.fetch(push)[0] == 403
    finally:
        tools.policy = before


def test_a_grant_with_a_condition_pulls_nothing(google: Google) -> None:
    account, key = google.reader("conditional-reader")
    tools = google.state.projects["acme-shop"].repositories["europe-west1", "tools"]
    condition = expr_pb2.Expr(title="always", expression="true")
    tools.policy.grant(READER, account.member, condition=condition, since=google.state.now())
    assert google.token(key, "repository:acme-shop/tools/drill:pull")[0] == 403


# -- registry ----------------------------------------------------------------------------------------------------


def test_the_handshake_leads_to_the_manifest(google: Google) -> None:
    _, key = google.reader("handshake")
    host = "europe-west1-docker.pkg.dev"
    url = f"https://{host}/v2/{IMAGE}/manifests/1.0"
    status, headers, _ = google.fetch(url)
    assert status == 401
    assert headers["WWW-Authenticate"] == (
        f'Bearer realm="https://{host}/v2/token",service="{host}",scope="repository:{IMAGE}:pull"'
    )
    assert (
        google.fetch(f"https://{host}/v2/")[1]["WWW-Authenticate"]
        == f'Bearer realm="https://{host}/v2/token"'
    )
    status, _, body = google.token(key, f"repository:{IMAGE}:pull")
    assert status == 200
    status, headers, manifest = google.fetch(url, bearer=body["token"])
    assert status == 200
    assert manifest["schemaVersion"] == 2
    assert headers["Docker-Content-Digest"].startswith("sha256:")
    status, _, missing = google.fetch(url.replace("1.0", "2.0"), bearer=body["token"])
    assert (status, missing["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    google.running.sandbox.advance(dt.timedelta(hours=13))
    try:
        assert google.fetch(url, bearer=body["token"])[0] == 401, "a token ends after twelve hours"
    finally:
        google.running.sandbox.advance(-dt.timedelta(hours=13))


def test_a_key_is_refused_when_it_is_not_or_no_longer_good(google: Google) -> None:
    account, key = google.reader("refused-key")
    scope = f"repository:{IMAGE}:pull"
    key_id = json.loads(key)["private_key_id"]
    other = json.loads(google.reader("another-key")[1])
    assert google.token(key, scope)[0] == 200
    forged = json.dumps(json.loads(key) | {"private_key": other["private_key"]})
    status, _, body = google.token(forged, scope)
    assert (status, body["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    account.keys[key_id].disabled = True
    assert google.token(key, scope)[0] == 401
    account.keys[key_id].disabled = False
    account.disabled = True
    assert google.token(key, scope)[0] == 401
    account.disabled = False
    assert google.token(key, scope)[0] == 200
    google.iam.delete_service_account_key(name=f"{account.name}/keys/{key_id}")
    assert google.token(key, scope)[0] == 401


def test_an_identity_without_the_role_is_denied_by_the_token_service(google: Google) -> None:
    _, key = google.reader("one-repository")
    status, _, body = google.token(key, "repository:acme-shop/tools/drill:pull")
    assert status == 403
    assert body["errors"] == [
        {
            "code": "DENIED",
            "message": f'Permission "{DOWNLOAD}" denied on resource '
            '"projects/acme-shop/locations/europe-west1/repositories/tools" (or it may not exist)',
        }
    ]
    assert google.token(key, "")[0] == 200, "without a scope, any good credential gets a token"
    anonymous = google.fetch(f"https://europe-west1-docker.pkg.dev/v2/token?scope=repository:{IMAGE}:pull")
    assert anonymous[0] == 403
    assert anonymous[2]["errors"][0]["message"].startswith("Unauthenticated request.")


@pytest.mark.parametrize(("role", "expected"), [(READER, 200), ("roles/storage.objectViewer", 403)])
def test_gcr_io_is_artifact_registry_and_takes_its_roles_only(
    google: Google, role: str, expected: int
) -> None:
    name = "gcr-reader" if expected == 200 else "storage-reader"
    account = google.state.add_account("acme-shop", name)
    google.state.projects["acme-shop"].policy.grant(role, account.member, since=google.state.now())
    key = google.iam.create_service_account_key(name=account.name).private_key_data.decode()
    status, _, body = google.token(key, "repository:acme-shop/checkout:pull", host="gcr.io")
    assert status == expected
    if status == 200:
        url = "https://gcr.io/v2/acme-shop/checkout/manifests/1.0"
        assert google.fetch(url, bearer=body["token"])[0] == 200


def test_a_key_passes_in_base64_and_an_access_token_as_it_is(google: Google) -> None:
    account, key = google.reader("other-users")
    url = f"https://docker.europe-west1.rep.pkg.dev/v2/token?scope=repository:{IMAGE}:pull"
    encoded = base64.b64encode(key.encode()).decode()
    assert google.fetch(url, user="_json_key_base64", password=encoded)[0] == 200
    token, _ = google.emulator.tokens.issue(account.email)
    assert google.fetch(url, user="oauth2accesstoken", password=token)[0] == 200
    assert google.fetch(url, user="someone", password="else")[0] == 401


# -- faults and log ----------------------------------------------------------------------------------------------


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


# -- programs ----------------------------------------------------------------------------------------------------


def run(google: Google, *command: str) -> subprocess.CompletedProcess[str]:
    environment = google.running.process_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.needs_cloud_cli("gcloud")
@pytest.mark.needs_debian
def test_the_documented_commands_make_a_key_that_skopeo_pulls_with(google: Google, tmp_path: Path) -> None:
    email = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
    member, file = f"--member=serviceAccount:{email}", tmp_path / "key.json"
    account = f"--iam-account={email}"
    keys = ("gcloud", "iam", "service-accounts", "keys")
    grant = (member, f"--role={READER}")
    done = [
        run(google, "gcloud", "iam", "service-accounts", "create", "akka-docker-reader"),
        run(google, "gcloud", "projects", "add-iam-policy-binding", "acme-shop", *grant, "--condition=None"),
        run(
            google,
            *("gcloud", "artifacts", "repositories", "add-iam-policy-binding", "containers"),
            "--location=europe-west1",
            *grant,
        ),
        run(google, *keys, "create", str(file), account),
    ]
    assert [it.returncode for it in done] == [0, 0, 0, 0], [it.stderr for it in done]
    assert any("until the audit is over" in str(it) for it in read_policy(google).bindings)
    key = json.loads(file.read_text())
    listed = run(google, *keys, "list", account, "--managed-by=user", "--format=value(name.basename())")
    assert listed.stdout.split() == [key["private_key_id"]]

    source = f"docker://127.0.0.1:{google.emulator.registry_port}/{IMAGE}:1.0"
    credentials = ("--authfile", str(auth_file(tmp_path, google.emulator.registry_port, file.read_text())))
    copied = run(google, "skopeo", "copy", *credentials, source, f"dir:{tmp_path / 'image'}")
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "image" / "manifest.json").is_file()

    again = run(google, "gcloud", "iam", "service-accounts", "create", "akka-docker-reader")
    assert again.returncode == 1
    assert "already exists within project projects/acme-shop" in again.stderr
    deleted = run(google, *keys, "delete", key["private_key_id"], account)
    assert deleted.returncode == 0, deleted.stderr
    refused = run(google, "skopeo", "inspect", *credentials, source)
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr.lower() or "invalid username/password" in refused.stderr.lower()


def auth_file(directory: Path, port: int, key: str) -> Path:
    """What `skopeo login` would write."""
    path = directory / "auth.json"
    pair = base64.b64encode(f"_json_key:{key}".encode()).decode()
    path.write_text(json.dumps({"auths": {f"127.0.0.1:{port}": {"auth": pair}}}))
    return path


def test_an_sdk_client_needs_only_the_environment(google: Google) -> None:
    program = """
import os
from google.cloud import iam_admin_v1
endpoint = os.environ["PULLKEY_GOOGLE_IAM_ENDPOINT"].removeprefix("https://")
client = iam_admin_v1.IAMClient(client_options={"api_endpoint": endpoint})
print(*(account.email for account in client.list_service_accounts(name="projects/acme-admin").accounts))
"""
    google.state.projects["acme-admin"].policy.grant(
        "roles/viewer", f"serviceAccount:{google.state.operator}", since=google.state.now()
    )
    done = run(google, "python", "-c", program)
    assert google.state.operator in done.stdout, done.stderr
    assert Path(google.operator_file).stat().st_mode & 0o777 == 0o600


def test_who_is_refused_is_not_asked_again_and_a_path_of_one_part_has_no_image(google: Google) -> None:
    host = "europe-west1-docker.pkg.dev"
    url = f"https://{host}/v2/{IMAGE}/manifests/1.0"
    for status, headers, body in (
        google.fetch(url, bearer="bogus"),
        google.fetch(
            f"https://{host}/v2/token?scope=repository:{IMAGE}:pull", user="oauth2accesstoken", password="no"
        ),
    ):
        assert (status, body["errors"][0]["code"]) == (401, "UNAUTHORIZED")
        assert "WWW-Authenticate" not in headers
    status, headers, body = google.fetch(f"https://{host}/v2/acme-shop/manifests/1.0")
    assert (status, body["errors"][0]["code"]) == (400, "NAME_INVALID")
    assert "WWW-Authenticate" not in headers
    token = google.token(google.reader("twelve-hours")[1], f"repository:{IMAGE}:pull")[2]
    assert token["expires_in"] == 43200


def test_a_gcr_io_host_that_was_never_migrated_names_the_command(google: Google) -> None:
    _, key = google.reader("not-migrated")
    host = "eu.gcr.io"
    status, _, token = google.token(key, "repository:acme-shop/checkout:pull", host)
    assert status == 200
    request = urllib.request.Request(
        f"https://localhost:{google.emulator.registry_port}/v2/acme-shop/checkout/manifests/1"
    )
    request.add_unredirected_header("Host", host)
    request.add_header("Authorization", f"Bearer {token['token']}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(
            request, context=ssl.create_default_context(cadata=google.roots.decode()), timeout=10
        )
    assert refused.value.code == 412
    assert refused.value.headers.get_content_type() == "text/plain"
    assert "gcloud artifacts docker upgrade migrate" in refused.value.read().decode()


def test_enabling_an_api_names_its_operation_and_later_the_service(google: Google) -> None:
    client = google.client(service_usage_v1.ServiceUsageClient)
    operation = client.enable_service(request={"name": f"{SHOP}/services/run.googleapis.com"})
    assert not operation.operation.done
    assert operation.result(timeout=20).service.state == service_usage_v1.State.ENABLED
    assert client.enable_service(request={"name": f"{SHOP}/services/run.googleapis.com"}).operation.done

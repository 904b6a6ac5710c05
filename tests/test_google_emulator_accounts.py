"""The emulated IAM's service accounts and their keys, by Google's SDKs."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.api_core import exceptions
from google.cloud import iam_admin_v1, orgpolicy_v2

from tests.harness.google_sandbox import (
    READER,
    SHOP,
    Google,
    project_members,
)


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
    assert f"deleted:serviceAccount:{made.email}?uid={made.unique_id}" in project_members(google, READER)
    back = iam.undelete_service_account(request={"name": f"{SHOP}/serviceAccounts/{made.unique_id}"})
    assert back.restored_account.email == made.email
    assert f"serviceAccount:{made.email}" in project_members(google, READER)
    iam.delete_service_account(name=made.name)
    again = iam.create_service_account(name=SHOP, account_id="life-cycle")
    assert again.unique_id != made.unique_id
    assert f"serviceAccount:{made.email}" not in project_members(google, READER), (
        "a new account of an old name has no grants"
    )


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
        loaded = serialization.load_pem_private_key(
            json.loads(key.private_key_data)["private_key"].encode(), None
        )
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


@pytest.mark.parametrize(
    "constraint", ["iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload"]
)
def test_a_policy_against_uploads_forbids_no_creation(google: Google, constraint: str) -> None:
    account = google.state.add_account("acme-shop", f"no-uploads-{len(constraint)}")
    google.state.projects["acme-shop"].constraints[constraint] = True
    pem = certificate(rsa.generate_private_key(65537, 2048), 30)
    with pytest.raises(exceptions.FailedPrecondition):
        google.iam.upload_service_account_key(request={"name": account.name, "public_key_data": pem})
    google.iam.create_service_account_key(name=account.name)

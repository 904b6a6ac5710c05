"""IAM v1: service accounts and their keys.

Facts and their sources: account id 6 to 30 characters, `[a-z]([-a-z0-9]*[a-z0-9])` (client docstring); 10
keys per account and what is answered beyond (hail-is/hail#4725, googlearchive/k8s-service-catalog#228); the
refusal by an organisation policy ("Troubleshoot organization policy errors for service accounts"); the
refusal for a permission, which names no resource (everycure-org/matrix#75); below `projects/-` a 403 instead
of a 404 (client docstrings), or for the creation of a key the 404 of an e-mail address that nobody has
(googlecodelabs/feedback#905; 403 in #267).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from google.cloud.iam_admin_v1.types import iam
from google.iam.v1 import iam_policy_pb2
from google.protobuf import empty_pb2

from bootstrap.sandbox.host import Visible
from providers.gcr.emulator.access import Access, Caller
from providers.gcr.emulator.api import Api, Handler, Http, Rpc, message_class
from providers.gcr.emulator.errors import (
    CloudError,
    error_info,
    invalid_argument,
    permission_denied,
    precondition_failure,
    retry_info,
)
from providers.gcr.emulator.state import (
    NEVER,
    GoogleState,
    Key,
    Project,
    ServiceAccount,
    system_managed_public_key,
)

_SERVICE: Final = "iam.googleapis.com"
_GRPC: Final = "google.iam.admin.v1.IAM"
_KEYS_PER_ACCOUNT: Final = 10
_DAY_AND_A_SECOND: Final = 86401
_ACCOUNT_ID: Final = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])$")
_LONGEST_SPAN: Final = dt.timedelta(days=3650)
_UNDELETE_WINDOW: Final = dt.timedelta(days=30)
_ACCOUNT_PATH: Final = "projects/*/serviceAccounts/*"
_KEY_PATH: Final = "projects/*/serviceAccounts/*/keys/*"
_CREATE_KEY: Final = "iam.serviceAccountKeys.create"
_KEY_TYPE: Final = iam.ListServiceAccountKeysRequest.KeyType


class IamApi:
    """The API's methods."""

    def __init__(self, state: GoogleState, access: Access) -> None:
        self._state = state
        self._access = access

    def api(self) -> Api:
        def rpc(
            method: str, request: Any, handler: Handler, verb: str, path: str, *, changes: bool = False
        ) -> Rpc:
            return Rpc(_GRPC, method, request, handler, (Http(verb, "/v1/" + path),), changes)

        def proto(name: str) -> Any:
            return message_class(getattr(iam, name))

        account, key = f"{{name={_ACCOUNT_PATH}}}", f"{{name={_KEY_PATH}}}"
        rpcs = (
            rpc(
                "ListServiceAccounts",
                proto("ListServiceAccountsRequest"),
                self.list_accounts,
                "GET",
                "{name=projects/*}/serviceAccounts",
            ),
            rpc("GetServiceAccount", proto("GetServiceAccountRequest"), self.get_account, "GET", account),
            rpc(
                "CreateServiceAccount",
                proto("CreateServiceAccountRequest"),
                self.create_account,
                "POST",
                "{name=projects/*}/serviceAccounts",
                changes=True,
            ),
            rpc(
                "PatchServiceAccount",
                proto("PatchServiceAccountRequest"),
                self.patch_account,
                "PATCH",
                f"{{service_account.name={_ACCOUNT_PATH}}}",
                changes=True,
            ),
            rpc(
                "DeleteServiceAccount",
                proto("DeleteServiceAccountRequest"),
                self.delete_account,
                "DELETE",
                account,
                changes=True,
            ),
            rpc(
                "UndeleteServiceAccount",
                proto("UndeleteServiceAccountRequest"),
                self.undelete_account,
                "POST",
                account + ":undelete",
                changes=True,
            ),
            rpc(
                "EnableServiceAccount",
                proto("EnableServiceAccountRequest"),
                self.enable_account,
                "POST",
                account + ":enable",
                changes=True,
            ),
            rpc(
                "DisableServiceAccount",
                proto("DisableServiceAccountRequest"),
                self.disable_account,
                "POST",
                account + ":disable",
                changes=True,
            ),
            rpc(
                "ListServiceAccountKeys",
                proto("ListServiceAccountKeysRequest"),
                self.list_keys,
                "GET",
                account + "/keys",
            ),
            rpc("GetServiceAccountKey", proto("GetServiceAccountKeyRequest"), self.get_key, "GET", key),
            rpc(
                "CreateServiceAccountKey",
                proto("CreateServiceAccountKeyRequest"),
                self.create_key,
                "POST",
                account + "/keys",
                changes=True,
            ),
            rpc(
                "UploadServiceAccountKey",
                proto("UploadServiceAccountKeyRequest"),
                self.upload_key,
                "POST",
                account + "/keys:upload",
                changes=True,
            ),
            rpc(
                "DeleteServiceAccountKey",
                proto("DeleteServiceAccountKeyRequest"),
                self.delete_key,
                "DELETE",
                key,
                changes=True,
            ),
            rpc(
                "DisableServiceAccountKey",
                proto("DisableServiceAccountKeyRequest"),
                self.disable_key,
                "POST",
                key + ":disable",
                changes=True,
            ),
            rpc(
                "EnableServiceAccountKey",
                proto("EnableServiceAccountKeyRequest"),
                self.enable_key,
                "POST",
                key + ":enable",
                changes=True,
            ),
            rpc(
                "GetIamPolicy",
                iam_policy_pb2.GetIamPolicyRequest,
                self.get_policy,
                "POST",
                f"{{resource={_ACCOUNT_PATH}}}:getIamPolicy",
            ),
            rpc(
                "SetIamPolicy",
                iam_policy_pb2.SetIamPolicyRequest,
                self.set_policy,
                "POST",
                f"{{resource={_ACCOUNT_PATH}}}:setIamPolicy",
                changes=True,
            ),
            rpc(
                "TestIamPermissions",
                iam_policy_pb2.TestIamPermissionsRequest,
                self.test_permissions,
                "POST",
                f"{{resource={_ACCOUNT_PATH}}}:testIamPermissions",
            ),
        )
        return Api("iam", _SERVICE, rpcs, older_errors=True)

    # -- accounts --------------------------------------------------------------------------------------------

    async def list_accounts(self, caller: Caller, request: Any) -> Any:
        project = self._project(caller, request.name, "iam.serviceAccounts.list")
        everyone = sorted(self._state.listed_accounts(project), key=lambda it: it.email)
        size = min(request.page_size or 20, 100)
        begin = int(request.page_token or 0)
        more = str(begin + size) if begin + size < len(everyone) else ""
        page = [_account_message(it) for it in everyone[begin : begin + size]]
        return message_class(iam.ListServiceAccountsResponse)(accounts=page, next_page_token=more)

    async def get_account(self, caller: Caller, request: Any) -> Any:
        return _account_message(self._account(caller, request.name, "iam.serviceAccounts.get", reads=True))

    async def create_account(self, caller: Caller, request: Any) -> Any:
        project = self._project(caller, request.name, "iam.serviceAccounts.create")
        _check_account_id(request.account_id)
        self._check_constraint(
            project,
            "iam.disableServiceAccountCreation",
            f"projects/{project.id}",
            "Service account creation is not allowed on this project.",
        )
        email = f"{request.account_id}@{project.id}.iam.gserviceaccount.com"
        if email in project.accounts:
            raise CloudError(
                "ALREADY_EXISTS",
                f"Service account {request.account_id} already exists within project projects/{project.id}.",
            )
        if len(project.accounts) >= self._state.accounts_per_project:
            raise CloudError("RESOURCE_EXHAUSTED", "Maximum number of service accounts on project reached.")
        account = self._state.add_account(project.id, request.account_id)
        account.display_name = request.service_account.display_name
        account.description = request.service_account.description
        # Every account has a key that Google manages.
        self._state.add_key(account, system_managed_public_key(), system_managed=True)
        return _account_message(account)

    async def patch_account(self, caller: Caller, request: Any) -> Any:
        account = self._account(caller, request.service_account.name, "iam.serviceAccounts.update")
        for path in request.update_mask.paths:
            if path not in ("display_name", "description"):
                raise invalid_argument(f"Invalid update_mask path {path}.")
            setattr(account, path, getattr(request.service_account, path))
        # The answer has the name and the fields in the mask only.
        patched = {path: getattr(account, path) for path in request.update_mask.paths}
        return message_class(iam.ServiceAccount)(name=account.name, **patched)

    async def delete_account(self, caller: Caller, request: Any) -> Any:
        self._state.delete_account(self._account(caller, request.name, "iam.serviceAccounts.delete"))
        return empty_pb2.Empty()

    async def undelete_account(self, caller: Caller, request: Any) -> Any:
        """Restore a deleted account by its unique id, unless its name is in use again."""
        project_id, unique_id = _parts(request.name)
        for project in self._state.projects.values():
            account = project.deleted_accounts.get(unique_id)
            if account is None or project_id not in ("-", project.id, project.number):
                continue
            self._access.require(caller, "iam.serviceAccounts.undelete", project, _denied)
            if account.email in project.accounts:
                raise CloudError("FAILED_PRECONDITION", f"Service account {account.email} already exists.")
            self._state.undelete_account(account)
            restored = _account_message(account)
            return message_class(iam.UndeleteServiceAccountResponse)(restored_account=restored)
        raise CloudError("NOT_FOUND", f"Service account {request.name} does not exist.")

    async def enable_account(self, caller: Caller, request: Any) -> Any:
        self._account(caller, request.name, "iam.serviceAccounts.enable").disabled = False
        return empty_pb2.Empty()

    async def disable_account(self, caller: Caller, request: Any) -> Any:
        self._account(caller, request.name, "iam.serviceAccounts.disable").disabled = True
        return empty_pb2.Empty()

    # -- keys ------------------------------------------------------------------------------------------------

    async def list_keys(self, caller: Caller, request: Any) -> Any:
        account = self._account(caller, request.name, "iam.serviceAccountKeys.list", reads=True)
        wanted = set(request.key_types) - {_KEY_TYPE.KEY_TYPE_UNSPECIFIED}
        keys = [self._shown_key(account, key) for key in self._state.listed_keys(account)]
        shown = [key for key in keys if not wanted or key.key_type in wanted]
        return message_class(iam.ListServiceAccountKeysResponse)(keys=shown)

    async def get_key(self, caller: Caller, request: Any) -> Any:
        account_name, _, key_id = request.name.partition("/keys/")
        account = self._account(caller, account_name, "iam.serviceAccountKeys.get", reads=True)
        key = next((it for it in self._state.listed_keys(account) if it.id == key_id), None)
        if key is None:
            raise _no_key(key_id)
        message = self._shown_key(account, key)
        if request.public_key_type == iam.ServiceAccountPublicKeyType.TYPE_RAW_PUBLIC_KEY:
            message.public_key_data = key.public_key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        elif request.public_key_type == iam.ServiceAccountPublicKeyType.TYPE_X509_PEM_FILE:
            message.public_key_data = key.certificate or _certificate(account, key)
        return message

    async def create_key(self, caller: Caller, request: Any) -> Any:
        account = self._account(caller, request.name, _CREATE_KEY)
        self._check_may_add_key(account, request.name)
        if request.key_algorithm == iam.ServiceAccountKeyAlgorithm.KEY_ALG_RSA_1024:
            raise invalid_argument("Key algorithm KEY_ALG_RSA_1024 is not supported.")
        if request.private_key_type == iam.ServiceAccountPrivateKeyType.TYPE_PKCS12_FILE:
            raise CloudError("UNIMPLEMENTED", "This sandbox makes no PKCS12 files.")
        private_key = await self._state.private_keys.take()
        # Others may have created keys or deleted the account meanwhile.
        self._check_may_add_key(account, request.name)
        expiry = self._expiry(account)
        key = self._state.add_key(account, private_key.public_key(), valid_before=expiry)
        message = _key_message(account, key)
        message.private_key_type = iam.ServiceAccountPrivateKeyType.TYPE_GOOGLE_CREDENTIALS_FILE
        message.private_key_data = self._state.key_file(account, key, private_key)
        return message

    async def upload_key(self, caller: Caller, request: Any) -> Any:
        """Add the public key of an external key pair, in an X.509 certificate.

        The certificate's dates become the key's, and the key is refused after its expiry (jpassing.com,
        "Limiting the validity of service account keys"). A lifetime of over 3650 days is refused
        (GAM-team/GAM#1127; the same text names the organisation policy). The answer to a certificate that was
        already uploaded is assumed, and so is the form of the key's id.
        """
        account = self._account(caller, request.name, _CREATE_KEY)
        self._check_may_add_key(account, request.name, upload=True)
        try:
            certificate = x509.load_pem_x509_certificate(request.public_key_data)
        except ValueError:
            raise invalid_argument("Public key data is not a valid X.509 certificate.") from None
        public_key = certificate.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey):
            raise invalid_argument("Public key must be an RSA key.")
        self._check_span(account, certificate.not_valid_after_utc - certificate.not_valid_before_utc)
        der = certificate.public_bytes(serialization.Encoding.DER)
        key_id = hashlib.sha256(der).hexdigest()[:40]
        if key_id in account.keys:
            raise CloudError("ALREADY_EXISTS", f"Service account key {key_id} already exists.")
        key = self._state.add_key(
            account,
            public_key,
            key_id=key_id,
            valid_after=certificate.not_valid_before_utc,
            valid_before=certificate.not_valid_after_utc,
            uploaded=True,
        )
        key.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        return _key_message(account, key)

    async def delete_key(self, caller: Caller, request: Any) -> Any:
        account, key = self._key(caller, request.name, "iam.serviceAccountKeys.delete")
        if key.system_managed:
            raise invalid_argument("System-managed keys cannot be deleted.")
        self._state.delete_key(account, key)
        return empty_pb2.Empty()

    async def disable_key(self, caller: Caller, request: Any) -> Any:
        self._state.switch_key(self._key(caller, request.name, "iam.serviceAccountKeys.disable")[1], on=False)
        return empty_pb2.Empty()

    async def enable_key(self, caller: Caller, request: Any) -> Any:
        self._state.switch_key(self._key(caller, request.name, "iam.serviceAccountKeys.enable")[1], on=True)
        return empty_pb2.Empty()

    # -- policies --------------------------------------------------------------------------------------------

    async def get_policy(self, caller: Caller, request: Any) -> Any:
        account = self._account(caller, request.resource, "iam.serviceAccounts.getIamPolicy")
        return self._access.get_policy(account, request)

    async def set_policy(self, caller: Caller, request: Any) -> Any:
        account = self._account(caller, request.resource, "iam.serviceAccounts.setIamPolicy")
        return self._access.set_policy(account, request)

    async def test_permissions(self, caller: Caller, request: Any) -> Any:
        account = self._state.account(_parts(request.resource)[1])
        return self._access.test_permissions(caller, account, request.permissions)

    # -- lookups with permission checks ----------------------------------------------------------------------

    def _project(self, caller: Caller, name: str, permission: str) -> Project:
        project = self._state.project(name.removeprefix("projects/"))
        if project is None:
            raise _denied(permission, name)
        self._access.require_service(project, _SERVICE)
        self._access.require(caller, permission, project, lambda it: _denied(it, f"projects/{project.id}"))
        return project

    def _account(self, caller: Caller, name: str, permission: str, *, reads: bool = False) -> ServiceAccount:
        """The account with this name, if the caller has the permission; for a read, as a replica shows it."""
        project_id, subject = _parts(name)
        account = self._state.account(subject) or (self._still_shown(subject) if reads else None)
        if project_id == "-" and account is not None:
            project_id = account.project_id
        project = self._state.project(project_id)
        if project is None:
            raise _no_gaia_id(subject) if permission == _CREATE_KEY else _denied(permission)
        self._access.require_service(project, _SERVICE)
        self._access.require(caller, permission, account or project, _denied)
        if account is None or account.project_id != project.id:
            raise _unknown_account(project, subject)
        if reads and account.deleted is None:
            self._check_known(account, permission, self._state.shows)
        return account

    def _still_shown(self, subject: str) -> ServiceAccount | None:
        gone = (it for one in self._state.projects.values() for it in one.deleted_accounts.values())
        named = (it for it in gone if subject in (it.email, it.unique_id))
        return next((it for it in named if self._state.still_shows(it)), None)

    def _check_known(self, account: ServiceAccount, permission: str, known: Visible) -> None:
        """Refuse a call on an account that the replica does not know yet: "does not exist", or "forbidden".

        Mostly the former (recorded by GoogleCloudPlatform/k8s-config-connector); for the latter see
        hashicorp/terraform-provider-google#10227 and #15042.
        """
        if known(account.created, "identity", account.email):
            return
        real = self._state.replicas.consistency == "real"
        if real and self._state.replicas.chance("denied", account.email) < 0.25:
            raise _denied(permission)
        raise _no_account(account.name)

    def _shown_key(self, account: ServiceAccount, key: Key) -> Any:
        message = _key_message(account, key)
        message.disabled = self._state.shown_disabled(account, key)
        return message

    def _key(self, caller: Caller, name: str, permission: str) -> tuple[ServiceAccount, Key]:
        account_name, _, key_id = name.partition("/keys/")
        account = self._account(caller, account_name, permission)
        if key_id not in account.keys:
            raise _no_key(key_id)
        return account, account.keys[key_id]

    def _check_may_add_key(self, account: ServiceAccount, name: str, *, upload: bool = False) -> None:
        """Refuse a key for an account that was deleted or is not yet known, has too many, or may
        have none.
        """
        current = self._state.account(account.email)
        below_any = name.startswith("projects/-/")
        if current is not account or (
            below_any and not self._state.visible(account.created, "identity", account.email)
        ):
            raise _no_gaia_id(account.email) if below_any else _no_account(name)
        self._check_known(account, _CREATE_KEY, self._state.visible)
        verb = "upload" if upload else "creation"
        quoted = account.email.replace("@", "%40")
        self._check_constraint(
            self._state.projects[account.project_id],
            "iam.disableServiceAccountKey" + verb.capitalize(),
            f"{account.name}?configvalue={quoted}",
            f"Key {verb} is not allowed on this service account.",
        )
        if account.disabled:
            raise CloudError("FAILED_PRECONDITION", "Service account is disabled.")
        if len(account.user_keys()) >= _KEYS_PER_ACCOUNT:
            raise self._key_limit()

    def _key_limit(self) -> CloudError:
        """The refusal of the eleventh key: since 2021 a failed precondition without details; before, a quota
        with a day to wait.

        Now: googleapis/google-api-dotnet-client#2027, firebase/firebase-tools#6192. In 2018:
        hail-is/hail#4725.
        """
        if self._state.former_key_limit:
            message = "Maximum number of keys on account reached."
            return CloudError("RESOURCE_EXHAUSTED", message, retry_info(_DAY_AND_A_SECOND))
        return CloudError("FAILED_PRECONDITION", "Precondition check failed.")

    def _check_constraint(self, project: Project, constraint: str, subject: str, message: str) -> None:
        """Refuse what an organisation policy forbids, by the legacy constraint or its managed equivalent.

        The text for the managed constraint is from memory of the same page, not from an excerpt.
        """
        if project.enforces(constraint):
            failure = precondition_failure(f"constraints/{constraint}", subject, message)
            raise CloudError("FAILED_PRECONDITION", message, failure)
        managed = constraint.replace("iam.", "iam.managed.", 1)
        if project.enforces(managed):
            raise CloudError(
                "FAILED_PRECONDITION",
                f"Operation denied by org policy on resource '{project.name}': [\"constraints/{managed}\"].",
                error_info(
                    "CUSTOM_ORG_POLICY_VIOLATION",
                    "googleapis.com",
                    customConstraints=f"constraints/{managed}",
                    service=_SERVICE,
                ),
            )

    def _check_span(self, account: ServiceAccount, span: dt.timedelta) -> None:
        longest = self._longest(account) or _LONGEST_SPAN
        if span > longest:
            raise invalid_argument(
                f"The given public key has a lifetime of {span.total_seconds():,.0f} seconds, which "
                "is longer than the "
                f"max allowed lifetime of {longest.total_seconds():,.0f} seconds as specified in "
                "resource settings or "
                "in organization policy."
            )

    def _expiry(self, account: ServiceAccount) -> dt.datetime:
        """The expiry of a new key: never, or after `iam.serviceAccountKeyExpiryHours` (values such as `8h`
        or `is:8h`).
        """
        longest = self._longest(account)
        return self._state.now() + longest if longest else NEVER

    def _longest(self, account: ServiceAccount) -> dt.timedelta | None:
        values = self._state.projects[account.project_id].constraints.get("iam.serviceAccountKeyExpiryHours")
        if not isinstance(values, tuple) or not values:
            return None
        return dt.timedelta(hours=int(values[0].removeprefix("is:").removesuffix("h")))


def _parts(name: str) -> tuple[str, str]:
    """The project and the e-mail address or unique id of `projects/P/serviceAccounts/A`."""
    match name.split("/"):
        case ["projects", project, "serviceAccounts", account]:
            return project, account
    raise invalid_argument(f"Invalid service account name {name}.")


def _check_account_id(account_id: str) -> None:
    if not 6 <= len(account_id) <= 30:
        raise invalid_argument(f'The account ID "{account_id}" does not have a length between 6 and 30.')
    if not _ACCOUNT_ID.match(account_id):
        raise invalid_argument(f'The account ID "{account_id}" must match the pattern {_ACCOUNT_ID.pattern}.')


def _denied(permission: str, resource: str = "") -> CloudError:
    message = f"Permission '{permission}' denied on resource (or it may not exist)."
    return permission_denied(message, _SERVICE, permission, resource)


def _unknown_account(project: Project, subject: str) -> CloudError:
    """The error for an account that does not exist. There are two texts; both differ from that for an account
    that was just created.

    "Unknown service account" came only before a create (GoogleCloudPlatform/k8s-config-connector, 103 of 103
    recorded answers), "does not exist." only after one (10 of 10); one that was deleted is named by its
    unique id (cloud-custodian's recordings).
    """
    for deleted in project.deleted_accounts.values():
        if subject in (deleted.email, deleted.unique_id):
            return CloudError("NOT_FOUND", f"Account deleted: {deleted.unique_id}")
    return CloudError("NOT_FOUND", "Unknown service account")


def _no_key(key_id: str) -> CloudError:
    return CloudError("NOT_FOUND", f"Service account key {key_id} does not exist.")


def _no_account(name: str) -> CloudError:
    return CloudError("NOT_FOUND", f"Service account {name} does not exist.")


def _no_gaia_id(email: str) -> CloudError:
    """The error for an account that does not exist (yet) in a call that does not name its project
    (googlecodelabs/feedback#905).
    """
    return CloudError("NOT_FOUND", f"Not found; Gaia id not found for email {email}")


def _account_message(account: ServiceAccount) -> Any:
    return message_class(iam.ServiceAccount)(
        name=account.name,
        project_id=account.project_id,
        unique_id=account.unique_id,
        email=account.email,
        display_name=account.display_name,
        description=account.description,
        oauth2_client_id=account.unique_id,
        disabled=account.disabled,
        etag=account.etag,
    )


def _certificate(account: ServiceAccount, key: Key) -> bytes:
    """The certificate that Google shows for a key that it created. Its signer does not matter here."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, account.email[:64])])
    return (
        x509.CertificateBuilder(name, name, key.public_key, x509.random_serial_number())
        .not_valid_before(key.valid_after)
        .not_valid_after(key.valid_before)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _key_message(account: ServiceAccount, key: Key) -> Any:
    origin = iam.ServiceAccountKeyOrigin
    message = message_class(iam.ServiceAccountKey)(
        name=f"{account.name}/keys/{key.id}",
        key_algorithm=iam.ServiceAccountKeyAlgorithm.KEY_ALG_RSA_2048,
        key_origin=origin.USER_PROVIDED if key.uploaded else origin.GOOGLE_PROVIDED,
        key_type=_KEY_TYPE.SYSTEM_MANAGED if key.system_managed else _KEY_TYPE.USER_MANAGED,
        disabled=key.disabled,
    )
    message.valid_after_time.FromDatetime(key.valid_after.replace(microsecond=0))
    message.valid_before_time.FromDatetime(key.valid_before.replace(microsecond=0))
    return message

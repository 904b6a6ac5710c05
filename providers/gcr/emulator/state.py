"""The state of the emulated cloud: projects, service accounts, keys, repositories and their settings.

It is independent of gRPC, REST and HTTP. Tests use it to change the state as another user would.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import functools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bootstrap.sandbox.replicas import Replicas, Sort
from providers.gcr.emulator.policy import AllowPolicy

NEVER: Final = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""The `validBeforeTime` of a key that does not expire."""

ENABLED_SERVICES: Final = {
    "artifactregistry.googleapis.com": "Artifact Registry API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "containerregistry.googleapis.com": "Container Registry API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
    "orgpolicy.googleapis.com": "Organization Policy API",
    "serviceusage.googleapis.com": "Service Usage API",
}
"""The APIs that a project of the sandbox has enabled, with their titles."""
SERVICE_TITLES: Final = ENABLED_SERVICES | {
    "aiplatform.googleapis.com": "Vertex AI API",
    "apigateway.googleapis.com": "API Gateway API",
    "appengine.googleapis.com": "App Engine Admin API",
    "bigquery.googleapis.com": "BigQuery API",
    "bigquerystorage.googleapis.com": "BigQuery Storage API",
    "bigtable.googleapis.com": "Cloud Bigtable API",
    "binaryauthorization.googleapis.com": "Binary Authorization API",
    "certificatemanager.googleapis.com": "Certificate Manager API",
    "cloudapis.googleapis.com": "Google Cloud APIs",
    "cloudasset.googleapis.com": "Cloud Asset API",
    "cloudbilling.googleapis.com": "Cloud Billing API",
    "cloudbuild.googleapis.com": "Cloud Build API",
    "clouddeploy.googleapis.com": "Cloud Deploy API",
    "cloudfunctions.googleapis.com": "Cloud Functions API",
    "cloudidentity.googleapis.com": "Cloud Identity API",
    "cloudkms.googleapis.com": "Cloud Key Management Service (KMS) API",
    "cloudscheduler.googleapis.com": "Cloud Scheduler API",
    "cloudtasks.googleapis.com": "Cloud Tasks API",
    "cloudtrace.googleapis.com": "Cloud Trace API",
    "composer.googleapis.com": "Cloud Composer API",
    "compute.googleapis.com": "Compute Engine API",
    "container.googleapis.com": "Kubernetes Engine API",
    "containeranalysis.googleapis.com": "Container Analysis API",
    "containerfilesystem.googleapis.com": "Container File System API",
    "containerscanning.googleapis.com": "Container Scanning API",
    "dataflow.googleapis.com": "Dataflow API",
    "datafusion.googleapis.com": "Cloud Data Fusion API",
    "dataproc.googleapis.com": "Cloud Dataproc API",
    "datastore.googleapis.com": "Cloud Datastore API",
    "deploymentmanager.googleapis.com": "Cloud Deployment Manager V2 API",
    "dns.googleapis.com": "Cloud DNS API",
    "domains.googleapis.com": "Cloud Domains API",
    "essentialcontacts.googleapis.com": "Essential Contacts API",
    "eventarc.googleapis.com": "Eventarc API",
    "file.googleapis.com": "Cloud Filestore API",
    "firebase.googleapis.com": "Firebase Management API",
    "firestore.googleapis.com": "Cloud Firestore API",
    "gkehub.googleapis.com": "GKE Hub API",
    "iap.googleapis.com": "Cloud Identity-Aware Proxy API",
    "identitytoolkit.googleapis.com": "Identity Toolkit API",
    "logging.googleapis.com": "Cloud Logging API",
    "memcache.googleapis.com": "Cloud Memorystore for Memcached API",
    "monitoring.googleapis.com": "Cloud Monitoring API",
    "networkmanagement.googleapis.com": "Network Management API",
    "networkservices.googleapis.com": "Network Services API",
    "osconfig.googleapis.com": "VM Manager (OS Config API)",
    "oslogin.googleapis.com": "Cloud OS Login API",
    "policytroubleshooter.googleapis.com": "Policy Troubleshooter API",
    "privateca.googleapis.com": "Certificate Authority API",
    "pubsub.googleapis.com": "Cloud Pub/Sub API",
    "recaptchaenterprise.googleapis.com": "reCAPTCHA Enterprise API",
    "recommender.googleapis.com": "Recommender API",
    "redis.googleapis.com": "Google Cloud Memorystore for Redis API",
    "run.googleapis.com": "Cloud Run Admin API",
    "runtimeconfig.googleapis.com": "Cloud Runtime Configuration API",
    "secretmanager.googleapis.com": "Secret Manager API",
    "securitycenter.googleapis.com": "Security Command Center API",
    "servicecontrol.googleapis.com": "Service Control API",
    "servicedirectory.googleapis.com": "Service Directory API",
    "servicemanagement.googleapis.com": "Service Management API",
    "servicenetworking.googleapis.com": "Service Networking API",
    "sourcerepo.googleapis.com": "Cloud Source Repositories API",
    "spanner.googleapis.com": "Cloud Spanner API",
    "sql-component.googleapis.com": "Cloud SQL",
    "sqladmin.googleapis.com": "Cloud SQL Admin API",
    "storage-api.googleapis.com": "Google Cloud Storage JSON API",
    "storage-component.googleapis.com": "Cloud Storage",
    "storage.googleapis.com": "Cloud Storage API",
    "sts.googleapis.com": "Security Token Service API",
    "vpcaccess.googleapis.com": "Serverless VPC Access API",
    "websecurityscanner.googleapis.com": "Web Security Scanner API",
    "workflowexecutions.googleapis.com": "Workflow Executions API",
    "workflows.googleapis.com": "Workflows API",
}
"""All APIs that Service Usage knows here."""


@dataclass
class Key:
    """One key of a service account: the public key and its validity."""

    id: str
    public_key: rsa.RSAPublicKey
    created: dt.datetime
    valid_after: dt.datetime
    valid_before: dt.datetime
    uploaded: bool = False
    system_managed: bool = False
    disabled: bool = False
    switched: dt.datetime | None = None
    """When it was last disabled or enabled; until that has propagated, the previous state applies."""
    certificate: bytes = b""
    """The uploaded certificate, in PEM."""


@dataclass
class ServiceAccount:
    project_id: str
    email: str
    unique_id: str
    created: dt.datetime
    display_name: str = ""
    description: str = ""
    disabled: bool = False
    deleted: dt.datetime | None = None
    etag: bytes = b"01021920"
    """`MDEwMjE5MjA=` in base64: the same for each account, in every recorded answer."""
    keys: dict[str, Key] = field(default_factory=dict)
    deleted_keys: dict[str, tuple[Key, dt.datetime]] = field(default_factory=dict)
    """Deleted keys and the times of deletion; until that has propagated, they still work."""
    policy: AllowPolicy = field(default_factory=AllowPolicy)

    @property
    def name(self) -> str:
        return f"projects/{self.project_id}/serviceAccounts/{self.email}"

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.email}"

    @property
    def deleted_member(self) -> str:
        """The member in policies once the account is deleted."""
        return f"deleted:{self.member}?uid={self.unique_id}"

    def user_keys(self) -> list[Key]:
        return [key for key in self.keys.values() if not key.system_managed]


@dataclass
class Repository:
    project_id: str
    location: str
    id: str
    created: dt.datetime
    policy: AllowPolicy = field(default_factory=AllowPolicy)
    details: dict[str, Any] = field(default_factory=dict)
    """What else it shows, as Artifact Registry's JSON has it: `description`, `labels`, `mode`."""

    @property
    def is_remote(self) -> bool:
        """Whether another registry has its images, save for those that it has kept."""
        return self.details.get("mode") == "REMOTE_REPOSITORY"

    @property
    def name(self) -> str:
        return f"projects/{self.project_id}/locations/{self.location}/repositories/{self.id}"


@dataclass
class Project:
    id: str
    number: str
    display_name: str
    created: dt.datetime
    services: dict[str, dt.datetime] = field(default_factory=dict)
    """The enabled APIs, and since when."""
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    """By e-mail."""
    deleted_accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    """By unique id."""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    """By location and id."""
    constraints: dict[str, bool | tuple[str, ...]] = field(default_factory=dict)
    """The effective organisation policies, by constraint without `constraints/`: enforced or not, or the
    values.
    """
    policy: AllowPolicy = field(default_factory=AllowPolicy)

    @property
    def name(self) -> str:
        return f"projects/{self.number}"

    def enforces(self, constraint: str) -> bool:
        return self.constraints.get(constraint) is True


class KeySupply:
    """Private keys, of which the next is being made while nobody asks: a call waits for its latency and no
    more.
    """

    def __init__(self) -> None:
        self._next: asyncio.Task[rsa.RSAPrivateKey] | None = None

    def prepare(self) -> None:
        """Begin with the next one, on the running event loop."""
        self._next = self._next or asyncio.create_task(asyncio.to_thread(generate_private_key))

    async def take(self) -> rsa.RSAPrivateKey:
        """A key that nobody else is given."""
        ready, self._next = self._next, None
        key = await (ready or asyncio.to_thread(generate_private_key))
        self.prepare()
        return key


@dataclass
class GoogleState:
    """Everything there is.

    Args:
        now: the sandbox's clock.
        replicas: which of them knows of a change.
        operator: the e-mail address of the service account that runs the product.
        denied_permissions: permissions that the operator lacks whatever its roles say.
        accounts_per_project: the quota.
        former_key_limit: whether an eleventh key is refused as it was until 2021.
    """

    now: Callable[[], dt.datetime]
    replicas: Replicas
    operator: str = ""
    denied_permissions: set[str] = field(default_factory=set)
    custom_roles: dict[str, frozenset[str]] = field(default_factory=dict)
    """By full name: `projects/P/roles/R`."""
    accounts_per_project: int = 100
    former_key_limit: bool = False
    refusals: dict[str, Exception] = field(default_factory=dict)
    """By service: what Google's front end answers each call with, such as that the project to which
    the call counts does not have the API enabled, or that VPC Service Controls forbid it.
    """
    organization: AllowPolicy = field(default_factory=AllowPolicy)
    """What is granted above every project."""
    token_uri: str = "https://oauth2.googleapis.com/token"
    projects: dict[str, Project] = field(default_factory=dict)
    private_keys: KeySupply = field(default_factory=KeySupply)

    # -- looking ---------------------------------------------------------------------------------------------

    def visible(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether a change made at `since` counts for the replica that decides."""
        return self.replicas.knows(since, sort, subject)

    def shows(self, since: dt.datetime, sort: Sort = "other", subject: str = "") -> bool:
        """Whether a read shows a change made at `since`."""
        return self.replicas.shows(since, sort, subject)

    def was_deleted(self, email: str) -> bool:
        """Whether an account of that e-mail address was deleted."""
        return any(
            it.email == email for one in self.projects.values() for it in one.deleted_accounts.values()
        )

    def listed_accounts(self, project: Project) -> list[ServiceAccount]:
        """The accounts that a list shows."""
        live = [it for it in project.accounts.values() if self.shows(it.created, "identity", it.email)]
        return live + [it for it in project.deleted_accounts.values() if self.still_shows(it)]

    def still_shows(self, account: ServiceAccount) -> bool:
        """Whether a read shows an account that was deleted."""
        return account.deleted is not None and not self.shows(account.deleted, "identity", account.email)

    def listed_keys(self, account: ServiceAccount) -> list[Key]:
        """The keys that a list shows."""
        live = [it for it in account.keys.values() if self.shows(it.created, "key", account.email)]
        gone = account.deleted_keys.values()
        return live + [key for key, when in gone if not self.shows(when, "key", account.email)]

    def shown_disabled(self, account: ServiceAccount, key: Key) -> bool:
        """Whether a read shows the key as disabled."""
        known = key.switched is None or self.shows(key.switched, "key", account.email)
        return key.disabled is known

    def project(self, id_or_number: str) -> Project | None:
        if id_or_number in self.projects:
            return self.projects[id_or_number]
        return next((it for it in self.projects.values() if it.number == id_or_number), None)

    def accounts(self) -> Iterator[ServiceAccount]:
        for project in self.projects.values():
            yield from project.accounts.values()

    def account(self, email_or_unique_id: str) -> ServiceAccount | None:
        """The live account of that e-mail address or unique id."""
        for project in self.projects.values():
            if (named := project.accounts.get(email_or_unique_id)) is not None:
                return named
        return next((it for it in self.accounts() if it.unique_id == email_or_unique_id), None)

    def repository(self, project_id: str, location: str, repository_id: str) -> Repository | None:
        project = self.projects.get(project_id)
        return project.repositories.get((location, repository_id)) if project else None

    def policies(self) -> Iterator[AllowPolicy]:
        for project in self.projects.values():
            yield project.policy
            for repository in project.repositories.values():
                yield repository.policy
            for account in project.accounts.values():
                yield account.policy

    def usable_key(self, email: str, key_id: str) -> Key | None:
        """The key, if the account is enabled and the key spread, enabled and within its dates."""
        account = self.account(email)
        if account is None or account.disabled:
            return None
        key = account.keys.get(key_id)
        if key is None and key_id in account.deleted_keys:
            deleted, when = account.deleted_keys[key_id]
            key = None if self.visible(when, "key", email) else deleted
        if key is None or not self.visible(key.created, "key", email):
            return None
        # A change that has not spread yet leaves it as it was.
        known = key.switched is None or self.visible(key.switched, "key", email)
        if key.disabled is known:
            return None
        return key if key.valid_after <= self.now() < key.valid_before else None

    # -- making ----------------------------------------------------------------------------------------------

    def add_project(
        self,
        project_id: str,
        number: str,
        *,
        services: Iterable[str] = ENABLED_SERVICES,
        display_name: str = "",
    ) -> Project:
        since = self.now() - dt.timedelta(days=90)
        project = Project(project_id, number, display_name or project_id, since)
        project.services = dict.fromkeys(services, since)
        self.projects[project_id] = project
        return project

    def add_repository(self, project_id: str, location: str, repository_id: str) -> Repository:
        repository = Repository(project_id, location, repository_id, self.now())
        self.projects[project_id].repositories[location, repository_id] = repository
        return repository

    def add_account(
        self, project_id: str, account_id: str, *, created: dt.datetime | None = None
    ) -> ServiceAccount:
        """A new account; `created` in the past makes it known everywhere at once."""
        email = f"{account_id}@{project_id}.iam.gserviceaccount.com"
        unique_id = str(10**20 + secrets.randbelow(9 * 10**19))
        account = ServiceAccount(project_id, email, unique_id, created or self.now())
        self.projects[project_id].accounts[email] = account
        return account

    def open_to_all(self, repository: Repository) -> None:
        """Let anybody pull from a repository, as its owner may: with a role for `allUsers`."""
        repository.policy.grant("roles/artifactregistry.reader", "allUsers", since=repository.created)

    def switch_key(self, key: Key, *, on: bool) -> None:
        if key.disabled is on:
            key.disabled, key.switched = not on, self.now()

    def delete_key(self, account: ServiceAccount, key: Key) -> None:
        del account.keys[key.id]
        account.deleted_keys[key.id] = key, self.now()

    def delete_account(self, account: ServiceAccount) -> None:
        """Delete; policies show its member as `deleted:...?uid=...` from then on."""
        project = self.projects[account.project_id]
        del project.accounts[account.email]
        account.deleted = self.now()
        project.deleted_accounts[account.unique_id] = account
        for policy in self.policies():
            policy.rename_member(account.member, account.deleted_member)

    def undelete_account(self, account: ServiceAccount) -> None:
        project = self.projects[account.project_id]
        del project.deleted_accounts[account.unique_id]
        account.deleted = None
        project.accounts[account.email] = account
        for policy in self.policies():
            policy.rename_member(account.deleted_member, account.member)

    def add_key(
        self,
        account: ServiceAccount,
        public_key: rsa.RSAPublicKey,
        *,
        key_id: str = "",
        valid_after: dt.datetime | None = None,
        valid_before: dt.datetime = NEVER,
        uploaded: bool = False,
        system_managed: bool = False,
        created: dt.datetime | None = None,
    ) -> Key:
        since = created or self.now()
        key = Key(
            key_id or secrets.token_hex(20),
            public_key,
            since,
            valid_after or since,
            valid_before,
            uploaded=uploaded,
            system_managed=system_managed,
        )
        account.keys[key.id] = key
        return key

    def key_file(self, account: ServiceAccount, key: Key, private_key: rsa.RSAPrivateKey) -> bytes:
        """The JSON key file that Google hands out, once (`TYPE_GOOGLE_CREDENTIALS_FILE`)."""
        pem = private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        quoted = account.email.replace("@", "%40")
        return json.dumps(
            {
                "type": "service_account",
                "project_id": account.project_id,
                "private_key_id": key.id,
                "private_key": pem.decode(),
                "client_email": account.email,
                "client_id": account.unique_id,
                "auth_uri": "https://accounts.google.com/o/oauth2/auth",
                "token_uri": self.token_uri,
                "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
                "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{quoted}",
                "universe_domain": "googleapis.com",
            },
            indent=2,
        ).encode()


def generate_private_key() -> rsa.RSAPrivateKey:
    """A new RSA key of 2048 bits; slow, so callers on the event loop hand it to a thread."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def system_managed_public_key() -> rsa.RSAPublicKey:
    """The public half of the key that Google keeps for itself; one for all accounts, since nobody here
    signs with it.
    """
    return generate_private_key().public_key()


def base64url(text: str) -> bytes:
    """Decode unpadded base64url, as in a JWT."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

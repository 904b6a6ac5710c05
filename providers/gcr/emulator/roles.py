"""The roles of this sandbox and their permissions: the part of Google's table that concerns pulling images.

Source: the IAM roles and permissions reference. A role in `PREDEFINED` without permissions can be granted and
has no effect; an unknown role is refused, as Google refuses an undefined one.
"""

from __future__ import annotations

from typing import Final

DOWNLOAD: Final = "artifactregistry.repositories.downloadArtifacts"
UPLOAD: Final = "artifactregistry.repositories.uploadArtifacts"

_AR_READ: Final = frozenset(
    {
        "artifactregistry.dockerimages.get",
        "artifactregistry.dockerimages.list",
        "artifactregistry.files.get",
        "artifactregistry.files.list",
        "artifactregistry.locations.get",
        "artifactregistry.locations.list",
        "artifactregistry.packages.get",
        "artifactregistry.packages.list",
        "artifactregistry.repositories.get",
        "artifactregistry.repositories.list",
        "artifactregistry.tags.get",
        "artifactregistry.tags.list",
        "artifactregistry.versions.get",
        "artifactregistry.versions.list",
        DOWNLOAD,
    }
)
_AR_WRITE: Final = _AR_READ | {"artifactregistry.tags.create", "artifactregistry.tags.update", UPLOAD}
_AR_REPO_ADMIN: Final = _AR_WRITE | {
    "artifactregistry.repositories.deleteArtifacts",
    "artifactregistry.tags.delete",
    "artifactregistry.versions.delete",
}
_AR_POLICY: Final = frozenset(
    {"artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.setIamPolicy"}
)
_AR_ADMIN: Final = (
    _AR_REPO_ADMIN
    | _AR_POLICY
    | {
        "artifactregistry.repositories.create",
        "artifactregistry.repositories.delete",
        "artifactregistry.repositories.update",
    }
)
_PROJECT_READ: Final = frozenset({"resourcemanager.projects.get"})
_PROJECT_LIST: Final = frozenset({"resourcemanager.projects.list"})
_PROJECT_POLICY: Final = frozenset(
    {"resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"}
)
_ACCOUNT_READ: Final = frozenset({"iam.serviceAccounts.get", "iam.serviceAccounts.list"})
_ACCOUNT_CREATE: Final = frozenset({"iam.serviceAccounts.create"})
_ACCOUNT_DELETE: Final = frozenset({"iam.serviceAccounts.delete"})
_ACCOUNT_POLICY: Final = frozenset({"iam.serviceAccounts.getIamPolicy", "iam.serviceAccounts.setIamPolicy"})
_ACCOUNT_ADMIN: Final = (
    _ACCOUNT_READ
    | _ACCOUNT_CREATE
    | _ACCOUNT_DELETE
    | _ACCOUNT_POLICY
    | {
        "iam.serviceAccounts.disable",
        "iam.serviceAccounts.enable",
        "iam.serviceAccounts.undelete",
        "iam.serviceAccounts.update",
    }
)
_KEY_READ: Final = frozenset({"iam.serviceAccountKeys.get", "iam.serviceAccountKeys.list"})
_KEY_ADMIN: Final = _KEY_READ | {
    "iam.serviceAccountKeys.create",
    "iam.serviceAccountKeys.delete",
    "iam.serviceAccountKeys.disable",
    "iam.serviceAccountKeys.enable",
}
_SERVICE_READ: Final = frozenset({"serviceusage.services.get", "serviceusage.services.list"})
_SERVICE_ADMIN: Final = _SERVICE_READ | {
    "serviceusage.services.disable",
    "serviceusage.services.enable",
    "serviceusage.services.use",
    "serviceusage.operations.get",
}
_ORG_POLICY_READ: Final = frozenset(
    {"orgpolicy.constraints.list", "orgpolicy.policies.list", "orgpolicy.policy.get"}
)
_TOKENS: Final = frozenset(
    {
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.signBlob",
        "iam.serviceAccounts.signJwt",
    }
)
_VIEW: Final = (
    _AR_READ
    | _PROJECT_READ
    | _ACCOUNT_READ
    | _KEY_READ
    | _SERVICE_READ
    | {
        "artifactregistry.repositories.getIamPolicy",
        "iam.serviceAccounts.getIamPolicy",
        "resourcemanager.projects.getIamPolicy",
    }
)
# An owner may not impersonate service accounts (iam.serviceAccounts.getAccessToken), nor read objects by the
# project role alone (storage.objects.get comes with the buckets' own legacy roles).
_OWN: Final = (
    _AR_ADMIN
    | _PROJECT_READ
    | _PROJECT_POLICY
    | _ACCOUNT_ADMIN
    | _KEY_ADMIN
    | _SERVICE_ADMIN
    | _ORG_POLICY_READ
    | {"iam.serviceAccounts.actAs", "resourcemanager.projects.update"}
)

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "roles/owner": _OWN,
    "roles/editor": _VIEW
    | _AR_REPO_ADMIN
    | _ACCOUNT_CREATE
    | _ACCOUNT_DELETE
    | _KEY_ADMIN
    | _SERVICE_ADMIN
    | {"artifactregistry.repositories.create", "iam.serviceAccounts.actAs", "iam.serviceAccounts.update"},
    "roles/viewer": _VIEW,
    "roles/browser": _PROJECT_READ | _PROJECT_LIST | {"resourcemanager.projects.getIamPolicy"},
    "roles/artifactregistry.reader": _AR_READ,
    "roles/artifactregistry.writer": _AR_WRITE,
    "roles/artifactregistry.repoAdmin": _AR_REPO_ADMIN,
    "roles/artifactregistry.admin": _AR_ADMIN,
    "roles/storage.objectViewer": _PROJECT_READ
    | _PROJECT_LIST
    | {"storage.objects.get", "storage.objects.list"},
    "roles/iam.securityAdmin": _AR_POLICY
    | _PROJECT_POLICY
    | _ACCOUNT_POLICY
    | _KEY_READ
    | _ORG_POLICY_READ
    | {"artifactregistry.repositories.list", "iam.serviceAccounts.list", "resourcemanager.projects.get"},
    "roles/iam.serviceAccountAdmin": _ACCOUNT_ADMIN | _PROJECT_READ | _PROJECT_LIST,
    "roles/iam.serviceAccountCreator": _ACCOUNT_READ | _ACCOUNT_CREATE | _PROJECT_READ | _PROJECT_LIST,
    "roles/iam.serviceAccountKeyAdmin": _KEY_ADMIN | _ACCOUNT_READ | _PROJECT_READ | _PROJECT_LIST,
    "roles/iam.serviceAccountTokenCreator": _TOKENS | _ACCOUNT_READ,
    "roles/iam.serviceAccountUser": _ACCOUNT_READ | {"iam.serviceAccounts.actAs"},
    "roles/orgpolicy.policyViewer": _ORG_POLICY_READ,
    "roles/resourcemanager.projectIamAdmin": _PROJECT_READ | _PROJECT_POLICY,
    "roles/serviceusage.serviceUsageAdmin": _SERVICE_ADMIN,
    "roles/serviceusage.serviceUsageConsumer": _SERVICE_READ | {"serviceusage.services.use"},
}

PREDEFINED: Final = frozenset(PERMISSIONS) | {
    f"roles/{name}"
    for name in """
    aiplatform.admin aiplatform.user aiplatform.viewer apigateway.admin appengine.appAdmin
    appengine.deployer appengine.serviceAdmin artifactregistry.containerRegistryMigrationAdmin
    artifactregistry.createOnPushRepoAdmin artifactregistry.createOnPushWriter artifactregistry.serviceAgent
    automl.admin automl.editor automl.viewer bigquery.admin bigquery.dataEditor bigquery.dataOwner
    bigquery.dataViewer bigquery.jobUser bigquery.user billing.admin billing.projectManager billing.user
    billing.viewer binaryauthorization.policyEditor cloudbuild.builds.builder cloudbuild.builds.editor
    cloudbuild.builds.viewer cloudbuild.serviceAgent cloudfunctions.admin cloudfunctions.developer
    cloudfunctions.invoker cloudfunctions.viewer cloudkms.admin cloudkms.cryptoKeyDecrypter
    cloudkms.cryptoKeyEncrypter cloudkms.cryptoKeyEncrypterDecrypter cloudkms.viewer cloudscheduler.admin
    cloudsql.admin cloudsql.client cloudsql.editor cloudsql.viewer cloudtasks.admin cloudtasks.enqueuer
    composer.admin composer.worker compute.admin compute.instanceAdmin compute.instanceAdmin.v1
    compute.networkAdmin compute.networkUser compute.networkViewer compute.osLogin compute.securityAdmin
    compute.serviceAgent compute.storageAdmin compute.viewer container.admin container.clusterAdmin
    container.clusterViewer container.defaultNodeServiceAccount container.developer
    container.nodeServiceAccount container.serviceAgent container.viewer containeranalysis.notes.viewer
    containeranalysis.occurrences.viewer containerregistry.ServiceAgent dataflow.admin dataflow.developer
    dataflow.worker dataproc.admin dataproc.worker datastore.owner datastore.user datastore.viewer dns.admin
    dns.reader editor errorreporting.writer eventarc.admin eventarc.eventReceiver firebase.admin
    firebase.sdkAdminServiceAgent firebase.viewer iam.denyAdmin iam.organizationRoleAdmin
    iam.organizationRoleViewer iam.roleAdmin iam.roleViewer iam.securityReviewer iam.serviceAccountDeleter
    iam.serviceAccountKeyAdmin iam.serviceAccountOpenIdTokenCreator iam.serviceAccountViewer
    iam.workloadIdentityPoolAdmin iam.workloadIdentityPoolViewer iam.workloadIdentityUser
    iap.httpsResourceAccessor iap.tunnelResourceAccessor logging.admin logging.configWriter
    logging.logWriter logging.privateLogViewer logging.viewer monitoring.admin monitoring.editor
    monitoring.metricWriter monitoring.viewer networkmanagement.admin orgpolicy.policyAdmin pubsub.admin
    pubsub.editor pubsub.publisher pubsub.subscriber pubsub.viewer redis.admin redis.editor redis.viewer
    resourcemanager.folderAdmin resourcemanager.folderViewer resourcemanager.organizationAdmin
    resourcemanager.organizationViewer resourcemanager.projectCreator resourcemanager.projectDeleter
    resourcemanager.projectMover run.admin run.developer run.invoker run.serviceAgent run.viewer
    secretmanager.admin secretmanager.secretAccessor secretmanager.secretVersionManager secretmanager.viewer
    servicemanagement.admin servicenetworking.networksAdmin serviceusage.apiKeysAdmin
    serviceusage.serviceUsageViewer source.admin source.reader source.writer spanner.admin
    spanner.databaseUser spanner.viewer storage.admin storage.hmacKeyAdmin storage.legacyBucketOwner
    storage.legacyBucketReader storage.legacyBucketWriter storage.legacyObjectOwner
    storage.legacyObjectReader storage.objectAdmin storage.objectCreator storage.objectUser workflows.admin
    workflows.invoker
    """.split()  # noqa: SIM905  - two hundred lines else
}
"""The predefined roles that this sandbox knows by name: common ones, of some 1,900."""

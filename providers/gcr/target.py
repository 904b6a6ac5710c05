"""The Google target: options and image references, parsed and checked."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.duration import parse_duration
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_facts import KeyLimit
from bootstrap.model.server import host_of
from bootstrap.plugin.access import GrantPlaces
from bootstrap.plugin.provider import Target
from providers.gcr import messages_options
from providers.gcr.place import (
    is_container_registry,
    is_project,
    is_repository,
    location_of,
    registry_secret_name,
    repository_of,
    split_path,
    with_domain_as_folder,
)

if TYPE_CHECKING:
    from bootstrap.plugin.quota import Charge

DEFAULT_ACCOUNT = "akka-docker-reader"
DEFAULT_ROLE = "roles/artifactregistry.reader"
STORAGE_ROLE = "roles/storage.objectViewer"

# `CreateServiceAccountRequest.account_id`: 6 to 30 characters.
_ACCOUNT = re.compile(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
_EMAIL = re.compile(r"^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$")
_PROJECT_EMAIL = re.compile(
    r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@(?P<project>[a-z][a-z0-9-]{4,28}[a-z0-9])(?:\.(?P<domain>[a-z0-9.-]+))?\.iam\.gserviceaccount\.com$"
)
_ROLE = re.compile(r"^(?:roles|projects/[a-z0-9.:-]+/roles|organizations/[0-9]+/roles)/[A-Za-z0-9_.]+$")

KEYS_OF_AN_ACCOUNT = 10  # "Quotas and limits", service account keys
CREATE, UPLOAD, AUTO = "create", "upload", "auto"
"""Who creates a key: Google; this machine; this machine if policies and permissions allow it, else Google."""
DEFAULT_LIFE = "90d"
# "The given public key has a lifetime of 315,446,400 seconds, which is longer than the max allowed lifetime
# of 315,360,000 seconds" (GAM-team/GAM#1127): ten years of 365 days.
LONGEST_LIFE = dt.timedelta(days=3650)


@dataclass(frozen=True)
class GcrTarget(Target):
    """A registry host of one Google project, or one repository of it."""

    project: str
    host: str
    location: str
    repository: str  # "" for all of the project
    image_path: str  # the path that a puller names, without project and repository; "" if no image was named
    reference: str
    account: str
    account_given: bool  # by its e-mail: an existing account, which no run creates or deletes
    role: str
    skip_grant: bool
    enable_apis: bool
    impersonate: str
    key_source: str = CREATE
    life: dt.timedelta = dt.timedelta(days=90)  # of a key that is created here and uploaded

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> GcrTarget:
        """Read the options of `pullkey onboard gcr`, and `--image`.

        Raises:
            UsageProblem: one of them is not valid, or two of them contradict each other.
        """
        server = values.get("server")
        if not server:
            raise messages_options.registry_not_named()
        named = parse_reference(with_domain_as_folder(server), where="--server")
        if named.port is not None:
            raise messages_options.registry_has_no_port(server)
        location = location_of(named.host)
        image = named if named.path else None
        if values.get("image"):
            image = parse_reference(with_domain_as_folder(values["image"]), where="--image")
            if image.registry != named.host:
                raise messages_options.image_of_another_registry(image.registry, named.host)
        project, repository, path = split_path(named.host, image.path if image else "")
        project = _agree("--gcp-project", values.get("gcp_project"), project) or ""
        if not project:
            raise messages_options.project_not_named()
        if project.isdigit():
            raise messages_options.project_number_given(
                "--gcp-project" if values.get("gcp_project") else "--server", project
            )
        if not is_project(project):
            raise messages_options.invalid_project(project)
        repository = _agree("--repository", values.get("repository"), repository) or ""
        if repository and not is_repository(repository):
            raise messages_options.invalid_repository(repository)
        account, given = _account(values.get("service_account") or DEFAULT_ACCOUNT, project)
        return cls(
            project=project,
            host=named.host,
            location=location,
            repository=repository,
            image_path=path,
            reference=image.reference if image and path else "",
            account=account,
            account_given=given,
            role=_role(values.get("role") or DEFAULT_ROLE, allow_any=bool(values.get("allow_custom_role"))),
            skip_grant=bool(values.get("skip_grant")),
            enable_apis=bool(values.get("enable_apis")),
            impersonate=impersonated(values),
            key_source=_key_source(values),
            life=_life(_key_source(values), values.get("expires_in")),
        )

    # -- as `bootstrap.plugin.provider.Target` ---------------------------------------------------------------

    @property
    def label(self) -> str:
        return f"{self.host}/{self.path}" if self.repository else f"{self.host} (project {self.project})"

    @property
    def registry(self) -> str:
        return self.host

    @property
    def secret_name(self) -> str:
        return registry_secret_name(self.host, self.project, self.repository)

    @property
    def lock_key(self) -> str:
        return f"gcr {self.host} {self.project} {self.repository or '*'} {self.account}"

    @property
    def shared_identity_key(self) -> str:
        return f"gcr {self.account}"

    @property
    def quota_group(self) -> str:
        return f"gcr {self.project}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return self.life if self.key_source == UPLOAD else None

    @property
    def key_limit(self) -> KeyLimit:
        return KeyLimit(KEYS_OF_AN_ACCOUNT, f"the service account {self.account}", "service-account")

    @property
    def charges(self) -> Sequence[Charge]:
        from providers.gcr.quotas import charges

        on_project = not (self.grant_on_repository or self.skip_grant)
        return charges(self.project, self.account, self.account_project, on_project=on_project)

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The path of the repository as a puller names it, without an image."""
        project = self.project.replace(":", "/")
        return project if is_container_registry(self.host) else f"{project}/{self.repository}"

    @property
    def account_name(self) -> str:
        return self.account.partition("@")[0]

    @property
    def account_domain(self) -> str:
        return self.account.partition("@")[2]

    @property
    def account_project(self) -> str:
        """The project of the account; `-` if its e-mail does not contain it.

        With `-` Google looks it up, and answers 403 instead of 404 if there is no such account.
        """
        if not self.account_given:
            return self.project
        return project_of(self.account) or "-"

    @property
    def account_resource(self) -> str:
        return f"projects/{self.account_project}/serviceAccounts/{self.account}"

    @property
    def repository_resource(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/repositories/{self.repository}"

    @property
    def grant_on_repository(self) -> bool:
        """Whether the role is granted on the repository: storage roles, which Akka's older page grants, apply
        to projects only.
        """
        return bool(self.repository) and self.role != STORAGE_ROLE

    @property
    def grant_resource(self) -> str:
        return self.repository_resource if self.grant_on_repository else f"projects/{self.project}"

    @property
    def narrower(self) -> str:
        """The `--server` that grants the role on one repository; "" if this target does so."""
        return "" if self.repository else f"{self.host}/{self.project.replace(':', '/')}/REPOSITORY"

    @property
    def grant_place(self) -> str:
        """Where the role is granted, as shown to users."""
        return f"repository {self.repository}" if self.grant_on_repository else f"project {self.project}"


def grant_places(target: GcrTarget) -> GrantPlaces:
    """What a login can be granted a role on, besides the project."""
    domain = target.account.partition("@")[2]
    return GrantPlaces(
        target.account, domain != _account_domain(target.project), target.repository, target.location
    )


def granting_condition(permissions: Collection[str]) -> str:
    """The condition under which a login that changes a project's policy grants and revokes the reader role
    only ("Set limits on granting roles"). Other calls than setIamPolicy have no such attribute.
    """
    if "resourcemanager.projects.setIamPolicy" not in permissions:
        return ""
    return f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['{DEFAULT_ROLE}'])"


def impersonated(values: Mapping[str, Any]) -> str:
    """The service account to impersonate, or "".

    Raises:
        UsageProblem: it is not the e-mail of a service account.
    """
    email: str = values.get("impersonate_service_account") or ""
    if email and not _EMAIL.match(email):
        raise messages_options.invalid_impersonated_account(email)
    return email


def project_of(email: str) -> str:
    """The project in an account's e-mail; "" if it has none, as that of Compute Engine's default account."""
    match = _PROJECT_EMAIL.match(email)
    if match is None:
        return ""
    return f"{match['domain']}:{match['project']}" if match["domain"] else match["project"]


def options_of(held: HeldCredential, target: GcrTarget | None) -> dict[str, str | bool]:
    """The options of a target; for a record that pullkey did not create, those in its e-mail."""
    if target is None:
        email = held.email if _EMAIL.match(held.email) else ""
        named = {"server": host_of(held.server), "gcp-project": project_of(email), "service-account": email}
        return {name: value for name, value in named.items() if value}
    found: dict[str, str | bool] = {"server": target.host, "gcp-project": target.project}
    if target.repository and not repository_of(target.host):
        found = {"server": f"{target.host}/{target.path}"}
    if target.account_given:
        found["service-account"] = target.account
    elif target.account_name != DEFAULT_ACCOUNT:
        found["service-account"] = target.account_name
    if target.role != DEFAULT_ROLE:
        found["role"] = target.role
    if target.role not in (DEFAULT_ROLE, STORAGE_ROLE):
        found["allow-custom-role"] = True
    if target.skip_grant:
        found["skip-grant"] = True
    if target.key_source != CREATE:
        found["key-source"] = target.key_source
    if target.key_source == UPLOAD:
        found["expires-in"] = f"{max(target.life // dt.timedelta(hours=1), 1)}h"
    return found


def _agree(option: str, given: str | None, from_image: str) -> str | None:
    if given and from_image and given != from_image:
        raise messages_options.option_contradicts_image(option, given, from_image)
    return given or from_image or None


def _account(text: str, project: str) -> tuple[str, bool]:
    """The account's e-mail, and whether it was given as one."""
    if "@" in text:
        if not _EMAIL.match(text):
            raise messages_options.invalid_account_email(text)
        return text, True
    if not _ACCOUNT.match(text):
        raise messages_options.invalid_account_id(text)
    return f"{text}@{_account_domain(project)}", False


def _account_domain(project: str) -> str:
    """What follows the `@` of a project's accounts; `example.com:shop` has those of `shop.example.com`."""
    domain, colon, name = project.partition(":")
    return f"{f'{name}.{domain}' if colon else project}.iam.gserviceaccount.com"


def _key_source(values: Mapping[str, Any]) -> str:
    """A key that is to expire is uploaded: Google creates keys that do not."""
    source = values.get("key_source") or CREATE
    return UPLOAD if source == AUTO and values.get("expires_in") is not None else source


def _life(source: str, given: Any) -> dt.timedelta:
    """The lifetime of an uploaded key. A key that Google creates does not expire."""
    if source == AUTO:
        # As near as possible to a key that does not expire, which it replaces.
        return LONGEST_LIFE
    if source != UPLOAD:
        if given is not None:
            raise messages_options.expiry_of_created_key()
        return parse_duration(DEFAULT_LIFE)
    life: dt.timedelta = given if given is not None else parse_duration(DEFAULT_LIFE)
    if not dt.timedelta(hours=1) <= life <= LONGEST_LIFE:
        raise messages_options.invalid_key_lifetime(DEFAULT_LIFE)
    return life


def _role(role: str, *, allow_any: bool) -> str:
    if role in (DEFAULT_ROLE, STORAGE_ROLE):
        return role
    if not _ROLE.match(role):
        raise messages_options.invalid_role(role)
    if not allow_any:
        raise messages_options.role_not_documented(role, DEFAULT_ROLE)
    return role

"""What the emulated Akka platform answers to each command of the `akka` CLI.

Facts are from the CLI reference and guides of akka-sdk for CLI 3.0.71. Not documented, and so assumed here:

* `STATUS` is `OK`, or `MISSING` if the project refers to a secret that does not exist, or `INVALID`.
* `-o json` of a list is an array of objects with lower-case keys: `name`, `status`, `server`, `email`,
  `username` for credentials; `name`, `type`, `keys` for secrets; with `--all-regions` also `region` and
  `sync`.
* The JSON of projects has the fields of the server's message (platform-api, `projects.proto`), in snake case.
* A service whose image is in a registry for which the project has no credential is `UpdateInProgress`, and
  its container waits with the kubelet's `ImagePullBackOff`, in the JSON form of Kubernetes; any other is
  `Ready`.
* A reference to a secret in the project's registry configuration is global or regional, independently of the
  secret.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bootstrap.akka.services import is_akka_registry
from bootstrap.model.server import host_of, same_registry
from bootstrap.plugin.routing import host_of_image
from bootstrap.sandbox.akka_cli import OLD_VERSION
from bootstrap.sandbox.akka_projects import (
    DOCKER_TYPE,
    GLOBAL,
    AkkaCredential,
    AkkaError,
    AkkaProject,
    AkkaSecret,
    Entry,
    Scope,
)
from bootstrap.sandbox.host import Sandbox

VERSION = "3.0.71"
Mode = Literal[
    "current",
    "old",
    "hangs",
    "asks",
    "babbles",
    "notices",
    "half-done",
    "fails-after",
    "logged-out",
    "not-ok",
]
"""How the CLI behaves:

* `current`: as documented for 3.0.71.
* `old`: as before 3.0.4: credentials are identified by a UUID and removed with `delete-credentials`; text
  output only.
* `hangs`: it never ends, whatever its `--timeout`.
* `asks`: it prompts on stdin although prompts are disabled.
* `babbles`: it carries out the command, and its output is undocumented.
* `notices`: it prints a notice before its output.
* `half-done`: `add-credentials` writes the secret, then is refused the project's registry configuration, as
  may happen with a service token (that is not documented).
* `fails-after`: it carries out the command, then ends with an error.
* `logged-out`: no user is logged in.
* `not-ok`: `list-credentials` shows a STATUS that is not OK.
"""

OWNER, LOGIN = "acme", "person@acme.example"
"""The owner of the project `shop`, and the logged-in user."""


@dataclass
class Listing:
    """How `list-credentials` shows what Akka holds. May be changed at any time.

    The documentation says neither whether the e-mail field has a limit, nor whether the list is consistent
    with earlier writes.
    """

    email_length: int | None = None
    """The length to which e-mail addresses are truncated."""
    shows_email: bool = True
    shows_user: bool = True
    lag: float = 0.0
    """Seconds until a change is shown; `inf` for never."""


@dataclass(frozen=True)
class _Listed:
    """One line of a list of credentials: the region, the underlying resource, and what it shows."""

    region: str
    name: str
    scope: str
    entry: Entry
    row: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """One command from the executable."""

    flags: Mapping[str, Any]
    arguments: list[str]
    project: str
    body: Mapping[str, Any]


class AkkaPlatform:
    """The projects of the emulated Akka, and what each command reads and writes of them.

    Attributes:
        projects: the projects by name: `shop` (the configured project, one region, empty) and `billing` (two
            regions, with a credential `docker-credentials` of another user).
        mode: how the CLI behaves; may be changed at any time.
        mode_applies_to: the commands to which `mode` applies, as a shell pattern for the methods of the call
            log (`docker.add-credentials`, `docker.*`).
        listing: how the list of credentials shows what Akka holds.
    """

    _sandbox: Sandbox

    def __init__(self) -> None:
        self.projects = {
            "shop": AkkaProject("shop", OWNER, ("gcp-us-east1",), "Online shop"),
            "billing": AkkaProject("billing", "acme", ("gcp-us-east1", "aws-us-east-2"), "Invoices"),
        }
        self.current_project = "shop"
        self.unreadable: set[str] = set()
        """Projects that are listed but whose credentials the login may not read."""
        self.unavailable: set[str] = set()
        """Projects whose credentials cannot be read for a while."""
        self._mode: Mode = "current"
        self._mode_applies_to = "*"
        self.listing = Listing()
        self._listed_before: dict[str, list[tuple[dt.datetime, list[_Listed]]]] = {}
        """By project: the times of changes, and what was listed until each."""

    def credential(self, project: str, secret_name: str, region: str = "") -> AkkaCredential:
        """The credential with which a service of `project` pulls, including the password.

        Args:
            project: the project's name.
            secret_name: the name of the secret that holds the credential.
            region: the service's region; the primary one by default.

        Raises:
            KeyError: the project has no reference to such a secret, or the secret is not a credential.
        """
        holder = self.projects[project]
        at = region or holder.primary
        found = holder.secrets.find(secret_name, at)
        credential = found[1].value.credential() if found else None
        if credential is None or holder.registries.find(secret_name, at) is None:
            raise KeyError(secret_name)
        assert isinstance(credential, AkkaCredential)  # noqa: S101
        return credential

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self.mode_changed()

    @property
    def mode_applies_to(self) -> str:
        return self._mode_applies_to

    @mode_applies_to.setter
    def mode_applies_to(self, pattern: str) -> None:
        self._mode_applies_to = pattern
        self.mode_changed()

    def mode_changed(self) -> None:
        """Called after `mode` or `mode_applies_to` was set."""

    # -- commands --------------------------------------------------------------------------------------------

    def methods(self) -> dict[str, tuple[Callable[[Request], dict[str, Any]], bool]]:
        """The handler of each method, and whether it changes something."""
        return {
            "docker.add-credentials": (self._add_credentials, True),
            "docker.list-credentials": (self._list_credentials, False),
            "docker.remove-credentials": (self._remove_credentials, True),
            "docker.delete-credentials": (self._delete_credentials, True),
            "secrets.list": (self._list_secrets, False),
            "secrets.get": (self._get_secret, False),
            "secrets.create": (self._create_secret, True),
            "secrets.delete": (self._delete_secret, True),
            "projects.list": (self._list_projects, False),
            "projects.get": (self._get_project, False),
            "projects.regions.list": (self._list_regions, False),
            "projects.regions.set-primary": (self._set_primary, True),
            "projects.export": (self._export, False),
            "services.list": (self._list_services, False),
            "services.get": (self._get_service, False),
            "services.deploy": (self._deploy, True),
            "auth.current-login": (self._current_login, False),
            "config.get": (self._config_get, False),
            "config.list": (self._config_list, False),
            "config.get-project": (lambda _: {"item": self.current_project}, False),
            "config.get-organization": (lambda _: {"item": "acme"}, False),
            "config.current-context": (lambda _: {"item": "default"}, False),
            "config.list-contexts": (lambda _: {"items": ["default"]}, False),
            "version": (lambda _: {"item": OLD_VERSION if self.mode == "old" else VERSION}, False),
        }

    def misbehaves(self, mode: Mode, method: str) -> bool:
        return self.mode == mode and fnmatch.fnmatchcase(method, self.mode_applies_to)

    def _project(self, request: Request) -> AkkaProject:
        """The project of a command, by name or id."""
        wanted = request.project
        owner = request.flags.get("owner")
        for project in self.projects.values():
            if wanted in (project.name, project.id) and owner in (None, "", project.owner):
                return project
        raise AkkaError(404, f"project '{wanted}' not found")

    @staticmethod
    def _region(request: Request, project: AkkaProject) -> str:
        region = str(request.flags.get("region") or GLOBAL)
        if region != GLOBAL and region not in project.regions:
            raise AkkaError(404, f"project '{project.name}' has no region '{region}'")
        return region

    def _target(self, request: Request) -> tuple[AkkaProject, Scope]:
        """The project and scope in which a command writes."""
        project = self._project(request)
        force_global = bool(request.flags.get("force-global"))
        force_regional = bool(request.flags.get("force-regional"))
        region = self._region(request, project)
        if force_global and region != GLOBAL:
            raise AkkaError(400, "--force-global goes without --region")
        if force_regional and region == GLOBAL:
            raise AkkaError(400, "--force-regional goes with --region")
        return project, Scope(region, force_global, force_regional)

    def _views(self, request: Request) -> tuple[AkkaProject, list[str]]:
        """The project and regions that a command reads: the primary region, the named one, or all."""
        project = self._project(request)
        region = self._region(request, project)
        if request.flags.get("all-regions"):
            return project, list(project.regions)
        return project, [region or project.primary]

    def _where(self, project: AkkaProject, region: str, scope: str, entry: Entry) -> dict[str, str]:
        """The region and sync state of an object. A global one is copied from the primary region with a
        delay.
        """
        arrived = scope != GLOBAL or region == project.primary or self._sandbox.visible(entry.since)
        return {"region": region, "sync": "Synced" if arrived else "NotSynced"}

    # -- akka docker -----------------------------------------------------------------------------------------

    def _add_credentials(self, request: Request) -> dict[str, Any]:
        """Write the secret, then the reference to it in the project's registry configuration."""
        project, scope = self._target(request)
        flags = request.flags
        name = str(flags["secret-name"]) if "secret-name" in flags else str(uuid.uuid4())
        existed = False
        if not flags.get("config-only"):
            data = {
                key: str(flags[f"docker-{key}"] or "") for key in ("server", "username", "email", "password")
            }
            existed = project.secrets.write(name, AkkaSecret(DOCKER_TYPE, data), scope, self._sandbox.now())
        if not flags.get("secret-only"):
            if self.misbehaves("half-done", "docker.add-credentials"):
                raise AkkaError(403, "not allowed to change the registry configuration of the project")
            project.registries.write(name, None, scope, self._sandbox.now())
        if self.mode == "old":
            return {"message": f"Created docker credentials with id {name}"}
        return {"message": f"Docker credentials '{name}' {'updated' if existed else 'created'}."}

    def _list_credentials(self, request: Request) -> dict[str, Any]:
        if self._project(request).name in self.unreadable:
            raise AkkaError(403, "permission denied")
        if self._project(request).name in self.unavailable:
            raise AkkaError(503, "try again later")
        project, regions = self._views(request)
        rows = []
        for region in regions:
            for one in self._listed(project):
                if one.region != region:
                    continue
                row = {"name": one.name, **self._as_listed(one.row)}
                if request.flags.get("all-regions"):
                    row |= self._where(project, region, one.scope, one.entry)
                rows.append(row)
        return {"items": rows}

    def _listed(self, project: AkkaProject) -> list[_Listed]:
        """The credentials that the list shows: the current ones, or those before the changes that
        still lag.
        """
        for when, before in self._listed_before.get(project.name, []):
            if (self._sandbox.now() - when).total_seconds() < self.listing.lag:
                return before
        return self._held(project)

    def _held(self, project: AkkaProject) -> list[_Listed]:
        return [
            _Listed(region, name, scope, entry, self._credential_row(project, name, region))
            for region in project.regions
            for name, scope, entry in project.registries.seen_from(region)
        ]

    def remember_listing(self, wanted: str) -> None:
        project = self._find_quietly(wanted)
        if project is not None and self.listing.lag:
            now = self._sandbox.now()
            self._listed_before.setdefault(project.name, []).append((now, self._held(project)))

    def _as_listed(self, row: Mapping[str, str]) -> dict[str, str]:
        email = row["email"][: self.listing.email_length] if self.listing.shows_email else ""
        return {**row, "email": email, "username": row["username"] if self.listing.shows_user else ""}

    def _credential_row(self, project: AkkaProject, name: str, region: str) -> dict[str, str]:
        """One line of `list-credentials`. Passwords are never shown."""
        found = project.secrets.find(name, region)
        credential = found[1].value.credential() if found else None
        if credential is None:
            status = "INVALID" if found else "MISSING"
            return {"status": status, "server": "", "email": "", "username": ""}
        return {
            "status": "INVALID" if self.misbehaves("not-ok", "docker.list-credentials") else "OK",
            "server": credential.server,
            "email": credential.email,
            "username": credential.username,
        }

    def _remove_credentials(self, request: Request) -> dict[str, Any]:
        """Remove the reference only, not the secret (guide "Configure an external container registry")."""
        project, scope = self._target(request)
        name = request.arguments[0]
        anywhere = scope.force_global or scope.force_regional
        project.registries.remove(name, None if anywhere else [scope.region])
        return {"message": f"Docker credentials '{name}' removed."}

    def _delete_credentials(self, request: Request) -> dict[str, Any]:
        """The older CLI's command, for which a credential is a single object with an id."""
        project, name = self._project(request), request.arguments[0]
        try:
            project.registries.remove(name, None)
            project.secrets.remove(name, None)
        except AkkaError:
            raise AkkaError(400, "Invalid docker credentials name") from None
        return {"message": "Docker credentials deleted."}

    # -- akka secrets ----------------------------------------------------------------------------------------

    def _list_secrets(self, request: Request) -> dict[str, Any]:
        project, regions = self._views(request)
        return {
            "items": [
                self._secret_row(request, project, region, name, scope, entry)
                for region in regions
                for name, scope, entry in project.secrets.seen_from(region)
            ]
        }

    def _secret_row(
        self, request: Request, project: AkkaProject, region: str, name: str, scope: str, entry: Entry
    ) -> dict[str, Any]:
        row = {"name": name, "type": entry.value.type, "keys": sorted(entry.value.data)}
        return row | self._where(project, region, scope, entry) if request.flags.get("all-regions") else row

    def _get_secret(self, request: Request) -> dict[str, Any]:
        project, regions = self._views(request)
        name = request.arguments[0]
        rows = [
            self._secret_row(request, project, region, name, *found)
            for region in regions
            if (found := project.secrets.find(name, region)) is not None
        ]
        if not rows:
            raise AkkaError(404, f"secret '{name}' not found")
        return {"items": rows, "item": rows[0]}

    def _create_secret(self, request: Request) -> dict[str, Any]:
        project, scope = self._target(request)
        name = request.arguments[0]
        secret = AkkaSecret(request.body["kind"], request.body["data"])
        existed = project.secrets.write(name, secret, scope, self._sandbox.now())
        return {"message": f"Secret '{name}' {'updated' if existed else 'created'}."}

    def _delete_secret(self, request: Request) -> dict[str, Any]:
        project = self._project(request)
        region = self._region(request, project)
        name = request.arguments[0]
        project.secrets.remove(name, None if request.flags.get("all-regions") else [region])
        return {"message": f"Secret '{name}' deleted."}

    # -- akka projects, auth, config -------------------------------------------------------------------------

    def _list_projects(self, request: Request) -> dict[str, Any]:
        organization = request.flags.get("organization")
        current = self._find_quietly(request.project)
        return {
            "items": [
                project.message()
                for project in self.projects.values()
                if organization in (None, "", project.owner)
            ],
            "current": f"projects/{current.id}" if current else "",
        }

    def _find_quietly(self, wanted: str) -> AkkaProject | None:
        return next((one for one in self.projects.values() if wanted in (one.name, one.id)), None)

    def _get_project(self, request: Request) -> dict[str, Any]:
        return {"item": self._project(request).message()}

    # -- akka services, and the descriptor of a project ------------------------------------------------------

    def _export(self, request: Request) -> dict[str, Any]:
        """The project descriptor (reference, "Project Descriptor"): one YAML document a resource."""
        project = self._project(request)
        documents = [
            f"resource: Service\nresourceVersion: v1\nmetadata:\n  name: {name}\nspec:\n  image: "
            f"{json.dumps(image)}\n"
            for name, image in project.services.items()
        ]
        others = "resource: Observability\nresourceVersion: v1\nspec:\n  exporter:\n    kalixConsole: {}\n"
        return {"item": "---\n".join([*documents, others]).rstrip()}

    def _list_services(self, request: Request) -> dict[str, Any]:
        project = self._project(request)
        rows = [self._service_row(project, name) for name in project.services]
        return {"items": [{key: row[key] for key in ("name", "status", "image")} for row in rows]}

    def _get_service(self, request: Request) -> dict[str, Any]:
        project, name = self._project(request), request.arguments[0]
        if name not in project.services:
            raise AkkaError(404, f"service '{name}' not found")
        return {"item": self._service_row(project, name)}

    def _deploy(self, request: Request) -> dict[str, Any]:
        project, (name, image) = self._project(request), request.arguments
        project.services[name] = image
        return {"message": f"Service '{name}' was successfully deployed."}

    def _service_row(self, project: AkkaProject, name: str) -> dict[str, Any]:
        image = project.services[name]
        failure = self._pull_failure(project, image)
        state = (
            {"waiting": {"reason": "ImagePullBackOff", "message": failure}} if failure else {"running": {}}
        )
        container = {"name": "user-function", "image": image, "ready": not failure, "state": state}
        status = "UpdateInProgress" if failure else "Ready"
        return {"name": name, "status": status, "image": image, "containerStatuses": [container]}

    @staticmethod
    def _pull_failure(project: AkkaProject, image: str) -> str:
        """The error of a kubelet that has no credential for the image's host; "" if it has one."""
        host = host_of_image(image)
        if is_akka_registry(host):
            return ""
        for _, _, entry in project.secrets.seen_from(project.primary):
            credential = entry.value.credential()
            if credential is not None and same_registry(host_of(credential.server), host or "docker.io"):
                return ""
        return (
            f'Back-off pulling image "{image}": failed to authorize: failed to fetch anonymous token: '
            "401 Unauthorized"
        )

    def _list_regions(self, request: Request) -> dict[str, Any]:
        return {"items": self._project(request).region_messages()}

    def _set_primary(self, request: Request) -> dict[str, Any]:
        project, region = self._project(request), request.arguments[0]
        if region not in project.regions:
            raise AkkaError(404, f"project '{project.name}' has no region '{region}'")
        project.primary = region
        return {"message": f"Primary region of project '{project.name}' is now '{region}'."}

    def _current_login(self, _: Request) -> dict[str, Any]:
        return {"item": {"context": "default", "name": "Sandbox Person", "email": LOGIN}}

    def _config(self) -> dict[str, str]:
        # Like the real CLI, print the long-lived token: nothing may log it.
        return {
            "api-server-host": "api.kalix.io:443",
            "organization": "acme",
            "project": self.current_project,
            "refresh-token": "made-up-refresh-token",
        }

    def _config_get(self, request: Request) -> dict[str, Any]:
        key = request.arguments[0]
        if key not in self._config():
            raise AkkaError(404, f"configuration key '{key}' is not set")
        return {"item": self._config()[key]}

    def _config_list(self, _: Request) -> dict[str, Any]:
        return {"item": self._config()}

"""The target of this provider: projects of one Harbor, parsed from the options or from Akka's record."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import secret_name
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import ImageReference, parse_reference
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.model.server import host_of
from bootstrap.plugin.provider import Target
from providers.harbor import messages_options as messages
from providers.harbor.names import NAME_MARK, parts_of

LEVELS = ("project", "system")
LINKS = {"project": "harbor", "system": "harbor-system"}
"""The name in the e-mail of Akka's record, by the level of the robot account; the domain is Harbor's host."""
DEFAULT_LIFETIME = dt.timedelta(days=365)
_DAY = dt.timedelta(days=1)
_MOST_DAYS = 2**31 - 2  # handler/robot.go, `isValidDuration`

_NAME = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"  # goharbor/harbor, src/server/v2.0/handler/project.go
_PROJECT = re.compile(rf"^{_NAME}$")
_USER_LIMIT = 255
# The prefix ends at a character that no project's name has; otherwise it cannot be distinguished from the
# name.
_USERNAME = re.compile(rf"^(?:.*[^a-z0-9._-])?({_NAME})\+{NAME_MARK}[0-9a-f]{{12}}$")


@dataclass(frozen=True)
class HarborTarget(Target):
    """One Harbor, and the projects that Akka is to pull from.

    Attributes:
        host: with its port, as in an image.
        projects: their names; () if Akka's record does not contain them, so that the robot account that it
            names does.
        level: of the robot account: one of the project, or one of the system, which may pull from several.
        user: the user who logs in to create it; "" if no user was named.
        repository: of the image that verifies the pull; "" if none was named.
        login: the password that was supplied on stdin.
        login_for: the Harbor that the environment names, if Akka's record is of another one: the login is for
            that one, and nobody else gets it.
    """

    host: str
    projects: tuple[str, ...]
    level: str
    user: str
    repository: str = ""
    reference: str = ""
    expires_in: dt.timedelta = DEFAULT_LIFETIME
    login: Secret | None = field(default=None, repr=False, compare=False)
    login_for: str = ""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> HarborTarget:
        """Read the options of `pullkey onboard harbor`, and `--image`.

        Raises:
            UsageProblem: one of them is not valid, or two of them contradict each other.
        """
        image = _image(values.get("image") or "")
        host = _host(values.get("registry") or "", image)
        projects = _projects(values.get("project") or "")
        if image is not None:
            of_image = image.path.partition("/")[0]
            if projects and of_image not in projects:
                raise messages.image_of_another_project(of_image)
            projects = projects or (of_image,)
        if not projects:
            raise messages.no_project()
        level = values.get("level") or ("project" if len(projects) == 1 else "system")
        if level == "project" and len(projects) > 1:
            raise messages.several_projects()
        user = _user(values.get("user") or "")
        if not user:
            raise messages.no_user()
        lifetime = values.get("expires_in") or DEFAULT_LIFETIME
        if lifetime % _DAY or not 1 <= lifetime // _DAY <= _MOST_DAYS:
            raise messages.invalid_lifetime()
        return cls(
            host=host,
            projects=projects,
            level=level,
            user=user,
            repository=image.path if image else "",
            reference=image.reference if image else "",
            expires_in=lifetime,
            login=values.get("login_stdin"),
        )

    @classmethod
    def held(cls, held: HeldCredential, login: Mapping[str, Any]) -> HarborTarget:
        """The target of a record of pullkey's: host and project are in it, the user in the login's values.

        Raises:
            PullkeyError: the record is not one of this provider's.
        """
        level = level_of(held.link)
        if not level:
            raise messages.email_of_record_invalid(held.email, held.name)
        host = host_of(held.server)
        repository = reference = ""
        try:
            image = _image(login.get("image") or "")
            if image is not None and image.registry.removesuffix(":443") == host:
                repository, reference = image.path, image.reference
        except UsageProblem:
            pass  # it is of another registry; several credentials are searched for one
        project = project_of(held.username)
        return cls(
            host=host,
            projects=(project,) if project else (),
            level=level,
            user=_user(login.get("user") or ""),
            repository=repository,
            reference=reference,
        )

    # -- as `bootstrap.plugin.provider.Target` ---------------------------------------------------------------

    @property
    def label(self) -> str:
        return ", ".join(f"{self.host}/{name}" for name in self.projects) or self.host

    @property
    def registry(self) -> str:
        return self.host

    @property
    def secret_name(self) -> str:
        return secret_name(self.host, *self.projects)

    @property
    def lock_key(self) -> str:
        # A record does not contain the projects of a robot account of the system.
        return f"harbor {self.host} {self.projects[0] if self._is_of_project else 'system'}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return self.expires_in

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def _is_of_project(self) -> bool:
        return self.level == "project" and bool(self.projects)

    @property
    def server(self) -> str:
        return f"https://{self.host}/v1/"

    def is_apart_from(self, projects: Sequence[str]) -> bool:
        """Whether none of these projects is one of its own. Not if one of the two is not known."""
        return bool(projects and self.projects) and not {"*", *self.projects} & {*projects}

    @property
    def domain(self) -> str:
        """The domain of the e-mail: the host without its port."""
        return self.host.partition(":")[0]

    @property
    def days(self) -> int:
        return self.expires_in // _DAY

    @property
    def named(self) -> str:
        """The projects, in a sentence: `the project shop`."""
        if not self.projects:
            return "the same projects"
        return f"the project{'s' * (len(self.projects) > 1)} {', '.join(self.projects)}"


def level_of(link: KeyRef | None) -> str:
    """The level of the robot account that a link names, if pullkey created it; else "".

    >>> level_of(KeyRef.parse("harbor+robot-17-0123456789ab@harbor.example.com"))
    'project'
    """
    if link is None or parts_of(link.key_id) is None:
        return ""
    return next((level for level, name in LINKS.items() if name == link.name), "")


def project_of(username: str) -> str:
    """The project in the user name of a robot account that pullkey created; "" if it is not in it.

    >>> project_of("robot$shop+pullkey-0123456789ab"), project_of("robot$pullkey-0123456789ab")
    ('shop', '')
    """
    found = _USERNAME.match(username)
    return found[1] if found and found.start(1) > 0 else ""


def _image(typed: str) -> ImageReference | None:
    if not typed:
        return None
    image = parse_reference(typed, where="--image")
    if "/" not in image.path:
        raise messages.image_without_project(typed)
    return image


def _host(typed: str, image: ImageReference | None) -> str:
    named = parse_reference(typed, where="--registry") if typed else image
    if named is None:
        raise messages.no_registry()
    if typed and named.path:
        raise messages.registry_with_path(typed)
    if image is not None and (image.host, image.port or 443) != (named.host, named.port or 443):
        raise messages.two_registries(image.registry, named.registry)
    return named.registry.removesuffix(":443")


def _projects(typed: str) -> tuple[str, ...]:
    found = dict.fromkeys(part.strip() for part in typed.split(",") if part.strip())
    for name in found:
        if not _PROJECT.match(name):
            raise messages.invalid_project(name)
    return tuple(found)


def _user(typed: str) -> str:
    if not typed:
        return ""
    if not typed.isprintable() or typed != typed.strip() or len(typed) > _USER_LIMIT or ":" in typed:
        raise messages.invalid_user(typed[:_USER_LIMIT])
    return typed

"""One project or group of GitLab whose images are to be pulled, parsed from the options or Akka's record."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import secret_name
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import ImageReference, parse_reference
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.model.server import canonical, host_of
from bootstrap.plugin.provider import Target
from providers.gitlab import messages_options
from providers.gitlab.address import SAAS, SAAS_REGISTRY, host_of_instance, instance_named

Kind = Literal["project", "group"]
DEFAULT_LIFETIME = dt.timedelta(days=365)
KEY = "deploy-token-"
"""The prefix of a deploy token's number in a key id."""
USER = "gitlab+"
"""The prefix of that in a default user name (app/models/deploy_token.rb)."""
_LINK = re.compile(r"^gitlab-(project|group)-([1-9][0-9]{0,18})$")
_KEY_ID = re.compile(rf"^{KEY}([1-9][0-9]{{0,18}})$")
# The permitted paths of namespaces and projects: gitlabhq/gitlabhq, lib/gitlab/path_regex.rb.
_PART = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_.-]*$")
_NUMBER = re.compile(r"^[1-9][0-9]{0,18}$")
_MOST_PARTS = 21  # a project in the deepest group: 20 levels (doc/user/group/subgroups/_index.md)


@dataclass(frozen=True)
class GitlabTarget(Target):
    """The project or group whose deploy token Akka gets, and the image to verify.

    Attributes:
        host: the registry's, with its port if it has one.
        kind: whose token it is: a project's or a group's.
        path: of that project or group; "" if only its number or an image is known.
        number: its number; 0 if it is not known.
        repository: the repository of the image; "" if none was named. It begins with its project's path.
        gitlab: the URL of the instance; "" for the one that the registry names.
        allowed_host: the host of the instance, if the user or Akka's record names it: it may get the access
            token although its owner is not the registry's.
        login_for: the host of the instance that the user named, if Akka's record is of another one: the
            access token is for that one, and nobody else gets it.
        login: the access token that was supplied on stdin.
        seen: what GitLab has shown so far: `path`, `number`, `url` of the instance.
    """

    host: str
    kind: Kind
    path: str
    number: int
    repository: str
    reference: str
    gitlab: str = ""
    allowed_host: str = ""
    login_for: str = ""
    expires_in: dt.timedelta = DEFAULT_LIFETIME
    login: Secret | None = field(default=None, repr=False, compare=False)
    seen: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> GitlabTarget:
        """Read the options of `pullkey onboard gitlab`, and `--image`.

        Raises:
            UsageProblem: one of them cannot be used, or two of them contradict each other.
        """
        image = _image(values.get("image") or "")
        gitlab = instance_named(values["gitlab"]) if values.get("gitlab") else ""
        if values.get("project") and values.get("group"):
            raise messages_options.project_and_group()
        kind: Kind = "group" if values.get("group") else "project"
        path, number = _namespace(values.get(kind), f"--{kind}")
        if not (path or number or image):
            raise messages_options.nothing_named()
        if image is not None and path:
            _check_within(image, kind, path)
        lifetime = values.get("expires_in") or DEFAULT_LIFETIME
        if lifetime < dt.timedelta(hours=1):
            raise messages_options.lifetime_too_short()
        return cls(
            host=_host(values.get("registry") or "", image, gitlab),
            kind=kind,
            path=path,
            number=number,
            repository=image.path if image else "",
            reference=image.reference if image else "",
            gitlab=gitlab,
            allowed_host=host_of_instance(gitlab),
            expires_in=lifetime,
            login=values.get("login_stdin"),
        )

    @classmethod
    def held(cls, held: HeldCredential, login: Mapping[str, Any]) -> GitlabTarget:
        """The target of Akka's record, whose e-mail names the instance and the project, by the project's
        number.

        Raises:
            PullkeyError: the record is not one of this provider's.
        """
        link = held.link
        found = _LINK.match(link.name) if link is not None else None
        if link is None or found is None:
            raise messages_options.record_unreadable(held.email, held.name)
        kind: Kind = "group" if found[1] == "group" else "project"
        host = host_of(held.server)
        gitlab = instance_named(login["gitlab"]) if login.get("gitlab") else ""
        login_for = ""
        if gitlab and host_of_instance(gitlab) != link.domain:
            login_for, gitlab = host_of_instance(gitlab), ""
        if not gitlab and link.domain == host_of_instance(SAAS):
            gitlab = SAAS
        try:
            image = _image(login.get("image") or "")
        except UsageProblem:
            image = None
        if image is not None and image.registry.removesuffix(":443") != host:
            image = None
        return cls(
            host=host,
            kind=kind,
            path="",
            number=int(found[2]),
            repository=image.path if image else "",
            reference=image.reference if image else "",
            gitlab=gitlab,
            allowed_host=link.domain,
            login_for=login_for,
        )

    # -- as `bootstrap.plugin.provider.Target` ---------------------------------------------------------------

    @property
    def label(self) -> str:
        path = self.namespace_path or self.repository
        return f"{self.host}/{path.lower()}" if path else f"{self.kind} {self.number} at {self.host}"

    @property
    def registry(self) -> str:
        return self.host

    @property
    def secret_name(self) -> str:
        # How much of an image's name is its project's path is known only after a call to GitLab.
        return secret_name(self.host, self.path or self.repository or f"{self.kind}-{self.number}")

    @property
    def lock_key(self) -> str:
        return f"gitlab {self.host} {self._whose}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return self.expires_in

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def _whose(self) -> str:
        return f"{self.kind} {self.path.lower() or self.number or self.repository}"

    @property
    def namespace_path(self) -> str:
        """The path of the project or group, as far as it is known."""
        return self.path or self.seen.get("path", "")

    @property
    def namespace_number(self) -> int:
        """The number of the project or group; 0 while it is not known."""
        return self.number or int(self.seen.get("number", "0"))

    @property
    def called(self) -> str:
        """The project or group, as a sentence names it."""
        path = self.namespace_path
        if path or self.number:
            return f"the {self.kind} {path or self.number}"
        return f"the project of {self.repository}"

    @property
    def server(self) -> str:
        """The server as it is handed to Akka."""
        return canonical(f"https://{self.host}/v1/")

    def link(self, token: int, instance: str, number: int) -> KeyRef:
        """The reference to a deploy token in Akka's record."""
        return KeyRef(f"gitlab-{self.kind}-{number}", key_id_of(token), host_of_instance(instance))


def key_id_of(token: int) -> str:
    """The id by which pullkey names a deploy token.

    >>> key_id_of(17), number_of_key("deploy-token-17"), number_of_key("17")
    ('deploy-token-17', 17, None)
    """
    return f"{KEY}{token}"


def number_of_key(key_id: str) -> int | None:
    """The number of a deploy token; None where the id is not one of a deploy token's."""
    found = _KEY_ID.match(key_id)
    return int(found[1]) if found else None


def is_link(link: KeyRef | None) -> bool:
    """Whether an e-mail names a deploy token that this provider has created."""
    return link is not None and _LINK.match(link.name) is not None and _KEY_ID.match(link.key_id) is not None


def _host(typed: str, image: ImageReference | None, gitlab: str) -> str:
    of_image = image.registry.removesuffix(":443") if image is not None else ""
    if typed:
        named = parse_reference(typed, where="--registry")
        if named.path:
            raise messages_options.registry_with_path(typed)
        host = named.registry.removesuffix(":443")
        if of_image and of_image != host:
            raise messages_options.two_registries(of_image, host)
        return host
    if of_image:
        return of_image
    if gitlab not in ("", SAAS):
        raise messages_options.registry_not_named(gitlab)
    return SAAS_REGISTRY


def _image(typed: str) -> ImageReference | None:
    if not typed:
        return None
    image = parse_reference(typed, where="--image")
    if "/" not in image.path:
        raise messages_options.image_without_repository(typed)
    return image


def _namespace(typed: Any, option: str) -> tuple[str, int]:
    """The path of a project or group, or its number."""
    text = str(typed or "").strip().strip("/")
    if not text:
        return "", 0
    if _NUMBER.match(text):
        return "", int(text)
    parts = text.split("/")
    least = 2 if option == "--project" else 1
    if not least <= len(parts) <= _MOST_PARTS or not all(map(_PART.match, parts)):
        raise messages_options.project_invalid(option, text)
    return text, 0


def _check_within(image: ImageReference, kind: Kind, path: str) -> None:
    """GitLab's registry names a project in lower case
    (app/services/auth/container_registry_authentication_service.rb).
    """
    inside = image.path.startswith(f"{path.lower()}/") or (kind == "project" and image.path == path.lower())
    if not inside:
        raise messages_options.image_elsewhere(image.path, path)

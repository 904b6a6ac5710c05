"""A Docker Hub target: the user or organisation, and the repositories to pull."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.credential import secret_name
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.secret import Secret
from bootstrap.model.server import host_of
from bootstrap.plugin.provider import Target
from providers.docker_hub import messages_options

SERVER = "https://index.docker.io/v1/"  # as on Akka's page "Configure an external container registry"
REGISTRY = "registry-1.docker.io"
TOKENS_PAGE = "https://app.docker.com/settings/personal-access-tokens"
HOSTS = frozenset(
    {"docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com"}
)
DOMAIN = "docker.io"
"""The domain of the e-mail field; its local part names the kind of token."""

Kind = Literal["pat", "oat", "brought"]
KINDS: tuple[Kind, ...] = ("pat", "oat", "brought")
DEFAULT_LIFETIME = dt.timedelta(days=365)
# "Create and manage personal access tokens", and the same for organisations: up to one year from today.
LONGEST = dt.timedelta(days=365)
MOST_REPOSITORIES = 50  # "Create and manage organization access tokens"

# New Docker IDs have lower-case letters and digits only; older ones have other characters too.
_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?$")
_WEB_PAGE = re.compile(
    r"^(?:https://)?hub\.docker\.com/(?:r|repository/docker)/(?P<path>[^/?#]+/[^/?#]+)(?:[/?#].*)?$"
)
_OFFICIAL_PAGE = re.compile(r"^(?:https://)?hub\.docker\.com/_/(?P<path>[^/?#]+)/?$")


@dataclass(frozen=True)
class DockerHubTarget(Target):
    """A user's or organisation's token, and the repositories to pull with it.

    Attributes:
        kind: a created token of the user (`pat`) or of the organisation (`oat`), or a user-supplied one
            (`brought`).
        asked_for: whether options chose that kind; False if it is the default.
        user: the user who logs in to Docker Hub, and who pulls with a personal token; "" if not named.
        organization: the organisation that owns the token; "" for a personal one.
        repositories: the repositories to pull, as `NAMESPACE/NAME`; an organisation's token is limited to
            them.
        repository: the repository of the image for the verification; "" if unknown.
        token: the token given on stdin.
        login: the password for Docker Hub given on stdin.
    """

    kind: Kind
    asked_for: bool
    user: str
    organization: str
    repositories: tuple[str, ...]
    repository: str
    reference: str
    expires_in: dt.timedelta = DEFAULT_LIFETIME
    token: Secret | None = field(default=None, repr=False, compare=False)
    login: Secret | None = field(default=None, repr=False, compare=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> DockerHubTarget:
        """Create the target from the options of `pullkey onboard docker-hub`.

        Raises:
            UsageProblem: an option is invalid, or two contradict each other.
        """
        user = _account(values.get("hub_user"), where="--hub-user")
        organization = _account(values.get("organization"), where="--organization")
        token, login = values.get("token_stdin"), values.get("login_stdin")
        # A file of registries names sources of these secrets, which are read when needed.
        later = values.get("sources") or ()
        supplied, logs_in = bool(token or "token_stdin" in later), bool(login or "login_stdin" in later)
        minted = bool(values.get("mint") or logs_in or (organization and not supplied))
        if supplied and minted:
            raise messages_options.token_supplied_and_created()
        if token:
            _check_token(token)
        image, reference = image_of(values["image"], where="--image") if values.get("image") else ("", "")
        repositories = _repositories(values.get("repository"))
        if repositories and image and image not in repositories:
            raise messages_options.image_not_in_repositories(image)
        repositories = repositories or ((image,) if image else ())
        if minted and not user:
            raise messages_options.login_user_not_named()
        if not (user or organization or image):
            raise messages_options.puller_not_named()
        if organization and minted:
            _check_organization(organization, repositories)
        lifetime = values.get("expires_in") or DEFAULT_LIFETIME
        if not dt.timedelta(hours=1) <= lifetime <= LONGEST:
            raise messages_options.invalid_lifetime()
        return cls(
            kind=("oat" if organization else "pat") if minted else "brought",
            asked_for=minted or supplied,
            user=user,
            organization=organization,
            repositories=repositories,
            repository=image or (repositories[0] if repositories else ""),
            reference=reference,
            expires_in=lifetime,
            token=token,
            login=login,
        )

    @classmethod
    def from_record(cls, held: HeldCredential, login: Mapping[str, Any]) -> DockerHubTarget:
        """Create the target from Akka's record, which has kind and user, and the values of the login.

        Raises:
            PullkeyError: the record's e-mail does not name a kind of token.
        """
        kind = next((kind for kind in KINDS if held.link is not None and held.link.name == kind), None)
        if kind is None:
            raise messages_options.email_of_record_invalid(held.email, held.name)
        try:
            repository, reference = image_of(login.get("image") or "", where="--image")
        except UsageProblem:
            repository = reference = ""  # `--image` may be meant for another one of several credentials
        named = _account(login.get("hub_user"), where="--hub-user")
        return cls(
            kind=kind,
            asked_for=True,
            user=named if kind == "oat" else held.username,
            organization=held.username if kind == "oat" else "",
            repositories=(),
            repository=repository,
            reference=reference,
        )

    # -- the attributes of `bootstrap.plugin.provider.Target` ------------------------------------------------

    @property
    def label(self) -> str:
        if self.repositories:
            return ", ".join(f"{DOMAIN}/{name}" for name in self.repositories)
        return f"Docker Hub for {self.puller}"

    @property
    def registry(self) -> str:
        return REGISTRY

    @property
    def secret_name(self) -> str:
        # One per owner: a token is valid for everything that its owner may read.
        return secret_name("docker-hub", self.puller)

    @property
    def lock_key(self) -> str:
        return f"docker-hub {self.puller or self.repository}"

    @property
    def shared_identity_key(self) -> str:
        return self.quota_group

    @property
    def quota_group(self) -> str:
        return f"docker-hub {self.puller}"

    @property
    def lifetime(self) -> dt.timedelta | None:
        return self.expires_in if self.minted else None

    @property
    def key_supplied(self) -> bool:
        return not self.minted

    # -- names -----------------------------------------------------------------------------------------------

    @property
    def puller(self) -> str:
        """The user name to register with Akka: the organisation for its tokens, else the user."""
        return self.organization or self.user

    @property
    def minted(self) -> bool:
        return self.kind != "brought"


def is_docker_hub(server: str) -> bool:
    """Whether the server in Akka's record is Docker Hub.

    >>> is_docker_hub("https://index.docker.io/v1/")
    True
    >>> is_docker_hub("registry.example.com")
    False
    """
    return host_of(server).partition(":")[0] in HOSTS


def covered(repositories: Iterable[str], name: str) -> bool:
    """Whether a token of these repositories may pull one; `acme/*` are all of a namespace (Docker Hub's API,
    schema `orgAccessTokenResource`).

    >>> covered(["acme/*"], "acme/cart"), covered(["acme/cart"], "acme/cart2"), covered(["*/*/public"], "a/b")
    (True, False, False)
    """
    return any(name == one or (one.endswith("/*") and name.startswith(one[:-1])) for one in repositories)


def names_image(text: str) -> bool:
    """Whether a text names an image, not only the host of Docker Hub.

    >>> names_image("https://index.docker.io/v1/"), names_image("docker.io/acme/checkout")
    (False, True)
    """
    host, _, path = re.sub("^https?://", "", text.strip()).partition("/")
    return host.lower() not in HOSTS or path.rstrip("/") not in ("", "v1", "v2")


def image_of(text: str, *, where: str) -> tuple[str, str]:
    """Parse an image's name, with or without host, to repository and reference.

    >>> image_of("acme/checkout:1.0", where="--image")
    ('acme/checkout', '1.0')
    >>> image_of("nginx", where="--image")
    ('library/nginx', 'latest')

    Raises:
        UsageProblem: it is not an image, or is in another registry.
    """
    bare = text.strip().removeprefix("https://")
    if page := _WEB_PAGE.match(bare):
        bare = page["path"]
    elif page := _OFFICIAL_PAGE.match(bare):
        bare = f"library/{page['path']}"
    first, slash, rest = bare.partition("/")
    # distribution/reference: a first part with a dot or a colon, or `localhost`, is a host.
    if slash and ("." in first or ":" in first or first == "localhost"):
        if first.lower() not in HOSTS:
            raise messages_options.image_not_on_docker_hub(where, text)
        bare = rest
    named = parse_reference(f"{DOMAIN}/{bare}", where=where)
    if not named.path:
        raise messages_options.image_not_named(where, text)
    if named.path.count("/") > 1:
        raise messages_options.invalid_image(where, text)
    # Official images belong to the user `library`.
    return named.path if "/" in named.path else f"library/{named.path}", named.reference


def _account(text: Any, *, where: str) -> str:
    name = str(text or "").strip().lower()
    if not name:
        return ""
    if "@" in name:
        raise messages_options.email_as_account(where, name)
    if not _NAME.match(name):
        raise messages_options.invalid_account(where, name)
    return name


def _repositories(text: Any) -> tuple[str, ...]:
    found: list[str] = []
    for part in str(text or "").split(","):
        if not part.strip():
            continue
        name, _ = image_of(part.strip(), where="--repository")
        if not part.strip().rstrip("/").endswith(name.removeprefix("library/")):
            raise messages_options.repository_with_tag(part.strip())
        if name not in found:
            found.append(name)
    return tuple(found)


def _check_organization(organization: str, repositories: tuple[str, ...]) -> None:
    if not repositories:
        raise messages_options.repositories_not_named(organization)
    others = [name for name in repositories if name.partition("/")[0] != organization]
    if others:
        raise messages_options.repositories_of_others(", ".join(others), organization)
    if len(repositories) > MOST_REPOSITORIES:
        raise messages_options.too_many_repositories(len(repositories), MOST_REPOSITORIES)


def _check_token(token: Secret) -> None:
    text = token.reveal()
    if any(character.isspace() or not character.isprintable() for character in text):
        raise messages_options.invalid_token()


def check_token(token: Secret) -> Secret:
    """Return a token unchanged if it is well-formed.

    Raises:
        UsageProblem: it is not.
    """
    _check_token(token)
    return token

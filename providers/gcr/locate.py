"""Find the Google project, repository and account of a credential in Akka.

Akka's record names the registry's host and the account, whose e-mail usually contains its project. The
secret's name contains project and repository if pullkey derived it; else the account's roles show where it
may pull from.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.server import host_of
from bootstrap.plugin.context import RunContext
from providers.gcr import cloud, errors, messages_locate, policy
from providers.gcr.account_session import made_by_pullkey
from providers.gcr.cache import Facts, shared_cloud, shared_facts
from providers.gcr.errors import GoogleApiError
from providers.gcr.place import (
    is_project,
    is_repository,
    location_of,
    registry_secret_name,
    repository_of,
    split_path,
    with_domain_as_folder,
)
from providers.gcr.target import (
    AUTO,
    CREATE,
    DEFAULT_ROLE,
    LONGEST_LIFE,
    STORAGE_ROLE,
    UPLOAD,
    GcrTarget,
    impersonated,
    project_of,
)


@dataclass(frozen=True)
class Place:
    """What a credential may be for: a project, and one repository of it, or "" for all."""

    project: str
    repository: str

    def __str__(self) -> str:
        return f"{self.project}/{self.repository}" if self.repository else f"project {self.project}"


async def locate(held: HeldCredential, context: RunContext, login: Mapping[str, Any]) -> GcrTarget:
    """See `bootstrap.plugin.provider.Provider.locate`."""
    google = shared_cloud(context, impersonated(login))
    await google.login.connect()
    search = _Search(held, shared_facts(context, google))
    try:
        return await search.target(login.get("image"), google.login.impersonate)
    except GoogleApiError as error:
        raise errors.refused(error, f"show the cloud resources of {held.name}") from None


# Roles that `--role` may have named to let an account pull; others on the same place are for something else.
_MAY_PULL = re.compile(r"(?:projects|organizations)/|roles/artifactregistry\.")
_DOMAIN = ".iam.gserviceaccount.com"


def _whole_domain(held: HeldCredential) -> str:
    """The domain of the account in Akka's record, completed if Akka has cut the e-mail after the project.

    Raises:
        PullkeyError: the project is cut too.
    """
    domain = held.link.domain if held.link is not None else ""
    if domain.endswith(".gserviceaccount.com"):
        return domain
    for length in range(len(_DOMAIN) - 1, 0, -1):
        if domain.endswith(_DOMAIN[:length]) and len(domain) > length:
            return domain[:-length] + _DOMAIN
    raise messages_locate.email_cut(held.name, held.email, host_of(held.server))


class _Search:
    def __init__(self, held: HeldCredential, facts: Facts) -> None:
        if held.link is None:
            raise AssertionError("only a credential of pullkey's is looked up")
        self._name = held.name
        self._key_id = held.link.key_id
        self._email = f"{held.link.name}@{_whole_domain(held)}"
        self._own = project_of(self._email)
        self._host = host_of(held.server)
        self._location = location_of(self._host)
        self._facts = facts
        self._passed_over: list[GoogleApiError] = []
        """Why Google shows nothing of projects that the name only may mean."""

    async def target(self, image: str | None, impersonate: str) -> GcrTarget:
        place, path, reference = (
            await self._image_place(image) if image else (await self._guess_place(), "", "")
        )
        resource = f"projects/{self._own or '-'}/serviceAccounts/{self._email}"
        account, role, (source, life) = await asyncio.gather(
            self._account(resource), self._seen_role(place), self._key_source(resource)
        )
        # A deleted account counts as ours, so that onboarding creates it again under its name. One that may
        # not be read does too: the session reads it again before it deletes or keeps it.
        ours = account in (None, "unseen") or made_by_pullkey(account)
        given = not (ours and self._own == place.project)
        return GcrTarget(
            project=place.project,
            host=self._host,
            location=self._location,
            repository=place.repository,
            image_path=path,
            reference=reference,
            account=self._email,
            account_given=given,
            role=role or DEFAULT_ROLE,
            # It may pull by a role of a group, a folder or a condition (`onboard --skip-grant`), and what
            # pullkey may not have granted it does not grant again.
            skip_grant=given and role is None,
            enable_apis=False,
            impersonate=impersonate,
            key_source=source,
            life=life,
        )

    # -- where -----------------------------------------------------------------------------------------------

    async def _image_place(self, image: str) -> tuple[Place, str, str]:
        named = parse_reference(with_domain_as_folder(image), where="--image")
        if named.registry != self._host:
            raise messages_locate.image_not_of_credential(named.registry, self._name, self._host)
        project, repository, path = split_path(self._host, named.path)
        if not project or not repository:
            raise messages_locate.image_without_repository(image, self._host, self._how_to_name_image())
        return Place(project, repository), path, named.reference if path else ""

    async def _guess_place(self) -> Place:
        projects = [self._own] if self._own else []
        derived = await self._each(self._derived_places, projects)
        if len(derived) != 1 or await self._granted_role(derived[0]) is None:
            # The name was not derived, or is of another project, or is ambiguous: the roles decide.
            projects += [project for project in self._projects_in_name() if await self._exists(project)]
            derived = await self._each(self._derived_places, projects)
        if len(derived) == 1:
            return derived[0]
        granted = await self._each(self._granted_places, projects)
        both = [place for place in derived if place in granted]
        likely = both or derived or granted or self._deleted_place()
        if len(likely) == 1:
            return likely[0]
        if not likely and self._passed_over:
            raise self._passed_over[0]
        if not likely:
            raise messages_locate.repository_unknown(
                self._name, self._host, self._email, _listed(projects), self._how_to_name_image()
            )
        raise messages_locate.repository_ambiguous(self._name, _listed(likely), self._how_to_name_image())

    def _how_to_name_image(self) -> str:
        return messages_locate.name_an_image_fix(self._host, one_repository=bool(repository_of(self._host)))

    async def _each(
        self, ask: Callable[[str], Awaitable[list[Place]]], projects: Sequence[str]
    ) -> list[Place]:
        async def unless_blocked(project: str) -> list[Place]:
            try:
                return await ask(project)
            except GoogleApiError as error:
                self._pass_over(project, error)
                return []

        return [place for found in await asyncio.gather(*map(unless_blocked, projects)) for place in found]

    def _pass_over(self, project: str, error: GoogleApiError) -> None:
        """Note that a project is not looked at, since no permission on it would remove the refusal.

        Raises:
            GoogleApiError: it is the account's own, or the error is another.
        """
        if project == self._own or not error.obstacle:
            raise error
        self._passed_over.append(error)

    def _name_after_host(self) -> str:
        """The secret's name after the host; "" for a name that was not derived from the host."""
        prefix = registry_secret_name(self._host, "", "") + "-"
        return self._name.removeprefix(prefix) if self._name.startswith(prefix) else ""

    def _projects_in_name(self) -> list[str]:
        """The other project ids that the secret's name may contain: which dash ends the id is ambiguous."""
        words = self._name_after_host().split("-")
        heads = ["-".join(words[:count]) for count in range(1, len(words) + 1)]
        return [head for head in heads if is_project(head) and head != self._own]

    async def _exists(self, project: str) -> bool:
        try:
            return await self._facts.project_state(project)() == "ACTIVE"
        except GoogleApiError as error:
            if error.no_such_project:
                return await self._lists_repositories(project)
            self._pass_over(project, error)
            return False

    async def _lists_repositories(self, project: str) -> bool:
        """Whether the login lists a project's repositories, as one that sees nothing else of it may."""
        try:
            await self._facts.repositories(project, self._location)()
        except GoogleApiError as error:
            if error.inconclusive:
                raise
            return False
        return True

    async def _derived_places(self, project: str) -> list[Place]:
        """The places in a project from which this secret's name would be derived."""
        if only := repository_of(self._host):
            candidates = [only]
        else:
            candidates = ["", *await self._repositories(project)]
        return [
            Place(project, it)
            for it in candidates
            if registry_secret_name(self._host, project, it) == self._name
        ]

    async def _repositories(self, project: str) -> list[str]:
        """The repositories for images in a project; if no list is allowed, the one in the secret's name."""
        try:
            return [*await self._facts.repositories(project, self._location)()]
        except GoogleApiError as error:
            if not error.not_shown:
                raise
            spelled = self._name_after_host().removeprefix(project + "-")
            return [spelled] if spelled != self._name_after_host() and is_repository(spelled) else []

    async def _granted_places(self, project: str) -> list[Place]:
        """The places in a project on which the account has a documented role; if there is none, those on
        which it has another.
        """
        only = repository_of(self._host)
        places = [Place(project, it) for it in ["", *([only] if only else await self._repositories(project))]]
        roles = await asyncio.gather(*(self._granted_role(place) for place in places))
        having = [(place, role) for place, role in zip(places, roles, strict=True) if role]
        documented = [place for place, role in having if role in (DEFAULT_ROLE, STORAGE_ROLE)]
        found = documented or [place for place, _ in having]
        return [Place(project, only)] if found and only else found

    def _deleted_place(self) -> list[Place]:
        """The place in the secret's name, in the account's own project, whose repository no longer exists."""
        spelled = repository_of(self._host) or self._name_after_host().removeprefix(f"{self._own}-")
        if is_repository(spelled) and registry_secret_name(self._host, self._own, spelled) == self._name:
            return [Place(self._own, spelled)]
        return []

    # -- what ------------------------------------------------------------------------------------------------

    async def _account(self, resource: str) -> Any:
        """The account; None if there is none, "unseen" if it may not be read."""
        try:
            return await self._facts.account(resource)()
        except GoogleApiError as error:
            if error.forbidden:
                return "unseen"
            raise

    async def _seen_role(self, place: Place) -> str | None:
        """The role that the account has on the place, or on all of its project; None if none is seen."""
        role = await self._granted_role(place)
        if role is None and place.repository:
            # What Akka's older page grants, it grants on the project.
            role = await self._granted_role(Place(place.project, ""), documented=True)
        return role

    async def _granted_role(self, place: Place, *, documented: bool = False) -> str | None:
        """The role that lets the account pull from the place: a documented one, or else the only other one
        that may have been granted for it (`--allow-custom-role`). None if there is none, if there are
        several, and if the policy may not be read.
        """
        resource = f"projects/{place.project}"
        if place.repository:
            resource += f"/locations/{self._location}/repositories/{place.repository}"
        try:
            found = await self._facts.policy(resource)()
        except GoogleApiError as error:
            if error.not_shown:
                return None
            raise
        roles = [role for role, conditional in policy.roles(found, self._email) if not conditional]
        for role in (DEFAULT_ROLE, STORAGE_ROLE):
            if role in roles:
                return role
        others = [] if documented else [role for role in roles if _MAY_PULL.match(role)]
        return others[0] if len(others) == 1 else None

    async def _key_source(self, resource: str) -> tuple[str, dt.timedelta]:
        """Source and lifetime of the key that Akka holds, which the next key gets too."""
        from google.cloud.iam_admin_v1.types import iam

        default = dt.timedelta(days=90)
        try:
            key = (await self._facts.keys(resource)()).get(self._key_id)
        except GoogleApiError as error:
            if error.forbidden:
                return CREATE, default
            raise
        if key is None or key.key_origin != iam.ServiceAccountKeyOrigin.USER_PROVIDED:
            return CREATE, default
        ends = cloud.end_of(key)
        if ends is None:
            return UPLOAD, default
        if ends - key.valid_after_time >= LONGEST_LIFE:
            return AUTO, LONGEST_LIFE
        # Rounded to days: a certificate is valid from a little before its creation.
        days = round((ends - key.valid_after_time) / dt.timedelta(days=1))
        return UPLOAD, dt.timedelta(days=days) if days else ends - key.valid_after_time


def _listed(things: Sequence[object]) -> str:
    return ", ".join(sorted({str(thing) for thing in things}))

"""What a provider says about the login that runs pullkey."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RoleKind(StrEnum):
    """Whose role definitions can hold the permissions of a provider's steps."""

    NONE = ""
    GOOGLE = "google"
    AZURE = "azure"


@dataclass(frozen=True)
class GrantPlaces:
    """The resources of a Google target on which a login can be granted a role; "" for one that is not known.

    Attributes:
        account: the e-mail of the service account that pulls.
        account_elsewhere: whether that account is not known to be one of the registry's project.
        repository: its name, without the project and the location.
        location: that of the repository.
    """

    account: str = ""
    account_elsewhere: bool = False
    repository: str = ""
    location: str = ""


@dataclass(frozen=True)
class Access:
    """How the login gets the permissions that the steps declare.

    Attributes:
        login: which login a run needs, in one or two sentences.
        roles: which kind of role holds the permissions; `NONE` if they cannot be granted one by one.
        completed: sets the required options that were not given, for a list that is of no registry in
            particular.
        scope_of: where a role is to be defined for a target: a Google project, an Azure scope; "" if unknown.
        apart: permissions that no such role can hold, each with what to know about it.
        condition: the condition under which a role with these permissions is to be assigned to the login; ""
            for none.
        places_of: for `GOOGLE`: the resources of a target on which the role can be granted.
    """

    login: str
    roles: RoleKind = RoleKind.NONE
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda values: values
    scope_of: Callable[[Any], str] = lambda _: ""
    apart: Mapping[str, str] = field(default_factory=dict)
    condition: Callable[[Collection[str]], str] = lambda _: ""
    places_of: Callable[[Any], GrantPlaces] = lambda _: GrantPlaces()

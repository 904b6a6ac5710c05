"""The directory's objects, as the other modules see them: applications, service principals, secrets, a
policy.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootstrap.model import clock
from bootstrap.model.secret import Secret
from providers.acr.waits import NEW_APPLICATION

if TYPE_CHECKING:
    from msgraph.generated.models.key_credential import KeyCredential
    from msgraph.generated.models.password_credential import PasswordCredential

    from providers.acr import graph_models


@dataclass(frozen=True)
class Password:
    """A client secret, without its text: Graph shows that once only."""

    key_id: str
    display_name: str
    created: dt.datetime | None
    expires: dt.datetime | None

    @property
    def expired(self) -> bool:
        return self.expires is not None and self.expires <= clock.now()


@dataclass(frozen=True)
class Application:
    """An application; `object_id` is what it is changed by, `app_id` what it logs in with.

    `certificates` are its `keyCredentials`, which have the same shape as its secrets.
    """

    object_id: str
    app_id: str
    unique_name: str
    display_name: str
    notes: str
    created: dt.datetime | None
    passwords: tuple[Password, ...]
    certificates: tuple[Password, ...] = ()
    disabled: str = ""  # by whom, if it is
    audience: str = ""  # its `signInAudience`

    @property
    def most_secrets(self) -> int:
        """How many client secrets it can have: "Validation differences by supported account types". Of others
        than those for personal accounts, the limit is "about 1000" of all that it has more than one of.
        """
        return 2 if "PersonalMicrosoftAccount" in self.audience else 1000

    @property
    def is_new(self) -> bool:
        """Whether some of the directory's servers may not know it yet."""
        return self.created is not None and clock.now() - self.created < NEW_APPLICATION


@dataclass(frozen=True)
class Principal:
    """The application's service principal in this directory."""

    object_id: str
    enabled: bool
    disabled: str = ""  # why it gets no token, if that is so
    managed: bool = False  # whether it is a managed identity, which has no application


@dataclass(frozen=True)
class NewPassword:
    """A client secret that was just created."""

    key_id: str
    text: Secret
    expires: dt.datetime


@dataclass(frozen=True)
class PasswordPolicy:
    """What the directory allows of client secrets; rules hold for applications made after a day, `None`
    for all.
    """

    forbidden: bool = False
    forbidden_after: dt.datetime | None = None
    longest: dt.timedelta | None = None
    longest_after: dt.datetime | None = None

    def forbids(self, created: dt.datetime | None) -> bool:
        """Whether an application of that day (`None`: one yet to be made) may have no secret."""
        return self.forbidden and _since(created, self.forbidden_after)

    def limit(self, created: dt.datetime | None) -> dt.timedelta | None:
        """The longest that a secret of such an application may live, or None."""
        return self.longest if _since(created, self.longest_after) else None


def as_application(found: graph_models.Application) -> Application:
    return Application(
        object_id=str(found.id),
        app_id=str(found.app_id),
        unique_name=found.unique_name or "",
        display_name=found.display_name or "",
        notes=found.notes or "",
        created=found.created_date_time,
        passwords=tuple(map(_as_password, found.password_credentials or ())),
        certificates=tuple(map(_as_password, found.key_credentials or ())),
        disabled=_disabled(found.disabled_by_microsoft_status, by_owner=found.is_disabled is True),
        audience=found.sign_in_audience or "",
    )


def as_principal(found: graph_models.ServicePrincipal) -> Principal:
    enabled = found.account_enabled is not False
    by_microsoft = _disabled(found.disabled_by_microsoft_status, by_owner=False)
    return Principal(
        str(found.id),
        enabled,
        by_microsoft or ("" if enabled else "it is disabled"),
        managed=found.service_principal_type == "ManagedIdentity",
    )


def _disabled(by_microsoft: str | None, *, by_owner: bool) -> str:
    """Why an application gets no tokens, if that is so: `isDisabled` and `disabledByMicrosoftStatus`, whose
    value for one that is not disabled is null or `NotDisabled` ("application resource type").
    """
    if by_microsoft and by_microsoft.lower() != "notdisabled":
        return f"Microsoft disabled it ({by_microsoft})"
    return "it is disabled" if by_owner else ""


def _as_password(found: PasswordCredential | KeyCredential) -> Password:
    return Password(str(found.key_id), found.display_name or "", found.start_date_time, found.end_date_time)


def _since(created: dt.datetime | None, day: dt.datetime | None) -> bool:
    return created is None or day is None or created.timestamp() > _timestamp(day)


def _timestamp(moment: dt.datetime) -> float:
    # Graph's "for all" is the year 1, which some platforms' time cannot hold.
    return moment.timestamp() if moment.year > 1970 else 0.0

"""What of Graph's answers and requests this provider uses, as models for the SDK's own adapter and request
builders.

The SDK's generated models are one web: reading the first application makes it import 1,226 of them, which
takes about a second. These say what is read and written, and nothing else. Imported only where Graph is
called: it needs the SDK.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from kiota_abstractions.serialization import Parsable, ParseNode, SerializationWriter
from msgraph.generated.models.key_credential import KeyCredential
from msgraph.generated.models.password_credential import PasswordCredential

Fields = dict[str, Callable[[ParseNode], None]]


@dataclass
class _Model(Parsable):
    """A model without subclasses, which is read only unless it says how it is written."""

    @classmethod
    def create_from_discriminator_value(cls, _node: ParseNode | None) -> Self:
        return cls()

    def get_field_deserializers(self) -> Fields:
        return {}

    def serialize(self, writer: SerializationWriter) -> None:
        raise NotImplementedError

    def _text(self, name: str) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_str_value())

    def _switch(self, name: str) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_bool_value())

    def _texts(self, name: str) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_collection_of_primitive_values(str) or ())

    def _moment(self, name: str) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_datetime_value())

    def _model(self, name: str, kind: Any) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_object_value(kind))

    def _models(self, name: str, kind: Any) -> Callable[[ParseNode], None]:
        return lambda node: setattr(self, name, node.get_collection_of_object_values(kind))


@dataclass
class Application(_Model):
    """Graph's "application resource type"."""

    id: str | None = None
    app_id: str | None = None
    unique_name: str | None = None
    display_name: str | None = None
    notes: str | None = None
    tags: Sequence[str] = ()
    sign_in_audience: str | None = None
    created_date_time: dt.datetime | None = None
    deleted_date_time: dt.datetime | None = None
    is_disabled: bool | None = None
    disabled_by_microsoft_status: str | None = None
    password_credentials: Sequence[PasswordCredential] | None = field(default=None, repr=False)
    key_credentials: Sequence[KeyCredential] | None = None

    def get_field_deserializers(self) -> Fields:
        return {
            "id": self._text("id"),
            "appId": self._text("app_id"),
            "uniqueName": self._text("unique_name"),
            "displayName": self._text("display_name"),
            "notes": self._text("notes"),
            "tags": self._texts("tags"),
            "signInAudience": self._text("sign_in_audience"),
            "createdDateTime": self._moment("created_date_time"),
            "deletedDateTime": self._moment("deleted_date_time"),
            "isDisabled": self._switch("is_disabled"),
            "disabledByMicrosoftStatus": self._text("disabled_by_microsoft_status"),
            "passwordCredentials": self._models("password_credentials", PasswordCredential),
            "keyCredentials": self._models("key_credentials", KeyCredential),
        }

    def serialize(self, writer: SerializationWriter) -> None:
        writer.write_str_value("displayName", self.display_name)
        writer.write_str_value("notes", self.notes)
        writer.write_collection_of_primitive_values("tags", list(self.tags))
        writer.write_str_value("signInAudience", self.sign_in_audience)


@dataclass
class Applications(_Model):
    """A page of applications."""

    value: Sequence[Application] | None = None
    next_link: str | None = None

    def get_field_deserializers(self) -> Fields:
        return {"value": self._models("value", Application), "@odata.nextLink": self._text("next_link")}


@dataclass
class ServicePrincipal(_Model):
    """Graph's "servicePrincipal resource type"."""

    id: str | None = None
    app_id: str | None = None
    account_enabled: bool | None = None
    service_principal_type: str | None = None
    disabled_by_microsoft_status: str | None = None

    def get_field_deserializers(self) -> Fields:
        return {
            "id": self._text("id"),
            "accountEnabled": self._switch("account_enabled"),
            "servicePrincipalType": self._text("service_principal_type"),
            "disabledByMicrosoftStatus": self._text("disabled_by_microsoft_status"),
        }

    def serialize(self, writer: SerializationWriter) -> None:
        writer.write_str_value("appId", self.app_id)


@dataclass
class ServicePrincipals(_Model):
    """A page of them."""

    value: Sequence[ServicePrincipal] | None = None

    def get_field_deserializers(self) -> Fields:
        return {"value": self._models("value", ServicePrincipal)}


@dataclass
class FederatedCredential(_Model):
    """Graph's "federatedIdentityCredential resource type"."""

    id: str | None = None
    name: str | None = None

    def get_field_deserializers(self) -> Fields:
        return {"id": self._text("id"), "name": self._text("name")}


@dataclass
class FederatedCredentials(_Model):
    """A page of them."""

    value: Sequence[FederatedCredential] | None = None

    def get_field_deserializers(self) -> Fields:
        return {"value": self._models("value", FederatedCredential)}


@dataclass
class ExemptAttribute(_Model):
    """Graph's "customSecurityAttributeExemption resource type"."""


@dataclass
class ExemptActors(_Model):
    """Graph's "appManagementPolicyActorExemptions resource type"."""

    attributes: Sequence[ExemptAttribute] | None = None

    def get_field_deserializers(self) -> Fields:
        return {"customSecurityAttributes": self._models("attributes", ExemptAttribute)}


@dataclass
class PasswordRule(_Model):
    """Graph's "passwordCredentialConfiguration resource type"."""

    restriction_type: str | None = None
    state: str | None = None
    exempt: ExemptActors | None = None
    max_lifetime: dt.timedelta | None = None
    restrict_for_apps_created_after: dt.datetime | None = None

    def get_field_deserializers(self) -> Fields:
        def lifetime(node: ParseNode) -> None:
            self.max_lifetime = node.get_timedelta_value()

        return {
            "restrictionType": self._text("restriction_type"),
            "state": self._text("state"),
            "excludeActors": self._model("exempt", ExemptActors),
            "maxLifetime": lifetime,
            "restrictForAppsCreatedAfterDateTime": self._moment("restrict_for_apps_created_after"),
        }


@dataclass
class PasswordRules(_Model):
    """Graph's "appManagementApplicationConfiguration resource type", and "appManagementConfiguration"."""

    password_credentials: Sequence[PasswordRule] | None = None

    def get_field_deserializers(self) -> Fields:
        return {"passwordCredentials": self._models("password_credentials", PasswordRule)}


@dataclass
class ManagementPolicy(_Model):
    """Graph's "tenantAppManagementPolicy resource type"."""

    is_enabled: bool | None = None
    application_restrictions: PasswordRules | None = None

    def get_field_deserializers(self) -> Fields:
        return {
            "isEnabled": self._switch("is_enabled"),
            "applicationRestrictions": self._model("application_restrictions", PasswordRules),
        }


@dataclass
class AppPolicy(_Model):
    """Graph's "appManagementPolicy resource type"."""

    is_enabled: bool | None = None
    restrictions: PasswordRules | None = None

    def get_field_deserializers(self) -> Fields:
        return {
            "isEnabled": self._switch("is_enabled"),
            "restrictions": self._model("restrictions", PasswordRules),
        }


@dataclass
class AppPolicies(_Model):
    """A page of them."""

    value: Sequence[AppPolicy] | None = None

    def get_field_deserializers(self) -> Fields:
        return {"value": self._models("value", AppPolicy)}


@dataclass
class MemberRights(_Model):
    """Graph's "defaultUserRolePermissions resource type"."""

    allowed_to_create_apps: bool | None = None

    def get_field_deserializers(self) -> Fields:
        return {"allowedToCreateApps": self._switch("allowed_to_create_apps")}


@dataclass
class AuthorizationPolicy(_Model):
    """Graph's "authorizationPolicy resource type"."""

    default_user_role_permissions: MemberRights | None = None

    def get_field_deserializers(self) -> Fields:
        return {"defaultUserRolePermissions": self._model("default_user_role_permissions", MemberRights)}

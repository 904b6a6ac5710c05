"""What this provider tells its users of their options and of the registry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from bootstrap.model.codes import Code
from bootstrap.model.errors import Problem, ProblemKind, StepFailed, UsageProblem
from bootstrap.plugin.step import Notice

if TYPE_CHECKING:
    from bootstrap.plugin.errors import ApiError


def no_registry() -> UsageProblem:
    return UsageProblem("No registry is named", fix="Name it: --registry NAME", code=Code.MISSING_VALUE)


def two_subscriptions(option: str, registry: str) -> UsageProblem:
    return UsageProblem(
        f"--subscription is {option}, and --registry is in {registry}: name one",
        code=Code.OPTIONS_CONFLICT,
    )


def registry_name_invalid(name: str) -> UsageProblem:
    return UsageProblem(
        f"--registry: {name!r} is not a valid registry name", fix="It is 5 to 50 letters and digits."
    )


def two_registries(image: str, registry: str) -> UsageProblem:
    return UsageProblem(
        f"--image is of {image}, and --registry is {registry}: name one registry",
        code=Code.OPTIONS_CONFLICT,
    )


def image_without_repository(image: str) -> UsageProblem:
    return UsageProblem(f"--image names no image: {image!r}")


def app_id_invalid(app_id: str) -> UsageProblem:
    return UsageProblem(
        f"--app-id: {app_id!r} is not a valid application (client) id",
        fix="It is a GUID: see `az ad app list --show-mine`.",
    )


def app_per_registry_conflict(option: str) -> UsageProblem:
    return UsageProblem(
        f"--app per-registry needs an application that pullkey creates, not {option}",
        code=Code.OPTIONS_CONFLICT,
    )


def tenant_invalid(tenant: str) -> UsageProblem:
    return UsageProblem(f"--tenant: {tenant!r} is not a valid tenant id or domain")


def lifetime_too_short() -> UsageProblem:
    return UsageProblem("--expires-in must be at least an hour", fix="A day is 1d.")


def two_clouds(where: str, host: str, cloud: str, option: str) -> UsageProblem:
    return UsageProblem(
        f"{where}: {host} is in the cloud {cloud}, and --cloud is {option}",
        code=Code.OPTIONS_CONFLICT,
    )


def data_endpoint_named(where: str, host: str, registry: str) -> UsageProblem:
    return UsageProblem(
        f"{where}: {host} is a data endpoint, which serves layers and takes no login",
        fix=f"Name the registry: {registry}",
    )


def not_an_azure_registry(where: str, typed: str) -> UsageProblem:
    return UsageProblem(
        f"{where}: {typed!r} is not an Azure registry",
        fix="It is a name of 5 to 50 letters and digits, NAME.azurecr.io (.us, .cn), an image of it, "
        "or a resource id.",
    )


def repositories_need_token() -> UsageProblem:
    return UsageProblem(
        "--repository needs --auth-kind token: the role of a service principal is on the whole registry",
        fix="Add --auth-kind token, or leave --repository out.",
        code=Code.OPTIONS_CONFLICT,
    )


def option_needs_service_principal(option: str) -> UsageProblem:
    return UsageProblem(
        f"{option} needs a service principal, not --auth-kind token",
        code=Code.OPTIONS_CONFLICT,
    )


def repository_invalid(repository: str) -> UsageProblem:
    return UsageProblem(
        f"--repository: {repository!r} is not a valid repository name",
        fix="It is in lower case, without host and tag; several are separated by commas.",
    )


def too_many_repositories(count: int, limit: int) -> UsageProblem:
    return UsageProblem(f"--repository names {count} repositories, and a scope map takes {limit}")


def image_not_among_repositories(image: str, repositories: Sequence[str]) -> UsageProblem:
    return UsageProblem(
        f"--repository does not name {image}, of which an image is to be pulled",
        fix=f"Add it: --repository {','.join([*repositories, image])}",
        code=Code.OPTIONS_CONFLICT,
    )


def no_repositories() -> UsageProblem:
    return UsageProblem(
        "A token is for repositories, and none is named",
        fix="Name them: --repository NAME,NAME",
        code=Code.MISSING_VALUE,
    )


def app_name_invalid(app_name: str, limit: int) -> UsageProblem:
    return UsageProblem(
        f"--app-name: {app_name!r} is not a valid name for an application",
        fix=f"It has letters or digits, and at most {limit} characters.",
    )


def public_network_off(registry: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"Public network access to {registry} is off, and Akka pulls over the public internet",
        "This opens the registry's endpoint to the whole internet, where every pull "
        f"still needs a credential: `az acr update --name {registry} "
        "--public-network-enabled true`. "
        f"{_narrower(registry, ' --public-network-enabled true')}",
        code=Code.REGISTRY_NETWORK,
    )


def firewall_blocks_internet(registry: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The network rules of {registry} block the public internet, from where Akka pulls",
        f"{_narrower(registry)} Or open the registry's endpoint to the whole "
        "internet, where every pull still needs a credential: az acr update --name "
        f"{registry} --default-action Allow",
        code=Code.REGISTRY_NETWORK,
    )


def firewall_has_exceptions(registry: str) -> Notice:
    return Notice(
        f"The network rules of {registry} let only some addresses in; Akka's must "
        "be among them, which cannot be seen from here."
    )


def registry_not_shown(registry: str, error: ApiError, near: str) -> StepFailed:
    """Azure refuses to show the registry; `near` says what may have been meant, or is ""."""
    fix = f"{near}Check --registry and --subscription against `az acr list`."
    if error.forbidden:
        fix = (
            "Have Microsoft.ContainerRegistry/registries/read granted on it (the role Reader has "
            "it), or log in as a user who has it."
        )
    return StepFailed(
        f"Azure does not show the registry {registry} ({error.summary})",
        fix=fix,
        code=Code.REGISTRY_NOT_FOUND,
    )


def login_server_differs(registry: str, login_server: str, named: str) -> StepFailed:
    return StepFailed(
        f"The login server of {registry} is {login_server}, not {named}",
        fix=f"Pass --registry {login_server}",
        code=Code.LOGIN_SERVER,
    )


def subscription_not_found(name: str, seen: Collection[str]) -> StepFailed:
    """The login does not see the subscription, or none at all if `name` is ""."""
    which = f"subscription {name}" if name else "subscription at all"
    known = f"It sees: {', '.join(sorted(seen))}." if seen else ""
    return StepFailed(
        f"This login sees no {which}. {known}".rstrip(),
        fix="Check --subscription and --tenant against `az account list`.",
        code=Code.SUBSCRIPTION_NOT_FOUND,
    )


def registry_ambiguous(name: str, places: Sequence[str]) -> StepFailed:
    return StepFailed(
        f"There are {len(places)} registries named {name}: {'; '.join(places)}",
        fix="Name one by its login server, or by its resource id: --registry LOGIN_SERVER",
        code=Code.REGISTRY_AMBIGUOUS,
    )


def registry_not_found(name: str, where: str, *, unsearched: int, hint: str) -> StepFailed:
    """No subscription that could be searched has the registry; `unsearched` is how many could not be."""
    unseen = f" ({unsearched} could not be searched)" if unsearched else ""
    return StepFailed(
        f"There is no registry {name} in {where} that this login sees{unseen}",
        fix=f"{hint}See `az acr list`; another --subscription or --tenant may have it.",
        code=Code.REGISTRY_NOT_FOUND,
    )


def application_unreadable(app_id: str, error: ApiError) -> StepFailed:
    return StepFailed(
        f"The directory does not show the application {app_id}, which takes Application.ReadWrite.OwnedBy or "
        f"Application.Read.All of Graph ({error.summary})",
        fix="Grant one of the two to the login, or log in as a user who may read applications.",
        code=Code.IDENTITY_NOT_FOUND,
    )


def token_unreadable(registry: str, token: str, error: ApiError) -> StepFailed:
    return StepFailed(
        f"{registry} does not show its token {token} ({error.summary})",
        code=Code.IDENTITY_NOT_FOUND,
    )


def _narrower(name: str, also: str = "") -> str:
    """Describe how to let in Akka's addresses only.

    Network rules need the Premium tier (`az acr network-rule`).
    """
    return (
        f"To let in Akka's addresses only (Premium tier): `az acr update --name {name}{also} "
        f"--default-action Deny && az acr network-rule add --name {name} --ip-address ADDRESS`."
    )

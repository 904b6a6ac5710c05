"""Errors of the options and addresses that name a Google registry."""

from __future__ import annotations

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem

# -- the registry and the image ------------------------------------------------------------------------------


def registry_not_named() -> UsageProblem:
    return UsageProblem(
        "No registry is named", fix="Name it: --server LOCATION-docker.pkg.dev", code=Code.MISSING_VALUE
    )


def registry_has_no_port(server: str) -> UsageProblem:
    return UsageProblem(f"--server: a Google registry has no port: {server!r}")


def not_a_google_registry(host: str) -> UsageProblem:
    return UsageProblem(
        f"--server: {host!r} is not a Google registry",
        fix="It is LOCATION-docker.pkg.dev, docker.LOCATION.rep.pkg.dev, or gcr.io, us.gcr.io, "
        "eu.gcr.io, asia.gcr.io.",
    )


def image_of_another_registry(registry: str, host: str) -> UsageProblem:
    """`--image` and `--server` name two registries."""
    return UsageProblem(
        f"--image is of {registry}, and --server is {host}: name one registry", code=Code.OPTIONS_CONFLICT
    )


def option_contradicts_image(option: str, given: str, from_image: str) -> UsageProblem:
    return UsageProblem(
        f"{option} is {given!r}, and the image's is {from_image!r}: name one", code=Code.OPTIONS_CONFLICT
    )


# -- project and repository ----------------------------------------------------------------------------------


def project_not_named() -> UsageProblem:
    return UsageProblem(
        "No Google project is named", fix="Name it: --gcp-project ID", code=Code.MISSING_VALUE
    )


def project_number_given(option: str, number: str) -> UsageProblem:
    """A project's number was given in place of its id."""
    return UsageProblem(
        f"{option}: {number!r} is a project number, and the project's id is needed",
        fix=f"It is shown by: gcloud projects describe {number} --format='value(projectId)'",
    )


def invalid_project(project: str) -> UsageProblem:
    return UsageProblem(
        f"--gcp-project: {project!r} is not a valid project id",
        fix="It is 6 to 30 lower-case letters, digits and dashes: see `gcloud projects list`.",
    )


def invalid_repository(repository: str) -> UsageProblem:
    return UsageProblem(
        f"--repository: {repository!r} is not a valid repository name",
        fix="See `gcloud artifacts repositories list`.",
    )


# -- the service account and its role ------------------------------------------------------------------------


def invalid_impersonated_account(email: str) -> UsageProblem:
    return UsageProblem(f"--impersonate-service-account: {email!r} is not the e-mail of a service account")


def invalid_account_email(email: str) -> UsageProblem:
    return UsageProblem(
        f"--service-account: {email!r} is not the e-mail of a service account",
        fix="It ends in .gserviceaccount.com: see `gcloud iam service-accounts list`.",
    )


def invalid_account_id(account_id: str) -> UsageProblem:
    return UsageProblem(
        f"--service-account: {account_id!r} is not a valid account id",
        fix="It is 6 to 30 lower-case letters, digits and dashes, beginning with a letter and not "
        "ending with a dash.",
    )


def invalid_role(role: str) -> UsageProblem:
    return UsageProblem(
        f"--role: {role!r} is not a valid role", fix="A role is roles/NAME or projects/ID/roles/NAME."
    )


def role_not_documented(role: str, default: str) -> UsageProblem:
    """The role is neither of the two that Akka and Google document for pulling."""
    return UsageProblem(
        f"--role: {role} is not one that a puller needs",
        fix=f"Leave --role out ({default}), or pass --allow-custom-role if you are sure that it only reads.",
    )


# -- the key -------------------------------------------------------------------------------------------------


def expiry_of_created_key() -> UsageProblem:
    """`--expires-in` was given for a key that Google creates."""
    return UsageProblem(
        "--expires-in is for --key-source upload: a key that Google creates does not expire",
        fix="Pass --key-source upload too, or leave --expires-in out.",
        code=Code.OPTIONS_CONFLICT,
    )


def invalid_key_lifetime(default: str) -> UsageProblem:
    return UsageProblem(
        "--expires-in: a key lasts between an hour and ten years",
        fix=f"Google takes at most 3650 days; {default} is the default.",
    )

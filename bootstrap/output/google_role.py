"""A custom role of Google, and where the login gets it: as `gcloud` commands and as Terraform.

The role is granted on account and repository alone, where the commands neither create one of them nor use
the project: on a project, `iam.serviceAccountKeys.create` creates keys of every account in it. A role of a
project can be granted in that project only ("Create and manage custom roles"), so one for an account of
another project is the organisation's.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence

from bootstrap.output.role_text import WHY_A_CONDITION, list_of, role_id, variable
from bootstrap.plugin.access import GrantPlaces

_OF_PROJECT = (
    "artifactregistry.repositories.list",
    "iam.serviceAccounts.create",
    "resourcemanager.",
    "serviceusage.",
)


def as_file(names: Sequence[str], title: str, about: str) -> str:
    """The file of `gcloud iam roles create ID --project=PROJECT --file=FILE` ("Create and manage custom
    roles").
    """
    permissions = "\n".join(f"- {one}" for one in names)
    return f"title: {title}\ndescription: {about}\nstage: GA\nincludedPermissions:\n{permissions}"


def assignment_lines(
    names: Sequence[str], title: str, condition: str, project: str, places: GrantPlaces
) -> list[tuple[str, list[str]]]:
    """How the role is created and granted: sentences, each with its commands."""
    project = project or "PROJECT"
    create = f"gcloud iam roles create {role_id(title)} --file=FILE"
    of_organisation = f"{create} --organization=ORGANIZATION_ID"
    if places.account_elsewhere:
        owner = "organizations/ORGANIZATION_ID"
        created = (
            "Create it in the organisation, since the account may be of another project:",
            [of_organisation],
        )
    else:
        owner = f"projects/{project}"
        created = (
            "Create it in the project; for registries of several projects, in the organisation:",
            [f"{create} --project={project}", of_organisation],
        )
    to = f"--member=MEMBER --role={owner}/roles/{role_id(title)}"
    on_account = f"gcloud iam service-accounts add-iam-policy-binding {places.account or 'ACCOUNT'} {to}"
    if not _uses_project(names):
        location = places.location or "LOCATION"
        repository = f"{places.repository or 'REPOSITORY'} --location={location} --project={project}"
        return [
            created,
            (
                "Grant it on account and repository; on the project it could create keys of every account:",
                [
                    on_account,
                    f"gcloud artifacts repositories add-iam-policy-binding {repository} {to}",
                ],
            ),
        ]
    # A comma separates the parts of the option otherwise ("gcloud topic escaping").
    only_if = shlex.quote(f"^#^expression={condition}#title=pullkey") if condition else "None"
    under = f", under a condition, {WHY_A_CONDITION}" if condition else ""
    on_project = f"gcloud projects add-iam-policy-binding {project} {to} --condition={only_if}"
    if places.account_elsewhere:
        return [created, (f"Grant it on the account, and on the project{under}:", [on_account, on_project])]
    return [
        created,
        (f"Grant it on the project{under}. There it can create keys of every service account:", [on_project]),
    ]


def as_terraform(
    names: Sequence[str], title: str, about: str, condition: str, project: str, places: GrantPlaces
) -> str:
    """The role and its grants to the login. What is not known is a variable."""
    role = role_id(title)
    variables: list[str] = []

    def value(known: str, name: str, what: str) -> str:
        if known:
            return json.dumps(known)
        variables.extend(variable(name, what))
        return f"var.{name}"

    where = value(project, "project", "The Google project of the registry.")
    if places.account_elsewhere:
        kind = "google_organization_iam_custom_role"
        owner = {"org_id": value("", "organization", "The number of the organisation.")}
    else:
        kind, owner = "google_project_iam_custom_role", {"project": where}
    defined = {
        **owner,
        "role_id": json.dumps(role),
        "title": json.dumps(title),
        "description": json.dumps(about),
    }
    blocks = [_resource(kind, role, defined, list_of("permissions", names, "  "))]
    login = value("", f"{role}_login", "Who runs pullkey, such as serviceAccount:EMAIL.")

    def granted(resource: str, place: dict[str, str], under: Sequence[str] = ()) -> None:
        to = {**place, "role": f"{kind}.{role}.id", "member": login}
        blocks.append(_resource(resource, role, to, under))

    uses_project = _uses_project(names)
    if places.account_elsewhere or not uses_project:
        # The project of an account may be a hyphen, since its e-mail is unique.
        email = (
            places.account or f"${{{value('', f'{role}_account', 'The e-mail of the account that pulls.')}}}"
        )
        granted(
            "google_service_account_iam_member",
            {"service_account_id": f'"projects/-/serviceAccounts/{email}"'},
        )
    if uses_project:
        under = [
            "  condition {",
            '    title      = "pullkey"',
            f"    expression = {json.dumps(condition)}",
            "  }",
        ]
        granted("google_project_iam_member", {"project": where}, under if condition else ())
    else:
        place = {
            "project": where,
            "location": value(places.location, f"{role}_location", "The location of the repository."),
            "repository": value(places.repository, f"{role}_repository", "The name of the repository."),
        }
        granted("google_artifact_registry_repository_iam_member", place)
    return "\n".join([*variables, "\n\n".join(blocks)])


def _resource(kind: str, name: str, fields: Mapping[str, str], more: Sequence[str] = ()) -> str:
    width = max(map(len, fields))
    lines = [f"  {field:{width}} = {value}" for field, value in fields.items()]
    return "\n".join([f'resource "{kind}" "{name}" {{', *lines, *more, "}"])


def _uses_project(names: Iterable[str]) -> bool:
    return any(one.startswith(_OF_PROJECT) for one in names)

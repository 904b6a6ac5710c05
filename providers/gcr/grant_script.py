"""The grant by hand: gcloud's commands that add the role, show it and remove it."""

from __future__ import annotations

import shlex

from bootstrap.plugin.step import Script


def grant_script(*, on_repository: bool) -> Script:
    """The commands of the grant step, on a repository or else on the project."""
    if on_repository:
        place = (
            'artifacts repositories {verb}-iam-policy-binding "$REPOSITORY" --location="$LOCATION" '
            '--project="$PROJECT"'
        )
        policy_of = (
            'artifacts repositories get-iam-policy "$REPOSITORY" --location="$LOCATION" --project="$PROJECT"'
        )
    else:
        place = 'projects {verb}-iam-policy-binding "$PROJECT"'
        policy_of = 'projects get-iam-policy "$PROJECT"'
    rest = '--member="serviceAccount:$EMAIL" --role="$ROLE" --condition=None --format=none'
    return Script(
        do=f"gcloud {place.format(verb='add')} {rest}",
        check=f"gcloud {policy_of} --flatten='bindings[].members' --filter=\"bindings.role=$ROLE AND "
        "bindings.members:serviceAccount:$EMAIL\" --format='value(bindings.role)' | grep .",
        undo=f"gcloud {place.format(verb='remove')} {rest}",
        why="Google may need a minute to know a new account, and says until then that it does not exist.",
        repeat=True,
    )


def removal_command(resource: str, role: str, member: str) -> str:
    """The command that removes a role of a member.

    Args:
        resource: `projects/PROJECT`, or a repository of it.
        role: such as `roles/artifactregistry.reader`.
        member: as the policy names it: `serviceAccount:EMAIL`.
    """
    parts = resource.split("/")
    if "repositories" in parts:
        place = (
            f"artifacts repositories remove-iam-policy-binding {parts[5]} --location={parts[3]} "
            f"--project={parts[1]}"
        )
    else:
        place = f"projects remove-iam-policy-binding {parts[1]}"
    # The "?" of a deleted member is a pattern to a shell.
    return f"gcloud {place} --member={shlex.quote(member)} --role={role} --condition=None"

"""The commands that create an application, its service principal and a secret, for runbooks and plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.plugin.step import Script

if TYPE_CHECKING:
    from providers.acr.deleted_items import DeletedApplication
    from providers.acr.target import AcrTarget


def identity_script(target: AcrTarget, deleted: DeletedApplication | None) -> Script:
    """The application with its service principal; `deleted` is the one to restore."""
    if target.app_id:
        return Script(do="find_identity", check="find_identity")
    return Script(
        do=(
            'application >/dev/null 2>&1 || az rest --method PATCH --url "$APPLICATION_URL" '
            '--headers "Prefer=create-if-missing" --body "$APPLICATION" --output none\n'
            "make_principal() {\n"
            "  find_identity 2>/dev/null && return\n"
            '  az ad sp create --id "$(application)" --output none && find_identity\n'
            "}\n"
            "patiently make_principal"
        ),
        check="find_identity",
        typed=_typed(deleted),
        undo='az ad app delete --id "$(application)"',
        why=(
            "Not `az ad sp create-for-rbac`: on a name that exists it takes over that application "
            "and deletes every\n"
            "secret of it. A unique name, which no two applications can have, marks this one."
        ),
    )


def _typed(deleted: DeletedApplication | None) -> str:
    show = 'az ad sp show --id "$APP_ID" --query id --output tsv'
    create = 'az ad sp create --id "$APP_ID" --query id --output tsv'
    if deleted is not None and deleted.ours:
        # Its service principal may have been restored with it.
        first = (
            "az rest --method POST --url "
            f'"${{GRAPH%/}}/v1.0/directory/deletedItems/{deleted.object_id}/restore" --output none'
        )
        principal = f"{show} 2>/dev/null || {create}"
    else:
        first = (
            'az rest --method PATCH --url "$APPLICATION_URL" --headers "Prefer=create-if-missing" '
            '--body "$APPLICATION" --output none'
        )
        principal = create
    application = 'APP_ID="$(az rest --method GET --url "$APPLICATION_URL" --query appId --output tsv)"'
    return f'{first}\n{application}\nPRINCIPAL_ID="$({principal})"'


def secret_script() -> Script:
    """Add a secret beside the existing ones."""
    return Script(
        do=(
            "find_identity\n"
            'KEY_NAME="pullkey runbook $(date -u +%Y%m%dT%H%M%SZ)"\n'
            'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name "$KEY_NAME" '
            '--end-date "$END_DATE" --query password --output tsv)"\n'
            "find_key() {\n"
            '  KEY_ID="$(az ad app credential list --id "$APP_ID" '
            '--query "[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"\n'
            '  [ -n "$KEY_ID" ]\n'
            "}\n"
            "patiently find_key\n"
            'echo "The secret is $KEY_ID"'
        ),
        check='[ -n "$SECRET" ] && [ -n "$KEY_ID" ]',
        undo='if [ -n "${KEY_ID:-}" ]; then az ad app credential delete --id "$(application)" --key-id '
        '"$KEY_ID"; fi',
        typed=(
            'KEY_NAME="pullkey by hand $(date -u +%Y%m%dT%H%M%SZ)"\n'
            'SECRET="$(az ad app credential reset --id "$APP_ID" --append --display-name '
            '"$KEY_NAME" --end-date "$END_DATE" --query password --output tsv)"\n'
            'KEY_ID="$(az ad app credential list --id "$APP_ID" --query '
            '"[?displayName==\'$KEY_NAME\'].keyId | [0]" --output tsv)"'
        ),
        why="--append keeps the secrets that are there; without it all of them would be deleted.",
    )

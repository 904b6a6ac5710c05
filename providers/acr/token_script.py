"""The commands that generate a token's password, for runbooks and plans."""

from __future__ import annotations

from bootstrap.plugin.step import Script


def password_script(slot: str, options: str) -> Script:
    """Generate a password in an empty slot; `options` name the registry."""
    names = (
        '$(az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" --query '
        '"credentials.passwords[].name" --output tsv)'
    )
    return Script(
        do=(
            f'TAKEN="{names}"\n'
            "SLOT=password1\n"
            'case "$TAKEN" in *password1*) SLOT=password2 ;; esac\n'
            'case "$TAKEN" in *password1*password2*|*password2*password1*)\n'
            '  echo "Both passwords of $TOKEN exist. If one of them is unused, remove it:" >&2\n'
            '  echo "  az acr token credential delete --name $TOKEN --registry $REGISTRY '
            '--password1 (or --password2)" >&2\n'
            "  exit 1 ;;\n"
            "esac\n"
            'SECRET="$(az acr token credential generate --name "$TOKEN" "${IN_REGISTRY[@]}" "--$SLOT" '
            '--expiration "$END_DATE" --query "passwords[?name==\'$SLOT\'].value | [0]" --output tsv)"\n'
            'CREATED="$(az acr token show --name "$TOKEN" "${IN_REGISTRY[@]}" '
            '--query "credentials.passwords[?name==\'$SLOT\'].creationTime | [0]" --output tsv)"\n'
            'KEY_ID="$SLOT-$(ms_of "$CREATED")"\n'
            'echo "The password is $KEY_ID"'
        ),
        check='[ -n "$SECRET" ] && [ -n "$KEY_ID" ]',
        undo='if [ -n "${KEY_ID:-}" ]; then az acr token credential delete --name "$TOKEN" '
        '"${IN_REGISTRY[@]}" "--${KEY_ID%%-*}" --output none || true; fi',
        typed=(
            f'SECRET="$(az acr token credential generate --name "$TOKEN" {options} --{slot} '
            f'--expiration "$END_DATE" --query "passwords[?name==\'{slot}\'].value | [0]" --output '
            'tsv)"\n'
            f'CREATED="$(az acr token show --name "$TOKEN" {options} --query '
            f'"credentials.passwords[?name==\'{slot}\'].creationTime | [0]" --output tsv)"\n'
            "# With GNU's date, else with that of macOS and BSD.\n"
            'SECOND="$(date -u -d "$CREATED" +%s 2>/dev/null || date -u -j -f '
            '%Y-%m-%dT%H:%M:%S "${CREATED%%[.+Z]*}" +%s)"\n'
            'FRACTION="$(sed -n \'s/.*\\.\\([0-9]*\\).*/\\1/p\' <<<"$CREATED")000"\n'
            f'KEY_ID="{slot}-$SECOND${{FRACTION:0:3}}"'
        ),
        why="Only an empty slot: generating a password that exists cuts off its users.",
    )

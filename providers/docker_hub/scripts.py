"""The steps as commands to run by hand: bash and curl, with secrets in neither arguments nor files."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from collections.abc import Mapping

from bootstrap.model import clock
from bootstrap.plugin.step import Script
from providers.docker_hub.target import DOMAIN, SERVER, TOKENS_PAGE, DockerHubTarget

_LOGIN = r"""
# The value of a field in an answer of one line of JSON.
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
# The password and what it is exchanged for are in no argument of any program.
log_in_to_hub() {
  if [ -n "${BEARER:-}" ]; then return; fi
  local password
  read -rsp "The Docker Hub password of $HUB_USER: " password; echo
  password=${password//\\/\\\\}
  password=${password//\"/\\\"}
  BEARER="$(printf '{"identifier":"%s","secret":"%s"}' "$HUB_USER" "$password" |
    curl --silent --show-error --fail --header 'Content-Type: application/json' --data-binary @- "$HUB/v2/auth/token" |
    field access_token)"
  [ -n "$BEARER" ]
}
hub() {
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail --request "$method" --header 'Content-Type: application/json' \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "$BEARER") "$@" "$HUB$path"
}
""".strip()  # noqa: E501

_RUN_ID = "KEY_ID=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')-$(date +%s)\""
_TYPED_LOGIN = r"""
# The Docker Hub password of this user, which is not shown:
IFS= read -rs HUB_PASSWORD
HUB_PASSWORD=${HUB_PASSWORD//\\/\\\\}; HUB_PASSWORD=${HUB_PASSWORD//\"/\\\"}
BEARER="$(printf '{"identifier":"%s","secret":"%s"}' "$HUB_USER" "$HUB_PASSWORD" |
  curl --silent --show-error --fail --header 'Content-Type: application/json' --data-binary @- "$HUB/v2/auth/token" |
  FIELD)"
""".strip()  # noqa: E501


def _field(name: str) -> str:
    """The command that reads a field from an answer of one line of JSON."""
    return rf"""sed -n 's/.*"{name}" *: *"\([^"]*\)".*/\1/p'"""


def where_to_delete(organization: str) -> str:
    """The page on which to delete a token: simpler than with curl, which takes a password and two calls."""
    if organization:
        return f"https://app.docker.com/ ({organization}, Identity & auth, Access tokens)"
    return TOKENS_PAGE


def delete_command(organization: str, which: str = "") -> str:
    """The instruction to delete a token: a shell comment, so that it can be pasted like a command."""
    return f"# Delete the token{which} at {where_to_delete(organization)}."


def variables(target: DockerHubTarget, hub: str) -> Mapping[str, str]:
    """The variables of the scripts, quoted."""
    named = {"SERVER": SERVER, "PULLER": target.puller}
    if target.minted:
        ends = clock.now() + target.expires_in - dt.timedelta(minutes=5)
        named |= {
            "HUB": hub,
            "HUB_USER": target.user,
            "EXPIRES_AT": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            "TOKENS": f"/v2/orgs/{target.organization}/access-tokens"
            if target.organization
            else "/v2/access-tokens",
        }
    if target.kind == "oat":
        resources = [
            {"type": "TYPE_REPO", "path": path, "scopes": ["scope-image-pull"]}
            for path in target.repositories
        ]
        named["RESOURCES"] = json.dumps(resources)
    return {name: shlex.quote(value) for name, value in named.items()}


def credential(target: DockerHubTarget) -> Mapping[str, str]:
    return {
        "server": '"$SERVER"',
        "username": '"$PULLER"',
        "email": f'"{target.kind}+$KEY_ID@{DOMAIN}"',
        "password": '"$TOKEN"',
        "registry": DOMAIN,  # the host to log in to
    }


def preamble(target: DockerHubTarget) -> str:
    """The functions that creating and deleting a token need."""
    if not target.minted:
        return ""
    return _LOGIN


def supplied_token(target: DockerHubTarget) -> Script:
    whose = target.puller or "the user who pulls"
    return Script(
        do=(
            'read -rsp "The Docker Hub token of $PULLER: " TOKEN; echo\n'
            # The e-mail's id of a token whose own id only Docker Hub knows.
            + _RUN_ID
        ),
        check='[ -n "$TOKEN" ] && [ -n "$KEY_ID" ]',
        why=f"Make a read-only token of {whose} at {TOKENS_PAGE}; it is not shown while you paste it.",
        typed=(
            f"# Create a read-only token of {whose} at {TOKENS_PAGE}, and paste it here:\n"
            f"IFS= read -rs TOKEN\n{_RUN_ID}"
        ),
    )


def created_token(target: DockerHubTarget) -> Script:
    label = 'LABEL="pullkey runbook $(date -u +%Y%m%dT%H%M%SZ)"'
    if target.kind == "oat":
        body = (
            '\'{"label":"%s","description":"Pulls images for '
            'Akka.","resources":%s,"expires_at":"%s"}\' "$LABEL" "$RESOURCES" "$EXPIRES_AT"'
        )
        name, why = (
            "id",
            "It takes the login of an owner of the organisation, and may pull these repositories only.",
        )
    else:
        body = '\'{"token_label":"%s","scopes":["repo:read"],"expires_at":"%s"}\' "$LABEL" "$EXPIRES_AT"'
        name, why = (
            "uuid",
            "A personal token cannot be limited to a repository: it reads all that this user may read.",
        )
    return Script(
        do=(
            "log_in_to_hub\n"
            f"{label}\n"
            f'MADE="$(printf {body} | hub POST "$TOKENS" --data-binary @-)"\n'
            f'KEY_ID="$(printf %s "$MADE" | field {name})"\n'
            'TOKEN="$(printf %s "$MADE" | field token)"\n'
            "unset MADE\n"
            'echo "The token is $KEY_ID, labelled $LABEL"'
        ),
        check='[ -n "$TOKEN" ] && [ -n "$KEY_ID" ]',
        undo=(
            'if [ -n "${KEY_ID:-}" ]; then log_in_to_hub && hub DELETE "$TOKENS/$KEY_ID"; '
            f"else echo {shlex.quote('Delete the token at ' + where_to_delete(target.organization))}; fi"
        ),
        typed=(
            f"{_TYPED_LOGIN.replace('FIELD', _field('access_token'))}\n"
            'LABEL="pullkey by hand $(date -u +%Y%m%dT%H%M%SZ)"\n'
            f'MADE="$(printf {body} |\n'
            "  curl --silent --show-error --fail --header 'Content-Type: application/json' "
            '--config <(printf \'header = "Authorization: Bearer %s"\\n\' "$BEARER") --data-binary '
            '@- "$HUB$TOKENS")"\n'
            f'KEY_ID="$(printf %s "$MADE" | {_field(name)})"\n'
            f'TOKEN="$(printf %s "$MADE" | {_field("token")})"'
        ),
        why=why,
    )
